"""Reads and fixed steps, and the boundary values that they may be."""

from __future__ import annotations

import itertools

from graphgrad.ir import At, Read


def test_a_step_meets_a_boundary_that_it_is_at_some_length() -> None:
    """Held against the steps themselves, at every length that could matter."""
    for last, end, offset, beyond in itertools.product(
        (False, True), (False, True), range(-4, 5), range(-4, 5)
    ):
        step, boundary = At("h", last, offset), At("h", end, beyond)
        lengths = range(1, 20)
        same = any(last * n + offset == end * n + beyond for n in lengths)
        assert step.meets(boundary) is same
        assert not step.meets(At("g", end, beyond))


def test_steps_are_written_as_in_the_notation() -> None:
    assert [Read("h", lag).step("t") for lag in (1, 0, -2)] == ["t-1", "t", "t+2"]
    assert [At("h", False, offset).step("tau") for offset in (-1, 0, 2)] == ["-1", "0", "2"]
    assert [At("h", True, offset).step("n") for offset in (-1, 0, 2)] == ["n-1", "n", "n+2"]


def test_a_read_reaches_as_many_instances_outside_as_its_lag() -> None:
    assert list(Read("h", 2).outside()) == [At("h", False, -1), At("h", False, 0)]
    assert list(Read("h", -2).outside()) == [At("h", True, 1), At("h", True, 2)]
    assert list(Read("h", 0).outside()) == []
