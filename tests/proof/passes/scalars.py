"""No arrays at all: the two-step scalar network in plain Python with the math module."""

from math import exp, tanh

CIRCUIT = """
x[t]: input()
y: input()
w: param()
u: param()
v: param()
h[t] = tanh(w * h[t-1] + u * x[t])
o = sigmoid(v * h[tau])
loss = (o - y)**2 / 2
"""
FUNCTIONS = "scalar_bptt"
OPTIONS = {"arguments": {"target": "y"}}


def scalar_bptt(x, target, w, u, v):
    h = [0.0]
    for value in x:
        h.append(tanh(w * h[-1] + u * value))
    o = 1 / (1 + exp(-v * h[-1]))
    error = (o - target) ** 2 / 2
    d = (o - target) * o * (1 - o)
    dv = d * h[-1]
    d *= v
    dw = du = 0.0
    for t in range(len(x), 0, -1):
        d *= 1 - h[t] ** 2
        dw += d * h[t - 1]
        du += d * x[t - 1]
        d *= w
    return error, dw, du, dv


FAULTS = [
    ("dw += d * h[t - 1]", "dw += d * h[t]", "dw", "reads h[t] where h[t-1] belongs"),
    ("d = (o - target) * o * (1 - o)", "d = o - target", "dw du dv", ""),
    ("        d *= w\n", "", "dw du", "lacks the factor w"),
    ("du += d * x[t - 1]", "du = d * x[t - 1]", "du", "the first step only"),
]  # fmt: skip
