"""Loops whose variables run at several steps: each part of a step, also one that is no code."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.lanes import by_python
from tests.compile.reference import accurate, expectation, over_examples

IN_PLACE = """
x[t]: input(2*H)
P: param(2*H, H)
q: param(H, 2*H)
R: param(2*H, 2*H)
b[t] = tanh(P @ a[t-3] + x[t])
c[t] = sigmoid(b[t])
a[t] = tanh(split(c[t], 2)[1] + q @ d[t+1] + split(d[t], 2)[0])
d[t] = tanh(R @ c[t] + b[t])
loss = sum(sum(b[t+1]) for t in steps)
"""
"""NumPy: a is a step behind, and of it the pieces of c and d come by themselves."""
TWICE = """
x[t]: input(H)
P: param(2*H, H)
q: param(H, 2*H)
R: param(2*H, H)
b[t] = tanh(P @ a[t-3] + R @ x[t+1])
c[t] = sigmoid(b[t])
a[t] = softmax(q @ b[t+1] + split(c[t-1], 2)[1]) if t % 2 == 0 else split(c[t-1], 2)[1]
loss = sum(sum(b[t+1]**2) for t in steps)
"""
"""Numba: the same of half of c, which is read a step later."""


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("text", [IN_PLACE, TWICE], ids=["in place", "twice"])
def test_a_part_of_a_step_may_be_nothing_but_views(
    text: str, batch: tuple[int, ...], backend: str
) -> None:
    circuit = gg.parse(text)
    values = circuit.init(0, H=2) | circuit.example(1, 5, batch, H=2)
    with by_python(width=4):  # what Numba would compile
        function = circuit.compile(grad="loss", backend=backend)
        found = function(values, batch="sum")
    wanted = expectation(circuit, values, 5, "float64")
    for key, value in found.items():
        gradient = key in function.gradients.values()
        accurate(value, over_examples(wanted[key], value, batch, gradient=gradient))
