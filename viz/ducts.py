"""Ducts: lines that run at right angles along the channels between columns and layers."""

from __future__ import annotations

import math
from collections import defaultdict

from viz.grid import Across, Grid, Plan
from viz.ink import Ink
from viz.nets import Net, Tracks
from viz.ports import Ports
from viz.routing import Curve, Point, line, rounded

TURN = 7.0
"""Radius of a rounded corner."""


class Ducts:
    """Draws nets: a trunk out of the side of a node, with a branch to each head."""

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        tracks: Tracks,
        ports: Ports,
        ink: Ink,
    ) -> None:
        self._plan, self._grid, self._tracks = plan, grid, tracks
        self._ports, self._ink = ports, ink
        self._slots = {
            (net.tail, net.key): (channel, slot, len(nets))
            for channel, nets in self._tracks.vertical.items()
            for slot, net in enumerate(nets)
        }

    def draw(self, net: Net) -> None:
        """A trunk out of the side of a node, along the channel, with a branch to each layer."""
        grid = self._grid
        first = len(self._ink.edges)
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
                self._ink.dot(net.kind, (across, y))
            for number, y in enumerate(mine):
                last = number == len(mine) - 1
                stem = [*lead, (across, y)] if last else [(across, y)]
                self._draw_stop(net, stem, y, stops[y])
            if len(lead) == 1:
                self._ink.dot(net.kind, lead[0])
        if mark is not None:
            edges = [item.edge for item in net.branches if item.edge is not None]
            trunks = tuple(item.id for item in self._ink.edges[first:] if item.edge is None)
            self._ink.delayed.append((edges[0], (*(edge.id for edge in edges), *trunks), mark))

    def _draw_stop(self, net: Net, stem: list[Point], y: float, items: list[Across]) -> None:
        """One horizontal of a net, from its stem to the heads that it serves."""
        if items[0].id in net.entries:
            item = items[0]
            side = -net.side if item.distance else net.side
            end, _ = self._grid.port(item.head, 90.0 * side, 1)
            self._ink.across(item, rounded([*stem, end], TURN))
            return
        ends = [(self._ports.of_duct(item), item) for item in items]
        x = stem[-1][0]
        ends.sort(key=lambda pair: abs(pair[0][0] - x))
        if len(ends) == 1:
            point, item = ends[0]
            self._ink.across(item, rounded([*stem, (point[0], y), point], TURN))
            return
        far, item = ends[-1]
        turn_at = (far[0] - math.copysign(TURN, far[0] - x), y)
        trunk = rounded([*stem, turn_at], TURN)
        tail = self._ink.name(net.tail)
        name = f"trunk-{tail}-{net.side}-{net.kind}-{self._plan.layers[item.head[1]]}"
        self._ink.emit(trunk, name=name, edge=None, kind=net.kind, tail=tail, head="", arrow=False)
        self._ink.across(item, rounded([turn_at, (far[0], y), far], TURN))
        for point, item in ends[:-1]:
            self._ink.across(item, line((point[0], y), point))
            self._ink.dot(net.kind, (point[0], y))

    def _exit(self, net: Net, across: float) -> list[Point]:
        """The way from a node to the channel beside its column."""
        if self._grid.is_outermost(net.tail, net.side):
            angle = net.side * net.angle(self._plan.accompanied)
            start, _ = self._grid.port(net.tail, angle, net.border)
            return [start, (across, start[1])]
        start, _ = self._grid.port(net.tail, 52.0 * net.side, 1)
        above = self._plan.layers[net.tail[1]] + 1
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
        start, _ = self._grid.port(net.tail, net.side * 90.0, 1)
        return line((start[0], corner), (across, corner))

    def _track_x(self, net: Net) -> float:
        channel, slot, count = self._slots[net.tail, net.key]
        return track_x(self._grid, channel, slot, count)

    def _track_y(self, net: Net, item: Across) -> float:
        level = self._tracks.channel(self._plan, item)
        return self._slot_y(level, self._slot(net, level))

    def _slot(self, net: Net, level: int) -> int:
        """Neighbouring columns take turns on the tracks that their long lines share."""
        slots = self._tracks.horizontal[level][net.key]
        return slots[net.tail[0] % len(slots)]

    def _slot_y(self, level: int, slot: int) -> float:
        low = self._grid.low[level] if level <= self._grid.top else self._grid.ceiling
        return low - self._tracks.first[level] - slot * self._plan.style.track_gap


def track_x(grid: Grid, channel: int, slot: int, count: int) -> float:
    """The x of a track in the channel left of a column, or right of the last one."""
    gap = grid.plan.style.track_gap
    if channel == 0:
        return grid.x[0] - 16 - grid.plan.framed - slot * 3 * gap
    if channel == len(grid.x):
        return grid.right(channel - 1) + 16 + grid.plan.framed + slot * 3 * gap
    middle = (grid.right(channel - 1) + grid.x[channel]) / 2
    return middle + (slot - (count - 1) / 2) * gap
