"""Results that stand outside the columns: where they are, and the lines into and out of them."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

import graphgrad as gg
import viz
from tests.viz.test_crossings import loose_ends
from viz.crossings import shared_runs, touched_heads
from viz.items import Level
from viz.picture import Layout, PlacedEdge, overlaps
from viz.routing import unit

DECODER = """
y[t]: input(K)
W: param(H, H)
U: param(H, D)
R: param(G, G)
S: param(G, H)
V: param(K, G)
g[t] = tanh(R @ g[t-1] + S @ c)
loss = sum(squared_error(V @ g[t], y[t]) for t in steps)
"""
TWO = f"s: steps(m)\nt: steps(n)\nx[s]: input(D)\n{DECODER}"
MEAN = f"{TWO}e[s] = tanh(W @ e[s-1] + U @ x[s])\n"
CONTEXTS = {
    "mean": f"{MEAN}c = mean(e[s] for s in steps)",
    "one index": f"x[t]: input(D)\n{DECODER}e[t] = tanh(W @ e[t-1] + U @ x[t])\n"
    "c = mean(e[t] for t in steps)",
    "chain": f"{MEAN}P: param(H, H)\nq = mean(e[s] for s in steps)\nc = tanh(P @ q)",
    "both ends": f"{TWO}f[s] = tanh(W @ f[s-1] + U @ x[s])\nb[s] = tanh(W @ b[s+1] + U @ x[s])\n"
    "c = tanh(f[m] + b[1])",
    "three rows": f"{TWO}f[s] = tanh(W @ f[s-1] + U @ x[s])\nb[s] = tanh(W @ b[s+1] + f[s])\n"
    "d[s] = tanh(W @ d[s-1] + b[s])\nc = tanh(f[m] + b[1] + d[1])",
    "decoder first": MEAN.replace("s: steps(m)\nt: steps(n)", "t: steps(n)\ns: steps(m)")
    + "c = mean(e[s] for s in steps)",
}


def layouts(name: str, level: Level) -> dict[str, Layout]:
    circuit = gg.parse(CONTEXTS[name], name="context")
    found: dict[str, Layout] = {}
    for tau in (2, 20):
        lengths = dict.fromkeys(circuit.indices, tau)
        found[f"unfolded {tau}"] = viz.unfolded(circuit, lengths, level=level).layout
        found[f"backward {tau}"] = viz.backward(circuit, lengths, level=level).layout
    return found


@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", CONTEXTS)
def test_lines_of_a_context_are_apart(name: str, level: Level) -> None:
    for view, layout in layouts(name, level).items():
        for check in (overlaps, shared_runs, touched_heads, loose_ends):
            assert check(layout) == [], view


def test_a_line_enters_a_result_beside_the_rail_that_ends_there() -> None:
    """A weighted mean: the weights are collected at its left, where their sum comes from, too."""
    circuit = gg.parse(
        "x[t]: input(H)\nW: param(H, H)\nq: param(H)\nh[t] = tanh(W @ h[t-1] + x[t])\n"
        "e[t] = exp(q @ h[t])\nZ = sum(e[t] for t in steps)\n"
        "c = sum(e[t] * h[t] for t in steps) / Z\nloss = sum(c**2)"
    )
    for layout in (viz.unfolded(circuit).layout, viz.backward(circuit).layout):
        for check in (overlaps, shared_runs, touched_heads, loose_ends):
            assert check(layout) == []
        tips = [edge.tip for edge in layout.edges if edge.head == "c" and edge.tip is not None]
        assert len(tips) > 2
        assert min(math.dist(one, other) for one, other in combinations(tips, 2)) > 5


@pytest.mark.parametrize("name", ["mean", "chain", "both ends", "three rows"])
def test_a_context_stands_between_encoder_and_decoder(name: str) -> None:
    for view, layout in layouts(name, "variables").items():
        nodes = {node.node.id: node for node in layout.nodes}
        encoder = [node for node in layout.nodes if node.node.track == "s"]
        decoder = [node for node in layout.nodes if node.node.track == "t"]
        left, right = nodes["c"].box[0], nodes["c"].box[2]
        assert max(node.box[2] for node in encoder) < left, view
        assert right < min(node.box[0] for node in decoder), view
        assert right < nodes["loss"].box[0], view


@pytest.mark.parametrize("name", CONTEXTS)
def test_arrows_at_a_context_have_a_shaft(name: str) -> None:
    """What ends at a context, the companions of its arrows too, comes from further away."""
    for view, layout in layouts(name, "variables").items():
        for edge in layout.edges:
            if edge.head == "c" and edge.tip is not None:
                assert shaft(edge) > 12, view


def shaft(edge: PlacedEdge) -> float:
    """How far back the points of a line reach from its arrowhead, in the direction of its end."""
    assert edge.tip is not None
    (x, y), end = edge.tip, edge.curve[-1]
    way = unit(end, edge.tip)
    return max((x - a) * way[0] + (y - b) * way[1] for a, b in edge.curve)


WEIGHTS = {
    "symmetric": "W = (S + S.T) / 2",
    "two lines over one another": "W = S * S.T - S",
    "lines over lines": "A = S - S.T\nW = A + 2 * A @ S",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_lines_pass_over_the_nodes_of_a_row(name: str) -> None:
    circuit = gg.parse(
        f"x[t]: input(H)\nS: param(H, H)\n{WEIGHTS[name]}\n"
        "h[t] = tanh(W @ h[t-1] + x[t])\nloss = sum(h[tau])"
    )
    for view in (viz.unfolded, viz.backward):
        layout = view(circuit, 2, level="operations").layout
        for check in (overlaps, shared_runs, touched_heads, loose_ends):
            assert check(layout) == [], view


def test_a_loss_of_no_terms_stands_where_a_loss_does() -> None:
    """Behind and above the steps, not among the parameters before them."""
    text = "x[t]: input()\nw: param()\nh[t] = w * x[t]\nloss = sum(h[t] for t in steps if t > 1)"
    layout = viz.unfolded(gg.parse(text), 1).layout
    at = {node.node.id: (node.x, node.y) for node in layout.nodes}
    assert all(at["loss"][axis] > at[name][axis] for axis in (0, 1) for name in ("w", "h.1"))
