"""The likely change in an equation of a person, and equations that read alike."""

import pytest

import graphgrad as gg
from graphgrad.proof.likely_change import reading

SAME = [
    ("d = a + b - c", "d = -c + b + a"),
    ("d = a - (b - c)", "d = a + c - b"),
    ("d = a * (b + c) * e", "d = e * (c + b) * a"),
    ("d = -(a - b)", "d = b - a"),
    ("d[t] = h[t-1] * (1 - h[t]**2)", "d[t] = (1 - h[t]**2) * h[t - 1]"),
]
DIFFERENT = [
    ("d = a - b", "d = b - a"),
    ("d = a @ b", "d = b @ a"),
    ("d = a * b + c", "d = a * (b + c)"),
    ("d = h[t-1]", "d = h[t+1]"),
    ("d = a**2", "d = a**3"),
    ("d = f(a, b)", "d = f(b, a)"),
    ("d = W.T", "d = W"),
    ("d = a * a", "d = a"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equations_that_read_alike(one, other):
    assert reading(one) == reading(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_equations_that_do_not(one, other):
    assert reading(one) != reading(other)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"d_W": "mean(outer(d_a[t], h[t-1]) for t in steps)"}, "d_W averages over the steps"),
        ({"d_W": "sum(outer(d_a[t], h[t]) for t in steps)"}, "d_W reads h[t] where h[t-1] belongs"),
        ({"d_h[t]": "W @ d_a[t+1] + 1"}, "d_h[t] multiplies by W instead of W.T"),
    ],
)
def test_the_change_is_named(change, cause):
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\na[t] = W @ h[t-1] + x[t]\nh[t] = tanh(a[t])\n"
        "loss = sum(sum(h[t]) for t in steps)"
    )
    right = {
        "d_h[t]": "1 + W.T @ d_a[t+1]",
        "d_a[t]": "d_h[t] * (1 - h[t]**2)",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
    }
    proof = gg.prove(circuit, claims=right | change, tau=2, method="certificate")
    (said,) = [each.cause for each in proof.equations if not each.holds]
    assert said.startswith(cause)
