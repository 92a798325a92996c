"""Which methods are asked, and what their verdicts are together."""

import time
from dataclasses import replace

import pytest

import graphgrad as gg
from graphgrad.proof import judge, panel, sampled
from graphgrad.proof.clock import NO_TIME, Clock
from graphgrad.proof.panel import TIES, Panel
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.question import question_of, sizes_of
from graphgrad.proof.result import Claim
from tests.proof.own_claims import backward

CIRCUIT = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = h[tau]**2")
RIGHT = backward(CIRCUIT)


def claim(verdict, method, **more):
    made = Claim("d_w", "∂loss/∂w", "claimed", verdict, 1, by="w", methods={method: verdict})
    return replace(made, **more)


def panel_of(method="auto", clock=None):
    question = question_of(CIRCUIT, "loss")
    return Panel(question, ["w"], 3, sizes_of(CIRCUIT, None), method, clock or Clock())


def methods_of(proof):
    return [(claim.verdict, *claim.methods) for claim in proof.claims]


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("proved", "proved", "proved"),
        ("refuted", "refuted", "refuted"),
        ("proved", "undecided", "proved"),
        ("undecided", "proved", "proved"),
        ("undecided", "refuted", "refuted"),
        ("undecided", "undecided", "undecided"),
    ],
)
def test_verdicts_that_agree(first, second, verdict):
    one = claim(first, "certificate", fault="d_h[2]", residual="w", reason="first")
    other = claim(second, "sympy", reason="second")
    both = panel._together(one, other)
    assert both.verdict == verdict
    assert both.methods == {"certificate": first, "sympy": second}
    found = ("", "") if (first, verdict) == ("undecided", "proved") else ("d_h[2]", "w")
    assert (both.fault, both.residual) == found
    assert both.reason == ("second" if first == "undecided" != second else "first")


@pytest.mark.parametrize(("first", "second"), [("proved", "refuted"), ("refuted", "proved")])
def test_methods_that_contradict_each_other_prove_nothing(first, second):
    both = panel._together(claim(first, "certificate"), claim(second, "sympy"))
    assert (both.verdict, both.reason) == ("undecided", judge.CONTRADICTION)


def test_without_a_second_verdict_the_first_stands():
    one = claim("undecided", "certificate")
    assert panel._together(one, None) is one


def test_small_circuits_are_asked_of_sympy_and_of_induction_too():
    proof = gg.prove(CIRCUIT, claims=RIGHT)
    assert methods_of(proof) == [("proved", "certificate", "sympy", "induction")]
    assert proof.claims[0].every


@pytest.mark.parametrize("method", ["certificate", "sympy", "probabilistic", "enclosure"])
def test_one_method_is_asked_alone(method):
    made = panel_of(method)
    found, _ = made.claims("\n".join(map(" = ".join, RIGHT.items())), "claims", None, None)
    assert [list(each.methods) for each in found] == [[method]]
    assert list(made.used) == [method]
    assert not any(each.every for each in found)


def test_large_circuits_are_not_asked_of_sympy(monkeypatch):
    monkeypatch.setattr(panel, "ANCHOR_SCALARS", 5)
    found, _ = panel_of().claims(None, "", None, None)
    assert [list(each.methods) for each in found] == [["certificate", "induction"], ["certificate"]]


def test_what_the_certificate_leaves_is_asked_of_random_points(monkeypatch):
    def undecided(question, side, names, clock):
        return [claim("undecided", "", reason="nothing") for _ in names]

    monkeypatch.setattr(judge, "certificate_claims", undecided)
    monkeypatch.setattr(panel, "OPEN_SCALARS", 5)
    (found,) = panel_of()._together(_side())
    assert (found.verdict, found.error is not None) == ("proved", True)
    assert found.methods == {"certificate": "undecided", "probabilistic": "proved"}
    monkeypatch.setattr(panel, "OPEN_SCALARS", 5000)
    monkeypatch.setattr(sampled, "probabilistic_claims", undecided)
    (found,) = panel_of()._together(_side())
    assert found.methods == {
        "certificate": "undecided",
        "probabilistic": "undecided",
        "sympy": "proved",
    }
    assert found.verdict == "proved"


