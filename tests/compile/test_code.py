"""Pieces of NumPy code: conditions."""

from __future__ import annotations

import numpy as np
import pytest

from graphgrad.compile.code import condition_code
from graphgrad.conditions import ALWAYS, NEVER, Affine, Compare, Condition, both, either, negate

LATE = Compare(">", Affine.name("t"), Affine.number(3))
SECOND = Compare("==", Affine.name("t"), Affine.number(2))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (ALWAYS, [True, True, True, True, True]),
        (NEVER, [False, False, False, False, False]),
        (LATE, [False, False, False, True, True]),
        (either(LATE, SECOND), [False, True, False, True, True]),
        (both(LATE, SECOND), [False, False, False, False, False]),
        (negate(SECOND), [True, False, True, True, True]),
    ],
)
def test_a_condition_says_for_all_steps_whether_it_holds(
    condition: Condition, holds: list[bool]
) -> None:
    """As a mask, and for one step alone."""
    code = condition_code(condition, {"t": "t"})
    steps = np.arange(1, 6)
    mask = np.broadcast_to(eval(code, {"np": np, "t": steps}), 5)
    np.testing.assert_array_equal(mask, holds)
    assert [bool(eval(code, {"np": np, "t": t})) for t in steps] == holds
