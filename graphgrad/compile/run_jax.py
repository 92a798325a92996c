"""JAX programs: jitted for NumPy arrays, or as a pure function for whatever JAX does with one.

The pure function can be jitted, run on accelerators, mapped and sharded: over a mesh of devices
whose axis is the batch, JAX divides the examples and adds the gradients up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from graphgrad.compile.emit_jax import emit
from graphgrad.compile.emit_numpy import Program
from graphgrad.compile.run_numpy import executable
from graphgrad.compile.schedule import Schedule
from graphgrad.data import bind, check_names
from graphgrad.dims import Token
from graphgrad.errors import DataError, MissingLibraryError
from graphgrad.system import System

try:
    import jax
    import jax.numpy as jnp

    from graphgrad.compile import kernels_jax
except ImportError:
    raise MissingLibraryError(
        "JAX is not installed", remedy="python -m pip install 'graphgrad[jax]'"
    ) from None

KERNELS = {name: value for name, value in vars(kernels_jax).items() if callable(value)}
COMPILED_AT_ONCE = 64
"""How many combinations of lengths and sizes stay compiled."""

Run = Callable[[Mapping[str, Any], Mapping[str, int], Mapping[str, int], Any], dict[str, Any]]


def jax_program(schedule: Schedule, name: str) -> tuple[Program, Run]:
    """Return the program of a schedule and the function that runs it on NumPy arrays, jitted.

    float64 is computed in float64, whatever JAX's own setting is.
    """
    program = Program("compiled", emit(schedule))
    function = executable(program, name, namespace())

    @lru_cache(COMPILED_AT_ONCE)
    def jitted(lengths: tuple[Any, ...], sizes: tuple[Any, ...], dtype: Any) -> Any:
        return jax.jit(lambda values: function(values, dict(lengths), dict(sizes), dtype))

    def run(
        values: Mapping[str, Any], lengths: Mapping[str, int], sizes: Mapping[str, int], dtype: Any
    ) -> dict[str, Any]:
        with jax.enable_x64(np.dtype(dtype).itemsize > 4):
            call = jitted(tuple(sorted(lengths.items())), tuple(sorted(sizes.items())), dtype)
            return {name: np.asarray(value) for name, value in call(dict(values)).items()}

    return program, run


def namespace() -> dict[str, Any]:
    """Return what generated JAX source needs."""
    return {"np": np, "jnp": jnp, "lax": jax.lax, **KERNELS}


class PureFunction:
    """`f(params, **inputs) -> (loss, grads)` on JAX arrays, for `jax.jit`, `vmap` and sharding.

    Shapes are checked when JAX traces it; values are not. Examples stand in one batch axis, after
    time. Lengths are read off the inputs, or given as `tau=`, a number that JAX does not trace.
    """

    def __init__(
        self,
        system: System,
        loss: str,
        gradients: Mapping[str, str],
        program_of: Callable[[frozenset[str]], Program],
    ) -> None:
        self.system = system
        self.loss = loss
        self.gradients = dict(gradients)
        self.program_of = program_of
        self._functions: dict[frozenset[str], Run] = {}

    def __call__(
        self,
        params: Mapping[str, Any],
        *,
        batch: str = "mean",
        tau: int | Mapping[str, int] | None = None,
        **inputs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the loss, reduced over the batch, and the gradients by name."""
        if batch not in ("mean", "sum"):
            raise DataError(f"batch={batch!r} is not possible", remedy='use "mean" or "sum"')
        values = {name: jnp.asarray(value) for name, value in {**params, **inputs}.items()}
        check_names(self.system, values)
        lengths = self._lengths(values, tau)
        bound = bind(self.system, lengths, {}, values)
        if len(bound.batch) > 1:
            raise DataError(
                f"the pure function takes one batch axis, not {bound.batch}",
                remedy="reshape the inputs, or use jax.vmap",
            )
        batched = frozenset(name for name in self.system.inputs if self._is_batched(name, values))
        if batched not in self._functions:
            program = self.program_of(batched)
            self._functions[batched] = executable(program, self.system.declared.name, namespace())
        count = bound.batch[0] if bound.batch else 1
        dtype = jnp.result_type(*(values[name] for name in self.system.params))
        results = self._functions[batched](values, lengths, {**bound.sizes, "": count}, dtype)
        scale = 1 / count if batch == "mean" else 1.0
        total = jnp.sum(results[self.loss]) * scale
        return total, {name: results[d_name] * scale for name, d_name in self.gradients.items()}

    def _lengths(self, values: Mapping[str, Any], tau: Any) -> dict[str, int]:
        if isinstance(tau, Mapping):
            return dict(tau)
        if tau is not None:
            return dict.fromkeys(self.system.indices, int(tau))
        found = {
            declared.index: values[name].shape[0]
            for name, declared in self.system.inputs.items()
            if declared.index is not None and values[name].ndim
        }
        missing = set(self.system.indices) - set(found)
        if missing:
            raise DataError(
                f"the number of steps of {', '.join(sorted(missing))} does not show in the data",
                remedy="give tau=…",
            )
        return {index: found[index] for index in self.system.indices}

    def _is_batched(self, name: str, values: Mapping[str, Any]) -> bool:
        declared = self.system.inputs[name]
        own = 0 if isinstance(declared.type, Token) else len(declared.type)
        return bool(values[name].ndim > own + (declared.index is not None))
