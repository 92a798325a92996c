"""Geometry of lines: curves, rounded corners, arrow tips, points on borders, spreading of ports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from viz.style import Shape

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

Curve = tuple[Point, ...]
"""A chain of cubic Bézier segments: a start, then three points a segment."""

PIECES = 12
"""Straight pieces that a segment is taken for where lines are compared and measured."""


def line(*points: Point) -> Curve:
    """Straight from point to point."""
    curve: list[Point] = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        dx, dy = (x1 - x0) / 3, (y1 - y0) / 3
        curve += ((x0 + dx, y0 + dy), (x1 - dx, y1 - dy), (x1, y1))
    return tuple(curve)


def rounded(points: Sequence[Point], radius: float) -> Curve:
    """Straight from point to point, the corners replaced by quarter turns."""
    path = _without_repeats(points)
    curve: list[Point] = [path[0]]
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        first, second = math.dist(before, corner), math.dist(corner, after)
        turn = min(radius, first / 2, second / 2)
        start = _towards(corner, before, turn)
        end = _towards(corner, after, turn)
        curve.extend(line(curve[-1], start)[1:])
        handle = 0.55 * turn
        curve.extend((_towards(start, corner, handle), _towards(end, corner, handle), end))
    curve.extend(line(curve[-1], path[-1])[1:])
    return tuple(curve)


def bend(start: Point, start_way: Point, end: Point, end_way: Point, reach: float) -> Curve:
    """One smooth segment that leaves and arrives in given directions (unit vectors)."""
    return (
        start,
        (start[0] + start_way[0] * reach, start[1] + start_way[1] * reach),
        (end[0] - end_way[0] * reach, end[1] - end_way[1] * reach),
        end,
    )


def joined(*curves: Curve) -> Curve:
    """Curves one after the other; each starts where the one before ends."""
    points = list(curves[0])
    for curve in curves[1:]:
        if math.dist(points[-1], curve[0]) > 1e-6:
            points.extend(line(points[-1], curve[0])[1:])
        points.extend(curve[1:])
    return tuple(points)


def simplified(curve: Curve) -> Curve:
    """The same curve with straight pieces that continue each other, upright or level, made one.

    >>> simplified(line((0, 0), (0, 3), (0, 3), (0, 9))) == line((0, 0), (0, 9))
    True
    """
    points: list[Point] = [curve[0]]
    start: Point | None = None  # where the straight pieces began that the last one continues
    axis = 0
    for index in range(0, len(curve) - 1, 3):
        p0, p1, p2, p3 = curve[index : index + 4]
        if p0[0] == p1[0] == p2[0] == p3[0]:
            now = 0
        elif p0[1] == p1[1] == p2[1] == p3[1]:
            now = 1
        else:
            points += (p1, p2, p3)
            start = None
            continue
        if p0 == p3:
            continue
        along = 1 - now
        if start is None or now != axis or (p0[along] - start[along]) * (p3[along] - p0[along]) < 0:
            start, axis = p0, now
        else:
            del points[-3:]
        points += line(start, p3)[1:]
    return tuple(points) if len(points) > 1 else curve


def reversed_curve(curve: Curve) -> Curve:
    """The curve from its end to its start."""
    return curve[::-1]


def parallel(curve: Curve, side: float) -> Curve:
    """A curve at a distance to the left of another (to the right, if negative).

    Turns that are too narrow for it become corners.
    """
    if not side:
        return curve
    pieces: list[list[Point]] = []
    corner: Point | None = None
    curve = _halved(curve)
    for index in range(0, len(curve) - 1, 3):
        p0, p1, p2, p3 = curve[index : index + 4]
        if math.dist(p0, p3) < 1e-6:
            continue
        first = unit(p0, p1 if math.dist(p0, p1) > 1e-6 else p3)
        last = unit(p2 if math.dist(p2, p3) > 1e-6 else p0, p3)
        q0 = (p0[0] - side * first[1], p0[1] + side * first[0])
        q3 = (p3[0] - side * last[1], p3[1] + side * last[0])
        turn = first[0] * last[1] - first[1] * last[0]
        along = (q3[0] - q0[0]) * first[0] + (q3[1] - q0[1]) * first[1]
        if abs(turn) > 0.5 and along < 0.1:
            share = ((q3[0] - q0[0]) * last[1] - (q3[1] - q0[1]) * last[0]) / turn
            corner = (q0[0] + share * first[0], q0[1] + share * first[1])
            if pieces:
                pieces[-1][3] = corner
            continue
        if corner is not None:
            q0, corner = corner, None
        scale = math.dist(q0, q3) / math.dist(p0, p3)
        pieces.append(
            [
                q0,
                (q0[0] + scale * (p1[0] - p0[0]), q0[1] + scale * (p1[1] - p0[1])),
                (q3[0] + scale * (p2[0] - p3[0]), q3[1] + scale * (p2[1] - p3[1])),
                q3,
            ]
        )
    return joined(*(tuple(piece) for piece in pieces))


def _halved(curve: Curve) -> Curve:
    """The same curve with every S-shaped segment cut in two."""
    points: list[Point] = [curve[0]]
    for index in range(0, len(curve) - 1, 3):
        p0, p1, p2, p3 = curve[index : index + 4]
        dx, dy = p3[0] - p0[0], p3[1] - p0[1]
        first = (p1[0] - p0[0]) * dy - (p1[1] - p0[1]) * dx
        last = (p2[0] - p0[0]) * dy - (p2[1] - p0[1]) * dx
        if first * last < 0 and not _is_straight(p0, p1, p2, p3):
            a, b, c = _middle(p0, p1), _middle(p1, p2), _middle(p2, p3)
            ab, bc = _middle(a, b), _middle(b, c)
            points.extend((a, ab, _middle(ab, bc), bc, c, p3))
        else:
            points.extend((p1, p2, p3))
    return tuple(points)


def _middle(a: Point, b: Point) -> Point:
    return ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)


def with_arrow(curve: Curve, length: float) -> tuple[Curve, Point]:
    """The curve drawn back by the length of an arrowhead, and the arrow's tip."""
    before, handle, tip = curve[-3:]
    way = unit(handle, tip) if math.dist(handle, tip) > 1e-6 else unit(before, tip)
    while len(curve) > 4 and math.dist(curve[-4], tip) < 1.3 * length:
        curve = curve[:-3]
    *front, before, handle, last = curve
    if math.dist(front[-1], tip) <= length:
        length = 0.6 * math.dist(front[-1], tip)
    end = (tip[0] - way[0] * length, tip[1] - way[1] * length)
    handle = (handle[0] + end[0] - last[0], handle[1] + end[1] - last[1])
    return (*front, before, handle, end), tip


