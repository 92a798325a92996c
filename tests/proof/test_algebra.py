"""SymPy as a number type: symbols for what is not given, exact numbers for what is."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

import graphgrad as gg
from graphgrad.proof.algebra import SympyAlgebra


def symbols_of(text, tau=2, **sizes):
    dag = gg.parse(text).unfold(tau, **sizes)
    return SympyAlgebra().symbols(dag.system, dag.tau, dag.sizes, {})


def test_names_of_symbols():
    found = symbols_of(
        "x[t]: input()\nu[t]: input(D)\ns: input(D)\nk: input()\nW: param(H, D)\nb: param(H)\n"
        "lam: param()\nh[t] = W @ (u[t] + s) + b * (lam + k + x[t])\nloss = sum(h[tau])",
        D=2,
        H=2,
    )
    assert str(found["lam"]) == "lam"
    assert [str(e) for e in found["b"]] == ["b_0", "b_1"]
    assert [str(e) for e in found["W"].flat] == ["W_00", "W_01", "W_10", "W_11"]
    assert [str(e) for e in found["x"]] == ["x_1", "x_2"]
    assert [str(e) for e in found["u"].flat] == ["u_1_0", "u_1_1", "u_2_0", "u_2_1"]
    assert all(e.is_real for e in found["W"].flat)


def test_positions_of_two_digits_are_kept_apart():
    found = symbols_of("W: param(H, H)\nloss = sum(W)", H=12)["W"]
    assert str(found[1, 11]) == "W_1_11"
    assert len({str(e) for e in found.flat}) == 144


def test_distributions_and_tokens_sum_to_one():
    found = symbols_of(
        "y[t]: distribution(K)\nz[t]: token(K)\np: distribution(K)\nq: param(K)\n"
        "L[t] = cross_entropy(softmax(q), y[t]) + cross_entropy(softmax(q), z[t])\n"
        "loss = sum(L[t] for t in steps) + q @ p",
        K=3,
    )
    assert found["y"].shape == found["z"].shape == (2, 3)
    for row in (*found["y"], *found["z"], found["p"]):
        assert sympy.expand(sum(row)) == 1
        assert all(isinstance(entry, sympy.Symbol) for entry in row[:-1])


def test_sizes_without_a_number():
    with pytest.raises(gg.DataError, match="the size H has no number") as caught:
        gg.parse("W: param(H, H)\nloss = sum(W)").unfold(1).evaluate({}, over="sympy")
    assert "H=2" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (3, sympy.Integer(3)),
        (0.1, sympy.Rational(1, 10)),
        (Fraction(1, 3), sympy.Rational(1, 3)),
        (np.float64(0.25), sympy.Rational(1, 4)),
        (np.int64(-2), sympy.Integer(-2)),
        (sympy.Symbol("q"), sympy.Symbol("q")),
    ],
)
def test_given_values_are_exact(given, kept):
    assert SympyAlgebra().scalar("w", given) == kept


@pytest.mark.parametrize("given", [1j, None, "1", [1]])
def test_what_is_no_number(given):
    with pytest.raises(gg.DataError, match="w holds"):
        SympyAlgebra().scalar("w", given)


def test_literals_are_the_fractions_they_show():
    loss = gg.parse("w: param()\nloss = 0.1 * w").unfold(1).evaluate({}, over="sympy")["loss"]
    assert loss == sympy.Symbol("w", real=True) / 10


def test_some_values_given():
    dag = gg.cells.load("two_step_scalar").unfold(2)
    values = {"W": 0.5, "x": [1, 2], "h0": 0, "b": Fraction(1, 3)}
    h = dag.evaluate(values, over="sympy")["h"]
    U = sympy.Symbol("U", real=True)
    assert h[0] == sympy.tanh(U + sympy.Rational(1, 3))


def test_functions_mean_what_the_floats_mean():
    """Every function of the notation, at a point, as an expression and as a float."""
    names = ["tanh", "sigmoid", "relu", "exp", "sin", "cos", "abs", "softplus", "stop_gradient"]
    terms = [
        *(f"{name}(u)" for name in names),
        "log(1 + u**2)",
        "sqrt(1 + u**2)",
        "sum(softmax(v)**2)",
    ]
    terms += ["sum(log_softmax(v))", "logsumexp(v)", "max(v)", "maximum(u, 1)", "minimum(u, 1)"]
    terms += ["where(u > 0, u, 2)", "where(u >= 1, u, 3)", "where(u < 0, u, 2)", "mean(v)"]
    terms += ["squared_error(v, 2 * v)", "hinge(v, v)", "softmax_cross_entropy(v, softmax(v))"]
    terms += ["sigmoid_binary_cross_entropy(v, softmax(v))", "2**u", "at(v, 1)", "u**3 / 2"]
    for term in terms:
        dag = gg.parse(f"u: param()\nv: param(3)\nloss = {term} + 0 * u").unfold(1)
        for point in ({"u": 0.7, "v": [0.2, -1.5, 0.9]}, {"u": -0.3, "v": [2.0, 1.0, -0.4]}):
            exact = dag.evaluate(point, over="sympy")["loss"]
            assert float(sympy.N(exact.doit(), 20)) == pytest.approx(
                float(dag.evaluate(point)["loss"]), rel=1e-12
            ), term
