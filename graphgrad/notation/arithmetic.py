"""How sums, products, quotients and powers are typeset, with just the parentheses they need.

Products show what they are: `*` of two arrays is ⊙, by a scalar it is written side by side, and so
is `@`; the product of two vectors is u⊤v. A minus sign is carried outwards.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphgrad.declared import tree_key
from graphgrad.ir import OPS, Expr
from graphgrad.notation.boxes import Box, Scripted, number, operator, row, scripted
from graphgrad.notation.printer import Shown
from graphgrad.notation.structures import (
    Negative,
    fenced,
    fraction,
    juxtaposed,
    negative,
    slashed,
    summed,
)

# How tightly the parts of a formula bind, loosest first. A matrix product stands in parentheses
# beside ⊙; sums written with ∑ reach as far as products do.
CHOICE, SUM, BIG, MATRIX, HADAMARD, SCALAR, FRACTION, ATOM = range(8)

Args = list[Shown[Box]]


def fit(shown: Shown[Box], level: int) -> Box:
    """Return a box that binds at least as tightly as `level`, in parentheses if need be."""
    return shown.text if shown.level >= level else fenced(shown.text)


def plus(left: Shown[Box], right: Shown[Box]) -> Shown[Box]:
    """Return a sum; what is added with a minus sign is subtracted."""
    first = fit(left, SUM)
    if isinstance(right.text, Negative) and right.level == SUM:
        return Shown(summed(first, "−", fit(inside(right.text), BIG)), SUM)
    return Shown(summed(first, "+", fit(right, BIG)), SUM)


def minus(left: Shown[Box], right: Shown[Box]) -> Shown[Box]:
    """Return a difference."""
    return Shown(summed(fit(left, SUM), "−", fit(right, BIG)), SUM)


def neg(operand: Shown[Box]) -> Shown[Box]:
    """Return an operand with the opposite sign; its parentheses go where the sign goes on."""
    shown = negative(fit(operand, BIG), operand.level)
    return Shown(replace(shown, inner=operand.text), SUM)


def inside(box: Negative) -> Shown[Box]:
    """Return what stands behind a minus sign."""
    return Shown(box.inner, box.level)


def is_array(expr: Expr) -> bool:
    """Whether an expression is known to be a vector or matrix."""
    return isinstance(expr.type, tuple) and bool(expr.type)


def mul(expr: Expr, args: Args) -> Shown[Box]:
    """Return a product: ⊙ between arrays, side by side where one factor is a scalar."""
    left, right = args
    if isinstance(left.text, Negative):
        inner = mul(expr, [inside(left.text), right])
        return neg(inner)
    if all(map(is_array, expr.args)):
        sides = fit(left, HADAMARD), fit(right, HADAMARD)
        return Shown(row(sides[0], operator("⊙"), sides[1]), HADAMARD)
    first, second = expr.args
    if _same(first, second):
        return power(left, number("2"))
    # a scalar may stand before any product, whose own parts then need no parentheses
    other = right.text if right.level >= BIG else fenced(right.text)
    level = min(SCALAR, max(right.level, BIG)) if right.level >= BIG else SCALAR
    return Shown(juxtaposed(fit(left, SCALAR), other), level)


def _same(left: Expr, right: Expr) -> bool:
    """Whether two factors are the same, so that their product is a square."""
    if left.op is not right.op or left.attr != right.attr or left.op is OPS["const"]:
        return False
    return tree_key(left) == tree_key(right)


def matmul(expr: Expr, args: Args) -> Shown[Box]:
    """Return a product of matrices and vectors, side by side."""
    left, right = (_factor(arg) for arg in args)
    if isinstance(expr.args[0].type, tuple) and len(expr.args[0].type) == 1:
        left = transposed(args[0])
    return Shown(juxtaposed(left, right), MATRIX)


def _factor(shown: Shown[Box]) -> Box:
    """Return a factor of a matrix product; products of matrices need no parentheses."""
    return shown.text if shown.level == MATRIX else fit(shown, FRACTION)


@dataclass(frozen=True, kw_only=True)
class Quotient(Box):
    """A fraction, kept as numerator and factors of the denominator, so that it can be divided."""

    over: Shown[Box]
    under: tuple[tuple[Expr, Shown[Box]], ...]


def div(expr: Expr, args: Args) -> Shown[Box]:
    """Return a quotient: a fraction, or ⊘ between arrays.

    What is divided again has one fraction, x/(ab), and a fraction below a fraction stands on one
    line.
    """
    left, right = args
    if isinstance(left.text, Negative):
        inner = div(expr, [inside(left.text), right])
        return neg(inner)
    if all(map(is_array, expr.args)):
        sides = fit(left, HADAMARD), fit(right, SCALAR)
        return Shown(row(sides[0], operator("⊘"), sides[1]), HADAMARD)
    over: Shown[Box] = left
    under: tuple[tuple[Expr, Shown[Box]], ...] = ((expr.args[1], _on_one_line(right)),)
    if isinstance(left.text, Quotient):
        over, under = left.text.over, (*left.text.under, *under)
    box = fraction(over.text, _denominator(under).text)
    whole = Quotient(
        box.latex, box.mathml, box.width, tall=True, digit=True, over=over, under=under
    )
    return Shown(whole, FRACTION)


def _denominator(factors: Sequence[tuple[Expr, Shown[Box]]]) -> Shown[Box]:
    """Return the product of the factors below a fraction: numbers first, equal ones as a power."""
    if len(factors) == 1:
        return factors[0][1]
    parts = [shown for expr, shown in factors if expr.op is OPS["const"]]
    keys = [(tree_key(expr), shown) for expr, shown in factors if expr.op is not OPS["const"]]
    times = Counter(key for key, _ in keys)
    for key, shown in dict(keys).items():
        parts.append(power(shown, number(str(times[key]))) if times[key] > 1 else shown)
    return Shown(functools.reduce(juxtaposed, [fit(part, SCALAR) for part in parts]), SCALAR)


def _on_one_line(shown: Shown[Box]) -> Shown[Box]:
    """Return what stands below a fraction; a fraction there on one line, unless it is tall."""
    box = shown.text
    if not isinstance(box, Quotient) or box.over.text.tall:
        return shown
    under = _denominator(box.under)
    if under.text.tall:
        return shown
    return Shown(slashed(fit(box.over, SCALAR), fit(under, FRACTION)), MATRIX)


def power(base: Shown[Box], exponent: Box) -> Shown[Box]:
    """Return a base with an exponent, in parentheses where it is not a plain symbol."""
    plain = base.level == ATOM and not (isinstance(base.text, Scripted) and base.text.sup)
    box = base.text if plain else fenced(base.text)
    if isinstance(box, Scripted):
        return Shown(scripted(box.base, box.sub, exponent), ATOM)
    return Shown(scripted(box, None, exponent), ATOM)


def raised(expr: Expr, args: Args) -> Shown[Box]:
    """Return a power; one of a matrix is marked as elementwise."""
    exponent = args[1].text
    if isinstance(expr.type, tuple) and len(expr.type) == 2:
        # the square of a matrix would be read as a matrix product
        exponent = row(operator("⊙", tight=True), exponent)
    return power(args[0], exponent)


def transposed(shown: Shown[Box]) -> Box:
    """Return a transpose; the sign stands behind a time."""
    box, sign = shown.text, operator("⊤", tight=True)
    if isinstance(box, Scripted) and box.time and box.sup is not None and shown.level == ATOM:
        return scripted(box.base, box.sub, row(box.sup, sign, spaces=False))
    return power(shown, sign).text


def outer(expr: Expr, args: Args) -> Shown[Box]:
    """Return an outer product as u v⊤."""
    left = _factor(args[0])
    return Shown(juxtaposed(left, transposed(args[1]), thin=True), MATRIX)
