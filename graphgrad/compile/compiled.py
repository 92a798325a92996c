"""Compiled functions: circuits as callables on NumPy arrays, with gradients and batches."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.algebras import FloatAlgebra, algebra_of
from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.compile.code import KERNELS
from graphgrad.compile.emit_numpy import Program, emit_numpy
from graphgrad.compile.plan import schedule_of
from graphgrad.data import bind, check_inputs, check_names
from graphgrad.dims import Token
from graphgrad.doors import door
from graphgrad.errors import DataError, GradientError, GraphgradError, unknown_name
from graphgrad.system import System
from graphgrad.unfold import checked_lengths

BACKENDS = ("numpy", "jax")
_jax_program = door("graphgrad.compile.run_jax:jax_program")
_pure_function = door("graphgrad.compile.run_jax:PureFunction")


class Compiled:
    """A circuit as a function: `f(values) -> dict`, the values by name, time first, then batch.

    `source` is the code it runs for data with a batch axis; `source_for(batched)` for any other.
    """

    def __init__(
        self,
        circuit: Circuit,
        outputs: list[str],
        gradients: dict[str, str],
        dtype: Any,
        backend: str = "numpy",
    ) -> None:
        self.circuit = circuit
        self.system: System = circuit.check()
        self.outputs = outputs
        self.gradients = gradients
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.backend = backend
        self._programs: dict[frozenset[str], tuple[Program, Callable[..., Any]]] = {}

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        return self._program(frozenset(self.system.inputs))[0].source

    def source_for(self, batched: Iterable[str] = ()) -> str:
        """Return the code for data in which just these inputs have a batch axis."""
        return self._program(frozenset(batched))[0].source

    def program_for(self, batched: frozenset[str]) -> Program:
        """Return the program for data in which just these inputs have a batch axis."""
        return self._program(batched)[0]

    def _program(self, batched: frozenset[str]) -> tuple[Program, Callable[..., Any]]:
        if batched not in self._programs:
            wanted = [*self.outputs, *self.gradients.values()]
            schedule = schedule_of(self.system, wanted, self.gradients.values(), batched)
            if self.backend == "jax":
                self._programs[batched] = _jax_program(schedule, self._execute)
            else:
                program = emit_numpy(schedule, "compiled")
                self._programs[batched] = program, self._execute(program, {"np": np, **KERNELS})
        return self._programs[batched]

    def _execute(self, program: Program, namespace: Mapping[str, Any]) -> Callable[..., Any]:
        return _executable(program, self.circuit.name, namespace)

    def __call__(
        self,
        values: Mapping[str, Any],
        *,
        tau: int | Mapping[str, int] | None = None,
        batch: str = "mean",
        lengths: Any = None,
        **sizes: int,
    ) -> dict[str, Any]:
        """Return the outputs by name, gradients reduced over the batch (`batch="mean"` or "sum").

        `lengths` gives the number of steps of each example of a ragged batch; each one gets exactly
        what it gets alone, results are padded with zeros. `tau` is needed where no input is
        indexed.
        """
        if batch not in ("mean", "sum"):
            raise DataError(f"batch={batch!r} is not possible", remedy='use "mean" or "sum"')
        arrays = self._arrays(values)
        if lengths is not None:
            return self._ragged(arrays, np.asarray(lengths), batch, sizes)
        steps = self._lengths(arrays, tau)
        bound = bind(self.system, steps, sizes, arrays)
        check_inputs(self.system, bound.sizes, arrays)
        batched = self._batched(arrays)
        flat = {
            name: self._flattened(name, array, bound.batch) if name in batched else array
            for name, array in arrays.items()
        }
        count = int(np.prod(bound.batch)) if bound.batch else 1
        dtype = self._dtype(arrays)
        _, run = self._program(frozenset(batched))
        with np.errstate(all="ignore"):
            results = run(flat, steps, {**bound.sizes, "": count}, dtype)
        return self._shaped(results, bound.batch, batch, count)

    def _arrays(self, values: Mapping[str, Any]) -> dict[str, Any]:
        check_names(self.system, values)
        arrays = {}
        for name, value in values.items():
            try:
                array = np.asarray(value)
            except ValueError as error:
                raise DataError(f"the value of {name} is not an array: {error}") from None
            if array.dtype.kind not in "fiu":
                raise DataError(f"the value of {name} holds {array.dtype}, not real numbers")
            arrays[name] = array
        dtype = self._dtype(arrays)
        for name, array in arrays.items():
            if not self._is_token(name):
                arrays[name] = array.astype(dtype, copy=False)
        return arrays

    def _is_token(self, name: str) -> bool:
        return name in self.system.inputs and isinstance(self.system.inputs[name].type, Token)

    def _dtype(self, arrays: Mapping[str, Any]) -> Any:
        if self.dtype is not None:
            return self.dtype.type
        algebra = algebra_of([a for name, a in arrays.items() if not self._is_token(name)])
        assert isinstance(algebra, FloatAlgebra)
        return algebra.dtype.type

    def _lengths(self, arrays: Mapping[str, Any], tau: Any) -> dict[str, int]:
        """Return the number of steps of each index, read off the data where they show it."""
        found: dict[str, int] = {}
        for name, declared in self.system.inputs.items():
            if declared.index is not None and np.ndim(arrays[name]):
                found.setdefault(declared.index, len(arrays[name]))
        if tau is not None:
            given = checked_lengths(self.system, tau)
            found = {index: given[index] for index in self.system.indices}
        missing = [index for index in self.system.indices if index not in found]
        if missing:
            raise DataError(
                f"the number of steps of {', '.join(missing)} does not show in the data",
                remedy="give tau=…",
            )
        return checked_lengths(self.system, found)

    def _batched(self, arrays: Mapping[str, Any]) -> set[str]:
        """Return the inputs that have batch axes."""
        found = set()
        for name, declared in self.system.inputs.items():
            own = 0 if isinstance(declared.type, Token) else len(declared.type)
            lead = 0 if declared.index is None else 1
            if np.ndim(arrays[name]) > own + lead:
                found.add(name)
        return found

    def _flattened(self, name: str, array: Any, batch: tuple[int, ...]) -> Any:
        lead = 0 if self.system.inputs[name].index is None else 1
        return array.reshape(*array.shape[:lead], -1, *array.shape[lead + len(batch) :])

    def _shaped(
        self, results: dict[str, Any], batch: tuple[int, ...], reduction: str, count: int
    ) -> dict[str, Any]:
        """Return outputs with the batch axes as given, gradients under their names."""
        shaped: dict[str, Any] = {}
        scale = 1 / count if reduction == "mean" else 1
        gradients = set(self.gradients.values())
        for name, value in results.items():
            if name in gradients:
                array = np.asarray(value)
                shaped[name] = array * array.dtype.type(scale) if scale != 1 else array
                continue
            index = self.system.index_of(name)
            array = np.asarray(value)
            own = self.system.variables[name].shape
            lead = 0 if index is None else 1
            if batch and array.ndim > lead + len(own):
                array = array.reshape(*array.shape[:lead], *batch, *array.shape[lead + 1 :])
            shaped[name] = array
        return shaped

    def _ragged(
        self, arrays: Mapping[str, Any], lengths: Any, reduction: str, sizes: Mapping[str, int]
    ) -> dict[str, Any]:
        """Run examples of equal length together and put the results side by side."""
        if len(self.system.indices) > 1:
            raise DataError("lengths= needs a circuit with one time index")
        batched = self._batched(arrays)
        if lengths.ndim != 1 or not batched:
            raise DataError("lengths= has one number for each example of one batch axis")
        count = len(lengths)
        collected: dict[str, Any] = {}
        for length in sorted({int(n) for n in lengths}):
            chosen = np.flatnonzero(lengths == length)
            part = {}
            for name, array in arrays.items():
                declared = self.system.inputs.get(name)
                part[name] = array
                if declared is not None and declared.index is not None:
                    if not 1 <= length <= len(array):
                        raise DataError(
                            f"a length of {length} does not fit {name}'s {len(array)} steps"
                        )
                    part[name] = array[:length]
                if name in batched:
                    part[name] = (
                        part[name][:, chosen] if declared and declared.index else array[chosen]
                    )
            results = self(part, batch="sum", tau=length, **sizes)
            self._collect(collected, results, chosen, count, int(lengths.max()))
        if reduction == "mean":
            for name in self.gradients.values():
                collected[name] = collected[name] / count
        return collected

    def _collect(
        self,
        collected: dict[str, Any],
        results: Mapping[str, Any],
        chosen: Any,
        count: int,
        top: int,
    ) -> None:
        for name, value in results.items():
            if name in self.gradients.values():
                collected[name] = collected.get(name, 0) + value
                continue
            if self.system.index_of(name) is None:
                target = collected.setdefault(
                    name, np.zeros((count, *value.shape[1:]), value.dtype)
                )
                target[chosen] = value
            else:
                shape = (top, count, *value.shape[2:])
                target = collected.setdefault(name, np.zeros(shape, value.dtype))
                target[: len(value), chosen] = value


def _executable(program: Program, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the function of a program; a debugger can step through its source."""
    filename = f"<graphgrad {name} {abs(hash(program.source)):x}>"
    lines = program.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(program.source), None, lines, filename)
    space = dict(namespace)
    exec(compile(program.source, filename, "exec"), space)
    function: Callable[..., Any] = space[program.name]
    return function


