"""Where a line that runs beside another ends: on the border of a node, which it might miss."""

from __future__ import annotations

import math
from itertools import pairwise

from viz.picture import PlacedNode
from viz.routing import Curve, Point, bend, border_towards, joined, line, unit

REACH = 6.0
"""How far a line is prolonged at most to meet a border or another line."""
SHORT = 3.0
"""A line is prolonged by less than this without a segment of its own."""
CLOSEST = 3.0
"""The least distance on a border between the ends of a line and of the one beside it."""
HOOK = 10.0
"""How far from its end a line begins to bend to a border that it would miss."""
INWARD = 0.5
"""How much a line that was bent to a border ends at a right angle to it."""
STEP = math.radians(2.0)


def to_border(curve: Curve, node: PlacedNode, beside: Point) -> Curve:
    """The curve so that it starts on the border of a node.

    It is cut or prolonged; where that takes too much, or it would miss the node, it is bent to it,
    away from `beside`, where the line ends that it runs beside.
    """
    way = direction(curve)
    along = _leaves(node, curve[0], way)
    if along is not None and abs(along) <= REACH:
        return extended(curve, way, along)
    return _bent(curve, node, _apart(node, curve[0], beside))


def extended(curve: Curve, way: Point, by: float) -> Curve:
    """The curve whose start is moved along its own direction; negative: backwards."""
    if abs(by) > REACH or abs(by) < 0.01:
        return curve
    start = (curve[0][0] + by * way[0], curve[0][1] + by * way[1])
    if by < -SHORT:
        return joined(line(start, curve[0]), curve)
    handle = (curve[1][0] + by * way[0], curve[1][1] + by * way[1])
    return (start, handle, *curve[2:])


def direction(curve: Curve) -> Point:
    """The unit vector along which a curve starts."""
    for point in curve[1:]:
        if math.dist(point, curve[0]) > 1e-6:
            return unit(curve[0], point)
    return (1.0, 0.0)


def _leaves(node: PlacedNode, start: Point, way: Point) -> float | None:
    """How far along a line, seen from its start, it leaves a node; None if it passes by."""
    x, y = start[0] - node.x, start[1] - node.y
    wide, high = node.width / 2, node.height / 2
    if node.shape != "round":
        return _leaves_box(x, y, way, wide, high)
    flat = max(wide - high, 0.0)
    ends = [_leaves_circle(x - side * flat, y, way, high) for side in (-1, 1)]
    return max(
        (end for end in (*ends, _leaves_box(x, y, way, flat, high)) if end is not None),
        default=None,
    )


def _leaves_circle(x: float, y: float, way: Point, radius: float) -> float | None:
    along = x * way[0] + y * way[1]
    inside = along * along - (x * x + y * y - radius * radius)
    return math.sqrt(inside) - along if inside >= 0 else None


def _leaves_box(x: float, y: float, way: Point, wide: float, high: float) -> float | None:
    enter, leave = -math.inf, math.inf
    for at, step, half in ((x, way[0], wide), (y, way[1], high)):
        if abs(step) > 1e-9:
            first, second = sorted(((-half - at) / step, (half - at) / step))
            enter, leave = max(enter, first), min(leave, second)
        elif abs(at) > half:
            return None
    return leave if enter <= leave else None


def _apart(node: PlacedNode, start: Point, beside: Point) -> Point:
    """The point of a border towards a start, or further from the end of another line."""
    dx, dy = start[0] - node.x, start[1] - node.y
    turn = math.copysign(STEP, (beside[0] - node.x) * dy - (beside[1] - node.y) * dx)
    at = border_towards(node.box, node.shape, start)
    for number in range(1, 60):
        if math.dist(at, beside) >= CLOSEST:
            break
        c, s = math.cos(number * turn), math.sin(number * turn)
        target = (node.x + c * dx - s * dy, node.y + s * dx + c * dy)
        at = border_towards(node.box, node.shape, target)
    return at


def _bent(curve: Curve, node: PlacedNode, at: Point) -> Curve:
    """The curve bent so that it starts at a point of a node's border."""
    while len(curve) > 4 and math.dist(curve[0], curve[3]) < SHORT:
        curve = curve[3:]
    share = min(1.0, HOOK / (math.dist(curve[0], curve[3]) or HOOK))
    rest = _after(curve, share)
    way = direction(rest) if len(rest) > 1 else unit(curve[-2], rest[0])
    ahead, out = unit(at, rest[0]), _outward(node, at)
    leave = (ahead[0] + INWARD * out[0], ahead[1] + INWARD * out[1])
    reach = 0.4 * math.dist(at, rest[0])
    return joined(bend(at, unit((0.0, 0.0), leave), rest[0], way, reach), rest)


def _after(curve: Curve, share: float) -> Curve:
    """The curve without a share of its first segment (de Casteljau)."""
    if share >= 1.0:
        return curve[3:]
    points = list(curve[:4])
    rest = [points[-1]]
    while len(points) > 1:
        points = [
            (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
            for a, b in pairwise(points)
        ]
        rest.append(points[-1])
    return (*rest[::-1], *curve[4:])


def _outward(node: PlacedNode, at: Point) -> Point:
    """The direction at a right angle to a border, out of the node."""
    x, y = at[0] - node.x, at[1] - node.y
    wide, high = node.width / 2, node.height / 2
    if node.shape == "round":
        flat = max(wide - high, 0.0)
        return unit((max(-flat, min(flat, x)), 0.0), (x, y))
    if abs(x) - wide > abs(y) - high:
        return (math.copysign(1.0, x), 0.0)
    return (0.0, math.copysign(1.0, y))
