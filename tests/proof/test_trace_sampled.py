"""Functions of values are noted where a number depends on the data, wherever it stands."""

import numpy as np
import pytest

from graphgrad.proof.trace import Traced
from graphgrad.proof.trace_array import new_tape, wrap
from graphgrad.proof.trace_sampled import sampled


def scalars():
    tape = new_tape()
    return tape, Traced(tape, tape.leaf("a", 2.0)), Traced(tape, tape.constant(1))


def row(tape, *entries):
    array = np.empty(len(entries), object)
    array[:] = entries
    return wrap(array, tape)


@pytest.mark.parametrize("box", [lambda tape, *each: list(each), row, lambda tape, *each: each])
def test_one_number_that_depends_on_the_data_is_enough(box):
    tape, data, one = scalars()
    assert sampled(np.argmax, (box(tape, one, one),), {}) == 0
    assert not tape.leaks
    assert sampled(np.argmax, (box(tape, one, data),), {}) == 1
    assert list(tape.leaks.values()) == ["was looked at by np.argmax"]


def test_a_step_is_0_at_0_and_goes_into_choices():
    tape, data, _ = scalars()
    assert tape.number(tape.step(tape.constant(0))) == 0
    mask = tape.step(data.node)
    other = tape.leaf("b", -1.0)
    chosen = tape.choose(mask, other, tape.constant(3))
    step = tape.step(chosen)
    assert step == tape.choose(mask, tape.step(other), tape.constant(1))
    assert tape.evaluate([step], {"a": 1.0, "b": -1.0}) == [0.0]
    assert tape.evaluate([step], {"a": -1.0, "b": -1.0}) == [1.0]
