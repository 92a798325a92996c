"""The laid-out picture: every node, curve, square and text at its place; and its overlap check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from viz.label import Typeset
from viz.routing import Box, Curve, Point, flatten, segment_meets_box
from viz.scene import Edge, EdgeKind, Group, Node
from viz.style import Shape, Style


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node: centre, size, and its label centred in it."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    shape: Shape
    text: Typeset

    @property
    def box(self) -> Box:
        """The smallest upright box around the border."""
        return (
            self.x - self.width / 2,
            self.y - self.height / 2,
            self.x + self.width / 2,
            self.y + self.height / 2,
        )


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """A curve with an optional arrowhead.

    `edge` is None for a trunk, the line that several edges of one node share, and for an arrow to
    or from "…". `tip` is the point of the arrowhead; the curve ends at its base.
    """

    id: str
    edge: Edge | None
    kind: EdgeKind
    tail: str
    head: str
    curve: Curve
    tip: Point | None


@dataclass(frozen=True, slots=True)
class DelayMark:
    """A square on a line: a delay when filled, an advance when hollow."""

    edges: tuple[str, ...]
    kind: EdgeKind
    x: float
    y: float
    size: float
    hollow: bool

    @property
    def box(self) -> Box:
        """The square."""
        half = self.size / 2
        return (self.x - half, self.y - half, self.x + half, self.y + half)


@dataclass(frozen=True, slots=True)
class Dot:
    """A small disc: where a line branches, or one of the three of a "…"."""

    kind: EdgeKind
    x: float
    y: float
    radius: float
    ellipsis: bool = False


@dataclass(frozen=True, slots=True)
class PlacedLabel:
    """A text outside the nodes, centred at (x, y); `owner` is the id of its edge or group."""

    owner: str
    text: Typeset
    x: float
    y: float

    @property
    def box(self) -> Box:
        """The box around the text."""
        half_width, half_height = self.text.width / 2, self.text.height / 2
        return (
            self.x - half_width,
            self.y - half_height,
            self.x + half_width,
            self.y + half_height,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The box around a group; `id` is the group's, with a column's number where there are many."""

    id: str
    group: Group
    box: Box


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture ready to be written in any format; the origin is its lower left corner."""

    nodes: tuple[PlacedNode, ...]
    edges: tuple[PlacedEdge, ...]
    marks: tuple[DelayMark, ...]
    dots: tuple[Dot, ...]
    labels: tuple[PlacedLabel, ...]
    frames: tuple[Frame, ...]
    width: float
    height: float
    style: Style

    def label_colours(self) -> list[str]:
        """The colour of each label: that of its line, if a gradient flows along it."""
        back = {e.id: self.style.edges[e.kind].stroke for e in self.edges if e.kind == "adjoint"}
        return [back.get(label.owner, self.style.text) for label in self.labels]


def overlaps(layout: Layout, *, slack: float = 0.5) -> list[str]:
    """What lies on what it should not, one sentence each; empty for a good picture.

    Checked are node boxes, labels and delay squares against each other, and every curve against
    all of them except the ends of its own edge and its own square. Linear in the picture's size.
    """
    boxes = [
        *((node.node.id, frozenset((node.node.id,)), node.box) for node in layout.nodes),
        *((f"square of {m.edges[0]}", frozenset(m.edges), m.box) for m in layout.marks),
        *((f"label of {label.owner}", frozenset[str](), label.box) for label in layout.labels),
    ]
    index = BoxIndex()
    found: list[str] = []
    for number, (name, _, box) in enumerate(boxes):
        found.extend(
            f"{name} overlaps {boxes[other][0]}"
            for other in index.near(box)
            if boxes_meet(box, boxes[other][2], slack)
        )
        index.add(number, box)
    for edge in layout.edges:
        own = {edge.id, edge.tail, edge.head}
        hit: set[int] = set()
        for start, end in pairwise(flatten(edge.curve)):
            hit.update(
                number
                for number in index.near(bounds(start, end))
                if not boxes[number][1] & own
                and segment_meets_box(start, end, boxes[number][2], -slack)
            )
        found.extend(f"{edge.id} runs through {boxes[number][0]}" for number in sorted(hit))
    return found


class BoxIndex:
    """Boxes filed by the cells of a coarse grid that they touch."""

    CELL = 48.0

    def __init__(self) -> None:
        self._cells: defaultdict[tuple[int, int], list[int]] = defaultdict(list)

    def add(self, number: int, box: Box) -> None:
        """File a box under a number."""
        for key in self._keys(box):
            self._cells[key].append(number)

    def near(self, box: Box) -> list[int]:
        """Numbers of the boxes that may touch a box, in order."""
        return sorted({n for key in self._keys(box) for n in self._cells.get(key, ())})

    def _keys(self, box: Box) -> Iterator[tuple[int, int]]:
        left, bottom, right, top = (int(value // self.CELL) for value in box)
        for column in range(left, right + 1):
            for row in range(bottom, top + 1):
                yield column, row


def bounds(start: Point, end: Point) -> Box:
    """The upright box of which two points are opposite corners."""
    return (
        min(start[0], end[0]),
        min(start[1], end[1]),
        max(start[0], end[0]),
        max(start[1], end[1]),
    )


def boxes_meet(a: Box, b: Box, slack: float = 0.0) -> bool:
    """Whether two boxes have more than their borders, or more than `slack`, in common."""
    return (
        a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack
    )
