"""Conditions on the time index: evaluation, shifting, printing, and times as Python objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad import t, tau
from graphgrad.conditions import (
    ALWAYS,
    NEVER,
    Affine,
    Condition,
    Junction,
    Negation,
    both,
    comparisons,
    either,
    holds,
    names_in,
    negate,
    shift,
    substitute,
)
from graphgrad.errors import NotationError
from graphgrad.times import Time
from tests.drawn import made_condition, show_condition
from tests.strategies import conditions

TREES = conditions(("t", "t", "tau"))
WORDS = {"%": lambda a, b: a % b, "+": lambda a, b: a + b, "-": lambda a, b: a - b}


def by_python(tree: Any, step: int, length: int) -> bool:
    """Whether a condition holds, by Python's own arithmetic on its text."""
    return bool(eval(show_condition(tree), {"t": step, "tau": length}))


@given(TREES, st.integers(1, 6))
def test_holds_at_one_step_and_at_all(tree: Any, length: int) -> None:
    condition = made_condition(tree)
    steps = np.arange(1, length + 1)
    together = np.broadcast_to(holds(condition, {"t": steps, "tau": length}), length)
    for step in steps:
        expected = by_python(tree, int(step), length)
        assert bool(holds(condition, {"t": int(step), "tau": length})) == expected
        assert together[step - 1] == expected


@given(TREES, st.integers(-3, 3), st.integers(-5, 5), st.integers(1, 5))
def test_shift_is_the_condition_some_steps_later(tree: Any, by: int, step: int, n: int) -> None:
    condition = made_condition(tree)
    later = shift(condition, "t", by)
    assert bool(holds(later, {"t": step, "tau": n})) == by_python(tree, step + by, n)


@given(TREES, TREES, st.integers(1, 5), st.integers(1, 5))
def test_logic(first: Any, second: Any, step: int, length: int) -> None:
    a, b = made_condition(first), made_condition(second)
    p, q = by_python(first, step, length), by_python(second, step, length)
    at = {"t": step, "tau": length}
    assert bool(holds(a & b, at)) == (p and q)
    assert bool(holds(a | b, at)) == (p or q)
    assert bool(holds(~a, at)) == (not p)
    assert bool(holds(both(a, b, a), at)) == (p and q)
    assert bool(holds(either(a, b, a), at)) == (p or q)
    assert negate(negate(a)) == a
    assert a & a == a
    assert a | a == a


@given(TREES)
def test_text_is_read_back(tree: Any) -> None:
    condition = made_condition(tree)
    circuit = gg.Circuit()
    circuit.var("h")[t] = gg.choose(condition, 1, 0)
    text = str(circuit)
    assert gg.parse(text) == circuit
    assert gg.parse(text).equations["h"].root.attr == condition


@given(TREES)
def test_names_and_comparisons(tree: Any) -> None:
    condition = made_condition(tree)
    text = show_condition(tree)
    assert names_in(condition) <= {"t", "tau"}
    shown = {name for name in ("t", "tau") if f"{name} " in f"{text} ".replace(")", " ")}
    assert names_in(condition) <= shown
    assert 1 <= len(comparisons(condition)) <= text.count("t")


def test_always_and_never() -> None:
    assert bool(holds(ALWAYS, {}))
    assert not holds(NEVER, {})
    assert negate(ALWAYS) == NEVER
    assert negate(NEVER) == ALWAYS
    assert both(ALWAYS, t > 1) == (t > 1)
    assert either(NEVER, t > 1) == (t > 1)
    assert both(NEVER, t > 1) == both(t > 1, NEVER) == NEVER
    assert either(ALWAYS, t > 1) == either(t > 1, ALWAYS) == ALWAYS
    assert both() == ALWAYS
    assert either() == NEVER


def test_negation_of_a_comparison_turns_it_round() -> None:
    assert str(~(t == tau)) == "t != tau"
    assert str(~(t < 3)) == "t >= 3"
    assert str(~((t < 3) & (t > 1))) == "not (t < 3 and t > 1)"
    assert isinstance(~((t < 3) & (t > 1)), Negation)


def test_substitute() -> None:
    condition = (t % 2 == 0) & (t < tau)
    found = substitute(condition, {"t": Affine.number(4)})
    assert bool(holds(found, {"tau": 5}))
    assert not holds(found, {"tau": 4})
    assert names_in(found) == {"tau"}


def test_numbers_in_times_are_bounded() -> None:
    for make in (
        lambda: t + 10**9 + 1,
        lambda: (10**9 + 1) * t,
        lambda: t % (10**9 + 1),
        lambda: 10**8 * t * 10**8,
    ):
        with pytest.raises(NotationError, match="too large"):
            make()
    largest = 10**9 * Time(Affine.name("t"))
    assert holds(largest > 0, {"t": np.array([2**31 - 1])}).all(), "no overflow in 64 bits"


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: bool(t == 1), "combine conditions with &, | and ~"),
        (lambda: 1 < t < 3, "combine conditions with &, | and ~"),
        (lambda: t == "x", "write t == tau or t > 3"),
        (lambda: t < 1.5, "write t == tau or t > 3"),
        (lambda: t % 0, None),
        (lambda: t % 1.5, None),
        (lambda: not Junction("and", ()), "combine"),
    ],
)
def test_misuse(make: Any, remedy: str | None) -> None:
    with pytest.raises(NotationError) as caught:
        make()
    assert remedy is None or remedy in (caught.value.remedy or "")


def test_times_are_numbers_too() -> None:
    """Whatever is no shift of a time is a formula: the same as in the notation."""
    c = gg.Circuit()
    h = c.var("h")
    h[t] = (
        t * h[t - 1] + h[t - 1] * t + 1 / tau + t / 2 + 0.5 * t + t * 0.5 + t**2 + 2.0**t
        + (0.5 + t) + (t - 0.5) + (0.5 - t) + np.exp(-t / tau) + np.float64(2) * t
    )  # fmt: skip
    assert c == gg.parse(
        "h[t] = t * h[t-1] + h[t-1] * t + 1 / tau + t / 2 + 0.5 * t + t * 0.5 + t ** 2 + 2.0 ** t"
        " + (0.5 + t) + (t - 0.5) + (0.5 - t) + exp(-t / tau) + 2.0 * t"
    )


def test_condition_repr() -> None:
    condition: Condition = (t > 3) | ((t % 2 == 0) & (t < tau - 1))
    assert str(condition) == "t > 3 or (t % 2 == 0 and t < tau - 1)"
    assert repr(2 * t - tau + 1) == "2*t - tau + 1"
