"""The order and places of what stands side by side in one step, found once by Graphviz."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from viz.engine import render

LANE = 3.0
"""Width of the free lane in which a line passes a layer."""
CLEARLY = 0.88
"""An order replaces another if its cost is smaller by this factor: the cost is an estimate."""
PILED = 20
"""How straight rows stand above each other that shall; a line in a step has at most 12."""
BESIDE = 5.0
"""How much wider the lane is for two lines."""


@dataclass(frozen=True, slots=True)
class Link:
    """A line inside a step from the lower to the upper row, each None for the edge of the step.

    Where `upper` is None the line leaves at the top (to a bus above the columns), where `lower` is
    None it comes from below.
    """

    lower: str | None
    upper: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Step:
    """The places in one step; x counts from the left end of the step.

    `x` gives the centre of each row, `lanes` the places at which a link passes the layers between
    its ends, lowest first; a link from below starts with its place at the bottom of the step, one
    to the top ends with its place at the top.
    """

    x: Mapping[str, float]
    lanes: Mapping[Link, tuple[float, ...]]
    width: float

    def stretches(
        self, link: Link, layers: Mapping[str, int]
    ) -> Iterator[tuple[int, tuple[float, float]]]:
        """Yield the channels that a link runs through, with its places at bottom and top of each.

        The channel below layer k has the number k.
        """
        path = list(self.lanes[link])
        channel = 0
        if link.lower is not None:
            path.insert(0, self.x[link.lower])
            channel = layers[link.lower] + 1
        if link.upper is not None:
            path.append(self.x[link.upper])
        yield from enumerate(itertools.pairwise(path), channel)


def arrange(
    rows: Mapping[str, tuple[float, float]],
    layers: Mapping[str, int],
    links: Sequence[Link],
    *,
    top: int,
    node_gap: float,
    first: Collection[str] = (),
    last: Collection[str] = (),
    stacked: Collection[str] = (),
    entered: Mapping[str, int] = MappingProxyType({}),
    wider: Mapping[Link, float] = MappingProxyType({}),
    unit: float = 1.0,
) -> Step:
    """Place the rows of a step so that its links cross little and run straight.

    Of a few orders, the one with fewest crossings: from different starts, and with what is leftmost
    or rightmost and entered from there either outside of the lines that pass its layer, or only
    outside of the other rows.

    `rows` gives how far each reaches to the left and to the right of its centre; `top` is the
    highest layer of the whole picture; rows in `first` and `last` are leftmost and rightmost in
    their layers, those in `stacked` one above the other; `entered` says from which side (-1 left,
    1 right) lines come to a row from other steps. `wider` says of links how much wider their lanes
    are than `LANE`; `unit` scales those.
    """
    outside = {row: side for row, side in entered.items() if row in (first if side < 0 else last)}

    best: Step | None = None
    least = 0
    turned = dict(list(rows.items())[::-1])
    for order, lines in ((rows, links), (turned, links), (turned, links[::-1])):
        for held in ({}, outside):
            step = _arranged(
                order, layers, lines, top, node_gap, first, last, stacked, held, wider, unit
            )
            cost = _crossed(step, layers, entered)
            if best is None or cost < CLEARLY * least:
                best, least = step, cost
            if not least or not _passed(step, layers, outside):
                break
        if not least:
            break
    assert best is not None
    return best


def _passed(step: Step, layers: Mapping[str, int], entered: Mapping[str, int]) -> int:
    """How badly level lines from the side cross lanes on their way to rows."""
    cost = 0
    for link, lanes in step.lanes.items():
        low = layers[link.lower] + 1 if link.lower is not None else -1
        for row, side in entered.items():
            number = layers[row] - low
            if 0 <= number < len(lanes) and (lanes[number] - step.x[row]) * side > 0:
                cost += 2 * _weight(link)
    return cost


def _crossed(step: Step, layers: Mapping[str, int], entered: Mapping[str, int]) -> int:
    """How badly links cross each other, or lines from the side, on their level or above it."""
    channels: defaultdict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for link in step.lanes:
        for channel, (a, b) in step.stretches(link, layers):
            channels[channel].append((_weight(link), a, b))
    cost = _passed(step, layers, entered)
    for row, side in entered.items():
        for weight, a, b in channels[layers[row] + 1]:
            cost += 2 * weight * (((a + b) / 2 - step.x[row]) * side > 0)
    for lines in channels.values():
        for (weight, a, b), (other, c, d) in itertools.combinations(lines, 2):
            cost += weight * other * ((a - c) * (b - d) < 0)
    return cost


def _weight(link: Link) -> int:
    """How much a crossing of a link counts: that of a static node is thin."""
    return 1 if link.lower is None or link.upper is None else 5


def _arranged(
    rows: Mapping[str, tuple[float, float]],
    layers: Mapping[str, int],
    links: Sequence[Link],
    top: int,
    node_gap: float,
    first: Collection[str],
    last: Collection[str],
    stacked: Collection[str],
    outside: Mapping[str, int],
    wider: Mapping[Link, float],
    unit: float,
) -> Step:
    """The places that Graphviz finds; no lane is beside the rows `outside`, on the side given."""
    names: dict[str, str] = {row: f"n{i}" for i, row in enumerate(rows)}
    members: defaultdict[int, list[str]] = defaultdict(list)
    size: dict[str, float] = {}
    lane_gap = 4.0 * unit
    for row, (left, right) in rows.items():
        members[layers[row]].append(names[row])
        size[names[row]] = left + right + node_gap - lane_gap
    arrows: list[str] = []
    adjacent: set[int] = set()
    lanes: dict[Link, list[str]] = {}
    for number, link in enumerate(links):
        low = layers[link.lower] if link.lower is not None else -2
        high = layers[link.upper] if link.upper is not None else top + 2
        path = [names[link.lower]] if link.lower is not None else []
        lanes[link] = []
        for level in range(low + 1, high):
            lane = f"d{number}_{level + 1}"
            lanes[link].append(lane)
            members[level].append(lane)
            size[lane] = LANE * unit + wider.get(link, 0.0)
            path.append(lane)
        if link.upper is not None:
            path.append(names[link.upper])
        for i, (a, b) in enumerate(itertools.pairwise(path)):
            bound = link.lower is not None and link.upper is not None
            weights = (12, 3, 8) if bound else (1, 1, 3)
            inner = a.startswith("d") + b.startswith("d")
            adjacent.add(low + i if link.lower is not None else low + 1 + i)
            arrows.append(f"{a}->{b}[weight={weights[inner]}];")
    linked = {row for link in links for row in (link.lower, link.upper)}
    for row in rows:
        if row in linked:
            continue
        # What reads or is read elsewhere only stands above others, or below them.
        lower = [other for other in rows if other in linked and layers[other] < layers[row]]
        upper = [other for other in rows if other in linked and layers[other] > layers[row]]
        if lower:
            under = max(lower, key=lambda other: layers[other])
            arrows.append(f"{names[under]}->{names[row]}[style=invis,weight=2];")
        elif upper:
            over = min(upper, key=lambda other: layers[other])
            arrows.append(f"{names[row]}->{names[over]}[style=invis,weight=2];")
    pile = sorted((row for row in rows if row in stacked), key=lambda row: layers[row])
    for below, above in itertools.pairwise(pile):
        arrows.append(f"{names[below]}->{names[above]}[style=invis,weight={PILED}];")
        adjacent.update(range(layers[below], layers[above]))
    levels = sorted(members)
    for low, high in itertools.pairwise(levels):
        if low not in adjacent or high != low + 1:
            arrows.append(f"{members[low][0]}->{members[high][0]}[style=invis,weight=1];")
    for level in levels:
        real = [row for row in rows if layers[row] == level]
        arrows.extend(
            f"{names[left]}->{names[right]}[style=invis];"
            for left in real
            for right in real
            if left != right
            and (left in first or right in last)
            and not (right in first or left in last)
        )
        passing = [lane for lane in members[level] if lane.startswith("d")]
        for row, lane in itertools.product(real, passing):
            if row in outside:
                pair = (names[row], lane) if outside[row] < 0 else (lane, names[row])
                arrows.append("->".join(pair) + "[style=invis];")
    text = ["digraph{", f"rankdir=BT;ranksep=0.3;nodesep={lane_gap / 72:.4f};"]
    text.append('node[shape=box,fixedsize=true,height=0.1,label=""];edge[arrowhead=none];')
    for level in levels:
        nodes = "".join(f"{n}[width={size[n] / 72:.4f}];" for n in members[level])
        text.append(f"{{rank=same;{nodes}}}")
    text.extend((*arrows, "}"))
    found = _places(render("\n".join(text), engine="dot", format="plain").decode())
    x = {row: found[names[row]] + (left - right) / 2 for row, (left, right) in rows.items()}
    ends = [(x[row] - left, x[row] + right) for row, (left, right) in rows.items()]
    ends += [(found[n] - LANE / 2, found[n] + LANE / 2) for n in size if n.startswith("d")]
    start = min((left for left, _ in ends), default=0.0)
    end = max((right for _, right in ends), default=0.0)
    return Step(
        {row: value - start for row, value in x.items()},
        {link: tuple(found[lane] - start for lane in path) for link, path in lanes.items()},
        end - start,
    )


def _places(plain: str) -> dict[str, float]:
    """Node centres in points from Graphviz' plain format."""
    places = {}
    for line in plain.splitlines():
        words = line.split()
        if words and words[0] == "node":
            places[words[1]] = round(float(words[2]) * 72, 3)
    return places
