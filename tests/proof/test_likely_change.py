"""The likely change in an equation of a person, and equations that read alike."""

import pytest

import graphgrad as gg
from graphgrad.proof.likely_change import reading
from tests.proof.own_claims import backward

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
        (
            {"d_W": "sum(outer(d_h[t], h[t-1]) for t in steps)"},
            "d_W reads d_h[t] where d_a[t] belongs",
        ),
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


def test_a_name_that_the_person_has_not_is_explained():
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\nu: param(N)\nf[t] = sigmoid(u * x[t])\n"
        "h[t] = tanh(W @ (f[t] * h[t-1]))\n"
        "loss = sum(squared_error(h[t], x[t]) for t in steps)"
    )
    assert "delta_fh[t] = W.T @ delta_h[t]" in str(circuit.adjoint())
    claims = {
        "d_h[t]": "h[t] - x[t]",
        "delta_h[t]": "(1 - h[t]**2) * d_h[t]",
        "d_W": "sum(outer(delta_h[t], f[t] * h[t-1]) for t in steps)",
        "d_f[t]": "h[t-1] * (W.T @ delta_h[t])",
        "d_u": "sum(x[t] * f[t] * (1 - f[t]) * d_f[t] for t in steps)",
    }
    (wrong,) = (e for e in gg.prove(circuit, claims=claims, tau=2).equations if not e.holds)
    assert wrong.cause == (
        "d_h[t] lacks the term f[t+1] * delta_fh[t+1], where delta_fh[t] = W.T @ delta_h[t]"
    )


SHARED = {
    "d_h[t]": "1 + W.T @ e[t+1]",
    "e[t]": "(1 - h[t]**2) * d_h[t]",
    "d_W": "sum(outer(e[t], h[t-1]) for t in steps)",
    "d_b": "sum(e[t] for t in steps)",
    "d_c": "sum(f[t] for t in steps)",
    "f[t]": "h[t] * 1",
}
NOT_ONE = "all that is wrong reads e[t], and nothing that is right does"


@pytest.mark.parametrize(
    ("change", "causes"),
    [
        ({"e[t]": "2 * d_h[t]"}, {"d_h[t]": NOT_ONE, "d_W": NOT_ONE, "d_b": NOT_ONE}),
        ({"e[t]": "2 * g[t]", "g[t]": "d_h[t]"}, dict.fromkeys(
            ["d_h[t]", "d_W", "d_b"],
            "all that is wrong reads e[t] and g[t], and nothing that is right does")),
        ({"d_b": "2 * sum(e[t] for t in steps)", "d_W": "outer(e[1], h[0])"},
         {"d_W": "", "d_b": ""}),
        ({"d_b": "-sum(e[t] for t in steps)"}, {"d_b": "d_b has the wrong sign"}),
        ({"e[t]": "2 * d_h[t]", "f[t]": "-h[t]"},
         dict.fromkeys(["d_h[t]", "d_W", "d_b", "d_c"], "")),
    ],
    ids=["auxiliary", "through another", "read by what is right", "one alone", "two of them"],
)  # fmt: skip
def test_auxiliary_equations_that_all_that_is_wrong_reads(change, causes):
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\nb: param(N)\nc: param(N)\n"
        "h[t] = tanh(W @ h[t-1] + x[t] + b)\nloss = sum(sum(h[t]) + sum(c * h[t]) "
        "for t in steps)"
    )
    right = SHARED | {"d_h[t]": "1 + c + W.T @ e[t+1]"}
    assert gg.prove(circuit, claims=right, tau=2, method="certificate").ok
    proof = gg.prove(circuit, claims=right | change, tau=2, method="certificate")
    assert {each.name: each.cause for each in proof.equations if not each.holds} == causes


def test_the_change_of_a_shared_auxiliary_equation_is_named():
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nu: param()\nh[t] = tanh(w * h[t-1] + u * x[t])\n"
        "loss = sum(h[t] for t in steps)"
    )
    wrong = {**backward(circuit), "delta_h[t]": "(1 + h[t]**2) * d_h[t]"}
    proof = gg.prove(circuit, claims=wrong, method="certificate")
    assert {each.name: each.cause for each in proof.equations} == dict.fromkeys(
        ["d_h[t]", "d_w", "d_u"], "in delta_h[t] the term h[t]**2 has the wrong sign"
    )
