"""Where the lines of a laid-out picture cross, and where they run on top of each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from viz.picture import BoxIndex, Layout, PlacedEdge, bounds
from viz.routing import Point, flatten

END = 1.5
"""Closer than this to the end of a line, another line joins it and does not cross it."""
Segment = tuple[int, Point, Point]
"""Number of the line, start, end."""


def crossings(layout: Layout) -> list[tuple[str, str]]:
    """The pairs of lines that cross, one for each point, in the order of the lines.

    A branch that starts on a line, or a bus that collects, touches and does not cross.
    """
    lines = [_points(edge) for edge in layout.edges]
    ends = [(points[0], points[-1]) for points in lines]
    found: list[tuple[str, str]] = []
    places: dict[tuple[int, int], list[Point]] = {}
    for (i, a, b), (j, c, d) in _near(lines):
        at = _crossing(a, b, c, d)
        if at is None or any(math.dist(at, end) < END for end in (*ends[i], *ends[j])):
            continue
        known = places.setdefault((i, j), [])
        if all(math.dist(at, other) > END for other in known):
            known.append(at)
            found.append((layout.edges[i].id, layout.edges[j].id))
    return found


def shared_runs(layout: Layout, *, apart: float = 0.8, length: float = 5.0) -> list[str]:
    """Sentences about lines of different bundles that lie on top of each other for a length.

    Lines of one bundle have the same tail or the same head, and the same kind.
    """
    lines = [_points(edge) for edge in layout.edges]
    shared: dict[tuple[int, int], float] = {}
    for (i, a, b), (j, c, d) in _near(lines):
        if not _one_bundle(layout.edges[i], layout.edges[j]):
            shared[i, j] = shared.get((i, j), 0.0) + _shared(a, b, c, d, apart)
    return [
        f"{layout.edges[i].id} lies on {layout.edges[j].id}"
        for (i, j), run in shared.items()
        if run >= length
    ]


def _points(edge: PlacedEdge) -> list[Point]:
    points = flatten(edge.curve)
    return [*points, edge.tip] if edge.tip is not None else points


def _near(lines: list[list[Point]]) -> Iterator[tuple[Segment, Segment]]:
    """Pairs of segments of different lines whose neighbourhoods meet, each once."""
    index = BoxIndex()
    segments: list[Segment] = []
    for i, points in enumerate(lines):
        first = len(segments)
        for a, b in pairwise(points):
            box = bounds(a, b)
            for number in index.near(box):
                yield segments[number], (i, a, b)
            segments.append((i, a, b))
        for number in range(first, len(segments)):
            index.add(number, bounds(*segments[number][1:]))


def _crossing(a: Point, b: Point, c: Point, d: Point) -> Point | None:
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


def _shared(a: Point, b: Point, c: Point, d: Point, apart: float) -> float:
    """The length over which the second segment lies on the first, nearly parallel to it."""
    whole = math.dist(a, b)
    if whole < 1e-6:
        return 0.0
    ux, uy = (b[0] - a[0]) / whole, (b[1] - a[1]) / whole
    along, off = [], []
    for x, y in (c, d):
        along.append((x - a[0]) * ux + (y - a[1]) * uy)
        off.append(abs((x - a[0]) * uy - (y - a[1]) * ux))
    if max(off) > apart:
        return 0.0
    return max(0.0, min(whole, max(along)) - max(0.0, min(along)))


def _one_bundle(first: PlacedEdge, second: PlacedEdge) -> bool:
    if first.kind != second.kind:
        return False
    return (first.tail != "" and first.tail == second.tail) or (
        first.head != "" and first.head == second.head
    )
