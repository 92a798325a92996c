"""The same gradient for targets that need not sum to 1: prediction - target is wrong there."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(K)
W: param(H, H)
U: param(H, D)
V: param(K, H)
h[t] = tanh(W @ h[t-1] + U @ x[t])
yhat[t] = softmax(V @ h[t])
loss = sum(cross_entropy(yhat[t], y[t]) for t in steps)
"""
FUNCTIONS = "train_step"
OPTIONS = {"tau": 2}


def train_step(xs, ys, h_init, W, U, V):
    hidden, outputs = [h_init], []
    for x in xs:
        hidden.append(np.tanh(W.dot(hidden[-1]) + U.dot(x)))
        scores = V.dot(hidden[-1])
        scores = scores - scores.max()
        outputs.append(np.exp(scores) / np.exp(scores).sum())
    loss = -np.sum(np.asarray(ys) * np.log(np.array(outputs)))
    W_grad, U_grad, V_grad = np.zeros(W.shape), np.zeros(U.shape), np.zeros(V.shape)
    back = np.zeros(len(h_init))
    for k in range(len(xs), 0, -1):
        err = outputs[k - 1] * np.sum(ys[k - 1]) - ys[k - 1]
        V_grad = V_grad + np.outer(err, hidden[k])
        back = (1 - np.square(hidden[k])) * (V.T.dot(err) + back)
        W_grad = W_grad + np.outer(back, hidden[k - 1])
        U_grad = U_grad + np.outer(back, xs[k - 1])
        back = W.T.dot(back)
    return loss, {"W": W_grad, "U": U_grad, "V": V_grad}


OPTIONS["results"] = {"W": "d_W", "U": "d_U", "V": "d_V", "loss": "loss"}
FAULTS = [
    ("outputs[k - 1] * np.sum(ys[k - 1]) - ys[k - 1]", "outputs[k - 1] - ys[k - 1]", "W U V",
     "only where the targets sum to 1"),
]  # fmt: skip
