"""The backward view: arrows of the adjoint against those that the unfolded graph must have."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest

import graphgrad as gg
import viz
from graphgrad.conditions import ALWAYS
from graphgrad.ir import OPS, Expr
from graphgrad.substitute import later, tree
from graphgrad.unfold import checked_lengths
from tests.viz.test_crossings import lies_on, loose_ends
from tests.viz.test_layout import distance
from tests.viz.test_structure import without
from viz.backward import backward_scene
from viz.companions import APART
from viz.derivatives import Derivatives
from viz.flow_back import cotangents
from viz.items import Level
from viz.layout import lay_out
from viz.routing import flatten
from viz.scene import UnfoldedScene
from viz.structure import structure
from viz.style import COLOUR

WITH_LOSS = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).equations]
pytestmark = pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")


def scene_of(
    circuit: gg.Circuit, tau: int, level: Level = "variables", *, derivatives: bool = False
) -> UnfoldedScene:
    lengths = checked_lengths(circuit.check(), dict.fromkeys(circuit.indices, tau))
    return backward_scene(circuit, circuit.adjoint(), lengths, level=level, derivatives=derivatives)


def flow(scene: UnfoldedScene) -> nx.DiGraph[str]:
    """The arrows back, between what has a name."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((edge.tail, edge.head) for edge in scene.edges if edge.beside)
    return without(graph, {node for node in graph if "/" in node})


def labels_of(text: str, tau: int = 2) -> dict[tuple[str, str], str]:
    scene = scene_of(gg.parse(text), tau, derivatives=True)
    return {(e.tail, e.head): e.label.text for e in scene.edges if e.label is not None}


@pytest.mark.parametrize("tau", [1, 3, 14])
@pytest.mark.parametrize("name", WITH_LOSS)
def test_the_adjoint_and_the_operations_agree(name: str, tau: int) -> None:
    """One flow is read off the adjoint's equations, the other off the unfolded operations."""
    circuit = gg.cells.load(name)
    variables, operations = scene_of(circuit, tau), scene_of(circuit, tau, "operations")
    assert set(flow(variables).edges) == set(flow(operations).edges)


@pytest.mark.parametrize("name", WITH_LOSS)
def test_every_parameter_with_a_gradient_is_reached(name: str) -> None:
    circuit = gg.cells.load(name)
    tau = dict.fromkeys(circuit.indices, 3)
    dag = circuit.unfold(tau).to_networkx()
    loss = next(node for node, title in dag.nodes(data="name") if title == "loss")
    used = {dag.nodes[node]["name"] for node in nx.ancestors(dag, loss)} & set(circuit.params)
    scene = scene_of(circuit, 3)
    graph = flow(scene)
    assert {p for p in circuit.params if p in graph and nx.has_path(graph, "loss", p)} == used
    shown = {n.id: n.label.text for n in scene.nodes if n.kind == "parameter"}
    assert {p: shown[p] for p in used} == {p: f"∂L/∂{viz.label.symbol(p).text}" for p in used}


def test_steps_that_the_loss_does_not_read_carry_nothing() -> None:
    text = "x[t]: input()\nw: param()\nv: param()\nh[t] = w * h[t-1] + x[t]\no[t] = v * h[t]\n"
    graph = flow(scene_of(gg.parse(text + "loss = o[tau]"), 3))
    assert set(graph.successors("v")) == set()
    assert set(graph.predecessors("v")) == {"o.3"}
    assert set(graph.predecessors("w")) == {"h.1", "h.2", "h.3"}


def test_no_gradient_flows_through_a_stop() -> None:
    text = "w: param()\nx[t]: input()\nh[t] = x[t] + w * stop_gradient(h[t-1])\nloss = h[tau]"
    for level in ("variables", "operations"):
        assert set(flow(scene_of(gg.parse(text), 3, level)).edges) == {  # type: ignore[arg-type]
            ("loss", "h.3"), ("h.3", "w"),
        }  # fmt: skip


@pytest.mark.parametrize(
    "term", ["(h[t] - stop_gradient(h[t-1]))**2", "relu(h[t]) * stop_gradient(h[t-1] + h[t])"]
)
def test_no_gradient_flows_through_a_stop_in_a_loss(term: str) -> None:
    text = f"w: param()\nx[t]: input()\nh[t] = x[t] * w\nloss = sum({term} for t in steps)"
    edges = scene_of(gg.parse(text), 3).edges
    assert sorted(e.head for e in edges if e.beside and e.head[0] == "h") == ["h.1", "h.2", "h.3"]


