"""Expressions are cheap and immutable; operators and NumPy build what they look like."""

from __future__ import annotations

import numpy as np
import pytest

from graphgrad.dims import Dim, Token
from graphgrad.errors import GraphgradError, NotationError, ShapeError
from graphgrad.ir import (
    OPS,
    Comparison,
    Expr,
    constant,
    lift,
    rebuilt,
    type_text,
)


def leaf(name: str, *dims: str) -> Expr:
    return Expr(OPS["param"], attr=name, type=tuple(Dim.of(d) for d in dims))


def test_types_are_worked_out_where_they_are_known() -> None:
    W, v = leaf("W", "H", "K"), leaf("v", "K")
    assert (W @ v).shape == (Dim.of("H"),)
    assert (2 * W).shape == W.shape
    assert W.T.shape == (Dim.of("K"), Dim.of("H"))
    unknown = Expr(OPS["read"], attr=("h", 1))
    assert (unknown + v).type is None
    with pytest.raises(ShapeError, match="not known yet"):
        _ = unknown.shape
    with pytest.raises(ShapeError, match="a token has no shape"):
        _ = Expr(OPS["input"], attr="x", type=Token(Dim.of("N"))).shape
    with pytest.raises(ShapeError):
        W @ W


def test_operators_build_the_ops_they_look_like() -> None:
    a, b = leaf("a"), leaf("b")
    made = {"add": a + b, "sub": a - b, "mul": a * b, "div": a / b, "pow": a**b, "neg": -a,
            "abs": abs(a)}  # fmt: skip
    for name, expr in made.items():
        assert expr.op.name == name
    for name, expr in {"add": 1 + a, "sub": 1 - a, "mul": 2 * a, "div": 2 / a, "pow": 2**a}.items():
        assert expr.op.name == name
        assert expr.args[0].op.name == "const"
        assert expr.args[1] is a
    v = leaf("v", "H")
    assert (v @ v).op.name == "matmul"
    assert +a is a
    assert (-constant(3)).attr == -3


def test_comparisons() -> None:
    a, b = leaf("a"), leaf("b")
    for made, relation in ((a > b, ">"), (a >= b, ">="), (a < b, "<"), (a <= b, "<=")):
        assert isinstance(made, Comparison)
        assert made.relation == relation
        assert (made.left, made.right) == (a, b)
    assert (a < 2).relation == "<"


def test_lift() -> None:
    a = leaf("a")
    assert lift(a) is a
    for value in (2, 2.5, np.float64(2.5), np.int32(2), np.float32(0.5)):
        assert lift(value).op is OPS["const"]
        assert type(lift(value).attr) in (int, float)
    for wrong in (True, np.bool_(True), "a", None, [1], np.ones(2), 1j, object()):
        with pytest.raises(NotationError) as caught:
            lift(wrong)
        assert caught.value.remedy


def test_constants_are_finite() -> None:
    for wrong in (float("nan"), float("inf"), 10**400):
        with pytest.raises(NotationError):
            constant(wrong)


def test_rebuilt() -> None:
    a, b = leaf("a"), leaf("b")
    expr = a + b
    assert rebuilt(expr, [a, b]) is expr
    assert rebuilt(expr, [b, b]).args == (b, b)
    v = leaf("v", "H")
    assert rebuilt(expr, [v, b]).shape == v.shape


def test_wrong_number_of_arguments() -> None:
    with pytest.raises(NotationError) as caught:
        OPS["maximum"](leaf("a"))
    assert caught.value.message == "maximum takes 2 arguments, not 1"
    assert caught.value.remedy == "write maximum(u, v)"


def test_texts() -> None:
    assert type_text(Token(Dim.of("N"))) == "token(N)"
    assert type_text((Dim.of("H"),)) == "(H)"
    assert type_text(()) == "scalar"
    assert repr(leaf("a", "H")) == "<param a: (H)>"
    assert repr(Expr(OPS["add"])) == "<add: ?>"


def test_brackets() -> None:
    E, x = leaf("E", "N", "H"), Expr(OPS["input"], attr="x", type=Token(Dim.of("N")))
    assert E[x].op.name == "lookup"
    for wrong in (0, slice(1), "a", None, (0, 0)):
        with pytest.raises(GraphgradError) as caught:
            E[wrong]
        assert caught.value.remedy
