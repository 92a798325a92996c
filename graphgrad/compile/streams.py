"""Streams: sequences computed piece by piece, each continued from the last steps of the one before.

`streamed(circuit)` is the circuit in which every value before the first step is an input. The state
of a stream is, for each variable or input that is read k steps back, its last k steps; where the
number of a step matters, the number of steps so far, too, under the name of the index. What is no
sum over steps counts once a piece: a mean is that of the piece, a penalty is added with each. A
mean over chosen steps of which the piece has none is zero, as is what it adds to the gradient: a
loss that leaves out the first steps has pieces in which nothing counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.adjoint import boundary_name
from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.compile.call import as_arrays
from graphgrad.compile.pieces import (
    Clock,
    as_sum,
    check_pieces,
    counted_on,
    is_mean,
    numbers_in,
    refusal,
)
from graphgrad.conditions import ALWAYS
from graphgrad.declared import fresh_name, unused_name
from graphgrad.dims import Token
from graphgrad.errors import DataError
from graphgrad.ir import OPS, At, Expr, constant, rebuilt, topological
from graphgrad.system import System


@dataclass(frozen=True)
class Stream:
    """A circuit whose values before the first step are inputs.

    `start` is the circuit of the first piece, in which they are not; `before` are the names of the
    variables there that show them, for a piece shorter than the state. `depths` says how many steps
    of which variable or input make up the state; `inputs` are the names of the inputs for them:
    that of `h[0]`, `h[-1]` and so on. With a clock, the number of steps so far is part of the
    state, under the name of the index.
    """

    circuit: Circuit
    depths: Mapping[str, int]
    inputs: Mapping[At, str]
    index: str
    clock: Clock | None
    start: Circuit
    before: Mapping[At, str]


def streamed(circuit: Circuit) -> Stream:
    """Return the stream of a circuit, or raise GraphgradError with the reason why there is none."""
    system = circuit.check()
    check_pieces(system)
    (index,) = system.indices.values()
    for node, place in zip(system.graph.nodes, system.graph.places, strict=True):
        if node.op is OPS["at_step"]:
            raise refusal(f"{node.attr.name} is read at a fixed step", place)
        if index.length in numbers_in(node.op, node.attr):
            raise refusal(f"{index.length} is not known before the last piece", place)
    _check_sums(system)
    counted, clock = counted_on(circuit, means=False)
    stream = opened(_with_empty_means(counted), index.name, clock)
    start, before = _shown_before(_with_empty_means(circuit), stream.depths)
    return replace(stream, start=start, before=before)


def _shown_before(circuit: Circuit, depths: Mapping[str, int]) -> tuple[Circuit, dict[At, str]]:
    """Return a circuit that shows what a piece of one step needs of before it, but no tokens."""
    system, result = circuit.check(), circuit.copy()
    taken = system.declared.names()
    shown: dict[At, str] = {}
    for name, depth in depths.items():
        kind = system.type_of(name)
        for step in range(0 if isinstance(kind, Token) else depth - 1):
            at = At(name, False, -step)
            shown[at] = fresh_name("before", taken | {*shown.values()})
            result.define(shown[at], None, Expr(OPS["at_step"], attr=at, type=kind))
    return result, shown


def _with_empty_means(circuit: Circuit) -> Circuit:
    """Return the circuit in which a mean over no step is zero."""
    declared = circuit.declared()
    done: dict[int, Expr] = {}
    changed = False
    for expr in topological([equation.root for equation in declared.equations.values()]):
        made = rebuilt(expr, [done[id(arg)] for arg in expr.args])
        if is_mean(expr) and expr.attr.condition != ALWAYS:
            total = as_sum(made)
            count = OPS["reduce"](constant(1), attr=total.attr)
            made, changed = total / OPS["maximum"](count, constant(1)), True
        done[id(expr)] = made
    if not changed:
        return circuit
    equations = {n: replace(e, root=done[id(e.root)]) for n, e in declared.equations.items()}
    return Circuit.of(replace(declared, equations=equations))


def _check_sums(system: System) -> None:
    """Raise for a value at the steps, or before them, that needs a sum over all steps."""
    declared = system.declared
    summed: set[str] = set()  # static variables that need such a sum
    for component in system.components:
        for unit in component.units:
            once = isinstance(unit, str) and declared.equations[unit].index is None
            written = (
                declared.equations[unit] if isinstance(unit, str) else declared.boundaries[unit]
            )
            for expr in topological([written.root]):
                if expr.op is OPS["reduce"] or (expr.op is OPS["static"] and expr.attr in summed):
                    if not once:
                        raise refusal(f"{written.name} needs a sum over all steps", written.place)
                    summed.add(written.name)


def opened(circuit: Circuit, index: str, clock: Clock | None) -> Stream:
    """Return the stream of a circuit that can be computed in pieces."""
    system = circuit.check()
    depths: dict[str, int] = {}
    for node in system.graph.nodes:
        if node.op is OPS["read"] and node.attr.lag > 0:
            depths[node.attr.name] = max(depths.get(node.attr.name, 0), node.attr.lag)
    result = Circuit.of(replace(system.declared, boundaries={}))
    prefix = cotangent_prefix(system.declared.names())
    inputs: dict[At, str] = {}
    for name, depth in depths.items():
        for step in range(0, -depth, -1):
            key = At(name, False, step)
            given = boundary_name(system, key)
            if given.startswith(prefix):  # gradients would have other names than in the whole
                given = f"before_{given}"
            given = unused_name(given, result.declared().names())
            kind = system.type_of(name)
            if isinstance(kind, Token):
                result.token(given, kind.size)
            else:
                result.input(given, *kind)
            result.define_boundary(name, False, step, Expr(OPS["input"], attr=given, type=kind))
            inputs[key] = given
    return Stream(result, depths, inputs, index, clock, circuit, {})


def state_inputs(stream: Stream, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state as the inputs of a stream's circuit."""
    parts = [*stream.depths, *([stream.index] if stream.clock else [])]
    if not isinstance(state, Mapping):
        raise DataError(
            f"a state is a dict of arrays, not a {type(state).__name__}",
            remedy="give what return_state=True returned last",
        )
    for name in state:
        if name not in parts:
            raise DataError(
                f"{name} is no part of the state",
                remedy=f"the state has {', '.join(parts) or 'nothing'}",
            )
    given: dict[str, Any] = {}
    for name, depth in stream.depths.items():
        steps = as_arrays({name: state[name]})[name] if name in state else np.empty(())
        if steps.ndim < 1 or len(steps) != depth:
            raise DataError(
                f"the state has no {depth} steps of {name}",
                remedy=f"give {name} as an array of {depth} steps, the last one last, or start "
                "without state=",
            )
        for step in range(depth):
            given[stream.inputs[At(name, False, -step)]] = steps[depth - 1 - step]
    return given


