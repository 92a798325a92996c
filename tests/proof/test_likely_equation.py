"""Wrong window claims name the first wrong equation: the one that has to be replaced."""

import pytest

import graphgrad as gg
from graphgrad.proof import likely_equation
from tests.proof.own_claims import backward

ELMAN = gg.cells.load("elman")
RIGHT = backward(ELMAN, truncate=gg.window(2))


def faults(change, circuit=ELMAN, k=2, tau=4):
    """The first wrong equation of each refuted gradient."""
    claims = backward(circuit, truncate=gg.window(k)) | change
    proof = gg.prove(circuit, claims=claims, truncate=gg.window(k), tau=tau)
    refuted = [claim for claim in proof.claims if claim.verdict == "refuted"]
    for claim in refuted:
        assert (f"first wrong: {claim.fault}, by {claim.residual}" in str(proof)) == (
            claim.fault != ""
        )
    return {claim.by: claim.fault for claim in refuted}


def of(left, form):
    return {left: form.format(RIGHT[left])}


ALL = "UWb"
NAMED = {
    "sign": (of("d_h__1[t]", "-({})"), dict.fromkeys(ALL, "d_h__1[3] entry [0]")),
    "one step": (
        of("d_a__1[t]", "(({0}) if t != 2 else 0 * ({0}))"),
        dict.fromkeys(ALL, "d_a__1[2] entry [0]"),
    ),
    "one entry": (
        of("d_h__0[t]", "({}) * (1 + onehot(1, H))"),
        dict.fromkeys(ALL, "d_h__0[4] entry [1]"),
    ),
    "transposed": ({"d_h__1[t]": "W @ d_a__0[t+1]"}, dict.fromkeys(ALL, "d_h__1[3] entry [0]")),
    "forgotten": ({"d_a[t]": "d_a__0[t]"}, dict.fromkeys(ALL, "d_a[3] entry [0]")),
    "last": (of("d_c", "2 * ({})"), {"c": "d_c entry [0]"}),
    "output": (
        {"d_o[t]": "y[t] - yhat[t]"},
        {"V": "d_o[4] entry [0]", "c": "d_o[4] entry [0]"} | dict.fromkeys(ALL, "d_o[4] entry [0]"),
    ),
    "two": (
        of("d_h__1[t]", "2 * ({})") | of("d_b", "-({})"),
        {"U": "d_h__1[3] entry [0]", "W": "d_h__1[3] entry [0]", "b": "d_h__1[3] entry [0]"},
    ),
    "two apart": (
        of("d_c", "2 * ({})") | of("d_b", "-({})"),
        {"b": "d_b entry [0]", "c": "d_c entry [0]"},
    ),
    "in other words": (
        {"d_a__0[t]": "d_h__0[t] - h[t]**2 * d_h__0[t]"} | of("d_U", "2 * ({})"),
        {"U": "d_U entry [0, 0]"},
    ),
}


@pytest.mark.parametrize(("change", "named"), NAMED.values(), ids=NAMED)
def test_the_equation_that_has_to_be_replaced_is_named(change, named):
    assert faults(change) == named


def test_static_cotangents_and_boundary_values():
    circuit = gg.parse(
        "x[t]: input(N)\nW: param(N, N)\nq: param(N)\nh[0] = tanh(q)\n"
        "h[t] = tanh(W @ h[t-1] + x[t])\nloss = sum(sum(h[t]) for t in steps)"
    )
    right = backward(circuit, truncate=gg.window(2))
    assert faults({}, circuit) == {}
    wrong = {"d_h_0": f"2 * ({right['d_h_0']})"}
    assert faults(wrong, circuit) == {"q": "d_h_0 entry [0]"}


def test_names_of_ones_own_are_not_compared():
    own = {
        "e[t]": "V.T @ (yhat[t] - y[t])",
        "f[t]": "(1 - h[t]**2) * (e[t] + 2 * W.T @ ((1 - h[t+1]**2) * e[t+1]))",
        "d_b": "sum(f[t] for t in steps)",
    }
    proof = gg.prove(ELMAN, claims=own, truncate=gg.window(2), tau=4)
    assert [(claim.verdict, claim.fault) for claim in proof.claims] == [("refuted", "")]


@pytest.mark.parametrize(("limit", "value"), [("LARGEST", 10), ("MOST", 0)])
def test_nothing_is_compared_where_there_is_too_much(limit, value, monkeypatch):
    monkeypatch.setattr(likely_equation, limit, value)
    assert faults(of("d_c", "2 * ({})")) == {"c": ""}
