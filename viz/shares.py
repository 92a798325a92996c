"""How lines share the border of a node: by the room that each of them needs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from viz.grid import Grid, Plan, Role
from viz.nets import Net
from viz.routing import spread
from viz.step import BESIDE, Link

Place = tuple[tuple[str, Role], str, int]
"""Template, row, and side: -1 for the lower border, 1 for the upper."""

THIN = 0.32
"""Room, in ems, of the arrow of a parameter."""
STEEPEST = 1.12
"""The angle from the vertical, in radians, up to which lines arrive at a circle."""
CROWDED = 1.25
"""The same where many lines do."""
APART = 1.7
"""How much more room there is between an arrowhead and the start of another line."""
UNDER = 12.0
"""How far, in degrees, lines stay below a trunk that leaves together with another line."""
ASIDE = 2.0
"""How far the middle of two lines that run side by side is from the first."""


class Shares:
    """Spreads the lines that arrive at a border or leave it; `doubled` are those of a pair."""

    def __init__(
        self, plan: Plan, grid: Grid, nets: Collection[Net], doubled: Collection[object]
    ) -> None:
        self._plan, self._grid, self._doubled = plan, grid, doubled
        self._parameters = {node.id for node in plan.statics if node.kind == "parameter"}
        self._trunks = self._beside_trunks(nets)

    def spread(self, place: Place, mine: Mapping[object, float]) -> list[float]:
        """The offsets nearest to the wishes; on a circle, they are spread along its arc."""
        size = self._plan.sizes[place[1]]
        half = size.width / 2
        circle = size.shape == "round" and size.width < 1.01 * size.height
        least, most = (STEEPEST * half, CROWDED * half) if circle else (0.9 * half, 0.9 * half)
        places = [_along_arc(wish, half) if circle else wish for wish in mine.values()]
        weights = [_firmness(key, wish) for key, wish in mine.items()]
        rooms = [self._room(key) for key in mine]
        pairs = list(zip(places, rooms, strict=True))
        limit = least
        if any(sum(room for at, room in pairs if at * side > 0) > least for side in (-1, 1)):
            rooms = [self._room(key, crowded=True) for key in mine]
            limit = most
        # In a circuit labels stand between the lines, so these stay away from the outer ones.
        labelled = len(self._plan.columns) == 1
        aside = [self._aside(key, wish, place[2]) for key, wish in mine.items()]
        low, high = self._limits(place, limit) if circle else (-limit, limit)
        middle = (low + high) / 2
        wanted = [at + more - middle for at, more in zip(places, aside, strict=True)]
        found = spread(wanted, weights, rooms, (high - low) / 2, in_proportion=labelled)
        found = [
            max(low, min(high, at + middle - more)) for at, more in zip(found, aside, strict=True)
        ]
        return [half * math.sin(at / half) for at in found] if circle else found

    def _aside(self, key: object, wish: float, side: int) -> float:
        """How far right of a line that leaves lies the middle between it and the one beside it."""
        if not (isinstance(key, tuple) and key[0] == "out" and key[1] in self._doubled):
            return 0.0
        result = isinstance(key[1], Link) and key[1].upper is None
        return ASIDE * side * (1 if wish < -1.0 and not result else -1)

    def _limits(self, place: Place, limit: float) -> tuple[float, float]:
        """How far to the left and to the right lines may arrive along the arc of a circle."""
        template, row, side = place
        half = self._plan.sizes[row].width / 2
        left, right = (
            min(limit, half * self._trunks.get((template, row, way, side), math.inf))
            for way in (-1, 1)
        )
        return -left, right

    def _beside_trunks(self, nets: Collection[Net]) -> dict[tuple[object, ...], float]:
        """The angles, in radians, up to which lines arrive: by side of a node (-1 left), border."""
        found: dict[tuple[object, ...], float] = {}
        for net in nets:
            doubled = any(item.id in self._plan.accompanied for item in net.branches)
            if net.rank and doubled and self._grid.is_outermost(net.tail, net.side):
                angle = math.radians(max(net.angle(self._plan.accompanied) - UNDER, 0.0))
                template = self._plan.columns[net.tail[0]].template
                place = template, net.tail[1], net.side, net.border
                found[place] = min(angle, found.get(place, angle))
        return found

    def _room(self, key: object, *, crowded: bool = False) -> float:
        """The room that an arrow needs; the thin one of a parameter can do with less."""
        if isinstance(key, Link) and key.key in self._parameters:
            return THIN * self._plan.style.font_size * (0.75 if crowded else 1.0)
        gap = self._plan.style.port_gap
        if isinstance(key, tuple) and key[0] == "out":
            beside = BESIDE * (key[1] in self._doubled) * (1 if crowded else 2)
            return max(gap + beside, gap if crowded else APART * gap)
        return gap + BESIDE * (key in self._doubled)


def _along_arc(offset: float, radius: float) -> float:
    """How far along the arc a place at an offset is; places beyond the circle keep their order."""
    inside = max(-radius, min(radius, offset))
    return radius * math.asin(inside / radius) + offset - inside


def _firmness(key: object, offset: float) -> float:
    """How strongly a line keeps its place: a straight one in a step most, then one that leaves."""
    if key == "loop" or (isinstance(key, tuple) and key[0] == "out" and abs(offset) < 1.0):
        return 900.0
    if not isinstance(key, Link) or key.lower is None or key.upper is None or key.key != "0":
        return 1.0
    return 1000.0 if abs(offset) < 1.0 else 50.0
