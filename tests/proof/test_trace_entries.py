"""Arithmetic on entries: tapes are found, masks select, reductions are those of floats."""

from __future__ import annotations

import numpy as np
import pytest

from graphgrad.proof.trace import Traced, lift
from graphgrad.proof.trace_array import new_tape, plain, wrap
from graphgrad.proof.trace_entries import all_known, choose, entrywise, reduced, spread, tape_of
from graphgrad.proof.trace_tape import Tape, TraceError


def traced(tape: Tape, values: np.ndarray) -> np.ndarray:
    """An array of scalars that vary, with these values at the sample point."""
    made = np.array([None] * values.size, object)
    for k, value in enumerate(values.flat):
        made[k] = Traced(tape, tape.leaf(f"u{k}", float(value)))
    return made.reshape(values.shape)


def sampled(array: np.ndarray) -> np.ndarray:
    return np.array([entry.value for entry in array.flat]).reshape(array.shape)


VALUES = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), None])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum])
def test_reductions_are_those_of_floats(ufunc, axis, keepdims):
    found = reduced(ufunc, traced(new_tape(), VALUES), axis=axis, keepdims=keepdims)
    expected = ufunc.reduce(VALUES, axis=axis, keepdims=keepdims)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(sampled(found), expected, rtol=1e-15)


def test_sums_count_what_a_mask_selects():
    tape = new_tape()
    array = traced(tape, VALUES)
    mask = plain(wrap(array) > 0)
    found = reduced(np.add, array, mask, axis=1)
    np.testing.assert_array_equal(sampled(found), np.where(VALUES > 0, VALUES, 0).sum(axis=1))
    with pytest.raises(TraceError, match=r"np\.maximum over what a mask selects"):
        reduced(np.maximum, array, mask)


def test_masks_choose_entry_by_entry():
    tape = new_tape()
    array = traced(tape, VALUES)
    rows = spread(plain(wrap(array[:, 0]) > 2), VALUES.shape)
    found = choose(rows, array, entrywise(np.negative)(array))
    np.testing.assert_array_equal(sampled(found), VALUES * [[-1], [1]])
    assert not all_known(rows)
    assert all_known(np.array([lift(tape, 2), 3], object))


def test_the_tape_is_that_of_the_first_scalar_however_deep():
    tape, other = new_tape(), new_tape()
    inner = [1.0, [np.zeros(2), traced(tape, VALUES)], traced(other, VALUES)]
    assert tape_of(2, inner) is tape
    assert tape_of(2, [np.zeros((0,), object), "u"]) is None


def test_ufuncs_without_a_meaning_are_refused():
    with pytest.raises(TraceError, match=r"np\.arctan is not followed") as caught:
        entrywise(np.arctan)
    assert "tanh" in caught.value.remedy