def flatten(curve: Curve) -> list[Point]:
    """Points along a curve, close enough to treat it as a polygon; lines stay one segment."""
    points = [curve[0]]
    for index in range(0, len(curve) - 1, 3):
        p0, p1, p2, p3 = curve[index : index + 4]
        if _is_straight(p0, p1, p2, p3):
            points.append(p3)
            continue
        for piece in range(1, PIECES + 1):
            s = piece / PIECES
            r = 1 - s
            a, b, c, d = r * r * r, 3 * r * r * s, 3 * r * s * s, s * s * s
            points.append(
                (
                    a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0],
                    a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1],
                )
            )
    return points


def length_of(curve: Curve) -> float:
    """The length of a curve, which is that of its short straight pieces."""
    return sum(math.dist(a, b) for a, b in pairwise(flatten(curve)))


def segment_meets_box(start: Point, end: Point, box: Box, margin: float = 0.0) -> bool:
    """Whether a straight segment enters a box that is widened by a margin (Liang–Barsky)."""
    enter, leave = 0.0, 1.0
    for axis in (0, 1):
        low, high = box[axis] - margin, box[axis + 2] + margin
        if low >= high:
            return False
        step = end[axis] - start[axis]
        if abs(step) < 1e-12:
            if not low < start[axis] < high:
                return False
            continue
        first, second = sorted(((low - start[axis]) / step, (high - start[axis]) / step))
        enter, leave = max(enter, first), min(leave, second)
    return enter < leave - 1e-9


def crossing(a: Point, b: Point, c: Point, d: Point) -> Point | None:
    """Where two segments meet, if they are not parallel."""
    ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]
    turn = ux * vy - uy * vx
    if abs(turn) < 1e-9:
        return None
    wx, wy = c[0] - a[0], c[1] - a[1]
    s, r = (wx * vy - wy * vx) / turn, (wx * uy - wy * ux) / turn
    if not (0.0 <= s <= 1.0 and 0.0 <= r <= 1.0):
        return None
    return a[0] + s * ux, a[1] + s * uy


