"""A functional style: the backward pass is a recursive closure, gradients are summed as tuples."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
A: param(H, H)
B: param(H, D)
C: param(H)
h[t] = A @ h[t-1] + B @ x[t]
p[t] = sigmoid(C @ h[t])
loss = sum(log(1 + exp(-p[t])) for t in steps)
"""
FUNCTIONS = "value_and_gradients"


def sigma(u):
    return (1 + np.tanh(u / 2)) / 2


def value_and_gradients(x, h0, A, B, C):
    def go(t, h):
        if t == len(x):
            zero = tuple(np.zeros_like(w) for w in (A, B, C))
            return 0, zero, np.zeros_like(h)
        new = A @ h + B @ x[t]
        p = sigma(C @ new)
        rest, (dA, dB, dC), back = go(t + 1, new)
        slope = -np.exp(-p) / (1 + np.exp(-p)) * p * (1 - p)
        delta = slope * C + back
        grads = (dA + np.outer(delta, h), dB + np.outer(delta, x[t]), dC + slope * new)
        return rest + np.log1p(np.exp(-p)), grads, A.T @ delta

    loss, (dA, dB, dC), dh0 = go(0, h0)
    return loss, dA, dB, dC, dh0


FAULTS = [
    ("dC + slope * new", "dC + slope * h", "dC", "reads h[t-1] where h[t] belongs"),
    ("A.T @ delta\n", "A.T @ (slope * C)\n", "dA dB dh0", ""),
    ("slope = -np.exp", "slope = np.exp", "dA dB dC dh0", "the sign is wrong"),
]  # fmt: skip
