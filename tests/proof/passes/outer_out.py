"""Everything in place: buffers given to `out=`, and `+=`, `*=`, `@=` on them."""

import numpy as np

CIRCUIT = """
x[t]: input(N)
y[t]: input(N)
W: param(N, N)
U: param(N, N)
b: param(N)
h[t] = sigmoid(W @ h[t-1] + U @ x[t] + b)
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "in_place"


def in_place(x, y, W, U, b, h0):
    steps, n = x.shape
    h = np.empty((steps + 1, n))
    h[0] = h0
    pre = np.empty(n)
    for t in range(steps):
        np.matmul(W, h[t], out=pre)
        np.add(pre, U @ x[t], out=pre)
        pre += b
        np.negative(pre, out=pre)
        np.exp(pre, out=pre)
        pre += 1
        np.reciprocal(pre, out=h[t + 1])
    loss = 0.0
    dW, dU, db = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    product, delta, carried = np.empty((n, n)), np.empty(n), np.zeros(n)
    for t in range(steps - 1, -1, -1):
        np.subtract(h[t + 1], y[t], out=delta)
        loss += 0.5 * np.vdot(delta, delta)
        delta += carried
        np.multiply(delta, h[t + 1], out=delta)
        delta *= 1 - h[t + 1]
        np.outer(delta, h[t], out=product)
        np.add(dW, product, out=dW)
        np.outer(delta, x[t], out=product)
        np.add(dU, product, out=dU)
        db += delta
        carried = delta.copy()
        carried @= W
    return loss, dW, dU, db


FAULTS = [
    ("np.subtract(h[t + 1], y[t], out=delta)", "np.subtract(y[t], h[t + 1], out=delta)",
     "dW dU db", "the sign is wrong"),
    ("delta *= 1 - h[t + 1]", "delta *= 1 - h[t]", "dW dU db", "reads h[t-1] where h[t] belongs"),
]  # fmt: skip
