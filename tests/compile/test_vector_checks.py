"""What programs ask of arrays: the vectorised questions against those of one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.oracle("numba")


def asked(module: Any) -> Any:
    """Return the questions of a module, asked in machine code."""
    from numba import njit

    from graphgrad.compile.run_numba import _kernels

    for dtype in ("float32", "float64"):
        _kernels(dtype)
    distributions, shaped, tokens = module.distributions, module.shaped, module.tokens

    @njit
    def run(y: Any, rows: int, width: int, x: Any, size: int) -> Any:
        return bool(distributions(y, rows, width)), shaped(y, (rows, width)), tokens(x, size)

    return run


def test_both_answer_as_numpy_does() -> None:
    from graphgrad.compile.vector import fast, scalar

    rng = np.random.default_rng(0)
    questions = [asked(fast), asked(scalar)]
    answers = set()
    for dtype in (np.float32, np.float64):
        for rows, width in [(1, 1), (3, 4), (7, 16), (5, 17), (2, 40), (130, 3)]:
            right = rng.random((rows, width)) + 0.1
            right = (right / right.sum(axis=1, keepdims=True)).astype(dtype)
            cases = [right]
            for place in {(0, 0), (rows - 1, width - 1)}:
                for value in (np.nan, np.inf, right[place] + 1e-4, -right[place]):
                    wrong = right.copy()
                    wrong[place] = value
                    cases.append(wrong)
            signed = right.copy()
            signed[-1, 0] -= 2
            signed[-1, -1] += 2  # the sum is right; for one number, the number as well
            cases.append(signed)
            x = rng.integers(0, 5, (rows, 3))
            for y in cases:
                fits = bool((y >= 0).all() and (np.abs(y.sum(axis=1) - 1) < 1e-6).all())
                for size in (5, int(x.max()) + 1, int(x.max()), 0):
                    wanted = fits, True, int(x.max()) < size
                    assert [run(y, rows, width, x, size) for run in questions] == [wanted] * 2
                    answers.add(wanted)
            for run in questions:
                assert run(right, rows, width, x - 5, 5)[2] == 0
                assert run(right[:, :0], rows, width, x, 5)[1] == 0
                assert run(right[:0], rows, width, x, 5)[1] == 0
    assert len(answers) == 4
