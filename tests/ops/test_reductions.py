"""Reductions, softmax and losses: stability, ties, targets, and the identities they obey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg

EXTREME = [
    np.array([1000.0, -1000.0, 0.0]),
    np.array([1000.0, 1000.0, 1000.0]),
    np.array([-1000.0, -1000.0, -1001.0]),
]


def evaluate(text: str, values: dict[str, Any], declared: str = "") -> dict[str, Any]:
    lines = [f"{name}: param(H)" for name in values if f"{name}:" not in declared]
    circuit = gg.parse("\n".join([declared, *lines, text]))
    return circuit.unfold(1).grad().evaluate(values)


@pytest.mark.parametrize("u", EXTREME, ids=str)
def test_softmax_and_its_relatives_do_not_overflow(u: Any) -> None:
    r = np.array([0.5, -1.5, 2.0])
    found = evaluate(
        "p = softmax(u)\nq = log_softmax(u)\ns = logsumexp(u)\nloss = sum(r * p) + sum(r * q) + s",
        {"u": u, "r": r},
    )
    shifted = u - u.max()
    total = np.exp(shifted).sum()
    p = np.exp(shifted) / total
    np.testing.assert_allclose(found["p"], p, rtol=1e-14)
    np.testing.assert_allclose(found["q"], shifted - np.log(total), rtol=1e-14)
    np.testing.assert_allclose(found["s"], u.max() + np.log(total), rtol=1e-14)
    assert found["p"].sum() == pytest.approx(1, rel=1e-15)
    expected = p * (r - r @ p) + (r - p * r.sum()) + p
    np.testing.assert_allclose(found["d_u"], expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("u", EXTREME, ids=str)
def test_losses_of_logits_do_not_overflow(u: Any) -> None:
    y = np.array([0.2, 0.3, 0.5])
    found = evaluate(
        "a = softmax_cross_entropy(u, y)\nb = sigmoid_binary_cross_entropy(u, y)\nloss = a + b",
        {"u": u, "y": y},
    )
    shifted = u - u.max()
    log_p = shifted - np.log(np.exp(shifted).sum())
    assert found["a"] == pytest.approx(-(y @ log_p), rel=1e-13)
    terms = np.maximum(u, 0) - y * u + np.log1p(np.exp(-np.abs(u)))
    assert found["b"] == pytest.approx(terms.sum(), rel=1e-13)
    sigma = np.where(u > 0, 1, np.exp(-np.abs(u))) / (1 + np.exp(-np.abs(u)))
    np.testing.assert_allclose(found["d_u"], np.exp(log_p) - y + sigma - y, rtol=1e-13)


def test_softmax_and_log_softmax_of_a_matrix_go_by_rows() -> None:
    m = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -5.0]])
    found = evaluate("p = softmax(m)\nq = log_softmax(m)\nloss = sum(p) + sum(q)", {"m": m},
                     "m: param(H, K)")  # fmt: skip
    np.testing.assert_allclose(found["p"].sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(np.exp(found["q"]), found["p"], rtol=1e-14)
    np.testing.assert_allclose(found["d_m"], 1 - 3 * found["p"], rtol=1e-13, atol=1e-15)


def test_max_shares_the_gradient_among_the_largest() -> None:
    found = evaluate("loss = max(u)", {"u": np.array([3.0, 1.0, 3.0])})
    assert found["loss"] == 3
    np.testing.assert_array_equal(found["d_u"], [0.5, 0, 0.5])


def test_cross_entropy_of_a_certain_target() -> None:
    """A probability with weight 0 counts as 0, whatever it is: 0 · log 0 = 0."""
    found = evaluate("loss = cross_entropy(p, y)",
                     {"p": np.array([0.0, 1.0, 0.0]), "y": np.array([0.0, 1.0, 0.0])})  # fmt: skip
    assert found["loss"] == 0
    impossible = evaluate("loss = cross_entropy(p, y)",
                          {"p": np.array([1.0, 0.0]), "y": np.array([0.0, 1.0])})  # fmt: skip
    assert impossible["loss"] == np.inf


@pytest.mark.parametrize("loss", ["cross_entropy", "softmax_cross_entropy"])
def test_token_targets_are_unit_vectors(loss: str) -> None:
    text = f"u[t]: input(K)\ny[t]: token(K)\nloss = sum({loss}(u[t], y[t]) for t in steps)"
    plain = text.replace("token", "distribution")
    u = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    tokens = np.array([2, 0])
    for kind, target in ((text, tokens), (plain, np.eye(3)[tokens])):
        dag = gg.parse(kind).unfold(2).grad(wrt="u")
        found = dag.evaluate({"u": u, "y": target})
        if kind is text:
            expected = found
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-15)
    np.testing.assert_allclose(found["d_u"], expected["d_u"], rtol=1e-15)


def test_softmax_then_cross_entropy_is_prediction_less_target() -> None:
    """Only where the target sums to 1; otherwise the prediction is multiplied by that sum."""
    text = "p = softmax(u)\nloss = cross_entropy(p, y)"
    u = np.array([0.3, -1.2, 2.0])
    for y in (np.array([0.2, 0.3, 0.5]), np.array([1.0, 2.0, 4.0])):
        found = evaluate(text, {"u": u, "y": y})
        expected = found["p"] * y.sum() - y
        np.testing.assert_allclose(found["d_u"], expected, rtol=1e-13)
        pair = evaluate("loss = softmax_cross_entropy(u, y)", {"u": u, "y": y})
        np.testing.assert_allclose(pair["d_u"], expected, rtol=1e-13)
        assert pair["loss"] == pytest.approx(found["loss"], rel=1e-14)


def test_hinge_at_its_kink_has_gradient_zero() -> None:
    values = {"u": np.array([1.0, -1.0, 0.5, 2.0]), "y": np.array([1.0, -1.0, 1.0, 1.0])}
    found = evaluate("loss = hinge(u, y)", values)
    assert found["loss"] == 0.5
    np.testing.assert_array_equal(found["d_u"], [0, 0, -1, 0])


def test_sum_and_mean_of_a_scalar_are_that_scalar() -> None:
    found = evaluate("loss = sum(k) + mean(k) + max(k)", {"k": np.float64(2.5)}, "k: param()")
    assert found["loss"] == 7.5
    assert found["d_k"] == 3
