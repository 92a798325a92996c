"""Leaky units with everything lifted over time by einsum, gradients of all steps at once."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
alpha: param()
W: param(H, H)
U: param(H, D)
h[t] = (1 - alpha) * h[t-1] + alpha * tanh(W @ h[t-1] + U @ x[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "leaky"
OPTIONS = {"batch": 2, "tau": 2}


def leaky(x, y, h0, alpha, W, U):
    drive = np.einsum("tbd,hd->tbh", x, U)
    h = [h0]
    a = []
    for u in drive:
        a.append(np.tanh(h[-1] @ W.T + u))
        h.append((1 - alpha) * h[-1] + alpha * a[-1])
    H, A = np.stack(h), np.stack(a)
    err = H[1:] - y
    loss = 0.5 * np.sum(err**2)
    dH, dpre = np.zeros_like(H), np.zeros_like(A)
    dH[1:] += err
    for t in range(len(x) - 1, -1, -1):
        dpre[t] = alpha * dH[t + 1] * (1 - A[t] ** 2)
        dH[t] += (1 - alpha) * dH[t + 1] + dpre[t] @ W
    return {
        "loss": loss,
        "d_W": np.einsum("tbh,tbk->hk", dpre, H[:-1]),
        "d_U": np.einsum("tbh,tbd->hd", dpre, x),
        "d_alpha": np.sum(dH[1:] * (A - H[:-1])),
        "d_h0": dH[0],
    }


FAULTS = [
    ("np.sum(dH[1:] * (A - H[:-1]))", "np.sum(dH[1:] * A)", "d_alpha", ""),
    ("(1 - alpha) * dH[t + 1] + dpre[t] @ W", "dpre[t] @ W",
     "d_W d_U d_alpha d_h0", "lacks the term"),
    ("dpre, H[:-1]", "dpre, H[1:]", "d_W", "reads h[t] where h[t-1] belongs"),
]  # fmt: skip
