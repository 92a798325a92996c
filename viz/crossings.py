"""Where lines of a laid-out picture cross, run on top of each other, or touch arrowheads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from viz.picture import BoxIndex, Layout, PlacedEdge, bounds
from viz.render_svg import arrowhead
from viz.routing import Point, crossing, flatten

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
        at = crossing(a, b, c, d)
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


def touched_heads(layout: Layout) -> list[tuple[str, str]]:
    """The arrowheads that a line touches which neither shares them nor ends in their line."""
    segments: list[Segment] = []
    index = BoxIndex()
    heads: list[tuple[int, tuple[Point, Point, Point]]] = []
    for i, edge in enumerate(layout.edges):
        sides = list(pairwise(flatten(edge.curve)))
        if edge.tip is not None:
            a, b, c = arrowhead(edge.curve[-1], edge.tip, layout.style.edges[edge.kind])
            heads.append((i, (a, b, c)))
            sides += [(a, b), (b, c), (c, a)]
        for side in sides:
            index.add(len(segments), bounds(*side))
            segments.append((i, *side))
    found: dict[tuple[str, str], None] = {}
    for i, (a, b, c) in heads:
        mine = layout.edges[i]
        box = bounds((min(a[0], b[0], c[0]), min(a[1], b[1], c[1])),
                     (max(a[0], b[0], c[0]), max(a[1], b[1], c[1])))  # fmt: skip
        for number in index.near(box):
            j, start, end = segments[number]
            other = layout.edges[j]
            joins = other.tip is None and (other.kind, other.head) == (mine.kind, mine.head)
            if i == j or joins or other.tip == mine.tip:
                continue
            if any(crossing(start, end, *side) for side in ((a, b), (b, c), (c, a))):
                found[mine.id, other.id] = None
    return list(found)


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
