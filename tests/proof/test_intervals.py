"""Intervals contain what they should, in both arithmetics, and refuse what is on an edge."""

from fractions import Fraction

import pytest
import sympy
from sympy import Rational, Symbol

from graphgrad.proof import functions as gg
from graphgrad.proof.intervals import OutsideDomainError, Sample, outward, working_precision
from graphgrad.proof.nodes import Nodes

x, y = Symbol("x", real=True), Symbol("y", real=True)
AT = {x: Fraction(-3, 7), y: Fraction(5, 4)}


pytestmark = pytest.mark.usefixtures("arithmetic")


def ends(expression, precision=80):
    nodes = Nodes()
    root = nodes.intern(expression)
    point = {nodes.intern(symbol): value for symbol, value in AT.items()}
    sample = Sample(nodes, precision)
    value = sample.enclose(root, point, lambda: None)
    with working_precision(precision):
        return sample.numbers.ends(value)


TRUE = {
    "exp": (sympy.exp(x * y), sympy.exp(x * y)),
    "sigma": (gg.sigma(x), 1 / (1 + sympy.exp(-x))),
    "softplus": (gg.softplus(x), sympy.log(1 + sympy.exp(x))),
    "tanh": (sympy.tanh(x), sympy.tanh(x)),
    "tan": (sympy.tan(y, evaluate=False), sympy.sin(y) / sympy.cos(y)),
    "cosh": (sympy.cosh(x), (sympy.exp(x) + sympy.exp(-x)) / 2),
    "root": (y ** Rational(-3, 2), 1 / (y * sympy.sqrt(y))),
    "cube root": (y ** Rational(1, 3), y ** Rational(1, 3)),
    "power": (y**x, sympy.exp(x * sympy.log(y))),
    "relu": (gg.relu(x) + gg.relu(y), y),
    "abs": (gg.absolute(x), -x),
    "sign": (gg.sign(x) + 2 * gg.step(y), sympy.Integer(1)),
    "where": (gg.where(x, x, y), y),
    "maximum": (gg.maximum(x, y) - gg.minimum(x, y), y - x),
    "pi": (sympy.pi * x, sympy.pi * x),
}


@pytest.mark.parametrize("name", TRUE)
def test_the_value_is_inside_and_the_interval_narrow(name):
    expression, same = TRUE[name]
    low, high = ends(expression)
    values = {symbol: Rational(v.numerator, v.denominator) for symbol, v in AT.items()}
    value = Fraction(str(sympy.N(same.subs(values), 40)))
    assert low - Fraction(1, 10**35) <= value <= high + Fraction(1, 10**35)
    assert high - low < Fraction(1, 10**18)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (sympy.log(x), "log or a root"),
        (sympy.sqrt(x, evaluate=False), "log or a root"),
        (1 / (x + Rational(3, 7)), "separated from zero"),
        (gg.step(x + Rational(3, 7)), "separated from zero"),
        (sympy.exp(10**7 * y), "too large"),
        (y ** (10**7), "exponent is too large"),
        (sympy.gamma(y), "no interval rule"),
    ],
)
def test_what_is_outside_is_refused(expression, reason):
    with pytest.raises(OutsideDomainError, match=reason):
        ends(expression)


def test_ends_are_rounded_outwards():
    low, high = outward(Fraction(1, 3), Fraction(2, 3), digits=4)
    assert (str(low), str(high)) == ("0.3333", "0.6667")
    low, high = outward(Fraction(-2, 3), Fraction(-1, 3), digits=4)
    assert (str(low), str(high)) == ("-0.6667", "-0.3333")
