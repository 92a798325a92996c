"""A character model on rows: parameters and gradients in dictionaries, a softmax with shift."""
# ruff: noqa: B905, E501

import numpy as np

CIRCUIT = """
x[t]: token(V)
y[t]: token(V)
E: param(V, D)
Wx: param(D, H)
Wh: param(H, H)
b: param(H)
Wo: param(H, V)
bo: param(V)
h[t] = tanh(Wx.T @ E[x[t]] + Wh.T @ h[t-1] + b)
s[t] = Wo.T @ h[t] + bo
loss = mean(softmax_cross_entropy(s[t], y[t]) for t in steps)
"""
FUNCTIONS = "loss_and_gradients"


def softmax(v):
    e = np.exp(v - np.max(v))
    return e / e.sum()


def loss_and_gradients(params, x, y, h0):
    T = len(x)
    states, probs = [h0], []
    for t in range(T):
        v = params["E"][x[t]]
        states.append(np.tanh(v @ params["Wx"] + states[-1] @ params["Wh"] + params["b"]))
        probs.append(softmax(states[-1] @ params["Wo"] + params["bo"]))
    loss = -sum(np.log(p[k]) for p, k in zip(probs, y)) / T
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    carry = np.zeros_like(h0)
    for t in range(T - 1, -1, -1):
        ds = probs[t].copy()
        ds[y[t]] -= 1.0
        ds /= T
        grads["Wo"] += np.outer(states[t + 1], ds)
        grads["bo"] += ds
        dh = params["Wo"] @ ds + carry
        da = dh * (1.0 - states[t + 1] ** 2)
        grads["b"] += da
        grads["Wx"] += np.outer(params["E"][x[t]], da)
        grads["Wh"] += np.outer(states[t], da)
        grads["E"][x[t]] += params["Wx"] @ da
        carry = params["Wh"] @ da
    return loss, grads


FAULTS = [
    ("ds /= T", "pass", "grads.E grads.Wx grads.Wh grads.b grads.Wo grads.bo", "times 3 = τ"),
    ('grads["E"][x[t]] += ', 'grads["E"][x[t]] = ', "grads.E", ""),
    ("np.outer(states[t], da)", "np.outer(states[t + 1], da)", "grads.Wh", "reads h[t] where h[t-1]"),
    ("(1.0 - states[t + 1] ** 2)", "(1.0 - states[t] ** 2)", "grads.E grads.Wx grads.Wh grads.b",
     "reads h[t-1] where h[t] belongs"),
]  # fmt: skip
