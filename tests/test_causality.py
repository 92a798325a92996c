"""Causality: what can be computed in which order, and what cannot, with its cycles printed."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given

import graphgrad as gg
from graphgrad.causality import schedule, variable_graph
from graphgrad.errors import CausalityError
from graphgrad.ir import At
from tests.drawn import Drawn
from tests.strategies import circuits


def order(text: str) -> list[tuple[tuple[object, ...], int]]:
    return [(c.units, c.direction) for c in schedule(gg.parse(text).declared())]


def refused(text: str) -> CausalityError:
    with pytest.raises(CausalityError) as caught:
        gg.parse(text)
    return caught.value


def test_forward_backward_and_maps() -> None:
    text = (
        "x[t]: input()\no[t] = h[t] + g[t]\nh[t] = tanh(h[t-1] + x[t])\n"
        "g[t] = tanh(g[t+1] + x[t])\nloss = sum(o[t] for t in steps)"
    )
    assert order(text) == [(("h",), 1), (("g",), -1), (("o",), 1), (("loss",), 0)]
    components = {c.units[0]: c for c in schedule(gg.parse(text).declared())}
    assert components["h"].recurrent
    assert components["g"].recurrent
    assert not components["o"].recurrent


def test_units_within_one_step_are_ordered_by_need() -> None:
    text = "h[t] = tanh(a[t])\na[t] = b[t] + h[t-1]\nb[t] = 2 * h[t-1]"
    ((units, direction),) = order(text)
    assert direction == 1
    assert units.index("b") < units.index("a") < units.index("h")
    mirrored = text.replace("t-1", "t+1")
    ((units, direction),) = order(mirrored)
    assert direction == -1
    assert units.index("b") < units.index("a") < units.index("h")


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("a[t] = 2 * b[t+1]\nb[t] = a[t-2]", 1),
        ("a[t] = 2 * b[t-1]\nb[t] = a[t+2]", -1),
        ("a[t] = b[t+3]\nb[t] = d[t-1] + 1\nd[t] = a[t-3]", 1),
        ("a[t] = a[t-1] + b[t]\nb[t] = a[t-5] + b[t-1]", 1),
        ("a[t] = b[t+1]\nb[t] = a[t-2] + b[t-1]", 1),
    ],
)
def test_an_advance_inside_a_positive_cycle_is_legal(text: str, direction: int) -> None:
    circuit = gg.parse(text)
    (component,) = schedule(circuit.declared())
    assert component.direction == direction
    offsets = dict(zip(component.units, component.offsets, strict=True))
    ranks = {unit: rank for rank, unit in enumerate(component.units)}
    for user, equation in circuit.equations.items():
        stack = [equation.root]
        while stack:
            expr = stack.pop()
            stack.extend(expr.args)
            if expr.op.name == "read":
                used, lag = expr.attr
                # what is read was computed at an earlier moment, or earlier within this one
                before = direction * (offsets[user] - (offsets[used] - lag))
                assert before > 0 or (before == 0 and ranks[used] < ranks[user])


def test_advance_inside_a_positive_cycle_has_the_right_values() -> None:
    c = gg.parse("x[t]: input()\na[t] = 2 * b[t+1] + x[t]\nb[t] = 3 * a[t-2] + 1")
    found = c.unfold(4).evaluate({"x": [1.0, 10.0, 100.0, 1000.0]})
    b, a = {1: 1.0, 2: 1.0, 5: 0.0}, {}
    a[1] = 2 * b[2] + 1
    b[3] = 3 * a[1] + 1
    a[2] = 2 * b[3] + 10
    b[4] = 3 * a[2] + 1
    a[3] = 2 * b[4] + 100
    a[4] = 2 * b[5] + 1000
    assert list(found["a"]) == [a[k] for k in range(1, 5)]
    assert list(found["b"]) == [b[k] for k in range(1, 5)]


@pytest.mark.parametrize(
    ("text", "cycle"),
    [
        ("h[t] = tanh(h[t])", "h[t] → h[t]"),
        ("a[t] = b[t]\nb[t] = a[t]", "a[t] → b[t] → a[t]"),
        ("a[t] = b[t+1]\nb[t] = a[t-1]", "(delay 1)"),
        ("a[t] = b[t] + a[t-1]\nb[t] = d[t]\nd[t] = a[t]", "a[t]"),
    ],
)
def test_algebraic_loops(text: str, cycle: str) -> None:
    error = refused(text)
    assert error.message.startswith("an algebraic loop: total delay 0: ")
    assert cycle in error.message
    assert error.remedy is not None
    assert error.remedy.startswith("a delay breaks it: read ")
    broken = error.remedy.removeprefix("a delay breaks it: read ").removesuffix(" here")
    assert error.place is not None
    lines = text.split("\n")
    row = error.place.line - 1
    lines[row] = lines[row][: error.place.column] + broken + lines[row][error.place.end :]
    if "t+1" not in text:
        gg.parse("\n".join(lines))  # the remedy works


def test_mixed_loops_print_both_cycles() -> None:
    error = refused("a[t] = b[t-1]\nb[t] = 2 * d[t]\nd[t] = a[t] + b[t+2]")
    lines = error.message.split("\n")
    assert lines[0] == "past and future depend on each other, so neither sweep can compute them:"
    assert lines[1].startswith("    forward in time ")
    assert lines[1].count("→") == 3
    assert lines[2].startswith("    backward in time ")
    assert lines[2].count("→") == 2
    assert "(delay -2)" in lines[2]
    assert sorted(line.strip() for line in lines[3:]) == [
        "a[t] = b[t-1]",
        "b[t] = 2 * d[t]",
        "d[t] = a[t] + b[t+2]",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "h[t] = h[t-1] + h[t+1]",
        "h[t] = h[t-3] + h[t+1] + h[t-1]",
        "a[t] = a[t-1] + b[t]\nb[t] = b[t+1] + a[t]",
        "a[t] = b[t-1] + b[t+1]\nb[t] = a[t]",
        "a[t] = b[t-1]\nb[t] = d[t-1]\nd[t] = a[t] + e[t+4]\ne[t] = d[t+1]",
    ],
)
def test_mixed_loops_of_all_kinds(text: str) -> None:
    error = refused(text)
    forward, backward = error.message.split("\n")[1:3]

    def total(line: str) -> int:
        return sum(int(part.split(")")[0]) for part in line.split("(delay ")[1:])

    assert total(forward) > 0
    assert total(backward) < 0


@pytest.mark.parametrize(
    "text",
    [
        "h[t] = h[t-1] + total\ntotal = sum(h[t] for t in steps)",
        "h[t] = h[t-1] + h[tau]",
        "h[t] = h[t-1] + h[3]",
        "h[0] = g\nh[t] = h[t-1]\ng = h[tau]",
        "h[0] = h[tau]\nh[t] = h[t-1]",
        "h[0] = sum(h[t] for t in steps)\nh[t] = h[t-1]",
        "h[tau+1] = h[1]\nh[t] = h[t+1]",
        "a = b\nb = a\nh[t] = 1",
        "h[0] = h[-1]\nh[-1] = h[0]\nh[t] = h[t-2]",
    ],
)
def test_a_static_edge_inside_a_cycle_is_refused(text: str) -> None:
    error = refused(text)
    assert "to compute that same sequence" in error.message or "need each other" in error.message
    assert "→" in error.message


def test_encoder_decoder_order() -> None:
    declared = gg.cells.load("encoder_decoder").declared()
    order = [unit for component in schedule(declared) for unit in component.units]
    position = {unit: k for k, unit in enumerate(order)}
    assert position["h"] < position["C"] < position[At("g", False, 0)] < position["g"]
    assert position["g"] < position["o"] < position["loss"]


def test_boundaries_come_before_their_variable() -> None:
    text = "p: param()\nh[0] = q\nq = 2 * p\nh[t] = h[t-1]\ng[tau+1] = h[tau]\ng[t] = g[t+1]"
    units = [unit for c in schedule(gg.parse(text).declared()) for unit in c.units]
    assert units == ["q", At("h", False, 0), "h", At("g", True, 1), "g"]


def test_order_does_not_depend_on_the_order_written() -> None:
    lines = ["h[t] = tanh(a[t])", "a[t] = h[t-1] + g[t]", "g[t] = g[t+1] + 1", "s = h[tau] + g[1]"]
    expected = {
        u: c.direction for c in schedule(gg.parse("\n".join(lines)).declared()) for u in c.units
    }
    reversed_ = gg.parse("\n".join(reversed(lines))).declared()
    assert {u: c.direction for c in schedule(reversed_) for u in c.units} == expected


@given(circuits())
def test_everything_read_is_computed_before(drawn: Drawn) -> None:
    """In a schedule, what a unit needs stands in an earlier component or in its own."""
    circuit = gg.parse(drawn.text())
    place = {u: k for k, c in enumerate(circuit.check().components) for u in c.units}
    assert set(place) == {*circuit.equations, *circuit.boundaries}
    graph = variable_graph(circuit)
    for used, user, delay in graph.edges(data="delay"):
        if used in place:
            assert place[used] <= place[user]
            if place[used] == place[user]:
                assert delay is not None


def test_graph_of_the_variables() -> None:
    graph = gg.cells.load("elman").graph
    assert isinstance(graph, nx.MultiDiGraph)
    kinds = dict(graph.nodes(data="kind"))
    assert kinds["x"] == "input"
    assert kinds["W"] == "param"
    assert kinds["h"] == "variable"
    edges = {(u, v): delay for u, v, delay in graph.edges(data="delay")}
    assert edges["h", "a"] == 1
    assert edges["a", "h"] == 0
    assert edges["x", "a"] == 0
    assert edges["W", "a"] == 0
    assert edges["L", "loss"] is None
    boundary = gg.parse("p: param()\nh[0] = p\nh[t] = h[t-1] * h[t-2]").graph
    assert boundary.nodes[At("h", False, 0)]["kind"] == "boundary"
    assert sorted(d for _, _, d in boundary.edges("h", data="delay")) == [1, 2]
