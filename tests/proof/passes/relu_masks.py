"""ReLU units: what flows back is set to zero by a mask, and a mean loss over steps and examples."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
Wx: param(H, D)
Wh: param(H, H)
Wy: param(K, H)
by: param(K)
h[t] = relu(Wh @ h[t-1] + Wx @ x[t])
o[t] = Wy @ h[t] + by
loss = mean(sum((o[t] - y[t])**2) for t in steps)
"""
FUNCTIONS = "relu_rnn"
OPTIONS = {"batch": 2, "tau": 2, "layout": "batch_first", "sizes": {"D": 1, "K": 1}}


def relu_rnn(x, y, h0, Wx, Wh, Wy, by):
    N, T, _ = x.shape
    hs = np.zeros((T + 1, N, h0.shape[1]))
    hs[0] = h0
    out = np.zeros_like(y)
    for t in range(T):
        hs[t + 1] = np.maximum(hs[t] @ Wh + x[:, t] @ Wx, 0)
        out[:, t] = hs[t + 1] @ Wy + by
    diff = out - y
    loss = np.sum(diff * diff) / (N * T)
    dout = 2 * diff / (N * T)
    dWy = np.tensordot(hs[1:], dout, axes=([0, 1], [1, 0]))
    dby = dout.sum(axis=(0, 1), keepdims=False)
    dWx, dWh = np.zeros_like(Wx), np.zeros_like(Wh)
    dh = np.zeros_like(h0)
    for t in reversed(range(T)):
        dh += dout[:, t] @ Wy.T
        dh[hs[t + 1] <= 0] = 0
        dWx += x[:, t].T @ dh
        dWh += hs[t].T @ dh
        dh = dh @ Wh.T
    dh0 = dh
    return loss, dWx, dWh, dWy, dby, dh0


ASSUMES = ["no value stands at a kink", "combined by their mean"]
FAULTS = [
    ("dh[hs[t + 1] <= 0] = 0", "dh[hs[t] <= 0] = 0", "dWx dWh dh0", ""),
    ("dout = 2 * diff / (N * T)", "dout = diff / (N * T)", "dWx dWh dWy dby dh0", "times 1/2"),
    ("dout = 2 * diff / (N * T)", "dout = 2 * diff / N", "dWx dWh dWy dby dh0", "times 2 = τ"),
]  # fmt: skip
