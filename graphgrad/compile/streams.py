"""Streams: sequences computed piece by piece, each continued from the last steps of the one before.

`streamed(circuit)` is the circuit in which every value before the first step is an input. The state
of a stream is, for each variable or input that is read k steps back, its last k steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.adjoint import boundary_name
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Token
from graphgrad.errors import DataError, GraphgradError
from graphgrad.ir import OPS, At, Expr
from graphgrad.system import System


@dataclass(frozen=True)
class Stream:
    """A circuit whose values before the first step are inputs.

    `depths` says how many steps of which variable or input make up the state; `inputs` are the
    names of the inputs for them: that of `h[0]`, `h[-1]` and so on.
    """

    circuit: Circuit
    depths: Mapping[str, int]
    inputs: Mapping[At, str]


def streamed(circuit: Circuit) -> Stream:
    """Return the stream of a circuit, or raise GraphgradError with the reason why there is none."""
    system = circuit.check()
    _check(system)
    depths: dict[str, int] = {}
    for node in system.graph.nodes:
        if node.op is OPS["read"] and node.attr.lag > 0:
            depths[node.attr.name] = max(depths.get(node.attr.name, 0), node.attr.lag)
    result = Circuit.of(replace(system.declared, boundaries={}))
    inputs: dict[At, str] = {}
    for name, depth in depths.items():
        for step in range(0, -depth, -1):
            key = At(name, False, step)
            given = boundary_name(system, key)
            taken = result.declared().names()
            while given in taken:
                given += "_"
            kind = system.type_of(name)
            if isinstance(kind, Token):
                result.token(given, kind.size)
            else:
                result.input(given, *kind)
            result.define_boundary(name, False, step, Expr(OPS["input"], attr=given, type=kind))
            inputs[key] = given
    return Stream(result, depths, inputs)


def _check(system: System) -> None:
    """Raise GraphgradError for a circuit that cannot be computed piece by piece."""
    if len(system.indices) != 1:
        raise GraphgradError(
            "a circuit with several time indices is no stream", remedy="give whole sequences"
        )
    reason = None
    for component in system.components:
        if component.direction < 0 and component.recurrent:
            reason = f"{component.units[0]} is swept backwards, from the end of the whole sequence"
    for node, place in zip(system.graph.nodes, system.graph.places, strict=True):
        op, attr = node.op, node.attr
        if op is OPS["read"] and attr.lag < 0:
            reason = f"{attr.name} is read {-attr.lag} steps ahead"
        elif op is OPS["at_step"]:
            reason = f"{attr.name} is read at a fixed step"
        elif op is OPS["counter"]:
            reason = f"{attr} is used as a number"
        elif op is OPS["choose"] or (op is OPS["reduce"] and attr.condition != ALWAYS):
            reason = "a condition on the step decides what is computed"
        if reason is not None:
            raise GraphgradError(
                f"this circuit cannot be computed piece by piece: {reason}",
                place=place,
                remedy="give whole sequences, without state=",
            )


def state_inputs(stream: Stream, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state as the inputs of a stream's circuit."""
    for name in state:
        if name not in stream.depths:
            raise DataError(
                f"{name} is no part of the state",
                remedy=f"the state has {', '.join(stream.depths) or 'nothing'}",
            )
    given: dict[str, Any] = {}
    for name, depth in stream.depths.items():
        if name not in state or np.ndim(state[name]) < 1 or len(state[name]) != depth:
            raise DataError(
                f"the state has no {depth} steps of {name}",
                remedy=f"give {name} as an array of {depth} steps, the last one last, or start "
                "without state=",
            )
        for step in range(depth):
            given[stream.inputs[At(name, False, -step)]] = state[name][depth - 1 - step]
    return given


def last_steps(
    stream: Stream, before: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the state after a piece: from its values, and from the state before where it is short.

    `before` is None at the start of a stream; what came earlier was zero or a boundary value, then
    the piece must be as long as the state.
    """
    state: dict[str, Any] = {}
    for name, depth in stream.depths.items():
        steps = np.asarray(values[name])
        if len(steps) < depth:
            if before is None:
                raise DataError(
                    f"the first piece of a stream has {len(steps)} steps, its state {depth}",
                    remedy=f"start with at least {depth} steps",
                )
            old = np.asarray(before[name])
            shape = np.broadcast_shapes(old.shape[1:], steps.shape[1:])
            old = np.broadcast_to(old, (depth, *shape))
            steps = np.concatenate([old, np.broadcast_to(steps, (len(steps), *shape))])
        state[name] = np.array(steps[len(steps) - depth :])
    return state
