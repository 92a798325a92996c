"""Contributions by loss step and use step: exact, complete, and where they are counted."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad import labelled
from graphgrad.contributions import Contributions
from graphgrad.errors import DomainError
from graphgrad.evaluate import prepared
from graphgrad.labelled import LabelledSweep, merged
from tests.drawn import SIZES, Drawn
from tests.naive_contributions import NaiveContributions
from tests.strategies import circuits
from tests.truncated import contributions_keep, same

SCALAR = "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)\n"
HALF = Fraction(1, 2)


def table(text: str, steps: Any, **values: Any) -> Any:
    """The contributions of w, exactly."""
    return gg.parse(text).unfold(steps).contributions(values)["w"]


def test_the_scalar_network_by_hand() -> None:
    # h = 1, 5/2, 17/4, 49/8; what the loss at s adds through the use at t is w**(s - t) · h[t-1]
    found = table(SCALAR, 4, w=HALF, x=[1, 2, 3, 4])
    h = [Fraction(1), Fraction(5, 2), Fraction(17, 4)]
    expected = [
        [0, 0, 0, 0],
        [0, h[0], 0, 0],
        [0, HALF * h[0], h[1], 0],
        [0, HALF**2 * h[0], HALF * h[1], h[2]],
    ]
    assert same(found, expected)


def test_a_loss_that_is_read_at_the_end_enters_there() -> None:
    text = SCALAR.replace("sum(h[t] for t in steps)", "h[tau]")
    found = table(text, 4, w=HALF, x=[1, 2, 3, 4])
    assert not found[:3].any()
    assert same(found[3], [0, Fraction(1, 4), Fraction(5, 4), Fraction(17, 4)])


@given(circuits("rational", max_steps=8), st.integers(0, 3))
def test_contributions_against_the_equations(drawn: Drawn, seed: int) -> None:
    """Entry by entry, over Fractions, against forward mode by recursion on the equations."""
    circuit, values = gg.parse(drawn.text()), drawn.values(seed)
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    found = contributions_keep(dag, values)
    naive = NaiveContributions(circuit, drawn.steps, SIZES, values, wrt=list(circuit.params))
    for name, entries in found.items():
        assert same(entries, naive.table("loss", name)), name


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        # a use inside the loss, at the step of its term
        ("h[t] = x[t]\nloss = sum(w * h[t] for t in steps)", {(1, 1): 1, (2, 2): 2, (3, 3): 3}),
        # a use outside all steps
        ("h[t] = x[t]\nloss = sum(h[t] for t in steps) + w * w", {(3, 3): 2 * HALF}),
        # before the steps: counted where the result is read
        ("p = 4 * w\nh[t] = h[t-1] + p * x[t]\nloss = h[tau]", {(3, 1): 4, (3, 2): 8, (3, 3): 12}),
        # a boundary value is read at step 1
        ("h[0] = 3 * w\nh[t] = h[t-1]\nloss = h[2] + h[3]", {(2, 1): 3, (3, 1): 3}),
        # a loss that reads a step earlier enters the recurrence there
        ("h[t] = w * x[t]\nloss = sum(x[t] * h[t-1] for t in steps)", {(1, 1): 2, (2, 2): 6}),
        # a sum inside an equation: s is where it is read, t the step of its term
        ("h[t] = sum(w * x[t] for t in steps) if t == 2 else 0\nloss = h[2]",
         {(2, 1): 1, (2, 2): 2, (2, 3): 3}),
        # a recurrence that runs backwards in time: uses after the loss
        ("g[t] = w * g[t+1] + x[t]\nloss = g[1]", {(1, 1): 2 + HALF * 3, (1, 2): HALF * 3}),
    ],
)  # fmt: skip
def test_where_a_use_is_counted(text: str, entries: dict[tuple[int, int], Any]) -> None:
    found = table("x[t]: input()\nw: param()\n" + text, 3, w=HALF, x=[1, 2, 3])
    expected = np.zeros((3, 3), object)
    for (s, t), value in entries.items():
        expected[s - 1, t - 1] = value
    assert same(found, expected), found


def test_several_time_indices_follow_each_other() -> None:
    text = (
        "s: steps(m)\nt: steps(n)\nx[s]: input()\nw: param()\nv: param()\n"
        "h[s] = w * h[s-1] + x[s]\nC = h[m]\ng[t] = v * g[t-1] + w * C\n"
        "loss = sum(g[t] for t in steps)"
    )
    circuit, values = gg.parse(text), {"w": HALF, "v": Fraction(3), "x": [1, 2]}
    dag = circuit.unfold({"s": 2, "t": 3})
    found = contributions_keep(dag, values)
    assert found.lengths == {"s": 2, "t": 3}
    assert found["w"].shape == (5, 5)
    # the loss enters in t (rows 2, 3, 4); w is used in both, v in t alone
    assert not found["w"][:2].any()
    assert found["w"][2:, :2].any()
    assert found["w"][2:, 2:].any()
    assert not found["v"][:, :2].any()
    naive = NaiveContributions(circuit, dag.tau, {}, values, wrt=["w", "v"])
    assert same(found["w"], naive.table("loss", "w"))


def test_inputs_have_an_axis_for_their_own_steps() -> None:
    text = SCALAR.replace("+ x[t]", "+ x[t] + 10 * x[t-1]")
    found = gg.parse(text).unfold(3).contributions({"w": HALF, "x": [1, 2, 3]}, wrt="x")["x"]
    assert found.shape == (3, 3, 3)
    # x[1] is used at step 1 as it is, at step 2 tenfold; the loss at 3 sees w² and 10·w of it
    assert same(found[2, :, 0], [HALF**2, 10 * HALF, 0])
    assert same(found.sum(axis=(0, 1)), [HALF**2 + HALF + 1 + 10 * (HALF + 1), HALF + 11, 1])


def test_over_sympy() -> None:
    found = gg.parse(SCALAR).unfold(3).contributions({}, over="sympy")["w"]
    w, x1 = sympy.symbols("w x_1", real=True)
    assert sympy.expand(found[2, 1] - w * x1) == 0
    dag = gg.parse(SCALAR).unfold(3)
    whole = dag.grad().evaluate({}, over="sympy")["d_w"]
    assert sympy.expand(found.sum() - whole) == 0


def data(name: str, tau: int, batch: tuple[int, ...] = ()) -> tuple[gg.Circuit, dict[str, Any]]:
    circuit = gg.cells.load(name)
    sizes = {size: 2 + k for k, size in enumerate(circuit.sizes)}
    return circuit, circuit.init(0, **sizes) | circuit.example(0, tau, batch, **sizes)


@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional", "many_to_many", "graves"])
def test_floats(name: str) -> None:
    circuit, values = data(name, 6)
    dag = circuit.unfold(6)
    found, gradients = dag.contributions(values), dag.grad().evaluate(values)
    for parameter, entries in found.items():
        assert entries.shape == (6, 6, *values[parameter].shape)
        np.testing.assert_allclose(
            entries.sum(axis=(0, 1)), gradients[f"d_{parameter}"], rtol=1e-12, atol=1e-14
        )
    norms = dag.contributions(values, norms=True)
    assert norms.norms
    for parameter, entries in found.items():
        flat = entries.reshape(6, 6, -1)
        np.testing.assert_allclose(norms[parameter], np.linalg.norm(flat, axis=-1), rtol=1e-12)


def test_norms_where_a_parameter_is_used_before_the_steps() -> None:
    text = "x[t]: input(H)\nA: param(H, H)\nP = softmax(A)\nh[t] = P @ h[t-1] + P @ (A @ x[t])\n"
    dag = gg.parse(text + "loss = sum(sum(h[t]) for t in steps)").unfold(4)
    source = np.random.default_rng(0)
    values = {"A": source.normal(size=(3, 3)), "x": source.normal(size=(4, 3))}
    full = dag.contributions(values, wrt=["A", "x"])
    norms = dag.contributions(values, wrt=["A", "x"], norms=True)
    for name in ("A", "x"):
        expected = np.linalg.norm(full[name].reshape(4, 4, -1), axis=-1)
        np.testing.assert_allclose(norms[name], expected, rtol=1e-12)


def test_a_batch_is_its_examples() -> None:
    circuit, values = data("elman", 3, (2,))
    found = circuit.unfold(3).contributions(values, wrt=["W", "x"])
    for example in range(2):
        single = {n: v[:, example] if n in circuit.inputs else v for n, v in values.items()}
        own = circuit.unfold(3).contributions(single, wrt=["W", "x"])
        np.testing.assert_allclose(found["W"][:, :, example], own["W"], rtol=1e-12)
        np.testing.assert_allclose(found["x"][:, :, :, example], own["x"], rtol=1e-12)
    summed = found["W"].sum(axis=(0, 1))
    expected = circuit.unfold(3).grad().evaluate(values)["d_W"]
    np.testing.assert_allclose(summed, expected, rtol=1e-12)


def test_float32_stays_float32() -> None:
    values = {"w": np.float32(0.5), "x": np.ones(3, np.float32)}
    assert gg.parse(SCALAR).unfold(3).contributions(values)["w"].dtype == np.float32


def test_a_graph_that_has_gradients_already() -> None:
    """The derivative of d_w by w is 2·dh/dw summed: second order, on the backward nodes too."""
    dag = gg.parse(SCALAR).unfold(3).grad()
    values = {"w": HALF, "x": [1, 2, 3]}
    found = dag.contributions(values, loss="d_w")["w"].sum()
    # loss = Σ_j w^(t-j) x_j, so that loss'' is x_1 · 2 alone
    assert found == 2


def test_one_sweep_over_restricted_steps() -> None:
    """At step t only the losses from t on have arrived: no cotangent has more parts than that."""
    dag = gg.parse(SCALAR).unfold(50)
    sweep = LabelledSweep(dag, "loss", None)
    seen: Counter[int] = Counter()

    class Counting:
        def add(self, s: Any, t: Any, at: int, data: Any, user: int) -> None:
            assert s.tolist() == list(range(user, 51))
            seen[user] += 1

        def result(self) -> None:
            return None

    values = prepared(dag, {"w": 0.5, "x": np.ones(50)}, None)
    sweep.run(values, {"w": Counting()})
    assert seen == Counter(range(2, 51))  # at step 1, h[0] = 0 is a number


def test_labels_are_merged() -> None:
    labels, data = merged(
        [(np.array([3, 1]), np.array([[1], [2]])), (np.array([1, 2]), np.array([[4], [8]]))]
    )
    assert labels.tolist() == [1, 2, 3]
    assert data.tolist() == [[6], [8], [1]]


def test_too_much_is_refused_with_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = gg.cells.load("elman")
    sizes = dict.fromkeys(circuit.sizes, 500)
    values = circuit.init(0, **sizes) | circuit.example(0, 200, **sizes)
    with pytest.raises(gg.DataError, match=r"80,000,000,000 bytes[^$]*norms=True"):
        circuit.unfold(200).contributions(values, wrt=["W"])


def test_what_is_used_before_the_steps_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """There all use steps are open at once: 36 pairs of 16 numbers, 128 bytes each."""
    text = "x[t]: input(H)\nA: param(H, H)\nP = 2 * A\nh[t] = P @ h[t-1] + A @ x[t]\n"
    dag = gg.parse(text + "loss = sum(sum(h[t]) for t in steps)").unfold(8)
    values = {"A": np.ones((4, 4)), "x": np.ones((8, 4))}
    monkeypatch.setattr(labelled, "MAX_BYTES", 4000)
    with pytest.raises(gg.DataError, match=r"static values contribute would take 4,\d{3} bytes"):
        dag.contributions(values, norms=True)
    monkeypatch.setattr(labelled, "MAX_BYTES", 5000)
    with pytest.raises(gg.DataError, match="used before the steps would take 9,216 bytes"):
        dag.contributions(values, norms=True)


def test_bad_requests() -> None:
    dag = gg.parse(SCALAR).unfold(2)
    values = {"w": 0.5, "x": np.ones(2)}
    with pytest.raises(gg.UnknownNameError):
        dag.contributions(values, wrt=["v"])
    with pytest.raises(gg.GradientError, match="one number"):
        dag.contributions(values, loss="h")
    with pytest.raises(gg.GradientError, match="there is no cost"):
        dag.contributions(values, loss="cost")
    with pytest.raises(gg.DataError, match="square roots"):
        dag.contributions({"w": HALF, "x": [1, 2]}, norms=True)
    with pytest.raises(gg.DataError, match="no value"):
        dag.contributions({"w": 0.5})


def test_what_does_not_matter_contributes_nothing() -> None:
    text = SCALAR + "v: param()\nu[t] = v * x[t]\n"
    found = gg.parse(text).unfold(2).contributions({"w": 0.5, "v": 2.0, "x": np.ones(2)})
    assert isinstance(found, Contributions)
    assert not found["v"].any()
