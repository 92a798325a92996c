"""What a piece of a sequence computes: steps counted on from the pieces before, its part of a loss.

The loss of a sequence is a sum over pieces of what is summed over steps, and what is computed once:
penalties on parameters, and what depends on the last step, `h[tau]`. The latter belongs to the last
piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Affine, Condition, holds, names_in, substitute
from graphgrad.declared import Boundary, Declared, Equation, Index, fresh_name
from graphgrad.errors import GraphgradError, Place
from graphgrad.ir import OPS, Expr, Op, constant, number, rebuilt, topological
from graphgrad.system import System
from graphgrad.unfold import check_means

BLOCK = 2**12
"""How many steps are looked at together: a sequence may be longer than memory has room for."""


@dataclass(frozen=True)
class Clock:
    """Further indices of the circuit of a piece, of which only the lengths count.

    The length of `begin` is the number of the piece's first step in the whole sequence, that of
    `whole` the length of the whole sequence. `counts` says whether anything depends on `begin`.
    `chosen` are one index for each condition of a mean: its length is how many steps of the whole
    sequence, which runs over `index`, the condition chooses.
    """

    begin: Index
    whole: Index
    counts: bool
    index: Index
    chosen: Mapping[Condition, Index]

    def lengths(self, begin: int, whole: int) -> dict[str, int]:
        """Return these numbers as lengths of the indices, which are 1 or more."""
        found = {self.begin.name: begin if self.counts else 1, self.whole.name: whole}
        for condition, index in self.chosen.items():
            found[index.name] = max(1, steps_chosen(condition, self.index, whole))
        return found

    def check_means(self, system: System, whole: int) -> None:
        """Raise DomainError for a mean of a whole sequence that is needed, over no step."""
        if not all(steps_chosen(condition, self.index, whole) for condition in self.chosen):
            check_means(system, {self.index.name: whole})


@lru_cache(64)
def steps_chosen(condition: Condition, index: Index, whole: int) -> int:
    """Return for how many steps of a sequence a condition holds."""
    count = 0
    for start in range(1, whole + 1, BLOCK):
        steps = np.arange(start, min(start + BLOCK, whole + 1))
        found = holds(condition, {index.name: steps, index.length: whole})
        count += int(np.count_nonzero(np.broadcast_to(found, steps.shape)))
    return count


def counted_on(circuit: Circuit, *, means: bool) -> tuple[Circuit, Clock | None]:
    """Return the circuit of a piece: `t` is `t + begin - 1`, `tau` is `whole`.

    With `means` a mean over steps is the sum divided by their number in the whole sequence, else it
    is that of the piece. Where nothing depends on the number of a step or on the length, there is
    no clock and the circuit is as it was.
    """
    declared = circuit.declared()
    (index,) = declared.indices.values()
    written: list[Equation | Boundary] = [*declared.equations.values()]
    written += declared.boundaries.values()
    order = topological([each.root for each in written])
    used = set[str]().union(*(numbers_in(expr.op, expr.attr) for expr in order))
    conditions = [expr.attr.condition for expr in order if means and is_mean(expr)]
    if not used and not conditions:
        return circuit, None
    taken = declared.names()
    begin, whole = _fresh_index("begin", taken), _fresh_index("whole", taken)
    chosen = {c: _fresh_index("chosen", taken) for c in dict.fromkeys(conditions) if c != ALWAYS}
    clock = Clock(begin, whole, index.name in used, index, chosen)
    step = Affine.name(index.name).plus(Affine.name(begin.length)).plus(-1)
    values = {index.name: step, index.length: Affine.name(whole.length)}
    done: dict[int, Expr] = {}
    for expr in order:
        made = _counted(rebuilt(expr, [done[id(arg)] for arg in expr.args]), values)
        if means and is_mean(expr):
            made = _as_sum(made, chosen.get(expr.attr.condition, whole))
        done[id(expr)] = made
    counted = replace(
        declared,
        indices={**declared.indices, **{i.name: i for i in (begin, whole, *chosen.values())}},
        equations={n: replace(e, root=done[id(e.root)]) for n, e in declared.equations.items()},
        boundaries={k: replace(b, root=done[id(b.root)]) for k, b in declared.boundaries.items()},
    )
    return Circuit.of(counted), clock


def _fresh_index(stem: str, taken: set[str]) -> Index:
    """Return an index with new names, which are taken from now on."""
    length = fresh_name(stem, taken)
    taken.add(length)
    name = fresh_name(f"{stem}_index", taken)
    taken.add(name)
    return Index(name, length)


def numbers_in(op: Op, attr: Any) -> set[str]:
    """Return the index and length whose number decides what an op does, or is its value."""
    if op is OPS["counter"]:
        return {attr}
    if op is OPS["choose"]:
        return names_in(attr)
    return names_in(attr.condition) if op is OPS["reduce"] else set()


def _counted(expr: Expr, values: Mapping[str, Affine]) -> Expr:
    """Return an op with the numbers of a piece's steps."""
    if expr.op is OPS["counter"]:
        return number(values[expr.attr])
    if expr.op is OPS["choose"]:
        return Expr(expr.op, expr.args, substitute(expr.attr, values), expr.type, expr.place)
    if expr.op is OPS["reduce"]:
        attr = expr.attr._replace(condition=substitute(expr.attr.condition, values))
        return Expr(expr.op, expr.args, attr, expr.type, expr.place)
    return expr


