"""Rules for products and quotients: zeros, ones, signs, numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from graphgrad.ir import OPS, Expr, constant
from graphgrad.ops.leaves import ones, zeros
from graphgrad.simplify.core import is_neg, is_one, is_zero, plain, rule, spread


def ones_times(expr: Expr) -> Expr | None:
    """Return s where an expression is the array s·ones, else None."""
    if expr.op is OPS["fill"] and expr.attr.value == 1:
        return constant(1)
    if expr.op is OPS["mul"]:
        s, filled = expr.args
        if filled.op is OPS["fill"] and filled.attr.value == 1 and not s.shape:
            return s
    divisors = _below_one(expr)
    if divisors and expr.shape and not any(divisor.shape for divisor in divisors):
        scale = constant(1)
        for divisor in divisors:
            scale = plain(scale / divisor)
        return scale
    return None


@rule("mul")
def _mul(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a) or is_zero(b):
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-plain(a.args[0] * b))
    if is_neg(b):
        return plain(-plain(a * b.args[0]))
    for one, other in ((a, b), (b, a)):
        if one.op is OPS["const"] and one.attr < 0:
            return plain(-plain(constant(-one.attr) * other))
    if b.op is OPS["const"]:
        first, spine = _leading(a)
        if first.op is not OPS["const"]:
            return plain(b * a)
        folded = _numbers(first, b)
        if folded is not None:
            return _led_by(folded, spine)
    regrouped = _regrouped(a, b)
    if regrouped is None:
        regrouped = _numbers_joined(a, b)
    if regrouped is not None:
        return regrouped
    number = _numbers(a, b)
    if number is not None:
        return number
    if a.shape and b.shape:
        for one, other in ((a, b), (b, a)):
            scale = ones_times(one)
            if scale is not None:
                return other if is_one(scale) else plain(scale * other)
    elif is_one(a) and not a.shape:
        return b
    elif is_one(b) and not b.shape:
        return a
    elif a.shape and not b.shape:
        scale = ones_times(a)
        if scale is not None:
            return plain(plain(b * scale) * ones(a.shape))
    elif b.shape and not a.shape and b.op is OPS["mul"]:
        scale = ones_times(b)
        if scale is not None:
            return plain(a * scale) * ones(b.shape)
    return _reciprocal(a, b)


def _regrouped(a: Expr, b: Expr) -> Expr | None:
    """Return a product without parentheses: `a * u * v` for `a * (u * v)`, `a * u / n`."""
    if b.op is OPS["mul"]:
        u, v = b.args
        if a.shape == u.shape == v.shape or (not a.shape and not u.shape):
            return plain(plain(a * u) * v)
    if b.op is OPS["div"] and not is_one(b.args[0]) and not is_one(a):
        return plain(plain(a * b.args[0]) / b.args[1])
    return None


def _numbers_joined(a: Expr, b: Expr) -> Expr | None:
    """Return `0.02 * u * v` for `2 * u * (0.01 * v)`: two numbers become one."""
    (first, spine), (second, _) = _leading(a), _leading(b)
    if b.op is not OPS["mul"] or second is not b.args[0]:
        return None
    number = _numbers(first, second)
    return None if number is None else plain(_led_by(number, spine) * b.args[1])


def _numbers(a: Expr, b: Expr) -> Expr | None:
    """Multiply numbers out where the decimal fraction that is shown stays exact."""
    if a.op is not OPS["const"] or b.op is not OPS["const"]:
        return None
    product = Fraction(str(a.attr)) * Fraction(str(b.attr))
    if product.denominator == 1:
        return constant(int(product))
    number = float(product)
    return constant(number) if Fraction(str(number)) == product else None


def _reciprocal(a: Expr, b: Expr) -> Expr | None:
    """Return `b / n` for `1 / n * b`, `b / n / m` for `1 / n / m * b`."""
    for one, other in ((a, b), (b, a)):
        divisors = _below_one(one)
        if divisors:
            if one.shape and not other.shape:
                return None
            for divisor in divisors:
                other = plain(other / divisor)
            return other
    return None


def _below_one(quotient: Expr) -> list[Expr]:
    """Return what 1 is divided by, one divisor after the other; none for other expressions."""
    divisors: list[Expr] = []
    while quotient.op is OPS["div"]:
        divisors.append(quotient.args[1])
        quotient = quotient.args[0]
    return divisors[::-1] if is_one(quotient) else []


@rule("div")
def _div(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_one(b):
        return spread(a, expr.shape)
    if is_zero(a):
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-plain(a.args[0] / b))
    return _cancelled(a, b)


def _cancelled(a: Expr, b: Expr) -> Expr | None:
    """Return `v / w` for `2 * v / (2 * w)`, `v / 2` for `2 * v / 4`: common divisors cancel."""
    (top, above), (bottom, below) = _leading(a), _leading(b)
    if top.op is not OPS["const"] or bottom.op is not OPS["const"]:
        return None
    if not isinstance(top.attr, int) or not isinstance(bottom.attr, int) or not bottom.attr:
        return None
    common = math.gcd(top.attr, bottom.attr)
    if common == 1:
        return None
    numerator = _led_by(constant(top.attr // common), above)
    return plain(numerator / _led_by(constant(bottom.attr // common), below))


def _leading(product: Expr) -> tuple[Expr, list[Expr]]:
    """Return the first factor of a product, and the products that lead to it."""
    spine: list[Expr] = []
    while product.op is OPS["mul"]:
        spine.append(product)
        product = product.args[0]
    return product, spine


def _led_by(number: Expr, spine: list[Expr]) -> Expr:
    """Return a product with a number as its first factor."""
    result = number
    for product in reversed(spine):
        result = plain(result * product.args[1])
    return result


@rule("matmul", "outer")
def _product(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a) or is_zero(b):
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-plain(expr.op(a.args[0], b)))
    if is_neg(b):
        return plain(-plain(expr.op(a, b.args[0])))
    return None


@rule("pow")
def _power(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if b.op is not OPS["const"]:
        return None
    if a.op is OPS["sqrt"] and b.attr == 2:
        return a.args[0]
    return a if is_one(b) else None


@rule("sum")
def _sum(expr: Expr, a: Expr) -> Expr | None:
    if not a.shape:
        return a
    if is_zero(a):
        return constant(0)
    if is_neg(a):
        return plain(-plain(OPS["sum"](a.args[0])))
    if a.op is OPS["mul"] and not a.args[0].shape:
        return plain(a.args[0] * plain(OPS["sum"](a.args[1])))
    if a.op is OPS["div"] and not a.args[1].shape:
        return plain(plain(OPS["sum"](a.args[0])) / a.args[1])
    if a.op is OPS["mul"] and len(a.shape) == 1 and all(arg.shape for arg in a.args):
        return OPS["matmul"](*a.args)
    return None
