"""A read of one step, `h[tau]` or `h[1]`, inside an equation with an index: right in every layer.

The design allowed such reads in equations without an index only. What is computed here is held
against the definition (`Naive`) and against forward mode, over fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
import viz
from graphgrad.errors import CausalityError
from tests.naive import Naive, lifted

DECLARED = "x[t]: input(H)\nW: param(H, H)\nA: param(H, H)\n"
CIRCUITS = {
    "last and first step": """
        h[0] = ones(H)
        h[t] = W @ h[t-1] + x[t]
        e[t] = h[t] * (A @ h[tau]) + h[1]
        loss = sum(sum(e[t] * e[t]) for t in steps)
    """,
    "in a recurrence": """
        u[t] = A @ x[t]
        h[t] = W @ h[t-1] * u[1] + u[tau] * x[t]
        loss = sum(sum(h[t] * h[t]) for t in steps)
    """,
    "near both ends": """
        g[0] = A @ x[1]
        g[tau+1] = A @ x[tau]
        g[t] = W @ g[t-1] + x[t]
        e[t] = g[tau-1] * x[t-1] + g[2] + g[0]
        h[t] = W @ h[t+1] + e[t] if t % 2 == 0 else g[tau+1] * x[3] + x[tau-2]
        loss = sum(sum(h[t] * h[t] * g[2]) for t in steps if t != 2)
    """,
    "in a sum over steps": """
        h[t] = W @ (h[t-1] * h[t-1]) + A @ x[t]
        loss = sum(sum((h[t] - h[tau]) * (h[t] - h[1]) * h[tau-1]) for t in steps)
    """,
    "sums of what is read at one step": """
        h[t] = W @ (h[t-1] * h[t-1]) + A @ x[t]
        s[t] = h[t] @ h[tau]
        c = sum(s[t] * h[t] for t in steps)
        o[t] = A @ c + h[tau]
        loss = sum(squared_error(o[t], x[t]) for t in steps)
    """,
    "backwards from the end": """
        h[t] = W @ h[t-1] + x[t]
        g[tau+1] = h[tau]
        g[t] = A @ g[t+1] * h[tau] + h[1] if t < tau else h[tau] * h[t]
        loss = sum(sum(g[t] * g[1]) for t in steps)
    """,
}  # fmt: skip
GIVEN = ["W", "A", "x"]


def circuit_of(name: str) -> gg.Circuit:
    return gg.parse(DECLARED + CIRCUITS[name].replace("        ", ""))


def values_for(tau: int) -> dict[str, Any]:
    source = np.random.default_rng(tau)
    shapes = {"W": (2, 2), "A": (2, 2), "x": (tau, 2)}
    halves = np.vectorize(lambda k: Fraction(int(k), 2), otypes=[object])
    return {name: halves(source.integers(-3, 4, shape)) for name, shape in shapes.items()}


@pytest.mark.parametrize("tau", [1, 2, 3, 5])
@pytest.mark.parametrize("name", CIRCUITS)
def test_values_and_gradients_are_those_of_the_definition(name: str, tau: int) -> None:
    circuit, values = circuit_of(name), values_for(tau)
    duals = {each: lifted(each, value) for each, value in values.items()}
    loss = Naive(circuit, {"t": tau}, {"H": 2}, duals).value("loss")
    dag = circuit.unfold(tau, H=2)
    passes = [
        dag.grad(wrt=GIVEN),
        circuit.adjoint(wrt=GIVEN).unfold(tau, H=2),
        circuit.adjoint(wrt=GIVEN, guard="always").unfold(tau, H=2),
    ]
    for found in (each.evaluate(values, over=Fraction) for each in passes):
        assert found["loss"] == loss.value
        for given in GIVEN:
            for position in np.ndindex(*values[given].shape):
                expected = loss.parts.get((given, *position), 0)
                assert np.asarray(found[f"d_{given}"])[position] == expected, (given, position)
    floats = {each: value.astype(float) for each, value in values.items()}
    x = floats.pop("x")
    value, gradient = gg.value_and_grad(circuit)(floats, x=x)
    assert value == pytest.approx(float(loss.value), rel=1e-12)
    for given in floats:
        expected = passes[0].evaluate(values, over=Fraction)[f"d_{given}"].astype(float)
        assert gradient[given] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", CIRCUITS)
def test_ragged_batches_read_the_last_step_of_each_example(name: str) -> None:
    circuit = circuit_of(name)
    values = {each: value.astype(float) for each, value in values_for(5).items()}
    x = np.stack([values.pop("x"), values_for(5)["x"].astype(float)[::-1]], 1)
    run = gg.value_and_grad(circuit)
    value, gradient = run(values, x=x, lengths=np.array([5, 3]))
    one, two = run(values, x=x[:, 0]), run(values, x=x[:3, 1])
    assert value == pytest.approx((one[0] + two[0]) / 2, rel=1e-12)
    for given in values:
        mean = (one[1][given] + two[1][given]) / 2
        assert gradient[given] == pytest.approx(mean, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", CIRCUITS)
def test_they_are_proved_and_drawn(name: str) -> None:
    circuit = circuit_of(name)
    assert gg.parse(str(circuit)) == circuit
    assert gg.prove(circuit, tau=2, method="certificate").ok
    for drawing in (viz.circuit(circuit), viz.unfolded(circuit, 3), viz.backward(circuit, 3)):
        assert drawing.svg.startswith("<svg")


def test_a_pass_that_forgets_the_fixed_step_is_refuted() -> None:
    circuit = circuit_of("last and first step")
    right = str(circuit.adjoint())
    first = "(sum(d_e[t] for t in steps) if t == 1 else 0) + "
    last = " + (A.T @ delta_Ah if t == tau else 0)"
    claims = right[right.index("d_e[t] =") :]
    for change, verdict in (("", "proved"), (first, "refuted"), (last, "refuted")):
        assert change in claims
        proof = gg.prove(circuit, claims=claims.replace(change, ""), tau=2, method="certificate")
        assert proof.verdict == verdict


def test_a_boundary_may_be_a_step_that_it_never_is() -> None:
    circuit = gg.parse("x[t]: input()\ng[t] = x[t]\ng[tau+1] = g[1]\ng[0] = g[tau]\n"
                       "h[t] = g[t-1] + 10 * g[t+1]")  # fmt: skip
    found = circuit.unfold(3).evaluate({"x": [1.0, 2.0, 3.0]})
    assert list(found["h"]) == [23, 31, 12]
    with pytest.raises(CausalityError, match=r"g\[0\] → g\[0\]") as caught:
        gg.parse("g[t] = t * 1\ng[0] = g[tau-1]\nh[t] = g[t-1]").check()
    assert "g[0] = g[tau-1]" in str(caught.value)
