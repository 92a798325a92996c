"""Rules of differentiation that are broken in the table of primitives: each proof notices."""

from contextlib import contextmanager

import pytest

import graphgrad as gg
from graphgrad.ir import OPS

NET = """
x[t]: input(H)
y[t]: input(H)
W: param(H, H)
{}
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""
SCALAR = """
x[t]: input()
w: param()
{}
loss = sum(h[t] for t in steps)
"""


def net(right, kind=NET):
    return kind.format(f"h[t] = {right}")


BROKEN = {
    "tanh, no square": ("tanh", lambda g, y, u: ((1 - y) * g,), net("tanh(W @ h[t-1] + x[t])")),
    "tanh, at u": ("tanh", lambda g, y, u: ((1 - u**2) * g,), net("tanh(W @ h[t-1] + x[t])")),
    "sigmoid, sign": ("sigmoid", lambda g, y, u: (y * (y - 1) * g,), net("sigmoid(W @ h[t-1])")),
    "sigmoid, half": ("sigmoid", lambda g, y, u: (y * g,), net("sigmoid(W @ h[t-1])")),
    "exp, at u": ("exp", lambda g, y, u: (u * g,), net("exp(w * h[t-1])", SCALAR)),
    "log, product": ("log", lambda g, y, u: (g * u,), net("log(w * x[t])", SCALAR)),
    "sqrt, factor": ("sqrt", lambda g, y, u: (g / y,), net("sqrt(w * x[t])", SCALAR)),
    "sin, no cos": ("sin", lambda g, y, u: (y * g,), net("sin(w * h[t-1])", SCALAR)),
    "cos, sign": ("cos", lambda g, y, u: (OPS["sin"](u) * g,), net("cos(w * x[t])", SCALAR)),
    "softplus": ("softplus", lambda g, y, u: (OPS["tanh"](u) * g,), net("softplus(W @ h[t-1])")),
    "relu, always": ("relu", lambda g, y, u: (g,), net("relu(W @ h[t-1] + x[t])")),
    "abs, no sign": ("abs", lambda g, y, u: (g,), net("abs(w * x[t])", SCALAR)),
    "mul, operands": ("mul", lambda g, y, a, b: (a * g, b * g), net("w * x[t]", SCALAR)),
    "mul, one side": ("mul", lambda g, y, a, b: (None, a * g), net("w * x[t]", SCALAR)),
    "sub, no sign": ("sub", lambda g, y, a, b: (g, g), net("x[t] - w * x[t]", SCALAR)),
    "div, sign": (
        "div",
        lambda g, y, a, b: (g / b, (g * y) / b),
        net("x[t] / (w + x[t])", SCALAR),
    ),
    "pow, exponent": (
        "pow",
        lambda g, y, a, b: (b * a**b * g, None),
        net("(w * x[t])**3", SCALAR),
    ),
    "matmul, no transpose": (
        "matmul",
        lambda g, y, a, b: (OPS["outer"](g, b), a @ g),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "matmul, outer turned": (
        "matmul",
        lambda g, y, a, b: (OPS["outer"](b, g), a.T @ g),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "transpose, not undone": ("transpose", lambda g, y, a: (g,), net("tanh(W.T @ h[t-1] + x[t])")),
    "outer, exchanged": (
        "outer",
        lambda g, y, a, b: (g.T @ b, g @ a),
        net("outer(x[t], W @ h[t-1]) @ x[t]"),
    ),
    "softmax, no sum": ("softmax", lambda g, y, u: (y * g,), net("softmax(W @ x[t])")),
    "softmax, wrong sum": (
        "softmax",
        lambda g, y, u: (y * (g - OPS["sum"](g)),),
        net("softmax(W @ x[t])"),
    ),
    "log_softmax, no sum": ("log_softmax", lambda g, y, u: (g,), net("log_softmax(W @ x[t])")),
    "logsumexp, uniform": (
        "logsumexp",
        lambda g, y, v: (g * (v / v),),
        net("x[t] * logsumexp(W @ x[t])"),
    ),
    "squared error, factor": (
        "squared_error",
        lambda g, out, u, v: (2 * g * (u - v), None),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "squared error, sign": (
        "squared_error",
        lambda g, out, u, v: (g * (v - u), None),
        net("tanh(W @ h[t-1] + x[t])"),
    ),
    "mean, sum": (
        "mean",
        lambda g, y, v: (g * (v / v),),
        net("x[t] * mean(W @ x[t])"),
    ),
}


@contextmanager
def broken(op, rule):
    """Put a wrong rule into the one entry of the table."""
    kept = op.vjp
    object.__setattr__(op, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(op, "vjp", kept)


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize(("op", "rule", "text"), BROKEN.values(), ids=BROKEN)
def test_broken_rules_are_refuted(op, rule, text):
    circuit = gg.parse(text)
    assert gg.prove(circuit, tau=2).ok
    with broken(OPS[op], rule):
        proof = gg.prove(circuit, tau=2)
    assert proof.verdict == "refuted", proof
    refuted = {claim.origin for claim in proof.claims if claim.verdict == "refuted"}
    assert len(refuted) == 2, "both passes use the rule"
