"""Witnesses: rational points, also between two kinks that nearly coincide."""

from fractions import Fraction

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof import judge
from graphgrad.proof.clock import Clock
from graphgrad.proof.points import is_real, middle, rounded, sample
from graphgrad.proof.question import backward_pass, claimed_equations, question_of, sizes_of
from graphgrad.proof.witness import Search

HINGE = gg.cells.load("hinge")


def backward(circuit):
    own = set(str(circuit).splitlines())
    lines = [line for line in str(circuit.adjoint()).splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def test_a_condition_that_is_off_by_a_millionth_is_refuted():
    claims = backward(HINGE)
    assert "y[t] * o[t] < 1" in claims["d_o[t]"]
    claims["d_o[t]"] = claims["d_o[t]"].replace("y[t] * o[t]", "1.000001 * y[t] * o[t]")
    proof = gg.prove(HINGE, claims=claims)
    assert proof.verdict == "refuted"
    bad = next(claim for claim in proof.claims if claim.verdict == "refuted")
    values = bad.values()
    h = values["h_0"]
    margins = []
    for x, y in zip(values["x"], values["y"], strict=True):
        h = np.tanh(values["W"] @ h + values["U"] @ x + values["b"])
        margins.append(float(y * (values["c"] + values["v"] @ h)))
    assert any(1 / 1.000001 - 1e-9 <= margin <= 1 + 1e-9 for margin in margins), margins


def test_a_wrong_pass_is_refuted_before_it_is_judged_by_polynomials(monkeypatch):
    def refused(*arguments):
        raise AssertionError("no certificate is needed")

    circuit = gg.cells.load("elman")
    question = question_of(circuit, "loss")
    claims = {"d_W": "zeros(H, H)"}
    stated = claimed_equations(question, claims, ["W"], None)
    side = stated.side(3, sizes_of(circuit, None))
    found = judge.Findings()
    monkeypatch.setattr(judge, "Certificate", refused)
    Search(question, side, backward_pass(question, side), Clock()).first(found)
    assert found.refuted["W"].verdict == "refuted"


def test_points_half_way_and_near_by():
    system = gg.cells.load("elman").check()
    sizes = dict.fromkeys(system.declared.sizes, 2)
    a, b = (sample(system, {"t": 3}, sizes, seed) for seed in (0, 14))
    half = middle(a, b)
    for name, value in half.items():
        if is_real(value):
            assert np.all(value == (a[name] + b[name]) / Fraction(2))
    near = rounded(half, 10, lambda name: name == "y")
    assert all(entry.denominator <= 10 for entry in np.ravel(near["W"]))
    assert np.all(near["y"] == half["y"]), "what sums to 1 is kept"


@pytest.mark.parametrize("change", ["- 1", "+ 1"])
def test_claims_that_are_too_small_everywhere_or_too_large_are_refuted(change):
    circuit = gg.parse("w: param()\nloss = w**2")
    (claim,) = gg.prove(circuit, claims=f"d_w = 2 * w {change}", method="enclosure").claims
    assert claim.verdict == "refuted"
