"""Recurrence from the output: what flows back goes through the output, not the hidden layer."""
# ruff: noqa: E501

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
W: param(H, K)
U: param(H, D)
V: param(K, H)
b: param(H)
c: param(K)
h[t] = tanh(b + W @ o[t-1] + U @ x[t])
o[t] = c + V @ h[t]
loss = sum(squared_error(o[t], y[t]) for t in steps)
"""
FUNCTIONS = "compute"


def forward(x, o_0, W, U, V, b, c):
    o, h = [o_0], []
    for x_t in x:
        h.append(np.tanh(b + W @ o[-1] + U @ x_t))
        o.append(c + V @ h[-1])
    return h, o


def compute(x, y, o_0, W, U, V, b, c):
    h, o = forward(x, o_0, W, U, V, b, c)
    loss = sum(0.5 * np.dot(o[t + 1] - y[t], o[t + 1] - y[t]) for t in range(len(x)))
    grad_W, grad_U, grad_V = [np.zeros_like(p) for p in (W, U, V)]
    grad_b, grad_c = np.zeros_like(b), np.zeros_like(c)
    da = np.zeros_like(b)
    for t in reversed(range(len(x))):
        do = o[t + 1] - y[t] + W.T @ da
        da = (V.T @ do) * (1 - h[t] ** 2)
        grad_W += np.outer(da, o[t])
        grad_U += np.outer(da, x[t])
        grad_V += np.outer(do, h[t])
        grad_b += da
        grad_c += do
    grad_o_0 = W.T @ da
    return loss, grad_W, grad_U, grad_V, grad_b, grad_c, grad_o_0


FAULTS = [
    ("grad_W += np.outer(da, o[t])", "grad_W += np.outer(da, o[t + 1])", "grad_W", "reads o[t] where"),
    ("do = o[t + 1] - y[t] + W.T @ da", "do = o[t + 1] - y[t]",
     "grad_W grad_U grad_V grad_b grad_c grad_o_0", "lacks the term W.T"),
    ("do = o[t + 1] - y[t] +", "do = y[t] - o[t + 1] +",
     "grad_W grad_U grad_V grad_b grad_c grad_o_0", "the sign is wrong"),
]  # fmt: skip
