"""What a wrong gradient is in terms of the right one: ratios, factors, tables of contributions."""

from fractions import Fraction

import numpy as np
import pytest

from graphgrad.proof.counts import (
    Counts,
    counts_cause,
    counts_lines,
    factor_text,
    simple_ratio,
    solved,
)

WANT = np.array([0.5, -2.0, 3.0])


@pytest.mark.parametrize(
    ("got", "ratio"),
    [
        (WANT * -1, -1),
        (WANT / 3, Fraction(1, 3)),
        (WANT * 1.0001, None),
        (WANT + np.array([0, 0, 1e-6]), None),
        (WANT * 0, None),
        (WANT * np.inf, None),
    ],
)
def test_simple_ratios(got, ratio):
    assert simple_ratio(got, WANT) == ratio


def test_no_ratio_to_what_is_zero_where_the_result_is_not():
    assert simple_ratio(np.array([2.0, 1.0]), np.array([1.0, 0.0])) is None
    assert simple_ratio(np.array([2.0, 0.0]), np.array([1.0, 0.0])) == 2


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Fraction(-1), "sign is wrong"),
        (Fraction(1, 4), "average over the steps"),
        (Fraction(4), "sum over the steps"),
        (Fraction(1, 3), "divided by the 3 examples"),
        (Fraction(3), "not divided by the 3 examples"),
        (Fraction(1, 2), "times 1/2"),
    ],
)
def test_factors_in_words(ratio, said):
    text = factor_text(ratio, 4, 3, at_once=False)
    assert said in text
    assert ("step" in factor_text(ratio, 4, 3, at_once=True)) is False


@pytest.mark.parametrize("tau", [2, 3])
def test_a_rounded_factor_is_no_truncation(tau):
    parts = np.random.default_rng(0).normal(size=(9, tau * tau))
    for place in range(tau * tau):
        parts[:, place] *= place % (tau + 1) == 0  # uses count for the loss of their own step
    assert solved("W", parts, parts.sum(axis=1) * (1 + 1e-6), tau) is None
    right = solved("W", parts, parts.sum(axis=1), tau)
    assert counts_cause(right) == ""


def test_what_is_no_number_has_no_counts():
    parts = np.random.default_rng(0).normal(size=(9, 4))
    assert solved("W", parts, np.full(9, np.nan), 2) is None


def test_factors_of_contributions_are_found():
    parts = np.random.default_rng(0).normal(size=(9, 4))
    parts[:, 1] = 0  # loss 1 does not depend on what is used at step 2
    found = solved("W", parts, parts @ [1, 5, 0, 0.5], 2)
    assert found.counts == ((1, None), (0, Fraction(1, 2)))
    assert "loss 1       1       ·" in "\n".join(counts_lines(found))
    assert solved("W", parts, parts @ [1, 0, 0, 0.5] + 1, 2) is None
    assert solved("W", parts[:2], np.zeros(2), 2) is None


def table(kept):
    return Counts("W", tuple(tuple(Fraction(int(c)) for c in row) for row in kept))


LOWER = np.tril(np.ones((4, 4)))


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (np.tril(LOWER) - np.tril(LOWER, -2), "its 2 most recent steps only"),
        (LOWER * [0, 1, 1, 1], "the first step is left out"),
        (LOWER * [1, 1, 1, 0], "the last step is left out"),
        (LOWER * [0, 0, 1, 0], "only step 3 is counted"),
        (LOWER * [[1], [0], [1], [1]], "the loss of step 2 does not flow back"),
        (LOWER * [[0], [0], [0], [1]], "only the loss of step 4 flows back"),
        (np.kron(np.eye(2), np.tril(np.ones((2, 2)))), "from step 3 back to step 2"),
        (LOWER + np.diag([1, 0, 0, 0]), "(loss 1, use 1) are counted wrongly"),
        (2 * LOWER, ""),
    ],
)
def test_causes(kept, said):
    cells = [[None if not LOWER[s, t] else Fraction(int(kept[s][t])) for t in range(4)]
             for s in range(4)]  # fmt: skip
    cause = counts_cause(Counts("W", tuple(map(tuple, cells))))
    assert said in cause
    assert bool(said) == bool(cause)


def test_causes_of_a_truncated_gradient():
    wanted = np.array([[1, 1], [0, 1]])
    found = counts_cause(table([[1, 0], [1, 3]]), wanted)
    assert found == (
        "(loss 1, use 2) are missing; (loss 2, use 1) are counted, though they are cut off; "
        "(loss 2, use 2) are counted wrongly"
    )
