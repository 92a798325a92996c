"""Systems: shapes found through the recurrence, and what a checked circuit looks like."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given

import graphgrad as gg
from graphgrad.errors import GraphgradError, ShapeError
from graphgrad.ir import OPS
from graphgrad.system import infer_types
from tests.drawn import Drawn
from tests.strategies import circuits


def shapes(text: str) -> dict[str, str]:
    circuit = gg.parse(text)
    return {name: f"({', '.join(map(str, v.shape))})" for name, v in circuit.variables.items()}


D = "W: param(H, H)\nU: param(H, D)\nV: param(K, H)\nb: param(H)\nk: param()\nx[t]: input(D)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h[t] = tanh(W @ h[t-1])", {"h": "(H)"}),
        ("h[t] = W @ h[t-1] + U @ x[t]", {"h": "(H)"}),
        ("h[t] = k * h[t-1] + b", {"h": "(H)"}),
        ("h[t] = k * h[t-1] + 1", {"h": "()"}),
        ("h[t] = h[t-1]", {"h": "()"}),
        ("h[0] = b\nh[t] = h[t-1]", {"h": "(H)"}),
        ("h[0] = b\nh[t] = k * h[t-1]", {"h": "(H)"}),
        ("h[0] = 1\nh[-1] = b\nh[t] = h[t-2]", {"h": "(H)"}),
        ("h[tau+1] = x[1]\nh[t] = h[t+1]", {"h": "(D)"}),
        ("a[t] = o[t-1]\no[t] = V @ c[t]\nc[t] = tanh(W @ c[t-1])",
         {"a": "(K)", "o": "(K)", "c": "(H)"}),
        ("a[t] = d[t-1] * 2\nd[t] = a[t] + e[t]\ne[t] = 2 * a[t] + b", dict.fromkeys("ade", "(H)")),
        ("M[t] = outer(b, x[t]) + k * M[t-1]", {"M": "(H, D)"}),
        ("M[t] = W @ M[t-1] + W", {"M": "(H, H)"}),
        ("M[t]: state(H, K)\nM[t] = W @ M[t-1]", {"M": "(H, K)"}),
        ("h[t]: state(H)\nh[t] = 0 * h[t-1]", {"h": "(H)"}),
        ("h[t] = (b if t == 1 else h[t-1])", {"h": "(H)"}),
        ("h[t] = (h[t-1] if t > 1 else 0) + (b if t == 3 else 0)", {"h": "(H)"}),
        ("h[t] = where(h[t-1] > 0, h[t-1], b)", {"h": "(H)"}),
        ("h[t] = maximum(0, h[t-1] + b)", {"h": "(H)"}),
        ("h[t] = tanh(concat(W @ h[t-1], x[t]) @ ones(H+D)) * b", {"h": "(H)"}),
        ("z[t] = concat(h[t-1], x[t])\nh[t] = tanh(U @ split(z[t], H, D)[1])",
         {"z": "(D+H)", "h": "(H)"}),
        ("s = sum(h[t] for t in steps)\nh[t] = W @ b", {"s": "(H)", "h": "(H)"}),
        ("s = mean(sum(h[t]) for t in steps)\nh[t] = W @ b", {"s": "()", "h": "(H)"}),
        ("y = h[tau]\nh[t] = tanh(W @ h[t-1] + b)", {"y": "(H)", "h": "(H)"}),
        ("q[t]: token(N)\nE: param(N, H)\nh[t] = E[q[t]] + h[t-1]", {"h": "(H)"}),
        ("q[t]: token(N)\nE: param(N)\nh[t] = E[q[t]] + h[t-1]", {"h": "()"}),
        ("q[t]: token(N)\no[t] = onehot(q[t])", {"o": "(N)"}),
        ("A = V @ W.T\nB = A.T\nC = V.T @ V", {"A": "(K, H)", "B": "(H, K)", "C": "(H, H)"}),
        ("p = softmax(W)\nl = logsumexp(b)\nm = max(W)", {"p": "(H, H)", "l": "()", "m": "()"}),
        ("i[t], f[t] = split(concat(b, b), 2)", {"i": "(H)", "f": "(H)", "v1": "(2*H)"}),
    ],
)  # fmt: skip
def test_inference(text: str, expected: dict[str, str]) -> None:
    found = shapes(D + text)
    assert {name: found[name] for name in expected if name in found} == {
        name: shape for name, shape in expected.items() if name in found
    }
    assert set(expected) - {"v1"} <= set(found)


def test_inference_does_not_depend_on_the_order_written() -> None:
    lines = ["a[t] = o[t-1]", "o[t] = V @ c[t]", "c[t] = tanh(W @ c[t-1] + s)", "s = b * g[tau]",
             "g[t] = g[t-1] + k"]  # fmt: skip
    expected = shapes(D + "\n".join(lines))
    for shift in range(1, len(lines)):
        assert shapes(D + "\n".join(lines[shift:] + lines[:shift])) == expected
        assert shapes(D + "\n".join((lines[shift:] + lines[:shift])[::-1])) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h[t] = W @ h[t-1] + V.T @ h[t-1]", "@ does not fit: (H, K) @ (H)"),
        ("h[0] = x[1]\nh[t] = tanh(W @ h[t-1] + b)", "elsewhere it is"),
        ("h[t] = b + x[t]", "+ does not fit: (H) with (D)"),
        ("h[t]: state(K)\nh[t] = tanh(W @ h[t-1])", "does not fit"),
        ("s: state(H)\ns = V @ b", "elsewhere it is (H)"),
        ("h[t] = 1\nh[0] = b\ng[t] = h[t-1]", "is a scalar, elsewhere it is (H)"),
        ("n[t]: token(K)\nn[0] = 1\ng[t] = n[t-1]", "a variable cannot be a token(K)"),
        (
            "n[t]: token(K)\nq[0] = 2\nq[t] = n[t]\ng[t] = V[q[t-1]]",
            "a variable cannot be a token(K)",
        ),
    ],
)
def test_conflicts_are_reported_where_they_are(text: str, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        gg.parse(D + text)
    assert message in caught.value.message
    assert caught.value.place is not None
    assert caught.value.place.line > D.count("\n")
    assert caught.value.remedy


@given(circuits("smooth"))
def test_generated_shapes(drawn: Drawn) -> None:
    circuit = gg.parse(drawn.text())
    system = circuit.check()
    for variable in drawn.variables:
        assert tuple(map(str, system.variables[variable.name].shape)) == variable.shape
    types = infer_types(circuit.declared())
    assert types == {name: v.shape for name, v in system.variables.items()}


@given(circuits("smooth"))
def test_the_typed_graph_is_in_order(drawn: Drawn) -> None:
    system = gg.parse(drawn.text()).check()
    for position, node in enumerate(system.graph.nodes):
        assert all(arg < position for arg in node.args)
    assert len(system.spaces) == len(system.graph) == len(system.graph.places)
    for name, root in system.roots.items():
        assert system.graph.nodes[root].type == system.variables[name].shape
        below = system.below(root)
        assert below[-1] == root
        assert all(arg in below for node in below for arg in system.graph.nodes[node].args)


def test_implied_steps_are_made_explicit() -> None:
    c = gg.parse("k: param()\nb: param(H)\ny[t]: token(H)\nh[0] = k\nh[t] = (b if t > 1 else 0)"
                 " + h[t-1]\nL[t] = softmax_cross_entropy(h[t], y[t])")  # fmt: skip
    ops = [node.op.name for node in c.check().graph.nodes]
    assert ops.count("expand") == 1, "the boundary"
    assert ops.count("fill") == 1, "the zero of the choice"
    assert ops.count("onehot") == 1, "the token target"


def test_systems_travel() -> None:
    system = gg.cells.load("lstm").check()
    again = pickle.loads(pickle.dumps(system))
    assert again.graph.nodes == system.graph.nodes
    assert again.variables == system.variables
    assert again.components == system.components


def test_reading_a_system() -> None:
    system = gg.cells.load("elman").check()
    assert str(system.type_of("x")) == "(Dim(D),)"
    assert system.index_of("h") == "t"
    assert system.index_of("loss") is None
    assert system.definition("h").op is OPS["tanh"]
    with pytest.raises(GraphgradError):
        gg.parse("h[t]: state(H)\ng[t] = 1")
