"""Backpropagation through time as recursion: forwards on the way in, backwards on the way out."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y: input(K)
W: param(H, H)
U: param(H, D)
V: param(K, H)
h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = squared_error(V @ h[tau], y)
"""
FUNCTIONS = "solve"


def solve(W, U, V, x, y, h0):
    def down(h, rest):
        if not len(rest):
            error = V @ h - y
            return 0.5 * error @ error, V.T @ error, 0 * W, 0 * U, np.outer(error, h)
        new = np.tanh(W @ h + U @ rest[0])
        loss, dnew, dW, dU, dV = down(new, rest[1:])
        da = dnew * (1 - new * new)
        return loss, W.T @ da, dW + np.outer(da, h), dU + np.outer(da, rest[0]), dV

    loss, dh0, dW, dU, dV = down(h0, list(x))
    return {"loss": loss, "grad": {"W": dW, "U": dU, "V": dV, "h0": dh0}}


FAULTS = [
    ("dW + np.outer(da, h)", "dW + np.outer(da, new)", "grad.W", "reads h[t] where h[t-1] belongs"),
    ("dU + np.outer(da, rest[0])", "np.outer(da, rest[0])", "grad.U", "counts the first step only"),
]
