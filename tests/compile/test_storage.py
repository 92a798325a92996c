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


SPLIT = """W: param(2*K, K)
z[t] = W @ h[t-2]
p[t], q[t] = split(z[t], 2)
g[t] = tanh(p[t])
h[t] = 1 - g[t]
z[0] = 0.5
loss = sum(sum(z[t-1]**2) for t in steps) + sum(sum(q[t-1]) for t in steps)
"""
"""z has a value before the first step, its pieces have none."""


@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.oracle("jax"))])
def test_parts_that_are_computed_ahead_of_a_loop_reach_the_whole(backend: str) -> None:
    circuit = gg.parse(TEXT)
    values = circuit.init(0, H=3)
    found = circuit.compile(grad="loss", backend=backend)(values, tau=5)
    accurate(found["d_W"], expectation(circuit, values, 5, "float64")["d_W"])


def test_pieces_do_not_have_the_boundary_of_the_whole() -> None:
    circuit = gg.parse(SPLIT)
    values = circuit.init(0, K=3)
    found = circuit.compile(grad="loss")(values, tau=5)
    expected = expectation(circuit, values, 5, "float64")
    for name in ("loss", "d_W"):
        accurate(found[name], expected[name])
