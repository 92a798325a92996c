"""One step of a layer, forward and backward, with a stored mask in place of a cache of values."""

import numpy as np

CIRCUIT = """
x[t]: input(D)
U: param(H, D)
W: param(H, H)
b: param(H)
h[t] = relu(W @ h[t-1] + U @ x[t] + b)
loss = sum(h[tau])
"""
FUNCTIONS = "step_forward step_backward"
OPTIONS = {
    "loss": "h",
    "batch": 2,
    "layout": "step",
    "arguments": {"Wx": "U.T", "Wh": "W.T"},
}


def step_forward(x, prev_h, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    next_h = np.maximum(0, a)
    return next_h, {"x": x, "h": prev_h, "Wx": Wx, "Wh": Wh, "on": a > 0}


def step_backward(dnext_h, cache):
    da = np.where(cache["on"], dnext_h, 0.0)
    dx = da @ cache["Wx"].T
    dprev_h = da @ cache["Wh"].T
    dWx = cache["x"].T @ da
    dWh = cache["h"].T @ da
    db = np.sum(da, axis=0)
    return dx, dprev_h, dWx, dWh, db


FAULTS = [
    ('np.where(cache["on"], dnext_h, 0.0)', "dnext_h", "dx dprev_h dWx dWh db", ""),
    ('cache["x"].T @ da', '-cache["x"].T @ da', "dWx", "the sign is wrong"),
    ("db = np.sum(da, axis=0)", "db = np.mean(da, axis=0)", "db", "times 1/2"),
    ("db = np.sum(da, axis=0)", "db = da", "db", "the sum over the examples"),
    ("db = np.sum(da, axis=0)", "db = da[-1]", "db", "example 2 of 2"),
]  # fmt: skip