def compile_circuit(
    circuit: Circuit,
    outputs: tuple[str, ...],
    *,
    grad: str | None = None,
    wrt: Iterable[str] | str | None = None,
    backend: str = "numpy",
    dtype: Any = None,
) -> Compiled:
    """Return a function that computes outputs (all variables, if none is named) from values.

    `grad` names a scalar whose gradients by `wrt` (all parameters) are computed as well, under the
    names that `circuit.adjoint` gives them.
    """
    if backend not in BACKENDS:
        raise GraphgradError(
            f"there is no back end {backend!r}", remedy=f"use one of {', '.join(BACKENDS)}"
        )
    system = circuit.check()
    for name in outputs:
        if name not in system.variables:
            raise unknown_name(name, system.variables)
    wanted = list(outputs or ([] if grad else system.variables))
    if grad is None:
        return Compiled(circuit, wanted, {}, dtype, backend)
    if grad in system.variables and (
        system.variables[grad].index is not None or system.variables[grad].shape
    ):
        raise GradientError(f"{grad} is not one number", remedy="add a sum of it")
    prefix = cotangent_prefix(system.declared.names())
    adjoint = circuit.adjoint(grad, wrt=wrt)
    targets = list(system.params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    gradients = {name: prefix + name for name in targets if name in system.params}
    extra = [prefix + name for name in targets if name not in system.params]
    outputs = (grad, *(w for w in wanted if w != grad), *extra)
    return Compiled(adjoint, list(outputs), gradients, dtype, backend)


class ValueAndGrad:
    """`f(params, **inputs) -> (loss, grads)`; `source` is the code it runs."""

    def __init__(self, circuit: Circuit, loss: str, options: Mapping[str, Any]) -> None:
        self.loss = loss
        self.compiled = compile_circuit(circuit, (), grad=loss, **options)
        self.prefix = cotangent_prefix(circuit.check().declared.names())
        self.names = options.get("wrt") or list(circuit.check().params)

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        return self.compiled.source

    @property
    def pure(self) -> Any:
        """The same function of JAX arrays, with `backend="jax"`: to jit, map, shard.

        See `graphgrad.compile.run_jax.PureFunction`.
        """
        if self.compiled.backend != "jax":
            raise GraphgradError(
                "a pure function is made by the JAX back end", remedy='give backend="jax"'
            )
        made = self.compiled
        return _pure_function(
            made.system, self.loss, made.gradients, made.program_for, made._execute
        )

    def __call__(
        self,
        params: Mapping[str, Any],
        *,
        batch: str = "mean",
        tau: int | Mapping[str, int] | None = None,
        lengths: Any = None,
        **inputs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the loss, reduced over the batch, and the gradients by name."""
        results = self.compiled({**params, **inputs}, batch=batch, tau=tau, lengths=lengths)
        loss = results[self.loss]
        reduced = loss.mean() if batch == "mean" else loss.sum()
        return reduced, {name: results[self.prefix + name] for name in self.names}


def value_and_grad(circuit: Circuit, loss: str = "loss", **options: Any) -> ValueAndGrad:
    """Return `f(params, **inputs) -> (loss, grads)`, compiled once; dicts in, dict out.

    Options are those of `compile_circuit`: `wrt`, `backend`, `dtype`.
    """
    return ValueAndGrad(circuit, loss, options)
