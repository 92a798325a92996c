"""A class that knows its sizes, with a sum over all earlier steps inside the sum over losses."""

import numpy as np

CIRCUIT = """
x[t]: token(N)
y[t]: token(N)
U: param(H, N)
V: param(N, H)
W: param(H, H)
s[t] = tanh(U @ onehot(x[t]) + W @ s[t-1])
loss = sum(softmax_cross_entropy(V @ s[t], y[t]) for t in steps)
"""
FUNCTIONS = "Model(3, 2).gradients"
OPTIONS = {"tau": 4}


class Model:
    def __init__(self, word_dim, hidden_dim, reach=10):
        self.word_dim, self.hidden_dim, self.reach = word_dim, hidden_dim, reach
        self.U, self.V = np.ones((hidden_dim, word_dim)), np.ones((word_dim, hidden_dim))
        self.W = np.eye(hidden_dim)

    def run(self, x):
        s, o = np.zeros((len(x) + 1, self.hidden_dim)), np.zeros((len(x), self.word_dim))
        for t in range(len(x)):
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t - 1]))
            weights = np.exp(self.V.dot(s[t]))
            o[t] = weights / np.sum(weights)
        return o, s

    def gradients(self, x, y):
        o, s = self.run(x)
        dLdU, dLdV, dLdW = (np.zeros(m.shape) for m in (self.U, self.V, self.W))
        o[np.arange(len(y)), y] -= 1.0
        for t in np.arange(len(x))[::-1]:
            dLdV += np.outer(o[t], s[t])
            delta = self.V.T.dot(o[t]) * (1 - s[t] ** 2)
            for k in np.arange(max(0, t - self.reach), t + 1)[::-1]:
                dLdW += np.outer(delta, s[k - 1])
                dLdU[:, x[k]] += delta
                delta = self.W.T.dot(delta) * (1 - s[k - 1] ** 2)
        return dLdU, dLdV, dLdW


FAULTS = [
    ("reach=10", "reach=1", "dLdU dLdW", "truncation"),
    ("max(0, t - self.reach), t + 1", "max(1, t - self.reach), t + 1", "dLdU", "first"),
]
