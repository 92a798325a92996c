"""What formulas are written with in Python: times, reductions, choices, pieces, constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from graphgrad.conditions import ALWAYS, Affine, Condition
from graphgrad.dims import Dim, Shape
from graphgrad.errors import NotationError, shown
from graphgrad.ir import OPS, Basis, Comparison, Expr, Fill, Part, lift, reduce
from graphgrad.ir import choose as choose_expr
from graphgrad.ops.elementwise import where
from graphgrad.times import Time


class _Steps:
    """What `for t in steps` ranges over in the notation; Python code uses `over=t`."""

    def __iter__(self) -> NoReturn:
        raise NotationError(
            "steps cannot be iterated over in Python: there is no number of steps yet",
            remedy="write gg.sum(e, over=t) or gg.mean(e, over=t, where=t > 3)",
        )

    def __repr__(self) -> str:
        return "steps"


t = Time(Affine.name("t"))
tau = Time(Affine.name("tau"))
steps = _Steps()


def index(name: str) -> Time:
    """Return a time index or length of another name, declared with `c.steps(name, length)`."""
    return Time(Affine.name(name))


def _over(kind: str, value: Any, over: Time | None, where_: Condition | None) -> Expr:
    if over is None:
        if where_ is not None:
            raise NotationError("where= needs over=", remedy="write sum(e, over=t, where=t > 3)")
        return OPS[kind](value)
    if not isinstance(over, Time) or not over.affine.is_name:
        raise NotationError(
            f"over={shown(over)} is not an index", remedy="write over=t, with t from graphgrad"
        )
    condition = ALWAYS if where_ is None else _condition(where_, f"{kind}(e, over=t, where=t > 3)")
    return reduce(kind, str(over.affine), condition, value)


def _condition(given: Any, example: str) -> Condition:
    """Return a condition on the time index; NotationError for anything else."""
    if isinstance(given, Condition):
        return given
    if isinstance(given, Comparison):
        raise NotationError(
            "a value decides here, but only the time index can",
            remedy="choose by a value with where(u > 0, a, b)",
        )
    raise NotationError(
        f"{shown(given)} is no condition on the time index", remedy=f"write {example}"
    )


def sum(value: Any, over: Time | None = None, where: Condition | None = None) -> Expr:
    """Return the sum of the components, or over the steps of an index where a condition holds."""
    return _over("sum", value, over, where)


def mean(value: Any, over: Time | None = None, where: Condition | None = None) -> Expr:
    """Return the mean of the components, or over the steps of an index where a condition holds."""
    return _over("mean", value, over, where)


def max(value: Any) -> Expr:
    """Return the largest component of a vector or matrix."""
    return OPS["max"](value)


def choose(condition: Condition, chosen: Any, otherwise: Any) -> Expr:
    """Return `chosen if condition else otherwise`, decided by the time index alone."""
    return choose_expr(_condition(condition, "choose(t == tau, a, b)"), chosen, otherwise)


def split(value: Any, *sizes: Dim | int | str) -> tuple[Expr, ...]:
    """Return the pieces of a vector: `split(z, 4)` equal ones, or of the sizes given."""
    cut: int | Shape
    if len(sizes) == 1 and isinstance(sizes[0], int):
        cut, count = sizes[0], sizes[0]
    else:
        cut, count = tuple(Dim.of(size) for size in sizes), len(sizes)
    if count < 1:
        raise NotationError(
            "split needs the number or the sizes of the pieces", remedy="write split(z[t], 2)"
        )
    whole = lift(value)
    return tuple(OPS["part"](whole, attr=Part(cut, position)) for position in range(count))


def at(value: Any, position: int) -> Expr:
    """Return one component of a vector, counted from 0."""
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise NotationError(
            f"{position!r} is not the number of a component", remedy="write at(v, 0)"
        )
    return OPS["component"](value, attr=position)


def zeros(*dims: Dim | int | str) -> Expr:
    """Return a constant array of zeros."""
    return _filled("zeros", dims)


def ones(*dims: Dim | int | str) -> Expr:
    """Return a constant array of ones."""
    return _filled("ones", dims)


def _filled(word: str, dims: Sequence[Dim | int | str]) -> Expr:
    if not 1 <= len(dims) <= 2:
        raise NotationError(f"{word} takes one or two sizes", remedy=f'write {word}("H")')
    return OPS["fill"](attr=Fill(int(word == "ones"), tuple(Dim.of(dim) for dim in dims)))


def onehot(value: Any, size: Dim | int | str | None = None) -> Expr:
    """Return the unit vector of a token, or the constant unit vector `onehot(0, K)`."""
    if size is None:
        return OPS["onehot"](value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotationError(
            f"onehot({value!r}, {size}) is not a unit vector", remedy='write onehot(0, "K")'
        )
    return OPS["basis"](attr=Basis(value, Dim.of(size)))


__all__ = [
    "at",
    "choose",
    "index",
    "max",
    "mean",
    "onehot",
    "ones",
    "split",
    "steps",
    "sum",
    "t",
    "tau",
    "where",
    "zeros",
]
