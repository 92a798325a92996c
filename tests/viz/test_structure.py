"""What is drawn is what is computed: scenes of the gallery against their unfolded graphs."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from hashlib import sha256
from typing import Any

import networkx as nx
import pytest

import graphgrad as gg
import viz
from graphgrad.unfold import checked_lengths
from viz.circuit_scene import circuit_scene
from viz.scene import Node, UnfoldedScene
from viz.structure import Level, structure
from viz.unfolding import unfolded_scene

TAUS = [1, 2, 3, 6]
NUMBERS = {"const", "fill", "basis", "size", "counter"}
INVISIBLE = {"copy", "accumulate", "onehot"}
"""What unfolding adds: copies, sums over time, and the unit vectors of tokens in losses."""


def scene_of(name: str, tau: int, level: Level = "operations") -> UnfoldedScene:
    circuit = gg.cells.load(name)
    lengths = checked_lengths(circuit.check(), dict.fromkeys(circuit.indices, tau))
    return unfolded_scene(structure(circuit, level, terms=True), lengths)


def dag_of(name: str, tau: int) -> nx.MultiDiGraph[Any]:
    circuit = gg.cells.load(name)
    return circuit.unfold(dict.fromkeys(circuit.indices, tau)).to_networkx()


def without(graph: nx.DiGraph[Any], nodes: set[Any]) -> nx.DiGraph[Any]:
    """The graph in which paths through some nodes are edges."""
    graph = nx.DiGraph(graph)
    for node in nodes:
        before, after = list(graph.predecessors(node)), list(graph.successors(node))
        graph.remove_node(node)
        graph.add_edges_from((a, b) for a in before for b in after)
    return graph


def numbers_removed(graph: nx.DiGraph[Any], numbers: set[Any]) -> nx.DiGraph[Any]:
    """The graph without plain numbers, and what is computed from numbers alone."""
    graph = nx.DiGraph(graph)
    gone = set(numbers)
    for node in nx.topological_sort(graph):
        before = set(graph.predecessors(node))
        if before and before <= gone:
            gone.add(node)
    graph.remove_nodes_from(gone)
    return graph


def fingerprints(graph: nx.DiGraph[Any], labels: dict[Any, str]) -> Counter[str]:
    """What every node is: its label and, recursively, the nodes it reads, whatever their order."""
    known: dict[Any, str] = {}
    for node in nx.topological_sort(graph):
        read = ",".join(sorted(known[before] for before in graph.predecessors(node)))
        known[node] = f"{labels[node]} {sha256(f'{labels[node]}({read})'.encode()).hexdigest()}"
    return Counter(known.values())


def is_mean(dag: nx.MultiDiGraph[Any], node: int) -> bool:
    """Whether a node divides a sum over time by the number of its terms."""
    before = [dag.nodes[arg]["op"] for arg in dag.predecessors(node)]
    return dag.nodes[node]["op"] == "div" and before in (["accumulate", "const"], ["copy", "const"])


def graph_of(scene: UnfoldedScene) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(node.id for node in scene.nodes)
    graph.add_edges_from((edge.tail, edge.head) for edge in scene.edges)
    return graph


def title(node: Node) -> str:
    """The name of a node as the Dag has it: `h[2]`, `W`; of an operation the op."""
    data = dict(node.data)
    if "/" in data["name"]:
        return re.sub(r"\d+$", "", data["name"].split("/")[1])
    return data["name"] + (f"[{data['time']}]" if "time" in data else "")


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("name", gg.cells.names())
def test_operations_are_those_of_the_dag(name: str, tau: int) -> None:
    scene, dag = scene_of(name, tau), dag_of(name, tau)
    drawn = graph_of(scene)
    nodes = {node.id: node for node in scene.nodes}
    numbers = {n for n in drawn if nodes[n].kind == "constant"}
    # A value that is given by a number, or is zero where nothing gives it, has no arrow to it.
    numbers |= {n for n in drawn if nodes[n].kind == "boundary" and not drawn.in_degree(n)}
    numbers |= {n for n in drawn if not drawn.degree(n)}  # a sum over no step
    drawn = numbers_removed(drawn, numbers)
    named = {n for n in drawn if nodes[n].kind != "operation" and drawn.in_degree(n)}
    sums = {n for n in drawn if "/Σ" in n}
    found = fingerprints(without(drawn, named | sums), {n: title(nodes[n]) for n in drawn})

    wanted_numbers = {n for n, op in dag.nodes(data="op") if op in NUMBERS}
    graph = numbers_removed(nx.DiGraph(dag), wanted_numbers)
    invisible = {n for n in graph if dag.nodes[n]["op"] in INVISIBLE}
    invisible |= {n for n in graph if is_mean(dag, n)}
    labels = {
        n: data["name"] if data["op"] in ("param", "input") else data["op"]
        for n, data in dag.nodes(data=True)
    }
    used = {n for n in graph if graph.degree(n)}
    wanted = fingerprints(without(graph.subgraph(used), invisible & used), labels)
    assert found == wanted


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("name", gg.cells.names())
def test_variables_depend_on_each_other_as_in_the_dag(name: str, tau: int) -> None:
    scene, dag = scene_of(name, tau, "variables"), dag_of(name, tau)
    drawn = graph_of(scene)
    titles = {n.id: title(n) for n in scene.nodes}
    shown = set(titles.values()) - {"term"}
    found = {
        (titles[a], titles[b])
        for b in drawn
        for a in nx.ancestors(drawn, b)
        if "term" not in (titles[a], titles[b])
    }
    names = {n: name for n, name in dag.nodes(data="name") if name}
    wanted = {
        (names[a], names[b])
        for b in names
        for a in nx.ancestors(dag, b)
        if a in names and names[a] in shown and names[b] in shown
    }
    assert found == wanted
    # A direct arrow is a dependency through no other variable.
    hidden = without(drawn, {n for n in drawn if titles[n] == "term"})
    direct = {(titles[a], titles[b]) for a, b in hidden.edges}
    unnamed = {n for n in dag if n not in names}
    assert direct == {(names[a], names[b]) for a, b in without(dag, unnamed).edges}


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", gg.cells.names())
def test_instances(name: str, level: Level, tau: int) -> None:
    """Each parameter is one node, each variable one node a step, on one row."""
    circuit = gg.cells.load(name)
    scene = scene_of(name, tau, level)
    system = circuit.check()
    count = Counter(dict(node.data)["name"] for node in scene.nodes if node.kind != "boundary")
    for parameter in circuit.params:
        assert count[parameter] == 1
    for variable in system.variables.values():
        assert count[variable.name] == (tau if variable.index is not None else 1)
    rows = defaultdict(set)
    for node in scene.nodes:
        if node.time is not None:
            rows[node.track, node.row, dict(node.data)["name"]].add(node.time)
    assert len({key[:2] for key in rows}) == len(rows)
    assert len({node.id for node in scene.nodes}) == len(scene.nodes)
    assert len({(edge.tail, edge.head) for edge in scene.edges}) == len(scene.edges)


@pytest.mark.parametrize("level", ["variables", "operations"])
def test_total_loss_has_one_name_in_all_views(level: Level) -> None:
    """The sum of L[t] is L, as in the equations and the unfolded view; the loss of a step has t."""
    scene = circuit_scene(structure(gg.cells.load("elman"), level))
    labels = {node.id: node.label.text for node in scene.nodes}
    assert (labels["L"], labels["loss"], labels["h"]) == ("L^(t)", "L", "h")


@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", gg.cells.names())
def test_circuit_diagram(name: str, level: Level) -> None:
    """Every variable stands once, with the delays of the text; labels tell all nodes apart."""
    circuit = gg.cells.load(name)
    scene = circuit_scene(structure(circuit, level))
    ids = [node.id for node in scene.nodes]
    assert len(set(ids)) == len(ids)
    texts = [node.label for node in scene.nodes if node.kind not in ("operation", "constant")]
    assert len(set(texts)) == len(texts)
    arrows = [(edge.tail, edge.head, edge.delay) for edge in scene.edges]
    assert len(set(arrows)) == len(arrows)
    if level == "variables":
        delays = {(a, b, d["delay"]) for a, b, d in circuit.graph.edges(data=True)}
        indexed = {n for n, variable in circuit.variables.items() if variable.index is not None}
        lags = {(a, b, k) for a, b, k in arrows if k and b in indexed}
        assert lags == {(a, b, k) for a, b, k in delays if k and a in ids and b in ids}


START = """
s: steps(m)
t: steps(n)
x[s]: input(H)
y: input(H)
h0: input(H)
R: param(H, H)
e[s] = tanh(e[s-1] + x[s])
d[0] = e[m]
d[t] = tanh(R @ d[t-1])
u[n+1] = R @ y
u[t] = tanh(u[t+1])
v[0] = h0
v[t] = d[t] + u[t] + v[t-1]
loss = sum(sum(v[t]) for t in steps)
"""


@pytest.mark.parametrize("level", ["variables", "operations"])
def test_a_boundary_value_is_drawn_where_it_alone_joins_parts(level: Level) -> None:
    """Encoder to decoder by the first state alone; the others are left out, and given ones."""
    scene = circuit_scene(structure(gg.parse(START), level))
    starts = {node.id: node for node in scene.nodes if node.kind == "boundary"}
    assert {name: node.label.text for name, node in starts.items()} == {
        "d[0]": "d^(0)",
        "u[tau+1]": "u^(n+1)",
    }
    assert {node.track for node in starts.values()} == {"t"}
    ends = {(edge.tail, edge.head) for edge in scene.edges}
    assert {("e", "d[0]"), ("d[0]", "d"), ("u[tau+1]", "u")} <= ends
    assert "h0" not in {node.id for node in scene.nodes}
    split = START.replace("d[t-1])", "d[t-1] + e[m])")
    joined = circuit_scene(structure(gg.parse(split), level))
    assert "d[0]" not in {node.id for node in joined.nodes}


@pytest.mark.parametrize(("loss", "labels"), [
    ("sum(h[t] for t in steps)", ["Σ"]),
    ("mean(h[t] for t in steps)", ["mean"]),
    ("sum(h[t] for t in steps) / 2", ["Σ", "÷ 2"]),
])  # fmt: skip
def test_a_sum_over_time_is_an_operation(loss: str, labels: list[str]) -> None:
    """A sum and a mean differ where every operation has a node."""
    circuit = gg.parse(f"x[t]: input()\nw: param()\nh[t] = w * x[t]\nloss = {loss}")
    scene = unfolded_scene(structure(circuit, "operations"), {"t": 3})
    nodes = {node.id: node for node in scene.nodes}
    graph = graph_of(scene)
    before = [node for node in nx.ancestors(graph, "loss") if node.startswith("loss/")]
    assert sorted(nodes[node].label.text for node in before) == sorted(labels)
    assert {node for node in graph if "h.1" in graph.pred[node]} <= set(before)


def test_lengths_and_sizes_in_operations_are_symbols() -> None:
    circuit = gg.parse("x[t]: input(H)\nH: size(2)\nloss = sum(H * sum(x[t]) / tau for t in steps)")
    scene = unfolded_scene(structure(circuit, "operations"), {"t": 1})
    shown = {node.label for node in scene.nodes if node.kind == "operation"}
    assert {"H ×", "÷ τ"} <= {label.text for label in shown}
    assert {run.text for label in shown for run in label.runs if run.italic} == {"H", "τ"}


def test_a_sign_marks_what_is_subtracted_or_divided_by() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = (x[t] - w * h[t-1]) / exp(h[t-1])\n"
        "loss = sum(1 - h[t] / 2 for t in steps)"
    )
    parts = structure(circuit, "operations")
    for scene in (circuit_scene(parts), unfolded_scene(parts, {"t": 2})):
        nodes = {node.id: node.label.text for node in scene.nodes}
        found = {
            (nodes[edge.tail], nodes[edge.head], edge.label.text)
            for edge in scene.edges
            if edge.label is not None and edge.near_head
        }
        assert found == {("×", "−", "−"), ("exp", "÷", "÷")}


def test_a_sign_stands_near_the_head() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\ng[t] = sin(x[t]) - h[t-1]\nh[t] = tanh(tanh(tanh(w * g[t])))"
    )
    for drawing in (
        viz.circuit(circuit, level="operations"),
        viz.unfolded(circuit, 3, level="operations"),
    ):
        edges = {edge.id: edge for edge in drawing.layout.edges}
        signs = [label for label in drawing.layout.labels if label.text.label.text == "−"]
        assert signs
        for label in signs:
            tip = edges[label.owner].tip
            assert tip is not None
            assert math.dist(tip, (label.x, label.y)) < 3 * label.text.size


@pytest.mark.parametrize(
    ("equation", "labels", "nodes"),
    [
        ("h[t] = tanh(W @ h[t-1])", {"W"}, set()),
        ("h[t] = tanh(k * (W @ h[t-1]))", {"kW"}, set()),
        ("h[t] = W.T @ softmax(k * (W @ h[t-1]))", {"kW"}, set()),
        ("h[t] = W @ tanh(h[t-1])", set(), {"W"}),
        ("h[t] = V @ (W @ h[t-1] / 2)", {"VW/2"}, set()),
        ("h[t] = W @ (h[t-1] / 2)", {"W/2"}, set()),
        ("h[t] = V @ (0.5 * (W @ h[t-1]))", {"0.5VW"}, set()),
        # numbers become one, lengths and sizes keep their names
        ("h[t] = k / 6 * (2 * tanh(h[t-1]) + 3 * h[t-1])", {"k/2"}, set()),
        ("h[t] = W @ (h[t-1] + k / 2 * h[t-2])", {"W", "Wk/2"}, set()),
        ("h[t] = 0.1 * (W @ h[t-1]) / 4", {"0.025W"}, set()),
        ("h[t] = W @ h[t-1] / (2 * tau)", {"W/(2τ)"}, set()),
        ("h[t] = tau * (W @ h[t-1]) / H", {"τW/H"}, set()),
        ("h[t] = (tau + 1) * (W @ h[t-1])", {"W"}, set()),
        # numbers alone are no label, nor those outside a function
        ("h[t] = 0.5 * h[t-1]", set(), set()),
        ("h[t] = 2 * tanh(W @ h[t-1])", {"W"}, set()),
        # a sign or a number is lost neither over a division nor between two values
        ("h[t] = h[t-1] - k * h[t-2] / (1 + h[t-3]**2)", {"−k"}, set()),
        ("h[t] = -(h[t-1] * (W @ h[t-2])) / 2", {"−W/2"}, set()),
        ("h[t] = V @ (h[t-1] * (3 * (W @ h[t-2])))", {"V", "3W"}, set()),
        ("h[t] = W @ E[x[t]]", {"E"}, {"W"}),
        ("h[t] = V @ (W @ h[t-1]) - W @ h[t-1]", {"VW, −W"}, set()),
        ("h[t] = -k * h[t-1]", {"−k"}, set()),
        ("h[t] = -(k * tanh(-V @ h[t-1]))", {"−V"}, {"k"}),
        ("h[t] = k * h[t-1] - (ones(H) - W @ h[t-1])", {"k, W"}, set()),
    ],
)
def test_labels_are_products_of_the_equation(
    equation: str, labels: set[str], nodes: set[str]
) -> None:
    """What an arrow has beside it multiplies the value; other factors are nodes."""
    declared = "x[t]: token(N)\nE: param(N, H)\nW: param(H, H)\nV: param(H, H)\nk: param()\n"
    parts = structure(gg.parse(f"{declared}{equation}"), "variables")
    for scene in (circuit_scene(parts), unfolded_scene(parts, {"t": 2}, parameters="labels")):
        assert {edge.label.text for edge in scene.edges if edge.label is not None} == labels
        assert {node.id for node in scene.nodes if node.kind == "parameter"} == nodes


@pytest.mark.parametrize(("loss", "labels"), [
    ("sum(L[t] + p[t] for t in steps)", ["L^(1)", "p^(1)", "ℓ^(1)", "L"]),
    ("sum(h[t] * p[t] for t in steps)", ["h^(1)", "p^(1)", "L^(1)", "L"]),
    ("sum(h[t] * p[t] for t in steps) + sum(L[t] + p[t] for t in steps)",
     ["h^(1)", "L^(1)", "p^(1)", "ℓ^(1)", "ℓ_2^(1)", "L"]),
])  # fmt: skip
def test_the_terms_of_a_loss_are_told_from_what_has_its_letter(
    loss: str, labels: list[str]
) -> None:
    start = "x[t]: input()\nw: param()\nh[t] = w * x[t]\np[t] = w * h[t]\nL[t] = h[t]**2\n"
    scene = unfolded_scene(structure(gg.parse(f"{start}loss = {loss}"), terms=True), {"t": 1})
    shown = [node.label.text for node in scene.nodes]
    assert len(set(shown)) == len(shown)
    assert set(labels) <= set(shown)
