"""Ends of lines on the borders of nodes, wherever the lines come from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viz.test_layout import distance
from viz.ends import CLOSEST, HOOK, to_border
from viz.label import roman, typeset
from viz.picture import PlacedNode
from viz.routing import Curve, Point, bend, flatten, line, parallel, port
from viz.scene import Node
from viz.style import Shape

TEXT = typeset(roman("a"), 13.0, lambda *_: 5.0)


def node(width: float, shape: Shape) -> PlacedNode:
    return PlacedNode(Node("a", roman("a"), "variable"), 0.0, 0.0, width, 20.0, shape, TEXT)


def beside(placed: PlacedNode, angle: float, target: Point, side: float) -> tuple[Curve, Point]:
    """A straight line at a distance from one that leaves a port, and the port."""
    at, _ = port(placed.box, placed.shape, angle, 1)
    return parallel(line(at, target), side), at


@given(
    angle=st.floats(-89, 89),
    target=st.tuples(st.floats(-90, 90), st.floats(20, 90)),
    side=st.sampled_from([-4.0, 4.0]),
    width=st.sampled_from([20.0, 26.0, 70.0]),
    shape=st.sampled_from(["round", "box"]),
)
def test_a_line_beside_another_starts_on_the_border(
    angle: float, target: Point, side: float, width: float, shape: Shape
) -> None:
    placed = node(width, shape)
    curve, at = beside(placed, angle, target, side)
    found = to_border(curve, placed, at)
    assert distance(placed, found[0]) < 0.01
    assert found[-1] == curve[-1]
    assert len(found) % 3 == 1


def test_a_line_that_meets_the_border_stays_straight() -> None:
    for placed in (node(20.0, "round"), node(70.0, "round"), node(20.0, "box")):
        at, _ = port(placed.box, placed.shape, 10.0, 1)
        curve = parallel(line(at, (at[0], 60.0)), 4.0)
        found = to_border(curve, placed, at)
        assert {round(x - curve[0][0], 6) for x, _ in found} == {0.0}


@pytest.mark.parametrize("arrives", ["straight", "bent"])
def test_a_line_that_would_miss_is_bent_to_the_border(arrives: str) -> None:
    placed = node(20.0, "round")
    at, _ = port(placed.box, "round", 75.0, 1)
    up = (0.0, 1.0)
    whole = line(at, (at[0], 60.0)) if arrives == "straight" else bend(at, up, (40.0, 60.0), up, 25)
    curve = parallel(whole, -4.0)
    assert curve[0][0] > 10.0
    found = to_border(curve, placed, at)
    assert distance(placed, found[0]) < 0.01
    assert CLOSEST <= math.dist(found[0], at) < CLOSEST + 1.0
    assert found[3][1] - curve[0][1] == pytest.approx(HOOK, abs=1.0)
    assert all(math.hypot(x, y) > 10.0 for x, y in flatten(found)[1:])
