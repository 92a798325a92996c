"""Compiled functions: circuits as callables on NumPy arrays, with gradients and batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from graphgrad.adjoint.build import GradientWarning
from graphgrad.circuit import Circuit
from graphgrad.compile.call import (
    Call,
    as_arrays,
    check_reduction,
    check_seeds,
    check_switch,
    handed_over,
    prepared,
    signature,
)
from graphgrad.compile.emit_numpy import Program
from graphgrad.compile.finite import all_finite, check_given, report
from graphgrad.compile.masked import Masked, filled, masked
from graphgrad.compile.on_demand import materialized
from graphgrad.compile.pieces import check_backend
from graphgrad.compile.plan import schedule_of
from graphgrad.compile.ragged import Run, check_no_tau, checked_examples, ragged
from graphgrad.compile.run_numpy import numpy_program
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.streams import (
    Stream,
    last_steps,
    of_the_state,
    state_inputs,
    steps_before,
    streamed,
)
from graphgrad.data import check_names, lengths_of
from graphgrad.dims import Token
from graphgrad.doors import door
from graphgrad.errors import DataError, GraphgradError, names_given, unknown_name
from graphgrad.system import System
from graphgrad.unfold import checked_sizes

_jax_program = door("graphgrad.compile.run_jax:jax_program")
_numba_program = door("graphgrad.compile.run_numba:numba_program")
CALLS = 1024
"""How many kinds of calls are remembered: combinations of shapes, lengths and sizes."""


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
        self.axes = {name: _axes(self.system, name) for name in outputs}
        self.gradients = gradients
        self.reduced = frozenset(gradients.values())  # over the examples
        self.by_inputs: dict[str, str] = {}  # gradients for each example, and the inputs' names
        self.seeds: dict[str, str] = {}  # inputs that are cotangents, and what they weigh
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.backend = backend
        self.threads = threads
        self.primal = circuit if primal is None else primal
        self._remade = remade
        self.recipe: tuple[Any, ...] | None = None  # a function and its arguments, for copies
        self.stream: Stream | None = None
        self._pieces: dict[bool, Compiled] = {}
        self._masked: tuple[Masked, Compiled] | tuple[()] | None = None  # () where there is none
        self._calls: dict[tuple[Any, ...], Call] = {}
        self._last: tuple[Any, ...] | None = None  # the call, how it is made again, its options
        self._programs: dict[frozenset[str], tuple[Program, Callable[..., Any]]] = {}

    @property
    def source(self) -> str:
        """The code for data with one batch axis on every input."""
        return self._program(frozenset(self.system.inputs))[0].source

    @property
    def compile_seconds(self) -> float:
        """The time spent so far on machine code: compiling it or reading it from the cache."""
        return sum(getattr(run, "compile_seconds", 0.0) for _, run in self._programs.values())

    def release(self) -> None:
        """Let go of the memory that programs keep to work in: the next call allocates it anew."""
        for _, run in self._programs.values():
            if hasattr(run, "release"):
                run.release()

    def source_for(self, batched: Iterable[str] = ()) -> str:
        """Return the code for data in which just these inputs have a batch axis."""
        names = names_given("batched", batched)
        for name in names:
            if name not in self.system.inputs:
                raise unknown_name(name, self.system.inputs)
        return self._program(frozenset(names))[0].source

    def program_for(self, batched: frozenset[str]) -> Program:
        """Return the program for data in which just these inputs have a batch axis."""
        return self._program(batched)[0]

    def schedule_for(self, batched: Iterable[str]) -> Schedule:
        """Return the schedule for data in which just these inputs have a batch axis."""
        wanted = [*self.outputs, *self.gradients.values()]
        known = frozenset(batched)
        spread = [gradient for gradient, name in self.by_inputs.items() if name in known]
        return schedule_of(self.system, wanted, self.gradients.values(), known, spread=spread)

    def prepared(self, arrays: Mapping[str, Any], tau: Any, sizes: Mapping[str, int]) -> Call:
        """Return what calls with arrays of these shapes need."""
        key = signature(arrays, tau, sizes)
        try:
            known = key in self._calls
        except TypeError:  # a length or size that is no number
            check_names(self.system, arrays)
            lengths_of(self.system, arrays, tau)
            checked_sizes(self.system, sizes)
            raise
        if not known:
            check_seeds(self.system, self.seeds, arrays)
            if len(self._calls) >= CALLS:
                self._calls.clear()
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
                self._programs[batched] = _jax_program(schedule, self.circuit.name)
            elif self.backend == "numba":
                self._programs[batched] = _numba_program(schedule, self.threads)
            else:
                self._programs[batched] = numpy_program(schedule, self.circuit.name)
        return self._programs[batched]

    def __reduce__(self) -> Any:
        """Return what compiles the function again: programs are neither pickled nor copied."""
        return self.recipe

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

        Of a loss that is not one number the gradients are those of an example's seed times its
        values, summed: with "sum" seed times Jacobian, with "mean" that by the number of examples.
        A cotangent that comes from the mean over a batch has the share in it, and wants "sum".

        `lengths` gives the number of steps of each example of a ragged batch, in the batch axes of
        the data; each one gets exactly what it gets alone, results are padded with zeros. `tau` is
        needed where no input is indexed.

        With `return_state=True` the result is a pair: the outputs, and the state to give as `state`
        with the steps that follow: `{"h": array[k, *batch, H]}`, the last k steps of what is read k
        steps back, and the number of steps so far as `"t"` where that matters. Gradients then stop
        where the piece begins; a mean is that of the piece (zero, if the piece has none of the
        chosen steps), a penalty counts with each. With `check_finite=True` NaN or infinity in a
        result raises GraphgradError with the variable and the step it is from.
        """
        check_switch("return_state", return_state)
        check_switch("check_finite", check_finite)
        if state is not None or return_state:
            if lengths is not None:
                raise DataError("a ragged batch has no state", remedy="give examples of one length")
            options: dict[str, Any] = {"tau": tau, "batch": batch, "check_finite": check_finite}
            return self._continued(values, state, return_state, **options, **sizes)
        if lengths is None and not check_finite:
            return self.plain(values, tau, sizes, batch)
        check_reduction(batch)
        arrays = as_arrays(values)
        if check_finite:
            check_seeds(self.system, self.seeds, arrays)
            check_names(self.system, arrays)
            known = arrays  # behind the end of an example may be anything
            if lengths is not None:
                each = checked_examples(self.system, arrays, lengths)
                known = filled(self.system, arrays, each)
            check_given(self.system, known)
        if lengths is None:
            results = self._run(arrays, tau, sizes, batch)
            if not all_finite(results):
                self._report(arrays, tau, sizes)
            return results
        check_no_tau(tau)
        results = self._ragged(arrays, lengths, sizes)
        if check_finite and not all_finite(results):
            raise GraphgradError(
                "a result is not finite", remedy="give the examples one by one to see where"
            )
        for name in self.gradients.values():
            total = results[name]
            share = total / total.dtype.type(np.size(lengths)) if batch == "mean" else total
            results[name] = np.asarray(share)
        return results

    def plain(
        self, values: Mapping[str, Any], tau: Any, sizes: Mapping[str, int], batch: str
    ) -> dict[str, Any]:
        """Return the results for examples of equal length, finite or not: the shortest way.

        For data of the kind of the last call the program itself looks at the arrays: small networks
        take less time than looking at them here would.
        """
        check_reduction(batch)
        last = self._last
        if last is not None:
            call, again, last_tau, last_sizes = last
            alike = type(tau) is type(last_tau) and tau == last_tau and sizes == last_sizes
            results: dict[str, Any] | None = again(values) if alike else None
            if results is not None:  # without a batch nothing is added up, and no axes put back
                return results if call.batch == (1,) else self._shaped(results, call, batch)
        return self._run(as_arrays(values), tau, sizes, batch)

    def _ragged(
        self, arrays: Mapping[str, Any], lengths: Any, sizes: Mapping[str, int]
    ) -> dict[str, Any]:
        """Return the results for a ragged batch, gradients summed over it."""
        check_seeds(self.system, self.seeds, arrays)
        check_names(self.system, arrays)

        def run(function: Compiled, part: Mapping[str, Any], steps: int) -> dict[str, Any]:
            return function._run(materialized(part), steps, sizes, "sum")

        def masks() -> tuple[Masked, Run] | None:
            if self._masked is None:
                made = masked(self.primal)
                assert self._remade is not None
                self._masked = (made, self._remade(made.circuit, ())) if made else ()
            return (self._masked[0], partial(run, self._masked[1])) if self._masked else None

        gradients = self.gradients.values()
        return ragged(self.system, arrays, lengths, gradients, partial(run, self), masks)

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
            check_backend(self.stream.clock, self.backend)
        stream = self.stream
        key = state is not None
        if key not in self._pieces:
            shown = [name for name in stream.depths if name in self.system.variables]
            shown += [] if key else stream.before.values()
            assert self._remade is not None
            with warnings.catch_warnings():  # a piece need not depend on the boundary values
                warnings.simplefilter("ignore", GradientWarning)
                self._pieces[key] = self._remade(stream.circuit if key else stream.start, shown)
        given, so_far, steps = dict(values), 0, 0
        if state is not None:
            given |= state_inputs(stream, state)
        if stream.clock is not None:
            so_far = steps_before(stream, state)
            check_names(self.system, values)
            lengths = lengths_of(self.system, as_arrays(values), options["tau"])
            steps = lengths[stream.index]
            options["tau"] = lengths | (stream.clock.lengths(so_far + 1, 1) if key else {})
        try:
            results = self._pieces[key](given, **options)
        except DataError as error:
            raise of_the_state(stream, error) from None
        after = last_steps(stream, state, {**values, **results}) if more else None
        if after is not None and stream.clock is not None:
            after[stream.index] = np.array(so_far + steps)
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
        if self.backend == "numpy":  # others hand out arrays of their own
            results = _apart(results, given)
        if self.backend == "numba":
            ready = call.run.ready(call.steps, call.sizes, call.dtype)
            alike = not call.casts and not call.shapes and call.run.takes(given, call.dtype)
            self._last = (call, ready.again, tau, sizes) if alike else None
        return self._shaped(results, call, batch)

    def _shaped(self, results: dict[str, Any], call: Call, reduction: str) -> dict[str, Any]:
        """Return outputs with the batch axes as given, gradients under their names."""
        shaped: dict[str, Any] = {}
        batch, count = call.batch, call.count if reduction == "mean" else 1
        share = None if count == 1 else call.dtype(1 / count)
        for name, value in results.items():
            array = np.asarray(value)
            if array.dtype != call.dtype and not isinstance(self.system.type_of(name), Token):
                array = array.astype(call.dtype)  # plain numbers, the same for all data
            if name in self.reduced:
                shaped[name] = array if share is None else np.asarray(array * share)
                continue
            lead, own = self.axes[name]
            if batch and array.ndim > lead + own:
                array = array.reshape(*array.shape[:lead], *batch, *array.shape[lead + 1 :])
            shaped[name] = array
        return shaped


def _apart(results: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return results of which none shares memory with another one or with what was given."""
    apart: dict[str, Any] = {}
    views: dict[int, list[Any]] = {id(_owner(array)): [array] for array in given.values()}
    for name, value in results.items():
        if isinstance(value, np.ndarray):
            near = views.setdefault(id(_owner(value)), [])
            if any(np.may_share_memory(value, other) for other in near):
                value = value.copy()
            near.append(value)
        apart[name] = value
    return apart


def _owner(array: Any) -> Any:
    """Return the array, or what else it is, whose memory an array looks at."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def _axes(system: System, name: str) -> tuple[int, int]:
    """Return how many axes a variable has: for steps, and its own."""
    return int(system.index_of(name) is not None), len(system.variables[name].shape)
