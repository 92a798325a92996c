"""Atoms of a certificate stand for their functions: in numbers, and with their derivatives."""

import itertools
import math
from fractions import Fraction

import pytest

from graphgrad.proof.generators import Generators
from graphgrad.proof.sparse import Relations, scaled, total

U = 0.7
HALF = Fraction(1, 2)
FUNCTIONS = {
    "tanh": math.tanh,
    "sigmoid": lambda u: 1 / (1 + math.exp(-u)),
    "exp": math.exp,
    "softplus": lambda u: math.log1p(math.exp(u)),
    "log": math.log,
    "sin": math.sin,
    "cos": math.cos,
}
RELATED = [
    ("sigmoid", 1),
    ("sigmoid", -1),
    ("tanh", HALF),
    ("exp", 1),
    ("exp", -1),
    ("tanh", -HALF),
]


@pytest.fixture
def table():
    return Generators(Relations())


def number(table, terms):
    """The value of a polynomial at u = U."""
    values = {}
    for gid, item in enumerate(table.items):
        args = [evaluated(arg, values) for arg in item.args]
        if not args:
            values[gid] = U
        elif item.kind == "inverse":
            values[gid] = 1 / args[0]
        elif item.kind == "name":
            (values[gid],) = args
        else:
            values[gid] = FUNCTIONS[item.kind](*args)
    return evaluated(terms, values)


def evaluated(terms, values):
    return sum(float(c) * math.prod(values[g] for g in m) for m, c in terms.items())


@pytest.mark.parametrize("order", itertools.permutations(RELATED, 3))
def test_related_functions_keep_their_values(table, order):
    """Whichever of them comes first, and however they are multiplied and inverted."""
    u = {(table.new("input", "u", active=True),): 1}
    found, truth = [], []
    for name, factor in order:
        found.append(getattr(table, name)(scaled(u, factor)))
        truth.append(FUNCTIONS[name](float(factor) * U))
    whole, want = {(): 1}, 1.0
    for terms, value in zip(found, truth, strict=True):
        assert number(table, terms) == pytest.approx(value)
        one = total([{(): 1}, terms])
        for factor, true in (
            (terms, value),
            (one, 1 + value),
            (table.inverse(one), 1 / (1 + value)),
        ):
            whole, want = table.product(whole, factor), want * true
            assert number(table, whole) == pytest.approx(want)
            square = table.product(whole, whole)
            assert number(table, square) == pytest.approx(want**2)


def test_odds_and_slopes_in_partial_fractions(table):
    u = {(table.new("input", "u"),): 1}
    s = table.sigmoid(u)
    e, opposite = table.exp(u), table.exp(scaled(u, -1))
    one = {(): 1}
    assert table.product(e, opposite) == one
    assert table.inverse(total([one, opposite])) == s
    assert table.inverse(total([one, e])) == total([one, scaled(s, -1)])
    slope = table.product(s, total([one, scaled(s, -1)]))
    square = table.product(table.inverse(total([one, e])), table.inverse(total([one, e])))
    assert table.product(e, square) == slope
    bent = table.tanh(scaled(u, HALF))
    assert total([one, scaled(table.product(bent, bent), -1)]) == scaled(slope, 4)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "softplus", "log", "sin", "cos"])
def test_derivatives(table, name):
    u = {(table.new("input", "u", active=True),): 1}
    value = getattr(table, name)(u)
    ((gid,),) = value
    (slope,) = table.slopes(gid)
    step = 1e-6
    difference = (FUNCTIONS[name](U + step) - FUNCTIONS[name](U - step)) / (2 * step)
    assert number(table, slope) == pytest.approx(difference, rel=1e-6)
