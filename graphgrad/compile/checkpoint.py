"""Gradients of long sequences in bounded memory: pieces, kept states, and pieces computed again.

The sequence is cut into pieces of equal length. Only states between pieces are kept, as many as fit
(`revolve.py`); going back, each piece is computed again from the state before it. A piece's program
is that of an ordinary gradient, of the piece's loss plus the product of its last state with the
cotangent that comes from the piece behind it.
"""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from graphgrad.adjoint.build import GradientWarning
from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.compile.budget import OBJECT, Plan, checked, planned
from graphgrad.compile.call import Call, as_arrays, check_reduction, examples
from graphgrad.compile.masked import Masked, masked
from graphgrad.compile.memory import bytes_of
from graphgrad.compile.on_demand import OnDemand, outlines
from graphgrad.compile.pieces import check_backend, check_pieces, counted_on, shares_of_loss
from graphgrad.compile.ragged import Run, check_no_tau, ragged
from graphgrad.compile.revolve import revolve
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.streams import opened, state_inputs
from graphgrad.data import check_inputs, check_names, lengths_of
from graphgrad.declared import fresh_name
from graphgrad.dims import concrete
from graphgrad.errors import GraphgradError
from graphgrad.ir import OPS, At, Expr, constant

if TYPE_CHECKING:
    from graphgrad.compile.compiled import Compiled

State = dict[str, Any]


