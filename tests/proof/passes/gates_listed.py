"""A peephole LSTM whose gates stand in lists: comprehensions, zip(reversed(…)), named tuples."""

from collections import namedtuple

import numpy as np

CIRCUIT = """
x[t]: input(D)
y[t]: input(H)
Wi: param(H, D)
Wf: param(H, D)
Wg: param(H, D)
Wo: param(H, D)
Ri: param(H, H)
Rf: param(H, H)
Rg: param(H, H)
Ro: param(H, H)
pi: param(H)
pf: param(H)
po: param(H)
i[t] = sigmoid(Wi @ x[t] + Ri @ h[t-1] + pi * c[t-1])
f[t] = sigmoid(Wf @ x[t] + Rf @ h[t-1] + pf * c[t-1])
g[t] = tanh(Wg @ x[t] + Rg @ h[t-1])
c[t] = f[t] * c[t-1] + i[t] * g[t]
o[t] = sigmoid(Wo @ x[t] + Ro @ h[t-1] + po * c[t])
h[t] = o[t] * tanh(c[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
FUNCTIONS = "peephole"
OPTIONS = {"tau": 2, "sizes": {"D": 1, "H": 2}}

Step = namedtuple("Step", "x h c gates new_c new_h")


def sigma(z):
    return 1 / (1 + np.exp(-z))


def peephole(x, y, h0, c0, Wi, Wf, Wg, Wo, Ri, Rf, Rg, Ro, pi, pf, po):
    W, R = [Wi, Wf, Wg, Wo], [Ri, Rf, Rg, Ro]
    h, c, tape = h0, c0, []
    for each in x:
        zi, zf, zg, zo = [w @ each + r @ h for w, r in zip(W, R, strict=True)]
        i, f, g = sigma(zi + pi * c), sigma(zf + pf * c), np.tanh(zg)
        new_c = f * c + i * g
        o = sigma(zo + po * new_c)
        new_h = o * np.tanh(new_c)
        tape.append(Step(each, h, c, (i, f, g, o), new_c, new_h))
        h, c = new_h, new_c
    loss = sum(0.5 * np.sum((s.new_h - target) ** 2) for s, target in zip(tape, y, strict=True))
    dW, dR = [np.zeros_like(w) for w in W], [np.zeros_like(r) for r in R]
    dpi, dpf, dpo = (np.zeros_like(p) for p in (pi, pf, po))
    dh, dc = np.zeros_like(h0), np.zeros_like(c0)
    for s, target in zip(reversed(tape), reversed(y), strict=True):
        i, f, g, o = s.gates
        dh = dh + s.new_h - target
        squashed = np.tanh(s.new_c)
        dzo = dh * squashed * o * (1 - o)
        dc = dc + dh * o * (1 - squashed**2) + po * dzo
        dzi, dzf = dc * g * i * (1 - i), dc * s.c * f * (1 - f)
        dzg = dc * i * (1 - g**2)
        deltas = [dzi, dzf, dzg, dzo]
        dW = [total + np.outer(d, s.x) for total, d in zip(dW, deltas, strict=True)]
        dR = [total + np.outer(d, s.h) for total, d in zip(dR, deltas, strict=True)]
        dpi, dpf, dpo = dpi + dzi * s.c, dpf + dzf * s.c, dpo + dzo * s.new_c
        dh = sum(r.T @ d for r, d in zip(R, deltas, strict=True))
        dc = dc * f + pi * dzi + pf * dzf
    gradients = {
        f"d{name}": value for name, value in zip(["Wi", "Wf", "Wg", "Wo"], dW, strict=True)
    }
    gradients |= {
        f"d{name}": value for name, value in zip(["Ri", "Rf", "Rg", "Ro"], dR, strict=True)
    }
    return loss, gradients | {"dpi": dpi, "dpf": dpf, "dpo": dpo, "dh0": dh, "dc0": dc}


FAULTS = [
    ("dpo + dzo * s.new_c", "dpo + dzo * s.c", "dpo", "reads c[t-1] where c[t] belongs"),
]
