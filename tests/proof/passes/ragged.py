"""Sequences of several lengths in a batch: a mask holds the state where a sequence has ended."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y: input(H)
m[t]: input()
W: param(H, H)
U: param(H, D)
n[t] = tanh(W @ h[t-1] + U @ x[t])
h[t] = m[t] * n[t] + (1 - m[t]) * h[t-1]
loss = squared_error(h[tau], y)
"""
FUNCTIONS = "ragged"
OPTIONS = {"batch": 2, "layout": "batch_first", "arguments": {"mask": "m"}}


def ragged(x, y, mask, W, U, h0):
    batch, steps = x.shape[:2]
    h = np.zeros((steps + 1, batch, W.shape[0]))
    new = np.zeros((steps, batch, W.shape[0]))
    h[0] = h0
    for t in range(steps):
        on = mask[:, t, np.newaxis]
        new[t] = np.tanh(h[t] @ W.T + x[:, t] @ U.T)
        h[t + 1] = on * new[t] + (1 - on) * h[t]
    loss = 0.5 * ((h[-1] - y) ** 2).sum()
    d = h[-1] - y
    dW, dU = np.zeros_like(W), np.zeros_like(U)
    for t in range(steps)[::-1]:
        on = mask[:, t : t + 1]
        da = d * on * (1 - new[t] ** 2)
        dW += da.T @ h[t]
        dU += da.T @ x[:, t]
        d = da @ W + (1 - on) * d
    return {"loss": loss, "W": dW, "U": dU, "dh0": d}


FAULTS = [
    ("da @ W + (1 - on) * d", "da @ W + d", "W U dh0", "lacks the factor 1 - m[t+1]"),
    ("da = d * on *", "da = d *", "W U dh0", "d_n[t] lacks the factor m[t]"),
]
