"""An LSTM class: separate gates on the column [h, x], parameters and gradients in attributes."""
# ruff: noqa: E501

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
W_i: param(H, H)
U_i: param(H, D)
b_i: param(H)
W_f: param(H, H)
U_f: param(H, D)
b_f: param(H)
W_o: param(H, H)
U_o: param(H, D)
b_o: param(H)
W_g: param(H, H)
U_g: param(H, D)
b_g: param(H)
i[t] = sigmoid(b_i + W_i @ h[t-1] + U_i @ x[t])
f[t] = sigmoid(b_f + W_f @ h[t-1] + U_f @ x[t])
o[t] = sigmoid(b_o + W_o @ h[t-1] + U_o @ x[t])
g[t] = tanh(b_g + W_g @ h[t-1] + U_g @ x[t])
c[t] = f[t] * c[t-1] + i[t] * g[t]
h[t] = o[t] * tanh(c[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "LSTM(2, 1).run"
OPTIONS = {
    "tau": 2,
    "sizes": {"H": 2, "D": 1},
    "arguments": {
        "self.Wi": "hstack(W_i, U_i)",
        "self.Wf": "hstack(W_f, U_f)",
        "self.Wo": "hstack(W_o, U_o)",
        "self.Wg": "hstack(W_g, U_g)",
        "self.bi": "b_i[:, None]",
        "self.bf": "b_f[:, None]",
        "self.bo": "b_o[:, None]",
        "self.bg": "b_g[:, None]",
        "xs": "x[..., None]",
        "targets": "y[..., None]",
    },
}


def logistic(z):
    return 1.0 / (1.0 + np.exp(-z))


class LSTM:
    def __init__(self, H, D):
        rng = np.random.default_rng(0)
        self.H = H
        for gate in "ifog":
            setattr(self, "W" + gate, rng.normal(size=(H, H + D)))
            setattr(self, "b" + gate, np.zeros((H, 1)))
        self.grads = {}

    def run(self, xs, targets):
        T, H = len(xs), self.H
        h, c = {-1: np.zeros((H, 1))}, {-1: np.zeros((H, 1))}
        z, i, f, o, g = {}, {}, {}, {}, {}
        total = 0.0
        for t in range(T):
            z[t] = np.vstack([h[t - 1], xs[t]])
            i[t] = logistic(self.Wi @ z[t] + self.bi)
            f[t] = logistic(self.Wf @ z[t] + self.bf)
            o[t] = logistic(self.Wo @ z[t] + self.bo)
            g[t] = np.tanh(self.Wg @ z[t] + self.bg)
            c[t] = f[t] * c[t - 1] + i[t] * g[t]
            h[t] = o[t] * np.tanh(c[t])
            total += 0.5 * np.sum((h[t] - targets[t]) ** 2)
        for gate in "ifog":
            self.grads["W" + gate] = np.zeros((H, z[0].shape[0]))
            self.grads["b" + gate] = np.zeros((H, 1))
        dhn, dcn = np.zeros((H, 1)), np.zeros((H, 1))
        for t in range(T - 1, -1, -1):
            dh = h[t] - targets[t] + dhn
            tc = np.tanh(c[t])
            dc = dh * o[t] * (1 - tc**2) + dcn
            pre = {
                "i": dc * g[t] * i[t] * (1 - i[t]),
                "f": dc * c[t - 1] * f[t] * (1 - f[t]),
                "o": dh * tc * o[t] * (1 - o[t]),
                "g": dc * i[t] * (1 - g[t] ** 2),
            }
            dz = np.zeros_like(z[t])
            for gate, d in pre.items():
                self.grads["W" + gate] += d @ z[t].T
                self.grads["b" + gate] += d
                dz += getattr(self, "W" + gate).T @ d
            dhn = dz[:H]
            dcn = dc * f[t]
        return total


OPTIONS["results"] = {"total": "loss"} | {
    f"grads.{k}{g}": f"d_{k}{g}" for k in "Wb" for g in "ifog"
}
ASSUMES = ["h_0 is 0", "c_0 is 0"]
FAULTS = [
    ("dcn = dc * f[t]", "dcn = dc", "grads.Wi grads.Wg grads.bi grads.bg",
     "lacks the factor f[t+1]"),
    ('"f": dc * c[t - 1] *', '"f": dc * c[t] *', "grads.Wf grads.bf grads.Wi grads.bi grads.Wo grads.bo grads.Wg grads.bg",
     "reads c[t] where c[t-1] belongs"),
]  # fmt: skip
