"""Static nodes: parameters on buses below or above the columns, results to their right."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from viz.ducts import TURN
from viz.grid import Plan, Size, Tap
from viz.picture import Dot, PlacedNode
from viz.router import Router
from viz.routing import Curve, Point, bend, joined, line, port, rounded, segment_meets_box
from viz.scene import Edge, Node
from viz.static_places import PAD, StaticPlaces
from viz.style import Shape

Place = tuple[float, Tap, list[tuple[float, float, float]]]
"""Where a line leaves or enters the columns, and the bands that it passes there."""

ASIDE = 14.0
"""How far left of the room of a result a line to it rises."""


class StaticZone:
    """Places the static nodes and draws their lines."""

    def __init__(self, plan: Plan, router: Router) -> None:
        self.plan, self.router, self.grid = plan, router, router.grid
        self.nodes: list[PlacedNode] = []
        self.places = StaticPlaces(plan, router.grid, self._reach())

    def run(self) -> None:
        """Place the nodes, then draw buses, taps and the lines between static nodes."""
        for node in self.plan.statics:
            size, (x, y) = self.places.sizes[node.id], self.places.at[node.id]
            self.nodes.append(
                PlacedNode(
                    node, x, y, size.width, size.height, size.shape, self.plan.texts[node.id]
                )
            )
        for node in self.plan.statics:
            outward = [tap for tap in self.places.taps[node.id] if tap.inward]
            if outward:
                self._fan_out(node, outward)
            rows: defaultdict[str, list[Tap]] = defaultdict(list)
            for tap in self.places.taps[node.id]:
                if not tap.inward:
                    rows[tap.cell[1]].append(tap)
            for row, taps in rows.items():
                self._fan_in(node, row, taps)
        for edge in self.plan.between:
            self._join(edge)

    def _reach(self) -> tuple[float, float]:
        """The horizontal range of everything in the columns."""
        low = min([self.grid.x[0], *(p[0] for e in self.router.ink.edges for p in e.curve)])
        last = len(self.grid.x) - 1
        high = max([self.grid.right(last), *(p[0] for e in self.router.ink.edges for p in e.curve)])
        return low, high

    def _port(self, name: str, angle: float) -> Point:
        size: Size = self.places.sizes[name]
        return port(self.places.box(name), size.shape, angle, 1)[0]

    def _fan_out(self, node: Node, taps: list[Tap]) -> None:
        """A bus out of each side of a node with a tap to each user there."""
        above = node.id in self.plan.above
        places: list[Place] = []
        for tap in taps:
            bands = self.grid.lanes(tap.cell[0], tap.link)
            if above:
                bands = [(x, high, low) for x, low, high in reversed(bands)]
            places.append((bands[0][0], tap, bands))
        places.sort(key=lambda place: (place[0], place[1].edge.id))
        right, left = self._port(node.id, 90.0), self._port(node.id, -90.0)
        self._branches(node, [right], 1, [p for p in places if p[0] >= right[0]])
        begin = [left]
        if node.id in self.places.returns:
            start, _ = port(self.places.box(node.id), self._shape(node.id), 0.0, -1 if above else 1)
            begin = [start, (start[0], self.places.returns[node.id])]
        self._branches(node, begin, -1, [p for p in places if p[0] < right[0]][::-1])

    def _branches(
        self, node: Node, begin: list[Point], direction: int, places: list[Place]
    ) -> None:
        """A bus along points and on in a direction, with a tap at each place, the nearest first."""
        if not places:
            return
        router = self.router
        side = -1 if node.id in self.plan.above else 1
        entry = self.grid.ceiling if side < 0 else self.grid.floor
        start, y = begin[-1]
        far = places[-1][0]
        turn = min(TURN, abs(far - start) / 2, abs(entry - y) / 2)
        goes_on = direction > 0 and self._feeds_result(node)
        turn_at = (far if goes_on else far - direction * turn, y)
        if len(places) > 1 or goes_on:
            router.ink.emit(
                rounded([*begin, turn_at], TURN),
                name=f"trunk-{node.id}-{direction}",
                edge=None,
                kind=places[0][1].edge.kind,
                tail=node.id,
                head="",
                arrow=False,
            )
        for number, (x, tap, bands) in enumerate(places):
            last = number == len(places) - 1 and not goes_on
            end, out = router.ports.of_tap(tap)
            approach = router.approach(tap.cell, -side)
            if last:
                before = [turn_at] if len(places) > 1 else begin
                foot = rounded([*before, (x, y), (x, entry)], turn)
            else:
                foot = line((x, y), (x, entry))
                router.ink.dots.append(Dot(tap.edge.kind, x, y, 1.3))
            rest = router.through((x, entry), (0.0, float(side)), bands, end, out, side, approach)
            router.ink.emit(
                joined(foot, rest),
                name=tap.edge.id,
                edge=tap.edge,
                kind=tap.edge.kind,
                tail=tap.edge.tail,
                head=tap.edge.head,
            )

    def _shape(self, name: str) -> Shape:
        return self.places.sizes[name].shape

    def _feeds_result(self, node: Node) -> bool:
        """Whether the bus of a source goes on to a result."""
        results = self.places.results
        return node.id not in results and any(
            edge.tail == node.id and edge.head in results for edge in self.plan.between
        )

    def _fan_in(self, node: Node, row: str, taps: list[Tap]) -> None:
        """A bus that collects from the columns into the side of a result."""
        router = self.router
        y = self.places.rails[node.id, row]
        places = []
        for tap in taps:
            bands = self.grid.lanes(tap.cell[0], tap.link)
            places.append((bands[-1][0], tap, bands))
        places.sort(key=lambda place: (place[0], place[1].edge.id))
        end = self._port(node.id, -90.0)
        for number, (x, tap, bands) in enumerate(places):
            top = (x, self.grid.ceiling)
            leaving = router.ports.leaving_tap(tap)
            stem = router.climb(tap.cell, 1, bands[:-1], top, (0.0, -1.0), None, leaving)
            first = number == 0
            edge = tap.edge
            if first:
                top = self._upper(node.id, row)
                tail_end = [end] if abs(y - end[1]) < 0.5 else [(top[0], y), top]
                bus = rounded([(x, self.grid.ceiling), (x, y), *tail_end], TURN)
                router.ink.emit(
                    joined(stem, bus),
                    name=edge.id,
                    edge=edge,
                    kind=edge.kind,
                    tail=edge.tail,
                    head=edge.head,
                )
            else:
                router.ink.emit(
                    joined(stem, line((x, self.grid.ceiling), (x, y))),
                    name=edge.id,
                    edge=edge,
                    kind=edge.kind,
                    tail=edge.tail,
                    head=edge.head,
                    arrow=False,
                )
                router.ink.dots.append(Dot(edge.kind, x, y, 1.6))

    def _upper(self, name: str, row: str) -> Point:
        """Where the rail of a row enters a result from above: the highest furthest to the right."""
        rails = sorted(y for (other, _), y in self.places.rails.items() if other == name)
        place = rails.index(self.places.rails[name, row]) - len(rails) / 2
        return port(self.places.box(name), self._shape(name), 24.0 * place, 1)[0]

    def _join(self, edge: Edge) -> None:
        """A line between two static nodes."""
        start = self._start(edge)
        if edge.id in self.places.passes:
            curve = self._over(edge, self.places.passes[edge.id])
        elif edge.tail not in self.places.results and edge.head in self.places.results:
            curve = self._into_result(edge, start)
        else:
            end = self._entry(edge)
            level = abs(start[1] - end[1]) < 0.5
            curve = line(start, end) if level else self._stepped(edge, start, end)
        self.router.ink.emit(
            curve, name=edge.id, edge=edge, kind=edge.kind, tail=edge.tail, head=edge.head
        )

    def _over(self, edge: Edge, level: float) -> Curve:
        """A line over the nodes that stand between its ends: up, along at a height, and down."""
        way = 1 if self.places.at[edge.head][0] > self.places.at[edge.tail][0] else -1
        ends = []
        for name, turn in ((edge.tail, way), (edge.head, -way)):
            there = [
                (self.places.passes[other.id], other.id)
                for other in self.plan.between
                if other.id in self.places.passes and name in (other.tail, other.head)
            ]
            # The highest line starts furthest from the way along, so that none of them cross.
            place = sorted(there, reverse=True).index((level, edge.id)) - (len(there) - 1) / 2
            box, shape = self.places.box(name), self._shape(name)
            ends.append(port(box, shape, turn * 24.0 * place, 1)[0])
        start, end = ends
        return rounded([start, (start[0], level), (end[0], level), end], TURN)

    def _start(self, edge: Edge) -> Point:
        """Where a line leaves: at the right, or below or above if others end beside its start."""
        rise = self.places.at[edge.head][1] - self.places.at[edge.tail][1]
        shape = self.places.sizes[edge.tail].shape
        if edge.id not in self.plan.accompanied or abs(rise) < 0.5 or shape != "round":
            return self._port(edge.tail, 90.0)
        return port(self.places.box(edge.tail), shape, 50.0, 1 if rise > 0 else -1)[0]

    def _into_result(self, edge: Edge, start: Point) -> Curve:
        """A line from a source to a result: along the source's row, then up or down into it."""
        box, shape = self.places.box(edge.head), self.places.sizes[edge.head].shape
        side = 1 if start[1] > self.places.at[edge.head][1] else -1
        same = [
            other
            for other in self.plan.between
            if other.head == edge.head
            and other.tail not in self.places.results
            and (self.places.at[other.tail][1] > self.places.at[edge.head][1]) == (side > 0)
        ]
        # The outermost source turns last, so that none of these lines cross.
        same.sort(key=lambda other: side * self.places.at[other.tail][1])
        angle = 24.0 * (same.index(edge) - (len(same) - 1) / 2)
        end, _ = port(box, shape, angle, side)
        path = [start, (end[0], start[1]), end]
        if not all(self._is_clear(edge, a, b) for a, b in pairwise(path)):
            end = self._port(edge.head, -90.0)
            # Left of the arrowheads of all nodes above and below.
            x = self.places.ends[edge.head][0] - ASIDE
            path = [start, (x, start[1]), (x, end[1]), end]
        return rounded(path, TURN)

    def _entry(self, edge: Edge) -> Point:
        """Where a line from a neighbour arrives: at the left, beside what ends there."""
        same = [other for other in self.plan.between if other.head == edge.head]
        same = [
            o for o in same if (o.tail in self.places.results) == (edge.tail in self.places.results)
        ]
        same.sort(key=lambda other: -self.places.at[other.tail][1])
        rises = [self.places.at[o.tail][1] - self.places.at[edge.head][1] for o in same]
        rise = rises[same.index(edge)]
        level = self.places.at[edge.head][1]
        rises += [y - level for (name, _), y in self.places.rails.items() if name == edge.head]
        beside = any(abs(other) < 0.5 for other in rises)
        if abs(rise) < 0.5 or (len(same) == 1 and not beside):
            return self._port(edge.head, -90.0)
        box, shape = self.places.box(edge.head), self.places.sizes[edge.head].shape
        if beside:
            return port(box, shape, -45.0, 1 if rise > 0 else -1)[0]
        lean = 2 * same.index(edge) / (len(same) - 1) - 1
        return port(box, shape, -90.0 + 45.0 * abs(lean), 1 if lean < 0 else -1)[0]

    def _stepped(self, edge: Edge, start: Point, end: Point) -> Curve:
        """A line that changes its height right of its tail or left of its head.

        Where both rows have other nodes on the way, it runs between the rows.
        """
        early, late = self.places.ends[edge.tail][1], self.places.ends[edge.head][0] - PAD
        for x in (early, late):
            first, second = (x, start[1]), (min(x + PAD, end[0]), end[1])
            if self._is_clear(edge, start, first) and self._is_clear(edge, second, end):
                return _steps([start, first, second, end])
        middle = self._between(edge, start, end)
        return _steps(
            [start, (early, start[1]), (early + PAD, middle), (late, middle), (end[0], end[1])]
        )

    def _is_clear(self, edge: Edge, start: Point, end: Point) -> bool:
        return not any(
            segment_meets_box(start, end, self.places.box(name), 2.0)
            for name in self.places.at
            if name not in (edge.tail, edge.head)
        )

    def _between(self, edge: Edge, start: Point, end: Point) -> float:
        """A height between the nodes on the rows of the tail and of the head."""
        way = 1 if end[1] > start[1] else -1
        near, far = start[1], end[1]
        for name in self.places.at:
            left, bottom, right, top = self.places.box(name)
            if name in (edge.tail, edge.head) or right < start[0] or left > end[0]:
                continue
            middle = (bottom + top) / 2
            if abs(middle - start[1]) < 1.0:
                near = max(near * way, (top if way > 0 else bottom) * way) * way
            elif abs(middle - end[1]) < 1.0:
                far = min(far * way, (bottom if way > 0 else top) * way) * way
        return (near + far) / 2


def _steps(points: list[Point]) -> Curve:
    """Level lines and smooth changes of height between them."""
    pieces: list[Curve] = []
    for a, b in pairwise(points):
        if abs(a[1] - b[1]) > 0.1:
            pieces.append(bend(a, (1.0, 0.0), b, (1.0, 0.0), 0.5 * abs(b[0] - a[0])))
        elif b[0] > a[0] + 0.1:
            pieces.append(line(a, b))
    return joined(*pieces)
