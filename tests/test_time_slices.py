"""Gradients by time slice, and their mean, which is not the gradient."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg

TIED = "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)\n"


def test_slices_of_the_tied_network_by_hand() -> None:
    dag = gg.parse(TIED).unfold(3)
    values = {"w": 0.5, "x": np.array([1.0, 2.0, 4.0])}
    # h = 1, 2.5, 5.25; the cotangents of h are 1.75, 1.5, 1; the use at step t multiplies h[t-1]
    table = gg.slices(dag, values)["w"]
    np.testing.assert_allclose(table, [0.0, 1.5 * 1.0, 1.0 * 2.5])
    assert dag.grad().evaluate(values)["d_w"] == pytest.approx(table.sum())


def test_the_mean_over_slices_is_not_the_gradient() -> None:
    dag = gg.parse(TIED).unfold(3)
    values = {"w": 0.5, "x": np.array([1.0, 2.0, 4.0])}
    mean = gg.slice_mean(dag, values)["w"]
    gradient = dag.grad().evaluate(values)["d_w"]
    assert mean == pytest.approx(gradient / 3)
    assert mean != pytest.approx(gradient)


@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional", "many_to_many", "graves"])
def test_slices_sum_to_the_gradient(name: str) -> None:
    circuit = gg.cells.load(name)
    sizes = dict.fromkeys(circuit.sizes, 2)
    values = circuit.init(0, **sizes) | circuit.example(0, 4, **sizes)
    dag = circuit.unfold(4)
    gradients = dag.grad().evaluate(values)
    for parameter, table in gg.slices(dag, values).items():
        assert table.shape == (4, *values[parameter].shape)
        np.testing.assert_allclose(table.sum(axis=0), gradients[f"d_{parameter}"], rtol=1e-12)


def test_a_use_outside_the_steps_counts_at_the_last() -> None:
    circuit = gg.parse(TIED.replace("for t in steps)", "for t in steps) + w * w"))
    values = {"w": 0.5, "x": np.array([1.0, 2.0, 4.0])}
    np.testing.assert_allclose(gg.slices(circuit.unfold(3), values)["w"], [0, 1.5, 2.5 + 2 * 0.5])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(gg.UnknownNameError):
        gg.slices(gg.parse(TIED).unfold(2), {"w": 0.5, "x": np.ones(2)}, wrt=["v"])
