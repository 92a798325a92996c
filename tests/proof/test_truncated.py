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


def equations(circuit, truncate=None):
    own = set(str(circuit).splitlines())
    lines = str(circuit.adjoint(truncate=truncate)).splitlines()
    return "\n".join(line for line in lines if line not in own and " = " in line)


ELMAN = gg.cells.load("elman")
WHOLE, SHORT = equations(ELMAN), equations(ELMAN, gg.window(2))
PIECES = equations(ELMAN, gg.chunks(2))
PLANTED = {
    "not truncated": (WHOLE, gg.window(2), "UWb", "it is the whole gradient: nothing is cut off"),
    "one step less": (SHORT, gg.window(3), "UWb", "it is window(2): truncated in another way"),
    "window for chunks": (SHORT, gg.chunks(2), "UWb", "it is window(2)"),
    "chunks for window": (PIECES, gg.window(2), "UWb", "it is chunks(2)"),
    "other pieces": (PIECES, gg.chunks(3), "UWb", "it is chunks(2)"),
    "sign": (SHORT.replace("d_b = ", "d_b = -"), gg.window(2), "b", "the sign is wrong"),
    "average": (SHORT.replace("d_c = sum", "d_c = mean"), gg.window(2), "c", "an average over"),
    "transposed": (SHORT.replace("outer(d_a[t], h[t-1])", "outer(h[t-1], d_a[t])"), gg.window(2),
                   "W", "it is the transpose"),
    "wrong slope": (SHORT.replace("1 - h[t]**2) * d_h__1", "1 - h[t]) * d_h__1"), gg.window(2),
                    "UWb", ""),
    "a step left out": (SHORT.replace("d_U = sum(outer(d_a[t], x[t]) for t in steps)",
                        "d_U = sum(outer(d_a[t], x[t]) for t in steps if t > 1)"), gg.window(2),
                        "U", "(loss 1, use 1), (loss 2, use 1) are missing"),
    "a step too far": (SHORT.replace("d_h__1[t] = W.T @ d_a__0[t+1]",
                       "d_h__1[t] = W.T @ (d_a__0[t+1] + d_a__1[t+1] * (1 if t == 1 else 0))"),
                       gg.window(2), "UWb",
                       "(loss 3, use 1) are counted, though they are cut off"),
}  # fmt: skip


@pytest.mark.parametrize(("claims", "truncation", "wrong", "cause"), PLANTED.values(), ids=PLANTED)
def test_wrong_truncations_are_refuted_and_explained(claims, truncation, wrong, cause):
    proof = gg.prove(ELMAN, claims=claims, truncate=truncation, tau=4)
    verdicts = {claim.by: claim for claim in proof.claims}
    assert set(verdicts) == set("UWVbc")
    for name, claim in verdicts.items():
        assert claim.verdict == ("refuted" if name in wrong else "proved"), proof
        assert claim.truth == f"{truncation} of ∂loss/∂{name}"
    bad = verdicts[wrong[0]]
    assert cause in bad.cause
    assert bad.cause in str(proof)
    low, high = map(float, bad.difference)
    assert low * high > 0


CUT = "d_h[t] = V.T @ d_o[t] + (W.T @ d_a[t+1] if t % 2 != 0 else 0)"
PIECE_BY_PIECE = {
    "d_o[t]": "yhat[t] - y[t]",
    "d_h[t]": CUT.split(" = ")[1],
    "d_a[t]": "(1 - h[t]**2) * d_h[t]",
    "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
    "d_b": "sum(d_a[t] for t in steps)",
}
FIRST_WRONG = {
    "no cut": ({"d_h[t]": "V.T @ d_o[t] + W.T @ d_a[t+1]"}, {"W": "d_h[4]", "b": "d_h[4]"}),
    "cut elsewhere": (
        {"d_h[t]": "V.T @ d_o[t] + (W.T @ d_a[t+1] if t % 2 == 0 else 0)"},
        {"W": "d_h[5]", "b": "d_h[5]"},
    ),
    "slope": ({"d_a[t]": "(1 - h[t]) * d_h[t]"}, {"W": "d_a[6]", "b": "d_a[6]"}),
    "slope at a step": (
        {"d_a[t]": "(1 - h[t]**2) * d_h[t] if t != 3 else d_h[t]"},
        {"W": "d_a[3]", "b": "d_a[3]"},
    ),
    "last equation": ({"d_b": "sum(d_a[t] for t in steps if t > 1)"}, {"b": "d_b"}),
    "output": ({"d_o[t]": "y[t] - yhat[t]"}, {"W": "d_o[6]", "b": "d_o[6]"}),
}


@pytest.mark.parametrize(("change", "first"), FIRST_WRONG.values(), ids=FIRST_WRONG)
def test_wrong_chunks_name_the_first_wrong_equation(change, first):
    proof = gg.prove(ELMAN, claims=PIECE_BY_PIECE | change, truncate=gg.chunks(2), tau=6)
    found = {claim.by: claim for claim in proof.claims}
    assert {name for name, claim in found.items() if claim.verdict == "refuted"} == set(first)
    for name, where in first.items():
        assert found[name].fault.split(" entry")[0] == where
        assert f"first wrong: {found[name].fault}, by" in str(proof)


def test_windows_have_no_cotangent_to_name():
    proof = gg.prove(ELMAN, claims=WHOLE, truncate=gg.window(2), tau=4)
    assert {claim.fault for claim in proof.claims if claim.verdict == "refuted"} == {""}


@pytest.mark.parametrize("claims", [WHOLE, PIECES], ids=["whole", "chunks"])
def test_the_witness_is_one(claims):
    """At the witness the claim and the masked sum of contributions differ as the proof says."""
    proof = gg.prove(ELMAN, claims=claims, truncate=gg.window(2), tau=4)
    claim = next(each for each in proof.claims if each.by == "W")
    opened, values = ELMAN.open(), claim.values()
    parts = opened.unfold(4, **proof.sizes).contributions(values)
    truth = gg.window(2).of(parts)["W"][claim.entry]
    said = opened.extend(claims).unfold(4, **proof.sizes).evaluate(values)["d_W"][claim.entry]
    low, high = map(float, claim.difference)
    assert low - 1e-9 <= said - truth <= high + 1e-9
    assert abs(said - truth) > 1e-6


def test_truncations_with_kinks_and_upstream_cotangents_are_refuted():
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\nh[t] = relu(W @ h[t-1] + x[t])", name="units"
    )
    claims = equations_of_h(circuit)
    assert gg.prove(circuit, "h", claims=claims, tau=4).ok
    proof = gg.prove(circuit, "h", claims=claims, truncate=gg.chunks(2), tau=4)
    assert proof.verdict == "refuted"
    assert proof.claims[0].cause.startswith("it is the whole gradient")


def equations_of_h(circuit):
    own = set(str(circuit.open()).splitlines())
    text = str(circuit.open().adjoint("h", wrt=["W"]))
    return "\n".join(each for each in text.splitlines() if each not in own and " = " in each)


def test_methods_that_know_nothing_of_truncations():
    with pytest.raises(ProofError, match="not for truncated gradients"):
        gg.prove(gg.cells.load("tied"), truncate=gg.window(2), method="induction")
