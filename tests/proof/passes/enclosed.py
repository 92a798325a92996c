"""A training script in a function: the loss is an inner function over the weights around it."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = mean(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "trainer().objective"


class trainer:
    def __init__(self):
        weights = {"W": np.eye(3), "U": np.ones((3, 2))}
        momentum = {name: np.zeros_like(value) for name, value in weights.items()}

        def forward(x):
            states = [np.zeros(weights["W"].shape[0])]
            for row in x:
                states.append(np.tanh(weights["W"] @ states[-1] + weights["U"] @ row))
            return states

        def objective(x, y):
            states, T = forward(x), len(x)
            errors = [s - target for s, target in zip(states[1:], y, strict=True)]
            loss = sum(0.5 * (e**2).sum() for e in errors) / T
            grads = {name: np.zeros_like(value) for name, value in weights.items()}
            back = 0
            for k in range(T, 0, -1):
                delta = (errors[k - 1] / T + back) * (1 - states[k] ** 2)
                grads["W"] += np.outer(delta, states[k - 1])
                grads["U"] += np.outer(delta, x[k - 1])
                back = delta @ weights["W"]
            return loss, grads

        self.objective, self.momentum = objective, momentum


FAULTS = [
    (
        "np.outer(delta, states[k - 1])",
        "np.outer(delta, states[k])",
        "grads.W",
        "h[t] for h[t-1]|h[t] in place of h[t-1]|h[t]",
    ),
    ("back = delta @", "back = -delta @", "grads.W grads.U", "sign"),
]
