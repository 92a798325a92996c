"""Parameters in a frozen dataclass, products by tensordot and matmul, gradients in another one."""

from dataclasses import dataclass, fields

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
Wxh: param(D, H)
Whh: param(H, H)
Why: param(H, K)
bh: param(H)
h[t] = tanh(Wxh.T @ x[t] + Whh.T @ h[t-1] + bh)
loss = mean(squared_error(Why.T @ h[t], y[t]) for t in steps)
"""
FUNCTIONS = "loss_and_gradients"
OPTIONS = {"batch": 2, "layout": "batch_first", "tau": 3}


@dataclass(frozen=True)
class Weights:
    Wxh: np.ndarray
    Whh: np.ndarray
    Why: np.ndarray
    bh: np.ndarray


def unrolled(p, xs, h):
    states = [h]
    for step in np.moveaxis(xs, 1, 0):
        pre = np.tensordot(step, p.Wxh, axes=1) + np.matmul(states[-1], p.Whh) + p.bh
        states.append(np.tanh(pre))
    return np.stack(states, axis=1)


def loss_and_gradients(Wxh, Whh, Why, bh, x, y, h0):
    p = Weights(Wxh, Whh, Why, bh)
    n = x.shape[1]
    hs = unrolled(p, x, h0)
    residual = np.tensordot(hs[:, 1:], p.Why, axes=([2], [0])) - y
    loss = 0.5 * np.einsum("btk,btk->", residual, residual) / n
    back = np.zeros_like(hs)
    back[:, 1:] = np.matmul(residual, p.Why.T) / n
    deltas = np.zeros_like(hs[:, 1:])
    for t in reversed(range(n)):
        deltas[:, t] = (1 - np.square(hs[:, t + 1])) * back[:, t + 1]
        back[:, t] += np.matmul(deltas[:, t], p.Whh.T)
    grads = Weights(
        Wxh=np.tensordot(x, deltas, axes=([0, 1], [0, 1])),
        Whh=np.tensordot(hs[:, :-1], deltas, axes=([0, 1], [0, 1])),
        Why=np.tensordot(hs[:, 1:], residual, axes=([0, 1], [0, 1])) / n,
        bh=deltas.sum(axis=(0, 1)),
    )
    return loss, {f"d{field.name}": getattr(grads, field.name) for field in fields(grads)}


FAULTS = [
    ("np.tensordot(hs[:, :-1], deltas", "np.tensordot(hs[:, 1:], deltas", "dWhh",
     "reads h[t] where h[t-1] belongs"),
    ("np.matmul(deltas[:, t], p.Whh.T)", "np.matmul(deltas[:, t], p.Whh)", "dWxh dWhh dbh",
     "multiplies by Whh.T instead of Whh"),
    ("axes=([0, 1], [0, 1])) / n", "axes=([0, 1], [0, 1]))", "dWhy", "τ: a sum over the steps"),
]  # fmt: skip
