"""Backpropagation for each loss step on its own, back to the beginning: quadratic, but right."""
# ruff: noqa: E501

import numpy as np

CIRCUIT = """
x[t]: token(N)
y[t]: token(N)
U: param(H, N)
V: param(N, H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + U @ onehot(x[t]))
loss = sum(softmax_cross_entropy(V @ h[t], y[t]) for t in steps)
"""
FUNCTIONS = "Model(2, 2).bptt"


class Model:
    def __init__(self, word_dim, hidden_dim, bptt_truncate=100):
        self.hidden_dim, self.bptt_truncate = hidden_dim, bptt_truncate
        self.U = np.random.uniform(-1, 1, (hidden_dim, word_dim))
        self.V = np.random.uniform(-1, 1, (word_dim, hidden_dim))
        self.W = np.random.uniform(-1, 1, (hidden_dim, hidden_dim))

    def forward_propagation(self, x):
        T = len(x)
        s = np.zeros((T + 1, self.hidden_dim))
        s[-1] = np.zeros(self.hidden_dim)
        o = np.zeros((T, self.V.shape[0]))
        for t in np.arange(T):
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t - 1]))
            z = self.V.dot(s[t])
            o[t] = np.exp(z) / np.sum(np.exp(z))
        return [o, s]

    def bptt(self, x, y):
        T = len(y)
        o, s = self.forward_propagation(x)
        dLdU, dLdV, dLdW = (np.zeros(p.shape) for p in (self.U, self.V, self.W))
        delta_o = o
        delta_o[np.arange(len(y)), y] -= 1.0
        for t in np.arange(T)[::-1]:
            dLdV += np.outer(delta_o[t], s[t].T)
            delta_t = self.V.T.dot(delta_o[t]) * (1 - (s[t] ** 2))
            for bptt_step in np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dLdW += np.outer(delta_t, s[bptt_step - 1])
                dLdU[:, x[bptt_step]] += delta_t
                delta_t = self.W.T.dot(delta_t) * (1 - s[bptt_step - 1] ** 2)
        return [dLdU, dLdV, dLdW]


OPTIONS = {"results": ["d_U", "d_V", "d_W"]}
FAULTS = [
    ("bptt_truncate=100", "bptt_truncate=1", "dLdU", "its 2 most recent steps only"),
    ("bptt_truncate=100", "bptt_truncate=0", "dLdU dLdW", "its 1 most recent step only|lacks the term"),
    ("t + 1)[::-1]", "t)[::-1]", "dLdU dLdW", ""),
]  # fmt: skip