class Checkpointed:
    """A loss and its gradients by the parameters, computed in pieces: called like `Compiled`.

    `checkpoint` is a budget in bytes, or a dict with `every` (the steps of a piece) and `snapshots`
    (how many states are kept; all, if left out). `plan` says what the last call did.
    """

    def __init__(
        self,
        circuit: Circuit,
        loss: str,
        wrt: Sequence[str],
        checkpoint: int | Mapping[str, int],
        compiled: Callable[[Circuit, tuple[str, ...], str | None, list[str] | None], Compiled],
    ) -> None:
        self.circuit = circuit
        self.system = circuit.check()
        self.loss = loss
        self.checkpoint = checked(checkpoint)
        self._compiled = compiled
        self._masked: tuple[Masked, Checkpointed] | tuple[()] | None = None  # () if there is none
        check_pieces(self.system)
        (index,) = self.system.indices
        counted, self.clock = counted_on(circuit, means=True)
        self.stream = opened(counted, index, self.clock)
        shares = shares_of_loss(self.system, counted.declared(), loss)
        depths = self.stream.depths
        self.states = {name: k for name, k in depths.items() if name in self.system.variables}
        taken = self.stream.circuit.declared().names()
        self.seeds: dict[tuple[str, int], str] = {}
        for name, depth in self.states.items():
            for age in range(depth):
                seed = fresh_name(f"seed_{name}", taken | {*self.seeds.values()})
                self.seeds[name, age] = seed
        self.share = fresh_name("share", taken)
        objective = fresh_name("objective", taken)
        self.gradients = {
            name: cotangent_prefix(self.system.declared.names()) + name for name in wrt
        }
        self.plan: Plan | None = None
        self.recipe: tuple[Any, ...] | None = None  # a function and its arguments, for copies
        circuits = {False: counted, True: self.stream.circuit}
        self._ahead = {
            key: compiled(c, tuple(self.states), None, None) for key, c in circuits.items()
        }
        check_backend(self.clock, self._ahead[False].backend)
        self._back: dict[tuple[bool, bool], Compiled] = {}
        for key, source in circuits.items():
            before = [
                given for at, given in self.stream.inputs.items() if key and at.name in self.states
            ]
            for last in (False, True):
                if last and shares.once is None:
                    self._back[key, last] = self._back[key, False]
                    continue
                share = _sum([shares.piece, shares.once if last else None])
                made = _with_seeds(source, self.share, share, self.seeds, objective)
                with warnings.catch_warnings():  # a piece need not depend on all of them
                    warnings.simplefilter("ignore", GradientWarning)
                    function = compiled(made, (self.share,), objective, [*wrt, *before])
                self._back[key, last] = function
        self.prefix = cotangent_prefix(made.check().declared.names())

    def __reduce__(self) -> Any:
        """Return what compiles the function again: programs are neither pickled nor copied."""
        return self.recipe

    @property
    def source(self) -> str:
        """The code that goes back over one piece, for data with one batch axis on every input."""
        return self._back[True, False].source

    @property
    def compile_seconds(self) -> float:
        """The time spent so far on machine code: compiling it or reading it from the cache."""
        programs = {*self._ahead.values(), *self._back.values()}
        own = sum(program.compile_seconds for program in programs)
        return own + (self._masked[1].compile_seconds if self._masked else 0.0)

    @cached_property
    def _schedule(self) -> Schedule:
        """The schedule of the way back over one piece."""
        back = self._back[True, False]
        return back.schedule_for(back.system.inputs)

    def __call__(
        self,
        values: Mapping[str, Any],
        *,
        tau: Any = None,
        batch: str = "mean",
        lengths: Any = None,
        **sizes: Any,
    ) -> dict[str, Any]:
        """Return the loss and the gradients by their names, reduced over the batch.

        `lengths` gives the number of steps of each example of a ragged batch, as for `Compiled`.
        """
        check_reduction(batch)
        for option in ("state", "return_state", "check_finite"):
            value = sizes.pop(option, None)
            if value is not None and value is not False:
                raise GraphgradError(
                    f"checkpoint= does not go with {option}=", remedy="leave one of them out"
                )
        tracing = tracemalloc.is_tracing()
        if tracing:
            tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        arrays = as_arrays(values, native=False)  # pieces are, one at a time
        check_names(self.system, arrays)
        if lengths is None:
            results, plan = self.whole(arrays, tau, sizes)
        else:
            check_no_tau(tau)
            results, plan = self._ragged(arrays, lengths, sizes)
        if tracing:
            plan = replace(plan, measured=tracemalloc.get_traced_memory()[1] - start)
        self.plan = plan
        if batch == "mean":
            count = examples(self.system, arrays)
            for name in self.gradients.values():
                results[name] = np.asarray(results[name] / results[name].dtype.type(count))
        return results

    def whole(
        self, values: Mapping[str, Any], tau: Any, sizes: Mapping[str, int], beside: int = 0
    ) -> tuple[dict[str, Any], Plan]:
        """Return the results for examples of one length, gradients summed over them, and the plan.

        While it runs, so many other arrays of each gradient are kept `beside`.
        """
        shown = outlines(values)
        lengths = lengths_of(self.system, shown, tau)
        (steps,) = lengths.values()
        if self.clock is not None:
            self.clock.check_means(self.system, steps)
            lengths |= self.clock.lengths(1, steps)
        call = self._ahead[False].prepared(shown, lengths, sizes)
        check_inputs(self.system, call.sizes, values)  # pieces would count steps from their own
        plan = self._planned(call, values, beside)
        return _Run(self, values, call, plan).results(), plan

    def _ragged(
        self, arrays: Mapping[str, Any], lengths: Any, sizes: Mapping[str, int]
    ) -> tuple[dict[str, Any], Plan]:
        """Return the results for a ragged batch, and the plan that takes most memory."""
        plans: list[Plan] = []

        def run(
            function: Checkpointed, beside: int, part: Mapping[str, Any], steps: int
        ) -> dict[str, Any]:
            results, plan = function.whole(part, steps, sizes, beside)
            plans.append(plan)
            return results

        def masks() -> tuple[Masked, Run] | None:
            if self._masked is None:
                made = masked(self.circuit, held=True)
                self._masked = (made, self._remade(made.circuit)) if made else ()
            return (self._masked[0], partial(run, self._masked[1], 0)) if self._masked else None

        # Those of several lengths are added up: the sum so far, and the next sum.
        alone = partial(run, self, 2)
        found = ragged(self.system, arrays, lengths, self.gradients.values(), alone, masks)
        return found, max(plans, key=lambda plan: plan.predicted)

    def _remade(self, circuit: Circuit) -> Checkpointed:
        """Return the same function of another circuit."""
        return Checkpointed(circuit, self.loss, [*self.gradients], self.checkpoint, self._compiled)

    def _planned(self, call: Call, values: Mapping[str, Any], beside: int) -> Plan:
        """Return the lengths of the pieces and the number of states for a sequence."""
        steps = call.steps[self.stream.index]
        itemsize = np.dtype(call.dtype).itemsize
        state = sum(
            depth * prod(self._shape(name, call)) * itemsize + OBJECT
            for name, depth in self.states.items()
        )
        backend = self._ahead[False].backend
        need = bytes_of(self._schedule, call.count, call.sizes, itemsize, backend)
        sums = sum(prod(self._shape(name, call)) for name in self.gradients) * itemsize
        rows = _bytes_on_demand(values, call)
        need = need._replace(
            fixed=need.fixed + (1 + beside) * sums,  # beside the gradients of one piece
            step=need.step + rows,
        )
        least = max(self.stream.depths.values(), default=1)  # a piece holds the state after it
        return planned(self.checkpoint, steps, least, need, state)

    def _shape(self, name: str, call: Call) -> tuple[int, ...]:
        """Return the shape of a parameter, or of one step of a variable, batch axes in front."""
        if name in self.system.params:
            return concrete(self.system.params[name].shape, call.sizes)
        shape = self.system.variables[name].shape
        return (*call.batch, *concrete(shape, call.sizes))


def _bytes_on_demand(values: Mapping[str, Any], call: Call) -> int:
    """Return the bytes for each step of what is made on demand, and of what finds it."""
    made = [value for value in values.values() if isinstance(value, OnDemand)]
    rows = sum(prod(value.shape[1:]) * int(value.dtype.itemsize) for value in made)
    return rows + (2 * call.count * 8 if made else 0)  # numbers of steps are of 8 bytes


