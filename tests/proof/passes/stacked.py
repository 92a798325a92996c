"""Two layers on top of each other, parameters in a list, gradients in a list."""
# ruff: noqa: B905

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
W1: param(H, H)
U1: param(H, D)
W2: param(H, H)
U2: param(H, H)
h[t] = tanh(W1 @ h[t-1] + U1 @ x[t])
g[t] = tanh(W2 @ g[t-1] + U2 @ h[t])
loss = sum(squared_error(g[t], y[t]) for t in steps)
"""
FUNCTIONS = "train"
OPTIONS = {
    "tau": 2,
    "arguments": {
        "w": lambda q: [q["W1"], q["U1"], q["W2"], q["U2"]],
        "seq": "x",
        "want": "y",
    },
}


def train(seq, want, W1, U1, W2, U2):
    layers = [(W1, U1), (W2, U2)]
    grads = [[np.zeros_like(W), np.zeros_like(U)] for W, U in layers]
    signals, history = list(seq), []
    for W, U in layers:
        states = [np.zeros(W.shape[0])]
        for s in signals:
            states.append(np.tanh(W @ states[-1] + U @ s))
        history.append((signals, states))
        signals = states[1:]
    loss = sum(((a - b) ** 2).sum() for a, b in zip(signals, want)) / 2
    flow = [a - b for a, b in zip(signals, want)]
    for k in (1, 0):
        W, U = layers[k]
        below, states = history[k]
        carry, down = np.zeros(W.shape[0]), [None] * len(below)
        for t in reversed(range(len(below))):
            d = (flow[t] + carry) * (1 - states[t + 1] ** 2)
            grads[k][0] += np.outer(d, states[t])
            grads[k][1] += np.outer(d, below[t])
            carry, down[t] = W.T @ d, U.T @ d
        flow = down
    (gW1, gU1), (gW2, gU2) = grads
    return loss, gW1, gU1, gW2, gU2


OPTIONS["arguments"].pop("w")
FAULTS = [
    ("flow = down", "flow = [U.T @ f for f in flow]", "gW1 gU1", ""),
    ("W.T @ d, U.T @ d", "W.T @ d, U @ d", "gW1 gU1", "by U2 instead of U2.T"),
    ("(flow[t] + carry)", "flow[t]", "gU1 gU2", "truncation"),
]  # fmt: skip
