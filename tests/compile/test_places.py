"""Values written in place of others: never into the memory of one that is still needed."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from tests.compile.lanes import by_python
from tests.compile.reference import accurate, expectation

TRANSPOSED = """
W: param(H, H)
v[t] = cos(v[t-2]).T + W
loss = sum(sum(v[t-1]) for t in steps)
"""
"""Backwards, sin(v[t]) * d_v[t+2].T is a product with a transposed row of an array."""
CHOSEN = """
x[t]: input(H)
w: param(H)
q: param(H)
h[t] = x[t] + tanh(h[t-1]) * softmax(w * exp(h[t-1] if t > 2 else q))
loss = sum(h[t] @ h[t] for t in steps)
"""


@pytest.mark.parametrize("grad", ["loss", None])
@pytest.mark.parametrize("text", [TRANSPOSED, CHOSEN], ids=["transposed", "chosen"])
def test_what_may_be_the_memory_of_another_value_is_copied_before_it_changes(
    text: str, grad: str | None
) -> None:
    circuit = gg.parse(text)
    values = circuit.init(0, H=3) | circuit.example(1, 5, H=3)
    before = {name: value.copy() for name, value in values.items()}
    found = circuit.compile("loss", grad=grad)(values, tau=5)
    expected = expectation(circuit, values, 5, "float64")
    for name, value in found.items():
        accurate(value, expected[name])
    for name, value in before.items():
        np.testing.assert_array_equal(values[name], value)


NUMBERS = """
x[t]: input(3)
w: param(3)
z[t] = w * x[t-1] + concat(1, 2, 3)
k[t] = concat(0.5, 2, 1.5)
x[0] = concat(1.5, 0.5, 2)
loss = sum(z[t] @ z[t] + k[t] @ z[t-1] for t in steps)
"""


@pytest.mark.parametrize(
    "backend", ["numpy", "numba", pytest.param("jax", marks=pytest.mark.oracle("jax"))]
)
def test_a_vector_of_nothing_but_numbers_is_computed(backend: str) -> None:
    """Numbers stand nowhere, so the vector is not there already."""
    circuit = gg.parse(NUMBERS)
    values = circuit.init(0) | circuit.example(1, 4)
    with by_python(width=4):  # what Numba would compile
        found = circuit.compile(*circuit.variables, grad="loss", backend=backend)(values)
    expected = expectation(circuit, values, 4, "float64")
    for name, value in found.items():
        accurate(value, expected[name])
