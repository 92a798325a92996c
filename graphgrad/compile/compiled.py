"""Compiled functions: circuits as callables on NumPy arrays, with gradients and batches."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.adjoint.build import GradientWarning
from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.compile.call import Call, as_arrays, handed_over, prepared, signature
from graphgrad.compile.code import KERNELS
from graphgrad.compile.emit_numpy import Program, emit_numpy
from graphgrad.compile.finite import all_finite, check_given, report
from graphgrad.compile.plan import schedule_of
from graphgrad.compile.ragged import ragged
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.streams import Stream, last_steps, state_inputs, streamed
from graphgrad.data import check_names
from graphgrad.doors import door
from graphgrad.errors import (
    DataError,
    GradientError,
    GraphgradError,
    unknown_name,
)
from graphgrad.system import System

BACKENDS = ("numpy", "numba", "jax")
_jax_program = door("graphgrad.compile.run_jax:jax_program")
_pieces = door("graphgrad.compile.checkpoint:Checkpointed")
_numba_program = door("graphgrad.compile.run_numba:numba_program")
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
        threads: int = 1,
        primal: Circuit | None = None,
        remade: Callable[[Circuit, Iterable[str]], Compiled] | None = None,
    ) -> None:
        self.circuit = circuit
        self.system: System = circuit.check()
        self.outputs = outputs
        self.gradients = gradients
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.backend = backend
        self.threads = threads
        self.primal = circuit if primal is None else primal
        self._remade = remade
        self.stream: Stream | None = None
        self._pieces: dict[bool, Compiled] = {}
        self._calls: dict[tuple[Any, ...], Call] = {}
        self._programs: dict[frozenset[str], tuple[Program, Callable[..., Any]]] = {}

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        return self._program(frozenset(self.system.inputs))[0].source

    @property
    def compile_seconds(self) -> float:
        """The time spent so far on machine code: compiling it or reading it from the cache."""
        return sum(getattr(run, "compile_seconds", 0.0) for _, run in self._programs.values())

    def source_for(self, batched: Iterable[str] = ()) -> str:
        """Return the code for data in which just these inputs have a batch axis."""
        return self._program(frozenset(batched))[0].source

    def program_for(self, batched: frozenset[str]) -> Program:
        """Return the program for data in which just these inputs have a batch axis."""
        return self._program(batched)[0]

    def schedule_for(self, batched: Iterable[str]) -> Schedule:
        """Return the schedule for data in which just these inputs have a batch axis."""
        wanted = [*self.outputs, *self.gradients.values()]
        return schedule_of(self.system, wanted, self.gradients.values(), batched)

    def prepared(self, arrays: Mapping[str, Any], tau: Any, sizes: Mapping[str, int]) -> Call:
        """Return what calls with arrays of these shapes need."""
        key = signature(arrays, tau, sizes)
        if key not in self._calls:
            self._calls[key] = prepared(
                self.system,
                arrays,
                tau,
                sizes,
                self.dtype,
                lambda batched: self._program(batched)[1],
            )
        return self._calls[key]

    def _program(self, batched: frozenset[str]) -> tuple[Program, Callable[..., Any]]:
        if batched not in self._programs:
            schedule = self.schedule_for(batched)
            if self.backend == "jax":
                self._programs[batched] = _jax_program(schedule, self._execute)
            elif self.backend == "numba":
                self._programs[batched] = _numba_program(schedule, self.threads)
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
        state: Mapping[str, Any] | None = None,
        return_state: bool = False,
        check_finite: bool = False,
        **sizes: int,
    ) -> Any:
        """Return the outputs by name, gradients reduced over the batch (`batch="mean"` or "sum").

        `lengths` gives the number of steps of each example of a ragged batch; each one gets exactly
        what it gets alone, results are padded with zeros. `tau` is needed where no input is
        indexed.

        With `return_state=True` the result is a pair: the outputs, and the state to give as `state`
        with the steps that follow: `{"h": array[k, *batch, H]}`, the last k steps of what is read k
        steps back. Gradients then stop where the piece begins. With `check_finite=True` NaN or
        infinity in a result raises GraphgradError with the variable and the step it is from.
        """
        if state is not None or return_state:
            if lengths is not None:
                raise DataError("a ragged batch has no state", remedy="give examples of one length")
            options: dict[str, Any] = {"tau": tau, "batch": batch, "check_finite": check_finite}
            return self._continued(values, state, return_state, **options, **sizes)
        if batch not in ("mean", "sum"):
            raise DataError(f"batch={batch!r} is not possible", remedy='use "mean" or "sum"')
        arrays = as_arrays(values)
        if check_finite:
            check_names(self.system, arrays)
            check_given(self.system, arrays)
        if lengths is None:
            results = self._run(arrays, tau, sizes, batch)
            if check_finite and not all_finite(results):
                self._report(arrays, tau, sizes)
            return results
        check_names(self.system, arrays)
        gradients = self.gradients.values()
        results = ragged(
            self.system,
            arrays,
            lengths,
            gradients,
            lambda part, steps: self._run(part, steps, sizes, "sum"),
        )
        if check_finite and not all_finite(results):
            raise GraphgradError(
                "a result is not finite", remedy="give the examples one by one to see where"
            )
        if batch == "mean":
            for name in gradients:
                results[name] = results[name] / results[name].dtype.type(len(lengths))
        return results

    def _report(self, arrays: Mapping[str, Any], tau: Any, sizes: Mapping[str, int]) -> None:
        """Compute every variable, and raise GraphgradError for the first that is not finite."""
        everything = [name for name in self.system.variables if name not in self.gradients.values()]
        made = Compiled(self.circuit, everything, self.gradients, self.dtype)
        report(self.system, made._run(arrays, tau, sizes, "sum"))

    def _continued(
        self, values: Mapping[str, Any], state: Mapping[str, Any] | None, more: bool, **options: Any
    ) -> Any:
        """Return the results for a piece of a stream, and the state after it if more follows."""
        if self.stream is None:
            self.stream = streamed(self.primal)
        stream = self.stream
        key = state is not None
        if key not in self._pieces:
            shown = [name for name in stream.depths if name in self.system.variables]
            assert self._remade is not None
            with warnings.catch_warnings():  # a piece need not depend on the boundary values
                warnings.simplefilter("ignore", GradientWarning)
                self._pieces[key] = self._remade(stream.circuit if key else self.primal, shown)
        given = dict(values)
        if state is not None:
            given |= state_inputs(stream, state)
        results = self._pieces[key](given, **options)
        after = last_steps(stream, state, {**values, **results}) if more else None
        wanted = {*self.outputs, *self.gradients.values()}
        results = {name: value for name, value in results.items() if name in wanted}
        return (results, after) if more else results

    def _run(
        self, arrays: Mapping[str, Any], tau: Any, sizes: Mapping[str, int], batch: str
    ) -> dict[str, Any]:
        """Return the results for examples of equal length."""
        call = self.prepared(arrays, tau, sizes)
        given = handed_over(self.system, call, arrays)
        with np.errstate(all="ignore"):
            results = call.run(given, call.steps, call.sizes, call.dtype)
        return self._shaped(results, call.batch, batch, call.count)

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
    threads: int = 1,
    truncate: Any = None,
    checkpoint: int | Mapping[str, int] | None = None,
) -> Any:
    """Return a function that computes outputs (all variables, if none is named) from values.

    `grad` names a scalar whose gradients by `wrt` (all parameters) are computed as well, under the
    names that `circuit.adjoint` gives them. The numba back end divides large batches among as many
    `threads` as are given; results depend on that number only in the order of sums over examples.
    `truncate` is a truncation of the gradient, `gg.window(k)` or `gg.chunks(k)`. With `checkpoint`,
    a budget in bytes or a schedule, long sequences are computed in bounded memory: see
    `graphgrad.compile.checkpoint`.
    """
    if backend not in BACKENDS:
        raise GraphgradError(
            f"there is no back end {backend!r}", remedy=f"use one of {', '.join(BACKENDS)}"
        )
    system = circuit.check()

    def remade(other: Circuit, more: Iterable[str]) -> Compiled:
        """Return the same function of another circuit, with more outputs."""
        shown = dict.fromkeys((*wanted, *more))
        options: dict[str, Any] = {"grad": grad, "wrt": wrt, "backend": backend, "dtype": dtype}
        made: Compiled = compile_circuit(
            other, tuple(shown), threads=threads, truncate=truncate, **options
        )
        return made

    for name in outputs:
        if name not in system.variables:
            raise unknown_name(name, system.variables)
    wanted = list(outputs or ([] if grad else system.variables))
    if checkpoint is not None:
        return _checkpointed(circuit, outputs, grad, wrt, truncate, checkpoint, backend, dtype)
    if grad is None:
        return Compiled(circuit, wanted, {}, dtype, backend, threads, circuit, remade)
    if grad in system.variables and (
        system.variables[grad].index is not None or system.variables[grad].shape
    ):
        raise GradientError(f"{grad} is not one number", remedy="add a sum of it")
    prefix = cotangent_prefix(system.declared.names())
    adjoint = circuit.adjoint(grad, wrt=wrt, truncate=truncate)
    targets = list(system.params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    gradients = {name: prefix + name for name in targets if name in system.params}
    extra = [prefix + name for name in targets if name not in system.params]
    outputs = (grad, *(w for w in wanted if w != grad), *extra)
    names = list(outputs)
    return Compiled(adjoint, names, gradients, dtype, backend, threads, circuit, remade)


def _checkpointed(
    circuit: Circuit,
    outputs: tuple[str, ...],
    grad: str | None,
    wrt: Iterable[str] | str | None,
    truncate: Any,
    checkpoint: int | Mapping[str, int],
    backend: str,
    dtype: Any,
) -> Any:
    """Return the loss and its gradients as a function that computes them piece by piece."""
    system = circuit.check()
    targets = list(system.params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    if grad is None or {*outputs} - {grad} or {*targets} - {*system.params} or truncate is not None:
        raise GraphgradError(
            "checkpoint= is for the whole gradient of a loss by parameters",
            remedy="give grad=, no other outputs, parameters in wrt=, and no truncate=",
        )

    def compiled(
        made: Circuit, shown: tuple[str, ...], loss: str | None, by: list[str] | None
    ) -> Compiled:
        options: dict[str, Any] = {"wrt": by} if by is not None else {}
        function: Compiled = compile_circuit(
            made, shown, grad=loss, backend=backend, dtype=dtype, **options
        )
        return function

    return _pieces(circuit, grad, targets, checkpoint, compiled)


class ValueAndGrad:
    """`f(params, **inputs) -> (loss, grads)`; `source` is the code it runs."""

    def __init__(self, circuit: Circuit, loss: str, options: Mapping[str, Any]) -> None:
        self.loss = loss
        self.compiled = compile_circuit(circuit, (), grad=loss, **options)
        self.prefix = cotangent_prefix(circuit.check().declared.names())
        self.names = options.get("wrt") or list(circuit.check().params)

    @property
    def plan(self) -> Any:
        """With `checkpoint`, how the last call cut its sequence: see `graphgrad.compile.Plan`."""
        return self.compiled.plan

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        source: str = self.compiled.source
        return source

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
        state: Mapping[str, Any] | None = None,
        return_state: bool = False,
        check_finite: bool = False,
        **inputs: Any,
    ) -> Any:
        """Return the loss, reduced over the batch, and the gradients by name.

        With `return_state=True` the state after the last step comes third; for the options see
        `Compiled`.
        """
        options: dict[str, Any] = {"lengths": lengths, "state": state}
        options |= {"return_state": return_state, "check_finite": check_finite}
        results = self.compiled({**params, **inputs}, batch=batch, tau=tau, **options)
        after: tuple[Any, ...] = ()
        if return_state:
            results, after = results[0], results[1:]
        loss = results[self.loss]
        reduced = loss.mean() if batch == "mean" else loss.sum()
        return reduced, {name: results[self.prefix + name] for name in self.names}, *after


def value_and_grad(circuit: Circuit, loss: str = "loss", **options: Any) -> ValueAndGrad:
    """Return `f(params, **inputs) -> (loss, grads)`, compiled once; dicts in, dict out.

    Options are those of `compile_circuit`: `wrt`, `backend`, `dtype`, `threads`.
    """
    return ValueAndGrad(circuit, loss, options)
