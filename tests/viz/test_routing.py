"""The geometry of lines."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viz.routing import (
    Box,
    bend,
    border_towards,
    flatten,
    joined,
    line,
    port,
    rounded,
    segment_meets_box,
    spread,
    with_arrow,
)
from viz.style import Shape

numbers = st.floats(-100, 100)
points = st.tuples(numbers, numbers)


def on_border(point: tuple[float, float], box: Box, shape: Shape) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    dx, dy = abs(point[0] - x), abs(point[1] - y)
    if shape == "round":
        flat = half_width - half_height
        return math.hypot(max(dx - flat, 0.0), dy) == pytest.approx(half_height, abs=1e-6)
    return max(dx - half_width, dy - half_height) == pytest.approx(0.0, abs=1e-6)


@given(target=points, wide=st.floats(0, 60), shape=st.sampled_from(["round", "box"]))
def test_lines_start_on_the_border(target: tuple[float, float], wide: float, shape: Shape) -> None:
    box = (-10.0 - wide, -10.0, 10.0 + wide, 10.0)
    assert on_border(border_towards(box, shape, target), box, shape)


@given(angle=st.floats(-90, 90), wide=st.floats(0, 60), side=st.sampled_from([-1, 1]))
def test_ports_are_on_the_border_and_point_outward(angle: float, wide: float, side: int) -> None:
    box = (-10.0 - wide, -10.0, 10.0 + wide, 10.0)
    point, out = port(box, "round", angle, side)
    assert on_border(point, box, "round")
    assert math.hypot(*out) == pytest.approx(1.0)
    assert point[0] * out[0] + point[1] * out[1] > 0


@given(
    wishes=st.lists(st.floats(-60, 60), min_size=1, max_size=8),
    least=st.floats(0.1, 30),
    firm=st.integers(0, 7),
)
def test_ports_keep_order_limit_and_the_firm_one_its_place(
    wishes: list[float], least: float, firm: int
) -> None:
    weights = [1e6 if i == firm else 1.0 for i in range(len(wishes))]
    placed = spread(wishes, weights, [least] * len(wishes), 50.0)
    order = sorted(range(len(wishes)), key=lambda i: (wishes[i], i))
    assert all(placed[a] <= placed[b] + 1e-6 for a, b in pairwise(order))
    assert all(abs(value) <= 50.0 + 1e-6 for value in placed)
    if firm < len(wishes):
        wish = min(max(wishes[firm], -50.0), 50.0)
        assert placed[firm] == pytest.approx(wish, abs=0.1)


def test_ports_without_conflict_stay_where_they_are() -> None:
    assert spread([-20.0, 0.0, 20.0], [1, 1, 1], [7.0, 7.0, 7.0], 30.0) == [-20.0, 0.0, 20.0]
    assert spread([], [], [], 30.0) == []


def test_rounded_corners_keep_to_the_path() -> None:
    curve = rounded([(0, 0), (50, 0), (50, 40)], 8.0)
    assert curve[0] == (0, 0)
    assert curve[-1] == (50, 40)
    assert all(
        abs(y) < 1e-6 or abs(x - 50) < 1e-6 or (x >= 42 and y <= 8) for x, y in flatten(curve)
    )


@given(points=st.lists(points, min_size=2, max_size=5))
def test_curves_are_chains_of_cubic_segments(points: list[tuple[float, float]]) -> None:
    for curve in (line(*points), rounded(points, 7.0), joined(line(*points), line(*points))):
        assert len(curve) % 3 == 1


def test_arrows_end_at_the_tip_and_are_never_longer_than_their_line() -> None:
    curve, tip = with_arrow(line((0, 0), (0, 20)), 6.0)
    assert tip == (0, 20)
    assert curve[-1] == pytest.approx((0, 14))
    curve, tip = with_arrow(line((0, 0), (0, 4)), 6.0)
    assert 0 < curve[-1][1] < 4
    curve, tip = with_arrow(bend((0, 0), (0, 1), (10, 30), (0, 1), 15), 6.0)
    assert curve[-1] == pytest.approx((10, 24))


@given(start=points, end=points)
def test_segment_against_box_agrees_with_sampling(
    start: tuple[float, float], end: tuple[float, float]
) -> None:
    box = (-20.0, -10.0, 30.0, 15.0)
    inside = any(
        box[0] + 0.01 < start[0] + (end[0] - start[0]) * s / 200 < box[2] - 0.01
        and box[1] + 0.01 < start[1] + (end[1] - start[1]) * s / 200 < box[3] - 0.01
        for s in range(201)
    )
    if inside:
        assert segment_meets_box(start, end, box)
    if not segment_meets_box(start, end, box, 1.0):
        assert not inside


def test_an_arrowhead_keeps_its_size_at_the_end_of_short_pieces() -> None:
    whole = line((0.0, 0.0), (40.0, 0.0), (42.0, 0.0), (44.0, 0.0))
    for curve in (whole, whole[:4], (*whole[:4], (41.0, 0.0), (41.5, 0.5), (42.0, 2.0))):
        cut, tip = with_arrow(curve, 6.0)
        assert tip == curve[-1]
        assert math.dist(cut[-1], tip) == pytest.approx(6.0)
        assert cut[0] == curve[0]
