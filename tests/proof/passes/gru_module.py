"""A GRU as a module of the kind that courses build: zero_grad, forward, backward."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
Wr: param(H, D)
Wz: param(H, D)
Wn: param(H, D)
Rr: param(H, H)
Rz: param(H, H)
Rn: param(H, H)
bn: param(H)
r[t] = sigmoid(Wr @ x[t] + Rr @ h[t-1])
z[t] = sigmoid(Wz @ x[t] + Rz @ h[t-1])
n[t] = tanh(Wn @ x[t] + r[t] * (Rn @ h[t-1] + bn))
h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "GRU(2, 2).train_step"
OPTIONS = {"tau": 2, "sizes": {"D": 2, "H": 2}}


class GRU:
    """Reset gate after the product, as in fast libraries; gradients add up in attributes."""

    def __init__(self, inputs, hidden):
        draw = np.random.default_rng(0)
        for gate in "rzn":
            setattr(self, "W" + gate, draw.normal(size=(hidden, inputs)))
            setattr(self, "R" + gate, draw.normal(size=(hidden, hidden)))
        self.bn = np.zeros(hidden)
        self.zero_grad()

    def zero_grad(self):
        self.dWr, self.dWz, self.dWn = (np.zeros_like(w) for w in (self.Wr, self.Wz, self.Wn))
        self.dRr, self.dRz, self.dRn = (np.zeros_like(w) for w in (self.Rr, self.Rz, self.Rn))
        self.dbn = np.zeros_like(self.bn)

    @staticmethod
    def gate(a):
        return 0.5 * (1 + np.tanh(a / 2))

    def forward(self, x, h):
        r = self.gate(self.Wr @ x + self.Rr @ h)
        z = self.gate(self.Wz @ x + self.Rz @ h)
        inner = self.Rn @ h + self.bn
        n = np.tanh(self.Wn @ x + r * inner)
        self.saved.append((x, h, r, z, inner, n))
        return (1 - z) * n + z * h

    def backward(self, dh):
        x, h, r, z, inner, n = self.saved.pop()
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (h - n) * z * (1 - z)
        dr = dn * inner * r * (1 - r)
        dinner = dn * r
        self.dWn += np.outer(dn, x)
        self.dWz += np.outer(dz, x)
        self.dWr += np.outer(dr, x)
        self.dRn += np.outer(dinner, h)
        self.dRz += np.outer(dz, h)
        self.dRr += np.outer(dr, h)
        self.dbn += dinner
        return dh * z + self.Rn.T @ dinner + self.Rz.T @ dz + self.Rr.T @ dr

    def train_step(self, x, y, h0):
        self.zero_grad()
        self.saved = []
        h, errors = h0, []
        for xt, yt in zip(x, y, strict=True):
            h = self.forward(xt, h)
            errors.append(h - yt)
        dh = 0
        while errors:
            dh = self.backward(errors.pop() + dh)


FAULTS = [
    ("self.dWz += np.outer(dz, x)", "self.dWz = np.outer(dz, x)", "dWz",
     "counts the first step only"),
]  # fmt: skip