def of_the_state(stream: Stream, error: DataError) -> DataError:
    """Return an error in which the inputs of a stream are called what they are in its state."""
    message = error.message
    for at, name in stream.inputs.items():
        row = stream.depths[at.name] - 1 + at.offset
        message = re.sub(rf"\b{re.escape(name)}\b", f"{at.name}[{row}] of the state", message)
    return DataError(message, place=error.place, remedy=error.remedy)


def steps_before(stream: Stream, state: Mapping[str, Any] | None) -> int:
    """Return the number of steps before a piece."""
    if state is None:
        return 0
    steps = np.asarray(state.get(stream.index))
    if steps.shape or steps.dtype.kind not in "iu" or steps < 0:
        raise DataError(
            f"the state has no number of steps {stream.index}",
            remedy=f"give {stream.index} as the whole number of steps so far",
        )
    return int(steps)


def last_steps(
    stream: Stream, before: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the state after a piece: from its values, and from the state before where it is short.

    `before` is None at the start of a stream; then `values` have what `stream.before` names.
    """
    state: dict[str, Any] = {}
    for name, depth in stream.depths.items():
        steps = np.asarray(values[name])
        missing = depth - len(steps)
        if missing <= 0:
            state[name] = np.array(steps[-missing:])
            continue
        if before is not None:
            old = [*np.asarray(before[name])[-missing:]]
        elif At(name, False, 0) in stream.before:
            old = [
                values[stream.before[At(name, False, -step)]] for step in reversed(range(missing))
            ]
        else:
            raise DataError(
                f"the first piece of a stream has {len(steps)} steps, its state {depth} tokens",
                remedy=f"start with at least {depth} steps",
            )
        state[name] = np.stack(np.broadcast_arrays(*old, *steps))
    return state
