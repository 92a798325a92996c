"""Numbers modulo a prime: arithmetic with tangents against fractions, and drawn functions."""

from fractions import Fraction
from random import Random

import pytest
import sympy

from graphgrad.proof.residues import Residue, ResidueAlgebra, Table, UnluckyError

PRIME = 2**61 - 1
A, B = sympy.symbols("a b")
FORMULAS = {
    "sum": lambda a, b: a + 2 * b - 3,
    "difference": lambda a, b: 1 - a - b,
    "product": lambda a, b: a * b * a,
    "quotient": lambda a, b: a / b + 1 / (a + b),
    "powers": lambda a, b: a**3 + b**-2 + a**0,
}


@pytest.fixture
def table():
    return Table(PRIME, Random(0))


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_tangents(table, name):
    """Against SymPy's derivative in the direction (2, -1)."""
    formula, at = FORMULAS[name], {A: sympy.Rational(3, 7), B: sympy.Rational(-5, 2)}
    symbolic = formula(A, B)
    slope = (2 * symbolic.diff(A) - symbolic.diff(B)).subs(at)
    got = formula(
        *(
            Residue(table, table.lifted(Fraction(value.p, value.q)), direction)
            for value, direction in zip(at.values(), (2, -1), strict=True)
        )
    )
    for found, want in ((got.value, symbolic.subs(at)), (got.tangent, slope)):
        assert found == table.lifted(Fraction(int(want.p), int(want.q)))


def test_equal_arguments_share_a_value(table):
    algebra = ResidueAlgebra(table)
    tanh = algebra.function("tanh")
    a = Residue(table, table.lifted(Fraction(1, 3)), 1)
    same, other = tanh(a * 3 / 3), tanh(a + 1)
    first = tanh(a)
    assert (first.value, first.tangent) == (same.value, same.tangent)
    assert first.value != other.value
    assert first.tangent == (1 - first.value**2) % PRIME
    exp = algebra.function("exp")(a)
    assert exp.tangent == exp.value


def test_powers_whose_exponents_differ_by_one(table):
    a, half = Residue(table, 9), Fraction(1, 2)
    assert ((a**half) * a).value == (a ** (half + 1)).value


def test_no_inverse_of_zero(table):
    with pytest.raises(UnluckyError):
        Residue(table, 1) / Residue(table, PRIME)
