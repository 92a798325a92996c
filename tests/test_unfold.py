"""Unfolding against a naive evaluation of the equations, and what it costs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import BoundaryError, DataError, DomainError
from graphgrad.ir import OPS
from graphgrad.unfold import Dag
from tests.drawn import SIZES, Drawn
from tests.naive import EmptyMean, Naive
from tests.strategies import circuits


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
