"""Balls: enclosures of values and of derivatives, against differences of the same functions."""

from fractions import Fraction

import numpy as np
import pytest

from graphgrad.proof.balls import FUNCTIONS, BallAlgebra, Tape, power
from graphgrad.proof.clock import Clock
from graphgrad.proof.intervals import OutsideDomainError, working_precision

PRECISION = 200
STEP = Fraction(1, 10**12)
PLAIN = [name for name in FUNCTIONS if name not in ("maximum", "minimum", "stop_gradient")]
BINARY = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: 3 - (a - b),
    "product": lambda a, b: a * b * 2,
    "quotient": lambda a, b: 1 / (a / b) + a / b,
    "whole power": lambda a, b: a**3 + b**-2,
    "power": lambda a, b: a**b,
    "maximum": lambda a, b: FUNCTIONS["maximum"](a.tape, a, b) * b,
    "minimum": lambda a, b: FUNCTIONS["minimum"](a.tape, a, b) * b,
}


def computed(function, *numbers):
    """Return the middle of the value and of the derivative by each number."""
    with working_precision(PRECISION):
        tape = Tape(PRECISION)
        leaves = [tape.constant(number) for number in numbers]
        out = function(*leaves)
        found = tape.derivatives({out.place: tape.one}, Clock())
        middle = lambda ball: sum(tape.numbers.ends(ball)) / 2  # noqa: E731
        slopes = [found[leaf.place] for leaf in leaves]
        return middle(out.value), [0 if slope is None else middle(slope) for slope in slopes]


def differences(function, numbers):
    for k in range(len(numbers)):
        up, down = list(numbers), list(numbers)
        up[k] += STEP
        down[k] -= STEP
        yield (computed(function, *up)[0] - computed(function, *down)[0]) / (2 * STEP)


@pytest.mark.parametrize("name", PLAIN)
def test_functions_of_one_number(name):
    function = lambda u: FUNCTIONS[name](u.tape, u)  # noqa: E731
    for number in [Fraction(3, 5)] + [Fraction(-2, 7)] * (name not in ("log", "sqrt")):
        (want,) = differences(function, [number])
        assert abs(computed(function, number)[1][0] - want) < Fraction(1, 10**20)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("numbers", [(Fraction(3, 5), Fraction(7, 4)), (Fraction(2), Fraction(1))])
def test_functions_of_two_numbers(name, numbers):
    wanted = differences(BINARY[name], numbers)
    for found, want in zip(computed(BINARY[name], *numbers)[1], wanted, strict=True):
        assert abs(found - want) < Fraction(1, 10**15)


def test_nothing_flows_through_what_is_stopped():
    stop = FUNCTIONS["stop_gradient"]
    assert computed(lambda u: u * stop(u.tape, u), Fraction(3))[1] == [3]
    tape = Tape(PRECISION)
    a = tape.constant(2)
    b = a * 3
    c = a + b
    seeds = {c.place: tape.one}
    found = tape.derivatives(seeds, Clock(), {b.place})
    assert found[a.place] == 1
    assert tape.derivatives(seeds, Clock())[a.place] == 4


@pytest.mark.parametrize(
    "function",
    [
        lambda a: 1 / (a - 1),
        lambda a: FUNCTIONS["relu"](a.tape, a - 1),
        lambda a: FUNCTIONS["log"](a.tape, a - 2),
        lambda a: FUNCTIONS["exp"](a.tape, a * 10**7),
        lambda a: power(a - 2, Fraction(1, 2)),
    ],
)
def test_points_that_are_not_inside_are_refused(function):
    with pytest.raises(OutsideDomainError):
        computed(function, Fraction(1))


def test_comparisons_are_noted():
    tape = Tape(PRECISION)
    algebra = BallAlgebra(tape)
    a, b = tape.constant(1), tape.constant(2)
    assert algebra.where(">", a, b, a, b) is b
    assert algebra.where("<=", a, b, a, b) is a
    assert algebra.where(">=", a, a, a, b) is a
    assert algebra.where("<", a, a, a, b) is b
    assert algebra.max(np.array([a, b, a], object)) is b
    assert tape.signs == [False, False, True, True, True, False]
