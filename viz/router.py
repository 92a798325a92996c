"""The lines of a picture between cells: links, arcs, ducts and loops, with their arrowheads."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from viz.ducts import Ducts
from viz.grid import Across, Cell, Grid, Inner, Plan, base_row
from viz.ink import Ink
from viz.layout_circuit import LOOP_ANGLE
from viz.nets import Manner, Tracks
from viz.picture import Dot
from viz.ports import Ports
from viz.routing import Curve, Point, bend, joined, line

BOW = 34.0
"""How far a line is bent out of the way of another between the same two nodes."""
STEEPEST = 62.0
"""The angle, in degrees from the vertical, up to which a line may be straight."""

ARCS = (36.0, 20.0, 36.0)
"""Where arcs end, in degrees from the top of a node: the middle, how far from one to the next, and
from the first to the last at most."""
ARCS_PAIRED = (46.0, 26.0, 34.0)
"""The same for arcs with a line beside each."""


class Router:
    """Draws the lines on a grid that has been placed."""

    def __init__(self, plan: Plan, grid: Grid, chosen: dict[str, Manner], tracks: Tracks) -> None:
        self.plan, self.grid, self.chosen, self.tracks = plan, grid, chosen, tracks
        self.ink = Ink(plan)
        self.ports = Ports(plan, grid, chosen, tracks)
        self._arcs = _arc_lengths(plan, chosen)
        self._ducts = Ducts(plan, grid, tracks, self.ports, self.ink)

    def run(self) -> None:
        """Draw everything but what belongs to static nodes."""
        for inner in self.plan.inner:
            self._draw_link(inner)
        seen: defaultdict[str, int] = defaultdict(int)
        for inner in self.plan.loops:
            self._draw_loop(inner, seen[inner.tail])
            seen[inner.tail] += 1
        for item in self.plan.across:
            if self.chosen[item.id] == "level":
                self._draw_level(item)
            elif self.chosen[item.id] == "arc":
                self._draw_arc(item)
            elif self.chosen[item.id] == "line":
                self._draw_line(item)
        for net in self.tracks.nets:
            self._ducts.draw(net)
        for column, row in self.plan.dots:
            x, y = self.grid.centre((column, row))
            for offset in (-5.0, 0.0, 5.0):
                self.ink.dots.append(Dot("forward", x + offset, y, 1.2, ellipsis=True))

    # Lines inside a column.

    def _draw_link(self, inner: Inner) -> None:
        tail, head = (inner.column, inner.tail), (inner.column, inner.head)
        bands = self.grid.lanes(inner.column, inner.link)
        end, out = self.ports.of_link(inner)
        if inner.down:
            bands = [(x, high, low) for x, low, high in reversed(bands)]
        side = -1 if inner.down else 1
        leaving = self.ports.leaving_link(inner)
        curve = self.climb(tail, side, bands, end, out, self.approach(head, -side), leaving)
        if int(inner.link.key) and not bands:
            curve = self._bowed(tail, curve, self.ports.bow(inner))
        self.ink.emit(
            curve,
            name=inner.edge.id,
            edge=inner.edge,
            kind=inner.edge.kind,
            tail=inner.edge.tail,
            head=inner.edge.head,
        )
        if inner.edge.delay:
            self.ink.delayed.append((inner.edge, (inner.edge.id,), curve))

    def _bowed(self, tail: Cell, curve: Curve, bow: int) -> Curve:
        """A line beside others between the same two nodes, bent out of their way."""
        way = 1 if bow > 0 else -1
        out = BOW * bow
        (x0, _), (x1, y1) = curve[0], curve[-1]
        half = self.plan.sizes[tail[1]].width / 2
        angle = math.degrees(math.asin(0.6)) * way
        side = 1 if y1 > self.grid.centre(tail)[1] else -1
        start, _ = self.grid.port(tail, angle, side)
        rise = 0.3 * (y1 - start[1])
        x = (x0 + x1) / 2 + half * 0.3 * way + out
        return (start, (x, start[1] + rise), (x, y1 - rise), (x1, y1))

    def climb(
        self,
        tail: Cell,
        side: int,
        bands: list[tuple[float, float, float]],
        end: Point,
        out: Point,
        approach: float | None,
        leaving: float | None = None,
    ) -> Curve:
        """From the upper (side 1) or lower border of a node through lanes to a port.

        `out` points out of the port; the curve arrives against it, or upright from the height
        `approach` on. It leaves at the angle `leaving`, or in the direction of its aim.
        """
        centre = self.grid.centre(tail)
        aim = (bands[0][0], bands[0][1]) if bands else end
        angle = math.degrees(math.atan2(aim[0] - centre[0], abs(aim[1] - centre[1])))
        if not bands and abs(angle) <= STEEPEST:
            if leaving is None:
                return line(self.grid.towards(tail, end), end)
            return line(self.grid.port(tail, leaving, side)[0], end)
        angle = max(-50.0, min(50.0, angle)) if leaving is None else leaving
        start, way = self.grid.port(tail, angle, side)
        leave = self.approach(tail, side)
        if leave is None:
            return self.through(start, (0.4 * way[0], way[1]), bands, end, out, side, approach)
        first = (start[0], leave)
        rest = self.through(first, (0.0, float(side)), bands, end, out, side, approach)
        return joined(line(start, first), rest)

    def approach(self, cell: Cell, side: int) -> float | None:
        """The border of the layer on one side, if the node is smaller than others beside it."""
        level, height = self.plan.layers[cell[1]], self.plan.sizes[cell[1]].height
        low, high = self.grid.band(level)
        if height + 4 > high - low:
            return None
        if not any(
            self.plan.layers[row] == level and self.plan.sizes[row].height > height + 4
            for row in self.grid.rows_of(cell[0])
        ):
            return None
        return high if side > 0 else low

    def through(
        self,
        start: Point,
        way: Point,
        bands: list[tuple[float, float, float]],
        end: Point,
        out: Point,
        side: int,
        approach: float | None,
    ) -> Curve:
        """A smooth line through lanes, upright in each lane and from the height `approach` on."""
        pieces: list[Curve] = []
        upright = (0.0, float(side))
        for x, enter, leave in bands:
            pieces.append(_smooth(start, way, (x, enter), upright))
            pieces.append(line((x, enter), (x, leave)))
            start, way = (x, leave), upright
        if approach is not None:
            last = (end[0], approach)
            return joined(*pieces, _smooth(start, way, last, upright), line(last, end))
        arrive = (-0.45 * out[0], side * max(abs(out[1]), 0.3))
        pieces.append(_smooth(start, way, end, arrive))
        return joined(*pieces)

    def _draw_loop(self, inner: Inner, number: int) -> None:
        cell = (inner.column, inner.tail)
        side = self.plan.loop_side[inner.tail]
        x, y = self.grid.centre(cell)
        far = x + side * (
            self.plan.sizes[inner.tail].width / 2 + self.plan.loop_reach[inner.edge.id]
        )
        angle = side * (LOOP_ANGLE - 16.0 * number)
        start, way = self.grid.port(cell, angle, 1)
        end, out = self.grid.port(cell, angle, -1)
        reach = abs(far - start[0]) * 0.62
        height = abs(start[1] - y) * 0.9 + 4
        curve = joined(
            (
                start,
                (start[0] + way[0] * reach, start[1] + way[1] * reach),
                (far, y + height),
                (far, y),
            ),
            ((far, y), (far, y - height), (end[0] + out[0] * reach, end[1] + out[1] * reach), end),
        )
        edge = inner.edge
        self.ink.emit(
            curve, name=edge.id, edge=edge, kind=edge.kind, tail=edge.tail, head=edge.head
        )
        self.ink.mark(edge, (edge.id,), (far, y))

    # Lines to other columns.

    def _draw_level(self, item: Across) -> None:
        start, _ = self.grid.port(item.tail, 90.0 * item.side, 1)
        end, _ = self.grid.port(item.head, -90.0 * item.side, 1)
        self.ink.across(item, line(start, end))

    def _draw_line(self, item: Across) -> None:
        end = self.ports.of_line(item)
        leaving = self.ports.leaving_line(item)
        start = self.grid.towards(item.tail, end)
        if leaving is not None:
            start, _ = self.grid.port(item.tail, leaving, 1 if end[1] > start[1] else -1)
        self.ink.across(item, line(start, end))

    def _draw_arc(self, item: Across) -> None:
        angle = self._arc_angle(item)
        start, _ = self.grid.port(item.tail, angle * item.side, 1)
        end, _ = self.grid.port(item.head, -angle * item.side, 1)
        height = arc_height(item.distance) / 0.75
        lean = 0.25 * abs(end[0] - start[0]) * item.side
        # At a "…" and at small nodes the arc is steep, to stay off their neighbours.
        lift = max(start[1], end[1]) + height
        leaving, arriving = (
            0.2 * lean if self.approach(cell, 1) is not None else lean
            for cell in (item.tail, item.head)
        )
        curve = (start, (start[0] + leaving, lift), (end[0] - arriving, lift), end)
        self.ink.across(item, curve)

    def _arc_angle(self, item: Across) -> float:
        """How far from the top of its nodes an arc ends, in degrees: a longer one nearer to it.

        So arcs of different lengths end beside each other, and none runs across another.
        """
        lengths = self._arcs[base_row(item.tail[1]), item.side]
        paired = item.id in self.plan.accompanied
        middle, step, most = ARCS_PAIRED if paired else ARCS
        spread = min(step * (len(lengths) - 1), most)
        share = lengths.index(item.distance) / max(len(lengths) - 1, 1)
        return middle + spread * (0.5 - share)


def _arc_lengths(plan: Plan, chosen: Mapping[str, Manner]) -> dict[tuple[str, int], list[int]]:
    """The lengths of the arcs along each row to each side, in columns, shortest first."""
    found: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for item in plan.across:
        if chosen[item.id] == "arc":
            found[base_row(item.tail[1]), item.side].add(item.distance)
    return {key: sorted(lengths) for key, lengths in found.items()}


def arc_height(distance: int) -> float:
    """How high an arc rises over the columns between."""
    return 15.0 + 11.0 * (distance - 1)


def _smooth(start: Point, way: Point, end: Point, arrive: Point) -> Curve:
    if abs(start[0] - end[0]) < 0.6 and abs(way[0]) < 0.05 and abs(arrive[0]) < 0.2:
        return line(start, end)
    return bend(start, way, end, arrive, 0.5 * abs(end[1] - start[1]))
