"""What compiled functions are measured against: backward passes a careful engineer would write.

`CAREFUL` are NumPy passes with joint gates, input products and weight gradients outside the loops.
Parameters and data are those of the circuits; gradients are means over the batch.
"""

from __future__ import annotations

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


def squared_error(hidden, weights, target):
    """Return the loss of linear outputs, and their cotangents."""
    difference = hidden @ weights.T - target
    return 0.5 * (difference * difference).sum(), difference


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


def output_recurrence(p, x, y):
    steps, examples, inputs = x.shape
    size, outputs, count = len(p["b"]), len(p["c"]), steps * examples
    flat = x.reshape(count, inputs)
    before = (flat @ p["U"].T + p["b"]).reshape(steps, examples, size)
    h = np.empty((steps, examples, size), x.dtype)
    o = np.zeros((steps + 1, examples, outputs), x.dtype)
    turned, read = np.ascontiguousarray(p["W"].T), np.ascontiguousarray(p["V"].T)
    for t in range(steps):
        h[t] = np.tanh(before[t] + o[t] @ turned)
        o[t + 1] = h[t] @ read + p["c"]
    logits = o[1:] - o[1:].max(-1, keepdims=True)
    share = np.exp(logits)
    share /= share.sum(-1, keepdims=True)
    loss = -(y * np.log(share)).sum()
    d_o = (share - y) / x.dtype.type(examples)
    slope = 1 - h * h
    d_a = np.empty_like(before)
    for t in reversed(range(steps)):
        if t + 1 < steps:
            d_o[t] += d_a[t + 1] @ p["W"]
        d_a[t] = d_o[t] @ p["V"] * slope[t]
    d_a, d_o = d_a.reshape(count, size), d_o.reshape(count, outputs)
    return loss / examples, {
        "U": d_a.T @ flat,
        "W": d_a.T @ o[:-1].reshape(count, outputs),
        "V": d_o.T @ h.reshape(count, size),
        "b": d_a.sum(0),
        "c": d_o.sum(0),
    }


def joint(p, letters, names):
    """Return the weights of all gates, one below the other, a matrix for each letter."""
    return (np.concatenate([p[f"{letter}_{name}"] for name in names]) for letter in letters)


def apart(grads, letters, names):
    """Return the gradients of joint weights under the names of the gates."""
    size = len(grads[0]) // len(names)
    return {
        f"{letter}_{name}": grad[place * size : (place + 1) * size]
        for letter, grad in zip(letters, grads, strict=True)
        for place, name in enumerate(names)
    }


def lstm_forward(W, U, b, x):
    """Return gates, outputs, cells (both from the step before the first on) and their tanh."""
    steps, examples, inputs = x.shape
    size = W.shape[1]
    z = (x.reshape(steps * examples, inputs) @ U.T + b).reshape(steps, examples, 4 * size)
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
    return z, h, c, squashed


def lstm_backward(W, x, z, h, c, squashed, d_out):
    """Return the gradients by W, U and b, from the cotangents of the outputs."""
    steps, examples, size = d_out.shape
    count = steps * examples
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
    before = h[:-1].reshape(count, size)
    return d_z.T @ before, d_z.T @ x.reshape(count, -1), d_z.sum(0)


def lstm(p, x, y):
    steps, examples, _ = x.shape
    W, U, b = joint(p, "WUb", "ifog")
    kept = lstm_forward(W, U, b, x)
    hidden = kept[1][1:].reshape(steps * examples, -1)
    loss, d_y = cross_entropy(hidden, p["V"], p["b_y"], y.reshape(len(hidden), -1))
    d_y /= examples
    d_out = (d_y @ p["V"]).reshape(steps, examples, -1)
    grads = {"V": d_y.T @ hidden, "b_y": d_y.sum(0)}
    return loss / examples, grads | apart(lstm_backward(W, x, *kept, d_out), "WUb", "ifog")


def lstm_bidirectional(p, x, y):
    steps, examples, _ = x.shape
    W, U, b = joint(p, "WUb", "ifog")
    R, S, r = joint(p, "RSr", "ifog")
    turned = np.ascontiguousarray(x[::-1])
    right, left = lstm_forward(W, U, b, x), lstm_forward(R, S, r, turned)
    both = np.concatenate([right[1][1:], left[1][:0:-1]], axis=2).reshape(steps * examples, -1)
    weights = np.concatenate([p["V"], p["Q"]], axis=1)
    loss, d_y = cross_entropy(both, weights, p["b_y"], y.reshape(len(both), -1))
    d_y /= examples
    d_both = (d_y @ weights).reshape(steps, examples, -1)
    size = W.shape[1]
    d_weights = d_y.T @ both
    grads = {"V": d_weights[:, :size], "Q": d_weights[:, size:], "b_y": d_y.sum(0)}
    grads |= apart(lstm_backward(W, x, *right, d_both[:, :, :size]), "WUb", "ifog")
    grads |= apart(lstm_backward(R, turned, *left, d_both[::-1, :, size:]), "RSr", "ifog")
    return loss / examples, grads


