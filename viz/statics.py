"""Static nodes: parameters on buses below or above the columns, results to their right."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import networkx as nx

from viz.ducts import TURN
from viz.grid import Plan, Size, Tap
from viz.picture import Dot, PlacedNode
from viz.router import Router
from viz.routing import Box, Curve, Point, bend, joined, line, port, rounded, segment_meets_box
from viz.scene import Edge, Node
from viz.sizing import sizes

BUS_PITCH = 7.0
PAD = 20.0
"""Room between static nodes side by side, in which a line can change its height."""


class StaticZone:
    """Places the static nodes and draws their lines."""

    def __init__(self, plan: Plan, router: Router) -> None:
        self.plan, self.router, self.grid = plan, router, router.grid
        self.nodes: list[PlacedNode] = []
        self._sizes = sizes({n.id: [n] for n in plan.statics}, plan.texts, plan.style)
        self._taps: defaultdict[str, list[Tap]] = defaultdict(list)
        for tap in plan.taps:
            self._taps[tap.static].append(tap)
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._graph.add_nodes_from(node.id for node in plan.statics)
        self._graph.add_edges_from((edge.tail, edge.head) for edge in plan.between)
        self._results = self._find_results()
        self._follow_readers()
        self._rank = self._ranks()
        self._at: dict[str, Point] = {}
        self._ends: dict[str, tuple[float, float]] = {}
        self._rails: dict[tuple[str, str], float] = {}

    def run(self) -> None:
        """Place the nodes, then draw buses, taps and the lines between static nodes."""
        self._place()
        for node in self.plan.statics:
            size, (x, y) = self._sizes[node.id], self._at[node.id]
            self.nodes.append(
                PlacedNode(
                    node, x, y, size.width, size.height, size.shape, self.plan.texts[node.id]
                )
            )
        for node in self.plan.statics:
            outward = [tap for tap in self._taps[node.id] if tap.inward]
            if outward:
                self._fan_out(node, outward)
            rows: defaultdict[str, list[Tap]] = defaultdict(list)
            for tap in self._taps[node.id]:
                if not tap.inward:
                    rows[tap.cell[1]].append(tap)
            for row, taps in rows.items():
                self._fan_in(node, row, taps)
        for edge in self.plan.between:
            self._join(edge)

    def _find_results(self) -> set[str]:
        """The static nodes computed from cells or other results, and what no cell reads.

        They stand at the right.
        """
        results = {name for name, taps in self._taps.items() if not all(t.inward for t in taps)}
        read = {name for name, taps in self._taps.items() if any(t.inward for t in taps)}
        order = list(nx.topological_sort(self._graph))
        for name in reversed(order):
            if any(reader in read for reader in self._graph.successors(name)):
                read.add(name)
            elif name not in read and self._graph.in_degree(name):
                results.add(name)
        for name in order:
            if any(before in results for before in self._graph.predecessors(name)):
                results.add(name)
        return results

    def _follow_readers(self) -> None:
        """What is only read by other static nodes stands on their side of the columns."""
        above = self.plan.above
        for name in reversed(list(nx.topological_sort(self._graph))):
            readers = list(self._graph.successors(name))
            if not self._taps[name] and readers:
                if any(reader in above for reader in readers):
                    above.add(name)
                else:
                    above.discard(name)

    def _ranks(self) -> dict[str, int]:
        """Places from the columns outward: sources to the left, results to the right."""
        rank: dict[str, int] = {}
        order = list(nx.topological_sort(self._graph))
        for name in reversed(order):
            if name not in self._results:
                readers = [
                    rank[r] + 1 for r in self._graph.successors(name) if r not in self._results
                ]
                rank[name] = max(readers, default=0)
        for name in order:
            if name in self._results:
                before = [rank[b] + 1 for b in self._graph.predecessors(name) if b in self._results]
                rank[name] = max(before, default=0)
        return rank

    def _place(self) -> None:
        grid = self.grid
        edge_x = self._reach()
        widths: defaultdict[tuple[bool, int, int], float] = defaultdict(float)
        for node in self.plan.statics:
            place = (node.id in self._results, self._home(node), self._rank[node.id])
            widths[place] = max(widths[place], self._sizes[node.id].width)
        for above in (False, True):
            y = grid.ceiling + 4 if above else grid.floor - 4
            way = 1 if above else -1
            members = [node for node in self.plan.statics if (node.id in self.plan.above) == above]
            members.sort(key=lambda node: (node.id in self._results, self._depth(node)))
            for group in self._rows(members):
                height = max(self._sizes[node.id].height for node in group)
                y += way * height / 2
                for node in group:
                    result = node.id in self._results
                    home, rank = self._home(node), self._rank[node.id]
                    inner = sum(widths[result, home, r] + PAD for r in range(rank))
                    half = widths[result, home, rank] / 2
                    start = edge_x[1] if result else self._left_of(home, edge_x[0])
                    x = start + PAD + inner + half if result else start - PAD - inner - half
                    self._at[node.id] = (x, y)
                    self._ends[node.id] = (x - half, x + half)
                name, rails = self._fan_rows(group)
                for number, row in enumerate(rails[1:], start=1):
                    self._rails[name, row] = y + way * (height / 2 + number * BUS_PITCH)
                for row in rails[:1]:
                    self._rails[name, row] = y
                y += way * (height / 2 + 4 + BUS_PITCH * max(len(rails) - 1, 0))

    def _reach(self) -> tuple[float, float]:
        """The horizontal range of everything in the columns."""
        low = min([self.grid.x[0], *(p[0] for e in self.router.ink.edges for p in e.curve)])
        last = len(self.grid.x) - 1
        high = max([self.grid.right(last), *(p[0] for e in self.router.ink.edges for p in e.curve)])
        return low, high

    def _left_of(self, column: int, low: float) -> float:
        return low if column == 0 else self.grid.x[column] - 4

    def _home(self, node: Node) -> int:
        """The column left of which a source stands: the first of the first track that uses it."""
        columns = self.plan.columns
        if node.id in self._results:
            return 0
        used = [tap.cell[0] for tap in self._taps[node.id]]
        for reader in nx.descendants(self._graph, node.id):
            if reader not in self._results:
                used.extend(tap.cell[0] for tap in self._taps[reader])
        if not used:
            return 0
        track = columns[min(used)].template[0]
        return next(i for i, column in enumerate(columns) if column.template[0] == track)

    def _depth(self, node: Node) -> float:
        """How far from the zone the users of a node are."""
        levels = [self.plan.layers[tap.cell[1]] for tap in self._taps[node.id]]
        if not levels:
            return 0.0
        return -float(max(levels)) if node.id in self.plan.above else float(min(levels))

    def _rows(self, members: list[Node]) -> list[list[Node]]:
        """The nodes side by side; what has no line to the columns stands beside its neighbour."""
        free = {n.id for n in members if self._graph.degree(n.id) and not self._taps[n.id]}
        rows = [list(row) for row in self._shared_rows([n for n in members if n.id not in free])]
        known = {node.id: node for node in members}
        order = list(nx.topological_sort(self._graph))
        sources = [n for n in reversed(order) if n in free and n not in self._results]
        for name in (*sources, *(n for n in order if n in free and n in self._results)):
            result = name in self._results
            beside = self._graph.predecessors(name) if result else self._graph.successors(name)
            near = [other for other in beside if (other in self._results) == result]
            place = len(rows)
            for other in near:
                for number, row in enumerate(rows):
                    if any(node.id == other for node in row):
                        place = min(place, number + 1)
                        if self._has_room(row, other, name):
                            row.append(known[name])
                            break
                else:
                    continue
                break
            else:
                rows.insert(place, [known[name]])
        return rows

    def _has_room(self, row: list[Node], other: str, name: str) -> bool:
        """Whether a node can stand in a row, next to another one in it."""
        last, rank = self._rank[other], self._rank[name]
        return self._home_of(other) == self._home_of(name) and not any(
            last < self._rank[node.id] <= rank
            for node in row
            if (node.id in self._results) == (name in self._results)
        )

    def _home_of(self, name: str) -> int:
        return self._home(next(node for node in self.plan.statics if node.id == name))

    def _shared_rows(self, members: list[Node]) -> list[tuple[Node, ...]]:
        """Sources of different tracks whose buses do not meet share a row."""
        groups: list[list[Node]] = []
        for node in members:
            if node.id not in self._results and not self._graph.degree(node.id):
                span = self._span(node)
                for group in groups:
                    if all(
                        other.id not in self._results
                        and not self._graph.degree(other.id)
                        and self._home(other) != self._home(node)
                        and (self._span(other)[1] < span[0] or span[1] < self._span(other)[0])
                        for other in group
                    ):
                        group.append(node)
                        break
                else:
                    groups.append([node])
            else:
                groups.append([node])
        return [tuple(group) for group in groups]

    def _span(self, node: Node) -> tuple[int, int]:
        used = [tap.cell[0] for tap in self._taps[node.id]]
        return self._home(node), max(used, default=self._home(node))

    def _fan_rows(self, group: list[Node]) -> tuple[str, list[str]]:
        """The result in a row that is computed from cells, and the rows of those."""
        for node in group:
            rows = dict.fromkeys(tap.cell[1] for tap in self._taps[node.id] if not tap.inward)
            if rows:
                return node.id, list(rows)
        return "", []

    def _box(self, name: str) -> Box:
        (x, y), size = self._at[name], self._sizes[name]
        return (x - size.width / 2, y - size.height / 2, x + size.width / 2, y + size.height / 2)

    def _port(self, name: str, angle: float) -> Point:
        size: Size = self._sizes[name]
        return port(self._box(name), size.shape, angle, 1)[0]

    def _fan_out(self, node: Node, taps: list[Tap]) -> None:
        """A bus out of the side of a source with a tap to each user."""
        above = node.id in self.plan.above
        y = self._at[node.id][1]
        router = self.router
        entry = self.grid.ceiling if above else self.grid.floor
        places: list[tuple[float, Tap, list[tuple[float, float, float]]]] = []
        for tap in taps:
            bands = self.grid.lanes(tap.cell[0], tap.link)
            if above:
                bands = [(x, high, low) for x, low, high in reversed(bands)]
            places.append((bands[0][0], tap, bands))
        places.sort(key=lambda place: (place[0], place[1].edge.id))
        right = self._port(node.id, 90.0)
        left = self._port(node.id, -90.0)
        side = -1 if above else 1
        for direction, start in ((1, right), (-1, left)):
            mine = [p for p in places if (p[0] > start[0]) == (direction > 0)]
            if direction < 0:
                mine = [p for p in places if p[0] < start[0] and p[0] < right[0]]
                mine.reverse()
            else:
                mine = [p for p in places if p[0] >= right[0]]
            if not mine:
                continue
            far = mine[-1][0]
            turn = min(TURN, abs(far - start[0]) / 2, abs(entry - y) / 2)
            turn_at = (far - direction * turn, y)
            if len(mine) > 1:
                router.ink.emit(
                    line(start, turn_at),
                    name=f"trunk-{node.id}-{direction}",
                    edge=None,
                    kind=mine[0][1].edge.kind,
                    tail=node.id,
                    head="",
                    arrow=False,
                )
            for number, (x, tap, bands) in enumerate(mine):
                last = number == len(mine) - 1
                end, out = router.ports.of_tap(tap)
                approach = router.approach(tap.cell, -side)
                if last:
                    begin = turn_at if len(mine) > 1 else start
                    foot = rounded([begin, (x, y), (x, entry)], turn)
                else:
                    foot = line((x, y), (x, entry))
                    router.ink.dots.append(Dot(tap.edge.kind, x, y, 1.3))
                rest = router.through(
                    (x, entry), (0.0, float(side)), bands, end, out, side, approach
                )
                router.ink.emit(
                    joined(foot, rest),
                    name=tap.edge.id,
                    edge=tap.edge,
                    kind=tap.edge.kind,
                    tail=tap.edge.tail,
                    head=tap.edge.head,
                )

    def _fan_in(self, node: Node, row: str, taps: list[Tap]) -> None:
        """A bus that collects from the columns into the side of a result."""
        router = self.router
        y = self._rails[node.id, row]
        places = []
        for tap in taps:
            bands = self.grid.lanes(tap.cell[0], tap.link)
            places.append((bands[-1][0], tap, bands))
        places.sort(key=lambda place: (place[0], place[1].edge.id))
        centre = self._at[node.id]
        end = self._port(node.id, -90.0)
        for number, (x, tap, bands) in enumerate(places):
            top = (x, self.grid.ceiling)
            stem = router.climb(tap.cell, 1, bands[:-1], top, (0.0, -1.0), None)
            first = number == 0
            edge = tap.edge
            if first:
                tail_end = [end] if abs(y - end[1]) < 0.5 else [(centre[0], y), self._top(node.id)]
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

    def _top(self, name: str) -> Point:
        return port(self._box(name), self._sizes[name].shape, 0.0, 1)[0]

    def _join(self, edge: Edge) -> None:
        """A line between two static nodes."""
        start, end = self._port(edge.tail, 90.0), self._port(edge.head, -90.0)
        if edge.tail not in self._results and edge.head in self._results:
            x = end[0] - 14
            curve = rounded([start, (x, start[1]), (x, end[1]), end], TURN)
        elif abs(start[1] - end[1]) < 0.5:
            curve = line(start, end)
        else:
            curve = self._stepped(edge, start, end)
        self.router.ink.emit(
            curve, name=edge.id, edge=edge, kind=edge.kind, tail=edge.tail, head=edge.head
        )

    def _stepped(self, edge: Edge, start: Point, end: Point) -> Curve:
        """A line that changes its height right of its tail or left of its head.

        Where both rows have other nodes on the way, it runs between the rows.
        """
        early, late = self._ends[edge.tail][1], self._ends[edge.head][0] - PAD
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
            segment_meets_box(start, end, self._box(name), 2.0)
            for name in self._at
            if name not in (edge.tail, edge.head)
        )

    def _between(self, edge: Edge, start: Point, end: Point) -> float:
        """A height between the nodes on the rows of the tail and of the head."""
        way = 1 if end[1] > start[1] else -1
        near, far = start[1], end[1]
        for name in self._at:
            left, bottom, right, top = self._box(name)
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
