"""Layers as in a course: forward with a cache, backward with an upstream cotangent."""
# ruff: noqa: RUF059

import numpy as np

CIRCUIT = """
x[t]: input(D)
U: param(H, D)
W: param(H, H)
b: param(H)
h[t] = tanh(W @ h[t-1] + U @ x[t] + b)
loss = sum(h[tau])
"""
FUNCTIONS = "rnn_forward rnn_backward"
OPTIONS = {
    "loss": "h",
    "batch": 2,
    "layout": "batch_first",
    "arguments": {"Wx": "U.T", "Wh": "W.T"},
}


def step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dscores = dnext_h * (1 - next_h**2)
    db = dscores.sum(axis=0)
    dWx, dWh = np.dot(x.T, dscores), np.dot(prev_h.T, dscores)
    dx, dprev_h = np.dot(dscores, Wx.T), np.dot(dscores, Wh.T)
    return dx, dprev_h, dWx, dWh, db


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, b.shape[0]))
    cache = []
    prev = h0
    for t in range(T):
        prev, c = step_forward(x[:, t, :], prev, Wx, Wh, b)
        h[:, t, :] = prev
        cache.append(c)
    return h, cache


def rnn_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx = np.zeros((N, T, D))
    dWx, dWh, db = np.zeros((D, H)), np.zeros((H, H)), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in reversed(range(T)):
        dx[:, t], dprev, dWx_t, dWh_t, db_t = step_backward(dh[:, t] + dprev, cache[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    dh0 = dprev
    return dx, dh0, dWx, dWh, db


FAULTS = [
    ("dh[:, t] + dprev", "dh[:, t]", "dx dh0 dWx dWh db", "lacks the term W.T @ delta_h[t+1]"),
    ("dnext_h * (1 - next_h**2)", "dnext_h * (1 - next_h)", "dx dh0 dWx dWh db", "h[t]**2 belongs"),
    ("dnext_h * (1 - next_h**2)", "dnext_h * (1 - next_h) ** 2", "dx dh0 dWx dWh db",
     "(1 - h[t])**2 stands where 1 - h[t]**2 belongs"),
    ("dnext_h * (1 - next_h**2)", "dnext_h * next_h * (1 - next_h)", "dx dh0 dWx dWh db",
     "h[t] * (1 - h[t]) stands where 1 - h[t]**2 belongs"),
    ("np.dot(dscores, Wx.T), np.dot(dscores, Wh.T)", "np.dot(dscores, Wx.T), np.dot(dscores, Wh)",
     "dx dh0 dWx dWh db", "by W instead of W.T"),
    ("dh0 = dprev", "dh0 = np.zeros_like(dprev)", "dh0", ""),
    ("        dWh += dWh_t", "        dWh = dWh_t", "dWh", "the sum over the steps is missing"),
    ("    return h, cache", "    h = 2 * h\n    return h, cache", "h", "2 times the true value"),
]  # fmt: skip
