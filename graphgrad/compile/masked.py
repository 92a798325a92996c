"""Ragged batches in one call: a circuit in which only the steps of each example count.

Steps behind the end of an example are computed, from its last inputs once more, but nothing adds
them up: in every sum over steps they are replaced by zero, so that no gradient comes from them
either. That needs a circuit that runs forwards, whose steps do not know how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.compile.call import batched_inputs
from graphgrad.compile.pieces import numbers_in
from graphgrad.conditions import ALWAYS
from graphgrad.declared import Boundary, Equation, Input, fresh_name
from graphgrad.dims import Token
from graphgrad.ir import OPS, Expr, Reduction, constant, read, rebuilt, topological
from graphgrad.system import System

WASTE = 4
"""How many times the steps of all examples may be computed, instead of a call for each length."""


@dataclass(frozen=True)
class Masked:
    """A circuit with an input that is 1 at the steps of an example, and one for its last step."""

    circuit: Circuit
    live: str
    last: str


def masked(circuit: Circuit) -> Masked | None:
    """Return the circuit for ragged batches in one call, None where there is none."""
    system = circuit.check()
    if not _possible(system):
        return None
    declared = circuit.declared()
    (index,) = declared.indices.values()
    live = fresh_name("live", declared.names())
    last = fresh_name("last", declared.names())
    written: list[Equation | Boundary] = [*declared.equations.values()]
    written += declared.boundaries.values()
    done: dict[int, Expr] = {}
    for expr in topological([each.root for each in written]):
        made = rebuilt(expr, [done[id(arg)] for arg in expr.args])
        if expr.op is OPS["reduce"]:
            made = _masked_sum(made, live)
        elif expr.op is OPS["at_step"] and expr.attr.last:
            value = _where(last, read(expr.attr.name, 0, expr.type))
            made = OPS["reduce"](value, attr=Reduction("sum", index.name, ALWAYS))
        done[id(expr)] = made
    inputs = {name: Input(name, "input", (), index.name) for name in (live, last)}
    changed = replace(
        declared,
        inputs={**declared.inputs, **inputs},
        equations={n: replace(e, root=done[id(e.root)]) for n, e in declared.equations.items()},
        boundaries={k: replace(b, root=done[id(b.root)]) for k, b in declared.boundaries.items()},
    )
    return Masked(Circuit.of(changed), live, last)


def _possible(system: System) -> bool:
    """Whether no step depends on later ones, or on how many there are."""
    if len(system.indices) != 1:
        return False
    (index,) = system.indices.values()
    for node in system.graph.nodes:
        op, attr = node.op, node.attr
        if op is OPS["read"] and attr.lag < 0:
            return False
        if op is OPS["at_step"]:
            token = isinstance(system.type_of(attr.name), Token)
            if token or (attr.offset != 0 if attr.last else attr.offset > 1):
                return False
        if index.length in numbers_in(op, attr):
            return False
    return True


def _where(mask: str, value: Expr) -> Expr:
    """Return a value at the steps of a mask, zero at others."""
    return OPS["where"](read(mask, 0, ()), constant(0), value, constant(0), attr=">")


def _masked_sum(expr: Expr, live: str) -> Expr:
    """Return a sum or mean over the steps of an example alone."""
    kind, over, condition = expr.attr
    (body,) = expr.args
    attr = Reduction("sum", over, condition)
    total = OPS["reduce"](_where(live, body), attr=attr, place=expr.place)
    return total / OPS["reduce"](read(live, 0, ()), attr=attr) if kind == "mean" else total


def pays(lengths: Any) -> bool:
    """Whether one call for all examples is better than one for each length."""
    waste = lengths.size * lengths.max() / lengths.sum()
    return bool(1 < waste <= WASTE)


def with_masks(
    made: Masked, system: System, arrays: Mapping[str, Any], lengths: Any
) -> dict[str, Any]:
    """Return the data of a ragged batch with its masks."""
    steps, given = step_numbers(lengths), filled(system, arrays, lengths)
    real = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
    dtype = np.result_type(*real) if real else float
    given[made.live] = (steps < lengths).astype(dtype)
    given[made.last] = (steps == lengths - 1).astype(dtype)
    return given


def step_numbers(lengths: Any) -> Any:
    """Return the numbers of all steps, from 0, with one more axis for each axis of the batch."""
    return np.arange(lengths.max()).reshape(-1, *(1 for _ in lengths.shape))


def filled(system: System, arrays: Mapping[str, Any], lengths: Any) -> dict[str, Any]:
    """Return the data of a ragged batch with the last inputs of each example behind its end."""
    steps = step_numbers(lengths)
    examples = np.ix_(*map(np.arange, lengths.shape))
    given = dict(arrays)
    for name in batched_inputs(system, arrays):
        if system.inputs[name].index is not None:
            given[name] = arrays[name][np.minimum(steps, lengths - 1), *examples]
    return given
