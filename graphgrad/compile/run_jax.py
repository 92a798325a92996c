"""JAX programs: jitted for NumPy arrays, or as a pure function for whatever JAX does with one.

The pure function can be jitted, run on accelerators, mapped and sharded: over a mesh of devices
whose axis is the batch, JAX divides the examples and adds the gradients up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from graphgrad.compile.call import (
    all_sizes,
    as_arrays,
    batched_inputs,
    check_reduction,
    check_seeds,
    is_token,
    no_mapping,
)
from graphgrad.compile.emit_jax import emit
from graphgrad.compile.emit_numpy import Program
from graphgrad.compile.run_numpy import executable
from graphgrad.compile.schedule import Schedule
from graphgrad.data import bind, check_inputs, check_names, check_positions, lengths_of
from graphgrad.dims import Token
from graphgrad.errors import DataError, MissingLibraryError
from graphgrad.system import System
from graphgrad.unfold import check_means, checked_sizes

if TYPE_CHECKING:
    from graphgrad.compile.compiled import Compiled

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
        if np.dtype(dtype).itemsize > 8:
            raise DataError(
                f"the jax back end computes in float64 at most, not in {np.dtype(dtype)}",
                remedy='convert the data, or use backend="numpy"',
            )
        with jax.enable_x64(np.dtype(dtype).itemsize > 4):
            call = jitted(tuple(sorted(lengths.items())), tuple(sorted(sizes.items())), dtype)
            return {name: np.array(value) for name, value in call(dict(values)).items()}

    return program, run


def namespace() -> dict[str, Any]:
    """Return what generated JAX source needs."""
    return {"np": np, "jnp": jnp, "lax": jax.lax, **KERNELS}


class PureFunction:
    """`f(params, **inputs) -> (loss, grads)` on JAX arrays, for `jax.jit`, `vmap` and sharding.

    Shapes are checked when JAX traces it. Tokens outside 0..N-1 and distributions that are none are
    errors if they are known then; else they make the loss and every gradient NaN, since a traced
    function can raise nothing. Examples stand in one batch axis, after time. Lengths are read off
    the inputs, or given as `tau=`, a number that JAX does not trace.
    """

    def __init__(self, compiled: Compiled, loss: str, gradients: Sequence[tuple[str, str]]) -> None:
        self.system: System = compiled.system
        self.seeds = compiled.seeds
        self.loss = loss
        self.gradients = list(gradients)
        self.program_of = compiled.program_for
        self._functions: dict[frozenset[str], Run] = {}

    def __call__(
        self,
        params: Mapping[str, Any],
        *,
        batch: str = "mean",
        tau: int | Mapping[str, int] | None = None,
        **inputs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the loss, reduced over the batch, and the gradients by name.

        What is not one number is not reduced, and weighed by its seed: see `ValueAndGrad`.
        """
        check_reduction(batch)
        if not isinstance(params, Mapping):
            raise no_mapping(params)
        given = {name: inputs.pop(name) for name in self.system.declared.sizes if name in inputs}
        checked = checked_sizes(self.system, given)
        values = _as_arrays({**params, **inputs})
        check_seeds(self.system, self.seeds, values)
        check_names(self.system, values)
        lengths = lengths_of(self.system, values, tau)
        check_means(self.system, lengths)
        bound = bind(self.system, lengths, {name: checked[name] for name in given}, values)
        if len(bound.batch) > 1:
            raise DataError(
                f"the pure function takes one batch axis, not {bound.batch}",
                remedy="reshape the inputs, or use jax.vmap",
            )
        sizes = all_sizes(self.system, bound.sizes)
        check_positions(self.system, sizes)
        numbers = [name for name in values if not is_token(self.system, name)]
        for name in values.keys() - set(numbers):
            if not jnp.issubdtype(values[name].dtype, jnp.integer):
                raise DataError(
                    f"{name} holds tokens, not {values[name].dtype} numbers",
                    remedy="give an array of integers",
                )
        weight = self._weight(values, sizes)
        batched = frozenset(batched_inputs(self.system, values))
        if batched not in self._functions:
            program = self.program_of(batched)
            self._functions[batched] = executable(program, self.system.declared.name, namespace())
        count = bound.batch[0] if bound.batch else 1
        kinds = [values[name].dtype for name in numbers]
        dtype = jnp.result_type(*([k for k in kinds if jnp.issubdtype(k, jnp.floating)] or [float]))
        values |= {name: jnp.asarray(values[name], dtype) for name in numbers}
        results = self._functions[batched](values, lengths, {**sizes, "": count}, dtype)
        results = {name: jnp.asarray(value, dtype) for name, value in results.items()}
        if weight is not None:
            results = {name: value * weight for name, value in results.items()}
        scale = 1 / count if batch == "mean" else 1.0
        loss = results[self.loss]
        if not self.seeds:
            loss = jnp.sum(loss) * scale if loss.ndim else loss * (scale * count)
        return loss, {
            name: results[d_name] * (scale if name in self.system.params else 1.0)
            for name, d_name in self.gradients
        }

    def _weight(self, arrays: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
        """Return what results are multiplied by, if by anything: 1, NaN for what is impossible.

        It is a factor and no choice, so that derivatives of the results are NaN as well.
        """
        weight = None
        for name, declared in self.system.inputs.items():
            if isinstance(declared.type, Token):
                fine = kernels_jax.all_tokens(arrays[name], int(declared.type.size.bind(sizes)))
            elif declared.kind == "distribution":
                fine = kernels_jax.all_distributions(arrays[name])
            else:
                continue
            if isinstance(fine, jax.core.Tracer):
                own = jnp.where(fine, 1, jnp.nan)
                weight = own if weight is None else weight * own
            elif not fine:
                check_inputs(self.system, sizes, {name: np.asarray(arrays[name])})
        return weight


def _as_arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as arrays, those of JAX as they are; DataError for what is none."""
    arrays = {}
    for name, value in values.items():
        try:
            array = value if isinstance(value, np.ndarray | jax.Array) else jnp.asarray(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"the value of {name} is not an array: {error}", remedy="give an array of numbers"
            ) from None
        if not isinstance(array, jax.Array):
            array = as_arrays({name: array})[name]
        if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.integer, jnp.floating)):
            raise DataError(
                f"the value of {name} holds {array.dtype}, not real numbers",
                remedy="give arrays of floats, or of integers",
            )
        arrays[name] = array
    return arrays
