"""One-letter names, Python lists, deltas as in a lecture; the target is a distribution."""
# ruff: noqa: E501

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: distribution(K)
U: param(H, D)
W: param(H, H)
V: param(K, H)
b: param(H)
c: param(K)
h[t] = tanh(b + W @ h[t-1] + U @ x[t])
o[t] = c + V @ h[t]
L[t] = cross_entropy(softmax(o[t]), y[t])
loss = sum(L[t] for t in steps)
"""
FUNCTIONS = "f"


def f(x, y, U, W, V, b, c):
    T = len(x)
    s, p = [0 * b], []
    for t in range(T):
        s += [np.tanh(b + W @ s[-1] + U @ x[t])]
        e = np.exp(c + V @ s[-1])
        p += [e / sum(e)]
    L = -sum(y[t] @ np.log(p[t]) for t in range(T))
    d = [p[t] - y[t] for t in range(T)]
    e = [None] * (T + 1)
    e[T] = 0 * b
    for t in range(T - 1, -1, -1):
        e[t] = (1 - s[t + 1] ** 2) * (V.T @ d[t] + W.T @ e[t + 1])
    dV = sum(np.outer(d[t], s[t + 1]) for t in range(T))
    dW = sum(np.outer(e[t], s[t]) for t in range(T))
    dU = sum(np.outer(e[t], x[t]) for t in range(T))
    return L, dU, dW, dV, sum(e), sum(d)


OPTIONS = {"results": ["loss", "d_U", "d_W", "d_V", "d_b", "d_c"]}
FAULTS = [
    ("sum(np.outer(e[t], s[t]) for t in range(T))", "sum(np.outer(s[t], e[t]) for t in range(T))",
     "dW", "transposed"),
    ("sum(np.outer(d[t], s[t + 1])", "sum(np.outer(d[t], s[t])", "dV", "reads h[t-1] where h[t]"),
    ("V.T @ d[t] + W.T @ e[t + 1]", "V.T @ d[t]", "dU dW sum(e)", "lacks the term W.T @ delta_h[t+1]"),
    ("    return L, dU", "    dW = dW - 0.5 * W\n    return L, dU", "dW", "weight decay"),
    ("return L, dU, dW, dV, sum(e)", "return L, dU, dW, dV, e[0]", "e[0]", "the first step only"),
]  # fmt: skip
