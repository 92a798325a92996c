"""Operations on neighbouring slices done together: on those that are read there, and no others."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import accurate, expectation

HALVES = """
x[t]: input(H)
p: param(2*H)
h[t]: state(H)
g[t]: state(H)
h[0] = split(tanh(p), 2)[0]
g[0] = split(tanh(p), 2)[1]
h[t] = tanh(h[t-1] + x[t])
g[t] = tanh(g[t-1] * x[t])
loss = sum(h[t] @ g[t-1] for t in steps)
"""


@pytest.mark.parametrize(
    "backend",
    ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))],
)
def test_a_slice_that_only_a_boundary_value_reads_is_left_alone(backend: str) -> None:
    """The two states begin with the halves of one vector, and are asked for."""
    circuit = gg.parse(HALVES)
    values = circuit.init(0, H=3) | circuit.example(1, 4, H=3)
    found = circuit.compile(*circuit.variables, grad="loss", backend=backend)(values)
    wanted = expectation(circuit, values, 4, "float64")
    for key, value in found.items():
        accurate(value, wanted[key])
