"""The last state predicts a number; one loss at the end; branches, prints, norm clipping."""
# ruff: noqa: UP031

import numpy as np

CIRCUIT = """
x[t]: input(D)
y: input()
W: param(H, H)
U: param(H, D)
b: param(H)
v: param(H)
h[t] = tanh(W @ h[t-1] + U @ x[t] + b)
yhat = v @ h[tau]
loss = (yhat - y)**2
"""
FUNCTIONS = "fit"
OPTIONS = {"arguments": {"y": "y"}}


def fit(x, y, W, U, b, v, max_norm=5.0, verbose=True):
    states = np.zeros((len(x) + 1, len(b)), dtype=np.float64)
    for t in range(len(x)):
        states[t + 1] = np.tanh(W.dot(states[t]) + U.dot(x[t]) + b)
    prediction = v.dot(states[-1])
    loss = (prediction - y) ** 2
    if verbose:
        print(f"loss {loss:.4f}", "%.3f" % prediction)
    assert not np.isnan(loss)
    dv = 2 * (prediction - y) * states[-1]
    delta = 2 * (prediction - y) * v
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    for t in range(len(x), 0, -1):
        delta = delta * (1 - states[t] ** 2)
        dW += np.outer(delta, states[t - 1])
        dU += np.outer(delta, x[t - 1])
        db += delta
        delta = W.T.dot(delta)
    norm = np.sqrt(sum(np.sum(g**2) for g in (dW, dU, db, dv)))
    if norm > max_norm:
        dW, dU, db, dv = (g * max_norm / norm for g in (dW, dU, db, dv))
    return loss, dW, dU, db, dv


ASSUMES = ["the condition at"]
FAULTS = [
    ("delta = 2 * (prediction - y) * v", "delta = (prediction - y) * v", "dW dU db", "times 1/2"),
    ("range(len(x), 0, -1)", "range(len(x) - 1, 0, -1)", "dW dU db", ""),
    ("x[t - 1])\n        db", "x[t % len(x)])\n        db", "dU", ""),
]  # fmt: skip
