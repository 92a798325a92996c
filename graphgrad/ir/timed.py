"""Expressions in time: reads of other steps, choices by the index, reductions, times as numbers."""

from __future__ import annotations

from typing import Any

from graphgrad.conditions import Affine, Condition
from graphgrad.errors import NotationError, Place
from graphgrad.ir.attributes import Read, Reduction
from graphgrad.ir.expressions import OPS, Expr, Type, constant


def read(name: str, lag: int, kind: Type | None = None, place: Place | None = None) -> Expr:
    """Return the value `lag` steps ago of an indexed variable or input."""
    return Expr(OPS["read"], attr=Read(name, lag), type=kind, place=place)


def choose(condition: Condition, chosen: Any, otherwise: Any, place: Place | None = None) -> Expr:
    """Return `chosen if condition else otherwise`, decided by the index alone."""
    return OPS["choose"](chosen, otherwise, attr=condition, place=place)


def reduce(kind: str, index: str, condition: Condition, body: Any) -> Expr:
    """Return the sum or mean of the body over the steps of an index where a condition holds."""
    return OPS["reduce"](body, attr=Reduction(kind, index, condition))


def number(value: Affine) -> Expr:
    """Return an integer expression in indices and lengths as a number to compute with."""
    total: Expr | None = None
    for atom, coefficient in value.terms:
        if not isinstance(atom, str):
            raise NotationError("% stands only in conditions", remedy="compute the number outside")
        term = Expr(OPS["counter"], attr=atom, type=())
        if abs(coefficient) != 1:
            term = abs(coefficient) * term
        if total is None:
            total = -term if coefficient < 0 else term
        else:
            total = total - term if coefficient < 0 else total + term
    if total is None:
        return constant(value.constant)
    if value.constant:
        return total + value.constant if value.constant > 0 else total - -value.constant
    return total
