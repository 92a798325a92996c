"""Derivatives of derivatives: Hessian–vector products in every order of modes, third order."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import graphgrad as gg
from graphgrad.adjoint import GradientWarning

WITH_LOSS = [
    name
    for name in gg.cells.names()
    if "loss" in gg.cells.load(name).equations and gg.cells.load(name).params
]
STEP = 1e-30
pytestmark = pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")


def example(name: str, tau: int = 3) -> tuple[gg.Circuit, dict[str, Any], dict[str, Any], Any]:
    """A circuit, values, a direction for each parameter, and the number of steps."""
    circuit = gg.cells.load(name)
    steps: Any = dict.fromkeys(circuit.indices, tau)
    sizes = dict.fromkeys(circuit.sizes, 2)
    values = circuit.init(1, **sizes) | circuit.example(1, steps, **sizes)
    source = np.random.default_rng(2)
    along = {p: source.normal(size=np.shape(values[p])) for p in circuit.params}
    return circuit, values, along, steps


def adjoint_of_adjoint(circuit: gg.Circuit) -> tuple[gg.Circuit, str]:
    """The gradient of ⟨∇L, v⟩ and the prefix of its outputs, written as a person would."""
    dims = {name: ", ".join(map(str, param.shape)) for name, param in circuit.params.items()}
    inputs = [f"v_{name}: input({shape})" for name, shape in dims.items()]
    terms = [f"sum(d_{n} * v_{n})" if shape else f"d_{n} * v_{n}" for n, shape in dims.items()]
    text = "\n".join([*inputs, f"slope = {' + '.join(terms)}"])
    return circuit.adjoint().extend(text).adjoint("slope"), "dd_"


@pytest.mark.parametrize("name", WITH_LOSS)
def test_hessian_vector_products_of_the_gallery(name: str) -> None:
    """Reverse over reverse, forward over reverse and reverse over forward against complex steps."""
    circuit, values, along, steps = example(name)
    shifted = values | {p: values[p] + 1j * STEP * v for p, v in along.items()}
    gradient = circuit.unfold(steps).grad().evaluate(shifted)
    expected = {p: np.imag(gradient[f"d_{p}"]) / STEP for p in along}
    size = max(np.abs(each).max() for each in expected.values())
    twice, prefix = adjoint_of_adjoint(circuit)
    products = [
        (twice, "v_", prefix),
        (circuit.adjoint().tangent(), "dot_", "dot_d_"),
        (circuit.tangent(of="loss").adjoint("dot_loss"), "dot_", "d_"),
    ]
    for product, direction, output in products:
        given = values | {direction + p: v for p, v in along.items()}
        found = product.unfold(steps).evaluate(given)
        for p, hv in expected.items():
            got = found.get(output + p, np.zeros(hv.shape))
            np.testing.assert_allclose(got, hv, rtol=1e-12, atol=1e-13 * size + 1e-300, err_msg=p)


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "hidden_markov_model", "bidirectional"])
def test_the_hessian_is_symmetric(name: str) -> None:
    """The tangent of the adjoint, batched over basis directions, is the Hessian itself."""
    circuit, values, _, _ = example(name)
    given = gg.basis_directions({p: values[p] for p in circuit.params})
    count = len(next(iter(given.values())))
    for key, value in values.items():
        indexed = key in circuit.inputs and circuit.inputs[key].index is not None
        given[key] = np.repeat(value[:, None], count, axis=1) if indexed else value
    found = circuit.adjoint().tangent().compile(*(f"dot_d_{p}" for p in circuit.params))(given)
    rows = [found[f"dot_d_{p}"].reshape(count, -1) for p in circuit.params]
    hessian = np.concatenate(rows, axis=1)
    assert hessian.shape == (count, count)
    size = np.abs(hessian).max()
    assert size > 1e-4
    np.testing.assert_allclose(hessian, hessian.T, rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize(
    "backend",
    [
        "numpy",
        pytest.param("numba", marks=pytest.mark.oracle("numba")),
        pytest.param("jax", marks=pytest.mark.oracle("jax")),
    ],
)
def test_gradients_of_each_example_are_kept_apart(backend: str) -> None:
    """Summed over a batch the gradients of two gates are rows of one product; here they are not."""
    circuit = gg.parse(
        "x[t]: input(H)\nW: param(H, H)\nU: param(H, H)\na[t] = sigmoid(W @ h[t-1] + x[t])\n"
        "b[t] = tanh(U @ h[t-1] + x[t])\nh[t] = a[t] * b[t]\nloss = sum(h[t] @ h[t] for t in steps)"
    )
    values = circuit.init(0, H=2) | circuit.example(0, 3, batch=(4,), H=2)
    adjoint = circuit.adjoint()
    found = adjoint.compile("d_W", "d_U", backend=backend)(values)
    for k in range(4):
        expected = adjoint.unfold(3).evaluate(values | {"x": values["x"][:, k]})
        for name in ("d_W", "d_U"):
            np.testing.assert_allclose(found[name][k], expected[name], rtol=1e-12)


POLYNOMIAL = gg.parse(
    "x[t]: input()\nw: param()\nu: param()\n"
    "h[0] = w\nh[t] = w * h[t-1] ** 2 + u * x[t]\nL[t] = h[t] * h[t-1]\n"
    "loss = sum(L[t] for t in steps)"
)


def test_third_derivatives_are_exact() -> None:
    """Three passes in any order of modes, over Fractions, against SymPy."""
    values = {"x": [Fraction(1), Fraction(-2, 3)], "w": Fraction(1, 2), "u": Fraction(3)}
    known = POLYNOMIAL.unfold(2).evaluate({"x": values["x"]}, over="sympy")
    loss = sympy.expand(known["loss"])
    w, u = sympy.symbols("w u", real=True)
    names = {str(each): each for each in loss.free_symbols}
    w, u = names["w"], names["u"]
    exact = {
        order: Fraction(str(sympy.diff(loss, *order).subs({w: "1/2", u: 3})))
        for order in ((w, w, w), (w, w, u), (u, u, w))
    }
    assert all(exact.values())

    def value(circuit: gg.Circuit, output: str, **more: int) -> Any:
        return circuit.unfold(2).evaluate(values | {n: Fraction(v) for n, v in more.items()})[
            output
        ]

    adjoint = POLYNOMIAL.adjoint()
    assert value(adjoint.adjoint("d_w").adjoint("dd_w"), "ddd_w") == exact[w, w, w]
    assert value(adjoint.adjoint("d_w").adjoint("dd_w"), "ddd_u") == exact[w, w, u]
    assert value(adjoint.adjoint("d_u").adjoint("dd_u"), "ddd_w") == exact[u, u, w]
    by_w = {"dot_w": 1, "dot_u": 0}
    by_u = {"dot_w": 0, "dot_u": 1}
    mixed = adjoint.adjoint("d_w").tangent()
    assert value(mixed, "dot_dd_w", **by_w) == exact[w, w, w]
    assert value(mixed, "dot_dd_w", **by_u) == exact[w, w, u]
    assert value(mixed, "dot_dd_u", **by_u) == exact[u, u, w]
    forward = POLYNOMIAL.tangent().tangent()
    along = by_w | {f"d{name}": one for name, one in by_w.items()}
    assert value(forward.adjoint("ddot_dot_loss"), "d_w", **along) == exact[w, w, w]
    assert value(forward.adjoint("ddot_dot_loss"), "d_u", **along) == exact[w, w, u]
    thrice = forward.tangent()
    again = along | {"dddot_w": 0, "dddot_u": 1}
    assert value(thrice, "dddot_ddot_dot_loss", **again) == exact[w, w, u]


def test_every_order_is_a_circuit_like_any_other() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        for name in ("elman", "lstm", "encoder_decoder", "hidden_markov_model", "bidirectional"):
            adjoint = gg.cells.load(name).adjoint()
            for circuit in (adjoint.tangent(), adjoint_of_adjoint(gg.cells.load(name))[0]):
                assert gg.parse(str(circuit)) == circuit


def test_second_order_of_long_sequences() -> None:
    circuit = gg.parse("w: param()\nh[0] = 1\nh[t] = w * h[t-1]\nloss = h[tau]")
    product = circuit.adjoint().tangent()
    n = 20_000
    found = product.unfold(n).evaluate({"w": 1.0, "dot_w": 1.0}, outputs=["dot_d_w"])
    assert found["dot_d_w"] == n * (n - 1)
