"""A class whose forward pass keeps what its backward pass needs; helpers in methods."""
# ruff: noqa: B905, E501

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
Wx: param(H, D)
Wh: param(H, H)
Wo: param(K, H)
bo: param(K)
h[t] = sin(Wh @ h[t-1] + Wx @ x[t])
loss = sum(squared_error(Wo @ h[t] + bo, y[t]) for t in steps) / tau
"""
FUNCTIONS = "Net().forward Net().backward"
OPTIONS = {"tau": 2}


class Net:
    def __init__(self):
        self.params = {
            "Wx": np.zeros((2, 2)), "Wh": np.eye(2), "Wo": np.eye(2), "bo": np.zeros(2)
        }  # fmt: skip
        self.dparams = {}
        self.h = np.zeros(2)

    def act(self, a):
        return np.sin(a), np.cos(a)

    def forward(self, x, y):
        self.x, self.hs, self.slopes, self.errors = x, [self.h], [], []
        p = self.params
        total = 0.0
        for x_t, y_t in zip(x, y):
            state, slope = self.act(self.hs[-1] @ p["Wh"] + x_t @ p["Wx"])
            self.hs.append(state)
            self.slopes.append(slope)
            self.errors.append(state @ p["Wo"] + p["bo"] - y_t)
            total = total + 0.5 * (self.errors[-1] * self.errors[-1]).sum()
        loss = total / len(x)
        return loss

    def backward(self):
        p, n = self.params, len(self.x)
        for name, value in p.items():
            self.dparams[name] = np.zeros_like(value)
        carry = np.zeros_like(self.hs[0])
        for t in range(n)[::-1]:
            e = self.errors[t] / n
            self.dparams["Wo"] += self.hs[t + 1][:, None] * e[None, :]
            self.dparams["bo"] += e
            d = (p["Wo"] @ e + carry) * self.slopes[t]
            self.dparams["Wx"] += self.x[t].reshape(-1, 1) * d.reshape(1, -1)
            self.dparams["Wh"] += self.hs[t].reshape(-1, 1) * d.reshape(1, -1)
            carry = p["Wh"] @ d


FAULTS = [
    ("e = self.errors[t] / n", "e = self.errors[t]",
     "dparams.Wx dparams.Wh dparams.Wo dparams.bo", "times 2 = τ"),
    ('carry = p["Wh"] @ d', 'carry = d @ p["Wh"]', "dparams.Wx dparams.Wh", "by Wh instead of Wh.T|"),
    ("self.hs[t].reshape(-1, 1) * d.reshape(1, -1)", "self.hs[t].reshape(1, -1) * d.reshape(-1, 1)",
     "dparams.Wh", "transposed"),
]  # fmt: skip
