"""What the lecture documents print comes out: their gradients, recursions and numbers."""

import numpy as np
import pytest
import sympy

import graphgrad as gg
from graphgrad.proof.algebra import SympyAlgebra
from graphgrad.proof.zero import Field

# -- two steps of a scalar network, worked out by hand -------------------------------------------

TWO_STEP = gg.cells.load("two_step_scalar")
W, U, V, b, c, h0 = sympy.symbols("W U V b c h0", real=True)
x1, x2, z1, z2 = sympy.symbols("x_1 x_2 z_1 z_2", real=True)
h1 = sympy.tanh(W * h0 + U * x1 + b)
h2 = sympy.tanh(W * h1 + U * x2 + b)
Y1, Y2 = V * h1 + c, V * h2 + c

# the factors that the notes say suffice
dL1_dh1, dL2_dh2 = (Y1 - z1) * V, (Y2 - z2) * V
dh2_dh1 = (1 - h2**2) * W
dh1 = {"W": (1 - h1**2) * h0, "U": (1 - h1**2) * x1, "b": 1 - h1**2}
dh2 = {"W": (1 - h2**2) * h1, "U": (1 - h2**2) * x2, "b": 1 - h2**2}
# the terms of each printed gradient, by (loss, step at which the parameter is used)
TERMS = {
    name: {
        (1, 1): dL1_dh1 * dh1[name],
        (2, 1): dL2_dh2 * dh2_dh1 * dh1[name],
        (2, 2): dL2_dh2 * dh2[name],
    }
    for name in ("W", "U", "b")
}
TERMS["V"] = {(1, 1): (Y1 - z1) * h1, (2, 2): (Y2 - z2) * h2}
TERMS["c"] = {(1, 1): Y1 - z1, (2, 2): Y2 - z2}


@pytest.mark.parametrize("engine", ["adjoint", "grad"])
@pytest.mark.parametrize("name", TERMS)
def test_two_step_gradients(name, engine):
    adjoint, swept = TWO_STEP.adjoint().unfold(2), TWO_STEP.unfold(2).grad()
    dag = adjoint if engine == "adjoint" else swept
    found = dag.evaluate({}, over="sympy")[f"d_{name}"]
    assert sympy.expand(found - sum(TERMS[name].values())) == 0


@pytest.mark.parametrize("name", TERMS)
def test_two_step_gradients_term_by_term(name):
    """Each printed term is the gradient of one loss by one use of the parameter."""
    use = {"W": "W * h", "U": "U * x", "b": "+ b", "V": "V * h", "c": "+ c"}[name]
    text = str(TWO_STEP).replace(f"{name}: param()", f"{name}[t]: input()")
    apart = gg.parse(text.replace(use, use.replace(name, f"{name}[t]")))
    uses = sympy.symbols(f"{name}_1 {name}_2", real=True)
    for loss in (1, 2):
        dag = apart.extend(f"L_{loss} = L[{loss}]").unfold(2).grad(f"L_{loss}", wrt=[name])
        gradient = dag.evaluate({}, over="sympy")[f"d_{name}"]
        for step in (1, 2):
            term = gradient[step - 1].subs(dict.fromkeys(uses, sympy.Symbol(name, real=True)))
            assert sympy.expand(term - TERMS[name].get((loss, step), 0)) == 0


def test_two_step_forward():
    values = TWO_STEP.unfold(2).evaluate({}, over="sympy")
    assert list(values["h"]) == [h1, h2]
    assert list(values["y"]) == [Y1, Y2]
    assert sympy.expand(values["loss"] - (Y1 - z1) ** 2 / 2 - (Y2 - z2) ** 2 / 2) == 0


# -- Graves: the delta recursion, unit by unit ---------------------------------------------------


@pytest.mark.parametrize(
    ("tau", "sizes"), [(3, {"I": 2, "H": 2, "K": 2}), (2, {"I": 1, "H": 3, "K": 2})]
)
def test_delta_recursion_unit_by_unit(tau, sizes):
    """δ and Σ_t δ_j^t b_i^t are written with loops over units, as printed; decided exactly."""
    circuit = gg.cells.load("graves").open()
    dag = circuit.unfold(tau, **sizes).grad()
    found = dag.evaluate({}, over="sympy")
    symbols = SympyAlgebra().symbols(dag.system, dag.tau, dag.sizes, {})
    w_hh, w_hk, x, z = (symbols[name] for name in ("w_hh", "w_hk", "x", "z"))
    b, y, before = found["b_h"], found["y"], symbols["b_h_0"]
    inputs, H, K = sizes["I"], sizes["H"], sizes["K"]
    delta_k = [[y[t][k] - z[t][k] for k in range(K)] for t in range(tau)]
    delta_h = [[sympy.S.Zero] * H for _ in range(tau + 1)]  # δ^{T+1} = 0
    for t in reversed(range(tau)):
        for h in range(H):
            arrives = sum(delta_k[t][k] * w_hk[k, h] for k in range(K))
            arrives += sum(delta_h[t + 1][other] * w_hh[other, h] for other in range(H))
            delta_h[t][h] = (1 - b[t][h] ** 2) * arrives
    previous = [before, *b]
    field = Field()
    for t in range(tau):
        for h in range(H):
            assert field.equal(found["d_a_h"][t][h], delta_h[t][h]).verdict == "zero"
    for h in range(H):
        for i in range(inputs):
            total = sum(delta_h[t][h] * x[t][i] for t in range(tau))
            assert field.equal(found["d_w_ih"][h, i], total).verdict == "zero"
        for other in range(H):
            total = sum(delta_h[t][h] * previous[t][other] for t in range(tau))
            assert field.equal(found["d_w_hh"][h, other], total).verdict == "zero"
        for k in range(K):
            total = sum(delta_k[t][k] * b[t][h] for t in range(tau))
            assert field.equal(found["d_w_hk"][k, h], total).verdict == "zero"


def test_delta_recursion_in_the_notation():
    claims = """
    delta_k[t] = y[t] - z[t]
    delta_h[t] = (1 - b_h[t]**2) * (w_hk.T @ delta_k[t] + w_hh.T @ delta_h[t+1])
    delta_h[tau+1] = 0
    d_w_ih = sum(outer(delta_h[t], x[t]) for t in steps)
    d_w_hh = sum(outer(delta_h[t], b_h[t-1]) for t in steps)
    d_w_hk = sum(outer(delta_k[t], b_h[t]) for t in steps)
    """
    proof = gg.prove(gg.cells.load("graves"), claims=claims)
    assert proof.ok, proof
    assert not proof.unclaimed


# -- the fixed point of the logistic function ----------------------------------------------------


@pytest.mark.parametrize("start", [2.0, 0.0, -1.0, 0.5708, 1e3, -1e6])
def test_fixed_point_is_reached_from_any_start(start):
    h = gg.cells.load("fixed_point").unfold(100).evaluate({"h0": start})["h"]
    assert f"{h[-1]:.10f}".startswith("0.5708")
    assert abs(h[-1] - 1 / (1 + np.exp(-h[-1] / 2))) < 1e-15


def test_fixed_point_as_in_the_notes():
    h = gg.cells.load("fixed_point").unfold(100).evaluate({"h0": 2.0})["h"]
    assert round(float(h[0]), 2) == 0.73
    assert round(float(h[1]), 2) == 0.59
