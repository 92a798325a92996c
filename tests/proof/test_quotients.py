"""Division in the ring of the field: inverses, exact quotients, numerators without definitions."""

from fractions import Fraction
from random import Random

import pytest

from graphgrad.proof.poly import PRIME, Generator, UndecidableError
from graphgrad.proof.quotients import QuotientRing


@pytest.fixture
def ring():
    return QuotientRing(random=Random(1))


def free(ring, count):
    return [ring.generator(Generator(ring.draw())) for _ in range(count)]


def same(ring, one, other):
    """Whether two polynomials are one, both in symbols and at the random point."""
    assert ring.consistent
    return ring.is_zero(ring.subtract(one, other)) and one.value == other.value


@pytest.mark.parametrize("factor", [Fraction(3, 2), Fraction(-3, 2), Fraction(-1)])
def test_a_monomial_is_inverted_without_a_new_generator(ring, factor):
    a, b = free(ring, 2)
    found = ring.inverse(ring.scale(ring.multiply(a, ring.multiply(b, b)), factor))
    assert len(ring.generators) == 2
    assert len(found.terms) == 1
    assert same(ring, ring.product([found, a, b, b]), ring.constant(1 / factor))


def test_a_sum_has_one_inverse_whatever_stands_before_it(ring):
    a, b = free(ring, 2)
    gap = ring.subtract(a, b)
    inverse = ring.inverse(gap)
    count = len(ring.generators)
    for factor in (ring.constant(-1), ring.constant(Fraction(5, 7)), a, ring.multiply(b, b)):
        other = ring.inverse(ring.multiply(factor, gap))
        assert same(ring, ring.multiply(other, factor), inverse)
    assert len(ring.generators) == count == 3
    assert same(ring, ring.multiply(inverse, gap), ring.constant(1))


def test_other_sums_have_other_inverses(ring):
    a, b = free(ring, 2)
    one, other = ring.inverse(ring.add([a, b])), ring.inverse(ring.subtract(a, b))
    assert not ring.is_zero(ring.subtract(one, other))
    assert len(ring.generators) == 4


def test_nothing_is_divided_by_what_vanishes(ring):
    a, b = free(ring, 2)
    square = ring.power(ring.add([a, b]), 2)
    parts = [ring.power(a, 2), ring.scale(ring.multiply(a, b), 2), ring.power(b, 2)]
    with pytest.raises(UndecidableError, match="vanishes identically"):
        ring.inverse(ring.subtract(square, ring.add(parts)))


def test_inverses_of_roots_are_roots(ring):
    """1/r = r²/u for r³ = u."""
    (u,) = free(ring, 1)
    value = ring.draw()
    ring.generators[0].value = u.value = pow(value, 3, PRIME)
    r = ring.generator(Generator(value, degree=3, replacement=u))
    for root, left in ((r, 1), (ring.multiply(r, r), 2)):
        found = ring.inverse(root)
        assert same(ring, ring.multiply(found, root), ring.constant(1))
        assert same(ring, ring.multiply(found, u), ring.power(r, 3 - left))
    assert len(ring.generators) == 2


def test_exact_quotients_stay_polynomials(ring):
    """(a³ - b³) / (a - b) is a sum of three terms, and a/(a - b) keeps its denominator."""
    a, b = free(ring, 2)
    gap = ring.subtract(a, b)
    inverse = ring.inverse(gap)
    whole = ring.multiply(ring.subtract(ring.power(a, 3), ring.power(b, 3)), inverse)
    numerator, removed = ring.clear(whole)
    assert not any(removed.values())
    assert len(numerator.terms) == 3
    numerator, removed = ring.clear(ring.multiply(a, inverse))
    assert removed == {2: -1}
    assert same(ring, numerator, a) or same(ring, numerator, ring.scale(a, -1))


def test_cleared_numerators_are_what_they_say(ring):
    """poly = numerator · Π gᵏ, with denominators inside denominators."""
    a, b, c = free(ring, 3)
    inner = ring.add([a, ring.inverse(ring.add([b, c]))])
    nested = ring.add([ring.multiply(c, ring.inverse(inner)), ring.inverse(ring.add([a, b])), b])
    numerator, removed = ring.clear(nested)
    assert all(ring.generators[i].definition is None for i in ring.present(numerator.terms))
    value = numerator.value
    for index, exponent in removed.items():
        value = value * pow(ring.generators[index].value, exponent, PRIME) % PRIME
    assert value == nested.value
    point = {index: ring.generators[index].value for index in range(3)}
    terms = 0
    for monomial, coefficient in numerator.terms.items():
        for index, number in point.items():
            coefficient *= pow(number, ring.exponent(monomial, index), PRIME)
        terms += coefficient
    assert terms * pow(numerator.den, -1, PRIME) % PRIME == numerator.value


def test_definitions_are_written_out_where_they_do_not_divide(ring):
    a, b = free(ring, 2)
    total = ring.add([a, b])
    short = ring.inverse(ring.inverse(total))
    divided = ring.add([short, ring.inverse(total)])
    assert len(short.terms) == 1
    assert ring.expand(short).terms == total.terms
    assert ring.expand(divided).terms == divided.terms


def test_content_is_what_all_terms_share(ring):
    a, b = free(ring, 2)
    poly = ring.scale(ring.multiply(a, ring.subtract(ring.scale(b, 4), ring.scale(a, 6))), -1)
    number, monomial, rest = ring.content(ring.scale(poly, Fraction(1, 5)))
    assert number == Fraction(2, 5)
    assert monomial.terms == a.terms
    assert sorted(rest.terms.values()) == [-2, 3]
    again = ring.scale(ring.multiply(monomial, rest), number)
    assert same(ring, again, ring.scale(poly, Fraction(1, 5)))


def test_a_step_is_content_of_nothing(ring):
    """A generator with a relation cannot be divided by: s² = s holds for 0 as well."""
    (a,) = free(ring, 1)
    s = ring.generator(Generator(1, degree=2))
    ring.generators[1].replacement = s
    _, monomial, rest = ring.content(ring.multiply(ring.multiply(a, a), s))
    assert monomial.terms == ring.multiply(a, a).terms
    assert rest.terms == s.terms
