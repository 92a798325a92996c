"""Where things are put: nothing overlaps, columns line up, cost is linear."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

import graphgrad as gg
import viz
from tests.viz import scenes
from viz.label import symbol
from viz.layering import layers_of
from viz.layout import lay_out
from viz.picture import Layout, PlacedNode, overlaps
from viz.routing import Point, segment_meets_box
from viz.scene import CircuitScene, Edge, Node, folded
from viz.style import BOOK, COLOUR, DARK

UNFOLDINGS = [
    scenes.elman, scenes.lstm, scenes.lstm_operations, scenes.bidirectional, scenes.skips,
    scenes.deep, scenes.gru, scenes.single_output,
]  # fmt: skip


def positions(layout: Layout) -> dict[str, Point]:
    return {node.node.id: (node.x, node.y) for node in layout.nodes}


@pytest.mark.parametrize("name", scenes.ALL)
def test_nothing_overlaps(name: str) -> None:
    layout = lay_out(scenes.ALL[name]())
    assert overlaps(layout) == []
    for node in layout.nodes:
        assert 0 <= node.box[0] <= node.box[2] <= layout.width
        assert 0 <= node.box[1] <= node.box[3] <= layout.height
    for edge in layout.edges:
        assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in edge.curve)


@pytest.mark.parametrize("tau", [1, 2, 3, 6])
@pytest.mark.parametrize("scene", UNFOLDINGS)
def test_nothing_overlaps_at_any_length(scene: object, tau: int) -> None:
    assert callable(scene)
    assert overlaps(lay_out(scene(tuple(range(1, tau + 1))))) == []
    assert overlaps(lay_out(scene(folded(100 * tau)))) == []


@pytest.mark.parametrize("size", [9.0, 13.0, 20.0])
def test_nothing_overlaps_at_any_font_size(size: float) -> None:
    style = BOOK.with_options(font_size=size)
    for scene in (scenes.elman(), scenes.lstm(), scenes.elman_labels(), scenes.skips_circuit()):
        assert overlaps(lay_out(scene, style)) == []


def test_the_check_finds_what_overlaps() -> None:
    layout = lay_out(scenes.elman())
    first, second, *rest = layout.nodes
    moved = replace(second, x=first.x + 3, y=first.y)
    found = overlaps(replace(layout, nodes=(first, moved, *rest)))
    assert any("overlaps" in sentence for sentence in found)
    target = layout.nodes[5]
    edge = next(e for e in layout.edges if target.node.id not in (e.tail, e.head))
    bad = replace(
        edge, curve=((0, target.y), (10, target.y), (300, target.y), (layout.width, target.y))
    )
    assert any("runs through" in s for s in overlaps(replace(layout, edges=(bad,))))


@pytest.mark.parametrize("name", scenes.ALL)
def test_every_edge_leaves_its_tail_and_meets_its_head(name: str) -> None:
    """At the border of the node, or at the trunk that it shares with others."""
    scene = scenes.ALL[name]()
    layout = lay_out(scene)
    nodes = {node.node.id: node for node in layout.nodes}
    drawn = {edge.id for edge in layout.edges}
    assert {edge.id for edge in scene.edges} <= drawn
    trunks = {edge.tail for edge in layout.edges if edge.edge is None}
    collected: defaultdict[str, int] = defaultdict(int)
    for edge in layout.edges:
        if edge.edge is None:
            continue
        if edge.tip is None:
            collected[edge.head] += 1
        elif edge.head:
            assert distance(nodes[edge.head], edge.tip) < 0.6
        if edge.tail not in trunks:
            assert distance(nodes[edge.tail], edge.curve[0]) < 0.6
    for head in collected:  # a bus that collects has one arrow
        assert sum(e.head == head and e.tip is not None for e in layout.edges) >= 1


def distance(node: PlacedNode, point: Point) -> float:
    """How far a point is from the border of a node."""
    dx, dy = abs(point[0] - node.x), abs(point[1] - node.y)
    half_width, half_height = node.width / 2, node.height / 2
    if node.shape == "round":
        return abs(math.hypot(max(dx - half_width + half_height, 0.0), dy) - half_height)
    outside = math.hypot(max(dx - half_width, 0.0), max(dy - half_height, 0.0))
    return outside or min(half_width - dx, half_height - dy)


@pytest.mark.parametrize("scene", UNFOLDINGS)
def test_rows_and_columns_line_up(scene: object) -> None:
    assert callable(scene)
    laid = lay_out(scene((1, 2, 3, 4)))
    rows: defaultdict[str, dict[int, Point]] = defaultdict(dict)
    for node in laid.nodes:
        if node.node.time is not None and 1 <= node.node.time <= 4:
            rows[node.node.row][node.node.time] = (node.x, node.y)
    steps = set()
    for places in rows.values():
        assert len({y for _, y in places.values()}) == 1
        if len(places) == 4:
            steps |= {round(places[t + 1][0] - places[t][0], 1) for t in (1, 2, 3)}
    assert max(steps) - min(steps) < 0.2


def test_flow_goes_upward_and_targets_stand_above() -> None:
    places = positions(lay_out(scenes.elman_circuit()))
    heights = [places[name][1] for name in "xhoLy"]
    assert heights == sorted(heights)
    assert len({x for x, _ in places.values()}) == 1


def test_the_two_chains_of_a_bidirectional_network_are_apart() -> None:
    layout = lay_out(scenes.bidirectional())
    places = positions(layout)
    assert places["h.1"][1] != places["g.1"][1]
    for edge in layout.edges:
        if edge.edge and edge.tail.startswith("g.") and edge.head.startswith("g."):
            assert edge.tip is not None
            assert edge.tip[0] < edge.curve[0][0]
            assert edge.tip[1] == edge.curve[0][1]


def test_encoder_and_decoder_stand_side_by_side() -> None:
    places = positions(lay_out(scenes.encoder_decoder()))
    assert places["h.3"][0] < places["g.0"][0] < places["g.1"][0]


def test_boundaries_stand_in_the_margins() -> None:
    places = positions(lay_out(scenes.bidirectional()))
    assert places["h.0"][0] < places["h.1"][0]
    assert places["g.4"][0] > places["g.3"][0]
    assert places["h.0"][1] == places["h.1"][1]


STARTS = """
w0: input(N)
q: input(N)
A: param(N, N)
mu: param()
w[0] = w0
u[tau+1] = q
g[t] = A @ w[t-1]
v[t] = mu * v[t-1] - g[t]
w[t] = w[t-1] + v[t]
p[t] = mu * p[t+1] + w[t]
u[t] = A @ u[t+1] + p[t] + u[t+1]
loss = sum(w[tau]) + sum(u[1])
"""


def test_boundary_values_stand_in_a_column_beside_the_steps() -> None:
    """What a boundary value is computed from does not push others away from what reads them."""
    layout = viz.unfolded(gg.parse(STARTS), 2).layout
    at = positions(layout)
    assert at["w.0"][0] == at["v.0"][0] > at["w0"][0]
    assert at["u.3"][0] == at["p.3"][0] < at["q"][0]
    for tail, head in (("w.0", "w.1"), ("v.0", "v.1"), ("u.3", "u.2"), ("p.3", "p.2")):
        (line,) = [e for e in layout.edges if (e.tail, e.head) == (tail, head)]
        assert {round(y, 2) for _, y in line.curve} == {round(at[head][1], 2)}


AHEAD = """
x[t]: input(D)
A: param(H, H)
B: param(H, D)
C: param(H, H)
u[t] = relu(B @ x[t+1] + A @ u[t-1])
v[t] = sigmoid(C @ v[t+1] + u[t+2])
loss = sum(sum(u[t] * v[t]) for t in steps)
"""


def test_what_only_another_step_reads_stands_below_its_own() -> None:
    """And not beside the lines of parameters, in the room between two steps."""
    layout = viz.unfolded(gg.parse(AHEAD), 3).layout
    at = positions(layout)
    width = max(node.width for node in layout.nodes)
    assert abs(at["x.2"][0] - at["u.2"][0]) < width


def test_a_parameter_is_one_node_with_one_trunk() -> None:
    layout = lay_out(scenes.elman(tuple(range(1, 8))))
    assert sum(node.node.id == "W" for node in layout.nodes) == 1
    assert sum(edge.edge is None and edge.tail == "W" for edge in layout.edges) == 1


def test_a_result_of_the_last_step_stands_over_it() -> None:
    places = positions(lay_out(scenes.single_output()))
    assert places["o"][0] == places["h.3"][0]
    assert places["h.3"][1] < places["o"][1] < places["L"][1] < places["y"][1]


def test_delays_and_advances() -> None:
    marks = lay_out(scenes.bidirectional_circuit()).marks
    assert sorted(mark.hollow for mark in marks) == [False, True]
    layout = lay_out(scenes.skips_circuit())
    assert [label.text.label.text for label in layout.labels].count("3") == 1
    assert len(layout.marks) == 2


def test_delays_of_one_node_share_a_square() -> None:
    (shared,) = (mark for mark in lay_out(scenes.lstm_circuit()).marks if len(mark.edges) > 1)
    assert len([name for name in shared.edges if name.startswith("e")]) == 4


def test_different_delays_have_a_square_and_a_trunk_each() -> None:
    names = ("p", "q", "s", "h")
    nodes = tuple(Node(name, symbol(name)) for name in names)
    ends = [("p", "s", 0), ("q", "s", 0), ("s", "h", 0), ("h", "p", 1), ("h", "q", 2)]
    edges = tuple(Edge(f"e{i}", a, b, delay=lag) for i, (a, b, lag) in enumerate(ends))
    layout = lay_out(CircuitScene(nodes, edges))
    assert overlaps(layout) == []
    assert sorted(mark.edges for mark in layout.marks) == [("e3",), ("e4",)]
    assert [label.text.label.text for label in layout.labels] == ["2"]
    first, second = (edge for edge in layout.edges if edge.id in ("e3", "e4"))
    for mark in layout.marks:
        through = [
            edge.id
            for edge in (first, second)
            for a, b in pairwise(edge.curve[::3])
            if segment_meets_box(a, b, mark.box)
        ]
        assert through == list(mark.edges)


def test_what_is_left_out_is_shown_by_dots() -> None:
    layout = lay_out(scenes.elman((1, 2, None, 50)))
    dots = [dot for dot in layout.dots if dot.ellipsis]
    assert len(dots) == 3
    places = positions(layout)
    assert all(dot.y == places["h.1"][1] for dot in dots)
    assert all(places["h.2"][0] < dot.x < places["h.50"][0] for dot in dots)
    stubs = [edge for edge in layout.edges if edge.edge is None and "…" in edge.id]
    assert len(stubs) == 2


def test_folded_pictures_cost_the_same_for_every_length() -> None:
    layout = lay_out(scenes.lstm(folded(10**6)))
    assert len({node.node.time for node in layout.nodes if node.node.time}) <= 15


def test_explicit_layers() -> None:
    scene = replace(scenes.lstm_circuit(), layers=(("x",), ("i", "f"), ("g", "o"), ("c",), ("h",)))
    places = positions(lay_out(scene))
    assert places["i"][1] == places["f"][1] < places["g"][1] == places["o"][1]


def test_equal_scenes_give_equal_layouts() -> None:
    for name in scenes.ALL:
        assert lay_out(scenes.ALL[name]()) == lay_out(scenes.ALL[name]())


def test_styles_change_no_places() -> None:
    book = lay_out(scenes.lstm(), BOOK)
    for style in (COLOUR, DARK):
        assert positions(lay_out(scenes.lstm(), style)) == positions(book)


def test_layering_survives_an_algebraic_loop() -> None:
    layers = layers_of(["a", "b", "c"], [("a", "b", 0), ("b", "a", 0), ("b", "c", 0)])
    assert layers["c"] > layers["b"]
    nodes = tuple(Node(name, symbol(name)) for name in "ab")
    edges = (Edge("e", "a", "b"), Edge("f", "b", "a"), Edge("g", "a", "a"))
    assert len(lay_out(CircuitScene(nodes, edges)).edges) == 3


def test_long_chains_do_not_recurse() -> None:
    names = [f"v{i}" for i in range(1500)]
    arcs = [(a, b, 0) for a, b in pairwise(names)]
    assert layers_of(names, arcs)["v1499"] == 1499
