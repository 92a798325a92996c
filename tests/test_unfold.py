"""Unfolding against a naive evaluation of the equations, and the shape of the unfolded graph."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.conditions import holds
from graphgrad.errors import BoundaryError, DataError, DomainError, UnknownNameError
from graphgrad.ir import OPS
from graphgrad.system import System
from graphgrad.unfold import STATIC, Dag
from tests.drawn import SIZES, Drawn
from tests.naive import EmptyMean, Naive
from tests.strategies import circuits

LEAVES = ("param", "input", "static", "read", "at_step")


def unfolded(drawn: Drawn) -> Dag | None:
    """The unfolded graph, None where a mean over no step has no value."""
    try:
        return gg.parse(drawn.text()).unfold(drawn.steps, **SIZES)
    except DomainError:
        return None


# -- values ----------------------------------------------------------------------------------------


@given(circuits("rational"), st.integers(0, 3))
def test_every_variable_at_every_step_against_the_definition(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    naive = Naive(circuit, drawn.steps, SIZES, values)
    try:
        expected = {name: naive.stacked(name) for name in circuit.equations}
    except EmptyMean:
        with pytest.raises(DomainError, match="mean over no step"):
            circuit.unfold(drawn.steps)
        return
    found = circuit.unfold(drawn.steps, **SIZES).evaluate(values)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.shape(found[name]) == value.shape, name
        assert np.all(np.asarray(found[name]) == value), name


def test_reads_resolve_inside_then_to_the_boundary_then_to_zero() -> None:
    c = gg.parse(
        "p: param()\nh[0] = p\nh[-2] = 7\nh[t] = h[t-1] + 10 * h[t-2] + 100 * h[t-3]\n"
        "g[tau+1] = 5\ng[t] = g[t+1] + 10 * g[t+2]"
    )
    found = c.unfold(3).evaluate({"p": 2.0})
    h = {0: 2.0, -1: 0.0, -2: 7.0}
    for k in (1, 2, 3):
        h[k] = h[k - 1] + 10 * h[k - 2] + 100 * h[k - 3]
    assert list(found["h"]) == [h[1], h[2], h[3]]
    g = {4: 5.0, 5: 0.0}
    for k in (3, 2, 1):
        g[k] = g[k + 1] + 10 * g[k + 2]
    assert list(found["g"]) == [g[1], g[2], g[3]]


@pytest.mark.parametrize(
    ("read", "tau", "expected"),
    [
        ("h[tau-1]", 1, "start"), ("h[tau-1]", 2, 1), ("h[2]", 1, "end"), ("h[2]", 2, 2),
        ("h[0]", 3, "start"), ("h[tau+1]", 3, "end"), ("h[tau-2]", 1, 0), ("h[5]", 3, 0),
        ("h[-7]", 2, 0), ("h[tau+9]", 2, 0), ("h[1]", 1, 1), ("h[tau]", 1, 1),
    ],
)  # fmt: skip
def test_absolute_reads(read: str, tau: int, expected: int | str) -> None:
    c = gg.parse(
        f"h[0] = 100\nh[tau+1] = 200\nh[t] = t * 1\nout = {read}\na[t] = h[t-1]\nb[t] = h[t+1]"
    )
    value = {"start": 100, "end": 200}.get(str(expected), expected)
    assert c.unfold(tau).evaluate({})["out"] == value


def test_inputs_may_have_boundaries_and_are_zero_outside_without() -> None:
    c = gg.parse("x[t]: input(D)\nz[t]: input()\nx[0] = 5\nh[t] = sum(x[t-1]) + z[t-1] + z[t+1]")
    found = c.unfold(2).evaluate({"x": [[1.0, 2.0], [3.0, 4.0]], "z": [10.0, 20.0]})
    assert list(found["h"]) == [10 + 20, 3 + 10]


def test_boundaries_may_depend_on_other_sequences() -> None:
    c = gg.parse("x[t]: input()\nh[0] = sum(g[t] for t in steps)\nh[t] = h[t-1] * 2\n"
                 "g[tau+1] = x[1]\ng[t] = g[t+1] + x[t]")  # fmt: skip
    found = c.unfold(2).evaluate({"x": [1.0, 10.0]})
    assert list(found["g"]) == [12, 11]
    assert list(found["h"]) == [46, 92]


def test_choices_and_conditions() -> None:
    c = gg.parse(
        "h[t] = 1 if t == 1 else 10 if t == tau else 100 if t % 2 == 0 else 1000\n"
        "s = sum(h[t] for t in steps if 1 < t and (t < tau or t % 2 == 1))\n"
        "m = mean(h[t] for t in steps if t != 2)\nk = 1 if tau > 3 else 2"
    )
    found = c.unfold(5).evaluate({})
    assert list(found["h"]) == [1, 100, 1000, 100, 10]
    assert (found["s"], found["m"], found["k"]) == (1210, 1111 / 4, 1)
    assert c.unfold(3).evaluate({})["k"] == 2


def test_conditions_with_large_numbers_do_not_overflow() -> None:
    c = gg.parse("h[t] = 1 if 900000000 * t - 1 > 2 * tau else 0")
    assert list(c.unfold(5).evaluate({})["h"]) == [1] * 5


@pytest.mark.parametrize("tau", [1, 2, 3])
def test_a_mean_over_no_step_is_refused(tau: int) -> None:
    c = gg.parse("h[t] = t * 1\nm = mean(h[t] for t in steps if t > 2)")
    if tau > 2:
        assert c.unfold(tau).evaluate({})["m"] == 3
        return
    with pytest.raises(DomainError) as caught:
        c.unfold(tau)
    assert (
        caught.value.message
        == f"a mean over no step: the condition t > 2 never holds for tau = {tau}"
    )
    assert caught.value.place is not None
    assert caught.value.remedy == "use a longer sequence or another condition"


def test_a_sum_over_no_step_is_zero() -> None:
    c = gg.parse("W: param(H)\nh[t] = W * t\ns = sum(h[t] for t in steps if t > 2)")
    found = c.unfold(2).evaluate({"W": np.ones(3)})
    np.testing.assert_array_equal(found["s"], np.zeros(3))


def test_a_token_without_a_value() -> None:
    c = gg.parse("x[t]: token(N)\nE: param(N)\nh[t] = E[x[t-1]] if t > 1 else 0")
    assert list(c.unfold(2).evaluate({"x": [1, 0], "E": [5.0, 7.0]})["h"]) == [0, 7]
    c = gg.parse("x[t]: token(N)\nE: param(N)\nh[t] = E[x[t-2]] if t > 1 else 0")
    with pytest.raises(BoundaryError, match="the token x is read at step 0"):
        c.unfold(2)
    c = gg.parse("x[t]: token(N)\nE: param(N)\ns = E[x[3]]")
    assert c.unfold(3).evaluate({"x": [1, 0, 1], "E": [5.0, 7.0]})["s"] == 7
    with pytest.raises(BoundaryError):
        c.unfold(2)


# -- the graph -------------------------------------------------------------------------------------


def naive_count(system: System, lengths: dict[str, int]) -> int:
    """The number of nodes, by visiting every instance that is needed, one after the other."""
    nodes, spaces = system.graph.nodes, system.spaces
    values = {i.length: lengths[n] for n, i in system.indices.items()}
    visited: set[tuple[int, int | None]] = set()
    zeros: set[tuple[str, int]] = set()
    keys = {(k.name, lengths[system.index_of(k.name) or ""] * k.last + k.offset)
            for k in system.boundary_roots}  # fmt: skip

    def at(node: int, step: int | None) -> dict[str, int]:
        space = spaces[node]
        return values | ({} if space is None or step is None else {space: step})

    def visit(root: int, start: int | None) -> None:
        pending = [(root, start)]
        while pending:
            node, step = pending.pop()
            step = None if spaces[node] is None else step
            if (node, step) in visited:
                continue
            visited.add((node, step))
            op, args, attr, _ = nodes[node]
            if op.name == "choose":
                pending.append((args[0 if holds(attr, at(node, step)) else 1], step))
            elif op.name == "reduce":
                inside = [
                    k
                    for k in range(1, lengths[attr.over] + 1)
                    if holds(attr.condition, values | {attr.over: k})
                ]
                pending += [(args[0], k) for k in inside]
            else:
                pending += [(arg, step) for arg in args]
            if op.name in ("read", "at_step"):
                length = lengths[system.index_of(attr.name) or ""]
                if op.name == "read":
                    assert step is not None
                    moment = step - attr.lag
                else:
                    moment = attr.offset + length * attr.last
                if not 1 <= moment <= length and (attr.name, moment) not in keys:
                    zeros.add((attr.name, moment))

    copies = 0
    for name, root in system.roots.items():
        index = system.variables[name].index
        for step in [None] if index is None else range(1, lengths[index] + 1):
            visit(root, step)
            copies += not owns(system, root, index, step, values)
    for root in system.boundary_roots.values():
        visit(root, None)
        copies += not owns(system, root, None, None, values)
    count = len(system.params) + copies + len(zeros)
    for each in system.inputs.values():
        count += 1 if each.index is None else lengths[each.index]
    for node, _ in visited:
        op, _, attr, _ = nodes[node]
        if op.name == "reduce":
            count += 3 if attr.kind == "mean" else 1
        elif op.name not in (*LEAVES, "choose"):
            count += 1
    return count


def owns(
    system: System, root: int, index: str | None, step: int | None, values: dict[str, int]
) -> bool:
    """Whether the value of a variable at a step is a node that is nobody else's."""
    node = root
    op, args, attr, _ = system.graph.nodes[node]
    if index is None:
        return op.name not in (*LEAVES, "choose")
    while op.name == "choose":
        node = args[0 if holds(attr, values | {index: step}) else 1]
        op, args, attr, _ = system.graph.nodes[node]
    return op.name not in LEAVES and system.spaces[node] is not None


