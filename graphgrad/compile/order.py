"""In which order statements are computed: loops around recurrences, everything else lifted.

Strongly connected components of the statements themselves (not of the variables) are the loops; the
offsets of a sweep are found as those of variables (`causality.py`). What no path leads from to an
output is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import networkx as nx

from graphgrad.causality import potentials
from graphgrad.compile.lower import Draft
from graphgrad.compile.schedule import Block, Body, Boundary, Loop, Operand, Statement
from graphgrad.errors import GraphgradError
from graphgrad.ir import At

A_BUG = "report the circuit: one that checks can be ordered"

Unit = str | int  # a statement by name, a boundary by position
Edge = tuple[Unit, Unit, int | None]  # used, user, lag (None: all steps, or a fixed one)


def pruned(draft: Draft) -> Draft:
    """Return the draft without what no output needs."""
    graph: nx.DiGraph[Unit] = nx.DiGraph()
    graph.add_nodes_from(draft.outputs)
    graph.add_edges_from((used, user) for used, user, _ in _edges(draft))
    live = _live(draft, graph)
    kept = {name: each for name, each in draft.statements.items() if name in live}
    boundaries = tuple(each for k, each in enumerate(draft.boundaries) if k in live)
    return replace(draft, statements=kept, boundaries=boundaries)


def blocks_of(draft: Draft) -> tuple[Block, ...]:
    """Return the blocks of a draft in an order in which they can be computed."""
    edges = list(_edges(draft))
    graph: nx.DiGraph[Unit] = nx.DiGraph()
    graph.add_nodes_from(draft.statements)
    graph.add_nodes_from(range(len(draft.boundaries)))
    graph.add_edges_from((used, user) for used, user, _ in edges)
    graph = graph.subgraph(_live(draft, graph))
    rank = {unit: k for k, unit in enumerate(_written(draft))}
    condensed = nx.condensation(graph)
    members = {c: condensed.nodes[c]["members"] for c in condensed}
    first = {c: min(rank[unit] for unit in units) for c, units in members.items()}
    inner: dict[int, list[Edge]] = {}
    mapping = condensed.graph["mapping"]
    for used, user, lag in edges:
        component = mapping.get(user)
        if component is not None and mapping.get(used) == component:
            inner.setdefault(component, []).append((used, user, lag))
    blocks: list[Block] = []
    for component in nx.lexicographical_topological_sort(condensed, key=first.__getitem__):
        if component in inner:
            units = sorted(members[component], key=rank.__getitem__)
            blocks.append(_loop(draft, units, inner[component]))
        else:
            (unit,) = members[component]
            single = draft.boundaries[unit] if isinstance(unit, int) else draft.statements[unit]
            blocks.append(single)
    return tuple(blocks)


def recurrent(draft: Draft) -> dict[str, int]:
    """Return the loop (a number) that each statement of a recurrence stands in."""
    graph: nx.DiGraph[Unit] = nx.DiGraph()
    graph.add_edges_from((used, user) for used, user, _ in _edges(draft))
    found: dict[str, int] = {}
    for number, units in enumerate(nx.strongly_connected_components(graph)):
        if len(units) > 1 or any(graph.has_edge(unit, unit) for unit in units):
            found |= {unit: number for unit in units if isinstance(unit, str)}
    return found


def _written(draft: Draft) -> Iterator[Unit]:
    """Yield the units in the order in which they were written: boundaries first."""
    yield from range(len(draft.boundaries))
    yield from draft.statements


def _edges(draft: Draft) -> Iterator[Edge]:
    """Yield who reads what: statements and boundaries, with the lag where there is one."""
    boundaries: dict[str, list[int]] = {}
    for position, boundary in enumerate(draft.boundaries):
        boundaries.setdefault(boundary.name, []).append(position)
        if isinstance(boundary.value, Operand) and boundary.value.name in draft.statements:
            yield boundary.value.name, position, None
    for statement in draft.statements.values():
        for operand in statement.reads:
            used = draft.type_of(operand.name)
            if operand.name in draft.statements:
                steady = used.index is not None and used.index == statement.index
                yield operand.name, statement.name, operand.lag if steady else None
            for position in boundaries.get(operand.name, ()):
                if _reaches(draft.boundaries[position], operand, statement):
                    yield position, statement.name, None


def _reaches(boundary: Boundary, operand: Operand, statement: Statement) -> bool:
    """Whether a statement may read a boundary value."""
    if statement.op == "at_step":
        step: At = statement.attr
        return step.meets(step._replace(last=boundary.last, offset=boundary.offset))
    if boundary.last:
        return boundary.offset <= -operand.lag
    return boundary.offset >= 1 - operand.lag


def _live(draft: Draft, graph: Any) -> set[Unit]:
    """Return what the outputs need."""
    live: set[Unit] = set()
    pending: list[Unit] = [name for name in draft.outputs if name in graph]
    while pending:
        unit = pending.pop()
        if unit not in live:
            live.add(unit)
            pending.extend(graph.predecessors(unit))
    return live


def _loop(draft: Draft, units: list[Unit], inner: list[Edge]) -> Loop:
    names = [unit for unit in units if isinstance(unit, str)]
    if len(names) < len(units) or any(lag is None for _, _, lag in inner):
        raise GraphgradError("a recurrence needs a whole sequence of itself", remedy=A_BUG)
    index = draft.statements[names[0]].index
    assert index is not None
    edges = [(used, user, lag or 0) for used, user, lag in inner]
    for direction in (1, -1):
        offsets = potentials(units, edges, direction)
        if offsets is not None:
            break
    else:
        raise GraphgradError(f"{', '.join(names)} cannot be swept in one direction", remedy=A_BUG)
    tight: nx.DiGraph[Unit] = nx.DiGraph()
    tight.add_nodes_from(names)
    for used, user, lag in edges:
        if offsets[used] - lag == offsets[user]:
            tight.add_edge(used, user)
    position = {name: k for k, name in enumerate(names)}
    order = nx.lexicographical_topological_sort(tight, key=position.__getitem__)
    low = min(offsets.values())
    bodies: list[Body] = []
    for name in order:
        offset, statement = offsets[name] - low, draft.statements[str(name)]
        if bodies and bodies[-1].offset == offset:
            bodies[-1] = Body(offset, (*bodies[-1].statements, statement))
        else:
            bodies.append(Body(offset, (statement,)))
    return Loop(index, direction, tuple(bodies))
