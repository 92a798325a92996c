"""An LSTM layer as in a course, with a fault in one gate: which gate, which step, and why.

The layer's weights are transposed and its gates fused, examples come first, and the upstream
cotangent is symbolic. The circuit says what is meant; the two meet in `arguments`.
"""

import numpy as np

import graphgrad as gg

lstm = gg.parse(
    """
x[t]: input(D)
U: param(4*H, D)
W: param(4*H, H)
b: param(4*H)
a[t] = U @ x[t] + W @ h[t-1] + b
i[t], f[t], o[t], g[t] = split(a[t], 4)
c[t] = sigmoid(f[t]) * c[t-1] + sigmoid(i[t]) * tanh(g[t])
h[t] = sigmoid(o[t]) * tanh(c[t])
loss = sum(h[tau])
""",
    name="LSTM",
)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x, h0, c0, Wx, Wh, b):
    N, T, _ = x.shape
    H = h0.shape[1]
    h, cache, prev_h, prev_c = np.zeros((N, T, H)), [], h0, c0
    for t in range(T):
        a = x[:, t] @ Wx + prev_h @ Wh + b
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(a[:, 3 * H :])
        next_c = f * prev_c + i * g
        cache.append((x[:, t], prev_h, prev_c, Wx, Wh, i, f, o, g, next_c))
        prev_h, prev_c = o * np.tanh(next_c), next_c
        h[:, t] = prev_h
    return h, cache


def backward(dh, cache):
    N, T, H = dh.shape
    Wx, Wh = cache[0][3:5]
    dx, dWx, dWh, db = np.zeros((N, T, len(Wx))), np.zeros_like(Wx), np.zeros_like(Wh), 0
    dh_next, dc = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        x, prev_h, prev_c, _, _, i, f, o, g, next_c = cache[t]
        dh_t = dh[:, t] + dh_next
        tanh_c = np.tanh(next_c)
        dc = dc + dh_t * o * (1 - tanh_c**2)
        gates = (dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dh_t * tanh_c * o * (1 - o))
        da = np.hstack((*gates, dc * i * (1 - g**2)))
        dx[:, t], dh_next = da @ Wx.T, da @ Wh.T
        dWx += x.T @ da
        dWh += prev_h.T @ da
        db = db + da.sum(axis=0)
        dc = dc * f
    dh0, dc0 = dh_next, dc
    return dx, dh0, dc0, dWx, dWh, db


def careless(dh, cache):
    """The same, but the forget gate is given the new cell instead of the old one."""
    spoiled = [(*step[:2], step[9], *step[3:]) for step in cache]
    dx, dh0, dc0, dWx, dWh, db = backward(dh, spoiled)
    return dx, dh0, dc0, dWx, dWh, db


meaning = {"Wx": "U.T", "Wh": "W.T"}
options = {"loss": "h", "batch": 2, "tau": 2, "layout": "batch_first", "arguments": meaning}

right = gg.check_function(lstm, (forward, backward), sizes={"D": 1}, **options)
print(right)
assert right.ok

print("\nNow the forget gate reads the new cell:\n")
wrong = gg.check_function(lstm, (forward, careless), sizes={"D": 1, "H": 1}, **options)
print(wrong)
assert wrong.verdict == "refuted"
