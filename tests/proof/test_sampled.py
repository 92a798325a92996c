"""Probabilistic proofs and enclosures: right gradients agree, wrong ones do not, and how sure."""

from fractions import Fraction
from itertools import islice
from random import Random

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.proof.clock import Clock
from graphgrad.proof.enclosure import enclosed
from graphgrad.proof.points import sample
from graphgrad.proof.probabilistic import probed
from graphgrad.proof.question import backward_pass, own_equations, question_of, sizes_of
from tests.faults.claims import changed
from tests.faults.subjects import Subject, square

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
ELMAN = gg.cells.load("elman")


@pytest.mark.parametrize("name", PROVABLE)
def test_gallery_is_proved_with_an_error_bound(name):
    proof = gg.prove(gg.cells.load(name), method="probabilistic", tau=4)
    assert proof.ok, proof
    assert all(claim.error is not None and claim.error > 60 for claim in proof.claims)
    assert "proved with error bound 2**-" in str(proof)


@pytest.mark.parametrize("name", PROVABLE)
def test_gallery_is_certified_in_digits(name):
    proof = gg.prove(gg.cells.load(name), method="enclosure", tau=3)
    assert {claim.verdict for claim in proof.claims} == {"certified"}, proof
    assert not proof.ok, "digits are no proof"
    assert min(claim.digits for claim in proof.claims) > 40


@pytest.mark.parametrize("method", ["probabilistic", "enclosure"])
@pytest.mark.parametrize("name", ["elman", "gru", "hinge", "bidirectional", "state_space"])
def test_faults(name, method):
    subject = Subject(name, square(gg.cells.load(name)), 4)
    for _, text, claims in islice(changed(subject, seed=3), 5):
        error = max(subject.numbers(claims, seed).error for seed in range(3))
        proof = gg.prove(subject.circuit, claims=claims, tau=4, sizes=subject.sizes, method=method)
        if error > 1e-8:
            assert proof.verdict == "refuted", (text, proof)


def test_tiny_errors_are_seen():
    claims = {
        "d_o[t]": "yhat[t] - y[t]",
        "d_V": "1.0000000000001 * sum(outer(d_o[t], h[t]) for t in steps)",
    }
    for method in ("probabilistic", "enclosure", "certificate"):
        assert gg.prove(ELMAN, claims=claims, method=method).verdict == "refuted"


def test_the_bound_grows_with_the_size():
    def bound(tau):
        question = question_of(ELMAN, "loss")
        sizes = sizes_of(ELMAN, None)
        side = own_equations(question, list(ELMAN.params)).side(tau, sizes)
        return probed(backward_pass(question, side), Clock(), Random(1)).log_error

    assert -127 < bound(2) < bound(8) < bound(32) < -60


def test_enclosures_contain_the_floating_point_gradient():
    question = question_of(ELMAN, "loss")
    side = own_equations(question, list(ELMAN.params)).side(3, sizes_of(ELMAN, None))
    passes = backward_pass(question, side)
    values = sample(passes.dag.system, passes.dag.tau, passes.dag.sizes, 0)
    point = enclosed(passes, values, 128, Clock())
    floats = {name: np.asarray(value, float) for name, value in values.items()}
    gradient = question.opened.unfold(3, H=2, D=2, K=2).grad().evaluate(floats)
    for name in ELMAN.params:
        for truth, number in zip(point.truth[name], np.ravel(gradient[f"d_{name}"]), strict=True):
            low, high = point.bounds(truth)
            assert high - low < Fraction(1, 10**30)
            assert abs(float(low) - number) <= 1e-12 * abs(number) + 1e-15
