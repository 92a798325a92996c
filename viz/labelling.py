"""Texts beside lines, numbers beside delays, titles of groups and tracks, where there is room."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from viz.font import text_width
from viz.grid import Grid, Plan
from viz.label import Typeset, roman, typeset
from viz.picture import (
    BoxIndex,
    DelayMark,
    Frame,
    PlacedEdge,
    PlacedLabel,
    PlacedNode,
    bounds,
)
from viz.router import Router
from viz.routing import Box, Point, flatten, segment_meets_box
from viz.scene import CircuitScene, Edge, Group, Scene, UnfoldedScene

SHARES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.25, 0.75, 0.15, 0.85)
CLEARANCES = (3.0, 1.5, 6.0, 10.0, 15.0)


class _Room:
    """What is drawn already, to find free places."""

    def __init__(self, router: Router, nodes: Sequence[PlacedNode]) -> None:
        self._boxes: list[Box] = []
        self._segments: list[tuple[Point, Point]] = []
        self._box_index, self._segment_index = BoxIndex(), BoxIndex()
        for node in nodes:
            self.add(node.box)
        for mark in router.ink.marks:
            self.add(mark.box)
        for edge in router.ink.edges:
            points = flatten(edge.curve)
            for start, end in pairwise([*points, edge.tip] if edge.tip else points):
                self._segment_index.add(len(self._segments), bounds(start, end))
                self._segments.append((start, end))

    def add(self, box: Box) -> None:
        """Take a place."""
        self._box_index.add(len(self._boxes), box)
        self._boxes.append(box)

    def trouble(self, box: Box) -> int:
        """How many things a box would lie on; another box counts more than a line."""
        count = 0
        for number in self._box_index.near(box):
            other = self._boxes[number]
            if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]:
                count += 10
        for number in self._segment_index.near(box):
            count += segment_meets_box(*self._segments[number], box, 1.0)
        return count


def place_labels(
    scene: Scene, plan: Plan, grid: Grid, router: Router, nodes: Sequence[PlacedNode]
) -> tuple[list[PlacedLabel], list[Frame]]:
    """Find the places of all texts outside the nodes, and the frames of groups."""
    labels: list[PlacedLabel] = []
    _place_squares(router, nodes)
    labelled = [edge for edge in router.ink.edges if edge.edge is not None and edge.edge.label]
    numbered = [mark for mark in router.ink.marks if _delay(scene, mark) != 1]
    if labelled or numbered:
        room = _Room(router, nodes)
        labels.extend(_beside_mark(plan, room, mark, _delay(scene, mark)) for mark in numbered)
        marks = {name: mark for mark in router.ink.marks for name in mark.edges}
        for group in _alike(plan, labelled):
            labels.extend(_along(plan, room, group, marks))
    frames = [
        Frame(name, group, box)
        for group in scene.groups
        for name, box in _group_boxes(scene, plan, grid, group)
    ]
    for frame in frames:
        text = typeset(frame.group.title, 0.8 * plan.style.font_size, text_width)
        x = frame.box[0] + text.width / 2 + 5
        labels.append(PlacedLabel(frame.id, text, x, frame.box[3] - 0.6 * text.size))
    if isinstance(scene, UnfoldedScene):
        labels.extend(_titles(scene, plan, grid, nodes, router))
    return labels, frames


def _place_squares(router: Router, nodes: Sequence[PlacedNode]) -> None:
    """Put the squares of delays where no other line is near."""
    if not router.ink.delayed:
        return
    room = _Room(router, nodes)
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


def _beside_mark(plan: Plan, room: _Room, mark: DelayMark, delay: int) -> PlacedLabel:
    text = typeset(roman(str(delay)), 0.8 * plan.style.font_size, text_width)
    aside = mark.size / 2 + 2.5 + text.width / 2
    over = mark.size / 2 + 1 + text.height / 2
    places = ((aside, 0.0), (-aside, 0.0), (0.0, over), (0.0, -over))
    best = min(
        (PlacedLabel(mark.edges[0], text, mark.x + dx, mark.y + dy) for dx, dy in places),
        key=lambda label: room.trouble(label.box),
    )
    room.add(best.box)
    return best


def _alike(plan: Plan, edges: Sequence[PlacedEdge]) -> list[list[PlacedEdge]]:
    """Edges of one pattern, which get their labels at the same place in every column."""
    groups: defaultdict[tuple[object, ...], list[PlacedEdge]] = defaultdict(list)
    for item in edges:
        tail, head = plan.cells.get(item.tail), plan.cells.get(item.head)
        if tail is None or head is None or len(plan.columns) == 1:
            groups[(item.id,)].append(item)
        else:
            shape = (round(item.curve[-1][0] - item.curve[0][0], 1), len(item.curve))
            groups[tail[1], head[1], head[0] - tail[0], shape].append(item)
    return list(groups.values())


def _along(
    plan: Plan, room: _Room, group: Sequence[PlacedEdge], marks: dict[str, DelayMark]
) -> Iterator[PlacedLabel]:
    """The labels of edges of one pattern, at the first place that is free beside all of them."""
    texts: list[Typeset] = []
    for item in group:
        assert item.edge is not None
        assert item.edge.label is not None
        texts.append(typeset(item.edge.label, plan.style.font_size, text_width))
    sample = sorted({0, len(group) // 2, len(group) - 1})
    widest = max(texts, key=lambda text: text.width)
    best: tuple[int, float, float] | None = None
    for dx, dy in _offsets(group[0], widest, marks.get(group[0].id)):
        trouble = 0
        for number in sample:
            x, y = group[number].curve[0]
            trouble += room.trouble(PlacedLabel("", widest, x + dx, y + dy).box)
        if best is None or trouble < best[0]:
            best = (trouble, dx, dy)
        if trouble == 0:
            break
    assert best is not None
    if best[0] and group[0].kind == "adjoint":
        return  # a derivative is left out where it would be in the way
    for item, text in zip(group, texts, strict=True):
        label = PlacedLabel(item.id, text, item.curve[0][0] + best[1], item.curve[0][1] + best[2])
        room.add(label.box)
        yield label


def _offsets(
    item: PlacedEdge, text: Typeset, mark: DelayMark | None
) -> Iterator[tuple[float, float]]:
    """Candidate places of a label, relative to the start of its edge, the best first."""
    x0, y0 = item.curve[0]
    half_width, half_height = text.width / 2, text.height / 2
    if mark is not None and len(mark.edges) == 1:
        for aside in (1, -1):
            yield mark.x + aside * (mark.size / 2 + 3 + half_width) - x0, mark.y - y0
    points = flatten(item.curve)
    total = sum(math.dist(a, b) for a, b in pairwise(points))
    if not total:
        return
    # A derivative must stand close to its own line: there are others of the same colour.
    for clearance in CLEARANCES if item.kind != "adjoint" else CLEARANCES[:3]:
        for share in SHARES:
            (x, y), (tx, ty) = _at_length(points, share * total)
            nx, ny = (ty, -tx) if ty > 0.25 or (abs(ty) <= 0.25 and tx < 0) else (-ty, tx)
            away = clearance + abs(nx) * half_width + abs(ny) * half_height
            for sign in (1, -1):
                yield x + sign * nx * away - x0, y + sign * ny * away - y0


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


def _group_boxes(scene: Scene, plan: Plan, grid: Grid, group: Group) -> Iterator[tuple[str, Box]]:
    """The frame of a group in every column, where no other node stands in it."""
    pad = 7.0
    title = 0.8 * plan.style.font_size
    rows_in: defaultdict[int, list[str]] = defaultdict(list)
    others: defaultdict[int, list[str]] = defaultdict(list)
    names = {node.id: (node.row or node.id) for node in scene.nodes}
    for name, (column, row) in plan.cells.items():
        key = name if isinstance(scene, CircuitScene) else names[name]
        (rows_in if key in group.members else others)[column].append(row)
    for column, rows in rows_in.items():
        if len(rows) < 2 and plan.columns[column].template[1] != "main":
            continue
        boxes = [grid.box((column, row)) for row in rows]
        box = (
            min(b[0] for b in boxes) - pad,
            min(b[1] for b in boxes) - pad,
            max(b[2] for b in boxes) + pad,
            max(b[3] for b in boxes) + pad + title,
        )
        foreign = (grid.box((column, row)) for row in others[column])
        if not any(
            b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3] for b in foreign
        ):
            yield (f"{group.id}.{column}" if len(plan.columns) > 1 else group.id), box


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
