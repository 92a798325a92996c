"""How each line to another column runs, and the tracks of the channels that it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from viz.borders import borders
from viz.grid import Across, Cell, Grid, Plan, base_row
from viz.scene import EdgeKind

Manner = Literal["level", "arc", "line", "duct"]
"""level: straight along the row; arc: over the nodes between; line: straight and slanting; duct:
along the channels between columns and layers, at right angles."""

NetKey = tuple[str, int, EdgeKind, int]
FIRST_TRACK = 13.0
"""Distance from a layer to the first track at which lines turn to it: an arrowhead and a turn."""
FLATTEST = 0.15
"""The slope from which on a line to another column may be straight."""
WIDEST = 2
"""How many slanting lines may fan out from a node to one side; more are led along the channels."""
LOWER = 22.0
"""How much lower on its node, in degrees, each further trunk leaves."""
LOWER_BESIDE = 32.0
"""The same where other lines run beside the trunks."""
UNDER_TRACKS = 8.0
"""Distance from the last track to the layer below, if no line turns to that."""


@dataclass(slots=True)
class Net:
    """The ducted lines of one node to one side, over one delay; they share a trunk.

    `entries` are the ids of those that enter their heads from the side, not from above or below;
    `rank` counts the lines at one side of a node, a level one first, then the nets, the outermost
    first. `upward` nets leave above a level line, and are counted by themselves.
    """

    tail: Cell
    side: int
    kind: EdgeKind
    delay: int
    rank: int
    branches: list[Across]
    upward: bool = False
    entries: set[str] = field(default_factory=set)

    @property
    def key(self) -> NetKey:
        """What the nets of all columns of one template have in common."""
        return (base_row(self.tail[1]), self.side, self.kind, self.delay)

    @property
    def border(self) -> int:
        """The border of its node that the trunk leaves, 1 the upper; at the side it is both."""
        return 1 if self.upward or not self.rank else -1

    def angle(self, accompanied: Collection[str]) -> float:
        """The angle from the vertical at which the trunk leaves its border; 90 is the side."""
        doubled = any(item.id in accompanied for item in self.branches)
        return max(90.0 - (LOWER_BESIDE if doubled else LOWER) * self.rank, 0.0)


@dataclass(slots=True)
class Tracks:
    """Which track of which channel each net has.

    `first` gives the distance from a layer to the first track below it, `under` that from the last
    track of a channel to the layer below the channel, `borders` the border of its
    head (1 the upper, -1 the lower) that each ducted line enters, unless from the side.
    """

    nets: list[Net]
    vertical: dict[int, list[Net]]
    horizontal: dict[int, dict[NetKey, range]]
    counts: dict[int, int]
    first: dict[int, float]
    under: dict[int, float]
    borders: dict[str, int]

    def channel(self, plan: Plan, item: Across) -> int:
        """The channel (number k is below layer k) in which a ducted line runs to its head."""
        return plan.layers[item.head[1]] + (self.borders[item.id] > 0)


def manners(
    plan: Plan, grid: Grid, *, before: dict[str, Manner] | None = None
) -> dict[str, Manner]:
    """How each edge of `plan.across` is drawn, decided on a placement of the grid.

    What was a duct `before` stays one. All lines of a row to one side are drawn alike.
    """
    result: dict[str, Manner] = {}
    fans: defaultdict[tuple[str, int, EdgeKind], list[Across]] = defaultdict(list)
    for item in plan.across:
        if item.distance == 0:
            result[item.id] = "duct"
        elif base_row(item.tail[1]) == base_row(item.head[1]):
            if item.distance == 1:
                clear = grid.is_clear(item.tail, item.head, 1.0)
                result[item.id] = "level" if clear else "duct"
            else:
                result[item.id] = "arc"
        else:
            fans[base_row(item.tail[1]), item.side, item.kind].append(item)
    slants: dict[tuple[object, ...], bool] = {}
    wide = _heads_of_buses(plan, fans.values())
    for fan in fans.values():
        straight = not any(item.head[1] in wide for item in fan) and all(
            (before is None or before[item.id] == "line") and _may_slant(grid, item, slants)
            for item in fan
        )
        for item in fan:
            result[item.id] = "line" if straight else "duct"
    return result


def _heads_of_buses(plan: Plan, fans: Iterable[list[Across]]) -> set[str]:
    """The rows to which more lines of one row lead than may slant, or lines of another track."""
    found: set[str] = set()
    for fan in fans:
        patterns = {(item.head[1], item.distance) for item in fan}
        track = plan.columns[fan[0].tail[0]].template[0]
        for item in fan:
            if len(patterns) > WIDEST or plan.columns[item.head[0]].template[0] != track:
                found.add(item.head[1])
    return found


def _may_slant(grid: Grid, item: Across, known: dict[tuple[object, ...], bool]) -> bool:
    key = (
        item.tail[1],
        item.head[1],
        item.distance,
        item.side,
        item.tail[0] - item.head[0] if item.distance > 3 else _between(grid, item),
    )
    if key not in known:
        (x0, y0), (x1, y1) = grid.centre(item.tail), grid.centre(item.head)
        steep = abs(y1 - y0) > FLATTEST * abs(x1 - x0)
        near = item.distance <= 3
        known[key] = steep and near and grid.is_clear(item.tail, item.head, 3.0)
    return known[key]


def _between(grid: Grid, item: Across) -> tuple[object, ...]:
    """The templates of the columns from the tail to the head."""
    first, last = sorted((item.tail[0], item.head[0]))
    return tuple(column.template for column in grid.plan.columns[first : last + 1])


def assign(plan: Plan, grid: Grid, chosen: dict[str, Manner]) -> Tracks:
    """Collect the ducts into nets and give every net its tracks."""
    ordered = _collected(plan, chosen)
    _choose_entries(plan, grid, ordered, chosen)
    sides = borders(plan, grid, [item for net in ordered for item in net.branches])
    tracks = Tracks(ordered, {}, {}, {}, {}, {}, sides)
    vertical: defaultdict[int, list[Net]] = defaultdict(list)
    spans: defaultdict[int, dict[NetKey, int]] = defaultdict(dict)
    tails: defaultdict[NetKey, int] = defaultdict(int)
    for net in ordered:
        tails[net.key] += 1
        vertical[net.tail[0] + (net.side > 0)].append(net)
        for item in net.branches:
            if item.id not in net.entries:
                level = tracks.channel(plan, item)
                span = max(item.distance, 1)
                spans[level][net.key] = max(spans[level].get(net.key, 1), span)
        if not grid.is_outermost(net.tail, net.side):
            level = plan.layers[net.tail[1]] + 1
            spans[level].setdefault(net.key, 1)
    for level, keys in spans.items():
        start = 0
        tracks.horizontal[level] = {}
        for key2 in keys:
            count = min(keys[key2], tails[key2])
            tracks.horizontal[level][key2] = range(start, start + count)
            start += count
        tracks.counts[level] = start
    tracks.first.update(dict.fromkeys(tracks.counts, FIRST_TRACK))
    tracks.under.update(dict.fromkeys(tracks.counts, UNDER_TRACKS))
    for net in ordered:
        for item in net.branches:
            if item.id not in net.entries:
                labelled = item.edge is not None and item.edge.label is not None
                room = FIRST_TRACK + (1.1 * plan.style.font_size if labelled else 0.0)
                side = tracks.under if tracks.borders[item.id] > 0 else tracks.first
                level = tracks.channel(plan, item)
                side[level] = max(side[level], room)
    tracks.vertical.update(vertical)
    return tracks


def _collected(plan: Plan, chosen: dict[str, Manner]) -> list[Net]:
    """The nets from left to right; of those of one node to one side, the deepest is outermost."""
    nets: dict[tuple[Cell, int, EdgeKind, int], Net] = {}
    for item in plan.across:
        if chosen[item.id] == "duct":
            key = (item.tail, item.side, item.kind, item.delay)
            nets.setdefault(key, Net(*key, 0, [])).branches.append(item)
    together: defaultdict[tuple[Cell, int], list[Net]] = defaultdict(list)
    for net in nets.values():
        together[net.tail, net.side].append(net)
    level = [item for item in plan.across if chosen[item.id] == "level"]
    places = {(item.tail, item.side) for item in level}
    places |= {(item.head, -item.side) for item in level}
    for place, group in together.items():
        group.sort(key=lambda n: min(plan.layers[item.head[1]] for item in n.branches))
        for net in group if place in places else ():
            # Below the level line it would have to cross it.
            own = plan.layers[net.tail[1]]
            net.upward = all(plan.layers[item.head[1]] > own for item in net.branches)
        for upward in (False, True):
            members = [net for net in group if net.upward == upward]
            for rank, net in enumerate(members[::-1] if upward else members, place in places):
                net.rank = rank
    return sorted(
        nets.values(),
        key=lambda n: (n.tail[0], plan.layers[n.tail[1]], n.tail[1], n.side, -n.rank, n.kind),
    )


def _choose_entries(plan: Plan, grid: Grid, nets: Sequence[Net], chosen: dict[str, Manner]) -> None:
    """Let a branch enter its head from the side where nothing else does."""
    taken: set[tuple[str, int]] = set()
    for item in plan.across:
        if chosen[item.id] == "level":
            taken.add((item.head[1], -item.side))
            taken.add((item.tail[1], item.side))
    for row, side in plan.loop_side.items():
        taken.add((row, side))
    for net in nets:
        taken.add((net.tail[1], net.side))
    owner: dict[tuple[str, int], NetKey] = {}
    for net in nets:
        levels = [plan.layers[item.head[1]] for item in net.branches]
        for item in net.branches:
            side = -net.side if item.distance else net.side
            place = (item.head[1], side)
            alone = levels.count(plan.layers[item.head[1]]) == 1
            if (
                alone
                and item.distance <= 1
                and place not in taken
                and owner.get(place, net.key) == net.key
                and grid.is_outermost(item.head, side)
            ):
                owner[place] = net.key
                net.entries.add(item.id)
