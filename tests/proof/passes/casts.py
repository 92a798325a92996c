"""Single precision as it is trained in: astype on the way in and out, dtype= for new arrays."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: distribution(K)
W: param(H, H)
U: param(H, D)
V: param(K, H)
h[t] = tanh(W @ h[t-1] + U @ x[t])
p[t] = softmax(V @ h[t])
loss = sum(cross_entropy(p[t], y[t]) for t in steps)
"""
FUNCTIONS = "single"
OPTIONS = {"tau": 2}


def single(x, y, W, U, V, h0):
    x, y, W, U, V = (a.astype(np.float32) for a in (x, y, W, U, V))
    h = np.zeros((len(x) + 1, len(h0)), dtype=np.float32)
    p = np.zeros(y.shape, np.float32)
    h[0] = h0.astype("float32")
    for t in range(len(x)):
        h[t + 1] = np.tanh(W.dot(h[t]) + U.dot(x[t]))
        scores = np.exp(V.dot(h[t + 1])).astype(np.float32)
        p[t] = scores / scores.sum(dtype=np.float32)
    loss = np.float32(0)
    for t in range(len(x)):
        loss -= y[t].dot(np.log(p[t]))
    gW, gU, gV = (np.zeros_like(a, dtype=np.float32) for a in (W, U, V))
    carry = np.zeros(len(h0), dtype=np.float32)
    for t in np.arange(len(x))[::-1]:
        do = (p[t] - y[t]).astype(np.float32)
        gV += do[:, None] * h[t + 1]
        dz = (V.T.dot(do) + carry) * (np.float32(1) - h[t + 1] * h[t + 1])
        gW += dz[:, None] * h[t]
        gU += dz[:, None] * x[t]
        carry = dz.dot(W)
    return float(loss) if isinstance(loss, float) else loss, {"gW": gW, "gU": gU, "gV": gV}


FAULTS = [
    ("dz[:, None] * h[t]", "dz[None, :] * h[t][:, None]", "gW", "transpose"),
]
