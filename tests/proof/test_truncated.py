"""Truncated gradients are the masked sums that define them, and no others."""

import pytest

import graphgrad as gg
from graphgrad.proof.clock import Clock
from graphgrad.proof.prove import ProofError
from graphgrad.proof.question import (
    backward_pass,
    own_equations,
    question_of,
    sizes_of,
    targets_of,
)
from graphgrad.proof.truncated import Masked, truncation_probed

CELLS = ["elman", "lstm", "skip_connections", "bidirectional", "hidden_markov_model", "many_to_one"]
KINDS = [gg.window(1), gg.window(3), gg.chunks(1), gg.chunks(2)]


def passes_of(name, truncation, tau=5):
    circuit = gg.cells.load(name)
    question = question_of(circuit, "loss")
    targets = targets_of(circuit, "loss", None, claimed=False)
    stated = own_equations(question, targets, truncation)
    return backward_pass(question, stated.side(tau, sizes_of(circuit, None)))


def probed_truncation(passes, truncation):
    return truncation_probed(passes, Masked(passes, truncation), Clock())


@pytest.mark.filterwarnings("ignore:.*does not depend on.*")
@pytest.mark.parametrize("truncation", KINDS, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_gallery(name, truncation):
    passes = passes_of(name, truncation)
    outcome = probed_truncation(passes, truncation)
    assert outcome.agreeing == set(passes.gradients)
    assert outcome.log_error < -60


@pytest.mark.parametrize(
    ("made", "other"),
    [
        (gg.window(2), gg.window(3)),
        (gg.window(3), gg.window(2)),
        (gg.window(2), gg.chunks(2)),
        (gg.chunks(2), gg.chunks(3)),
        (None, gg.window(3)),
    ],
    ids=str,
)
def test_another_mask_is_noticed(made, other):
    outcome = probed_truncation(passes_of("elman", made), other)
    assert outcome.agreeing == {"V", "c"}  # used at the step of the loss only


def test_a_window_of_all_steps_is_the_gradient():
    assert len(probed_truncation(passes_of("elman", None), gg.window(5)).agreeing) == 5


def test_truncations_in_prove():
    proof = gg.prove(gg.cells.load("elman"), truncate=gg.window(2), tau=4)
    assert proof.ok
    assert "d_W = window(2) of ∂loss/∂W  proved with error bound 2**-" in str(proof)
    claims = {
        "d_o[t]": "yhat[t] - y[t]",
        "d_b": "sum((1 - h[t]**2) * (V.T @ d_o[t]) for t in steps)",
    }
    elman = gg.cells.load("elman")
    assert gg.prove(elman, claims=claims, truncate=gg.window(1), tau=4).ok
    assert not gg.prove(elman, claims=claims, truncate=gg.window(2), tau=4).ok


def test_methods_that_know_nothing_of_truncations():
    with pytest.raises(ProofError, match="not for truncated gradients"):
        gg.prove(gg.cells.load("tied"), truncate=gg.window(2), method="induction")
