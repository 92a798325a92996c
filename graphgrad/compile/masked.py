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
from graphgrad.compile.on_demand import OnDemand, materialized
from graphgrad.compile.pieces import numbers_in
from graphgrad.conditions import ALWAYS, Condition, holds
from graphgrad.declared import Boundary, Declared, Equation, Index, Input, fresh_name
from graphgrad.dims import Token
from graphgrad.ir import OPS, At, Expr, Reduction, constant, read, rebuilt, topological
from graphgrad.system import System

WASTE = 4
"""How many times the steps of all examples may be computed, instead of a call for each length."""
TOGETHER = 2**10
"""How many steps are counted together: a sequence may be longer than memory has room for."""


@dataclass(frozen=True)
class Masked:
    """A circuit with inputs that say which steps of an example count.

    `live` is 1 at its steps and `last` at its last one, else 0; `counts` are how many of its steps
    a condition chooses, for each condition of a mean. Without `last`, the values of the last step
    are held until the end of the batch.
    """

    circuit: Circuit
    index: Index
    live: str
    last: str | None
    counts: Mapping[Condition, str]


def masked(circuit: Circuit, *, held: bool = False) -> Masked | None:
    """Return the circuit for ragged batches in one call, None where there is none.

    What a loss reads at the last step is a sum over the steps of which one counts. Where the loss
    has to be linear in such sums, as in pieces, that value is `held` instead.
    """
    if not _possible(circuit.check()):
        return None
    return _Masking(circuit, held).made()


class _Masking:
    """The names that masks get in a circuit, and its expressions with them."""

    def __init__(self, circuit: Circuit, held: bool) -> None:
        self.system = circuit.check()
        self.declared = circuit.declared()
        (self.index,) = self.declared.indices.values()
        self.taken = self.declared.names()
        self.live = self._fresh("live")
        self.last = None if held else self._fresh("last")
        self.counts: dict[Condition, str] = {}
        self.held: dict[str, Equation] = {}  # by the name of what is held

    def made(self) -> Masked:
        """Return the circuit with its masks."""
        declared = self.declared
        written: list[Equation | Boundary] = [*declared.equations.values()]
        written += declared.boundaries.values()
        done: dict[int, Expr] = {}
        for expr in topological([each.root for each in written]):
            made = rebuilt(expr, [done[id(arg)] for arg in expr.args])
            if expr.op is OPS["reduce"]:
                made = self._sum(made)
            elif expr.op is OPS["at_step"] and expr.attr.last:
                made = self._last_step(expr)
            done[id(expr)] = made
        equations = {n: replace(e, root=done[id(e.root)]) for n, e in declared.equations.items()}
        equations |= {equation.name: equation for equation in self.held.values()}
        bounds = {k: replace(b, root=done[id(b.root)]) for k, b in declared.boundaries.items()}
        changed = replace(
            declared, inputs=self._inputs(declared), equations=equations, boundaries=bounds
        )
        return Masked(Circuit.of(changed), self.index, self.live, self.last, self.counts)

    def _fresh(self, stem: str) -> str:
        name = fresh_name(stem, self.taken)
        self.taken.add(name)
        return name

    def _inputs(self, declared: Declared) -> dict[str, Input]:
        """Return the inputs, and those of the masks."""
        masks = [self.live] if self.last is None else [self.live, self.last]
        steps = {name: Input(name, "input", (), self.index.name) for name in masks}
        numbers = {name: Input(name, "input", (), None) for name in self.counts.values()}
        return {**declared.inputs, **steps, **numbers}

    def _sum(self, expr: Expr) -> Expr:
        """Return a sum or mean over the steps of an example alone."""
        kind, over, condition = expr.attr
        (body,) = expr.args
        attr = Reduction("sum", over, condition)
        value = _where(self.live, body, constant(0))
        total = OPS["reduce"](value, attr=attr, place=expr.place)
        if kind == "sum":
            return total
        if condition not in self.counts:
            self.counts[condition] = self._fresh("count")
        return total / Expr(OPS["input"], attr=self.counts[condition], type=())

    def _last_step(self, expr: Expr) -> Expr:
        """Return the value of a variable or input at the last step of an example."""
        name = expr.attr.name
        kind = self.system.type_of(name)
        value = read(name, 0, kind)
        if self.last is not None:
            chosen = _where(self.last, value, constant(0))
            return OPS["reduce"](chosen, attr=Reduction("sum", self.index.name, ALWAYS))
        if name not in self.held:
            held = self._fresh("held")
            root = _where(self.live, value, read(held, 1, kind))
            self.held[name] = Equation(held, self.index.name, root)
        at = At(self.held[name].name, last=True, offset=0)
        return Expr(OPS["at_step"], attr=at, type=kind, place=expr.place)


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


