"""Unfolded graphs as NetworkX graphs."""

from __future__ import annotations

import networkx as nx
import pytest

import graphgrad as gg


@pytest.mark.parametrize("name", gg.cells.names())
def test_the_graph_is_the_dag(name: str) -> None:
    circuit = gg.cells.load(name)
    dag = circuit.unfold(dict.fromkeys(circuit.indices, 3))
    graph = dag.to_networkx()
    assert graph.name == name
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph) == list(range(len(dag)))
    for view in dag.nodes:
        data = graph.nodes[view.id]
        assert data["op"] == view.op
        assert data["time"] == view.time
        if view.op != "input":
            assert data["name"] == view.name
        elif view.time is not None:
            assert data["name"] == f"{view.name}[{view.time}]"
        assert data["shape"] == tuple(d if isinstance(d, int) else str(d) for d in view.shape)
        into = sorted((k["position"], arg) for arg, _, k in graph.in_edges(view.id, data=True))
        assert into == list(enumerate(arg.id for arg in view.args))


def test_names_and_shapes() -> None:
    circuit = gg.parse(
        "x[t]: input(D)\nW: param(H, D)\nb: param(H)\nh0: param(H)\n"
        "h[0] = h0\nh[t] = tanh(W @ x[t] + h[t-1])\ns = b + h[tau]\nloss = sum(s)"
    )
    graph = circuit.unfold(2, H=5).to_networkx()
    named = {data["name"]: data for _, data in graph.nodes(data=True) if data["name"]}
    assert set(named) >= {"x[1]", "x[2]", "W", "b", "h0", "h[1]", "h[2]", "s", "loss"}
    assert (named["h[2]"]["op"], named["h[2]"]["time"]) == ("tanh", 2)
    assert named["W"]["shape"] == (5, "D")
    assert (named["W"]["time"], named["loss"]["shape"]) == (None, ())


def test_gradients_are_named() -> None:
    dag = gg.cells.load("elman").unfold(2).grad()
    names = {data["name"] for _, data in dag.to_networkx().nodes(data=True)}
    assert {"d_W", "d_U", "d_b"} <= names


def test_an_argument_used_twice_has_two_edges() -> None:
    graph = gg.parse("w: param()\nloss = w * w").unfold(1).to_networkx()
    ((w, loss),) = {(a, b) for a, b, _ in graph.edges}
    assert graph.number_of_edges(w, loss) == 2
