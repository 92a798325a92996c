"""Where the gradient flows: the arrows of an unfolded graph along which cotangents run back."""

from __future__ import annotations

from collections import defaultdict

import networkx as nx

from graphgrad.circuit import Circuit
from graphgrad.ir import At
from graphgrad.notation.names import COTANGENTS
from viz.items import Structure
from viz.scene import UnfoldedScene
from viz.unfolding import Unfolding

Arrow = tuple[str, str]
"""Ids of tail and head."""
Primal = tuple[str, At | None]
"""What a cotangent is of: a variable or parameter, or one boundary value."""


def cotangents(circuit: Circuit, back: Structure) -> dict[str, Primal]:
    """Return the names of the cotangents in an adjoint, and of what they are.

    Those inside an equation (`delta_h`) are not among them.
    """
    found: dict[str, Primal] = {}
    for name in back.declared.equations:
        of = back.names.cotangent(name) if name not in circuit.equations else None
        if of is not None and of.prefix in COTANGENTS:
            at = None if of.time is None else At(of.primal, bool(of.time.length), of.time.offset)
            found[name] = of.primal, at
    return found


def flow_of_variables(
    scene: UnfoldedScene, unfolding: Unfolding, back: Structure, primals: dict[str, Primal]
) -> set[Arrow]:
    """Return the arrows back, as the equations of the adjoint have them.

    Cotangents inside an equation (`delta_h`) are passed through. Where the adjoint skips a variable
    (softmax before a cross entropy), the gradient flows through it all the same.
    """
    forward = set(unfolding.parts.items)
    there = Unfolding(back, unfolding.lengths, fold=unfolding.fold)
    graph: nx.DiGraph[str] = nx.DiGraph()
    inner: dict[str, None] = {}
    node: dict[str, str] = {}
    for key, item in back.items.items():
        if key in forward:
            continue
        steps = [""] if item.index is None else [f".{k}" for k in there.drawn[item.index]]
        for step in steps:
            if key in primals:
                name, at = primals[key]
                node[key + step] = name + (step if at is None else f".{unfolding.step_of(at)}")
            else:
                inner[key + step] = None
    for link in back.links:
        if link.tail in forward or link.head in forward:
            continue
        for tail, head in there.instances(link):
            if tail is not None and tail not in there.outside:
                graph.add_edge(tail, head)
    for name in inner:
        if name in graph:
            graph.add_edges_from(
                (a, b) for a in list(graph.pred[name]) for b in list(graph.succ[name])
            )
            graph.remove_node(name)
    arrows = {(node[a], node[b]) for a, b in graph.edges if a in node and b in node}
    arrows = _through_the_rest(scene, unfolding, set(node.values()), arrows)
    return _leaving(arrows, {unfolding.parts.loss})


def _through_the_rest(
    scene: UnfoldedScene, unfolding: Unfolding, known: set[str], arrows: set[Arrow]
) -> set[Arrow]:
    """Return the open arrows of the scene, through nodes that have no cotangent of their own.

    What flows directly from the loss is not read in the adjoint: its cotangent is 1.
    """
    values = {n.id for n in scene.nodes if n.kind not in ("input", "target", "constant")}
    before: defaultdict[str, list[str]] = defaultdict(list)
    for edge in scene.edges:
        if edge.tail in values and (edge.tail, edge.head) in unfolding.open:
            before[edge.head].append(edge.tail)
    heads: defaultdict[str, set[str]] = defaultdict(set)
    for tail, head in arrows:
        heads[tail].add(head)
    heads[unfolding.parts.loss] |= known
    found: set[Arrow] = set()
    for start, ends in heads.items():
        here: set[Arrow] = set()
        pending, seen = [start], {start}
        while pending:
            tail = pending.pop()
            for head in before[tail]:
                here.add((tail, head))
                if head not in known and head not in seen:
                    seen.add(head)
                    pending.append(head)
        found |= _reaching(here, ends)
    return found


def flow_of_operations(scene: UnfoldedScene, unfolding: Unfolding, wanted: set[str]) -> set[Arrow]:
    """Return the arrows back from the loss that lead to what is differentiated by."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    for tail, head in sorted(unfolding.open):
        before[head].append(tail)
    found: set[Arrow] = set()
    pending, seen = [unfolding.parts.loss], {unfolding.parts.loss}
    while pending:
        head = pending.pop()
        for tail in before[head]:
            found.add((head, tail))
            if tail not in seen:
                seen.add(tail)
                pending.append(tail)
    return _reaching(found, wanted)


def _reaching(arrows: set[Arrow], ends: set[str]) -> set[Arrow]:
    """Return the arrows on the way to some nodes."""
    reversed_ = _leaving({(head, tail) for tail, head in arrows}, ends)
    return {(tail, head) for head, tail in reversed_}


def _leaving(arrows: set[Arrow], starts: set[str]) -> set[Arrow]:
    """Return the arrows that a gradient that starts at some nodes reaches; others carry zero."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    for tail, head in arrows:
        after[tail].append(head)
    reached, pending = set(starts), list(starts)
    while pending:
        for head in after[pending.pop()]:
            if head not in reached:
                reached.add(head)
                pending.append(head)
    return {(tail, head) for tail, head in arrows if tail in reached}
