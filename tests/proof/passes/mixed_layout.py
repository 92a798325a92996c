"""A batch of texts: a table of rows, weights in either orientation, gradients under plain names."""

import numpy as np

CIRCUIT = """
words[t]: token(N)
tags[t]: token(K)
E: param(N, D)
Wx: param(2*H, D)
Wh: param(2*H, H)
V: param(K, H)
a[t], b[t] = split(Wx @ E[words[t]] + Wh @ h[t-1], 2)
h[t] = sigmoid(a[t]) * tanh(b[t]) + (1 - sigmoid(a[t])) * h[t-1]
loss = mean(softmax_cross_entropy(V @ h[t], tags[t]) for t in steps)
"""
FUNCTIONS = "loss_and_gradients"
OPTIONS = {"batch": 2, "layout": "batch_first", "tau": 2}


def loss_and_gradients(words, tags, E, Wx, Wh, V):
    N, T = words.shape
    H = Wh.shape[0]
    rows, states, cache = E[words], np.zeros((N, T + 1, H)), []
    for t in range(T):
        z = rows[:, t] @ Wx + states[:, t] @ Wh
        gate, new = 1 / (1 + np.exp(-z[:, :H])), np.tanh(z[:, H:])
        states[:, t + 1] = gate * new + (1 - gate) * states[:, t]
        cache.append((gate, new))
    scores = states[:, 1:].reshape(N * T, H) @ V.T
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    flat = np.arange(N * T), tags.ravel()
    loss = -np.log(p[flat]).mean()
    p[flat] -= 1
    p /= N * T
    above = (p @ V).reshape(N, T, H)
    dE, dWx, dWh = np.zeros_like(E), np.zeros_like(Wx), np.zeros_like(Wh)
    carried = np.zeros((N, H))
    for t in reversed(range(T)):
        gate, new = cache[t]
        dh = above[:, t] + carried
        dz = np.hstack((dh * (new - states[:, t]) * gate * (1 - gate), dh * gate * (1 - new**2)))
        dWx += rows[:, t].T @ dz
        dWh += states[:, t].T @ dz
        np.add.at(dE, words[:, t], dz @ Wx.T)
        carried = dz @ Wh.T + dh * (1 - gate)
    return loss, dict(E=dE, Wx=dWx, Wh=dWh, V=p.T @ states[:, 1:].reshape(N * T, H))  # noqa: C408


FAULTS = [
    ("carried = dz @ Wh.T + dh * (1 - gate)", "carried = dz @ Wh.T", "E Wx", "lacks the term"),
    ("np.add.at(dE, words[:, t], dz @ Wx.T)", "dE[words[:, t]] += dz @ Wx.T", "E", ""),
]
