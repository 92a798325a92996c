"""Elementwise ops at the edges: overflow, kinks, exact zeros, what stops a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DomainError, NotationError

BIG = np.array([-1e308, -1000.0, -40.0, -0.0, 0.0, 40.0, 1000.0, 1e308])


def slope(text: str, **values: Any) -> tuple[Any, Any]:
    """The value of an expression in `u` and its derivative by `u`, entry by entry."""
    declared = "\n".join(
        f"{n}: {'param(H)' if np.ndim(v) else 'param()'}" for n, v in values.items()
    )
    circuit = gg.parse(f"{declared}\nout = {text}\nloss = sum(out)")
    found = circuit.unfold(1).grad().evaluate(values)
    return found["out"], found["d_u"]


@pytest.mark.parametrize(
    ("text", "value", "derivative"),
    [
        ("sigmoid(u)", [0, 0, np.exp(-40), 0.5, 0.5, 1, 1, 1],
         [0, 0, np.exp(-40), 0.25, 0.25, 0, 0, 0]),
        ("softplus(u)", [0, 0, np.exp(-40), np.log(2), np.log(2), 40, 1000, 1e308],
         [0, 0, np.exp(-40), 0.5, 0.5, 1, 1, 1]),
        ("tanh(u)", [-1, -1, -1, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0]),
        ("relu(u)", [0, 0, 0, 0, 0, 40, 1000, 1e308], [0, 0, 0, 0, 0, 1, 1, 1]),
        ("abs(u)", [1e308, 1000, 40, 0, 0, 40, 1000, 1e308], [-1, -1, -1, 0, 0, 1, 1, 1]),
    ],
)  # fmt: skip
def test_no_overflow(text: str, value: list[float], derivative: list[float]) -> None:
    found, gradient = slope(text, u=BIG)
    np.testing.assert_allclose(found, value, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(gradient, derivative, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("imaginary", [1e-30, 0.5])
@pytest.mark.parametrize("text", ["sigmoid(u)", "softplus(u)"])
def test_no_overflow_beside_the_real_axis(text: str, imaginary: float) -> None:
    circuit = gg.parse(f"u: param(H)\nout = {text}")
    points = np.array([-1000.0, -30.0, 30.0, 1000.0]) + 1j * imaginary
    found = circuit.unfold(1).evaluate({"u": points})["out"]
    small = np.exp(np.where(points.real > 0, -points, points))
    expected = {
        "sigmoid(u)": np.where(points.real > 0, 1, small) / (1 + small),
        "softplus(u)": np.where(points.real > 0, points, 0) + np.log1p(small),
    }[text]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_small_arguments_keep_their_digits() -> None:
    tiny = np.array([1e-300, -1e-300, 1e-20, -1e-20])
    for text, expected in (("tanh(u)", tiny), ("softplus(u) - softplus(0 * u)", tiny / 2)):
        found, gradient = slope(text, u=tiny)
        if text == "tanh(u)":
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(gradient, expected / tiny, rtol=1e-14)
    assert slope("softplus(u)", u=np.array([-700.0]))[0] == np.exp(-700.0)


@pytest.mark.parametrize(
    ("text", "at", "derivative"),
    [
        ("relu(u)", 0.0, 0.0),
        ("abs(u)", 0.0, 0.0),
        ("maximum(u, 2)", 2.0, 1.0),
        ("maximum(2, u)", 2.0, 0.0),
        ("minimum(u, 2)", 2.0, 1.0),
        ("minimum(2, u)", 2.0, 0.0),
        ("where(u > 2, 3 * u, 5 * u)", 2.0, 5.0),
        ("where(u >= 2, 3 * u, 5 * u)", 2.0, 3.0),
        ("where(u < 2, 3 * u, 5 * u)", 2.0, 5.0),
        ("where(u <= 2, 3 * u, 5 * u)", 2.0, 3.0),
        ("u ** 2", 0.0, 0.0),
        ("u ** 1", 0.0, 1.0),
        ("u ** 3", -2.0, 12.0),
        ("stop_gradient(u) * u", 3.0, 3.0),
        ("stop_gradient(u)", 3.0, 0.0),
    ],
)
def test_derivative_at_special_points(text: str, at: float, derivative: float) -> None:
    _, gradient = slope(text, u=np.float64(at))
    assert gradient == derivative


def test_a_constant_power_of_zero_has_a_gradient() -> None:
    """u ** 0 is the constant 1, at u = 0 too."""
    value, gradient = slope("u ** 0", u=np.array([0.0, 2.0]))
    np.testing.assert_array_equal(value, [1.0, 1.0])
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


def test_powers_of_negative_numbers() -> None:
    value, gradient = slope("u ** 3", u=np.array([-2.0, -0.5]))
    np.testing.assert_array_equal(value, [-8.0, -0.125])
    np.testing.assert_array_equal(gradient, [12.0, 0.75])


def test_where_takes_no_gradient_through_its_comparison() -> None:
    circuit = gg.parse("u: param()\nv: param()\nloss = where(u > v, 2, 3)")
    found = circuit.unfold(1).grad().evaluate({"u": 1.0, "v": 0.0})
    assert (found["loss"], found["d_u"], found["d_v"]) == (2.0, 0.0, 0.0)


def test_the_branch_not_taken_leaves_no_trace() -> None:
    """No NaN comes out of the branch that was not chosen, forwards."""
    value, _ = slope("where(u > 0, log(u), u)", u=np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(value, [-1.0, np.log(2.0)])


@pytest.mark.parametrize("text", ["u / v", "v / u", "u ** -1"])
def test_division_by_zero_over_fractions(text: str) -> None:
    circuit = gg.parse(f"u: param()\nv: param()\nout = {text}")
    from fractions import Fraction

    with pytest.raises(DomainError, match="zero"):
        circuit.unfold(1).evaluate({"u": Fraction(0), "v": Fraction(0)})


def test_where_needs_a_comparison() -> None:
    with pytest.raises(NotationError, match="where decides by a comparison"):
        gg.where(1, 2, 3)  # type: ignore[arg-type]
