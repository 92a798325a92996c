"""The unfolded graph: which nodes there are, in which order, and the views of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.conditions import holds
from graphgrad.errors import DataError, DomainError, UnknownNameError
from graphgrad.system import System
from graphgrad.unfold import STATIC, Dag
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits

LEAVES = ("param", "input", "static", "read", "at_step")


def unfolded(drawn: Drawn) -> Dag | None:
    """The unfolded graph, None where a mean over no step has no value."""
    try:
        return gg.parse(drawn.text()).unfold(drawn.steps, **SIZES)
    except DomainError:
        return None


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
    assert repr(dag.nodes) == f"<{len(dag)} nodes of circuit>"
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
