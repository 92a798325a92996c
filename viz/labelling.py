"""Texts beside lines, numbers beside delays, titles of groups and tracks, where there is room."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from viz.font import text_width
from viz.frames import frames_of, titles_of
from viz.grid import Grid, Plan
from viz.label import Typeset, roman, typeset
from viz.picture import (
    DelayMark,
    Frame,
    PlacedEdge,
    PlacedLabel,
    PlacedNode,
)
from viz.room import Room
from viz.router import Router
from viz.routing import Point, flatten, length_of
from viz.scene import CircuitScene, Edge, Scene, UnfoldedScene

NEAR = 0.35
"""Closer to a line than this, in ems, a text could be taken for its label."""
SHARES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.28, 0.72, 0.22, 0.78, 0.15, 0.85, 0.9, 0.1, 0.94, 0.97)
HEADS = (1.3, 1.0, 1.6, 2.0, 2.5, 3.0, 4.0, 6.0)
"""How far before its end a line has a label near its head, in ems, the best first."""
CLEARANCES = (0.23, 0.12, 0.46, 0.77, 1.15)
"""Distances of a text from its line, in ems, the best first."""
CLOSE = (0.23, 0.12, 0.54)
"""The same for a derivative: there are other lines of its colour, and one beside its own."""
RIVAL = 0.1
"""A derivative is nearer to its own line than to any other, by this, in ems."""
APART = 0.9
"""Closer beside each other than this, in ems, two texts could be read as one."""
SIZES = (1.0, 0.8)
"""Sizes of a text beside a line: a smaller one where the usual one has no room."""
TOUCHING = 0.12
"""Closer than this, in ems, a text touches the line that its own accompanies."""


def place_labels(
    scene: Scene, plan: Plan, grid: Grid, router: Router, nodes: Sequence[PlacedNode]
) -> tuple[list[PlacedLabel], list[Frame]]:
    """Find the places of all texts outside the nodes, and the frames of groups."""
    labels: list[PlacedLabel] = []
    frames = frames_of(scene, plan, grid)
    _place_squares(router, nodes)
    labelled = [edge for edge in router.ink.edges if edge.edge is not None and edge.edge.label]
    numbered = [mark for mark in router.ink.marks if _delay(scene, mark) != 1]
    if labelled or numbered or frames:
        room = Room(router, nodes)
        for frame in frames:
            room.add_outline(frame.box)
        starts = {edge.id: edge.curve[0][0] for edge in router.ink.edges}
        for mark in numbered:
            outward = -1 if mark.x < starts[mark.edges[0]] - 1.0 else 1
            labels.append(_beside_mark(plan, room, mark, _delay(scene, mark), outward))
        marks = {name: mark for mark in router.ink.marks for name in mark.edges}
        for group in _alike(plan, labelled):
            labels.extend(_along(plan, room, group, marks))
        labels.extend(titles_of(frames, plan, room))
    if isinstance(scene, UnfoldedScene):
        labels.extend(_titles(scene, plan, grid, nodes, router))
    return labels, frames


def _place_squares(router: Router, nodes: Sequence[PlacedNode]) -> None:
    """Put the squares of delays where no other line is near."""
    if not router.ink.delayed:
        return
    room = Room(router, nodes)
    half = router.plan.style.delay_size / 2 + 1.5
    for edge, names, curve in router.ink.delayed:
        points = flatten(curve)
        total = sum(math.dist(a, b) for a, b in pairwise(points))
        places = [_at_length(points, share * total)[0] for share in SHARES]
        # Its own line always runs through the square, so the fewest is seldom none.
        boxes = [(x - half, y - half, x + half, y + half) for x, y in places]
        best = min(range(len(places)), key=lambda i: room.trouble(boxes[i]))
        room.add(boxes[best])
        router.ink.mark(edge, names, places[best])


def _delay(scene: Scene, mark: DelayMark) -> int:
    if not isinstance(scene, CircuitScene):
        return 1
    return next(abs(edge.delay) for edge in scene.edges if edge.id == mark.edges[0])


def _beside_mark(plan: Plan, room: Room, mark: DelayMark, delay: int, outward: int) -> PlacedLabel:
    """The number of a delay that is not 1, if possible on the outer side of its line."""
    text = typeset(roman(str(delay)), 0.8 * plan.style.font_size, text_width)
    aside = outward * (mark.size / 2 + 2.5 + text.width / 2)
    over = mark.size / 2 + 1 + text.height / 2
    places = [(aside, 0.0), (-aside, 0.0), (0.0, over), (0.0, -over)]
    places += [(dx, dy) for dx in (aside, -aside) for dy in (over, -over)]
    best = min(
        (PlacedLabel(mark.edges[0], text, mark.x + dx, mark.y + dy) for dx, dy in places),
        key=lambda label: (
            room.trouble(label.box),
            room.strangers(label.box, NEAR * plan.style.font_size, mark.edges),
        ),
    )
    room.add(best.box)
    return best


def _alike(plan: Plan, edges: Sequence[PlacedEdge]) -> list[list[PlacedEdge]]:
    """Edges of one pattern, which get their labels at the same place in every column."""
    groups: defaultdict[tuple[object, ...], list[PlacedEdge]] = defaultdict(list)
    for item in edges:
        tail, head = plan.cells.get(item.tail), plan.cells.get(item.head)
        if len(plan.columns) == 1 or tail is head:
            groups[(item.id,)].append(item)
        elif tail is None or head is None:
            groups[
                item.tail if tail is None else tail[1], item.head if head is None else head[1]
            ].append(item)
        else:
            shape = (round(item.curve[-1][0] - item.curve[0][0], 1), len(item.curve))
            groups[tail[1], head[1], head[0] - tail[0], shape].append(item)
    return list(groups.values())


def _along(
    plan: Plan, room: Room, group: Sequence[PlacedEdge], marks: dict[str, DelayMark]
) -> Iterator[PlacedLabel]:
    """The labels of edges of one pattern, at the first place that is free beside all of them.

    Lines of a static node differ in length; if no place suits all of them, each has its own.
    """
    pattern, anchors = group[0], [_anchor(plan, item) for item in group]
    derivative = pattern.kind == "adjoint"
    found = []
    for size in SIZES[:1] if derivative else SIZES:
        texts = _texts(group, size * plan.style.font_size)
        found.append((*_place(room, group, anchors, texts, marks), texts))
        if not found[-1][0]:
            break
    trouble, (dx, dy), texts = min(found, key=lambda each: each[0])
    static = pattern.tail not in plan.cells or pattern.head not in plan.cells
    if trouble and len(group) > 1 and (derivative or static):
        for item in group:
            yield from _along(plan, room, [item], marks)
        return
    if trouble and derivative:  # left out where it would be in the way
        return
    for item, (x, y), text in zip(group, anchors, texts, strict=True):
        label = PlacedLabel(item.id, text, x + dx, y + dy)
        room.add_text(label.box)
        yield label


def _texts(group: Sequence[PlacedEdge], size: float) -> list[Typeset]:
    """The labels of edges, set in a size."""
    labels = [item.edge.label for item in group if item.edge is not None]
    return [typeset(label, size, text_width) for label in labels if label is not None]


def _place(
    room: Room,
    group: Sequence[PlacedEdge],
    anchors: Sequence[Point],
    texts: Sequence[Typeset],
    marks: dict[str, DelayMark],
) -> tuple[int, Point]:
    """The best place of the texts of a group, relative to its anchors, after what is in its way."""
    sample = sorted({0, len(group) // 2, len(group) - 1})
    widest = max(texts, key=lambda text: text.width)
    near = NEAR * widest.size
    best: tuple[int, int, Point] | None = None
    shortest = min(range(len(group)), key=lambda number: length_of(group[number].curve))
    pattern, anchor = group[shortest], anchors[shortest]
    for dx, dy, clearance, foot in _offsets(pattern, anchor, widest, marks.get(pattern.id)):
        trouble = strangers = 0
        for number in sample:
            x, y = anchors[number]
            box = PlacedLabel("", widest, x + dx, y + dy).box
            across = (x + foot[0], y + foot[1]), (x + dx, y + dy)
            own = _own(group[number])
            trouble += room.trouble(box) + room.between(*across, own)
            if pattern.kind == "adjoint":
                trouble += room.rivals(box, clearance + RIVAL * widest.size, own)
            if not trouble:
                strangers += room.strangers(box, max(clearance + 0.3 * near, near), own)
                strangers += room.in_one_line(box, APART * widest.size)
                strangers += room.strangers(box, TOUCHING * widest.size, {group[number].id})
        if best is None or (trouble, strangers) < best[:2]:
            best = (trouble, strangers, (dx, dy))
        if trouble == strangers == 0:
            break
    assert best is not None
    return best[0], best[2]


def _anchor(plan: Plan, item: PlacedEdge) -> Point:
    """The end of a line from which the place of its label is counted: that in a column."""
    if item.tail in plan.cells or item.head not in plan.cells:
        return item.curve[0]
    return item.tip or item.curve[-1]


def _own(item: PlacedEdge) -> tuple[str, str]:
    """The ids of a line and of the one that it accompanies."""
    return (item.id, item.edge.beside if item.edge is not None else "")


def _offsets(
    item: PlacedEdge, anchor: Point, text: Typeset, mark: DelayMark | None
) -> Iterator[tuple[float, float, float, Point]]:
    """Candidate places of a label, relative to the anchor of its edge, the best first.

    Third is how far each is from its line, fourth the point there, relative to the anchor, too.
    """
    x0, y0 = anchor
    half_width, half_height = text.width / 2, text.height / 2
    if mark is not None and len(mark.edges) == 1:
        outward = -1 if mark.x < x0 - 1.0 else 1
        for aside in (outward, -outward):
            x, y = mark.x - x0, mark.y - y0
            yield x + aside * (mark.size / 2 + 3 + half_width), y, 0.0, (x, y)
    points = flatten(item.curve)
    total = sum(math.dist(a, b) for a, b in pairwise(points))
    if not total:
        return
    places = [share * total for share in SHARES]
    if item.edge is not None and item.edge.near_head:
        places = [max(total - ems * text.size, 0.3 * total) for ems in HEADS]
    for clearance in CLEARANCES if item.kind != "adjoint" else CLOSE:
        for place in places:
            (x, y), (tx, ty) = _at_length(points, place)
            nx, ny = (ty, -tx) if ty > 0.25 or (abs(ty) <= 0.25 and tx < 0) else (-ty, tx)
            clear = clearance * text.size
            away = clear + abs(nx) * half_width + abs(ny) * half_height
            for sign in (1, -1):
                at = (x - x0, y - y0)
                yield at[0] + sign * nx * away, at[1] + sign * ny * away, clear, at


def _at_length(points: Sequence[Point], rest: float) -> tuple[Point, Point]:
    """The point at a length along a polygon, and the direction there."""
    place, way = points[0], (0.0, 1.0)
    for a, b in pairwise(points):
        length = math.dist(a, b)
        if not length:
            continue
        way = ((b[0] - a[0]) / length, (b[1] - a[1]) / length)
        if rest <= length:
            return (a[0] + way[0] * rest, a[1] + way[1] * rest), way
        rest -= length
        place = b
    return place, way


def _titles(
    scene: UnfoldedScene, plan: Plan, grid: Grid, nodes: Sequence[PlacedNode], router: Router
) -> Iterator[PlacedLabel]:
    """The title of each track, centred above everything."""
    top = max(
        [node.box[3] for node in nodes] + [p[1] for edge in router.ink.edges for p in edge.curve],
        default=0.0,
    )
    for track in scene.tracks:
        if track.title is not None:
            mine = [
                number
                for number, column in enumerate(plan.columns)
                if column.template[0] == track.key
            ]
            text = typeset(track.title, plan.style.font_size, text_width)
            x = (grid.x[mine[0]] + grid.right(mine[-1])) / 2
            yield PlacedLabel(f"title-{track.key}", text, x, top + 8 + text.height / 2)


__all__ = ["Edge", "place_labels"]
