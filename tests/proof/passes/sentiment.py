"""Many to one: rows of an embedding added up by index, a logistic output, scalars by math.log."""

import math

import numpy as np

CIRCUIT = """
x[t]: token(N)
y: input()
E: param(N, H)
W: param(H, H)
b: param(H)
v: param(H)
c: param()
h[t] = tanh(b + W @ h[t-1] + E[x[t]])
o = c + v @ h[tau]
loss = sigmoid_binary_cross_entropy(o, y)
"""
FUNCTIONS = "sentiment"
OPTIONS = {"arguments": {"label": "y"}}


def sigmoid(u):
    return 0.5 * (1 + np.tanh(0.5 * u))


def sentiment(x, label, E, W, b, v, c):
    h = np.zeros((len(x) + 1, len(b)))
    for t, word in enumerate(x):
        h[t + 1] = np.tanh(b + W @ h[t] + E[word])
    p = sigmoid(np.dot(v, h[-1]) + c)
    cost = -label * math.log(p) - (1 - label) * math.log(1 - p)
    dc = p - label
    dv = dc * h[-1]
    deltas = np.zeros((len(x), len(b)))
    back = dc * v
    for t in range(len(x) - 1, -1, -1):
        deltas[t] = back * (1 - h[t + 1] ** 2)
        back = W.T @ deltas[t]
    dE = np.zeros_like(E)
    np.add.at(dE, x, deltas)
    dW = np.einsum("ti,tj->ij", deltas, h[:-1])
    db = deltas.sum(0)
    return cost, dE, dW, db, dv, dc


FAULTS = [
    ("np.add.at(dE, x, deltas)", "dE[x] += deltas", "dE", ""),
    ('np.einsum("ti,tj->ij", deltas, h[:-1])', 'np.einsum("ti,tj->ij", deltas, h[1:])', "dW",
     "reads h[t] where h[t-1] belongs"),
    ("deltas.sum(0)", "deltas[-1]", "db", "the last step only"),
    ("dc = p - label", "dc = (p - label) * p * (1 - p)", "dE dW db dv dc", ""),
]  # fmt: skip
