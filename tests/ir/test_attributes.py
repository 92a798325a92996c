"""Fixed steps and the boundary values that they may be."""

from __future__ import annotations

import itertools

from graphgrad.ir import At


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
