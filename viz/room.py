"""The room that is left in a picture, where texts can go."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from viz.picture import BoxIndex, PlacedNode, bounds, boxes_meet
from viz.router import Router
from viz.routing import Box, Point, crossing, flatten, segment_meets_box


class Room:
    """What is drawn already, to find free places."""

    def __init__(self, router: Router, nodes: Sequence[PlacedNode]) -> None:
        self._boxes: list[Box] = []
        self._texts = BoxIndex()
        self._segments: list[tuple[str, Point, Point]] = []
        self._box_index, self._segment_index = BoxIndex(), BoxIndex()
        for node in nodes:
            self.add(node.box)
        for mark in router.ink.marks:
            self.add(mark.box)
        self._thin = {e.id for e in router.ink.edges if e.kind in ("parameter", "gradient")}
        for edge in router.ink.edges:
            points = flatten(edge.curve)
            for start, end in pairwise([*points, edge.tip] if edge.tip else points):
                self._segment_index.add(len(self._segments), bounds(start, end))
                self._segments.append((edge.id, start, end))

    def add(self, box: Box) -> None:
        """Take a place."""
        self._box_index.add(len(self._boxes), box)
        self._boxes.append(box)

    def add_text(self, box: Box) -> None:
        """Take a place for a text."""
        self._texts.add(len(self._boxes), box)
        self.add(box)

    def in_one_line(self, box: Box, gap: float) -> int:
        """How many texts stand so close beside a text that they could be read as one."""
        wide = (box[0] - gap, box[1], box[2] + gap, box[3])
        return sum(boxes_meet(wide, self._boxes[number]) for number in self._texts.near(wide))

    def add_outline(self, box: Box) -> None:
        """Take the border of a frame; its inside stays free."""
        left, bottom, right, top = box
        corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
        for start, end in pairwise(corners):
            self._segment_index.add(len(self._segments), bounds(start, end))
            self._segments.append(("", start, end))

    def trouble(self, box: Box) -> int:
        """How many things a box would lie on; another box counts more than a line."""
        count = 0
        for number in self._box_index.near(box):
            other = self._boxes[number]
            count += 10 * boxes_meet(box, other)
        return count + sum(1 for _ in self._lines(box, 1.0))

    def strangers(self, box: Box, margin: float, own: Collection[str]) -> int:
        """How many lines but its own, and nodes, come closer to a text than a margin."""
        wide = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
        nodes = sum(boxes_meet(wide, self._boxes[number]) for number in self._box_index.near(wide))
        return nodes + len({name for name in self._lines(box, margin) if name not in own})

    def rivals(self, box: Box, margin: float, own: Collection[str]) -> int:
        """How many lines but its own come so close to a text that it could be theirs.

        The thin lines of parameters have no texts of this kind.
        """
        return len({n for n in self._lines(box, margin) if n not in own and n not in self._thin})

    def between(self, start: Point, end: Point, own: Collection[str]) -> int:
        """How many lines, but its own, part a text from the place on its line."""
        names = set[str]()
        for number in self._segment_index.near(bounds(start, end)):
            name, a, b = self._segments[number]
            if name not in own and crossing(start, end, a, b) is not None:
                names.add(name)
        return len(names)

    def _lines(self, box: Box, margin: float) -> Iterator[str]:
        """The ids of the lines that come closer to a box than a margin, once for each segment."""
        wide = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
        for number in self._segment_index.near(wide):
            name, start, end = self._segments[number]
            if segment_meets_box(start, end, box, margin):
                yield name