def _where(mask: str, value: Expr, other: Expr) -> Expr:
    """Return a value at the steps of a mask, the other one elsewhere."""
    return OPS["where"](read(mask, 0, ()), constant(0), value, other, attr=">")


def pays(lengths: Any) -> bool:
    """Whether one call for all examples is better than one for each length."""
    waste = lengths.size * lengths.max() / lengths.sum()
    return bool(1 < waste <= WASTE)


def with_masks(
    made: Masked, system: System, arrays: Mapping[str, Any], lengths: Any
) -> dict[str, Any]:
    """Return the data of a ragged batch with its masks; what has steps, on demand.

    `system` is that of the backward pass, if there is one. Its seeds, which the circuit does not
    have, are zero behind the end of an example: no sum there keeps what they weigh out.
    """
    given = repeated(system, arrays, lengths)
    for name in system.inputs.keys() - made.circuit.inputs.keys():
        if isinstance(given[name], OnDemand):
            given[name] = _ended(given[name], lengths)
    real = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
    dtype = np.result_type(*real) if real else np.dtype(float)
    shape = (int(lengths.max()), *lengths.shape)
    given[made.live] = OnDemand(
        shape, dtype, lambda s: (beside(s, lengths) < lengths).astype(dtype)
    )
    if made.last is not None:
        given[made.last] = OnDemand(
            shape, dtype, lambda s: (beside(s, lengths) == lengths - 1).astype(dtype)
        )
    for condition, name in made.counts.items():
        given[name] = _chosen(condition, made.index, lengths).astype(dtype)
    return given


def beside(steps: Any, lengths: Any) -> Any:
    """Return numbers of steps with one more axis for each axis of the batch."""
    return steps.reshape(-1, *(1 for _ in lengths.shape))


def _chosen(condition: Condition, index: Index, lengths: Any) -> Any:
    """Return how many steps of each example a condition chooses, which knows no lengths."""
    counts = np.zeros_like(lengths)
    longest = int(lengths.max())
    for start in range(0, longest, TOGETHER):
        steps = np.arange(start + 1, min(start + TOGETHER, longest) + 1)
        found = np.broadcast_to(holds(condition, {index.name: steps}), steps.shape)
        so_far = np.concatenate([[0], np.cumsum(found)])
        counts += so_far[np.clip(lengths - start, 0, len(steps))]
    return counts


def repeated(system: System, arrays: Mapping[str, Any], lengths: Any) -> dict[str, Any]:
    """Return the data with the last inputs of each example behind its end, on demand."""
    given = dict(arrays)
    for name in batched_inputs(system, arrays):
        if system.inputs[name].index is not None:
            given[name] = _repeated(arrays[name], lengths)
    return given


def _repeated(array: Any, lengths: Any) -> OnDemand:
    examples = np.ix_(*map(np.arange, lengths.shape))
    shape = (int(lengths.max()), *array.shape[1:])
    return OnDemand(
        shape,
        array.dtype,
        lambda steps: array[np.minimum(beside(steps, lengths), lengths - 1), *examples],
    )


def _ended(seed: OnDemand, lengths: Any) -> OnDemand:
    """Return a seed that is zero behind the end of each example."""

    def rows(steps: Any) -> Any:
        live = beside(steps, lengths) < lengths
        own = seed.rows(steps)
        return np.where(live.reshape(*live.shape, *(1,) * (own.ndim - live.ndim)), own, 0)

    return OnDemand(seed.shape, seed.dtype, rows)


def filled(system: System, arrays: Mapping[str, Any], lengths: Any) -> dict[str, Any]:
    """Return the data with the last inputs of each example behind its end, as arrays."""
    return materialized(repeated(system, arrays, lengths))
