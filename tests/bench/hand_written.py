"""What compiled functions are measured against: backward passes a careful engineer would write.

`CAREFUL` are NumPy passes with joint gates, input products and weight gradients outside the loops.
`LOOPS` are losses as one writes them for a tape, a step at a time, given a module of functions.
Parameters and data are those of the gallery's circuits; gradients are means over the batch.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def cross_entropy(hidden, weights, bias, target):
    """Return the loss of softmax outputs, and the cotangents of their inputs."""
    logits = hidden @ weights.T + bias
    logits -= logits.max(-1, keepdims=True)
    weights = np.exp(logits)
    share = weights / weights.sum(-1, keepdims=True)
    return -(target * np.log(share)).sum(), share - target


def elman(p, x, y):
    steps, examples, inputs = x.shape
    size, count = len(p["b"]), steps * examples
    flat, target = x.reshape(count, inputs), y.reshape(count, -1)
    before = (flat @ p["U"].T + p["b"]).reshape(steps, examples, size)
    h = np.zeros((steps + 1, examples, size), x.dtype)
    turned = np.ascontiguousarray(p["W"].T)
    for t in range(steps):
        h[t + 1] = np.tanh(before[t] + h[t] @ turned)
    hidden = h[1:].reshape(count, size)
    loss, d_o = cross_entropy(hidden, p["V"], p["c"], target)
    d_o /= examples
    d_h = (d_o @ p["V"]).reshape(steps, examples, size)
    d_a = np.empty_like(before)
    ahead = np.zeros((examples, size), x.dtype)
    for t in reversed(range(steps)):
        d_a[t] = (d_h[t] + ahead) * (1 - h[t + 1] ** 2)
        ahead = d_a[t] @ p["W"]
    d_a = d_a.reshape(count, size)
    return loss / examples, {
        "U": d_a.T @ flat,
        "W": d_a.T @ h[:-1].reshape(count, size),
        "V": d_o.T @ hidden,
        "b": d_a.sum(0),
        "c": d_o.sum(0),
    }


def lstm(p, x, y):
    steps, examples, inputs = x.shape
    size, count = len(p["b_i"]), steps * examples
    flat, target = x.reshape(count, inputs), y.reshape(count, -1)
    W, U, b = (np.concatenate([p[f"{kind}_{gate}"] for gate in "ifog"]) for kind in "WUb")
    z = (flat @ U.T + b).reshape(steps, examples, 4 * size)
    h, c = (np.zeros((steps + 1, examples, size), x.dtype) for _ in range(2))
    squashed = np.empty((steps, examples, size), x.dtype)
    turned = np.ascontiguousarray(W.T)
    for t in range(steps):
        gates = z[t]
        gates += h[t] @ turned
        gates[:, : 3 * size] = sigmoid(gates[:, : 3 * size])
        g = gates[:, 3 * size :]
        np.tanh(g, out=g)
        c[t + 1] = gates[:, size : 2 * size] * c[t] + gates[:, :size] * g
        squashed[t] = np.tanh(c[t + 1])
        h[t + 1] = gates[:, 2 * size : 3 * size] * squashed[t]
    hidden = h[1:].reshape(count, size)
    loss, d_y = cross_entropy(hidden, p["V"], p["b_y"], target)
    d_y /= examples
    d_out = (d_y @ p["V"]).reshape(steps, examples, size)
    d_z = np.empty_like(z)
    d_h, d_c = (np.zeros((examples, size), x.dtype) for _ in range(2))
    for t in reversed(range(steps)):
        i, f, o, g = np.split(z[t], 4, axis=1)
        d_h += d_out[t]
        d_c += d_h * o * (1 - squashed[t] ** 2)
        d = d_z[t]
        d[:, :size] = d_c * g * i * (1 - i)
        d[:, size : 2 * size] = d_c * c[t] * f * (1 - f)
        d[:, 2 * size : 3 * size] = d_h * squashed[t] * o * (1 - o)
        d[:, 3 * size :] = d_c * i * (1 - g * g)
        d_c *= f
        d_h = d @ W
    d_z = d_z.reshape(count, 4 * size)
    d_W, d_U, d_b = d_z.T @ h[:-1].reshape(count, size), d_z.T @ flat, d_z.sum(0)
    grads = {"V": d_y.T @ hidden, "b_y": d_y.sum(0)}
    for place, gate in enumerate("ifog"):
        rows = slice(place * size, (place + 1) * size)
        grads |= {f"W_{gate}": d_W[rows], f"U_{gate}": d_U[rows], f"b_{gate}": d_b[rows]}
    return loss / examples, grads


def gru(p, x, y):
    steps, examples, inputs = x.shape
    size, count = len(p["b"]), steps * examples
    flat, target = x.reshape(count, inputs), y.reshape(count, -1)
    U, b = (np.concatenate([p[f"{kind}_r"], p[f"{kind}_z"], p[kind]]) for kind in "Ub")
    W, gated = p["W"], np.concatenate([p["W_r"], p["W_z"]])
    z = (flat @ U.T + b).reshape(steps, examples, 3 * size)
    h = np.zeros((steps + 1, examples, size), x.dtype)
    h[0] = p["h0"]
    reset = np.empty((steps, examples, size), x.dtype)
    turned, gated_turned = np.ascontiguousarray(W.T), np.ascontiguousarray(gated.T)
    for t in range(steps):
        gates, new = z[t, :, : 2 * size], z[t, :, 2 * size :]
        gates += h[t] @ gated_turned
        gates[...] = sigmoid(gates)
        reset[t] = gates[:, :size] * h[t]
        new += reset[t] @ turned
        np.tanh(new, out=new)
        h[t + 1] = new + gates[:, size:] * (h[t] - new)
    hidden = h[1:].reshape(count, size)
    d_y = hidden @ p["V"].T - target
    loss = 0.5 * (d_y * d_y).sum()
    d_y /= examples
    d_out = (d_y @ p["V"]).reshape(steps, examples, size)
    d_z = np.empty_like(z)
    d_h = np.zeros((examples, size), x.dtype)
    for t in reversed(range(steps)):
        r, u, new = z[t, :, :size], z[t, :, size : 2 * size], z[t, :, 2 * size :]
        d_h = d_h + d_out[t]
        d = d_z[t]
        d_new = d_h * (1 - u) * (1 - new * new)
        d_reset = d_new @ W
        d[:, 2 * size :] = d_new
        d[:, size : 2 * size] = d_h * (h[t] - new) * u * (1 - u)
        d[:, :size] = d_reset * h[t] * r * (1 - r)
        d_h = d_h * u + d_reset * r + d[:, : 2 * size] @ gated
    d_z = d_z.reshape(count, 3 * size)
    d_U, d_b = d_z.T @ flat, d_z.sum(0)
    d_gated = d_z[:, : 2 * size].T @ h[:-1].reshape(count, size)
    grads = {"V": d_y.T @ hidden, "h0": d_h.sum(0)}
    grads["W"] = d_z[:, 2 * size :].T @ reset.reshape(count, size)
    for place, end in enumerate(("_r", "_z", "")):
        rows = slice(place * size, (place + 1) * size)
        grads |= {f"U{end}": d_U[rows], f"b{end}": d_b[rows]}
        if end:
            grads[f"W{end}"] = d_gated[rows]
    return loss / examples, grads


CAREFUL = {"elman": elman, "lstm": lstm, "gru": gru}


def elman_loss(p, x, y, f: SimpleNamespace):
    h, loss = f.zeros(x.shape[1], len(p["b"])), 0.0
    for t in range(len(x)):
        h = f.tanh(p["b"] + h @ p["W"].T + x[t] @ p["U"].T)
        loss = loss - (y[t] * f.log_softmax(p["c"] + h @ p["V"].T)).sum()
    return loss / x.shape[1]


def lstm_loss(p, x, y, f: SimpleNamespace):
    h = c = f.zeros(x.shape[1], len(p["b_i"]))
    loss = 0.0
    for t in range(len(x)):
        i, o, k, g = (
            function(p[f"b_{gate}"] + h @ p[f"W_{gate}"].T + x[t] @ p[f"U_{gate}"].T)
            for gate, function in zip(
                "iofg", (f.sigmoid, f.sigmoid, f.sigmoid, f.tanh), strict=True
            )
        )
        c = k * c + i * g
        h = o * f.tanh(c)
        loss = loss - (y[t] * f.log_softmax(p["b_y"] + h @ p["V"].T)).sum()
    return loss / x.shape[1]


def gru_loss(p, x, y, f: SimpleNamespace):
    h, loss = f.zeros(x.shape[1], len(p["b"])) + p["h0"], 0.0
    for t in range(len(x)):
        r = f.sigmoid(p["b_r"] + h @ p["W_r"].T + x[t] @ p["U_r"].T)
        z = f.sigmoid(p["b_z"] + h @ p["W_z"].T + x[t] @ p["U_z"].T)
        new = f.tanh(p["b"] + (r * h) @ p["W"].T + x[t] @ p["U"].T)
        h = z * h + (1 - z) * new
        gap = h @ p["V"].T - y[t]
        loss = loss + 0.5 * (gap * gap).sum()
    return loss / x.shape[1]


LOOPS = {"elman": elman_loss, "lstm": lstm_loss, "gru": gru_loss}
