"""Induction over τ: the gallery, claims, conditions and offsets, what it must not prove."""

from fractions import Fraction

import pytest

import graphgrad as gg
from graphgrad.proof import induction
from graphgrad.proof.clock import Clock
from graphgrad.proof.lengths import horizons
from graphgrad.proof.question import (
    claimed_equations,
    own_equations,
    question_of,
    sizes_of,
    targets_of,
)

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
ELMAN = gg.cells.load("elman")


def every(circuit, **options):
    return gg.prove(circuit, method="induction", **options)


def found(circuit, claims=None, sizes=None):
    """What the induction shows, without a search for refutations."""
    question = question_of(circuit, "loss")
    targets = targets_of(circuit, "loss", None, claimed=claims is not None)
    stated = (
        own_equations(question, targets)
        if claims is None
        else claimed_equations(question, claims, targets, None)
    )
    return induction.inductive(question, stated, sizes_of(circuit, sizes), Clock())


def backward(circuit):
    own = set(str(circuit).splitlines())
    lines = [line for line in str(circuit.adjoint()).splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


# -- what is right ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROVABLE)
def test_gallery(name):
    proof = every(gg.cells.load(name))
    assert proof.ok, proof
    assert all(claim.every for claim in proof.claims)
    assert proof.scope.startswith("every length")


def circuit_of(*lines):
    return gg.parse("x[t]: input(N)\nW: param(N, N)\nU: param(N, N)\n" + "\n".join(lines))


LOSS = "loss = sum(squared_error(h[t], x[t]) for t in steps)"
CIRCUITS = {
    "residues": (
        "h[t] = tanh(W @ h[t-1] + x[t]) if t % 3 == 0 else U @ h[t-2]",
        "loss = sum(sum(h[t]) for t in steps if t % 2 == 1)",
    ),
    "both ends": (
        "h[t] = tanh(W @ h[t-1]) if t < tau - 2 and t > 2 else U @ h[t-1] + x[t]",
        LOSS,
    ),
    "parity of the length": (
        "h[t] = tanh(W @ h[t-1] + x[t])",
        "loss = sum(h[tau]) if tau % 2 == 0 else sum(U @ h[tau])",
    ),
    "numbers": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t] / t)",
        "loss = mean(squared_error(t * h[t], x[t]) for t in steps) / tau",
    ),
    "mean of some": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t])",
        "loss = mean(squared_error(h[t], x[t]) for t in steps if t > 3)",
    ),
    "a sum without steps": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t])",
        "loss = sum(sum(W * W) for t in steps) + sum(sum(h[t]) for t in steps)",
    ),
    "last and first": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t])",
        "loss = squared_error(h[tau], h[1]) + sum(h[tau-1] * h[2])",
    ),
    "advance and delay": (
        "a[t] = tanh(W @ b[t+1] + x[t])",
        "b[t] = U @ a[t-2]",
        "loss = sum(squared_error(b[t], x[t]) for t in steps)",
    ),
    "boundary equations": (
        "z: param(N)",
        "h[0] = tanh(U @ z)",
        "h[-1] = z",
        "h[t] = tanh(W @ h[t-1] + U @ h[t-2] + x[t])",
        LOSS,
    ),
    "a cumulative sum": ("h[t] = h[t-1] + W @ x[t]", "loss = sum(sum(h[t]**2) for t in steps)",
                         "unused = sum(sum(U @ h[t]) for t in steps)"),
    "through a static value": (
        "h[t] = tanh(W @ h[t-1] + x[t])",
        "c = mean(h[t] for t in steps)",
        "g[t] = tanh(U @ g[t-1] + c * x[t])",
        "loss = sum(squared_error(g[t], c) for t in steps)",
    ),
    "half": (
        "h[t] = tanh(W @ h[t-1] + x[t]) if 2 * t < tau else U @ h[t-1]",
        "loss = mean(squared_error(h[t], x[t]) for t in steps if 2 * t > tau - 5)",
    ),
    "thirds and residues": (
        "h[t] = tanh(W @ h[t-1] + x[t]) if 3 * t < tau or 3 * t >= 2 * tau else U @ h[t-2]",
        "loss = sum(sum(h[t]) for t in steps if t % 2 == 0)",
    ),
    "beyond the end": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t]) if t < 2 * tau - 5 else zeros(N)",
        LOSS,
    ),
    "a product of sums": (
        "h[t] = tanh(W @ h[t-1] + U @ x[t])",
        "loss = sum(sum(h[t]) for t in steps) * sum(sum(U @ h[t]) for t in steps)**2",
    ),
    "attention": (
        "h[t] = tanh(W @ h[t-1] + x[t])",
        "e[t] = exp(sum(U @ h[t]))",
        "loss = sum(sum(e[t] * h[t]) for t in steps) / sum(e[t] for t in steps)",
    ),
    "a sum that every step reads": (
        "h[t] = tanh(W @ h[t-1] + x[t])",
        "m = mean(sum(x[t]) for t in steps)",
        "g[t] = tanh(U @ g[t-1] + m * m * sum(h[t] for t in steps))",
        "loss = sum(squared_error(g[t], x[t]) for t in steps)",
    ),
    "layer normalisation": (
        "a[t] = W @ h[t-1] + U @ x[t]",
        "m[t] = mean(a[t])",
        "s[t] = sqrt(mean((a[t] - m[t])**2) + 1/1000)",
        "h[t] = tanh((a[t] - m[t]) / s[t])",
        LOSS,
    ),
    "linear attention": (
        "k[t] = exp(W @ x[t])",
        "S[t] = S[t-1] + outer(U @ x[t], k[t])",
        "z[t] = z[t-1] + k[t]",
        "h[t] = S[t] @ x[t] / (z[t] @ x[t])",
        LOSS,
    ),
    "kinks": ("h[t] = relu(W @ h[t-1] + U @ x[t])", "loss = sum(max(h[t]) for t in steps)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize("lines", CIRCUITS.values(), ids=CIRCUITS)
def test_hard_circuits(lines):
    circuit = circuit_of(*lines)
    shown = found(circuit)
    assert shown.proved == set(circuit.params), shown


RIGHT = {
    "another order": {"d_h[t]": "W.T @ d_a[t+1] + V.T @ d_o[t]"},
    "by exponentials": {"d_a[t]": "4 * exp(2 * a[t]) / (exp(2 * a[t]) + 1)**2 * d_h[t]"},
    "one step ahead": {
        "d_W": "outer(d_a[1], h[0]) + sum(outer(d_a[t+1], h[t]) for t in steps if t < tau)"
    },
    "a mean": {"d_b": "tau * mean(d_a[t] for t in steps)"},
    "in a loop": {
        "acc[t]": "acc[t+1] + outer(d_a[t], h[t-1])",
        "acc[tau+1]": "0",
        "d_W": "acc[1]",
    },
    "one equation for two": {
        "d_a[t]": "(1 - h[t]**2) * (V.T @ d_o[t] + W.T @ d_a[t+1])",
        "d_h[t]": "zeros(H)",
    },
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_right_claims(change):
    assert found(ELMAN, backward(ELMAN) | change).proved == set(ELMAN.params)


# -- what is wrong ---------------------------------------------------------------------------------

SMALL = {"H": 1, "D": 1, "K": 2}
LATE = {
    "beyond ten": "t > 10",
    "from the end": "t < tau - 10",
    "one residue": "t % 7 == 5",
    "long sequences": "tau > 13",
    "one length": "tau == 11",
    "both": "t == 6 and tau == 14",
    "in the middle": "2 * t == tau",
}


@pytest.mark.parametrize("condition", LATE.values(), ids=LATE)
def test_a_fault_far_from_the_ends_is_found(condition, monkeypatch):
    """Every wrong equation is wrong at some class of steps, however late it comes."""
    monkeypatch.setattr(induction, "MOST_DROPPED", 0)
    claims = backward(ELMAN)
    claims["d_h[t]"] += f" + (V.T @ d_o[t+1] if {condition} else 0)"
    assert found(ELMAN, claims, SMALL).proved == {"V", "c"}


@pytest.mark.parametrize("condition", ["2 * t == tau + 9", "3 * t == tau - 4"])
def test_a_fault_in_the_middle_is_found(condition, monkeypatch):
    monkeypatch.setattr(induction, "MOST_DROPPED", 0)
    circuit = gg.parse(
        "w: param()\nv: param()\nx[t]: input()\nh[t] = w * h[t-1] + v * x[t]\n"
        "loss = sum(h[t] * x[t] for t in steps)"
    )
    claims = backward(circuit)
    assert found(circuit, claims).proved == {"w", "v"}
    claims["d_h[t]"] += f" + (x[t+1] if {condition} else 0)"
    assert not found(circuit, claims).proved


@pytest.mark.parametrize("condition", LATE.values(), ids=LATE)
def test_a_summand_too_many_is_found(condition):
    claims = backward(ELMAN)
    if "t " not in condition.replace("tau", ""):
        claims["d_b"] += f" + (ones(H) if {condition} else 0)"
    else:
        claims["d_b"] += f" + sum(ones(H) for t in steps if {condition})"
    assert found(ELMAN, claims, SMALL).proved == set(ELMAN.params) - {"b"}


EVERY_THIRD = gg.parse(
    "x[t]: input()\nw: param()\nb: param()\n"
    "h[t] = w * h[t-1] + x[t] if t % 3 != 0 else b * h[t-1]\nloss = sum(h[t] for t in steps)"
)


def test_a_fault_that_reaches_a_gradient_in_longer_sequences_only_is_found():
    """The wrong d_h[2] shows at 3 steps, where nothing before it reads b; at 6 d_b is wrong."""
    claims = {
        "d_h[t]": "1 + (w * d_h[t+1] if (t + 1) % 3 != 0 else 0)",
        "d_b": "sum(h[t-1] * d_h[t] for t in steps if t % 3 == 0)",
    }
    assert gg.prove(EVERY_THIRD, claims=claims, tau=5, method="certificate").ok
    assert not gg.prove(EVERY_THIRD, claims=claims, tau=6, method="certificate").ok
    (short,) = gg.prove(EVERY_THIRD, claims=claims, tau=5).claims
    assert (short.verdict, short.every) == ("proved", False)
    assert not found(EVERY_THIRD, claims).proved
    (claim,) = every(EVERY_THIRD, claims=claims).claims
    assert claim.verdict == "refuted"
    assert claim.tau["t"] >= 6
    assert claim.fault.startswith("d_h[")


def test_a_wrong_boundary_cotangent_taints_what_the_boundary_value_reads():
    circuit = gg.parse(
        "x[t]: input()\nw: param()\ns: param()\nh[0] = s * s\nh[t] = w * h[t-1] + x[t]\n"
        "loss = sum(h[t] for t in steps)"
    )
    claims = {
        "d_h[t]": "1 + w * d_h[t+1]",
        "d_w": "sum(h[t-1] * d_h[t] for t in steps)",
        "d_h_0": "w * d_h[1] if tau < 3 else 2 * w * d_h[1]",
        "d_s": "2 * s * d_h_0",
    }
    assert found(circuit, claims).proved == {"w"}
    assert found(circuit, claims | {"d_h_0": "w * d_h[1]"}).proved == {"w", "s"}


def test_a_counter_in_disguise_is_not_believed():
    """An auxiliary recurrence may count the steps, and spoil a gradient from the tenth on."""
    claims = backward(ELMAN) | {"n[t]": "n[t-1] + 1"}
    claims["d_b"] = "sum(d_a[t] + where(n[t] > 9.5, 1, 0) * ones(H) for t in steps)"
    assert found(ELMAN, claims, SMALL).proved == set(ELMAN.params) - {"b"}


def test_truncation_is_refuted_where_it_shows():
    """Cotangents of two steps only are right up to tau = 2."""
    claims = backward(ELMAN)
    claims["d_h[t]"] = "V.T @ d_o[t] + W.T @ ((1 - h[t+1]**2) * (V.T @ d_o[t+1]))"
    proof = every(ELMAN, claims=claims)
    verdicts = {claim.by: claim for claim in proof.claims}
    assert verdicts["V"].verdict == "proved"
    assert verdicts["W"].verdict == "refuted"
    assert verdicts["W"].tau == {"t": 3}
    assert "for t = 1..3: claim − truth" in str(proof)


def test_what_has_no_cotangent_is_undecided():
    claims = {"d_W": "sum(outer(h[t], h[t-1]) for t in steps if t > 10)"}
    shown = found(ELMAN, claims)
    assert not shown.proved
    assert "no equation gives its cotangent" in shown.reason


# -- what an equation notices ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("t > 4", (4, 1, 0, 1)),
        ("2 * t > 9", (4, 1, 0, 1)),
        ("t < tau - 3", (1, 3, 0, 1)),
        ("tau > 5", (1, 1, 5, 1)),
        ("t + tau > 5", (1, 1, 5, 1)),
        ("t % 4 == 1 and tau % 6 == 0", (1, 1, 0, 12)),
    ],
)
def test_horizons(condition, expected):
    circuit = gg.parse(
        f"w: param()\nh[t] = w * h[t-1] + (h[t-1] if {condition} else 0)\n"
        "g[t] = w * g[t+1] + h[t]\nloss = sum(g[t] for t in steps)"
    )
    horizon = horizons(circuit.check())["t"]
    assert (horizon.first, horizon.last, horizon.least, horizon.period) == expected


