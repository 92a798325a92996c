"""The order and places of what stands side by side in one step, found once by Graphviz."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from viz.engine import render

LANE = 3.0
"""Width of the free lane in which a line passes a layer."""
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
    doubled: Collection[Link] = (),
    unit: float = 1.0,
) -> Step:
    """Place the rows of a step so that its links cross little and run straight.

    `rows` gives how far each reaches to the left and to the right of its centre; `top` is the
    highest layer of the whole picture; rows in `first` and `last` are leftmost and rightmost in
    their layers. Links in `doubled` have another line beside them; `unit`
    scales the lanes.
    """
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
            size[lane] = (LANE if link not in doubled else LANE + BESIDE) * unit
            path.append(lane)
        if link.upper is not None:
            path.append(names[link.upper])
        for i, (a, b) in enumerate(itertools.pairwise(path)):
            bound = link.lower is not None and link.upper is not None
            weights = (12, 3, 8) if bound else (1, 1, 3)
            inner = a.startswith("d") + b.startswith("d")
            adjacent.add(low + i if link.lower is not None else low + 1 + i)
            arrows.append(f"{a}->{b}[weight={weights[inner]}];")
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
