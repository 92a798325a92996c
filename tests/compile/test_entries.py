"""Matrices of single rows in Numba source: products, outer products, transposes, softmax."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import accurate, cast, expectation, over_examples

pytestmark = pytest.mark.oracle("numba")

LINEAR_ATTENTION = """
x[t]: input(D)
W_k: param(K, D)
W_v: param(N, D)
W_q: param(K, D)
gamma: param()
k[t] = W_k @ x[t]
v[t] = W_v @ x[t]
q[t] = W_q @ x[t]
S[t] = gamma * S[t-1] + outer(v[t], k[t])
o[t] = S[t] @ q[t]
loss = sum(o[t] @ o[t] for t in steps) + sum(S[tau] * S[tau])
"""
EVERY_NAME = """
x[t]: input(N)
e: input(N, K)
top: param(K, N)
s[t] = tanh(e @ (top @ s[t-1]) + x[t])
i[t] = e @ top @ s[t]
k = sum(softmax(e @ top) * (e @ top))
j = sum(log_softmax(e.T) * top)
loss = sum(s[t] @ i[t] for t in steps) + k * j
"""
"""Matrices of each example, and names that loops over entries have as well."""
TURNED = """
x[t]: input(N)
w: param(N)
M[t] = outer(x[t], x[t] * w) + w @ w * M[t-1]
T[t] = M[t].T
a[t] = T[t] @ x[t]
b[t] = {b}
loss = sum(a[t] @ b[t] for t in steps)
"""
AHEAD = """
x[t]: input(N)
W: param(N, N)
P[t]: state(N, N)
Q[t]: state(N, N)
P[t] = Q[t+1] + W
Q[t] = W @ P[t-2] + W
loss = sum(P[tau] @ x[1]) + sum(sum(Q[t]) for t in steps)
"""
"""P is computed a step after Q, in one loop, with a product of matrices between."""
CIRCUITS = {
    "linear attention": LINEAR_ATTENTION,
    "every name": EVERY_NAME,
    "ahead": AHEAD,
    "turned": TURNED.format(b="T[t] @ w"),
    "turned before": TURNED.format(b="T[t-1] @ w"),
    "turned matrix": TURNED.format(b="T[t] @ T[t] @ w"),
}
SIZES = ({"D": 1, "K": 1, "N": 1}, {"D": 3, "K": 9, "N": 5}, {"D": 2, "K": 17, "N": 8})


@pytest.mark.parametrize(
    ("text", "dtype"),
    [(LINEAR_ATTENTION, "float32"), *((text, "float64") for text in CIRCUITS.values())],
    ids=["float32", *CIRCUITS],
)
def test_values_and_gradients(text: str, dtype: str) -> None:
    circuit = gg.parse(text)
    function = circuit.compile("loss", grad="loss", backend="numba")
    for chosen in SIZES:
        sizes = {name: chosen[name] for name in circuit.sizes}
        values = cast(circuit.init(0, **sizes) | circuit.example(1, 4, (3,), **sizes), dtype)
        expected = expectation(circuit, values, 4, dtype)
        found = function(values, batch="sum")
        accurate(found["loss"], expected["loss"])
        for name in (f"d_{p}" for p in circuit.params):
            accurate(found[name], over_examples(expected[name], found[name], (3,), gradient=True))


@pytest.mark.parametrize(
    ("text", "copies"),
    [(LINEAR_ATTENTION, 0), (TURNED.format(b="T[t] @ w"), 0), (TURNED.format(b="T[t-1] @ w"), 1)],
)
def test_matrices_are_transposed_only_where_a_product_cannot_read_them(
    text: str, copies: int
) -> None:
    lines = gg.parse(text).compile("loss", backend="numba").source.splitlines()
    assert sum("T, (" in line and "spread(M" in line for line in lines) == copies


def test_an_outer_product_is_kept_for_one_step_where_one_loop_adds_it() -> None:
    """Memory in proportion to the steps is for what is read again: the matrices S alone."""
    source = gg.value_and_grad(gg.parse(LINEAR_ATTENTION), backend="numba").source
    rooms = [line for line in source.splitlines() if "= room((tau" in line]
    kept = [line.split()[0] for line in rooms if "n_N, n_K" in line]
    assert kept == ["S", "d_S"]
