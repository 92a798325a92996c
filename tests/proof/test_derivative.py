"""Derivatives by distinct subexpressions agree with SymPy's own."""

import time

import pytest
import sympy

from graphgrad.proof import functions as own
from graphgrad.proof.derivative import Derivatives, _distinct

x, y, z = sympy.symbols("x y z", real=True)
DEEP = sympy.tanh(x * sympy.tanh(x * sympy.tanh(x * y + z) + z) + z)


@pytest.mark.parametrize(
    "expr",
    [
        sympy.S(3),
        x,
        y,
        x**2 * y + z,
        x**y,
        2**x,
        (x + y) ** 3 / (1 + x**2),
        sympy.exp(x) * sympy.log(1 + x**2),
        sympy.sin(x * y) * sympy.cos(x),
        sympy.sqrt(1 + x**2),
        DEEP,
        DEEP**2 + x * DEEP,
        own.sigma(x * own.sigma(x + y)),
        own.softplus(x * y),
        own.relu(x * y),
        own.absolute(x - y),
        own.maximum(x * y, z),
        own.where(x - y, x * z, x**2),
        own.stop(x) * x,
    ],
    ids=str,
)
@pytest.mark.parametrize("symbol", [x, y])
def test_agrees_with_sympy(expr, symbol):
    found = Derivatives(expr).by(symbol)
    truth = sympy.diff(expr, symbol)
    point = {x: sympy.Rational(3, 7), y: sympy.Rational(-5, 11), z: sympy.Rational(2, 13)}
    if not expr.has(*(f for f in (own.stop, own.relu, own.absolute, own.maximum, own.where))):
        assert sympy.N((found - truth).subs(point), 30) == pytest.approx(0, abs=1e-25)
    else:
        assert sympy.expand(found - truth) == 0


def test_repeated_arguments_count_twice():
    f = sympy.Function("f")
    assert sympy.expand(Derivatives(x * x).by(x) - 2 * x) == 0
    assert Derivatives(f(x, x)).by(x) == sympy.diff(f(x, x), x)


def test_what_does_not_occur_has_derivative_zero():
    assert Derivatives(DEEP).by(sympy.Symbol("w")) == 0


def test_distinct_parts_come_before_their_users():
    order = _distinct(DEEP)
    assert len(order) == len(set(order))
    for position, part in enumerate(order):
        assert all(order.index(arg) < position for arg in part.args)
    assert order[-1] == DEEP


def test_shared_parts_are_visited_once():
    """As a tree this expression has more than 2**60 parts."""
    expr = x
    for _ in range(60):
        expr = sympy.Mul(expr + 1, own.sigma(expr), evaluate=False)
    start = time.monotonic()
    Derivatives(expr).by(x)
    assert time.monotonic() - start < 5
