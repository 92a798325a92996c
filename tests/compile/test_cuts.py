"""Vectors cut into pieces and joined: where a piece stands, and who may write there.

Each text once gave a wrong number or a KeyError. `cuts` of `networks.py` draws more of them.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from tests.compile.reference import close

SHAPES = {
    "x[t]": "input(2*H)",
    "u[t]": "input(H)",
    "w": "param(2*H)",
    "c": "param(H)",
    "P": "param(H, H)",
    "R": "param(H, H)",
}
GATES = """f[t] = sigmoid(P @ h[t-1] + {a})
g[t] = sigmoid(R @ h[t-1] + {b})
h[t] = f[t] * h[t-1] + (1 - f[t]) * g[t]
loss = sum(h[t] @ h[t] for t in steps)
"""
SPLIT = "z[t] = tanh(x[t])\na[t], b[t] = split(z[t], 2)\n"
TEXTS = {
    "pieces of an input joined": "a[t], b[t] = split(x[t], 2)\ns[t] = concat(b[t], a[t])\n"
    "loss = sum(w @ s[t] for t in steps)",
    "a whole read after its pieces": "z[t] = concat(P @ h[t-1], R @ h[t-1]) + x[t]\n"
    "a[t], b[t] = split(z[t], 2)\nv[t] = tanh(z[t])\np[t], q[t] = split(v[t], 2)\n"
    "h[t] = a[t] * p[t] + b[t] * q[t]\nloss = sum(sum(h[t]) for t in steps)",
    "a joined part read later": "p[t] = tanh(a[t-1])\nz[t] = concat(p[t], 2 * p[t]) * w + x[t]\n"
    "a[t], b[t] = split(z[t], 2)\nloss = sum(sum(z[t]) + sum(p[t]) for t in steps)",
    "a product in a joined vector": "s[t] = concat(P @ u[t], u[t] * u[t])\n"
    "loss = sum(w @ s[t] for t in steps)",
    "gates of pieces of an input": "a[t], b[t] = split(x[t], 2)\n"
    + GATES.format(a="a[t]", b="b[t]"),
    "gates of pieces of a parameter": "a, b = split(w, 2)\n" + GATES.format(a="a", b="b + u[t]"),
    "pieces of the last step": "z[t] = tanh(x[t])\na[t], b[t] = split(z[t-1], 2)\n"
    + GATES.format(a="a[t]", b="b[t]"),
    "last steps of pieces": SPLIT + GATES.format(a="a[t-1]", b="b[t-1]"),
    "with boundary values": SPLIT
    + "a[0] = c\nb[0] = c * c\n"
    + GATES.format(a="a[t-1]", b="b[t-1]"),
    "with one boundary value": SPLIT + "a[0] = c\n" + GATES.format(a="a[t-1]", b="b[t-1]"),
    "a boundary of the whole": SPLIT.replace("z[t], 2", "z[t-1], 2")
    + "z[0] = w\n"
    + GATES.format(a="a[t]", b="b[t]"),
    "half of a joined cotangent": "v[t] = 0.25 * concat(u[t-1] * c, tanh(a[t-1]))\n"
    "d[t] = tanh(split(v[t], 2)[1])\ne[t] = tanh(concat(u[t], u[t-1] + d[t]))\ne[0] = w\n"
    "a[t] = tanh(split(e[t-1], 2)[1] * u[t])\n"
    "loss = sum(sum(a[t]**2) + sum(v[t]**2) + sum(d[t]**2) for t in steps)",
    "a part of what is read again": "a[t] = concat(2 + b[t-1], P @ tanh(b[t-1])) * w\n"
    "b[t] = 0.5 * (2 + P @ tanh(b[t-1])) + split(a[t-1], 2)[0]\nb[0] = c\n"
    "loss = sum(sum(a[t]**2) + sum(b[t] * u[t]) for t in steps)",
    "a part of what no step changes": "z[t] = concat(u[t], P @ u[t])\n"
    "a[t], b[t] = split(z[tau], 2)\n"
    "loss = sum(z[tau]) + sum(sum(b[t]) for t in steps if t == 1)",
    "gates of what stands before them": "v[t] = tanh(P @ h[t-1] + u[t])\n"
    "f[t] = sigmoid(P @ v[t] + R @ h[t-1])\ng[t] = tanh(R @ v[t] + P @ h[t-1])\n"
    "h[t] = f[t] * h[t-1] + (1 - f[t]) * g[t]\nloss = sum(h[t] @ h[t] for t in steps)",
    "a sum over steps of what reads another one": "v[t] = tanh(P @ u[t])\n"
    "m = sum(outer(v[t], u[t]) for t in steps)\nd[t] = tanh(m @ u[t])\n"
    "n = sum(outer(d[t], u[t]) for t in steps)\nloss = sum(m * n)",
    "numbers first": "h[t] = 1 + tanh(h[t-1]) + 2 + u[t] * c\n"
    "g[t] = 1 - (2 - 3 * (2 * (u[t] * (P @ g[t-1]))))\n"
    "loss = sum(sum(h[t] * g[t]) for t in steps)",
}
BACKENDS = ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_values_and_gradients_are_those_of_the_interpreter(text: str, backend: str) -> None:
    used = {n: kind for n, kind in SHAPES.items() if re.search(rf"\b{re.escape(n[0])}\b", text)}
    head = [f"{name}: {kind}" for name, kind in used.items()]
    circuit = gg.parse("\n".join([*head, text]))
    values = circuit.init(0, H=3) | circuit.example(1, 5, H=3)
    wanted: dict[str, Any] = circuit.unfold(5).grad().evaluate(values)
    everything = tuple(circuit.variables)
    for shown in ((), everything) if backend == "numpy" else (everything,):
        found = circuit.compile(*shown, grad="loss", backend=backend)(values)
        for name, value in found.items():
            close(value, np.asarray(wanted[name]), 1e-13)
