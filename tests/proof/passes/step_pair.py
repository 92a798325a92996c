"""One step, forward and backward; what the backward function returns has no names."""

import numpy as np

CIRCUIT = """
x: input(D)
last: input(H)
Wx: param(D, H)
Wh: param(H, H)
bias: param(H)
out = tanh(Wx.T @ x + Wh.T @ last + bias)
"""
FUNCTIONS = "forward backward"
OPTIONS = {"loss": "out", "batch": 2}


def forward(x, last, Wx, Wh, bias):
    out = np.tanh(x.dot(Wx) + last.dot(Wh) + bias)
    return out, (x, last, Wx, Wh, out)


def backward(dout, cache):
    x, last, Wx, Wh, out = cache
    da = dout * (1 - out * out)
    return da.dot(Wx.T), da.dot(Wh.T), x.T.dot(da), last.T.dot(da), da.sum(axis=0)


FAULTS = [
    ("da.dot(Wh.T)", "da.dot(Wh)", "da.dot(Wh)", "by Wh.T instead of Wh"),
    ("da.sum(axis=0)", "da.mean(axis=0)", "da.mean(axis=0)", "average|1/2"),
]
