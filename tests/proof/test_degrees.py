"""Bounds of degrees and coefficients hold for the quotients that they are about."""

import pytest

from graphgrad.proof.degrees import ONE, ZERO, Bounds, Shadow
from graphgrad.proof.poly import UndecidableError

LINEAR, SQUARE = Shadow(1, 1.0), Shadow(2, 3.0)


def test_sums_and_products():
    bounds = Bounds()
    assert bounds.sum([LINEAR, SQUARE, ZERO], 4) == Shadow(2, 3.0 + 3.0)
    assert bounds.product(LINEAR, SQUARE, ONE) == Shadow(3, 4.0)
    assert bounds.product(LINEAR, ZERO) == ZERO
    assert bounds.sum([ZERO]) == ZERO


def test_quotients_are_brought_to_one_denominator():
    bounds = Bounds()
    a, b = bounds.inverse(LINEAR, 1), bounds.inverse(SQUARE, 3)
    assert a == Shadow(0, 0.0, {0: 1})
    assert b == Shadow(4, 6.0, {1: 1})  # 1/u of three entries, over the product of all
    assert bounds.total(b) == (4 + 6, 6.0 + 9.0)
    both = bounds.sum([a, b])  # 1/p + n/q = (q + n*p)/(p*q)
    assert both.divisors == {0: 1, 1: 1}
    assert both.degree == max(6, 4 + 1)
    assert bounds.product(a, a).divisors == {0: 2}
    square = bounds.product(a, a)
    assert bounds.sum([a, square]) == bounds.sum([square, a]) == Shadow(1, 2.0, {0: 2})
    assert bounds.inverse(a, 1).degree == 1  # 1/(1/p) = p


def test_arguments_of_functions_are_counted():
    bounds = Bounds()
    quotient = bounds.inverse(LINEAR, 1)
    assert bounds.atom([SQUARE, quotient], 5) == Shadow(1)
    assert bounds.atom([LINEAR], 2) == Shadow(1)
    assert (bounds.atoms, bounds.largest, bounds.widest) == (7, 2, 3.0)


def test_no_inverse_of_zero():
    with pytest.raises(UndecidableError):
        Bounds().inverse(ZERO, 1)
