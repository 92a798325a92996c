"""Elementwise primitives: arithmetic, functions of one variable, comparisons.

A rule is one line: the cotangents of the operands from the cotangent `g` and the value `y`.
`fit` undoes broadcasting, which is only ever a scalar against an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad.errors import NotationError
from graphgrad.ir import OPS, Comparison, Expr, Op, declare, lift
from graphgrad.ops.shapes import elementwise


def fit(g: Expr, operand: Expr) -> Expr:
    """Return a cotangent in the shape of its operand: summed where a scalar was broadcast."""
    return OPS["sum"](g) if g.shape and not operand.shape else g


def _binary(
    name: str,
    infix: str,
    function: np.ufunc,
    left: Callable[..., Expr],
    right: Callable[..., Expr],
    **more: Any,
) -> Op:
    return declare(
        Op(
            name,
            2,
            elementwise(infix),
            forward=function,
            vjp=lambda g, y, a, b: (fit(left(g, y, a, b), a), fit(right(g, y, a, b), b)),
            ufunc=function,
            infix=infix,
            **more,
        )
    )


def _unary(
    name: str,
    function: Callable[..., Any],
    rule: Callable[..., Expr],
    *,
    ufunc: np.ufunc | None = None,
    exact: bool = True,
    **more: Any,
) -> Op:
    return declare(
        Op(
            name,
            1,
            elementwise(name),
            forward=function,
            vjp=lambda g, y, u: (rule(g, y, u),),
            exact=(lambda algebra, u: getattr(algebra, name)(u)) if exact else None,
            ufunc=ufunc,
            **more,
        )
    )


add = _binary("add", "+", np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
sub = _binary("sub", "-", np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
mul = _binary("mul", "*", np.multiply, lambda g, y, a, b: b * g, lambda g, y, a, b: a * g)
div = _binary(
    "div",
    "/",
    np.divide,
    lambda g, y, a, b: g / b,
    lambda g, y, a, b: -(g * y) / b,
    domain="b ≠ 0",
)
neg = _unary("neg", np.negative, lambda g, y, u: -g, ufunc=np.negative, exact=False, infix="-")


def _power_rule(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr | None]:
    if b.op is OPS["const"]:
        n = b.attr
        slope = lift(1) if n == 1 else n * a if n == 2 else n * a ** (n - 1)
        return slope * g, None
    return fit(g * (b * a ** (b - 1)), a), fit(g * (y * log(a)), b)


power = declare(
    Op(
        "pow",
        2,
        elementwise("**"),
        forward=np.power,
        vjp=_power_rule,
        exact=lambda algebra, a, b: algebra.power(a, b),
        ufunc=np.power,
        infix="**",
        domain="a > 0 unless the exponent is a whole number; a ≠ 0 if that is negative",
    )
)


def _sigmoid(u: Any) -> Any:
    positive = np.real(u) >= 0
    small = np.exp(np.where(positive, -u, u))
    return np.where(positive, 1, small) / (1 + small)


def softplus_value(u: Any) -> Any:
    """Return log(1 + exp(u)) without overflow."""
    positive = np.real(u) > 0
    return np.where(positive, u, 0) + np.log1p(np.exp(np.where(positive, -u, u)))


tanh = _unary("tanh", np.tanh, lambda g, y, u: (1 - y**2) * g, ufunc=np.tanh, latex=r"\tanh")
sigmoid = _unary("sigmoid", _sigmoid, lambda g, y, u: y * (1 - y) * g, latex=r"\sigma")
exp = _unary("exp", np.exp, lambda g, y, u: y * g, ufunc=np.exp, latex=r"\exp")
log = _unary("log", np.log, lambda g, y, u: g / u, ufunc=np.log, latex=r"\log", domain="u > 0")
sqrt = _unary("sqrt", np.sqrt, lambda g, y, u: g / (2 * y), ufunc=np.sqrt, domain="u > 0")
sin: Op = _unary("sin", np.sin, lambda g, y, u: cos(u) * g, ufunc=np.sin, latex=r"\sin")
cos: Op = _unary("cos", np.cos, lambda g, y, u: -(sin(u) * g), ufunc=np.cos, latex=r"\cos")
softplus = _unary("softplus", softplus_value, lambda g, y, u: sigmoid(u) * g)


def where(comparison: Comparison, chosen: Any, otherwise: Any) -> Expr:
    """Return `chosen` where the comparison of values holds, else `otherwise`, entry by entry."""
    if not isinstance(comparison, Comparison):
        raise NotationError(
            "where decides by a comparison of values", remedy="write where(u > 0, a, b)"
        )
    return OPS["where"](
        comparison.left, comparison.right, chosen, otherwise, attr=comparison.relation
    )


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}


def _select(relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
    return np.where(_RELATIONS[relation](np.real(left), np.real(right)), a, b)


def _where_rule(
    g: Expr, y: Expr, left: Expr, right: Expr, a: Expr, b: Expr
) -> tuple[Expr | None, ...]:
    test = Comparison(y.attr, left, right)
    return None, None, fit(where(test, g, 0), a), fit(where(test, 0, g), b)


declare(
    Op(
        "where",
        4,
        elementwise("where"),
        forward=_select,
        vjp=_where_rule,
        exact=lambda algebra, relation, *args: algebra.where(relation, *args),
        takes_attr=True,
        blocked=(0, 1),
        kinks="where both sides of the comparison are equal",
        doc="a choice by value; the comparison itself has no cotangent",
    )
)
relu = _unary(
    "relu",
    lambda u: np.where(np.real(u) < 0, 0, u) + 0,
    lambda g, y, u: where(u > 0, g, 0),
    kinks="u = 0",
)
absolute = _unary(
    "abs",
    lambda u: np.where(np.real(u) < 0, -u, u) + 0,
    lambda g, y, u: where(u > 0, g, where(u < 0, -g, 0)),
    ufunc=np.absolute,
    kinks="u = 0",
)


def _extremum(name: str, ufunc: np.ufunc, relation: str) -> Op:
    def rule(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        test = Comparison(relation, a, b)
        return fit(where(test, g, 0), a), fit(where(test, 0, g), b)

    return declare(
        Op(
            name,
            2,
            elementwise(name),
            forward=lambda a, b: (
                _select(relation, a, b, a, b) if np.iscomplexobj(a + b) else ufunc(a, b)
            ),
            vjp=rule,
            exact=lambda algebra, a, b: getattr(algebra, name)(a, b),
            ufunc=ufunc,
            latex=rf"\{name[:3]}",
            kinks="a = b",
        )
    )


maximum = _extremum("maximum", np.maximum, ">=")
minimum = _extremum("minimum", np.minimum, "<=")
stop_gradient = _unary(
    "stop_gradient",
    lambda u: u,
    lambda g, y, u: None,  # type: ignore[arg-type, return-value]
    blocked=(0,),
    doc="its operand, held constant for differentiation",
)
