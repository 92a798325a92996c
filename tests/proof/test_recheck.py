"""Proofs written to JSON, read back and checked again; proofs that were tampered with."""

import json
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.proof.result import Proof, ProofError

ELMAN = gg.cells.load("elman")
CLAIMS = {"d_o[t]": "yhat[t] - y[t]", "d_c": "sum(d_o[t] for t in steps)", "d_b": "zeros(H)"}


@pytest.fixture(scope="module")
def proved():
    return gg.prove(gg.cells.load("tied"))


@pytest.fixture(scope="module")
def refuted():
    return gg.prove(ELMAN, claims=CLAIMS, tau=2)


def changed(proof, path, value):
    """The proof with one entry of its JSON replaced."""
    data = json.loads(proof.to_json())
    *way, last = path
    part = data
    for step in way:
        part = part[step]
    part[last] = value
    return Proof.from_json(json.dumps(data))


def test_json_keeps_everything(proved, refuted):
    for proof in (proved, refuted):
        assert Proof.from_json(proof.to_json()) == proof


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"claims": 3}', "no json", '{"request": {}}'])
def test_other_texts_are_no_proofs(text):
    with pytest.raises(ProofError, match="no proof that graphgrad wrote"):
        Proof.from_json(text)


def test_a_proof_is_confirmed(proved):
    again = Proof.from_json(proved.to_json()).recheck()
    assert again.ok
    assert again.proof.ok
    assert any("2 of 2 proved gradients agree at a random point" in each for each in again.checks)
    assert str(again).endswith("confirmed")


def test_a_refutation_is_confirmed_at_its_witness(refuted):
    again = refuted.recheck()
    assert again.ok
    assert "d_b entry [0] differs at the witness, to 777 bits" in again.checks


@pytest.mark.parametrize("method", ["induction", "certificate", "probabilistic", "sympy"])
def test_every_method_can_be_checked_again(method):
    assert gg.prove(gg.cells.load("tied"), method=method).recheck().ok


def test_truncated_proofs_can_be_checked_again():
    proof = gg.prove(gg.cells.load("tied"), truncate=gg.chunks(2), tau=5)
    assert Proof.from_json(proof.to_json()).recheck().ok


def test_a_verdict_that_was_changed_is_not_confirmed(refuted):
    position = next(k for k, claim in enumerate(refuted.claims) if claim.by == "b")
    again = changed(refuted, ("claims", position, "verdict"), "proved").recheck()
    assert not again.ok
    assert any("d_b (claimed) was proved, is refuted" in reason for reason in again.against)


def test_claims_that_were_changed_are_not_confirmed(refuted):
    text = refuted.request.claims.replace("yhat[t] - y[t]", "yhat[t]")
    again = changed(refuted, ("request", "claims"), text).recheck()
    assert any("d_c" in reason for reason in again.against)


def test_a_witness_that_shows_nothing_is_not_confirmed(proved):
    wrong = gg.prove(ELMAN, claims={"d_c": "sum(yhat[t] - y[t] for t in steps if t > 1)"}, tau=2)
    (claim,) = wrong.claims
    assert claim.verdict == "refuted"
    other = changed(wrong, ("claims", 0, "witness", "y"), [["a", "b"], ["1", "2"]])
    with pytest.raises(ProofError, match="witness"):
        other.recheck()
    even = changed(wrong, ("claims", 0, "witness", "x"), [["1", "1"], ["1", "1"]])
    assert even.recheck().ok  # another point, at which the difference is not 0 either


def test_code_is_not_stored():
    stripped = changed(gg.prove(gg.cells.load("tied"), tau=1), ("request",), None)
    with pytest.raises(ProofError, match="does not contain what was proved"):
        stripped.recheck()


# -- claims from files -----------------------------------------------------------------------------


def test_claims_from_a_file(tmp_path: Path):
    path = tmp_path / "mine.rec"
    path.write_text("d_o[t] = yhat[t] - y[t]\nd_c = sum(d_o[t] for t in steps)\n")
    assert gg.prove(ELMAN, claims=path, tau=2).ok
    path.write_text("d_o[t] = yhat[t] - y[t]\nd_c = sum(d_o[t] for t in steps) + nothing\n")
    with pytest.raises(gg.UnknownNameError) as caught:
        gg.prove(ELMAN, claims=path)
    assert caught.value.place.source == str(path)
    assert caught.value.place.line == 2
    assert "^^^^^^^" in str(caught.value)
    with pytest.raises(gg.FileError, match="cannot be read"):
        gg.prove(ELMAN, claims=tmp_path / "none.rec")


def test_a_notebook_shows_the_new_proof_and_what_was_checked(proved):
    again = proved.recheck()
    page = again._repr_html_()
    assert page.startswith(again.proof._repr_html_())
    assert "<li>read and proved anew</li>" in page
    assert page.endswith("<li>confirmed</li></ul>")
