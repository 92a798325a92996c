"""From equations to statements: what is read before the first and behind the last step."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import accurate, expectation

TEXT = """x[t]: input(H)
P: param(H)
W: param(H, H)
c[0] = W.T @ g[0] + g[0]
{}
g[t] = sigmoid(W @ c[t-1] + P * x[t])
c[t] = g[t] * c[t-1] + g[t-1]
loss = sum(sum(c[t]) for t in steps) + sum(g[0])
"""


@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.oracle("jax"))])
@pytest.mark.parametrize("boundary", ["", "g[0] = P", "g[0] = 0.5", "g[0] = x[1]"])
def test_a_value_before_the_first_step_needs_no_step_of_its_own(
    boundary: str, backend: str
) -> None:
    circuit = gg.parse(TEXT.format(boundary))
    values = circuit.init(0, H=3) | circuit.example(1, 4, H=3)
    found = circuit.compile(*circuit.variables, grad="loss", backend=backend)(values)
    wanted = expectation(circuit, values, 4, "float64")
    for key, value in found.items():
        accurate(value, wanted[key])


@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.oracle("jax"))])
@pytest.mark.parametrize(("outside", "inside"), [("h[0]", "h[tau]"), ("h[tau+1]", "h[1]")])
def test_a_sequence_can_begin_where_it_ends(outside: str, inside: str, backend: str) -> None:
    read = "h[t-1]" if outside == "h[0]" else "h[t+1]"
    circuit = gg.parse(
        f"x[t]: input(H)\nw: param(H)\nh[t] = tanh(w * x[t])\n{outside} = {inside}\n"
        f"loss = sum({read} @ x[t] for t in steps)"
    )
    for tau in (1, 4):
        values = circuit.init(0, H=3) | circuit.example(1, tau, H=3)
        found = circuit.compile(grad="loss", backend=backend)(values)
        wanted = expectation(circuit, values, tau, "float64")
        for key, value in found.items():
            accurate(value, wanted[key])
