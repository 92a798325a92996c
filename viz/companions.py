"""Lines that run back beside others: the adjoint arrow next to the arrow that it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from viz.ends import direction, extended, to_border
from viz.grid import Plan
from viz.ink import Ink
from viz.picture import Dot, PlacedEdge, PlacedNode
from viz.routing import (
    Curve,
    Point,
    flatten,
    joined,
    length_of,
    line,
    parallel,
    reversed_curve,
    unit,
)
from viz.scene import Edge, EdgeKind

APART = 4.0
"""Distance between an arrow and its companion."""
TOUCH = 0.8
Joint = tuple[PlacedEdge, Point, Point]
"""Another line, where a piece leaves it, and its direction there."""


class Companions:
    """Draws edges that follow others backwards, once those have been drawn.

    A parameter's line is not accompanied but turned round: its gradient flows where it was.
    """

    def __init__(self, plan: Plan, ink: Ink, nodes: Iterable[PlacedNode]) -> None:
        self._ink = ink
        self._style = plan.style
        self._nodes = {node.node.id: node for node in nodes}
        self._bundles: dict[tuple[str, str], list[PlacedEdge]] = {}
        self._ends: dict[tuple[str, str], list[PlacedEdge]] = {}
        for piece in ink.edges:
            # What others can branch off: trunks and lines from the node itself, to its arrowhead.
            if piece.edge is None or (piece.tail and self._touches(piece.tail, piece.curve[0])):
                self._bundles.setdefault((piece.tail, piece.kind), []).append(piece)
            if piece.tip is not None:
                self._ends.setdefault((piece.head, piece.kind), []).append(piece)
        self._chosen: dict[str, PlacedEdge] = {}
        self._joints: dict[str, Joint] = {}
        self._feet: dict[str, list[tuple[Point, bool]]] = {}

    def run(self, edges: Iterable[Edge]) -> None:
        """Add the lines of edges with `beside`."""
        wanted = {edge.beside: edge for edge in edges}
        stubs = {
            piece.id: wanted[piece.id.split("…")[0]]
            for piece in self._ink.edges
            if "…" in piece.id and piece.id.split("…")[0] in wanted
        }
        for piece in [p for p in self._ink.edges if p.id in wanted or p.id in stubs]:
            self._choose(piece)
        turned = {piece.id for piece in self._chosen.values() if piece.kind == "parameter"}
        added = [self._back(piece, wanted.get(piece.id)) for piece in self._chosen.values()]
        for number, name in enumerate(self._chosen):
            if name not in wanted and name not in stubs:
                added[number] = self._cut(added[number], self._feet.get(name, ()))
        joints = {_near(at) for piece, at, _ in self._joints.values() if piece.id in turned}
        self._ink.edges[:] = [piece for piece in self._ink.edges if piece.id not in turned]
        self._ink.edges.extend(added)
        self._ink.dots[:] = [
            replace(dot, kind="gradient")
            if dot.kind == "parameter" and _near((dot.x, dot.y)) in joints
            else dot
            for dot in self._ink.dots
        ]

    def _choose(self, piece: PlacedEdge) -> None:
        """Take a piece, and those that connect it with the ends of its edge."""
        while piece.id not in self._chosen:
            self._chosen[piece.id] = piece
            start, end = piece.curve[0], piece.tip or piece.curve[-1]
            if piece.tail and not self._touches(piece.tail, start):
                other = self._through(piece, start, self._bundles.get((piece.tail, piece.kind), ()))
            elif piece.head and piece.tip is None:
                other = self._through(piece, end, self._ends.get((piece.head, piece.kind), ()))
                start = end
            else:
                return
            if other is None:
                return
            self._joints[piece.id] = other
            piece = other[0]

    def _touches(self, node: str, at: Point) -> bool:
        left, bottom, right, top = self._nodes[node].box
        return left - 1 <= at[0] <= right + 1 and bottom - 1 <= at[1] <= top + 1

    def _through(self, piece: PlacedEdge, at: Point, others: Iterable[PlacedEdge]) -> Joint | None:
        """The line on which a piece starts or ends, a trunk rather than another."""
        found: Joint | None = None
        for other in others:
            if other.id != piece.id and (found is None or other.edge is None):
                way = _passes(other, at)
                if way is not None and other.edge is None:
                    return other, at, way
                if way is not None:
                    found = other, at, way
        return found

    def _back(self, piece: PlacedEdge, edge: Edge | None) -> PlacedEdge:
        """The companion of one piece."""
        turned = piece.kind == "parameter"
        whole = (
            piece.curve
            if piece.tip is None
            else joined(piece.curve, line(piece.curve[-1], piece.tip))
        )
        side = 0.0 if turned else APART * self._side(piece)
        joint = self._joints.get(piece.id)
        at_start = joint is not None and math.dist(joint[1], whole[0]) < 0.1
        branches = joint is not None and not _goes_on(whole, joint, at_start=at_start)
        curve = parallel(whole, self._inner_side(piece, whole, side) if branches else side)
        if joint is not None and branches:
            curve = self._joined(curve, joint, side, at_start=at_start)
        if side and piece.tail and not at_start:
            curve = to_border(curve, self._nodes[piece.tail], whole[0])
        if side and piece.head and piece.tip is not None:
            ended = to_border(reversed_curve(curve), self._nodes[piece.head], whole[-1])
            curve = reversed_curve(ended)
        kind: EdgeKind = "gradient" if turned else "adjoint"
        tail, head = (edge.tail, edge.head) if edge is not None else (piece.head, piece.tail)
        curve = reversed_curve(curve)
        name = edge.id if edge is not None else f"{piece.id}-back"
        mark = len(self._ink.edges)
        self._ink.emit(curve, name=name, edge=edge, kind=kind, tail=tail, head=head,
                       arrow=not at_start)  # fmt: skip
        placed = self._ink.edges.pop(mark)
        if joint is not None:
            foot = placed.curve[-1] if at_start else placed.curve[0]
            self._feet.setdefault(joint[0].id, []).append((foot, at_start))
            if branches and not turned:
                self._ink.dots.append(Dot(kind, *foot, 1.3))
        return placed

    def _cut(self, back: PlacedEdge, feet: Sequence[tuple[Point, bool]]) -> PlacedEdge:
        """The companion of a line that only carries others, up to the furthest that joins it.

        With each foot comes whether the joining line branches off, instead of ending there.
        """
        if not feet:
            return back
        whole = back.curve
        parts = [
            reversed_curve(_until(reversed_curve(whole), foot)) if off else _until(whole, foot)
            for foot, off in feet
        ]
        number = max(range(len(parts)), key=lambda number: length_of(parts[number]))
        (foot, off), curve = feet[number], parts[number]
        if length_of(whole) - length_of(curve) < TOUCH:
            return back
        self._ink.dots[:] = [dot for dot in self._ink.dots if (dot.x, dot.y) != foot]
        if off:
            return replace(back, curve=curve, tail="")
        return replace(back, curve=curve, head="", tip=None)

    def _side(self, piece: PlacedEdge) -> int:
        """1 for the left of the way forward: above where it leads to the right."""
        while piece.id in self._joints:
            piece = self._joints[piece.id][0]
        width = piece.curve[-1][0] - piece.curve[0][0]
        return -1 if width < -1.0 else 1

    def _inner_side(self, piece: PlacedEdge, whole: Curve, side: float) -> float:
        """The side of a branch on which its companion meets the middle of the node."""
        end = piece.head if piece.tip is not None else piece.tail
        at, before = (whole[-1], whole[-2]) if piece.tip is not None else (whole[0], whole[1])
        if not end or not side:
            return side
        node, way = self._nodes[end], unit(before, at)
        left = (node.x - at[0]) * -way[1] + (node.y - at[1]) * way[0]
        if abs(left) < 0.3 * APART:
            return side
        return math.copysign(side, left if piece.tip is not None else -left)

    def _joined(self, curve: Curve, joint: Joint, side: float, *, at_start: bool) -> Curve:
        """The curve prolonged or cut so that it ends on the companion of the piece it leaves."""
        _, at, way = joint
        if not at_start:
            curve = reversed_curve(curve)
        start = curve[0]
        own = direction(curve)
        normal = (-way[1], way[0])
        share = own[0] * normal[0] + own[1] * normal[1]
        if abs(share) > 0.3:
            target = (at[0] + side * normal[0], at[1] + side * normal[1])
            gap = (target[0] - start[0]) * normal[0] + (target[1] - start[1]) * normal[1]
            curve = extended(curve, own, gap / share)
        return curve if at_start else reversed_curve(curve)


def _near(at: Point) -> tuple[int, int]:
    return round(at[0]), round(at[1])


def _goes_on(whole: Curve, joint: Joint, *, at_start: bool) -> bool:
    """Whether a line continues the one that it joins, instead of branching off."""
    way = joint[2]
    own = direction(whole if at_start else whole[::-1])
    return abs(way[0] * own[0] + way[1] * own[1]) > 0.9


def _until(curve: Curve, at: Point) -> Curve:
    """The part of a curve before a point on one of its straight pieces; all of it if on none."""
    for index in range(0, len(curve) - 1, 3):
        a, b = curve[index], curve[index + 3]
        if math.dist(a, at) + math.dist(at, b) < math.dist(a, b) + 0.1:
            return (*curve[:index], *line(a, at))
    return curve


def _passes(piece: PlacedEdge, at: Point) -> Point | None:
    """The direction of a line at a point on it, None if it does not pass there."""
    for a, b in _near_segments(piece, at):
        length = math.dist(a, b)
        if length < 1e-6:
            continue
        way = unit(a, b)
        along = (at[0] - a[0]) * way[0] + (at[1] - a[1]) * way[1]
        off = abs((at[0] - a[0]) * way[1] - (at[1] - a[1]) * way[0])
        if off < TOUCH and -TOUCH <= along <= length + TOUCH:
            return way
    return None


def _near_segments(piece: PlacedEdge, at: Point) -> Iterator[tuple[Point, Point]]:
    """The segments of the parts of a line that come near a point."""
    curve, (x, y) = piece.curve, at
    for index in range(0, len(curve) - 1, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = part = curve[index : index + 4]
        if (
            min(x0, x1, x2, x3) - TOUCH <= x <= max(x0, x1, x2, x3) + TOUCH
            and min(y0, y1, y2, y3) - TOUCH <= y <= max(y0, y1, y2, y3) + TOUCH
        ):
            yield from pairwise(flatten(part))
    if piece.tip is not None:
        yield curve[-1], piece.tip