class _Run:
    """One call: the kept states, the cotangent of the state, and the sums so far."""

    def __init__(
        self, function: Checkpointed, values: Mapping[str, Any], call: Call, plan: Plan
    ) -> None:
        self.function = function
        self.values = values
        self.call = call
        self.plan = plan
        self.steps = call.steps[function.stream.index]
        self.kept: dict[int, State | None] = {0: None}
        self.seeds = {
            seed: np.zeros(function._shape(name, call), call.dtype)
            for (name, _), seed in function.seeds.items()
        }
        self.loss: Any = 0
        self.sums: dict[str, Any] = {}
        self.last: tuple[Compiled, int] | None = None

    def results(self) -> dict[str, Any]:
        """Go back over all pieces; return the loss, and the gradients summed over the batch."""
        for action in revolve(-(-self.steps // self.plan.every), self.plan.snapshots):
            if action.kind == "advance":
                state = self.kept[action.start]
                for piece in range(action.start, action.stop):
                    state = self._ahead(piece, state)
                self.kept[action.stop] = state
            elif action.kind == "reverse":
                self._back(action.start)
            else:
                del self.kept[action.start]
        self._release()
        return {self.function.loss: self.loss, **self.sums}

    def _piece(self, piece: int, state: State | None) -> tuple[dict[str, Any], dict[str, int]]:
        """Return the values for a piece, views of the data, and its lengths."""
        inputs, stream = self.function.system.inputs, self.function.stream
        start = piece * self.plan.every
        stop = min(start + self.plan.every, self.steps)
        given = {}
        for name, value in self.values.items():
            indexed = name in inputs and inputs[name].index is not None
            given[name] = value[start:stop] if indexed else value
        if state is not None:
            before = {
                name: self.values[name][start - depth : start]
                for name, depth in stream.depths.items()
                if name not in state
            }
            given |= state_inputs(stream, {**state, **before})
        clock = self.function.clock
        lengths = {stream.index: stop - start}
        return given, lengths | (clock.lengths(start + 1, self.steps) if clock else {})

    def _ahead(self, piece: int, state: State | None) -> State:
        """Return the state after a piece from the state before it."""
        given, lengths = self._piece(piece, state)
        values = self._run(self.function._ahead[state is not None], given, lengths)
        states, steps = self.function.states, lengths[self.function.stream.index]
        return {name: np.array(values[name][steps - k :]) for name, k in states.items()}

    def _back(self, piece: int) -> None:
        """Add the loss and the gradients of a piece; take the cotangent of the state before it."""
        function, state = self.function, self.kept[piece]
        given, lengths = self._piece(piece, state)
        last = (piece + 1) * self.plan.every >= self.steps
        run = function._back[state is not None, last]
        results = self._run(run, {**given, **self.seeds}, lengths)
        self.loss = self.loss + results[function.share]
        for name, shown in function.gradients.items():
            part = results[run.gradients[name]]
            if shown in self.sums:
                self.sums[shown] += part
            else:
                self.sums[shown] = part
        if state is not None:
            for key, given_name in function.stream.inputs.items():
                if key.name in function.states:
                    cotangent = results[function.prefix + given_name]
                    self.seeds[function.seeds[key.name, -key.offset]] = cotangent

    def _run(
        self, program: Compiled, given: Mapping[str, Any], lengths: dict[str, int]
    ) -> dict[str, Any]:
        """Return the results of a program for a piece; only one at a time has room to work in."""
        now = program, lengths[self.function.stream.index]
        if now != self.last:
            self._release()
            self.last = now
        sizes: dict[str, Any] = {name: n for name, n in self.call.sizes.items() if name}
        results: dict[str, Any] = program(given, tau=lengths, batch="sum", **sizes)
        return results

    def _release(self) -> None:
        if self.last is not None:
            self.last[0].release()


def _sum(terms: Sequence[Expr | None]) -> Expr:
    """Return the sum of the terms that are not None."""
    given = [each for each in terms if each is not None]
    return sum(given[1:], given[0]) if given else constant(0)


def _with_seeds(
    circuit: Circuit,
    share: str,
    loss: Expr,
    seeds: Mapping[tuple[str, int], str],
    objective: str,
) -> Circuit:
    """Return the circuit with a share of the loss, and that plus last states times cotangents."""
    system = circuit.check()
    result = circuit.copy()
    result.define(share, None, loss)
    total: Expr = Expr(OPS["static"], attr=share, type=())
    for (name, age), seed in seeds.items():
        kind = system.variables[name].shape
        result.input(seed, *kind)
        last = Expr(OPS["at_step"], attr=At(name, True, -age), type=kind)
        given = Expr(OPS["input"], attr=seed, type=kind)
        product = OPS["matmul"](given, last) if len(kind) == 1 else given * last
        total = total + (OPS["sum"](product) if len(kind) > 1 else product)
    result.define(objective, None, total)
    return result
