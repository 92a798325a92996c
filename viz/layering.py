"""Heights: which layer each row of a step stands in, flow going upward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import networkx as nx

Arc = tuple[str, str, int]
"""Tail row, head row, lag."""


def layers_of(
    rows: Sequence[str],
    arcs: Collection[Arc],
    *,
    targets: Collection[str] = (),
    inputs: Collection[str] = (),
    chains: Collection[str] = (),
    lowest: Collection[str] = (),
) -> dict[str, int]:
    """The layer of each row, 0 lowest.

    A row stands above what it reads in the same step, and above what it reads from another step
    unless that closes a recurrence. `targets` stand above their readers. What reads no `inputs` in
    its step is drawn up to its readers. Rows in `chains`, whose arrows run along the row from
    step to step, have a layer for themselves. Sources that are in `lowest` have one below all.
    """
    component = _components(rows, arcs, targets)
    above: dict[str, dict[str, None]] = {row: {} for row in rows}
    below: dict[str, dict[str, None]] = {row: {} for row in rows}
    for tail, head, lag in arcs:
        low, high = (head, tail) if tail in targets else (tail, head)
        if low != high and (lag == 0 or component[low] != component[high]):
            above[low][high] = None
            below[high][low] = None
    order = _topological(rows, above, below)
    layer = dict.fromkeys(rows, 0)
    for row in order:
        layer[row] = max((layer[other] + 1 for other in below[row]), default=0)
    free: set[str] = set()
    for row in order:
        if row not in inputs and free.issuperset(below[row]):
            free.add(row)
    for row in reversed(order):
        if row in free and above[row]:
            layer[row] = max(min(layer[other] for other in above[row]) - 1, 0)
    beneath = [row for row in rows if row in lowest and not below[row]]
    if beneath:
        layer = {row: level + 1 for row, level in layer.items()} | dict.fromkeys(beneath, 0)
    return _apart(rows, layer, chains)


def extended(
    rows: Sequence[str], arcs: Collection[Arc], known: Mapping[str, int]
) -> dict[str, int]:
    """Layers for the rows of a margin column: those known, the others near their neighbours.

    What stands below the lowest layer gets a negative one.
    """
    layer = {row: known[row] for row in rows if row in known}
    missing = [row for row in rows if row not in layer]
    while missing:
        for row in reversed(missing):
            readers = [layer[h] for t, h, lag in arcs if t == row and h in layer and not lag]
            read = [layer[t] for t, h, lag in arcs if h == row and t in layer and not lag]
            if readers:
                layer[row] = min(readers) - 1
            elif read:
                layer[row] = max(read) + 1
            if row in layer:
                break
        else:
            layer[missing[-1]] = 0
        missing = [row for row in missing if row not in layer]
    return layer


def _components(
    rows: Sequence[str], arcs: Collection[Arc], targets: Collection[str]
) -> dict[str, int]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(rows)
    for tail, head, _ in arcs:
        graph.add_edge(*((head, tail) if tail in targets else (tail, head)))
    return {
        row: number
        for number, members in enumerate(nx.strongly_connected_components(graph))
        for row in members
    }


def _topological(
    rows: Sequence[str],
    above: Mapping[str, Mapping[str, None]],
    below: Mapping[str, Mapping[str, None]],
) -> list[str]:
    """Rows with what is below first; a loop without delay is cut where it is met first."""
    waiting = {row: len(below[row]) for row in rows}
    done: dict[str, None] = {}
    ready = [row for row in rows if not waiting[row]]
    while len(done) < len(rows):
        if not ready:
            ready = [next(row for row in rows if row not in done)]
        row = ready.pop(0)
        if row in done:
            continue
        done[row] = None
        for other in above[row]:
            waiting[other] -= 1
            if waiting[other] == 0 and other not in done:
                ready.append(other)
    return list(done)


def _apart(
    rows: Sequence[str], layer: Mapping[str, int], chains: Collection[str]
) -> dict[str, int]:
    members: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        members[layer[row]].append(row)
    result: dict[str, int] = {}
    height = 0
    for level in sorted(members):
        plain = [row for row in members[level] if row not in chains]
        for group in ([plain] if plain else []) + [[r] for r in members[level] if r in chains]:
            result.update(dict.fromkeys(group, height))
            height += 1
    return result
