"""Deciding zero for random expressions: rearranged, perturbed, and independent ones."""

import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Rational, cos, exp, log, sin, sqrt, tanh

from graphgrad.proof.functions import (
    absolute,
    maximum,
    minimum,
    relu,
    sigma,
    sign,
    softplus,
    step,
    where,
)
from graphgrad.proof.zero import Field
from tests.proof.zeros import certified, product, x, y, z


def apart(pair, *, fractions):
    """Two forms of one function; the second is rearranged by an identity."""
    left, right = pair
    forms = [
        (left * (1 + x), right + product(x, right)),
        (tanh(left), -tanh(-right)),
        (sigma(left), 1 - sigma(-right)),
        (softplus(left), right + softplus(-right)),
        (left, right * (sin(y + z) ** 2 + cos(z + y) ** 2)),
        (cos(left - y), cos(y - right)),
    ]
    if fractions:
        forms += [
            (1 / (2 + left**2), (2 + right**2) / (2 + product(right, right)) ** 2),
            (sqrt(1 + left**2) ** 3, (1 + right**2) * sqrt(1 + product(right, right))),
        ]
    else:
        forms += [
            (exp(left + x), exp(right) * exp(x)),
            (log(1 + exp(left)), right + log(exp(-right) + 1)),
        ]
    return st.sampled_from(forms)


def joined(two, *, fractions):
    (left, right), (left_2, right_2) = two
    forms = [
        (left + left_2, right_2 + right),
        (left * (left_2 + y), right * right_2 + product(right, y)),
        ((left + left_2) * (left - left_2), right**2 - right_2**2),
    ]
    if fractions:
        quotient = right - product(right, right_2**2) / (1 + right_2**2)
        forms.append((left / (1 + left_2**2), quotient))
    else:
        forms.append((exp(left - left_2), exp(right) / exp(right_2)))
    return st.sampled_from(forms)


def twins_with(*, fractions):
    """Pairs of forms; exp of a sum of fractions has no normal form here, so one or the other."""
    leaves = st.sampled_from([x, y, z, Rational(1, 2), Rational(-3), x * y, y - z])
    return st.recursive(
        leaves.map(lambda leaf: (leaf, leaf)),
        lambda inner: st.one_of(
            inner.flatmap(lambda pair: apart(pair, fractions=fractions)),
            st.tuples(inner, inner).flatmap(lambda two: joined(two, fractions=fractions)),
        ),
        max_leaves=5,
    )


twins = twins_with(fractions=True) | twins_with(fractions=False)
moderate = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@moderate
@given(twins)
def test_rearranged_expressions_are_zero(pair):
    decision = Field(max_terms=5000).equal(*pair, time_limit=5)
    assert decision.verdict == "zero" or "terms" in decision.reason or "time" in decision.reason


def test_roots_that_have_no_value_at_the_first_points():
    """Several roots at once: a point at which all have a value is looked for long enough."""
    cube = (x**2 * y**2 + 1) ** 3
    inner = product(x * y, x * y) + 1
    root = product(x**2 * y**2 + 1, sqrt(inner))
    left = sympy.cos(y - (cube + 1) ** Rational(3, 2))
    squared = sqrt(product(root, root) + 1)
    right = sympy.cos(y - product(squared, (x**2 * y**2 + 1) ** 2 * inner + 1))
    assert left != right
    assert Field(max_terms=5000).equal(left, right).verdict == "zero"


def perturbations(pair):
    left, right = pair
    small = st.fractions(-2, 2, max_denominator=10**6).filter(bool).map(Rational)
    shift = st.sampled_from([sympy.S.One, x, y * z, tanh(x), exp(-y), 1 / (1 + z**2)])
    return st.tuples(st.just(left), st.just(right), small, shift)


@moderate
@given(twins.flatmap(perturbations))
def test_perturbed_expressions_are_never_zero(case):
    left, right, factor, shift = case
    decision = Field(max_terms=5000).equal(left, right + factor * shift, time_limit=5)
    assert decision.verdict in ("nonzero", "undecided")
    if decision.verdict == "nonzero":
        assert certified(decision, left - right - factor * shift)


kinked = st.recursive(
    st.sampled_from([x, y, z, x - y, Rational(1, 3), x * z]),
    lambda inner: st.one_of(
        inner.map(relu),
        inner.map(step),
        inner.map(sign),
        inner.map(absolute),
        inner.map(sigma),
        inner.map(lambda u: -u),
        st.tuples(inner, inner).map(lambda s: s[0] + s[1]),
        st.tuples(inner, inner).map(lambda s: s[0] * s[1]),
        st.tuples(inner, inner).map(lambda s: maximum(*s)),
        st.tuples(inner, inner).map(lambda s: minimum(*s)),
        st.tuples(inner, inner, inner).map(lambda s: where(*s)),
    ),
    max_leaves=6,
)
POINTS = [
    {x: Rational(3, 7), y: Rational(-5, 11), z: Rational(2, 9)},
    {x: Rational(-8, 7), y: Rational(13, 17), z: Rational(-23, 19)},
    {x: Rational(29, 31), y: Rational(37, 23), z: Rational(-1, 43)},
]


@moderate
@given(kinked, kinked)
def test_verdicts_agree_with_sympys_numbers(left, right):
    """Independent expressions: where a number differs from 0, the verdict is not "zero"."""
    difference = left - right
    values = [sympy.N(difference.subs(point), 40) for point in POINTS]
    decision = Field(max_terms=5000).equal(left, right, time_limit=5)
    if any(abs(value) > Rational(1, 10**30) for value in values):
        assert decision.verdict != "zero"
    if decision.verdict == "nonzero":
        assert certified(decision, difference)
