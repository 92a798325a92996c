"""Causality: in which order the variables can be computed, and why not.

Variables and reads form a graph with the lag as weight (Karp, Miller and Winograd 1967, in one
dimension). A cycle of total delay 0 is an algebraic loop. Within a strongly connected component all
cycles must have positive delay (swept forward) or all negative (swept backward).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import networkx as nx

from graphgrad.circuit import Circuit
from graphgrad.declared import Boundary, Declared, Equation
from graphgrad.doors import door
from graphgrad.errors import CausalityError, GraphgradError, Place
from graphgrad.ir import At, Expr, topological

Unit = str | At
U = TypeVar("U", bound=Hashable)

LONGEST = 300
"""The most characters that are quoted of an equation."""

_boundary_text = door("graphgrad.notation.text:boundary_text")
_text_style = door("graphgrad.notation.text:style_of")


@dataclass(frozen=True)
class Component:
    """Units that are computed together: a sweep over the steps, or one static value.

    `direction` is +1 or -1 for a sweep, 0 for a static variable or boundary value. In a sweep, the
    instance (v, t) is computed at time `t + offsets[v]`; `units` are ordered within one time.
    """

    units: tuple[Unit, ...]
    direction: int
    offsets: tuple[int, ...]
    recurrent: bool


class Dependency(NamedTuple):
    """`user` reads `used`; `lag` is None where all steps or a fixed one are needed."""

    user: Unit
    used: Unit
    lag: int | None
    place: Place | None
    expr: Expr


def dependencies(declared: Declared) -> Iterator[Dependency]:
    """Yield what each variable and each boundary value reads, inputs without boundary aside."""
    roots: list[tuple[Unit, str | None, Expr]] = [
        (e.name, e.index, e.root) for e in declared.equations.values()
    ]
    roots += [(b.key, None, b.root) for b in declared.boundaries.values()]
    for user, index, root in roots:
        order = topological([root])
        enclosed = _inside_reductions(order)
        for expr in order:
            if expr.op.name == "static":
                yield Dependency(user, expr.attr, None, expr.place, expr)
            elif expr.op.name == "read":
                name, lag = expr.attr
                steady = index is not None and id(expr) not in enclosed
                if name in declared.equations:
                    yield Dependency(user, name, lag if steady else None, expr.place, expr)
                for key in _boundaries_reached(declared, name, lag):
                    yield Dependency(user, key, None, expr.place, expr)
            elif expr.op.name == "at_step":
                yield from _absolute(declared, user, expr)


def _absolute(declared: Declared, user: Unit, expr: Expr) -> Iterator[Dependency]:
    name, last, offset = expr.attr
    inside = offset < 1 if last else offset >= 1
    if inside and name in declared.equations:
        yield Dependency(user, name, None, expr.place, expr)
    for key in declared.boundaries:
        if expr.attr.meets(key):
            yield Dependency(user, key, None, expr.place, expr)


def _boundaries_reached(declared: Declared, name: str, lag: int) -> list[At]:
    return [
        key
        for key in declared.boundaries
        if key.name == name and (key.offset <= -lag if key.last else key.offset >= 1 - lag)
    ]


def _inside_reductions(order: list[Expr]) -> set[int]:
    """Return the ids of the expressions that stand inside a reduction over time."""
    inside: set[int] = set()
    for expr in reversed(order):
        if expr.op.name == "reduce" or id(expr) in inside:
            inside.update(id(arg) for arg in expr.args)
    return inside


def schedule(declared: Declared) -> tuple[Component, ...]:
    """Return the components in an order in which they can be computed, or raise CausalityError."""
    graph: nx.MultiDiGraph[Unit] = nx.MultiDiGraph()
    graph.add_nodes_from([*declared.equations, *declared.boundaries])
    for dependency in dependencies(declared):
        graph.add_edge(dependency.used, dependency.user, dependency=dependency)
    order = {unit: k for k, unit in enumerate(graph.nodes)}
    condensed = nx.condensation(graph)
    members = condensed.nodes(data="members")
    first = {c: min(order[unit] for unit in units) for c, units in members}
    sequence = nx.lexicographical_topological_sort(condensed, key=lambda c: first[c])
    return tuple(
        _component(declared, graph, sorted(condensed.nodes[c]["members"], key=order.__getitem__))
        for c in sequence
    )


def _component(declared: Declared, graph: Any, units: list[Unit]) -> Component:
    inner = [
        data["dependency"]
        for used, user, data in graph.subgraph(units).edges(data=True)
    ]  # fmt: skip
    if not inner:
        unit = units[0]
        static = isinstance(unit, At) or declared.equations[unit].index is None
        return Component((unit,), 0 if static else 1, (0,), False)
    for dependency in inner:
        if dependency.lag is None:
            cycle = _cycle_through(inner, dependency)
            why = (
                "a value that needs a whole sequence (or a fixed step of it) is needed to compute "
                "that same sequence"
            )
            if all(d.expr.op.name == "static" for d in cycle):
                why = "values that need each other"
            raise _loop_error(declared, cycle, why)
    edges = [(d.used, d.user, d.lag) for d in inner]
    forward = potentials(units, edges, 1)
    backward = potentials(units, edges, -1) if forward is None else None
    if forward is None and backward is None:
        raise _mixed_error(declared, inner)
    direction, offsets = (1, forward) if forward is not None else (-1, backward)
    assert offsets is not None
    tight: nx.DiGraph[Unit] = nx.DiGraph()
    tight.add_nodes_from(units)
    for d in inner:
        if offsets[d.used] - d.lag == offsets[d.user]:
            tight.add_edge(d.used, d.user, dependency=d)
    try:
        ranks = list(
            nx.lexicographical_topological_sort(tight, key={u: k for k, u in enumerate(units)}.get)
        )
    except nx.NetworkXUnfeasible:
        cycle = [tight.edges[edge[:2]]["dependency"] for edge in nx.find_cycle(tight)]
        raise _loop_error(declared, cycle, "an algebraic loop: total delay 0") from None
    return Component(tuple(ranks), direction, tuple(offsets[u] for u in ranks), True)


def potentials(
    units: Iterable[U], edges: Sequence[tuple[U, U, int]], direction: int
) -> dict[U, int] | None:
    """Return offsets p with p(used) - lag ≤ p(user) in the sweep's direction (Bellman–Ford).

    Edges are (used, user, lag). None, where some cycle runs the other way.
    """
    offsets = dict.fromkeys(units, 0)
    for _ in range(len(offsets)):
        changed = False
        for used, user, lag in edges:
            bound = offsets[used] - lag
            if direction * (bound - offsets[user]) > 0:
                offsets[user] = bound
                changed = True
        if not changed:
            return offsets
    return None


def _cycle_through(inner: list[Dependency], start: Dependency) -> list[Dependency]:
    """Return a cycle of dependencies that contains the given one."""
    graph: nx.DiGraph[Unit] = nx.DiGraph()
    for d in inner:
        graph.add_edge(d.used, d.user, dependency=d)
    path = nx.shortest_path(graph, start.user, start.used)
    return [start, *(graph.edges[pair]["dependency"] for pair in pairwise(path))]


def _signed_cycle(inner: list[Dependency], sign: int) -> list[Dependency]:
    """Return a cycle whose total delay has the given sign."""
    graph: nx.DiGraph[Unit] = nx.DiGraph()
    for d in inner:
        assert d.lag is not None
        weight = -sign * d.lag
        if d.used == d.user:
            if weight < 0:
                return [d]
            continue
        if not graph.has_edge(d.used, d.user) or graph.edges[d.used, d.user]["weight"] > weight:
            graph.add_edge(d.used, d.user, weight=weight, dependency=d)
    for unit in graph.nodes:
        try:
            cycle = nx.find_negative_cycle(graph, unit)
        except nx.NetworkXError:
            continue
        return [graph.edges[a, b]["dependency"] for a, b in pairwise(cycle)]
    raise AssertionError("a component without offsets has a cycle of either sign")


def _mixed_error(declared: Declared, inner: list[Dependency]) -> CausalityError:
    positive, negative = _signed_cycle(inner, 1), _signed_cycle(inner, -1)
    return CausalityError(
        "past and future depend on each other, so neither sweep can compute them:\n"
        f"    forward in time   {_arrows(declared, positive)}\n"
        f"    backward in time  {_arrows(declared, negative)}\n" + _quoted(declared, inner),
        place=negative[0].place,
        remedy="break one of the cycles, for example by separate forward and backward variables",
    )


def _loop_error(declared: Declared, cycle: list[Dependency], why: str) -> CausalityError:
    delayable = next((d for d in cycle if d.lag is not None), cycle[0])
    remedy = "compute one of them from something else"
    if delayable.lag is not None:
        assert isinstance(delayable.used, str)
        index = declared.index_of(delayable.used)
        remedy = f"a delay breaks it: read {delayable.used}[{index}-1] here"
    alone = len(cycle) == 1 and delayable.place is not None  # its equation is quoted there
    return CausalityError(
        f"{why}: {_arrows(declared, cycle)}" + ("" if alone else f"\n{_quoted(declared, cycle)}"),
        place=delayable.place,
        remedy=remedy,
    )


def _unit_text(declared: Declared, unit: Unit) -> str:
    if isinstance(unit, str):
        index = declared.index_of(unit)
        return f"{unit}[{index}]" if index else unit
    index = declared.index_of(unit.name)
    length = declared.indices[index].length if index else "tau"
    return f"{unit.name}[{unit.step(length)}]"


def _arrows(declared: Declared, cycle: list[Dependency]) -> str:
    text = _unit_text(declared, cycle[0].used)
    for d in cycle:
        delay = "" if d.lag in (0, None) else f" (delay {d.lag})"
        text += f" → {_unit_text(declared, d.user)}{delay}"
    return text


def _quoted(declared: Declared, cycle: list[Dependency]) -> str:
    lines = (
        _line(
            declared,
            declared.boundaries[unit] if isinstance(unit, At) else declared.equations[unit],
        )
        for unit in dict.fromkeys(d.user for d in cycle)
    )
    return "\n".join(f"    {line}" for line in lines)


def _line(declared: Declared, each: Equation | Boundary) -> str:
    """Return an equation or a boundary equation as it is written."""
    if isinstance(each, Equation):
        return str(each)
    text: str = _boundary_text(each, _text_style(declared))
    return text


@contextmanager
def quoting(declared: Declared, each: Equation | Boundary) -> Iterator[None]:
    """Quote an equation in errors about it that have no text to point at, as it is in Python."""
    try:
        yield
    except GraphgradError as error:
        if error.place is None:
            error.message += f"\n    {_line(declared, each)[:LONGEST]}"
        raise


def variable_graph(circuit: Circuit) -> nx.MultiDiGraph[Unit]:
    """Return the dependencies among variables, inputs and parameters.

    Node attribute `kind` is variable, input, param or boundary; edge attribute `delay` is the lag,
    None where a fixed step or all steps are read.
    """
    circuit.check()
    declared = circuit.declared()
    graph: nx.MultiDiGraph[Unit] = nx.MultiDiGraph(name=declared.name)
    for name in declared.inputs:
        graph.add_node(name, kind="input", index=declared.index_of(name))
    for name in declared.params:
        graph.add_node(name, kind="param", index=None)
    for name, equation in declared.equations.items():
        graph.add_node(name, kind="variable", index=equation.index)
    for key in declared.boundaries:
        graph.add_node(key, kind="boundary", index=None)
    for name, equation in declared.equations.items():
        order = topological([equation.root])
        enclosed = _inside_reductions(order)
        for expr in order:
            if expr.op.name in ("param", "input"):
                graph.add_edge(expr.attr, name, delay=0)
            elif expr.op.name == "read" and expr.attr.name in declared.inputs:
                steady = equation.index is not None and id(expr) not in enclosed
                graph.add_edge(expr.attr.name, name, delay=expr.attr.lag if steady else None)
            elif expr.op.name == "at_step" and expr.attr.name in declared.inputs:
                graph.add_edge(expr.attr.name, name, delay=None)
    for key, boundary in declared.boundaries.items():
        for expr in topological([boundary.root]):
            if expr.op.name in ("param", "input"):
                graph.add_edge(expr.attr, key, delay=0)
    for d in dependencies(declared):
        delay = 0 if d.expr.op.name == "static" else d.lag
        graph.add_edge(d.used, d.user, delay=delay)
    return graph
