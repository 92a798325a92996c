"""Sparse polynomials: products reduced by relations, quotients, keys, and limits."""

from fractions import Fraction

import pytest

from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.sparse import (
    Relations,
    add_product,
    cleaned,
    constant,
    key_of,
    leading_sign,
    quotient,
    scaled,
    total,
)


def test_sums_and_products():
    a, b = {(1,): 2, (): 1}, {(1,): -2, (2,): 3}
    assert total([a, b]) == {(): 1, (2,): 3}
    out = {}
    add_product(out, a, b)
    assert cleaned(out) == {(1, 1): -4, (1, 2): 6, (1,): -2, (2,): 3}
    assert scaled(a, 0) == {}
    assert constant("0.1") == {(): Fraction(1, 10)}
    assert constant(0) == {}


@pytest.mark.parametrize(
    ("terms", "by", "found"),
    [
        ({(1, 2): 6, (1, 3): 2}, {(2,): 3, (3,): 1}, {(1,): 2}),
        ({(1, 2): 6, (1, 3): 3}, {(2,): 3, (3,): 1}, None),
        ({(2,): 3}, {(2,): 3, (3,): 1}, None),
        ({}, {}, None),
    ],
)
def test_quotients_by_a_monomial(terms, by, found):
    assert quotient(terms, by) == found


def test_equal_polynomials_share_a_key():
    assert key_of({(1,): 2, (2,): 1}) == key_of({(2,): 1, (1,): 2})
    assert key_of({(1,): 2}) != key_of({(1,): 3})
    assert leading_sign({(2,): -1, (1,): 3}) == 1
    assert leading_sign({(): -1, (1,): 3}) == -1


def test_relations_are_applied_until_none_is_left():
    known = Relations()
    known.invertible(1, 2)  # 1 and 2 are inverse
    known.power(3, 2, {(): 1, (4,): -1})  # g3**2 = 1 - g4
    known.exclude([5, 6, 7])
    known.product(8, 9, {(9,): 1, (): -1})  # g8*g9 = g9 - 1
    assert known.reduced({(1, 2, 2): 3}) == {(2,): 3}
    assert known.reduced({(3, 3, 3): 1}) == {(3,): 1, (3, 4): -1}
    assert known.reduced({(5, 7): 1, (5, 5): 2}) == {(5, 5): 2}
    assert known.reduced({(8, 8, 9): 1}) == {(9,): 1, (): -1, (8,): -1}
    assert known.reduced({(3, 3): 1, (4,): 1, (): -1}) == {}


def test_lets_for_products_only_while_folding():
    known = Relations()
    known.pair(1, 2, 9)
    assert known.reduced({(1, 2, 3): 1}) == {(1, 2, 3): 1}
    known.folding = True
    assert known.reduced({(1, 2, 3): 1}) == {(3, 9): 1}


def test_limits():
    known = Relations(max_terms=10)
    known.charge(10)
    with pytest.raises(UndecidableError, match="up to 11 terms"):
        known.charge(11)
    with pytest.raises(UndecidableError, match="has 11 terms"):
        known.hold(11)
    known.keep(2_999_999)
    known.release(5)
    known.keep(6)
    with pytest.raises(UndecidableError, match="have to be kept"):
        known.keep(1)
