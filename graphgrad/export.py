"""Unfolded graphs for other libraries: a Dag as a NetworkX graph."""

from __future__ import annotations

from typing import Any

import networkx as nx

from graphgrad.dims import Shape, Token, bind_shape
from graphgrad.unfold import STATIC, Dag, Template


def to_networkx(dag: Dag) -> nx.MultiDiGraph[Any]:
    """Return the graph with an edge from each argument to each node that uses it.

    Nodes are the numbers of the Dag, with `op`, `name` (None where the text has none), `time`
    (None for a static node) and `shape` (in numbers where the sizes are known, else as text);
    edges have the `position` of the argument.
    """
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=dag.name)
    names = _names(dag)
    ops = [template.op.name for template in dag.templates]
    shapes = [_shape(dag, template) for template in dag.templates]
    for node, (kind, time) in enumerate(zip(dag.kinds.tolist(), dag.times.tolist(), strict=True)):
        graph.add_node(
            node,
            op=ops[kind],
            name=names.get(node),
            time=None if time == STATIC else time,
            shape=shapes[kind],
        )
    starts, args = dag.starts.tolist(), dag.args.tolist()
    for node in range(len(dag)):
        for position, arg in enumerate(args[starts[node] : starts[node + 1]]):
            graph.add_edge(arg, node, position=position)
    return graph


def _names(dag: Dag) -> dict[int, str]:
    """Return the names of parameters, static variables, outputs, and instances with their steps."""
    names: dict[int, str] = {node: name for name, node in dag.param_nodes.items()}
    for name, series in dag.series.items():
        if series.index is None:
            names.setdefault(int(series.nodes[0]), name)
            continue
        for step, node in enumerate(series.nodes.tolist(), start=1):
            names.setdefault(node, f"{name}[{step}]")
        for step, node in series.outside.items():
            names.setdefault(node, f"{name}[{step}]")
    for name, node in dag.outputs.items():
        names.setdefault(int(node), name)
    return names


def _shape(dag: Dag, template: Template) -> tuple[int | str, ...]:
    kind = template.type
    shape: Shape = () if isinstance(kind, Token) else kind
    return tuple(int(dim) if dim.known else str(dim) for dim in bind_shape(shape, dag.sizes))
