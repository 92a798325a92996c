"""Expressions of numbers that are known before any value is: they have the type of the program."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from tests.compile.lanes import by_python
from tests.compile.reference import accurate, cast, expectation

NUMBERS = {
    "whole numbers": "(2 if tau > 1 else 3)",
    "one of two": "(w if tau > 5 else 2)",
    "length": "tau",
    "sum": "sum(2 for t in steps)",
    "copy": "y",
    "in a loop": "(h[t-1] if t > 2 else 2)",
}
FUNCTIONS = [
    *("sigmoid({})", "tanh({})", "relu({})", "softplus({})", "where({} > 1, 1.5, 0.5)"),
    *("squared_error({}, 0.5)", "hinge({}, 0.5)", "sigmoid_binary_cross_entropy({}, 0.5)"),
]
TEXT = """x[t]: input()
w: param()
y = tau
h[t] = sin(w * h[t-1] + x[t]) + {call}
loss = sum(h[t] for t in steps)
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "backend", ["numpy", "numba", pytest.param("jax", marks=pytest.mark.oracle("jax"))]
)
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_functions_of_plain_numbers(number: str, backend: str, dtype: str) -> None:
    """A function of whole numbers alone would refuse them, or round its result to one."""
    call = " + ".join(function.format(number) for function in FUNCTIONS)
    circuit = gg.parse(TEXT.format(call=call))
    values = cast(circuit.init(0) | circuit.example(1, 4), dtype)
    with by_python(width=4):  # what Numba would compile
        found = circuit.compile("h", "loss", grad="loss", backend=backend)(values)
    expected = expectation(circuit, values, 4, dtype)
    for name, value in found.items():
        assert value.dtype == np.dtype(dtype)
        accurate(value, expected[name])
