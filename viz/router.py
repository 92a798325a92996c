"""The lines of a picture between cells: links, arcs, ducts and loops, with their arrowheads."""

from __future__ import annotations

import math
from collections import defaultdict

from viz.grid import Across, Cell, Grid, Inner, Plan, Role, Tap, base_row
from viz.layout_circuit import LOOP, LOOP_STEP
from viz.nets import FIRST_TRACK, Manner, Net, Tracks
from viz.picture import DelayMark, Dot, PlacedEdge
from viz.routing import Curve, Point, bend, joined, line, rounded, spread, with_arrow
from viz.scene import Edge, EdgeKind
from viz.step import Link

PortKey = tuple[str, int]
TURN = 7.0
BOW = 22.0
STEEPEST = 62.0
LEAST_DISTANCE = 7.0
"""Between the arrows that arrive at one side of a node."""


class Router:
    """Draws the lines on a grid that has been placed."""

    def __init__(self, plan: Plan, grid: Grid, chosen: dict[str, Manner], tracks: Tracks) -> None:
        self.plan, self.grid, self.chosen, self.tracks = plan, grid, chosen, tracks
        self.edges: list[PlacedEdge] = []
        self.marks: list[DelayMark] = []
        self.dots: list[Dot] = []
        self.delayed: list[tuple[Edge, tuple[str, ...], Curve]] = []
        self._names = {cell: name for name, cell in plan.cells.items()}
        self._slots = {
            (net.tail, net.side, net.kind): (channel, slot, len(nets))
            for channel, nets in tracks.vertical.items()
            for slot, net in enumerate(nets)
        }
        self._level = {(item.tail, item.side) for item in plan.across if chosen[item.id] == "level"}
        self._ports = self._find_ports()

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
            self._draw_net(net)
        for column, row in self.plan.dots:
            x, y = self.grid.centre((column, row))
            for offset in (-5.0, 0.0, 5.0):
                self.dots.append(Dot("forward", x + offset, y, 1.2, ellipsis=True))

    def emit(
        self,
        curve: Curve,
        *,
        name: str,
        edge: Edge | None,
        kind: EdgeKind,
        tail: str,
        head: str,
        arrow: bool = True,
    ) -> None:
        """Add a curve, drawn back by the length of its arrowhead."""
        tip: Point | None = None
        if arrow:
            curve, tip = with_arrow(curve, self.plan.style.edges[kind].arrow)
        self.edges.append(PlacedEdge(name, edge, kind, tail, head, curve, tip))

    def name(self, cell: Cell) -> str:
        """The id of the node in a cell; empty for a "…"."""
        return self._names.get(cell, "")

    # Ports: where on its border each row receives its lines, as an offset from its centre.

    def _find_ports(self) -> dict[tuple[object, ...], float]:
        wishes: defaultdict[tuple[tuple[str, Role], str, int], dict[object, float]] = defaultdict(
            dict
        )
        columns = self.plan.columns
        for inner in self.plan.inner:
            side = 1 if inner.down else -1
            place = (columns[inner.column].template, inner.head, side)
            if inner.link not in wishes[place]:
                wishes[place][inner.link] = self._link_wish(inner)
        for tap in self.plan.taps:
            if tap.inward:
                side = 1 if tap.link.upper is None else -1
                place = (columns[tap.cell[0]].template, tap.cell[1], side)
                if tap.link not in wishes[place]:
                    bands = self._bands(tap.cell[0], tap.link)
                    x = bands[0][0] if tap.link.upper is None else bands[-1][0]
                    wishes[place][tap.link] = x - self.grid.centre(tap.cell)[0]
        sideways = {name for net in self.tracks.nets for name in net.entries}
        for item in self.plan.across:
            manner = self.chosen[item.id]
            half = self.plan.sizes[item.head[1]].width / 2
            template = columns[item.head[0]].template
            if manner == "duct" and item.id not in sideways:
                toward = -item.side if item.distance else item.side
                wishes[template, item.head[1], -1].setdefault(
                    self._duct_key(item), 0.72 * half * toward
                )
            elif manner == "line":
                a, b = self.grid.centre(item.tail), self.grid.centre(item.head)
                side = -1 if a[1] < b[1] else 1
                wishes[template, item.head[1], side].setdefault(
                    self._line_key(item), self._offset(item.head, a)
                )
        ports: dict[tuple[object, ...], float] = {}
        for (template, row, side), mine in wishes.items():
            limit = 0.9 * self.plan.sizes[row].width / 2
            weights = [_firmness(key, offset) for key, offset in mine.items()]
            offsets = spread(list(mine.values()), weights, LEAST_DISTANCE, limit)
            for key, offset in zip(mine, offsets, strict=True):
                ports[template, row, side, key] = offset
        return ports

    def _link_wish(self, inner: Inner) -> float:
        head = (inner.column, inner.head)
        bands = self._bands(inner.column, inner.link)
        number = int(inner.link.key)
        if number:
            return 0.3 * self.plan.sizes[inner.head].width * _bow(number)
        if bands:
            return (bands[0] if inner.down else bands[-1])[0] - self.grid.centre(head)[0]
        return self._offset(head, self.grid.centre((inner.column, inner.tail)))

    def _offset(self, cell: Cell, source: Point) -> float:
        """Where a straight line from a point to the centre of a node meets its border."""
        return self.grid.towards(cell, source)[0] - self.grid.centre(cell)[0]

    def _duct_key(self, item: Across) -> tuple[object, ...]:
        return ("duct", base_row(item.tail[1]), item.kind, item.side)

    def _line_key(self, item: Across) -> tuple[object, ...]:
        return ("line", base_row(item.tail[1]), item.kind, item.side, item.distance)

    def _port(self, cell: Cell, side: int, key: object) -> tuple[Point, Point]:
        offset = self._ports[self.plan.columns[cell[0]].template, cell[1], side, key]
        half = self.plan.sizes[cell[1]].width / 2
        angle = math.degrees(math.asin(max(-1.0, min(1.0, offset / half))))
        return self.grid.port(cell, angle, side)

    # Lines inside a column.

    def _bands(self, column: int, link: Link) -> list[tuple[float, float, float]]:
        """The lanes of a link with the y range of their layers, lowest first."""
        grid = self.grid
        step = grid.steps[self.plan.columns[column].template]
        lanes = step.lanes[link]
        first = self.plan.layers[link.lower] + 1 if link.lower is not None else -1
        return [(grid.x[column] + x, *grid.band(first + i)) for i, x in enumerate(lanes)]

    def _draw_link(self, inner: Inner) -> None:
        tail, head = (inner.column, inner.tail), (inner.column, inner.head)
        bands = self._bands(inner.column, inner.link)
        end, out = self._port(head, 1 if inner.down else -1, inner.link)
        if inner.down:
            bands = [(x, high, low) for x, low, high in reversed(bands)]
        side = -1 if inner.down else 1
        curve = self.climb(tail, side, bands, end, out, self.approach(head, -side))
        if int(inner.link.key) and not bands:
            curve = self._bowed(tail, curve, int(inner.link.key))
        self.emit(
            curve,
            name=inner.edge.id,
            edge=inner.edge,
            kind=inner.edge.kind,
            tail=inner.edge.tail,
            head=inner.edge.head,
        )
        if inner.edge.delay:
            self.delayed.append((inner.edge, (inner.edge.id,), curve))

    def _bowed(self, tail: Cell, curve: Curve, number: int) -> Curve:
        """A line beside others between the same two nodes, bent out of their way."""
        way = 1 if number % 2 else -1
        out = BOW * _bow(number)
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
    ) -> Curve:
        """From the upper (side 1) or lower border of a node through lanes to a port.

        `out` points out of the port; the curve arrives against it, or upright from the height
        `approach` on.
        """
        centre = self.grid.centre(tail)
        aim = (bands[0][0], bands[0][1]) if bands else end
        angle = math.degrees(math.atan2(aim[0] - centre[0], abs(aim[1] - centre[1])))
        if not bands and abs(angle) <= STEEPEST:
            return line(self.grid.towards(tail, end), end)
        angle = max(-50.0, min(50.0, angle))
        start, way = self.grid.port(tail, angle, side)
        leave = self.approach(tail, side)
        if leave is None:
            return self.through(start, (0.4 * way[0], way[1]), bands, end, out, side, approach)
        first = (start[0], leave)
        rest = self.through(first, (0.0, float(side)), bands, end, out, side, approach)
        return joined(line(start, first), rest)

    def approach(self, cell: Cell, side: int) -> float | None:
        """The border of the layer on one side, if the node is much smaller than its layer."""
        low, high = self.grid.band(self.plan.layers[cell[1]])
        if self.plan.sizes[cell[1]].height + 4 > high - low:
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
        arrive = (-0.45 * out[0], -out[1] if abs(out[1]) > 0.3 else float(side))
        pieces.append(_smooth(start, way, end, arrive))
        return joined(*pieces)

    def mark(self, edge: Edge, edges: tuple[str, ...], at: Point) -> None:
        """Put the square of a delay or an advance at a place."""
        size = self.plan.style.delay_size
        self.marks.append(DelayMark(edges, edge.kind, *at, size, edge.delay < 0))

    def _draw_loop(self, inner: Inner, number: int) -> None:
        cell = (inner.column, inner.tail)
        side = self.plan.loop_side[inner.tail]
        x, y = self.grid.centre(cell)
        far = x + side * (self.plan.sizes[inner.tail].width / 2 + LOOP + LOOP_STEP * number)
        angle = side * (62.0 - 16.0 * number)
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
        self.emit(curve, name=edge.id, edge=edge, kind=edge.kind, tail=edge.tail, head=edge.head)
        self.mark(edge, (edge.id,), (far, y))

    # Lines to other columns.

    def _draw_across(self, item: Across, curve: Curve) -> None:
        self.emit(
            curve,
            name=item.id,
            edge=item.edge,
            kind=item.kind,
            tail=self.name(item.tail),
            head=self.name(item.head),
        )

    def _draw_level(self, item: Across) -> None:
        start, _ = self.grid.port(item.tail, 90.0 * item.side, 1)
        end, _ = self.grid.port(item.head, -90.0 * item.side, 1)
        self._draw_across(item, line(start, end))

    def _draw_line(self, item: Across) -> None:
        side = -1 if self.grid.centre(item.tail)[1] < self.grid.centre(item.head)[1] else 1
        end, _ = self._port(item.head, side, self._line_key(item))
        self._draw_across(item, line(self.grid.towards(item.tail, end), end))

    def _draw_arc(self, item: Across) -> None:
        start, _ = self.grid.port(item.tail, 36.0 * item.side, 1)
        end, _ = self.grid.port(item.head, -36.0 * item.side, 1)
        height = arc_height(item.distance) / 0.75
        lean = 0.25 * abs(end[0] - start[0]) * item.side
        # At a "…" and at small nodes the arc is steep, to stay off their neighbours.
        lift = max(start[1], end[1]) + height
        leaving, arriving = (
            0.2 * lean if self.approach(cell, 1) is not None else lean
            for cell in (item.tail, item.head)
        )
        curve = (start, (start[0] + leaving, lift), (end[0] - arriving, lift), end)
        self._draw_across(item, curve)

    def _draw_net(self, net: Net) -> None:
        """A trunk out of the side of a node, along the channel, with a branch to each layer."""
        grid = self.grid
        first = len(self.edges)
        across = self._track_x(net)
        path = self._exit(net, across)
        corner_y = path[-1][1]
        stops: defaultdict[float, list[Across]] = defaultdict(list)
        for item in net.branches:
            if item.id in net.entries:
                stops[grid.centre(item.head)[1]].append(item)
            else:
                stops[self._track_y(net, item)].append(item)
        mark = self._net_mark(net, across, corner_y, list(stops))
        for above in (False, True):
            mine = sorted((y for y in stops if (y > corner_y) == above), reverse=not above)
            if not mine:
                continue
            lead = path if not above or len(stops) == len(mine) else [(across, corner_y)]
            for y in mine[:-1]:
                self._dot(net.kind, (across, y))
            for number, y in enumerate(mine):
                last = number == len(mine) - 1
                stem = [*lead, (across, y)] if last else [(across, y)]
                self._draw_stop(net, stem, y, stops[y])
            if len(lead) == 1:
                self._dot(net.kind, lead[0])
        if mark is not None:
            edges = [item.edge for item in net.branches if item.edge is not None]
            trunks = tuple(item.id for item in self.edges[first:] if item.edge is None)
            self.delayed.append((edges[0], (*(edge.id for edge in edges), *trunks), mark))

    def _draw_stop(self, net: Net, stem: list[Point], y: float, items: list[Across]) -> None:
        """One horizontal of a net, from its stem to the heads that it serves."""
        if items[0].id in net.entries:
            item = items[0]
            side = -net.side if item.distance else net.side
            end, _ = self.grid.port(item.head, 90.0 * side, 1)
            self._draw_across(item, rounded([*stem, end], TURN))
            return
        ends = []
        for item in items:
            point, _ = self._port(item.head, -1, self._duct_key(item))
            ends.append((point, item))
        x = stem[-1][0]
        ends.sort(key=lambda pair: abs(pair[0][0] - x))
        if len(ends) == 1:
            point, item = ends[0]
            self._draw_across(item, rounded([*stem, (point[0], y), point], TURN))
            return
        far, item = ends[-1]
        turn_at = (far[0] - math.copysign(TURN, far[0] - x), y)
        trunk = rounded([*stem, turn_at], TURN)
        tail = self.name(net.tail)
        name = f"trunk-{tail}-{net.side}-{net.kind}-{self.plan.layers[item.head[1]]}"
        self.emit(trunk, name=name, edge=None, kind=net.kind, tail=tail, head="", arrow=False)
        self._draw_across(item, rounded([turn_at, (far[0], y), far], TURN))
        for point, item in ends[:-1]:
            self._draw_across(item, line((point[0], y), point))
            self._dot(net.kind, (point[0], y))

    def _exit(self, net: Net, across: float) -> list[Point]:
        """The way from a node to the channel beside its column."""
        if self.grid.is_outermost(net.tail, net.side):
            level = (net.tail, net.side) in self._level
            angle, border = (90.0, 1) if not level else (56.0, -1)
            start, _ = self.grid.port(net.tail, net.side * angle, border)
            return [start, (across, start[1])]
        start, _ = self.grid.port(net.tail, 52.0 * net.side, 1)
        above = self.plan.layers[net.tail[1]] + 1
        y = self._slot_y(above, self._slot(net, above))
        return [start, (start[0], y), (across, y)]

    def _net_mark(self, net: Net, across: float, corner: float, stops: list[float]) -> Curve | None:
        """The part of a trunk that all branches share, where the square of a delay belongs."""
        edges = [item.edge for item in net.branches if item.edge is not None]
        if not edges or not edges[0].delay:
            return None
        if all(y < corner for y in stops) or all(y > corner for y in stops):
            nearest = min(stops, key=lambda y: abs(y - corner))
            return line((across, corner), (across, nearest))
        start, _ = self.grid.port(net.tail, net.side * 90.0, 1)
        return line((start[0], corner), (across, corner))

    def _track_x(self, net: Net) -> float:
        channel, slot, count = self._slots[net.tail, net.side, net.kind]
        return track_x(self.grid, channel, slot, count)

    def _track_y(self, net: Net, item: Across) -> float:
        level = self.plan.layers[item.head[1]]
        return self._slot_y(level, self._slot(net, level))

    def _slot(self, net: Net, level: int) -> int:
        """Neighbouring columns take turns on the tracks that their long lines share."""
        slots = self.tracks.horizontal[level][net.key]
        return slots[net.tail[0] % len(slots)]

    def _slot_y(self, level: int, slot: int) -> float:
        low = self.grid.low[level] if level <= self.grid.top else self.grid.ceiling
        return low - FIRST_TRACK - slot * self.plan.style.track_gap

    def _dot(self, kind: EdgeKind, at: Point) -> None:
        radius = 1.6 if kind != "parameter" else 1.3
        self.dots.append(Dot(kind, *at, radius))

    # Used by the static zone.

    def tap_port(self, tap: Tap) -> tuple[Point, Point]:
        """Where the line of a static node reaches a cell."""
        return self._port(tap.cell, 1 if tap.link.upper is None else -1, tap.link)

    def bands_of(self, tap: Tap) -> list[tuple[float, float, float]]:
        """The lanes of a tap, lowest first."""
        return self._bands(tap.cell[0], tap.link)


