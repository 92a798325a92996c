"""Arrays whose rows are made when they are read: the same numbers, and no copy of all of them."""

from __future__ import annotations

import numpy as np

from graphgrad.compile.on_demand import OnDemand, materialized, outlines


def test_rows_are_made_when_they_are_read() -> None:
    asked: list[list[int]] = []
    array = np.arange(60).reshape(10, 3, 2)

    def rows(steps: np.ndarray) -> np.ndarray:
        asked.append(steps.tolist())
        return array[steps]

    made = OnDemand(array.shape, array.dtype, rows)
    assert (len(made), made.size) == (10, 60)
    assert np.array_equal(made[4:7], array[4:7])
    assert np.array_equal(made[8:20], array[8:])
    assert asked == [[4, 5, 6], [8, 9]]


def test_an_outline_has_no_rows_and_takes_no_memory() -> None:
    array = np.arange(6.0)
    made = OnDemand((10**9, 4), np.dtype("f4"), lambda steps: np.ones((len(steps), 4), "f4"))
    shown = outlines({"x": made, "y": array})
    assert shown["y"] is array
    assert (shown["x"].shape, shown["x"].dtype) == (made.shape, made.dtype)
    short = OnDemand((3, 4), made.dtype, made.rows)
    all_of_it = materialized({"x": short, "y": array})
    assert all_of_it["y"] is array
    assert np.array_equal(all_of_it["x"], np.ones((3, 4)))
