"""From an unfolded scene to the plan of its picture: a column a step, static nodes around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import networkx as nx

from viz.grid import ELLIPSIS, Across, Cell, Column, Inner, Plan, Role, Tap
from viz.layering import extended, layers_of
from viz.scene import Edge, Node, UnfoldedScene
from viz.sizing import DOTS, sizes, typeset_nodes
from viz.step import Link
from viz.style import Style


def plan_unfolded(scene: UnfoldedScene, style: Style) -> Plan:
    """Sort the nodes and edges of an unfolded graph by how they are drawn."""
    plan = Plan(style)
    nodes = _pinned(scene)
    plan.texts = typeset_nodes(nodes, style)
    plan.statics = [node for node in nodes if node.time is None]
    placed = [node for node in nodes if node.time is not None]
    number = _make_columns(plan, scene, placed)
    rows: defaultdict[str, list[Node]] = defaultdict(list)
    for node in placed:
        assert node.time is not None
        row = row_key(node)
        rows[row].append(node)
        plan.cells[node.id] = (number[node.track, node.time], row)
    plan.sizes = sizes(rows, plan.texts, style)
    _set_layers(plan, scene, rows)
    _sort_edges(plan, scene)
    _add_ellipses(plan)
    _choose_sides(plan)
    _choose_homes(plan)
    return plan


def row_key(node: Node) -> str:
    """Rows of different tracks are different rows."""
    return f"{node.track}\0{node.row or node.id}"


def _pinned(scene: UnfoldedScene) -> list[Node]:
    """The nodes, static results and data of one single step moved into its column."""
    known = {node.id: node for node in scene.nodes}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(node.id for node in scene.nodes if node.time is None)
    sources: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for edge in scene.edges:
        tail, head = known[edge.tail], known[edge.head]
        if head.time is None:
            if tail.time is None:
                graph.add_edge(tail.id, head.id)
            elif len(sources[head.id]) < 2:
                sources[head.id].add((tail.track, tail.time))
    for name in nx.topological_sort(graph):
        for before in graph.predecessors(name):
            sources[name] |= sources[before]
        if len(sources[name]) == 1:
            ((track, time),) = sources[name]
            known[name] = replace(known[name], track=track, time=time)
    readers: defaultdict[str, set[tuple[str, int] | None]] = defaultdict(set)
    for edge in scene.edges:
        head = known[edge.head]
        readers[edge.tail].add(None if head.time is None else (head.track, head.time))
    for name, places in readers.items():
        place = next(iter(places))
        data = known[name].kind in ("target", "input", "constant")
        if data and known[name].time is None and len(places) == 1 and place is not None:
            known[name] = replace(known[name], track=place[0], time=place[1])
    return list(known.values())


def _make_columns(
    plan: Plan, scene: UnfoldedScene, placed: list[Node]
) -> dict[tuple[str, int], int]:
    times: defaultdict[str, set[int]] = defaultdict(set)
    for node in placed:
        assert node.time is not None
        times[node.track].add(node.time)
    for track in scene.tracks:
        shown = [time for time in track.columns if time is not None]
        first, last = min(shown), max(shown)
        before = sorted(time for time in times[track.key] if time < first)
        after = sorted(time for time in times[track.key] if time > last)
        for role, group in (("left", before), ("main", track.columns), ("right", after)):
            for time in group:
                kept: Role = "gap" if time is None else role  # type: ignore[assignment]
                plan.columns.append(Column((track.key, kept), time))
    return {
        (column.template[0], column.time): number
        for number, column in enumerate(plan.columns)
        if column.time is not None
    }


def _set_layers(plan: Plan, scene: UnfoldedScene, rows: Mapping[str, list[Node]]) -> None:
    """Layers for the rows of each track; rows only in a margin are fitted in afterwards."""
    if scene.layers is not None:
        level = {row: i for i, members in enumerate(scene.layers) for row in members}
        plan.layers = {key: level[nodes[0].row or nodes[0].id] for key, nodes in rows.items()}
        return
    templates: dict[str, set[str]] = defaultdict(set)
    for column, row in plan.cells.values():
        templates[row].add(plan.columns[column].template[1])
    arcs: dict[tuple[str, str, int], None] = {}
    for edge in scene.edges:
        if edge.tail in plan.cells and edge.head in plan.cells:
            (tail_column, tail), (head_column, head) = plan.cells[edge.tail], plan.cells[edge.head]
            a, b = plan.columns[tail_column], plan.columns[head_column]
            if a.template[0] == b.template[0]:
                assert a.time is not None
                assert b.time is not None
                arcs[tail, head, b.time - a.time] = None
    for track in scene.tracks:
        mine = [row for row in rows if rows[row][0].track == track.key]
        main = [row for row in mine if "main" in templates[row]]
        known = set(main)
        inside = [arc for arc in arcs if arc[0] in known and arc[1] in known]
        found = layers_of(
            main,
            inside,
            targets={row for row in main if rows[row][0].kind == "target"},
            inputs={row for row in main if rows[row][0].kind == "input"},
            chains={tail for tail, head, lag in inside if tail == head and abs(lag) == 1},
            lowest=_outside_groups(scene, rows),
        )
        margin = set(mine)
        found |= extended(mine, [a for a in arcs if a[0] in margin and a[1] in margin], found)
        plan.layers.update(found)
    lowest = min(plan.layers.values(), default=0)
    plan.layers = {row: level - lowest for row, level in plan.layers.items()}


def _outside_groups(scene: UnfoldedScene, rows: Mapping[str, list[Node]]) -> set[str]:
    """The rows of inputs that must not stand between the members of groups."""
    inside = {row for group in scene.groups for row in group.members}
    return {
        key
        for key, nodes in rows.items()
        if inside and nodes[0].kind == "input" and (nodes[0].row or nodes[0].id) not in inside
    }


def _sort_edges(plan: Plan, scene: UnfoldedScene) -> None:
    statics = {node.id for node in plan.statics}
    kind = {node.id: node.kind for node in scene.nodes}
    seen: defaultdict[tuple[int, str, str], int] = defaultdict(int)
    for edge in scene.edges:
        if edge.tail in statics and edge.head in statics:
            plan.between.append(edge)
        elif edge.tail in statics or edge.head in statics:
            inward = edge.tail in statics
            static, other = (edge.tail, edge.head) if inward else (edge.head, edge.tail)
            cell = plan.cells[other]
            plan.taps.append(Tap(edge, static, cell, inward, Link(None, cell[1], static)))
        else:
            tail, head = plan.cells[edge.tail], plan.cells[edge.head]
            low, high = plan.layers[tail[1]], plan.layers[head[1]]
            down = high < low
            if tail[0] == head[0] and (low < high or kind[edge.tail] == "target") and low != high:
                ends = (head[1], tail[1]) if down else (tail[1], head[1])
                count = seen[tail[0], *ends]
                seen[tail[0], *ends] += 1
                link = Link(*ends, str(count))
                plan.inner.append(Inner(edge, tail[0], tail[1], head[1], link, down))
            else:
                side = 1 if head[0] >= tail[0] else -1
                plan.across.append(Across(edge.id, edge, edge.kind, tail, head, side))


def _add_ellipses(plan: Plan) -> None:
    """Arrows to and from "…" for every pattern that the columns shown have."""
    gaps = [i for i, column in enumerate(plan.columns) if column.template[1] == "gap"]
    if not gaps:
        return
    patterns: defaultdict[str, dict[tuple[str, str, int], Edge]] = defaultdict(dict)
    for item in plan.across:
        a, b = plan.columns[item.tail[0]], plan.columns[item.head[0]]
        if (
            item.edge
            and a.template[0] == b.template[0]
            and "main" in (a.template[1], b.template[1])
        ):
            assert a.time is not None
            assert b.time is not None
            pattern = (item.tail[1], item.head[1], b.time - a.time)
            patterns[a.template[0]].setdefault(pattern, item.edge)
    exists = set(plan.cells.values())
    at = {(c.template[0], c.time): i for i, c in enumerate(plan.columns) if c.time is not None}
    added: dict[tuple[Cell, Cell], Across] = {}
    for gap in gaps:
        track = plan.columns[gap].template[0]
        for (tail, head, lag), edge in patterns[track].items():
            side = 1 if lag > 0 else -1
            middle = (gap, _dots_row(plan, tail))
            for distance in range(1, abs(lag) + 1):
                before, after = gap - side * distance, gap + side * distance
                if _is_main(plan, before, track) and (before, tail) in exists:
                    time = plan.columns[before].time
                    if time is not None and (track, time + lag) not in at:
                        key = ((before, tail), middle)
                        added[key] = _stub(edge, *key, side)
                if _is_main(plan, after, track) and (after, head) in exists:
                    time = plan.columns[after].time
                    if time is not None and (track, time - lag) not in at:
                        key = (middle, (after, head))
                        added[key] = _stub(edge, *key, side)
    plan.across.extend(added.values())
    plan.dots = list(
        dict.fromkeys(
            cell for item in added.values() for cell in (item.tail, item.head) if cell[0] in gaps
        )
    )


def _dots_row(plan: Plan, row: str) -> str:
    name = row + ELLIPSIS
    plan.sizes[name] = DOTS
    plan.layers[name] = plan.layers[row]
    return name


def _is_main(plan: Plan, column: int, track: str) -> bool:
    return 0 <= column < len(plan.columns) and plan.columns[column].template == (track, "main")


def _stub(edge: Edge, tail: Cell, head: Cell, side: int) -> Across:
    name = f"{edge.id}…{tail[0]}-{head[0]}"
    return Across(name, None, edge.kind, tail, head, side)


def _choose_sides(plan: Plan) -> None:
    """Whether each static node stands above or below the columns: where its lines pass less."""
    top = max(plan.layers.values(), default=0)
    order = {node.id: node for node in plan.statics}
    graph = _between(plan)
    fed = {tap.static for tap in plan.taps if not tap.inward} | empty_results(plan)
    for name in nx.topological_sort(graph):
        if name in fed or any(before in fed for before in graph.predecessors(name)):
            fed.add(name)
    below: defaultdict[str, int] = defaultdict(int)
    for tap in plan.taps:
        level = plan.layers[tap.cell[1]]
        below[tap.static] += 1 if level <= (top + 1) / 2 else -1
    plan.above = {name for name in order if name in fed or below[name] < 0}
    plan.taps = [
        replace(tap, link=Link(tap.cell[1], None, tap.static)) if tap.static in plan.above else tap
        for tap in plan.taps
    ]


def empty_results(plan: Plan) -> set[str]:
    """The losses that no line reaches or leaves: sums over steps of which none is there."""
    lines = {tap.static for tap in plan.taps}
    lines |= {name for edge in plan.between for name in (edge.tail, edge.head)}
    return {node.id for node in plan.statics if node.kind == "loss"} - lines


def _choose_homes(plan: Plan) -> None:
    """Find the results that stand behind the tracks they are computed from, before their readers.

    A context that the decoder reads stands beside the encoder; every other result at the far right.
    """
    graph = _between(plan)
    order = list(nx.topological_sort(graph))
    fed: dict[str, int] = {}
    read: dict[str, int] = {}
    for tap in plan.taps:
        known = read if tap.inward else fed
        known[tap.static] = max(tap.cell[0], known.get(tap.static, 0))
    for found, names in ((fed, order), (read, order[::-1])):
        for name in names:
            near = graph.predecessors(name) if found is fed else graph.successors(name)
            places = [found[other] for other in (name, *near) if other in found]
            if places:
                found[name] = max(places)
    for name in order:
        if name in fed and name in read:
            track = plan.columns[fed[name]].template[0]
            behind = max(i for i, c in enumerate(plan.columns) if c.template[0] == track) + 1
            if read[name] >= behind:
                plan.homes[name] = behind


def _between(plan: Plan) -> nx.DiGraph[str]:
    """The static nodes and the lines between them."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(node.id for node in plan.statics)
    graph.add_edges_from((edge.tail, edge.head) for edge in plan.between)
    return graph