@given(circuits("smooth"))
def test_nodes_against_a_naive_count(drawn: Drawn) -> None:
    dag = unfolded(drawn)
    if dag is not None:
        assert len(dag) == naive_count(dag.system, dict(dag.tau))


@given(circuits("smooth"))
def test_the_graph_is_in_topological_order(drawn: Drawn) -> None:
    dag = unfolded(drawn)
    if dag is None:
        return
    assert len(dag.starts) == len(dag) + 1
    assert dag.starts[0] == 0
    assert dag.starts[-1] == len(dag.args)
    users = np.repeat(np.arange(len(dag)), np.diff(dag.starts))
    assert (dag.args < users).all()
    assert (dag.args >= 0).all()
    assert len(dag.kinds) == len(dag.times) == len(dag)
    for name, one in dag.series.items():
        if one.index is not None:
            assert len(one.nodes) == drawn.steps[one.index]
            np.testing.assert_array_equal(dag.times[one.nodes], np.arange(1, len(one.nodes) + 1))
            assert len(set(one.nodes.tolist())) == len(one.nodes), name
    roots = [node for one in dag.series.values() for node in one.nodes.tolist()]
    assert len(roots) == len(set(roots)), "every instance of a variable is a node of its own"
    arity = np.diff(dag.starts)
    for node in range(len(dag)):
        op = dag.templates[dag.kinds[node]].op
        assert op.name not in ("read", "at_step", "static", "choose", "reduce")
        if op.arity is not None:
            assert arity[node] == op.arity
        if op.name in ("param", "const", "fill"):
            assert dag.times[node] == STATIC


