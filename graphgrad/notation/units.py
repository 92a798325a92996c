"""The unit-by-unit form: an array expression rewritten as one formula for a component of it.

`W @ v` becomes ∑_j W_ij v_j, losses and softmax are written out, and what is left is an expression
over scalars with four ops of its own, which only print. Components are counted from 0, as tokens
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from graphgrad.dims import Dim, Token
from graphgrad.ir import OPS, Expr, Op, constant, topological
from graphgrad.notation.letters import Letters, Unit
from graphgrad.ops import shapes
from graphgrad.ops.leaves import size_of


class Entry(NamedTuple):
    """Attribute of `entry`: the indices of a component, None for the next token operand."""

    indices: tuple[Unit | None, ...]


def _notational(name: str) -> Op:
    """Return an op that only prints; it is not in the table of primitives."""
    return Op(name, None, lambda attr, *types: ())


ENTRY = _notational("entry")
SUM_OVER = _notational("sum_over")
MAX_OVER = _notational("max_over")
EQUAL = _notational("equal")

Place = Unit | Expr
State = tuple[int, tuple[Place, ...], tuple[Unit, ...]]


def _scalar(op: Op, *args: Expr, attr: Any = None) -> Expr:
    return Expr(op, args, attr, ())


def _squared(u: Expr) -> Expr:
    return u**2


def _negated_pick(u: Expr, target: Expr) -> Expr:
    """Return -Σ target · u; for a token, minus the component that it picks."""
    if isinstance(target.type, Token):
        return -OPS["lookup"](u, target)
    return -OPS["sum"](target * u)


def _summed(u: Expr) -> Expr:
    return OPS["sum"](u) if u.shape else u


# What the losses mean, in terms of simpler ops.
_DEFINITIONS: dict[str, Callable[..., Expr]] = {
    "cross_entropy": lambda p, y: _negated_pick(OPS["log"](p), y),
    "softmax_cross_entropy": lambda o, y: _negated_pick(OPS["log"](OPS["softmax"](o)), y),
    "sigmoid_binary_cross_entropy": lambda o, y: _summed(OPS["softplus"](o) - y * o),
    "squared_error": lambda u, v: constant(1) / 2 * _summed(_squared(u - v)),
    "hinge": lambda u, y: _summed(OPS["maximum"](0, 1 - y * u)),
    "log_softmax": lambda u: OPS["log"](OPS["softmax"](u)),
    "logsumexp": lambda u: OPS["log"](OPS["sum"](OPS["exp"](u))),
}


@dataclass
class _Plan:
    """How a component of an expression is made: from which components, and by what."""

    needs: list[tuple[Expr, tuple[Place, ...], tuple[Unit, ...]]]
    make: Callable[..., Expr]


def component(root: Expr, places: tuple[Unit, ...], letters: Letters) -> Expr:
    """Return the component of a typed expression at the given indices, as a scalar expression."""
    done: dict[State, Expr] = {}
    plans: dict[State, _Plan] = {}
    keep: list[Expr] = []
    first = (root, tuple[Place, ...](places), places)
    pending = [first]
    while pending:
        expr, where, scope = pending[-1]
        state = (id(expr), where, scope)
        if state not in plans:
            plans[state] = _planned(expr, where, scope, letters)
            keep.append(expr)
            keep += [need[0] for need in plans[state].needs]
        plan = plans[state]
        states = [(id(e), w, s) for e, w, s in plan.needs]
        missing = [n for n, s in zip(plan.needs, states, strict=True) if s not in done]
        if missing:
            pending += missing
            continue
        done[state] = plan.make(*(done[s] for s in states))
        pending.pop()
    return done[(id(root), first[1], places)]


def _planned(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    """Return how the component of an expression at some indices is made."""
    name, args = expr.op.name, expr.args
    if not args and name != "concat":
        return _Plan([], lambda: _leaf(expr, where))
    if name in _DEFINITIONS:
        return _Plan([(_DEFINITIONS[name](*args), where, scope)], lambda whole: whole)
    structural = _STRUCTURE.get(name)
    if structural is not None:
        return structural(expr, where, scope, letters)
    needs = [(arg, where if arg.type else (), scope) for arg in args]
    return _Plan(needs, lambda *parts: Expr(expr.op, parts, expr.attr, ()))


def _leaf(expr: Expr, where: tuple[Place, ...]) -> Expr:
    if not where:
        return expr
    if expr.op is OPS["fill"]:
        return constant(expr.attr.value)
    if expr.op is OPS["basis"]:
        position = Unit("", 0, Dim.of(expr.attr.position))
        return _equal(where[0], position)
    return _entry(expr, where)


def _entry(expr: Expr, where: tuple[Place, ...]) -> Expr:
    tokens = [place for place in where if isinstance(place, Expr)]
    indices = tuple(None if isinstance(place, Expr) else place for place in where)
    return _scalar(ENTRY, expr, *tokens, attr=Entry(indices))


def _equal(left: Place, right: Place) -> Expr:
    return _scalar(
        EQUAL,
        *(place for place in (left, right) if isinstance(place, Expr)),
        attr=tuple(None if isinstance(place, Expr) else place for place in (left, right)),
    )


def _over(op: Op, units: Iterable[Unit], body: Expr) -> Expr:
    units = tuple(units)
    return _scalar(op, body, attr=units) if units else body


def _pieces(vector: Expr) -> list[tuple[Expr, Dim]]:
    """Return the parts of a vector written with concat, each with where it starts."""
    if vector.op is not OPS["concat"]:
        return [(vector, Dim.of(0))]
    found, start = [], Dim.of(0)
    for part in vector.args:
        found.append((part, start))
        start = start + (part.shape[0] if part.shape else 1)
    return found


def _matmul(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    left, right = expr.args
    rows, columns = where[: len(left.shape) - 1], where[len(left.shape) - 1 :]
    needs, bound = [], []
    for part, start in _pieces(right):
        unit = letters.fresh(part.shape[0], scope) if part.shape else Unit("", 0, Dim.of(0))
        inner = (*scope, unit)
        moved = replace(unit, offset=unit.offset + start)
        needs += [(left, (*rows, moved), inner)]
        needs += [(part, (unit, *columns) if part.shape else (), inner)]
        bound.append((unit,) if part.shape else ())

    def make(*parts: Expr) -> Expr:
        total: Expr | None = None
        for k, units in enumerate(bound):
            term = _over(SUM_OVER, units, parts[2 * k] * parts[2 * k + 1])
            total = term if total is None else total + term
        assert total is not None
        return total

    return _Plan(needs, make)


def _outer(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    needs = [(arg, (place,), scope) for arg, place in zip(expr.args, where, strict=True)]
    return _Plan([*needs], lambda a, b: a * b)


def _transpose(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    return _Plan([(expr.args[0], where[::-1], scope)], lambda whole: whole)


def _reduction(op: Op, *, average: bool = False) -> Callable[..., _Plan]:
    def plan(
        expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
    ) -> _Plan:
        (operand,) = expr.args
        units: tuple[Unit, ...] = ()
        for dim in operand.shape:
            units += (letters.fresh(dim, (*scope, *units)),)

        def make(body: Expr) -> Expr:
            body = _over(op, units, body)
            if average:
                for dim in reversed(operand.shape):
                    body = constant(1) / size_of(dim) * body
            return body

        return _Plan([(operand, units, (*scope, *units))], make)

    return plan


def _softmax(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    (operand,) = expr.args
    unit = letters.fresh(operand.shape[-1], scope)
    weights = OPS["exp"](operand)
    needs = [(weights, where, scope), (weights, (*where[:-1], unit), (*scope, unit))]
    return _Plan(needs, lambda own, each: own / _over(SUM_OVER, [unit], each))


def _lookup(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    table, token = expr.args
    return _Plan([(table, (token, *where), scope)], lambda whole: whole)


def _onehot(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    return _Plan([], lambda: _equal(where[0], expr.args[0]))


def _part(expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters) -> _Plan:
    (whole,) = expr.args
    start = Dim.of(0)
    for size in shapes.part_sizes(expr.attr, whole.shape[0])[: expr.attr.position]:
        start = start + size
    place = where[0]
    moved = place if isinstance(place, Expr) else replace(place, offset=place.offset + start)
    return _Plan([(whole, (moved,), scope)], lambda inner: inner)


def _component(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    place = Unit("", 0, Dim.of(expr.attr))
    return _Plan([(expr.args[0], (place,), scope)], lambda inner: inner)


def _concat(
    expr: Expr, where: tuple[Place, ...], scope: tuple[Unit, ...], letters: Letters
) -> _Plan:
    (place,) = where
    for part, start in _pieces(expr):
        # an index that runs over just one of the parts is an index of that part
        if isinstance(place, Unit) and place.offset == start:
            if part.shape and place.letter == letters.of(part.shape[0]):
                inner = (replace(place, offset=Dim.of(0)),)
                return _Plan([(part, inner, scope)], lambda whole: whole)
            if not part.shape and not place.letter:
                return _Plan([(part, (), scope)], lambda whole: whole)
    return _Plan([], lambda: _entry(expr, where))


_STRUCTURE: dict[str, Callable[..., _Plan]] = {
    "matmul": _matmul,
    "outer": _outer,
    "transpose": _transpose,
    "sum": _reduction(SUM_OVER),
    "mean": _reduction(SUM_OVER, average=True),
    "max": _reduction(MAX_OVER),
    "softmax": _softmax,
    "lookup": _lookup,
    "onehot": _onehot,
    "part": _part,
    "component": _component,
    "concat": _concat,
}
_BY_COMPONENTS = frozenset({"sum", "mean", "max"})


def with_sums(root: Expr, letters: Letters) -> Expr:
    """Return an expression whose sums over components are written with an index.

    Only sums of elementwise expressions in named values are: they stay short.
    """
    done: dict[int, Expr] = {}
    short: dict[int, bool] = {}
    for expr in topological([root]):
        args = tuple(done[id(arg)] for arg in expr.args)
        named = not expr.args and expr.op.name not in ("fill", "basis")
        simple = expr.op.name not in _STRUCTURE and expr.op.name not in _DEFINITIONS
        short[id(expr)] = (named or (bool(expr.args) and simple)) and all(
            short[id(arg)] for arg in expr.args
        )
        if expr.op.name in _BY_COMPONENTS and short[id(expr.args[0])] and expr.type is not None:
            done[id(expr)] = component(expr, (), letters)
        else:
            done[id(expr)] = Expr(expr.op, args, expr.attr, expr.type, expr.place)
    return done[id(root)]
