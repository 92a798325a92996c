"""What is asked of `prove`: requests that make no sense, forms of claims, and no time."""

import json

import pytest

import graphgrad as gg
from graphgrad.proof.prove import ProofError
from tests.proof.own_claims import backward

ELMAN = gg.cells.load("elman")


@pytest.mark.parametrize(
    ("claims", "error", "message", "remedy"),
    [
        ("", ProofError, "no gradient of", "d_U"),
        ({}, ProofError, "no gradient of", "d_U"),
        ("d_h[t] = h[t]", ProofError, "no gradient of", "d_U"),
        ("d_w = zeros(H, H)", ProofError, "gradient of nothing: elman has no w", "mean W?"),
        ("d_W = 0", gg.ShapeError, "d_W has shape scalar, but W", "zeros(H, H)"),
        ("d_W = zeros(H)", gg.ShapeError, r"d_W has shape \(H\)", "shape of what"),
        ("d_V = zeros(H, K)", gg.ShapeError, r"d_V has shape \(H, K\), but V", "transpose"),
        ("d_W[t] = zeros(H, H)", gg.ShapeError, "one value for all steps", "for d_W"),
        ("d_x = zeros(D)", gg.ShapeError, "one value per step", "d_x[t]"),
        ("d_y[t] = zeros(K)", ProofError, "entries of y sum to 1", "input"),
        ("d_W = sum(", gg.NotationError, "never closed", ""),
        ("d_W = Q", gg.UnknownNameError, "Q is not declared", ""),
        ("h[t] = 0", gg.NameClashError, "equation already", ""),
        ("d_W = __import__('os')", gg.GraphgradError, "", ""),
    ],
)
def test_claims_that_make_no_sense(claims, error, message, remedy):
    with pytest.raises(error, match=message) as caught:
        gg.prove(ELMAN, claims=claims)
    assert remedy in (caught.value.remedy or "")
    if isinstance(claims, str) and claims and "no gradient of" not in message:
        assert caught.value.place.line == 1
        assert caught.value.place.source == "claims"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "los"}, ProofError, "no los to differentiate"),
        ({"wrt": "Q"}, gg.UnknownNameError, "Q is not declared"),
        ({"wrt": []}, ProofError, "names nothing"),
        ({"wrt": "y"}, ProofError, "sum to 1"),
        ({"wrt": "h"}, gg.UnknownNameError, "h is not declared"),
        ({"tau": 0}, gg.DataError, "tau = 0"),
        ({"tau": -1}, gg.DataError, "tau = -1"),
        ({"tau": {"s": 2}}, gg.GraphgradError, "s is not a time index"),
        ({"sizes": {"H": 0}}, gg.DataError, "H = 0"),
        ({"sizes": {"Q": 2}}, gg.GraphgradError, "Q is not declared"),
        ({"method": "magic"}, ProofError, "not a method of proof"),
    ],
)
def test_requests_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message) as caught:
        gg.prove(ELMAN, **options)
    assert caught.value.remedy


def test_no_derivative_by_a_token():
    with pytest.raises(ProofError, match="tokens"):
        gg.prove(gg.cells.load("many_to_one"), wrt=["x"])


def test_text_and_dict_are_the_same():
    claims = backward(ELMAN)
    text = "\n".join(f"{left} = {right}  # by hand" for left, right in claims.items())
    told, listed = gg.prove(ELMAN, claims=text), gg.prove(ELMAN, claims=claims)
    assert told.claims == listed.claims


def test_what_is_claimed_and_what_is_not():
    everything = backward(ELMAN)
    claims = {left: right for left, right in everything.items() if left not in ("d_U", "d_c")}
    proof = gg.prove(ELMAN, claims=claims)
    assert proof.ok
    assert proof.unclaimed == ("U", "c")
    assert "nothing is claimed about U, c" in str(proof)
    proof = gg.prove(ELMAN, claims=claims | {"d_W": "zeros(H, H)"}, wrt="V")
    assert proof.ok, "only V is asked about"
    assert [claim.by for claim in proof.claims] == ["V"]


def test_claims_about_inputs_and_boundaries_are_judged():
    claims = backward(ELMAN) | {"d_x[t]": "U.T @ d_a[t]", "d_h_0": "W.T @ d_a[1]"}
    proof = gg.prove(ELMAN, claims=claims)
    assert proof.ok
    assert {"x", "h_0"} <= {claim.by for claim in proof.claims}
    proof = gg.prove(ELMAN, claims=claims | {"d_x[t]": "U.T @ d_a[t] if t > 1 else 0"})
    (claim,) = [claim for claim in proof.claims if claim.verdict == "refuted"]
    assert claim.where == "d_x[1] entry [0]"


def test_no_time_is_undecided():
    proof = gg.prove(ELMAN, time_limit=0)
    assert proof.verdict == "undecided"
    assert not proof.ok
    assert "the time limit was reached" in str(proof)
    assert json.loads(proof.to_json())["verdict"] == "undecided"
