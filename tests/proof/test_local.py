"""Equations judged one by one: the wrong ones alone, at the first step from the loss back."""

import pytest

import graphgrad as gg
from graphgrad.proof.clock import Clock
from graphgrad.proof.local import equation_by_equation
from graphgrad.proof.question import claimed_equations, question_of, sizes_of
from tests.proof.own_claims import backward

LEARNED = gg.parse(
    "x[t]: input(N)\nW: param(N, N)\nq: param(N)\nh[0] = tanh(q)\nh[t] = tanh(W @ h[t-1] + x[t])\n"
    "m = mean(h[t] for t in steps)\nloss = sum(m**2) + sum(sum(h[t]) for t in steps)"
)
RIGHT = backward(LEARNED)
SIZES = {"N": 2}


def judged(circuit, claims, clock=None, tau=4):
    question = question_of(circuit, "loss")
    text = "\n".join(f"{left} = {right}" for left, right in claims.items())
    side = claimed_equations(question, text, [], None).side(tau, sizes_of(circuit, SIZES))
    return equation_by_equation(question, side, clock or Clock())


def test_every_equation_is_judged_once():
    found = judged(LEARNED, RIGHT)
    assert sorted(each.name for each in found) == ["d_W", "d_h[0]", "d_h[t]", "d_m", "d_q"]
    assert all(each.holds and not each.where and not each.residual for each in found)


@pytest.mark.parametrize(
    ("change", "name", "where"),
    [
        ({"d_h[t]": RIGHT["d_h[t]"] + " + (h[t] if t < 3 else 0)"}, "d_h[t]", "d_h[2] entry [0]"),
        ({"d_h[t]": RIGHT["d_h[t]"] + " + onehot(1, N)"}, "d_h[t]", "d_h[4] entry [1]"),
        ({"d_h_0": f"2 * ({RIGHT['d_h_0']})"}, "d_h[0]", "d_h[0] entry [0]"),
        ({"d_m": f"-({RIGHT['d_m']})"}, "d_m", "d_m entry [0]"),
        ({"d_W": f"({RIGHT['d_W']}).T"}, "d_W", "d_W entry [0, 1]"),
        ({"d_q": f"({RIGHT['d_q']}) + onehot(1, N)"}, "d_q", "d_q entry [1]"),
    ],
)
def test_one_wrong_equation_is_wrong_by_itself(change, name, where):
    found = judged(LEARNED, RIGHT | change)
    assert [(each.name, each.where) for each in found if not each.holds] == [(name, where)]
    (wrong,) = (each for each in found if not each.holds)
    assert wrong.residual


def test_several_wrong_equations_are_all_named():
    change = {"d_m": f"2 * ({RIGHT['d_m']})", "d_q": f"2 * ({RIGHT['d_q']})"}
    found = judged(LEARNED, RIGHT | change)
    assert {each.name for each in found if not each.holds} == {"d_m", "d_q"}


def test_nothing_is_said_where_time_is_over():
    assert judged(LEARNED, RIGHT, Clock(0.0)) == ()


SUMMED = gg.parse(
    "x[t]: input()\nw: param(N)\nu: param()\nh[t] = tanh(w * x[t] + h[t-1])\n"
    "s = sum(h[t] for t in steps)\nloss = u * sum(s)"
)
NUMBERS = {
    "d_s": "u",
    "d_h[t]": "d_s + e[t+1]",
    "e[t]": "(1 - h[t]**2) * d_h[t]",
    "d_w": "sum(e[t] * x[t] for t in steps)",
}


def test_a_number_may_be_the_cotangent_of_an_array():
    found = judged(SUMMED, NUMBERS)
    assert {each.name: each.holds for each in found} == {"d_s": True, "d_h[t]": True, "d_w": True}
    proof = gg.prove(SUMMED, claims=NUMBERS)
    assert proof.ok
    assert all(claim.every for claim in proof.claims)


def test_a_number_is_judged_where_it_is_claimed_and_not_where_it_is_read():
    claims = NUMBERS | {"d_s": "2 * u"}
    wrong = [each for each in judged(SUMMED, claims) if not each.holds]
    assert [(each.name, each.where, each.residual) for each in wrong] == [
        ("d_s", "d_s entry [0]", "u")
    ]
    (claim,) = gg.prove(SUMMED, claims=claims, method="induction").claims
    assert claim.verdict == "refuted"


def test_a_number_that_is_no_cotangent_may_be_called_like_one():
    claims = NUMBERS | {"d_s": "3 * u", "d_h[t]": "d_s / 3 + e[t+1]"}
    proof = gg.prove(SUMMED, claims=claims)
    assert proof.ok, str(proof)
    assert all(claim.every for claim in proof.claims)