def test_derivatives() -> None:
    text = (
        "x[t]: input(D)\ny[t]: input(H)\nW: param(H, H)\nU: param(H, D)\ng: param(H)\n"
        "a[t] = W @ h[t-1] + U @ x[t]\nh[t] = tanh(a[t])\no[t] = g * h[t]\n"
        "L[t] = squared_error(o[t], y[t])\nloss = sum(L[t] for t in steps)"
    )
    found = labels_of(text)
    assert found["a.2", "h.1"] == "W^⊤"
    assert found["h.2", "a.2"] == "1 − h^2"
    assert found["o.1", "h.1"] == "g"
    assert found["L.1", "o.1"] == "o − y"


@pytest.mark.parametrize(
    ("equation", "label"),
    [
        ("h[t] = x[t] - w * h[t-1]", "−w"),
        ("h[t] = x[t] + (1 - w) * h[t-1]", "1 − w"),
        ("h[t] = x[t] + h[t-1]", None),
        ("h[t] = x[t] + w * h[t-1] if t < 9 else x[t] * h[t-1]", "w"),
        ("h[t] = x[t] + w * h[t-1] if t < 2 else x[t] * h[t-1]", "x"),
        ("h[t] = w * h[t-1] + x[t] if t % 2 == 0 else h[t-1]", "w"),
        ("h[t] = h[t-1] if t % 2 == 0 else tanh(w * h[t-1])", None),
        ("h[t] = 2 * x[t] * (0.01 * w * h[t-1])", "0.02wx"),
        ("h[t] = x[t] * h[t-1] / (w * 2) / (1 + x[t])", "x/(2w(1 + x))"),
        ("h[t] = x[t] * exp(w) * h[t-1]", "xexp(w)"),
    ],
)
def test_derivatives_from_step_to_step(equation: str, label: str | None) -> None:
    text = f"x[t]: input()\nw: param()\n{equation}\nloss = h[tau]"
    assert labels_of(text).get(("h.2", "h.1")) == label


def test_derivatives_say_which_step_they_read_when_it_is_another() -> None:
    text = (
        "x[t]: input()\nf[t] = w * x[t]\nw: param()\n"
        "c[t] = f[t] * c[t-1] + x[t]\nloss = sum(log(c[t]) for t in steps)"
    )
    found = labels_of(text, 3)
    assert found["c.2", "f.2"] == "c^(1)"
    assert found["c.2", "c.1"] == "f"
    assert found["loss", "c.3"] == "1/c^(3)"


def test_derivatives_of_static_values_and_boundaries() -> None:
    text = (
        "x[t]: input(D)\nS: param(H, H)\nv: param(H)\nC = tanh(v)\nh[0] = C\n"
        "h[t] = tanh(h[t-1] + S @ C)\nn[t] = sum(h[t] ** 2)\nq[t] = h[t] / n[t]\n"
        "loss = sum(sum(q[t]) for t in steps)"
    )
    found = labels_of(text)
    assert found["h.2", "C"] == "S^⊤(1 − h^2)"
    assert found["h.1", "h.0"] == found["h.2", "h.1"] == "1 − h^2"
    assert found["q.2", "h.2"] == "1/n"


NETWORK = "x[t]: input()\ny[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\n"


@pytest.mark.parametrize(
    ("loss", "above"),
    [
        ("loss = mean(L[t] for t in steps)", "1/τ"),
        ("loss = sum(L[t] for t in steps) / tau", "1/τ"),
        ("loss = -mean(L[t] for t in steps if t > 1)", "−1/2"),
        ("loss = -sum(L[t] for t in steps)", "−1"),
        ("loss = sum(L[t] for t in steps)", None),
        ("loss = 2 - 3 * sum(L[t] for t in steps)", "−3"),
    ],
)
def test_derivatives_behind_sums_and_means(loss: str, above: str | None) -> None:
    """Numbers stand where the loss multiplies by them, not in the derivatives behind them."""
    text = NETWORK + "L[t] = squared_error(h[t], y[t])\n" + loss
    found = labels_of(text, 3)
    assert found.get(("loss", "L.2")) == above
    assert found.get(("L.2", "h.2")) in ("h − y", "−(y − h)")
    found = labels_of(NETWORK + loss.replace("L[t]", "squared_error(h[t], y[t])"), 3)
    assert found.get(("loss", "loss/term1.2")) == above
    assert found.get(("loss/term1.2", "h.2")) in ("h − y", "−(y − h)")


