"""An LSTM layer with fused gates on rows, a logistic function that never overflows, slices."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
U: param(4*H, D)
W: param(4*H, H)
b: param(4*H)
a[t] = U @ x[t] + W @ h[t-1] + b
i[t], f[t], o[t], g[t] = split(a[t], 4)
c[t] = sigmoid(f[t]) * c[t-1] + sigmoid(i[t]) * tanh(g[t])
h[t] = sigmoid(o[t]) * tanh(c[t])
loss = sum(h[tau])
"""
FUNCTIONS = "lstm_forward lstm_backward"
OPTIONS = {
    "loss": "h",
    "batch": 2,
    "tau": 2,
    "sizes": {"D": 1},
    "layout": "batch_first",
    "arguments": {"Wx": "U.T", "Wh": "W.T"},
}


def sigmoid(x):
    pos_mask = x >= 0
    neg_mask = x < 0
    z = np.zeros_like(x)
    z[pos_mask] = np.exp(-x[pos_mask])
    z[neg_mask] = np.exp(x[neg_mask])
    top = np.ones_like(x)
    top[neg_mask] = z[neg_mask]
    return top / (1 + z)


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H])
    o, g = sigmoid(a[:, 2 * H : 3 * H]), np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    cache = (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)
    return next_h, next_c, cache


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    do = dnext_h * np.tanh(next_c)
    dc = dnext_c + dnext_h * o * (1 - np.tanh(next_c) ** 2)
    df, di, dg = dc * prev_c, dc * g, dc * i
    dprev_c = dc * f
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)))
    return da @ Wx.T, da @ Wh.T, dprev_c, x.T @ da, prev_h.T @ da, np.sum(da, axis=0)


def lstm_forward(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    h, prev_h, prev_c = np.empty((N, T, h0.shape[1])), h0, np.zeros_like(h0)
    cache = {}
    for t in range(T):
        prev_h, prev_c, cache[t] = lstm_step_forward(x[:, t], prev_h, prev_c, Wx, Wh, b)
        h[:, t] = prev_h
    return h, cache


def lstm_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx = np.zeros((N, T, D))
    dWx, dWh, db = np.zeros((D, 4 * H)), np.zeros((H, 4 * H)), np.zeros(4 * H)
    dprev_h, dprev_c = np.zeros((N, H)), np.zeros((N, H))
    for t in range(T)[::-1]:
        step = lstm_step_backward(dprev_h + dh[:, t], dprev_c, cache[t])
        dx[:, t], dprev_h, dprev_c = step[:3]
        dWx += step[3]
        dWh += step[4]
        db += step[5]
    dh0 = dprev_h
    return dx, dh0, dWx, dWh, db


ASSUMES = ["c_0 is 0"]
FAULTS = [
    ("df, di, dg = dc * prev_c", "df, di, dg = dc * next_c", "dx dh0 dWx dWh db", "c[t]"),
    ("dc = dnext_c + ", "dc = ", "dx dh0 dWx dWh db", "lacks the term"),
    ("dg * (1 - g**2)", "dg * g * (1 - g)", "dx dh0 dWx dWh db",
     "tanh(g[t]) * (1 - tanh(g[t])) stands where"),
    ("do = dnext_h * np.tanh(next_c)", "do = dnext_h * next_c", "dx dh0 dWx dWh db",
     "c[t] stands where tanh(c[t]) belongs"),
]  # fmt: skip
