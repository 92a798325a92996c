"""Ports: where on its border each node receives its lines, the same in all columns alike."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from viz.grid import Across, Cell, Grid, Inner, Plan, Tap, base_row
from viz.layout_circuit import LOOP_ANGLE
from viz.nets import Manner, Tracks
from viz.routing import Point
from viz.shares import Place, Shares
from viz.step import Link

LEANING = 20.0
"""A line leaves to one side if its offset times that of another is more than this."""
MOVED = 1.0
"""A line leaves where it would by itself unless others move it by more than this."""


class Ports:
    """The offset of each port from the centre of its node."""

    def __init__(self, plan: Plan, grid: Grid, chosen: dict[str, Manner], tracks: Tracks) -> None:
        self._plan, self._grid, self._borders = plan, grid, tracks.borders
        self._doubled: set[object] = set(plan.doubled())
        for item in plan.across:
            if item.id in plan.accompanied:
                self._doubled |= {self._key(item, "duct"), self._key(item, "line")}
        for item in plan.across:
            if self._key(item, "line") in self._doubled:
                self._doubled.add(self._departing(item))
        shares = Shares(plan, grid, tracks.nets, self._doubled)
        self._leaving: dict[tuple[Place, object], float] = {}
        wishes: defaultdict[Place, dict[object, float]] = defaultdict(dict)
        self._wish_links(wishes)
        self._wish_across(wishes, chosen, tracks)
        self._avoid_loops(wishes)
        self._avoid_departures(wishes, chosen)
        for mine in wishes.values():
            _change_sides(mine)
        self._offsets: dict[tuple[Place, object], float] = {}
        for place, mine in wishes.items():
            for key, offset in zip(mine, shares.spread(place, mine), strict=True):
                self._offsets[place, key] = offset

    def of_link(self, inner: Inner) -> tuple[Point, Point]:
        """Where a line inside a column arrives, and the way out from there."""
        return self._port((inner.column, inner.head), 1 if inner.down else -1, inner.link)

    def leaving_link(self, inner: Inner) -> float | None:
        """The angle at which a line inside a column leaves its tail, if others move it."""
        return self._departure((inner.column, inner.tail), -1 if inner.down else 1, inner.link)

    def leaving_line(self, item: Across) -> float | None:
        """The angle at which a slanting line leaves its tail, if others move it."""
        return self._departure(item.tail, -self._line_side(item), self._departing(item))

    def leaving_tap(self, tap: Tap) -> float | None:
        """The angle at which a line to a result leaves a cell at which others arrive."""
        offset = self._offsets.get((self._place(tap.cell, 1), ("out", tap.link)))
        return None if offset is None else self._angle(tap.cell, offset)

    def _departure(self, cell: Cell, side: int, key: object) -> float | None:
        port = self._place(cell, side), ("out", key)
        if port not in self._leaving or abs(self._offsets[port] - self._leaving[port]) < MOVED:
            return None
        return self._angle(cell, self._offsets[port])

    def of_tap(self, tap: Tap) -> tuple[Point, Point]:
        """Where the line of a static node arrives, and the way out from there."""
        return self._port(tap.cell, 1 if tap.link.upper is None else -1, tap.link)

    def of_duct(self, item: Across) -> Point:
        """Where a ducted line arrives from above or below."""
        return self._port(item.head, self._borders[item.id], self._key(item, "duct"))[0]

    def of_line(self, item: Across) -> Point:
        """Where a slanting line arrives."""
        return self._port(item.head, self._line_side(item), self._key(item, "line"))[0]

    def _port(self, cell: Cell, side: int, key: object) -> tuple[Point, Point]:
        return self._grid.port(
            cell, self._angle(cell, self._offsets[self._place(cell, side), key]), side
        )

    def _angle(self, cell: Cell, offset: float) -> float:
        half = self._plan.sizes[cell[1]].width / 2
        return math.degrees(math.asin(max(-1.0, min(1.0, offset / half))))

    def _key(self, item: Across, manner: Manner) -> tuple[object, ...]:
        """What stands for a line from another column at the nodes of one row.

        Lines from another index set come from different distances, but only one to each node. In a
        circuit, in which all stand in one column, the delay tells them apart.
        """
        tail, head = self._plan.columns[item.tail[0]], self._plan.columns[item.head[0]]
        far = (item.distance or item.delay) if tail.template[0] == head.template[0] else -1
        return (manner, base_row(item.tail[1]), item.kind, item.side, far)

    def _departing(self, item: Across) -> tuple[object, ...]:
        """What stands for a slanting line where it leaves; those with others beside them differ."""
        key = self._key(item, "line")
        return (*key, base_row(item.head[1])) if key in self._doubled else key

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
            return 0.3 * self._plan.sizes[inner.head].width * self.bow(inner)
        if lanes:
            return lanes[0 if inner.down else -1][0] - self._grid.centre(head)[0]
        return self._straight(head, self._grid.centre((inner.column, inner.tail)))

    def bow(self, inner: Inner) -> int:
        """The side, and how far out, of a line beside others between the same two nodes.

        The first of them is bent to the side where fewer lines pass.
        """
        number, link = int(inner.link.key), inner.link
        assert link.lower is not None
        assert link.upper is not None
        step = self._grid.steps[self._plan.columns[inner.column].template]
        level, x = self._plan.layers[link.upper], step.x[link.upper]
        balance = 0
        for other, lanes in step.lanes.items():
            first = self._plan.layers[other.lower] + 1 if other.lower is not None else -1
            if 0 <= level - first < len(lanes):
                balance += 1 if lanes[level - first] > x else -1
        return (number + 1) // 2 * (1 if (number % 2 == 1) == (balance <= 0) else -1)

    def _wish_across(
        self,
        wishes: defaultdict[Place, dict[object, float]],
        chosen: dict[str, Manner],
        tracks: Tracks,
    ) -> None:
        sideways = {name for net in tracks.nets for name in net.entries}
        ends = Counter((item.tail, item.head) for item in self._plan.across)
        for item in self._plan.across:
            if chosen[item.id] == "duct" and item.id not in sideways:
                toward = -item.side if item.distance else item.side
                wish = 0.36 * self._plan.sizes[item.head[1]].width * toward
                if not item.distance and ends[item.tail, item.head] > 1:
                    wish += 0.01 * toward * self._nearness(item, tracks)
                wishes[self._place(item.head, tracks.borders[item.id])].setdefault(
                    self._key(item, "duct"), wish
                )
            elif chosen[item.id] == "line":
                mine = wishes[self._place(item.head, self._line_side(item))]
                source = self._grid.centre(item.tail)
                mine.setdefault(self._key(item, "line"), self._straight(item.head, source))

    def _nearness(self, item: Across, tracks: Tracks) -> int:
        """Which track a line turns from, from far to near: the nearest arrives outermost.

        So of lines over different delays from one node to another, none runs across the others.
        """
        key = base_row(item.tail[1]), item.side, item.kind, item.delay
        track = tracks.horizontal[tracks.channel(self._plan, item)][key].start
        return track * tracks.borders[item.id]

    def _avoid_loops(self, wishes: defaultdict[Place, dict[object, float]]) -> None:
        """Keep arriving lines on the inner side of where self loops leave and arrive."""
        for inner in self._plan.loops:
            cell = (inner.column, inner.tail)
            half = self._plan.sizes[inner.tail].width / 2
            turn = math.sin(math.radians(LOOP_ANGLE)) * self._plan.loop_side[inner.tail]
            for side in (-1, 1):
                mine = wishes.get(self._place(cell, side))
                if mine:
                    inner_end = 0.45 * half * turn
                    for key, wish in mine.items():  # what arrives beyond would meet the loop
                        if wish * turn > inner_end * turn:
                            mine[key] = inner_end
                    mine["loop"] = half * turn

    def _avoid_departures(
        self, wishes: defaultdict[Place, dict[object, float]], chosen: dict[str, Manner]
    ) -> None:
        """Keep arriving lines off the places where others leave."""
        for tap in self._plan.taps:
            mine = wishes.get(self._place(tap.cell, 1))
            if mine and not tap.inward and ("out", tap.link) not in mine:
                lane = self._grid.lanes(tap.cell[0], tap.link)[0]
                mine["out", tap.link] = lane[0] - self._grid.centre(tap.cell)[0]
        for inner in self._plan.inner:
            tail = (inner.column, inner.tail)
            lanes = self._grid.lanes(inner.column, inner.link)
            x, low, high = lanes[-1 if inner.down else 0] if lanes else (0.0, 0.0, 0.0)
            target = (x, high if inner.down else low)
            if not lanes:
                target = self._grid.centre((inner.column, inner.head))
            self._avoid(wishes, tail, target, inner.link)
        for item in self._plan.across:
            if chosen[item.id] == "line":
                target = self._grid.centre(item.head)
                self._avoid(wishes, item.tail, target, self._departing(item))
                self._stay_inside(wishes, item.tail, target)

    def _avoid(
        self,
        wishes: defaultdict[Place, dict[object, float]],
        cell: Cell,
        target: Point,
        key: object,
    ) -> None:
        """Take the place where a line to a point leaves, unless another one leaves there too."""
        side = 1 if target[1] > self._grid.centre(cell)[1] else -1
        place = self._place(cell, side)
        # Lines back arrive where these leave, so they keep apart even where no other line arrives.
        if (not wishes.get(place) and key not in self._doubled) or ("out", key) in wishes[place]:
            return
        mine = wishes[place]
        offset = self._straight(cell, target)
        # Where others run beside the lines, these cannot share a start.
        gap = 0.0 if key in self._doubled else 0.8 * self._plan.style.port_gap
        if not any(
            abs(offset - other) < gap
            for known, other in mine.items()
            if isinstance(known, tuple) and known[0] == "out"
        ):
            mine["out", key] = offset
            self._leaving[self._place(cell, side), ("out", key)] = offset

    def _stay_inside(
        self, wishes: defaultdict[Place, dict[object, float]], cell: Cell, target: Point
    ) -> None:
        """Let lines through lanes arrive on the near side of a line over them that leaves."""
        x, y = self._grid.centre(cell)
        side = 1 if target[1] > y else -1
        mine = wishes.get(self._place(cell, side), {})
        leaves = self._straight(cell, target)
        low, high = self._grid.band(self._plan.layers[cell[1]] + side)
        share = min(1.0, ((low if side > 0 else high) - y) / (target[1] - y))
        over = (target[0] - x) * share
        way = 1 if over > 0 else -1
        for key, wish in mine.items():
            if isinstance(key, Link) and leaves * way < wish * way < over * way:
                mine[key] = leaves - way * 0.01

    def _line_side(self, item: Across) -> int:
        return -1 if self._grid.centre(item.tail)[1] < self._grid.centre(item.head)[1] else 1

    def _straight(self, cell: Cell, source: Point) -> float:
        """Where a straight line from a point to the centre of a node meets its border."""
        return self._grid.towards(cell, source)[0] - self._grid.centre(cell)[0]


def _change_sides(mine: dict[object, float]) -> None:
    """Lines from the channel arrive on the side to which no line leaves across them."""
    away = [offset for key, offset in mine.items() if isinstance(key, tuple) and key[0] == "out"]
    for key, wish in mine.items():
        if isinstance(key, tuple) and key[0] == "duct":
            toward, back = (any(offset * way > LEANING for offset in away) for way in (wish, -wish))
            if toward and not back:
                mine[key] = -wish