def _side():
    made = panel_of()
    text = "\n".join(map(" = ".join, RIGHT.items()))
    return made._stated(text, "claims", None, None).side(3, made.sizes)


def test_what_is_proved_has_no_wrong_equation():
    """Not even one that a method could not see to be right."""
    one = claim("undecided", "certificate", fault="d_h[2]", residual="w")
    every = panel._at_every_length(one)
    assert (every.verdict, every.fault, every.residual) == ("proved", "", "")


def test_time_that_is_over_leaves_everything_undecided():
    found, equations = panel_of(clock=Clock(0.0)).claims(None, "", None, None)
    assert [(each.by, each.verdict, each.reason) for each in found] == [("w", "undecided", NO_TIME)]
    assert equations == ()


def test_a_method_without_time_is_undecided():
    clock = Clock(60.0)
    made, side = panel_of(clock=clock), _side()
    made.clock = Clock(0.05)

    def slow():
        time.sleep(0.1)
        made.clock.tick()
        return []

    (found,) = made._asked("sympy", side, ["w"], slow)
    assert (found.verdict, found.reason, found.methods) == (
        "undecided", NO_TIME, {"sympy": "undecided"},
    )  # fmt: skip


def test_a_second_opinion_takes_no_time_from_the_others(monkeypatch):
    def slow(self, side, names, clock):
        while True:
            clock.tick()

    monkeypatch.setattr(panel.Anchor, "judged", slow)
    proof = gg.prove(CIRCUIT, time_limit=4.0)
    assert methods_of(proof) == [
        ("proved", "certificate", "sympy", "induction"), ("proved", "certificate"),
    ]  # fmt: skip
    assert [each.methods["certificate"] for each in proof.claims] == ["proved", "proved"]
    assert "SymPy" not in proof.method
    assert proof.seconds < 2.0


def test_induction_that_gives_up_takes_nothing_away(monkeypatch):
    def refused(*args, **options):
        raise UndecidableError("not this one")

    monkeypatch.setattr(panel.induction, "plan_of", refused)
    (found,) = gg.prove(CIRCUIT, claims=RIGHT).claims
    assert (found.verdict, found.every, "induction" in found.methods) == ("proved", False, False)


def test_random_points_do_not_know_how_equal_values_compare():
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = relu(w * x[t])\nloss = h[tau]")
    slope = "where(w * x[tau] > 0, x[tau], 0)"
    claims = {"d_w": f"{slope} * where(h[tau] > 0, 1, 1)"}
    (alone,) = gg.prove(circuit, claims=claims, method="probabilistic").claims
    assert (alone.verdict, alone.reason, alone.error) == ("undecided", TIES, None)
    assert gg.prove(circuit, claims=claims, method="certificate").ok
    assert gg.prove(circuit, claims={"d_w": slope}, method="probabilistic").ok


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"d_h[t]": f"({RIGHT['d_h[t]']}) * (1 if t < 5 else 2)"}, {"t": 6}),
        ({"d_w": f"({RIGHT['d_w']}) * tau / 3"}, {"t": 1}),
        ({"d_w": f"({RIGHT['d_w']}) * tau / tau"}, {}),
    ],
)
def test_what_is_wrong_at_another_length_says_so_in_its_title(change, wrong):
    proof = gg.prove(CIRCUIT, claims={**RIGHT, **change})
    (found,) = proof.claims
    assert (found.verdict, found.wrong_at) == ("proved", wrong)
    title = "circuit: gradient of loss proved"
    title += f", but wrong for t = 1..{wrong['t']}" if wrong else ""
    assert str(proof).startswith(title + "\n")
    assert f"<caption>{title}</caption>" in proof._repr_html_()
    assert found.every is not bool(wrong)
    if wrong:
        assert f"proved, but wrong for t = 1..{wrong['t']}, 1 entry" in str(proof)
        assert gg.prove(CIRCUIT, claims={**RIGHT, **change}, tau=wrong["t"]).verdict == "refuted"
    assert type(proof).from_json(proof.to_json()).claims == proof.claims