def test_parameters_are_one_node_whatever_the_length() -> None:
    for name in gg.cells.names():
        circuit = gg.cells.load(name)
        for tau in (1, 3):
            dag = circuit.unfold(tau)
            ops = [dag.templates[k].op.name for k in dag.kinds]
            assert ops.count("param") == len(circuit.params)
            assert [dag.params[n].name for n in circuit.params] == list(circuit.params)


def test_the_elman_network_has_the_nodes_that_are_written() -> None:
    """Per step: 2 inputs, a (2 products, 2 sums), h, o (product, sum), yhat, L; 5 parameters, h[0],
    and the sum.
    """
    for tau in (1, 2, 7):
        assert len(gg.cells.load("elman").unfold(tau)) == 11 * tau + 5 + 1 + 1


def test_the_same_expression_written_twice_is_two_nodes() -> None:
    dag = gg.parse("x[t]: input()\nh[t] = tanh(x[t]) + tanh(x[t])").unfold(3)
    assert [dag.templates[k].op.name for k in dag.kinds].count("tanh") == 6


def test_a_static_part_of_an_equation_is_computed_once() -> None:
    dag = gg.parse("W: param(H, H)\nx[t]: input(H)\nh[t] = (W @ W) @ x[t] + h[t-1]").unfold(5)
    ops = [dag.templates[k].op.name for k in dag.kinds]
    assert ops.count("matmul") == 1 + 5


def test_only_the_chosen_branch_exists() -> None:
    dag = gg.parse("x[t]: input()\nh[t] = log(x[t]) if t == 2 else sin(x[t])").unfold(4)
    ops = [dag.templates[k].op.name for k in dag.kinds]
    assert (ops.count("log"), ops.count("sin")) == (1, 3)
    assert [dag["h", k].op for k in (1, 2, 3, 4)] == ["sin", "log", "sin", "sin"]


