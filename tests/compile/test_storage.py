"""What stands inside other arrays: operands of a concat, unless they are computed elsewhere."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import accurate, expectation

TEXT = """W: param(4*H, H)
z[t] = W @ h[t-1]
p[t], q[t], r[t], u[t] = split(z[t], 4)
g[t] = sigmoid(u[t])
k[t] = sigmoid(r[t])
h[t] = p[t] + g[t]
loss = sum(sum(q[t]**2) + sum(k[t]) for t in steps)
"""
"""The cotangents of q and r, parts of that of z, are computed ahead of the recurrence."""


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_parts_that_are_computed_ahead_of_a_loop_reach_the_whole(backend: str) -> None:
    circuit = gg.parse(TEXT)
    values = circuit.init(0, H=3)
    found = circuit.compile(grad="loss", backend=backend)(values, tau=5)
    accurate(found["d_W"], expectation(circuit, values, 5, "float64")["d_W"])
