# ruff: noqa: RUF059
"""Circuits written in Python: the same power as the notation, and what they share and keep."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import graphgrad as gg
from graphgrad import Circuit, concat, outer, softmax, t, tanh, tau
from graphgrad.errors import ShapeError

TEXTS = {name: gg.cells.path(name).read_text(encoding="utf-8") for name in gg.cells.names()}


def small() -> tuple[Circuit, Any, Any, Any]:
    c = Circuit("small")
    return c, c.input("x", "D", index=t), c.param("W", "D", "D"), c.var("h")


# -- the same circuits -----------------------------------------------------------------------------


def test_lstm_by_a_loop_over_gates() -> None:
    c = Circuit("lstm")
    x, y = c.input("x", "D", index=t), c.distribution("y", "K", index=t)
    h, cell = c.var("h"), c.var("c")
    gates = {}
    for k in "ifog":
        W, U, b = c.param(f"W_{k}", "H", "H"), c.param(f"U_{k}", "H", "D"), c.param(f"b_{k}", "H")
        gates[k] = c.var(k)
        squash = tanh if k == "g" else gg.sigmoid
        gates[k][t] = squash(b + W @ h[t - 1] + U @ x[t])
    V, b_y = c.param("V", "K", "H"), c.param("b_y", "K")
    cell[t] = gates["f"][t] * cell[t - 1] + gates["i"][t] * gates["g"][t]
    h[t] = gates["o"][t] * tanh(cell[t])
    c.var("yhat")[t] = softmax(b_y + V @ h[t])
    c["loss"] = gg.sum(gg.cross_entropy(c["yhat"][t], y[t]), over=t)
    assert c == gg.parse(TEXTS["lstm"])


def test_encoder_decoder() -> None:
    c = Circuit()
    s = c.steps("s", "m")
    c.steps("t", "n")
    x, y = c.token("x", "N", index=s), c.token("y", "K", index=t)
    E, W, Q = c.param("E", "N", "H"), c.param("W", "H", "H"), c.param("Q", "G", "H")
    F, R, S = c.param("F", "K", "G"), c.param("R", "G", "G"), c.param("S", "G", "H")
    V, b = c.param("V", "K", "G"), c.param("c", "K")
    h = c.var("h", index=s)
    h[s] = tanh(W @ h[s - 1] + E[x[s]])
    c["C"] = h[gg.index("m")]
    y[0] = 0
    g = c.var("g", index=t)
    g[0] = tanh(Q @ c["C"])
    g[t] = tanh(R @ g[t - 1] + F[y[t - 1]] + S @ c["C"])
    o = c.var("o", index=t)
    o[t] = b + V @ g[t]
    c["loss"] = gg.sum(gg.softmax_cross_entropy(o[t], y[t]), over=t)
    assert c == gg.parse(TEXTS["encoder_decoder"])


def test_boundaries_choices_conditions_and_constants() -> None:
    c = Circuit()
    p = c.param("p", "H")
    h, g = c.state("h", "H"), c.var("g")
    h[0] = p
    h[-1] = 2
    h[tau + 1] = gg.zeros("H") + gg.ones("H") + gg.onehot(1, "H")
    h[t] = gg.choose((t == tau) | ~(t % 2 == 0), h[t - 1] * h[t - 2], 0)
    g[t] = h[t + 1] / tau + gg.where(gg.at(h[t], 0) > 0, 1, -1)
    c["s"] = gg.mean(g[t], over=t, where=(t > 1) & (t < tau)) + gg.max(h[tau - 1])
    assert c == gg.parse(
        "p: param(H)\nh[t]: state(H)\nh[0] = p\nh[-1] = 2\n"
        "h[tau+1] = zeros(H) + ones(H) + onehot(1, H)\n"
        "h[t] = h[t-1] * h[t-2] if t == tau or t % 2 != 0 else 0\n"
        "g[t] = h[t+1] / tau + where(at(h[t], 0) > 0, 1, -1)\n"
        "s = mean(g[t] for t in steps if t > 1 and t < tau) + max(h[tau-1])"
    )


def test_split_in_python() -> None:
    c = Circuit()
    z = c.input("z", "4*H", index=t)
    i, f, o, g = gg.split(z[t], 4)
    c.var("a")[t] = i * f + o * g
    k = c.param("k", "H+K")
    u, v = gg.split(k, "H", "K")
    c["b"] = gg.sum(u) + gg.sum(v)
    assert c == gg.parse(
        "z[t]: input(4*H)\nk: param(H+K)\n"
        "a[t] = split(z[t], 4)[0] * split(z[t], 4)[1] + split(z[t], 4)[2] * split(z[t], 4)[3]\n"
        "b = sum(split(k, H, K)[0]) + sum(split(k, H, K)[1])"
    )


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_gallery_survives_printing_pickling_and_copying(name: str) -> None:
    circuit = gg.cells.load(name)
    again = gg.parse(str(circuit))
    assert again == circuit
    assert hash(again) == hash(circuit)
    assert str(again) == str(circuit)
    for other in (pickle.loads(pickle.dumps(circuit)), circuit.copy(), copy.deepcopy(circuit)):
        assert other == circuit
        assert other.name == circuit.name
        assert str(other) == str(circuit)


# -- sharing ---------------------------------------------------------------------------------------


def test_an_expression_used_twice_gets_a_name() -> None:
    c, x, W, h = small()
    shared = W @ x[t] + h[t - 1]
    h[t] = tanh(shared) * shared
    c["loss"] = gg.sum(gg.sum(h[t]), over=t)
    assert list(c.equations) == ["v1", "h", "loss"]
    assert [str(e) for e in c.equations.values()][:2] == [
        "v1[t] = W @ x[t] + h[t-1]",
        "h[t] = tanh(v1[t]) * v1[t]",
    ]
    assert gg.parse(str(c)) == c


def test_names_for_shared_expressions_avoid_taken_ones() -> None:
    c, x, W, h = small()
    c.param("v1")
    shared = tanh(x[t])
    h[t] = shared * shared
    assert list(c.equations) == ["v2", "h"]


def test_a_shared_static_expression_is_a_static_variable() -> None:
    c, x, W, h = small()
    square = W @ W
    h[t] = square @ x[t] + square @ h[t - 1]
    assert str(c.equations["v1"]) == "v1 = W @ W"
    assert c.equations["v1"].index is None


def test_a_root_that_is_used_again_is_read_by_its_name() -> None:
    c, x, W, h = small()
    a = tanh(x[t])
    h[t] = a
    c.var("g")[t] = a + 1
    assert [str(e) for e in c.equations.values()] == ["h[t] = tanh(x[t])", "g[t] = h[t] + 1"]


def test_equal_roots_stay_apart() -> None:
    """A root used for two variables is one of them and its copy: p[t] = q[t] has its own node."""
    c, x, W, h = small()
    a = tanh(x[t])
    h[t] = a
    c.var("g")[t] = a
    assert str(c.equations["g"]) == "g[t] = h[t]"
    assert len(c.unfold(2).series["g"].nodes) == 2


def test_sharing_between_an_equation_and_a_boundary() -> None:
    c, x, W, h = small()
    start = gg.sum(W) * 2
    h[0] = start
    h[t] = start * h[t - 1] + x[t]
    assert list(c.equations) == ["v1", "h"]
    assert gg.parse(str(c)) == c
    first = Circuit()
    k = first.param("k")
    g = first.var("g")
    both = k * 2
    g[0] = both
    g[-1] = both
    g[t] = g[t - 2]
    assert set(first.equations) == {"v1", "g"}
    assert gg.parse(str(first)) == first


def test_leaves_are_not_named() -> None:
    c, x, W, h = small()
    read = x[t]
    h[t] = read * read + W @ read
    assert list(c.equations) == ["h"]


def test_a_long_chain_in_python() -> None:
    """Depth costs no recursion."""
    c = Circuit()
    k = c.param("k")
    e: Any = k
    for _ in range(20_000):
        e = e + 1
    c["out"] = e
    assert c.unfold(1).evaluate({"k": 0.5})["out"] == 20_000.5
    assert len(str(c)) > 60_000


# -- as a value -----------------------------------------------------------------------------------


def test_checks_happen_on_use_and_are_kept() -> None:
    c, x, W, h = small()
    h[t] = W @ x[t] + c.param("b", "K")
    with pytest.raises(ShapeError):
        c.check()
    with pytest.raises(ShapeError):
        c.unfold(3)
    fine, x, W, h = small()
    h[t] = W @ x[t]
    first = fine.check()
    assert fine.check() is first
    fine["loss"] = gg.sum(gg.sum(h[t]), over=t)
    assert fine.check() is not first


def test_equality() -> None:
    c = gg.parse("W: param(H)\nh[t] = W * h[t-1]")
    assert c == gg.parse("# titles do not matter\nW: param(H)\nh[t] = (W * h[t-1])")
    assert c != gg.parse("W: param(K)\nh[t] = W * h[t-1]")
    assert c != gg.parse("W: param(H)\nh[t] = h[t-1] * W")
    assert c != gg.parse("W: input(H)\nh[t] = W * h[t-1]")
    assert c != gg.parse("W: param(H)\nh[0] = 1\nh[t] = W * h[t-1]")
    assert gg.parse("h[t] = 1") != gg.parse("h[t] = 1.0")
    assert c != "a text"
    assert repr(c) == "<Circuit circuit: 1 equation>"


def test_outer_and_concat_from_the_package() -> None:
    c = Circuit()
    u, v = c.param("u", "H"), c.param("v", "K")
    c["M"] = outer(u, v)
    c["w"] = concat(u, v)
    assert [str(d) for d in c.variables["M"].shape] == ["H", "K"]
    assert [str(d) for d in c.variables["w"].shape] == ["H+K"]
