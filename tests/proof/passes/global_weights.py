"""A script whose weights and sizes are global names, written for hundreds of units."""
# ruff: noqa: B905

import numpy as np

CIRCUIT = """
text[t]: token(N)
after[t]: token(N)
before: input(H)
A: param(H, N)
B: param(H, H)
C: param(N, H)
p: param(H)
q: param(N)
h[0] = before
h[t] = tanh(A @ onehot(text[t]) + B @ h[t-1] + p)
loss = sum(softmax_cross_entropy(C @ h[t] + q, after[t]) for t in steps)
"""
FUNCTIONS = "step_through"

hidden_size = 100
vocab_size = 27
A = 0.01 * np.ones((hidden_size, vocab_size))
B = 0.01 * np.eye(hidden_size)
C = 0.01 * np.ones((vocab_size, hidden_size))
p, q = np.zeros((hidden_size, 1)), np.zeros((vocab_size, 1))


def one_hot(k):
    column = np.zeros((vocab_size, 1))
    column[k] = 1.0
    return column


def step_through(text, after, before):
    states, probabilities = {-1: before}, {}
    loss = 0.0
    for n, k in enumerate(text):
        states[n] = np.tanh(np.dot(A, one_hot(k)) + np.dot(B, states[n - 1]) + p)
        scores = np.exp(np.dot(C, states[n]) + q)
        probabilities[n] = scores / scores.sum()
        loss = loss - np.log(probabilities[n][after[n], 0])
    grads = [
        np.zeros((hidden_size, vocab_size)),
        np.zeros_like(B),
        np.zeros_like(C),
        np.zeros_like(p),
        np.zeros_like(q),
    ]
    carried = np.zeros((hidden_size, 1))
    for n in range(len(text) - 1, -1, -1):
        out = probabilities[n] - one_hot(after[n])
        inner = (np.dot(C.T, out) + carried) * (1 - states[n] ** 2)
        for total, part in zip(
            grads,
            (inner @ one_hot(text[n]).T, inner @ states[n - 1].T, out @ states[n].T, inner, out),
        ):
            total += part
        carried = np.dot(B.T, inner)
    dA, dB, dC, dp, dq = grads
    return loss, dA, dB, dC, dp, dq, states[len(text) - 1]


FAULTS = [
    (
        "carried = np.dot(B.T, inner)",
        "carried = np.dot(B, inner)",
        "dA dB dp",
        "multiplies by B instead of B.T",
    ),
    ("(1 - states[n] ** 2)", "(1 - states[n])", "dA dB dp", "1 - u**2|1 - h"),
    ("states[n].T, inner, out)", "states[n].T, inner, out / len(text))", "dq", "average|1/3"),
]