TWO = """
s: steps(m)
t: steps(n)
w: param()
x[s]: input()
h[s] = tanh(w * h[s-1] + x[s])
g[t] = w * g[t-1] + (h[m] if t < m else h[1])
loss = sum(g[t] for t in steps)
"""


def test_two_lengths_that_are_compared_are_proved_one_by_one():
    circuit = gg.parse(TWO)
    proof = every(circuit)
    assert proof.verdict == "undecided"
    assert "compares two index sets" in proof.claims[0].reason
    assert 'method="certificate"' in proof.claims[0].reason
    proof = gg.prove(circuit, tau={"s": 4, "t": 6})
    assert proof.ok
    assert not any(claim.every for claim in proof.claims)


def test_one_wrong_gradient_of_a_product_of_sums_leaves_the_others_proved():
    circuit = circuit_of(
        "h[t] = tanh(W @ h[t-1] + x[t])",
        "loss = sum(sum(h[t]) for t in steps) * sum(sum(U @ x[t]) for t in steps)",
    )
    claims = backward(circuit)
    claims["d_U"] = "2 * " + claims["d_U"]
    assert found(circuit, claims).proved == {"W"}


def test_a_number_of_steps_times_a_sum():
    circuit = circuit_of(
        "h[t] = tanh(W @ h[t-1] + U @ x[t])", "loss = tau * sum(sum(W @ h[t]) for t in steps)"
    )
    claims = backward(circuit)
    right = claims["d_W"]
    assert "tau" in right
    claims["d_W"] = right.replace("tau", "sum(1 for t in steps)", 1)
    assert found(circuit, claims).proved == {"W", "U"}
    claims["d_W"] = right.replace("tau", "(sum(1 for t in steps) - 1)", 1)
    assert found(circuit, claims).proved == {"U"}


def test_the_middle_is_noticed():
    circuit = gg.parse(
        "w: param()\nh[t] = w * h[t-1] + (1 if 3 * t < 2 * tau - 7 else 0)\n"
        "loss = sum(h[t] for t in steps if t < 3 * tau - 8)"
    )
    horizon = horizons(circuit.check())["t"]
    assert horizon.middle == {Fraction(2, 3): 3}
    assert (horizon.shift, horizon.least) == (3, 4)
