"""The square: unfolding the adjoint and reverse mode on the unfolded graph agree exactly."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import DomainError
from tests.naive import DualAlgebra, lifted
from tests.strategies import SIZES, Drawn, circuits


def quietly(circuit: gg.Circuit, **options: Any) -> gg.Circuit:
    """The adjoint, without the warning that a gradient is zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return circuit.adjoint(**options)


def agree(found: dict[str, Any], expected: dict[str, Any], names: list[str]) -> None:
    for name in names:
        one, other = np.asarray(found[name], object), np.asarray(expected[name], object)
        assert one.shape == other.shape, name
        assert np.all(one == other), name


@given(circuits("rational"), st.integers(0, 3))
def test_the_square(drawn: Drawn, seed: int) -> None:
    """Every gradient, and every cotangent that both have, at every step, over Fractions."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    expected = dag.grad(wrt=names).evaluate(values)
    adjoint = quietly(circuit, wrt=names)
    found = adjoint.unfold(drawn.steps, **SIZES).evaluate(values)
    agree(found, expected, [f"d_{name}" for name in names])
    shared = [f"d_{v.name}" for v in drawn.variables]
    agree(found, expected, [name for name in shared if name in found and name in expected])


@given(circuits("rational"))
def test_the_adjoint_is_a_circuit_like_any_other(drawn: Drawn) -> None:
    circuit = gg.parse(drawn.text())
    adjoint = quietly(circuit)
    assert gg.parse(str(adjoint)) == adjoint
    assert not any(key.name.startswith("d_") for key in adjoint.boundaries)
    for name, param in circuit.params.items():
        assert adjoint.variables[f"d_{name}"].shape == param.shape
    assert list(adjoint.equations)[: len(circuit.equations)] == list(circuit.equations)


@given(circuits("rational", components=2), st.integers(0, 3))
def test_guards_are_left_out_only_where_they_change_nothing(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    try:
        circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    smart, always = (
        quietly(circuit, guard=guard).unfold(drawn.steps, **SIZES).evaluate(values)
        for guard in ("smart", "always")
    )
    agree(smart, always, [f"d_{name}" for name in circuit.params])


@given(circuits("polynomial", components=2, max_steps=3), st.integers(0, 3))
def test_second_order(drawn: Drawn, seed: int) -> None:
    """The adjoint of the adjoint against dual numbers through reverse mode."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = list(circuit.params)
    try:
        first = circuit.unfold(drawn.steps, **SIZES).grad()
    except DomainError:
        return
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    slope = first.evaluate(duals, over=DualAlgebra(), outputs=["d_k"])["d_k"]
    parts = getattr(slope, "parts", {})
    second = quietly(quietly(circuit), loss="d_k")
    found = second.unfold(drawn.steps, **SIZES).evaluate(values)
    for name in names:
        gradient = np.asarray(found[f"dd_{name}"], object)
        for position in np.ndindex(*gradient.shape):
            assert gradient[position] == parts.get((name, *position), 0), name


@given(circuits("smooth", components=2), st.integers(0, 3))
def test_the_square_with_transcendental_functions(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = {n: v if n == "n" else np.asarray(v, float) / 2 for n, v in drawn.values(seed).items()}
    try:
        dag = circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    expected = dag.grad().evaluate(values)
    found = quietly(circuit).unfold(drawn.steps, **SIZES).evaluate(values)
    for name in circuit.params:
        one, other = found[f"d_{name}"], expected[f"d_{name}"]
        if np.isfinite(other).all() and np.abs(other).max() < 1e6:
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v[t] = 2 * w\nloss = sum(v[t] for t in steps)", 6),
        ("v[t] = 2 * w\nloss = mean(v[t] for t in steps)", 2),
        ("v[t] = w / (1 + w ** 2)\nloss = sum(v[t] for t in steps)", 3 * (1 - 9) / 100),
        ("loss = sum(w for t in steps)", 3),
        ("loss = sum(w for t in steps if t > 1)", 2),
        ("v[t] = w if t == 1 else 5 * w\nloss = sum(v[t] for t in steps)", 11),
        ("v[t] = v[t-1]\nloss = sum(v[t] for t in steps if t == 0) + w", 1),
        ("p = w * w\nv[t] = p\nloss = v[1] + v[tau]", 2 * 2 * 3.0),
    ],
)
def test_what_does_not_vary_is_counted_at_every_step(text: str, expected: float) -> None:
    circuit = gg.parse("w: param()\n" + text)
    found = quietly(circuit).unfold(3).evaluate({"w": 3.0})["d_w"]
    assert found == pytest.approx(expected, rel=1e-14)
    other = circuit.unfold(3).grad().evaluate({"w": 3.0})["d_w"]
    assert other == pytest.approx(expected, rel=1e-14)


def test_a_cotangent_of_unknown_shape_is_declared() -> None:
    circuit = gg.parse(
        "u: param(K)\nv[t] = v[t-1] + u\nloss = sum(sum(v[t-1]) for t in steps if t == 0)"
    )
    adjoint = circuit.adjoint()
    assert [str(dim) for dim in adjoint.variables["d_u"].shape] == ["K"]
    np.testing.assert_array_equal(adjoint.unfold(2).evaluate({"u": np.ones(3)})["d_u"], np.zeros(3))