def test_derivatives_count_the_steps_of_a_mean() -> None:
    found = labels_of(NETWORK + "loss = mean(h[t]**2 for t in steps if t > 1)", 4)
    assert found["loss", "h.2"] == "2h^(2)/3"
    found = labels_of(NETWORK + "g[t] = t * h[t] ** 2\nloss = sum(g[t] for t in steps)", 4)
    assert found["g.3", "h.3"] == "2·3h"


def test_derivatives_are_of_variables() -> None:
    circuit = gg.cells.load("elman")
    scene = scene_of(circuit, 2, "operations", derivatives=True)
    assert not any(edge.label for edge in scene.edges)


def test_numbers_and_scalars_stand_before_matrices() -> None:
    text = (
        "A: param(N, N)\nk: param()\nr[t] = k * (A @ r[t-1]) * 0.5\n"
        "r[0] = p\np: param(N)\nloss = sum(r[tau])"
    )
    assert labels_of(text)["r.2", "r.1"] == "0.5kA^⊤"


def test_derivatives_of_a_loss_that_reads_an_earlier_step() -> None:
    """The term stands in the equation of the earlier step, the arrow leads from the later one."""
    text = NETWORK + "loss = mean((y[t] - h[t-1])**2 for t in steps)"
    found = labels_of(text, 3)
    assert found["loss/term1.3", "h.2"] == "−2(y − h^(2))"
    # of two lags the equation does not say which term is whose
    text = NETWORK + "loss = sum(y[t] * (h[t] + h[t-1]) for t in steps)"
    assert ("loss/term1.2", "h.2") not in labels_of(text, 3)


def test_the_derivative_behind_the_softmax_of_a_token() -> None:
    text = (
        "x[t]: token(N)\nE: param(N, H)\nz[t] = E @ tanh(E[x[t]])\n"
        "loss = sum(softmax_cross_entropy(z[t], x[t]) for t in steps)"
    )
    assert labels_of(text)["loss/term1.2", "z.2"] == "softmax(z) − 1_x"


CLOCKWORK = """
x[t]: input(D)
W: param(H, H)
R: param(G, G)
S: param(H, G)
U: param(G, D)
f[t] = tanh(W @ f[t-1] + S @ g[t-1])
g[t] = tanh(R @ g[t-1] + U @ x[t]) if t % 2 == 1 else g[t-1]
loss = sum(sum(f[t]) for t in steps)
"""


