"""Where static nodes stand: parameters below or above the columns, results to their right."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

import networkx as nx

from viz.companions import APART
from viz.grid import Grid, Plan, Tap
from viz.layout_unfolded import empty_results
from viz.routing import Box, Point
from viz.scene import Node
from viz.sizing import sizes

BUS_PITCH = 7.0
SHAFT = 16.0
"""Room between a node and a rail from which an arrow leads into it."""
CLEAR = 12.0
"""Room between a node and a line that runs over it."""
PAD = 20.0
"""Room between static nodes side by side, in which a line can change its height."""


class StaticPlaces:
    """Places the static nodes in rows outside the columns.

    `at` gives their middles, `ends` the left and right end of the room of each, `rails` the height
    at which a result collects from each row of the columns, `returns` that at which lines of a
    result run back to columns left of it, `passes` that at which lines run over nodes of a row.
    """

    def __init__(self, plan: Plan, grid: Grid, reach: tuple[float, float]) -> None:
        self.plan, self.grid, self._reach = plan, grid, reach
        self.sizes = sizes({n.id: [n] for n in plan.statics}, plan.texts, plan.style)
        self.taps: defaultdict[str, list[Tap]] = defaultdict(list)
        for tap in plan.taps:
            self.taps[tap.static].append(tap)
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._graph.add_nodes_from(node.id for node in plan.statics)
        self._graph.add_edges_from((edge.tail, edge.head) for edge in plan.between)
        self._pitch = BUS_PITCH + (APART if plan.accompanied else 0.0)
        self.results = self._find_results()
        self._follow_readers()
        self._rank = self._ranks()
        self.at: dict[str, Point] = {}
        self.ends: dict[str, tuple[float, float]] = {}
        self.rails: dict[tuple[str, str], float] = {}
        self.returns: dict[str, float] = {}
        self.passes: dict[str, float] = {}
        self._place()

    def box(self, name: str) -> Box:
        """The box of a node."""
        (x, y), size = self.at[name], self.sizes[name]
        return (x - size.width / 2, y - size.height / 2, x + size.width / 2, y + size.height / 2)

    def _find_results(self) -> set[str]:
        """The static nodes computed from cells or other results, and what no cell reads.

        They stand at the right.
        """
        results = {name for name, taps in self.taps.items() if not all(t.inward for t in taps)}
        results |= empty_results(self.plan)
        read = {name for name, taps in self.taps.items() if any(t.inward for t in taps)}
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
            if not self.taps[name] and readers:
                if any(reader in above for reader in readers):
                    above.add(name)
                else:
                    above.discard(name)

    def _ranks(self) -> dict[str, int]:
        """Places from the columns outward: sources to the left, results to the right."""
        rank: dict[str, int] = {}
        order = list(nx.topological_sort(self._graph))
        for name in reversed(order):
            if name not in self.results:
                readers = [
                    rank[r] + 1 for r in self._graph.successors(name) if r not in self.results
                ]
                rank[name] = max(readers, default=0)
        for name in order:
            if name in self.results:
                before = [
                    rank[b] + 1
                    for b in self._graph.predecessors(name)
                    if b in self.results and self._behind(b) == self._behind(name)
                ]
                rank[name] = max(before, default=0)
        return rank

    def _place(self) -> None:
        grid = self.grid
        widths: defaultdict[tuple[bool, int, int], float] = defaultdict(float)
        for node in self.plan.statics:
            place = (node.id in self.results, self._home(node), self._rank[node.id])
            widths[place] = max(widths[place], self.sizes[node.id].width)
        pads = self._pads()
        for above in (False, True):
            y = grid.ceiling + 4 if above else grid.floor - 4
            way = 1 if above else -1
            members = [node for node in self.plan.statics if (node.id in self.plan.above) == above]
            members = self._nearest_first(members)
            for group in self._rows(members):
                height = max(self.sizes[node.id].height for node in group)
                rises = self._rises(group)
                over = max([0.0, *(rise + 4 - height / 2 for rise in rises.values())])
                back = [node.id for node in group if self._leads_back(node.id)]
                for number, name in enumerate(back):
                    self.returns[name] = y + way * number * self._pitch
                if back:
                    y += way * (SHAFT + (len(back) - 1) * self._pitch)
                y += way * (height / 2 + (0.0 if above else over))
                for node in group:
                    result = node.id in self.results
                    home, rank = self._home(node), self._rank[node.id]
                    inner = sum(
                        widths[result, home, r] + pads[result, home, r] for r in range(rank)
                    )
                    half = widths[result, home, rank] / 2
                    start = self._right_of(home) if result else self._left_of(home)
                    x = start + PAD + inner + half if result else start - PAD - inner - half
                    self.at[node.id] = (x, y)
                    self.ends[node.id] = (x - half, x + half)
                self.passes |= {edge: y + rise for edge, rise in rises.items()}
                y += way * (height / 2 + (over if above else 0.0))
                name, rails = self._fan_rows(group)
                for number, row in enumerate(rails):
                    further = SHAFT + (number - 1) * self._pitch
                    self.rails[name, row] = y + way * (further if number else -height / 2)
                y += way * (4 + (SHAFT + (len(rails) - 2) * self._pitch if len(rails) > 1 else 0.0))

    def _pads(self) -> defaultdict[tuple[bool, int, int], float]:
        """The room between each place and the next one outward: more where a line has a label."""
        pads: defaultdict[tuple[bool, int, int], float] = defaultdict(lambda: PAD)
        nodes = {node.id: node for node in self.plan.statics}
        for edge in self.plan.between:
            result = edge.head in self.results
            if edge.label is not None and (edge.tail in self.results) == result:
                rank = min(self._rank[edge.tail], self._rank[edge.head])
                pads[result, self._home(nodes[edge.head]), rank] = (
                    PAD + 1.2 * self.plan.style.font_size
                )
        return pads

    def _rises(self, group: list[Node]) -> dict[str, float]:
        """How far above the middle of a row those lines run that other nodes of it stand between.

        Where two meet, the longer one is above.
        """
        place = {n.id: (n.id in self.results, self._home(n), self._rank[n.id]) for n in group}
        found: list[tuple[tuple[int, int], str, float]] = []
        for edge in self.plan.between:
            if edge.tail not in place or edge.head not in place:
                continue
            (*side, start), (*_, end) = place[edge.tail], place[edge.head]
            low, high = min(start, end), max(start, end)
            near = [
                name
                for name, (*other, rank) in place.items()
                if other == side and (name in (edge.tail, edge.head) or low < rank < high)
            ]
            if len(near) > 2:
                rise = CLEAR + max(self.sizes[name].height for name in near) / 2
                found.append(((low, high), edge.id, rise))
        rises: dict[str, float] = {}
        found.sort(key=lambda each: each[0][1] - each[0][0])
        for number, ((low, high), edge_id, rise) in enumerate(found):
            below = [
                rises[other] + self._pitch
                for (begin, end), other, _ in found[:number]
                if begin < high and low < end
            ]
            rises[edge_id] = max(rise, *below, 0.0)
        return rises

    def _leads_back(self, name: str) -> bool:
        """Whether columns left of a result read it."""
        inward = [tap.cell[0] for tap in self.taps[name] if tap.inward]
        return name in self.results and min(inward, default=self._behind(name)) < self._behind(name)

    def _behind(self, name: str) -> int:
        """The column in front of which a result stands; their number if behind them all."""
        return self.plan.homes.get(name, len(self.plan.columns))

    def _right_of(self, home: int) -> float:
        """Where the results in front of a column begin."""
        return self._reach[1] if home == len(self.plan.columns) else self.grid.right(home - 1)

    def _left_of(self, column: int) -> float:
        """Where the sources left of a column end."""
        return self._reach[0] if column == 0 else self.grid.x[column] - 4

    def _home(self, node: Node) -> int:
        """The column left of which a node stands: a source before the first track that uses it."""
        columns = self.plan.columns
        if node.id in self.results:
            return self._behind(node.id)
        used = [tap.cell[0] for tap in self.taps[node.id]]
        for reader in nx.descendants(self._graph, node.id):
            if reader not in self.results:
                used.extend(tap.cell[0] for tap in self.taps[reader])
        if not used:
            return 0
        track = columns[min(used)].template[0]
        return next(i for i, column in enumerate(columns) if column.template[0] == track)

    def _nearest_first(self, members: list[Node]) -> list[Node]:
        """The nodes so ordered that lines from the outer ones cross few buses further in.

        Parameters, whose lines are thin, come after other values.
        """
        end = {node.id: node.id in self.plan.above for node in members}
        taps = {
            node.id: sorted(
                self.grid.lanes(tap.cell[0], tap.link)[-1 if end[node.id] else 0][0]
                for tap in self.taps[node.id]
            )
            for node in members
        }

        def crossed(inner: str, outer: str) -> int:
            return bisect_left(taps[outer], taps[inner][-1]) if taps[inner] else 0

        def compared(a: Node, b: Node) -> int:
            if (a.kind == "parameter") != (b.kind == "parameter"):
                return 1 if a.kind == "parameter" else -1
            if self._graph.degree(a.id) and self._graph.degree(b.id):
                return 0
            return crossed(a.id, b.id) - crossed(b.id, a.id)

        results = [node for node in members if node.id in self.results]
        sources = [node for node in members if node.id not in self.results]
        ordered: list[Node] = []  # not sorted(): a before b and b before c says nothing of a and c
        for node in sources:
            place = len(ordered)
            while place and compared(node, ordered[place - 1]) < 0:
                place -= 1
            ordered.insert(place, node)
        return ordered + results

    def _rows(self, members: list[Node]) -> list[list[Node]]:
        """The nodes side by side; what has no line to the columns stands beside its neighbour."""
        free = {n.id for n in members if self._graph.degree(n.id) and not self.taps[n.id]}
        rows = [list(row) for row in self._shared_rows([n for n in members if n.id not in free])]
        known = {node.id: node for node in members}
        order = list(nx.topological_sort(self._graph))
        sources = [n for n in reversed(order) if n in free and n not in self.results]
        for name in (*sources, *(n for n in order if n in free and n in self.results)):
            result = name in self.results
            beside = self._graph.predecessors(name) if result else self._graph.successors(name)
            near = [other for other in beside if (other in self.results) == result]
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
            if (node.id in self.results) == (name in self.results)
        )

    def _home_of(self, name: str) -> int:
        return self._home(next(node for node in self.plan.statics if node.id == name))

    def _shared_rows(self, members: list[Node]) -> list[tuple[Node, ...]]:
        """Sources of different tracks whose buses do not meet share a row."""
        groups: list[list[Node]] = []
        for node in members:
            if node.id not in self.results and not self._graph.degree(node.id):
                span = self._span(node)
                for group in groups:
                    if all(
                        other.id not in self.results
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
        used = [tap.cell[0] for tap in self.taps[node.id]]
        return self._home(node), max(used, default=self._home(node))

    def _fan_rows(self, group: list[Node]) -> tuple[str, list[str]]:
        """The result in a row that is computed from cells, and the rows of those."""
        for node in group:
            rows = dict.fromkeys(tap.cell[1] for tap in self.taps[node.id] if not tap.inward)
            if rows:
                return node.id, list(rows)
        return "", []