def lstm_peephole(p, x, y):
    steps, examples, inputs = x.shape
    size, count = len(p["b_i"]), steps * examples
    flat, target = x.reshape(count, inputs), y.reshape(count, -1)
    W, U, b = joint(p, "WUb", "ifoc")
    peep = np.concatenate([p["p_i"], p["p_f"]])
    z = (flat @ U.T + b).reshape(steps, examples, 4 * size)
    h, c = (np.zeros((steps + 1, examples, size), x.dtype) for _ in range(2))
    squashed = np.empty((steps, examples, size), x.dtype)
    turned = np.ascontiguousarray(W.T)
    for t in range(steps):
        gates = z[t]
        gates += h[t] @ turned
        gates[:, : 2 * size] += peep * np.tile(c[t], 2)
        gates[:, : 2 * size] = sigmoid(gates[:, : 2 * size])
        i, f, o, g = np.split(gates, 4, axis=1)
        np.tanh(g, out=g)
        c[t + 1] = f * c[t] + i * g
        o[...] = sigmoid(o + p["p_o"] * c[t + 1])
        squashed[t] = np.tanh(c[t + 1])
        h[t + 1] = o * squashed[t]
    hidden = h[1:].reshape(count, size)
    loss, d_y = squared_error(hidden, p["V"], target)
    d_y /= examples
    d_out = (d_y @ p["V"]).reshape(steps, examples, size)
    d_z = np.empty_like(z)
    d_h, d_c = (np.zeros((examples, size), x.dtype) for _ in range(2))
    for t in reversed(range(steps)):
        i, f, o, g = np.split(z[t], 4, axis=1)
        d = d_z[t]
        d_h += d_out[t]
        d_o = d_h * squashed[t] * o * (1 - o)
        d_c += d_h * o * (1 - squashed[t] ** 2) + d_o * p["p_o"]
        d[:, :size] = d_c * g * i * (1 - i)
        d[:, size : 2 * size] = d_c * c[t] * f * (1 - f)
        d[:, 2 * size : 3 * size] = d_o
        d[:, 3 * size :] = d_c * i * (1 - g * g)
        d_c = d_c * f + d[:, :size] * p["p_i"] + d[:, size : 2 * size] * p["p_f"]
        d_h = d @ W
    d_i, d_f, d_o, _ = np.split(d_z, 4, axis=2)
    grads = {
        "V": d_y.T @ hidden,
        "p_i": np.einsum("tbh,tbh->h", d_i, c[:-1]),
        "p_f": np.einsum("tbh,tbh->h", d_f, c[:-1]),
        "p_o": np.einsum("tbh,tbh->h", d_o, c[1:]),
    }
    d_z = d_z.reshape(count, 4 * size)
    joined = d_z.T @ h[:-1].reshape(count, size), d_z.T @ flat, d_z.sum(0)
    return loss / examples, grads | apart(joined, "WUb", "ifoc")


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
    loss, d_y = squared_error(hidden, p["V"], target)
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


def gru_reset_after(p, x, y):
    steps, examples, inputs = x.shape
    size, count = len(p["b"]), steps * examples
    flat, target = x.reshape(count, inputs), y.reshape(count, -1)
    W, U, b = (np.concatenate([p[f"{kind}_r"], p[f"{kind}_z"], p[kind]]) for kind in "WUb")
    z = (flat @ U.T + b).reshape(steps, examples, 3 * size)
    h = np.zeros((steps + 1, examples, size), x.dtype)
    inner = np.empty((steps, examples, size), x.dtype)
    turned = np.ascontiguousarray(W.T)
    for t in range(steps):
        own = h[t] @ turned
        gates, new = z[t, :, : 2 * size], z[t, :, 2 * size :]
        gates[...] = sigmoid(gates + own[:, : 2 * size])
        inner[t] = own[:, 2 * size :] + p["d"]
        new += gates[:, :size] * inner[t]
        np.tanh(new, out=new)
        h[t + 1] = new + gates[:, size:] * (h[t] - new)
    hidden = h[1:].reshape(count, size)
    loss, d_y = squared_error(hidden, p["V"], target)
    d_y /= examples
    d_out = (d_y @ p["V"]).reshape(steps, examples, size)
    d_z, d_own = np.empty_like(z), np.empty_like(z)
    d_h = np.zeros((examples, size), x.dtype)
    for t in reversed(range(steps)):
        r, u, new = z[t, :, :size], z[t, :, size : 2 * size], z[t, :, 2 * size :]
        d_h = d_h + d_out[t]
        d, own = d_z[t], d_own[t]
        d_new = d_h * (1 - u) * (1 - new * new)
        d[:, 2 * size :] = d_new
        d[:, size : 2 * size] = d_h * (h[t] - new) * u * (1 - u)
        d[:, :size] = d_new * inner[t] * r * (1 - r)
        own[:, : 2 * size] = d[:, : 2 * size]
        own[:, 2 * size :] = d_new * r
        d_h = d_h * u + own @ W
    d_z, d_own = d_z.reshape(count, 3 * size), d_own.reshape(count, 3 * size)
    d_U, d_b = d_z.T @ flat, d_z.sum(0)
    d_W = d_own.T @ h[:-1].reshape(count, size)
    grads = {"V": d_y.T @ hidden, "d": d_own[:, 2 * size :].sum(0)}
    for place, end in enumerate(("_r", "_z", "")):
        rows = slice(place * size, (place + 1) * size)
        grads |= {f"W{end}": d_W[rows], f"U{end}": d_U[rows], f"b{end}": d_b[rows]}
    return loss / examples, grads


CAREFUL = {
    "elman": elman,
    "lstm": lstm,
    "gru": gru,
    "gru_reset_after": gru_reset_after,
    "lstm_peephole": lstm_peephole,
    "output_recurrence": output_recurrence,
    "lstm_bidirectional": lstm_bidirectional,
}
