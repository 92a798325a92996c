"""A character model in one function: dictionaries of columns, one-hot by index, clipped."""

import numpy as np

CIRCUIT = """
inputs[t]: token(N)
targets[t]: token(N)
Wxh: param(H, N)
Whh: param(H, H)
Why: param(N, H)
bh: param(H)
by: param(N)
h[t] = tanh(Wxh @ onehot(inputs[t]) + Whh @ h[t-1] + bh)
scores[t] = Why @ h[t] + by
loss = sum(softmax_cross_entropy(scores[t], targets[t]) for t in steps)
"""
FUNCTIONS = "char_loss"


def char_loss(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        draw = (1 - hs[t] * hs[t]) * dh
        dbh += draw
        dWxh += np.dot(draw, xs[t].T)
        dWhh += np.dot(draw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, draw)
    for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
        np.clip(dparam, -5, 5, out=dparam)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]


ASSUMES = ["np.clip to [-5, 5] is inactive"]
FAULTS = [
    (
        "np.dot(draw, hs[t - 1].T)",
        "np.dot(draw, hs[t].T)",
        "dWhh",
        "reads h[t] where h[t-1] belongs",
    ),
    ("dbh += draw", "dbh = draw", "dbh", "the sum over the steps is missing"),
    ("np.dot(Whh.T, draw)", "np.dot(Whh, draw)", "dWxh dWhh dbh", "by Whh instead of Whh.T"),
    (
        "reversed(range(len(inputs)))",
        "reversed(range(1, len(inputs)))",
        "dWxh dWhh dWhy dbh dby",
        "the first step is left out",
    ),
    (
        "reversed(range(len(inputs)))",
        "reversed(range(len(inputs) - 1))",
        "dWxh dWhh dWhy dbh dby",
        "the loss of step 3 does not flow back|the last step is left out",
    ),
    ("(1 - hs[t] * hs[t]) * dh", "dh", "dWxh dWhh dbh", "lacks the factor 1 - h[t]**2"),
    ("dy[targets[t]] -= 1", "dy[targets[t]] += 1", "dWxh dWhh dWhy dbh dby", "wrong sign"),
    (
        "        dhnext = np.dot(Whh.T, draw)\n",
        "",
        "dWxh dWhh dbh",
        "lacks the term Whh.T @ delta_h[t+1]",
    ),
    (
        "    for dparam in",
        "    dWhy /= len(inputs)\n    for dparam in",
        "dWhy",
        "1/3 = 1/τ: an average over the steps",
    ),
    (
        "dWxh += np.dot(draw, xs[t].T)",
        "dWxh += np.dot(draw, xs[max(t - 1, 0)].T)",
        "dWxh",
        "",
    ),
]
