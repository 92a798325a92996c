"""Gradients of generated circuits against forward mode, exactly, and against complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import DomainError
from tests.autodiff.derivatives import complex_step, parts
from tests.drawn import SIZES, Drawn
from tests.naive import Dual, DualAlgebra, EmptyMean, Naive, lifted
from tests.strategies import circuits


def forward_mode(drawn: Drawn, values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The gradient of the loss by dual numbers through the naive evaluation."""
    circuit = gg.parse(drawn.text())
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    naive = Naive(circuit, drawn.steps, SIZES, duals)
    for variable in drawn.variables:  # a mean over no step is one though no loss reads it
        naive.stacked(variable.name)
    loss = Dual.of(naive.value("loss"))
    return {name: parts(loss, name, values[name]) for name in names}


@given(circuits("rational", wide=True), st.integers(0, 3))
def test_gradient_against_forward_mode_exactly(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        expected = forward_mode(drawn, values, names)
    except EmptyMean:
        with pytest.raises(DomainError):
            circuit.unfold(drawn.steps)
        return
    found = circuit.unfold(drawn.steps, **SIZES).grad(wrt=names).evaluate(values)
    for name in names:
        assert np.all(np.asarray(found["d_" + name]) == expected[name]), name


@given(circuits("polynomial", components=2, max_steps=3, wide=True), st.integers(0, 3))
def test_second_order_against_forward_over_reverse_exactly(drawn: Drawn, seed: int) -> None:
    """The gradient of d_k, by reverse mode twice and by dual numbers through reverse mode."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        first = circuit.unfold(drawn.steps, **SIZES).grad(wrt=names)
    except DomainError:
        return
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    slope = Dual.of(first.evaluate(duals, over=DualAlgebra(), outputs=["d_k"])["d_k"])
    found = first.grad("d_k", wrt=names).evaluate(values)
    for name in names:
        expected = parts(slope, name, values[name])
        assert np.all(np.asarray(found["dd_" + name]) == expected), name


def generic(value: Any) -> Any:
    """Numbers near drawn ones, such that no sum of products of them is at a kink by accident."""
    drawn = np.asarray(value, float) / 2
    return drawn + 0.0137 * np.cos(1 + np.arange(drawn.size)).reshape(drawn.shape)


@given(circuits("smooth", components=2, wide=True), st.integers(0, 3))
def test_smooth_circuits_against_complex_step(drawn: Drawn, seed: int) -> None:
    values = {n: v if n == "n" else generic(v) for n, v in drawn.values(seed).items()}
    try:
        # an imaginary step goes through what stop_gradient holds back
        dag = gg.parse(drawn.text().replace("stop_gradient", "")).unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    found = dag.grad().evaluate(values)
    loss = found["loss"]
    if not np.isfinite(loss) or abs(loss) > 1e6:
        return
    for name in ("k", "w", "W"):
        expected = complex_step(dag, values, name)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found["d_" + name], expected, rtol=1e-9, atol=1e-9 * scale)