def track_x(grid: Grid, channel: int, slot: int, count: int) -> float:
    """The x of a track in the channel left of a column, or right of the last one."""
    gap = grid.plan.style.track_gap
    if channel == 0:
        return grid.x[0] - 16 - slot * 3 * gap
    if channel == len(grid.x):
        return grid.right(channel - 1) + 16 + slot * 3 * gap
    middle = (grid.right(channel - 1) + grid.x[channel]) / 2
    return middle + (slot - (count - 1) / 2) * gap


def arc_height(distance: int) -> float:
    """How high an arc rises over the columns between."""
    return 10.0 + 9.0 * (distance - 1)


def _firmness(key: object, offset: float) -> float:
    """How strongly a line keeps its place: a straight one inside a step most."""
    if not isinstance(key, Link) or key.lower is None or key.upper is None or key.key != "0":
        return 1.0
    return 1000.0 if abs(offset) < 1.0 else 50.0


def _bow(number: int) -> int:
    """The side, and how far out, of the line of that number between the same two nodes."""
    return (number + 1) // 2 * (1 if number % 2 else -1)


def _smooth(start: Point, way: Point, end: Point, arrive: Point) -> Curve:
    if abs(start[0] - end[0]) < 0.6 and abs(way[0]) < 0.05 and abs(arrive[0]) < 0.05:
        return line(start, end)
    return bend(start, way, end, arrive, 0.5 * abs(end[1] - start[1]))
