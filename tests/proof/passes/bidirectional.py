"""A bidirectional network in matrix form: the states of all steps in one array."""
# ruff: noqa: C408, E741

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
W: param(H, H)
U: param(H, D)
R: param(G, G)
S: param(G, D)
V: param(K, H)
Q: param(K, G)
h[0] = 0
g[tau+1] = 0
h[t] = tanh(W @ h[t-1] + U @ x[t])
g[t] = tanh(R @ g[t+1] + S @ x[t])
o[t] = V @ h[t] + Q @ g[t]
loss = sum(squared_error(o[t], y[t]) for t in steps)
"""
FUNCTIONS = "bptt"


def bptt(X, Y, W, U, R, S, V, Q):
    T = X.shape[0]
    h = np.zeros((T + 2, W.shape[0]))
    g = np.zeros((T + 2, R.shape[0]))
    for t in range(1, T + 1):
        h[t] = np.tanh(W @ h[t - 1] + U @ X[t - 1])
    for t in range(T, 0, -1):
        g[t] = np.tanh(R @ g[t + 1] + S @ X[t - 1])
    O = h[1:-1] @ V.T + g[1:-1] @ Q.T
    E = O - Y
    loss = 0.5 * (E**2).sum()
    dh, dg = np.zeros_like(h), np.zeros_like(g)
    for t in range(T, 0, -1):
        dh[t] = (V.T @ E[t - 1] + W.T @ dh[t + 1]) * (1 - h[t] ** 2)
    for t in range(1, T + 1):
        dg[t] = (Q.T @ E[t - 1] + R.T @ dg[t - 1]) * (1 - g[t] ** 2)
    grads = dict(V=E.T @ h[1:-1], Q=E.T @ g[1:-1])
    grads["W"] = dh[1:-1].T @ h[:-2]
    grads["U"] = dh[1:-1].T @ X
    grads["R"] = dg[1:-1].T @ g[2:]
    grads["S"] = dg[1:-1].T @ X
    return loss, grads


FAULTS = [
    ("dg[1:-1].T @ g[2:]", "dg[1:-1].T @ g[:-2]", "grads.R", "reads g[t-1] where g[t+1] belongs"),
    ("R.T @ dg[t - 1]", "R.T @ dg[t + 1]", "grads.R grads.S", "lacks the term"),
    ("dh[1:-1].T @ h[:-2]", "dh[1:-1].T @ h[1:-1]", "grads.W", "reads h[t] where h[t-1] belongs"),
    ("dict(V=E.T @ h[1:-1], Q=E.T @ g[1:-1])", "dict(V=E.T @ g[1:-1], Q=E.T @ h[1:-1])",
     "grads.V grads.Q", "the gradient of something else"),
]  # fmt: skip