def border_towards(box: Box, shape: Shape, target: Point) -> Point:
    """Where the ray from the centre of a node towards a point leaves its border."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    dx, dy = target[0] - x, target[1] - y
    if abs(dx) + abs(dy) < 1e-9:
        return (x, y + half_height)
    scale = min(half_width / abs(dx) if dx else math.inf, half_height / abs(dy) if dy else math.inf)
    flat = half_width - half_height
    if shape == "round" and abs(dx) * scale > flat:
        # On a round end: the circle of radius half_height around (±flat, 0).
        centre = math.copysign(max(flat, 0.0), dx)
        a, b = dx * dx + dy * dy, -dx * centre
        c = centre * centre - half_height * half_height
        scale = (-b + math.sqrt(max(b * b - a * c, 0.0))) / a
    return (x + dx * scale, y + dy * scale)


def port(box: Box, shape: Shape, angle: float, side: int) -> tuple[Point, Point]:
    """A point on the lower (side -1) or upper (+1) border, and the outward direction there.

    The angle, in degrees, is measured from the vertical, positive to the right; at ±90 the point
    is at the right or left end.
    """
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    if shape == "round":
        flat = half_width - half_height
        offset = half_width * sine
        if flat < 1e-9:
            return (x + offset, y + side * half_height * cosine), (sine, side * cosine)
        if abs(offset) <= flat:
            return (x + offset, y + side * half_height), (0.0, float(side))
        over = (abs(offset) - flat) / half_height
        rise = math.sqrt(max(1 - over * over, 0.0))
        return (
            (x + offset, y + side * half_height * rise),
            (math.copysign(over, offset), side * rise),
        )
    if abs(angle) > 80:
        return (x + math.copysign(half_width, angle), y), (math.copysign(1.0, angle), 0.0)
    return (x + (half_width - 3) * sine, y + side * half_height), (0.0, float(side))


def spread(
    wishes: Sequence[float],
    weights: Sequence[float],
    rooms: Sequence[float],
    limit: float,
    *,
    in_proportion: bool = False,
) -> list[float]:
    """Numbers as close to the wishes as the room that each needs, and a limit, allow.

    Keeps the order of the wishes; equal wishes keep their order in the sequence. A heavier one
    moves less. What goes beyond the limit moves inward as far as the room needs, or draws all on
    its side inward with it, `in_proportion`.

    >>> spread([0.0, 0.0, 50.0], [1.0, 1.0, 1.0], [10.0, 10.0, 10.0], 60.0)
    [-5.0, 5.0, 50.0]
    """
    count = len(wishes)
    order = sorted(range(count), key=lambda i: (wishes[i], i))
    base = [0.0] * count
    for rank in range(1, count):
        base[rank] = base[rank - 1] + (rooms[order[rank - 1]] + rooms[order[rank]]) / 2
    # Isotonic regression of wish - base: pools of (mean, weight, members).
    pools: list[tuple[float, float, int]] = []
    for rank, i in enumerate(order):
        mean, weight, size = wishes[i] - base[rank], weights[i], 1
        while pools and pools[-1][0] > mean:
            before, before_weight, before_size = pools.pop()
            mean = (mean * weight + before * before_weight) / (weight + before_weight)
            weight += before_weight
            size += before_size
        pools.append((mean, weight, size))
    placed = [mean for mean, _, size in pools for _ in range(size)]
    placed = [value + base[rank] for rank, value in enumerate(placed)]
    if not placed:
        return []
    firmest = max(range(count), key=lambda rank: weights[order[rank]])
    anchor = min(max(placed[firmest], -limit), limit)
    placed = [value + anchor - placed[firmest] for value in placed]
    for way, end in ((-1, 0), (1, count - 1)):
        reach = abs(placed[end] - anchor) if in_proportion else abs(base[end] - base[firmest])
        share = min(1.0, (limit - anchor * way) / reach) if reach else 1.0
        for rank in range(firmest + way, end + way, way):
            if in_proportion:
                placed[rank] = anchor + (placed[rank] - anchor) * share
            elif share < 1.0:
                placed[rank] = anchor + way * abs(base[rank] - base[firmest]) * share
            else:
                most = limit - abs(base[end] - base[rank])
                placed[rank] = way * min(placed[rank] * way, most)
    result = [0.0] * count
    for rank, i in enumerate(order):
        result[i] = placed[rank]
    return result


def _without_repeats(points: Sequence[Point]) -> list[Point]:
    path = [points[0]]
    for point in points[1:]:
        if math.dist(point, path[-1]) > 1e-6:
            path.append(point)
    if len(path) == 1:
        path.append(points[-1])
    return path


def _towards(start: Point, end: Point, length: float) -> Point:
    distance = math.dist(start, end)
    if distance < 1e-9:
        return start
    share = length / distance
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def unit(start: Point, end: Point) -> Point:
    """The unit vector from a point to another."""
    distance = math.dist(start, end) or 1.0
    return ((end[0] - start[0]) / distance, (end[1] - start[1]) / distance)


def _is_straight(p0: Point, p1: Point, p2: Point, p3: Point) -> bool:
    dx, dy = p3[0] - p0[0], p3[1] - p0[1]
    limit = 1e-3 * (abs(dx) + abs(dy) + 1e-9)
    first = abs((p1[0] - p0[0]) * dy - (p1[1] - p0[1]) * dx)
    return first < limit and abs((p2[0] - p0[0]) * dy - (p2[1] - p0[1]) * dx) < limit