def is_mean(expr: Expr) -> bool:
    """Whether an expression is a mean over steps."""
    return expr.op is OPS["reduce"] and expr.attr.kind == "mean"


def _as_sum(mean: Expr, counted: Index) -> Expr:
    return as_sum(mean) / number(Affine.name(counted.length))


def as_sum(mean: Expr) -> Expr:
    """Return the sum over the steps of a mean."""
    attr = mean.attr._replace(kind="sum")
    return Expr(mean.op, mean.args, attr, mean.type, mean.place)


# -- the loss --------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """A static value as a sum: what each piece adds, and what is computed once; None is zero.

    `late` says whether the latter needs the end of the sequence.
    """

    piece: Expr | None
    once: Expr | None
    late: bool = False


def shares_of_loss(system: System, declared: Declared, loss: str) -> Shares:
    """Return the shares of a loss of a circuit of pieces; GraphgradError if they are not all of it.

    `system` is that of the whole sequence, which knows the order of computation.
    """
    found: dict[str, Shares] = {}
    for component in system.components:
        for unit in component.units:
            written = (
                declared.equations[unit] if isinstance(unit, str) else declared.boundaries[unit]
            )
            if isinstance(written, Equation) and written.index is None:
                found[written.name] = _shares(written, found)
            else:
                _check_local(written.name, written.root, found)
    return found[loss]


def _check_local(name: str, root: Expr, found: Mapping[str, Shares]) -> None:
    """Raise where an expression for steps needs more than the steps before."""
    for expr in topological([root]):
        shares = found.get(expr.attr) if expr.op is OPS["static"] else None
        late = shares is not None and (shares.piece is not None or shares.late)
        if late or expr.op in (OPS["reduce"], OPS["at_step"]):
            raise refusal(f"{name} needs the whole sequence", expr.place)


def _shares(equation: Equation, found: Mapping[str, Shares]) -> Shares:
    """Return the shares of one static value."""
    shares: dict[int, Shares] = {}
    order = topological([equation.root])
    within = _bodies(order)
    for expr in order:
        if id(expr) in within:
            continue
        given = [shares[id(arg)] for arg in expr.args if id(arg) not in within]
        if expr.op is OPS["static"]:
            known = found[expr.attr]
            shares[id(expr)] = known if known.piece is not None else Shares(None, expr, known.late)
        elif expr.op is OPS["reduce"]:
            _check_local(equation.name, expr.args[0], found)
            shares[id(expr)] = Shares(expr, None)
        elif all(each.piece is None for each in given):
            late = expr.op is OPS["at_step"] or any(each.late for each in given)
            if expr.op is OPS["at_step"] and (not expr.attr.last or expr.attr.offset):
                raise refusal(f"{expr.attr.name} is read at a fixed step", expr.place)
            shares[id(expr)] = Shares(None, expr, late)
        else:
            shares[id(expr)] = _combined(expr, given, equation)
    return shares[id(equation.root)]


def _bodies(order: Sequence[Expr]) -> set[int]:
    """Return the ids of what stands inside reductions."""
    within: set[int] = set()
    for expr in reversed(order):
        if expr.op is OPS["reduce"] or id(expr) in within:
            within.update(id(arg) for arg in expr.args)
    return within


def _combined(expr: Expr, given: Sequence[Shares], equation: Equation) -> Shares:
    """Return the shares of an op that is linear in what is summed over the steps."""
    late = any(each.late for each in given)
    if expr.op in (OPS["add"], OPS["sub"], OPS["neg"]):
        piece = _linear(expr, [each.piece for each in given])
        return Shares(piece, _linear(expr, [each.once for each in given]), late)
    if expr.op is OPS["choose"]:  # by the length of the whole sequence
        piece = _choice(expr, [each.piece for each in given])
        return Shares(piece, _choice(expr, [each.once for each in given]), late)
    if expr.op in (OPS["mul"], OPS["div"]):
        summed = [k for k, each in enumerate(given) if each.piece is not None]
        factor = given[1 - summed[0]]
        if len(summed) == 1 and not factor.late and (expr.op is OPS["mul"] or summed == [0]):
            piece, once, _ = given[summed[0]]
            sides = (lambda e: (e, factor.once)) if summed == [0] else (lambda e: (factor.once, e))
            made = [None if share is None else expr.op(*sides(share)) for share in (piece, once)]
            return Shares(made[0], made[1], late)
    raise refusal(
        f"{equation.name} is not linear in sums over the steps, which pieces add up", expr.place
    )


def _linear(expr: Expr, args: Sequence[Expr | None]) -> Expr | None:
    """Return a sum, difference or negation where some operands are zero."""
    if all(arg is None for arg in args):
        return None
    if expr.op is OPS["neg"] or None not in args:
        return expr.op(*args)
    left, right = args
    if left is not None:
        return left
    return right if expr.op is OPS["add"] else OPS["neg"](right)


def _choice(expr: Expr, args: Sequence[Expr | None]) -> Expr | None:
    """Return a choice where some operands are zero."""
    if all(arg is None for arg in args):
        return None
    return rebuilt(expr, [constant(0) if arg is None else arg for arg in args])


# -- what can be computed in pieces ----------------------------------------------------------------


def check_pieces(system: System) -> None:
    """Raise for a circuit whose steps cannot be computed piece by piece."""
    if len(system.indices) != 1:
        raise refusal("it has several time indices", None)
    for component in system.components:
        if component.direction < 0 and component.recurrent:
            unit = component.units[0]
            place = system.declared.equations[unit].place if isinstance(unit, str) else None
            raise refusal(f"{unit} is swept backwards, from the end of the whole sequence", place)
    for node, place in zip(system.graph.nodes, system.graph.places, strict=True):
        if node.op is OPS["read"] and node.attr.lag < 0:
            raise refusal(f"{node.attr.name} is read {-node.attr.lag} steps ahead", place)


def check_backend(clock: Clock | None, backend: str) -> None:
    """Raise where each piece would be compiled by itself."""
    if clock is not None and clock.counts and backend == "jax":
        raise GraphgradError(
            "the number of a step matters, and JAX would compile every piece anew",
            remedy='give backend="numpy" or "numba", or whole sequences',
        )


def refusal(reason: str, place: Place | None) -> GraphgradError:
    """Return the error for a circuit that has to see whole sequences."""
    return GraphgradError(
        f"this circuit cannot be computed piece by piece: {reason}",
        place=place,
        remedy="give whole sequences, without state= and checkpoint=",
    )
