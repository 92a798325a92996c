"""Polynomials of a certificate as text."""

from fractions import Fraction

from graphgrad.proof.generators import Generators
from graphgrad.proof.render import LONGEST, shown
from graphgrad.proof.sparse import Relations


def test_polynomials_as_text():
    table = Generators(Relations())
    x, y = ({(table.new("input", name),): 1} for name in "xy")
    (gx,), (gy,) = next(iter(x)), next(iter(y))
    assert shown(table, {}) == "0"
    assert shown(table, {(): -1, (gx,): 1}) == "-1 + x"
    assert shown(table, {(gx, gx, gy): Fraction(-3, 2), (gy,): 1}) == "-3/2*x**2*y + y"
    assert shown(table, table.tanh(table.product(x, y))) == "tanh(x*y)"
    assert shown(table, table.inverse({(): 1, (gx,): 2})) == "(1/(1 + 2*x))"
    assert shown(table, table.inverse(x)) == "(1/x)"
    assert shown(table, table.root(y, 3)) == "(y)**(1/3)"
    assert shown(table, table.stop_gradient({(table.new("param", "W", active=True),): 1})) == "(W)"


def test_long_polynomials_are_cut():
    table = Generators(Relations())
    terms = {(table.new("input", f"x_{k}"),): 1 for k in range(LONGEST + 3)}
    assert shown(table, terms).endswith("x_11 + … (3 more terms)")
    assert shown(table, table.tanh(terms)) == "tanh(…)"