def test_views() -> None:
    dag = gg.parse(
        "p: param(H)\nx[t]: input(H)\nk: input()\nh[0] = p\nh[t] = h[t-1] * x[t] + 2\n"
        "s = sum(h[tau]) * k"
    ).unfold(3, H=2)
    h2 = dag["h", 2]
    assert (h2.op, h2.time, h2.name, h2.shape) == ("add", 2, "h[2]", (2,))
    product, two = h2.args
    assert (product.op, product.name, product.args) == ("mul", None, [dag["h", 1], dag["x", 2]])
    assert (two.value, two.time, two.shape) == (2, None, ())
    assert dag["h", 0].name == "h[0]"
    assert dag["h", 0].args == [dag["p"]]
    assert dag["x", 1].name == "x"
    assert dag["p"].name == "p"
    assert dag["s"].name == "s"
    assert dag["k"].op == "input"
    assert dag.inputs == ["x", "k"]
    assert len(dag.nodes) == len(dag) == len(list(dag.nodes))
    assert dag.nodes[0] == dag[0] == dag[-len(dag)]
    assert dag[0] != dag[1]
    assert hash(dag[0]) == hash(dag[0])
    assert dag[0] != "a text"
    assert repr(h2) == f"<h[2] #{h2.id}>"
    assert repr(dag) == f"<Dag circuit: {len(dag)} nodes, t = 1..3>"
    assert gg.parse("h[t]: state(H)\nh[t] = 0 * h[t-1]").unfold(1)["h", 1].shape != (3,)


def test_views_that_are_none() -> None:
    dag = gg.parse("h[0] = 1\nh[t] = h[t-1]\ns = h[tau]").unfold(3)
    with pytest.raises(DataError, match="h has no instance at step 4") as caught:
        dag["h", 4]
    assert caught.value.remedy == "its steps are 1..3, 0"
    with pytest.raises(DataError, match="h has a step"):
        dag["h"]
    with pytest.raises(DataError, match="s is static"):
        dag["s", 1]
    with pytest.raises(UnknownNameError):
        dag["q"]
    with pytest.raises(DataError, match="there is no node"):
        dag[99]


@given(circuits("rational"), st.integers(0, 3))
def test_pickling(drawn: Drawn, seed: int) -> None:
    dag = unfolded(drawn)
    if dag is None:
        return
    again = pickle.loads(pickle.dumps(dag))
    for field in ("kinds", "times", "starts", "args"):
        np.testing.assert_array_equal(getattr(again, field), getattr(dag, field))
    assert again.templates == dag.templates
    values = drawn.values(seed)
    assert again.evaluate(values)["loss"] == dag.evaluate(values)["loss"]


def test_to_networkx_has_the_same_nodes_and_edges() -> None:
    pytest.importorskip("graphgrad.export")
    dag = gg.cells.load("lstm").unfold(3)
    graph = dag.to_networkx()
    assert len(graph) == len(dag)
    assert graph.number_of_edges() == len(dag.args)


# -- size ------------------------------------------------------------------------------------------


def test_memory_of_a_node() -> None:
    for name in ("lstm", "encoder_decoder", "hidden_markov_model", "bidirectional"):
        dag = gg.cells.load(name).unfold(1000)
        assert dag.nbytes / len(dag) < 100
        assert dag.grad().nbytes / len(dag.grad()) < 100


def test_more_nodes_than_can_be_numbered() -> None:
    c = gg.parse("h[t] = h[t-1] + 1\ng[t] = h[t] + 1\nf[t] = g[t] + 1")
    with pytest.raises(DataError, match="more than 2,147,483,647 nodes"):
        c.unfold(2**31 - 2)


LONG = {
    "forward": "h[t] = tanh(w * h[t-1] + x[t])\nloss = sum(h[t] ** 2 for t in steps)",
    "backward": "h[t] = tanh(w * h[t+1] + x[t])\nloss = h[1] ** 2",
    "skewed": "h[t] = w * b[t+1] + x[t]\nb[t] = sin(h[t-2])\nloss = h[tau]",
}


@pytest.mark.slow
@pytest.mark.parametrize("direction", LONG)
def test_a_hundred_thousand_steps(direction: str) -> None:
    """Nothing recurses: unfold, evaluate, differentiate and pickle a very long sequence."""
    tau = 100_000
    circuit = gg.parse(f"x[t]: input()\nw: param()\n{LONG[direction]}")
    dag = circuit.unfold(tau)
    values = {"w": np.float64(0.7), "x": np.sin(np.arange(tau))}
    backward = dag.grad()
    found = backward.evaluate(values, outputs=["loss", "d_w"])
    step = 1e-30
    moved = dag.evaluate({"w": np.complex128(0.7 + 1j * step), "x": values["x"] + 0j},
                         outputs=["loss"])["loss"]  # fmt: skip
    assert found["loss"] == pytest.approx(moved.real, rel=1e-12)
    assert found["d_w"] == pytest.approx(moved.imag / step, rel=1e-9)
    again = pickle.loads(pickle.dumps(backward))
    assert len(again) == len(backward)
    assert again["h", tau].args


def test_ops_of_unfolded_graphs_all_have_a_meaning() -> None:
    for name in gg.cells.names():
        dag = gg.cells.load(name).unfold(2)
        for template in dag.templates:
            assert template.op is OPS[template.op.name]