@pytest.mark.parametrize(
    "name",
    ["elman", "lstm", "gru", "hidden_markov_model", "bidirectional", "leaky_units", "clockwork"],
)
def test_derivatives_are_the_derivatives(name: str) -> None:
    """Each formula beside an arrow, applied to a random cotangent, against the path it is on."""
    circuit = gg.parse(CLOCKWORK) if name == "clockwork" else gg.cells.load(name)
    sizes, step = dict.fromkeys(circuit.sizes, 2), 2
    values = circuit.init(1, **sizes) | circuit.example(1, 4, **sizes)
    adjoint = circuit.adjoint()
    back = structure(adjoint, loss="loss")
    primals = cotangents(circuit, back)
    checked = 0
    parts = structure(circuit, terms=True)
    derivatives = Derivatives(
        adjoint, primals, back.names, parts, dict.fromkeys(parts.declared.indices, 4)
    )
    for (of, source, boundary), terms in derivatives._known.items():
        indexed = [n in circuit.variables and circuit.variables[n].index for n in (of, source)]
        terms = [term for term in terms if derivatives._is_there(term, step)]
        if source is None or boundary or len(terms) != 1 or not all(indexed):
            continue
        (term,) = terms
        shape = circuit.variables[source].shape
        cotangent = np.random.default_rng(0).normal(size=[2] * len(shape))
        given = f"G_: param({', '.join(map(str, shape))})\nG_loss = "
        head = f"{source}[{step + term.lag}]"
        extended = circuit.extend(given + (f"sum(G_ * {head})" if shape else f"G_ * {head}"))
        known = values | {"G_": cotangent}
        paths = extended.unfold(4, **sizes).paths(
            (of, step), loss="G_loss", through=list(circuit.variables)
        )
        direct = [len(path.points) == 3 for path in paths]
        (truth,) = (v for v, one in zip(paths.evaluate(known), direct, strict=True) if one)

        probe = adjoint.copy()
        probe.param("G_", *shape)
        value = Expr(OPS["param"], attr="G_", type=shape)
        for factor in reversed(term.factors):
            slope = later(tree(factor.value), ALWAYS, "t", factor.shift)[0]
            value = slope @ value if len(slope.shape) == 2 else slope * value
        for factor in term.divided:
            value = value / later(tree(factor.value), ALWAYS, "t", factor.shift)[0]
        probe.define("probe", "t", tree(-value if term.negative else value))
        found = probe.unfold(4, **sizes).evaluate(known, outputs=["probe"])["probe"][step - 1]
        if not circuit.variables[of].shape:
            found = np.sum(found)  # the row of slopes of a number
        np.testing.assert_allclose(found, truth, rtol=1e-10, err_msg=f"{head} by {of}")
        checked += 1
    assert checked >= 3


def test_arrows_run_beside_each_other() -> None:
    layout = lay_out(scene_of(gg.cells.load("lstm"), 3), COLOUR)
    curves = {edge.id: flatten(edge.curve) for edge in layout.edges}
    pairs = 0
    for edge in layout.edges:
        if edge.edge is not None and edge.edge.beside in curves:
            pairs += 1
            for x, y in curves[edge.id]:
                near = min((x - a) ** 2 + (y - b) ** 2 for a, b in _dense(curves[edge.edge.beside]))
                assert near**0.5 < 2.5 * APART
    assert pairs > 20


def _dense(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [
        (a[0] + k / 40 * (b[0] - a[0]), a[1] + k / 40 * (b[1] - a[1]))
        for a, b in pairwise(points)
        for k in range(41)
    ]


def test_no_arrow_leaves_the_line_of_a_gradient() -> None:
    """Where only some uses of a parameter reach the loss, the others have no line."""
    for name in ("feedforward_taps", "autoregressive"):
        layout = viz.backward(gg.cells.load(name), 3).layout
        assert {edge.kind for edge in layout.edges} == {"forward", "adjoint", "gradient"}
    layout = viz.backward(gg.cells.load("elman"), 3, wrt=["W"]).layout
    assert {edge.tail for edge in layout.edges if edge.kind == "parameter"} == set("UVbc")


STATES = "S: param(N, N)\nW = (S + S.T) / 2\nh[0] = p\np: param(N)\nh[t] = tanh(W @ h[t-1])\n"


@pytest.mark.parametrize("tau", [1, 3, 20])
@pytest.mark.parametrize(
    "text",
    [
        STATES + "E[t] = h[t] @ (W @ h[t])\nloss = sum(h[tau])",
        STATES + "z[t] = ones(N) if t < 3 else h[t]\nloss = sum(sum(z[t]) for t in steps)",
    ],
)
def test_the_line_of_a_gradient_ends_at_its_last_branch(text: str, tau: int) -> None:
    """Where the last use of a value, or the first summand, gets no gradient."""
    layout = viz.backward(gg.parse(text), tau).layout
    assert loose_ends(layout) == []
    lines = [e for e in layout.edges if e.kind == "adjoint" and "…" not in e.id]
    for edge in lines:
        others = [other for other in lines if other is not edge]
        for at in (edge.curve[0], edge.tip or edge.curve[-1]):
            at_node = any(distance(node, at) < 0.5 for node in layout.nodes)
            assert at_node or any(lies_on(at, other) for other in others), edge.id


def test_there_is_room_beside_the_recurrence() -> None:
    layout = viz.backward(gg.cells.load("bidirectional"), 3, derivatives=True).layout
    texts = [label.text.label.text for label in layout.labels]
    assert texts.count("W^⊤(1 − h^2)") == texts.count("R^⊤(1 − g^2)") == 2
