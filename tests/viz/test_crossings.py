"""Lines that cross or lie on each other: found where they do, and never more than recorded."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import graphgrad as gg
import viz
from tests.viz import scenes
from tests.viz.test_layout import distance
from viz.crossings import crossings, shared_runs, touched_heads
from viz.drawing import Drawing
from viz.layout import lay_out
from viz.picture import Layout, PlacedEdge, PlacedNode
from viz.routing import Point, flatten, line, with_arrow

RECORD = Path(__file__).with_name("snapshots") / "crossings.txt"


def with_lines(*paths: tuple[tuple[float, float], ...]) -> Layout:
    """A picture of straight lines only, each with an arrow."""
    layout = lay_out(scenes.elman())
    whole = next(edge for edge in layout.edges if edge.tip is not None)
    edges = tuple(
        replace(whole, id=f"l{i}", tail=f"a{i}", head=f"b{i}", curve=curve, tip=tip)
        for i, (curve, tip) in enumerate(with_arrow(line(*path), 6.0) for path in paths)
    )
    return replace(layout, edges=edges)


def test_crossings_are_found_once_each() -> None:
    cross = with_lines(((0, 0), (100, 100)), ((0, 100), (100, 0)), ((200, 0), (200, 90)))
    assert crossings(cross) == [("l0", "l1")]
    twice = with_lines(((0, 0), (50, 80), (100, 0)), ((0, 40), (100, 40)))
    assert crossings(twice) == [("l0", "l1")] * 2
    at_a_corner = with_lines(((0, 0), (50, 50), (100, 100)), ((0, 100), (50, 50), (100, 0)))
    assert crossings(at_a_corner) == [("l0", "l1")]


def test_a_branch_does_not_cross() -> None:
    assert crossings(with_lines(((0, 0), (100, 0)), ((50, 0), (50, 40)))) == []
    assert crossings(with_lines(((0, 0), (100, 0)), ((50, 40), (50, 0)))) == []
    assert crossings(with_lines(((0, 0), (100, 0)), ((0, 9), (100, 9)))) == []


def test_shared_runs_are_found() -> None:
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((40, 0.3), (60, 0.3)))) == ["l0 lies on l1"]
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((40, 3), (60, 3)))) == []
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((50, -50), (50, 50)))) == []


def test_touched_arrowheads_are_found() -> None:
    through = with_lines(((0, 0), (100, 0)), ((97, -40), (97, 40)))
    assert touched_heads(through) == [("l0", "l1")]
    beside = with_lines(((0, 0), (100, 0)), ((0, 5), (100, 5)), ((40, 3), (40, -40)))
    assert touched_heads(beside) == []
    heads = with_lines(((0, 0), (100, 0)), ((0, 3), (100, 1)))
    assert touched_heads(heads) == [("l0", "l1"), ("l1", "l0")]


@cache
def drawings(name: str) -> dict[str, Drawing]:
    circuit = gg.cells.load(name)
    tau = dict.fromkeys(circuit.indices, 3)
    found: dict[str, Drawing] = {}
    for level in ("variables", "operations"):
        found[f"circuit {level}"] = viz.circuit(circuit, level=level)  # type: ignore[arg-type]
        found[f"unfolded {level}"] = viz.unfolded(circuit, tau, level=level)  # type: ignore[arg-type]
        if "loss" in circuit.equations:
            found[f"backward {level}"] = viz.backward(circuit, tau, level=level)  # type: ignore[arg-type]
    return found


def recorded() -> dict[str, tuple[int, ...]]:
    """How often lines cross, lie on each other, and touch arrowheads, in each picture."""
    rows = (text.rsplit(maxsplit=3) for text in RECORD.read_text(encoding="utf-8").splitlines())
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


@pytest.mark.parametrize("name", gg.cells.names())
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")
def test_lines_cross_no_more_than_recorded(name: str) -> None:
    """GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes the record anew; what has grown is to be looked at."""
    record = recorded() if RECORD.exists() else {}
    for view, drawing in drawings(name).items():
        key = f"{name} {view}"
        layout = drawing.layout
        found = len(crossings(layout)), len(shared_runs(layout)), len(touched_heads(layout))
        if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
            record[key] = found
            lines = sorted(f"{each} {a} {b} {c}\n" for each, (a, b, c) in record.items())
            RECORD.write_text("".join(lines), encoding="utf-8")
        assert all(a <= b for a, b in zip(found, record[key], strict=True)), key


@pytest.mark.parametrize("name", gg.cells.names())
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")
def test_every_line_ends_on_its_node_or_on_a_line(name: str) -> None:
    for view, drawing in drawings(name).items():
        assert loose_ends(drawing.layout) == [], view


def test_loose_ends_are_found() -> None:
    layout = drawings("elman")["backward variables"].layout
    back = next(edge for edge in layout.edges if edge.kind == "adjoint" and edge.tip)
    (x, y), tip = back.curve[0], back.tip
    assert tip is not None
    for moved in (
        replace(back, curve=((x + 2, y + 2), *back.curve[1:])),
        replace(back, tip=(tip[0] + 2, tip[1] + 2)),
    ):
        edges = tuple(moved if edge is back else edge for edge in layout.edges)
        assert loose_ends(replace(layout, edges=edges)) == [back.id]


def loose_ends(layout: Layout) -> list[str]:
    """The lines that end neither on the border of their node nor on a line that does.

    What has an arrowhead ends on a node.
    """
    nodes = {node.node.id: node for node in layout.nodes}
    found: list[str] = []
    for edge in layout.edges:
        for name, at in ((edge.tail, edge.curve[0]), (edge.head, edge.tip or edge.curve[-1])):
            if not name or distance(nodes[name], at) < 0.5:
                continue
            others = (
                other
                for other in layout.edges
                if other is not edge
                and other.kind == edge.kind
                and name in (other.tail, other.head)
            )
            if at == edge.tip or not any(lies_on(at, other) for other in others):
                found.append(edge.id)
    return found


def lies_on(at: Point, edge: PlacedEdge) -> bool:
    points = flatten(edge.curve)
    return any(
        math.dist(a, at) + math.dist(at, b) < math.dist(a, b) + 0.05
        for a, b in pairwise([*points, edge.tip] if edge.tip else points)
    )


TAPS = """
x[t]: input()
a: param()
p[t] = x[t] + g[t-1] * g[t-2]
q[t] = p[t] * g[t-1] + g[t-2] * g[t-3]
g[t] = tanh(a * q[t])
"""


def test_lines_over_different_delays_arrive_beside_each_other() -> None:
    """Those of one node, from above: each with its own arrowhead, and none across another."""
    layout = viz.circuit(gg.parse(TAPS)).layout
    tips = [e.tip for e in layout.edges if e.tail == "g" and e.head == "q" and e.tip is not None]
    assert len(tips) == 3
    assert min(math.dist(a, b) for a, b in pairwise(sorted(tips))) > 5
    down = {e.id for e in layout.edges if e.head == "q" and e.edge and e.edge.delay in (1, 2)}
    assert len(down) == 2
    assert [pair for pair in crossings(layout) if set(pair) <= down] == []
    assert touched_heads(layout) == shared_runs(layout) == []


def fan(size: int) -> str:
    """A circuit in which one value is read by so many others in its step."""
    names = "abcdefg"[:size]
    equations = [f"{name}[t] = tanh({name}[t-1] + z[t])" for name in names]
    total = " + ".join(f"{name}[t]" for name in names)
    return "\n".join(
        ["x[t]: input(H)", "A: param(H, H)", "z[t] = A @ x[t]", *equations,
         f"loss = sum(sum({total}) for t in steps)"]
    )  # fmt: skip


@pytest.mark.parametrize("size", [3, 4, 5])
def test_arrowheads_of_lines_back_are_apart_where_many_lines_leave(size: int) -> None:
    layout = viz.backward(gg.parse(fan(size)), 2).layout
    tips = sorted(edge.tip for edge in layout.edges if edge.head == "z.1" and edge.tip is not None)
    assert len(tips) == size + 1
    assert touched_heads(layout) == []


LAGS = """
x[t]: input(H)
A: param(H, H)
h[t] = tanh(A @ (h[t-1] + h[t-2] + h[t-3]) + x[t])
loss = sum(sum(h[t]) for t in steps)
"""


def test_arcs_of_different_lengths_end_beside_each_other() -> None:
    circuit = gg.parse(LAGS)
    for drawing in (viz.unfolded(circuit, 5), viz.backward(circuit, 5)):
        layout = drawing.layout
        arcs = [e for e in layout.edges if e.head == "h.4" and e.tail in ("h.1", "h.2")]
        long, short = sorted(e.tip for e in arcs if e.kind == "forward" and e.tip is not None)[::-1]
        assert math.dist(long, short) > 5
        assert long[0] > short[0]
        assert touched_heads(layout) == []


RIDGE = """
x[t]: input(D)
U: param(H, D)
psi: param(H)
e[t] = psi @ tanh(U @ x[t])
loss = mean(e[t]**2 for t in steps) / 2 + 0.01 * sum(psi**2)
"""


def test_a_line_to_a_result_rises_beside_the_arrowheads_of_others() -> None:
    layout = viz.unfolded(gg.parse(RIDGE), 2, level="operations").layout
    assert touched_heads(layout) == []


BACK_FROM_THE_LAST = """
x[t]: input(H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + x[t])
s[t] = h[t] @ h[tau]
first = h[1]
last = h[tau]
loss = sum(s[t] for t in steps) + first @ last
"""
UP_TO_THE_NEXT = """
a: param()
p[t] = p[t-1] + a * p[t-1] * r[t-1]
r[t] = r[t-1] + p[t-1] * r[t-1]
q[t] = exp(p[t])
loss = sum(q[t] + r[t] for t in steps)
"""


@pytest.mark.parametrize(
    ("text", "tail", "head", "level"),
    [
        (BACK_FROM_THE_LAST, "h.3", "s.1", ("h.2", "h.3")),
        (UP_TO_THE_NEXT, "p.1", "r.2", ("p.1", "p.2")),
    ],
)
def test_a_trunk_leads_upward_from_above_a_level_line(
    text: str, tail: str, head: str, level: tuple[str, str]
) -> None:
    """It neither lies on the level line, which leaves or arrives at its side, nor crosses it."""
    layout = viz.unfolded(gg.parse(text), 3).layout
    assert touched_heads(layout) == []
    (along,) = [e for e in layout.edges if (e.tail, e.head) == level]
    mine = [e for e in layout.edges if e.tail == tail and e.head in (head, "")]
    starts = [e.curve[0][1] for e in mine if distance(nodes_of(layout)[tail], e.curve[0]) < 0.5]
    assert starts
    assert min(starts) > along.curve[0][1] + 3
    assert all({along.id, e.id} != set(pair) for e in mine for pair in crossings(layout))


def nodes_of(layout: Layout) -> dict[str, PlacedNode]:
    return {node.node.id: node for node in layout.nodes}
