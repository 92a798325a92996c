"""Ports: where on its border each node receives its lines, the same in all columns alike."""

from __future__ import annotations

import math
from collections import defaultdict

from viz.grid import Across, Cell, Grid, Inner, Plan, Role, Tap, base_row
from viz.nets import Manner, Tracks
from viz.routing import Point, spread
from viz.step import Link

Place = tuple[tuple[str, Role], str, int]
"""Template, row, and side: -1 for the lower border, 1 for the upper."""


class Ports:
    """The offset of each port from the centre of its node."""

    def __init__(self, plan: Plan, grid: Grid, chosen: dict[str, Manner], tracks: Tracks) -> None:
        self._plan, self._grid = plan, grid
        wishes: defaultdict[Place, dict[object, float]] = defaultdict(dict)
        self._wish_links(wishes)
        self._wish_across(wishes, chosen, tracks)
        self._offsets: dict[tuple[Place, object], float] = {}
        for place, mine in wishes.items():
            limit = 0.9 * plan.sizes[place[1]].width / 2
            weights = [_firmness(key, offset) for key, offset in mine.items()]
            offsets = spread(list(mine.values()), weights, plan.style.port_gap, limit)
            for key, offset in zip(mine, offsets, strict=True):
                self._offsets[place, key] = offset

    def of_link(self, inner: Inner) -> tuple[Point, Point]:
        """Where a line inside a column arrives, and the way out from there."""
        return self._port((inner.column, inner.head), 1 if inner.down else -1, inner.link)

    def of_tap(self, tap: Tap) -> tuple[Point, Point]:
        """Where the line of a static node arrives, and the way out from there."""
        return self._port(tap.cell, 1 if tap.link.upper is None else -1, tap.link)

    def of_duct(self, item: Across) -> Point:
        """Where a ducted line arrives from below."""
        return self._port(item.head, -1, _duct_key(item))[0]

    def of_line(self, item: Across) -> Point:
        """Where a slanting line arrives."""
        return self._port(item.head, self._line_side(item), _line_key(item))[0]

    def _port(self, cell: Cell, side: int, key: object) -> tuple[Point, Point]:
        offset = self._offsets[self._place(cell, side), key]
        half = self._plan.sizes[cell[1]].width / 2
        angle = math.degrees(math.asin(max(-1.0, min(1.0, offset / half))))
        return self._grid.port(cell, angle, side)

    def _place(self, cell: Cell, side: int) -> Place:
        return self._plan.columns[cell[0]].template, cell[1], side

    def _wish_links(self, wishes: defaultdict[Place, dict[object, float]]) -> None:
        for inner in self._plan.inner:
            mine = wishes[self._place((inner.column, inner.head), 1 if inner.down else -1)]
            if inner.link not in mine:
                mine[inner.link] = self._link_wish(inner)
        for tap in self._plan.taps:
            if tap.inward:
                above = tap.link.upper is None
                mine = wishes[self._place(tap.cell, 1 if above else -1)]
                if tap.link not in mine:
                    x = self._grid.lanes(tap.cell[0], tap.link)[0 if above else -1][0]
                    mine[tap.link] = x - self._grid.centre(tap.cell)[0]

    def _link_wish(self, inner: Inner) -> float:
        head = (inner.column, inner.head)
        lanes = self._grid.lanes(inner.column, inner.link)
        number = int(inner.link.key)
        if number:
            return 0.3 * self._plan.sizes[inner.head].width * bow(number)
        if lanes:
            return lanes[0 if inner.down else -1][0] - self._grid.centre(head)[0]
        return self._straight(head, self._grid.centre((inner.column, inner.tail)))

    def _wish_across(
        self,
        wishes: defaultdict[Place, dict[object, float]],
        chosen: dict[str, Manner],
        tracks: Tracks,
    ) -> None:
        sideways = {name for net in tracks.nets for name in net.entries}
        for item in self._plan.across:
            if chosen[item.id] == "duct" and item.id not in sideways:
                toward = -item.side if item.distance else item.side
                wish = 0.36 * self._plan.sizes[item.head[1]].width * toward
                wishes[self._place(item.head, -1)].setdefault(_duct_key(item), wish)
            elif chosen[item.id] == "line":
                mine = wishes[self._place(item.head, self._line_side(item))]
                source = self._grid.centre(item.tail)
                mine.setdefault(_line_key(item), self._straight(item.head, source))

    def _line_side(self, item: Across) -> int:
        return -1 if self._grid.centre(item.tail)[1] < self._grid.centre(item.head)[1] else 1

    def _straight(self, cell: Cell, source: Point) -> float:
        """Where a straight line from a point to the centre of a node meets its border."""
        return self._grid.towards(cell, source)[0] - self._grid.centre(cell)[0]


def bow(number: int) -> int:
    """The side, and how far out, of the line of that number between the same two nodes."""
    return (number + 1) // 2 * (1 if number % 2 else -1)


def _duct_key(item: Across) -> tuple[object, ...]:
    return ("duct", base_row(item.tail[1]), item.kind, item.side)


def _line_key(item: Across) -> tuple[object, ...]:
    return ("line", base_row(item.tail[1]), item.kind, item.side, item.distance)


def _firmness(key: object, offset: float) -> float:
    """How strongly a line keeps its place: a straight one inside a step most."""
    if not isinstance(key, Link) or key.lower is None or key.upper is None or key.key != "0":
        return 1.0
    return 1000.0 if abs(offset) < 1.0 else 50.0
