"""Proofs as text, HTML and JSON."""

import html
import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

import graphgrad as gg
from graphgrad.proof.result import Claim, Equation, Proof, _outward
from graphgrad.proof.shown import latex_text, remarks, verdict_text

CLAIM = Claim("d_W", "∂loss/∂W", "adjoint equations", "proved", 4, by="W")
REFUTED = replace(
    CLAIM,
    verdict="refuted",
    entry=(0, 1),
    witness={"W": [["1/2", "-3"], ["0", "4/13"]], "x": [1, 0], "k": "2"},
    difference=("0.12345678", "0.12345679"),
)
UNDECIDED = replace(CLAIM, verdict="undecided", reason="the time limit was reached")


def proof_of(*claims, **more):
    values = {"circuit": "net", "loss": "loss", "tau": {"t": 3}, "sizes": {"H": 2}, "method": "m"}
    return Proof(**values | {"claims": claims, "assumptions": (), "seconds": 0.5} | more)


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        ([CLAIM], "proved"),
        ([CLAIM, UNDECIDED], "undecided"),
        ([UNDECIDED, REFUTED, CLAIM], "refuted"),
    ],
)
def test_the_worst_verdict_counts(claims, verdict):
    proof = proof_of(*claims)
    assert proof.verdict == verdict
    assert proof.ok == (verdict == "proved")


def test_nothing_claimed_is_not_ok():
    assert not proof_of().ok


def test_text():
    other = replace(CLAIM, name="d_bias", truth="∂loss/∂bias", origin="claimed", entries=1)
    proof = proof_of(CLAIM, UNDECIDED, other, assumptions=("y sums to 1",), unclaimed=("U", "V"))
    assert str(proof).splitlines() == [
        "net: gradient of loss undecided",
        "  adjoint equations:",
        "    ✓ d_W    = ∂loss/∂W     proved, 4 entries",
        "    ? d_W    = ∂loss/∂W     undecided: the time limit was reached",
        "  claimed:",
        "    ✓ d_bias = ∂loss/∂bias  proved, 1 entry",
        "  nothing is claimed about U, V",
        "  for t = 1..3; H = 2; all real values of parameters, inputs and states",
        "  by m",
        "  given that y sums to 1",
    ]


def test_no_method_is_named_where_none_came_to_an_answer():
    proof = proof_of(UNDECIDED, method="")
    assert not any(line.strip() == "by" for line in (*str(proof).splitlines(), *remarks(proof)))


def test_refutation_in_text():
    assert str(proof_of(REFUTED)).splitlines()[3:5] == [
        "        d_W entry [0, 1]: claim − truth is between 0.123456 and 0.123457 at",
        "        W = [[1/2, -3], [0, 4/13]], x = [1, 0], k = 2",
    ]
    assert REFUTED.refuted_text.endswith("at W = [[1/2, -3], [0, 4/13]], x = [1, 0], k = 2")
    assert CLAIM.refuted_text == ""


FAULTY = replace(REFUTED, fault="d_h[2]", residual="-r_3")
ELSEWHERE = replace(FAULTY, name="d_V", by="V", witness={"W": "1"})


def test_values_and_faults_are_said_once():
    """The wrong equation comes first; what is refuted at the same values refers to them."""
    wrong = Equation("d_h[t]", False, "d_h[2]", "-r_3", "d_h[t] lacks the term r[t+1]")
    right = [Equation(name, True) for name in ("d_o[t]", "d_W")]
    also = replace(FAULTY, name="d_U", by="U")
    proof = proof_of(FAULTY, also, ELSEWHERE, also, equations=(right[0], wrong, right[1]))
    lines = str(proof).splitlines()
    assert lines[1:6] == [
        "  wrong, given the other equations:",
        "    ✗ d_h[t]  wrong at d_h[2]",
        "        likely cause: d_h[t] lacks the term r[t+1]",
        "        by -r_3",
        "  adjoint equations:",
    ]
    told = [line.strip() for line in lines[5:] if line.startswith(8 * " ")]
    assert told == [
        "d_W entry [0, 1]: claim − truth is between 0.123456 and 0.123457 at",
        "W = [[1/2, -3], [0, 4/13]], x = [1, 0], k = 2",
        "d_U entry [0, 1]: claim − truth is between 0.123 and 0.124 there",
        "d_V entry [0, 1]: claim − truth is between 0.123456 and 0.123457 at W = 1",
        "d_U entry [0, 1]: claim − truth is between 0.123 and 0.124 at the values of d_W",
    ]
    assert "  right, given the other equations: d_o[t], d_W" in lines
    shown = remarks(proof)
    assert "likely cause" in shown[1]
    assert sum("r_3" in line for line in shown) == 1


def test_faults_without_equations_are_told_with_the_first_claim():
    proof = proof_of(FAULTY, ELSEWHERE)
    assert str(proof).count("first wrong: d_h[2], by -r_3") == 1
    other = replace(ELSEWHERE, fault="d_h[1]", residual="r_2")
    lines = str(proof_of(FAULTY, other, ELSEWHERE)).splitlines()
    assert [line.strip() for line in lines if "first wrong" in line] == [
        "first wrong: d_h[2], by -r_3",
        "first wrong: d_h[1], by r_2",
        "first wrong: d_h[2]",
    ]


def test_an_equation_that_could_not_be_decided_is_not_called_wrong():
    doubt = replace(FAULTY, verdict="undecided", reason="nothing helps")
    assert "in doubt: d_h[2], unless -r_3 is 0" in str(proof_of(doubt))
    assert "first wrong" not in str(proof_of(doubt))


def test_long_witnesses_are_broken_between_values():
    witness = {f"W_{k}": [["-10/13", "12/13"], ["7/13", "1"]] for k in range(9)}
    lines = str(proof_of(replace(REFUTED, witness=witness))).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.count("[") == line.count("]") for line in lines)


@pytest.mark.parametrize(
    ("entry", "indexed", "shown"),
    [
        ((), False, "d_W"),
        ((1,), False, "d_W entry [1]"),
        ((0, 2), True, "d_W[1] entry [2]"),
        ((4,), True, "d_W[5]"),
    ],
)
def test_entries_of_indexed_gradients_name_the_step(entry, indexed, shown):
    assert replace(REFUTED, entry=entry, indexed=indexed).where == shown


@pytest.mark.parametrize(
    ("low", "high"),
    [("1e-30", "2e-30"), ("-5.00000001", "-4.99999999"), ("0.1", "7"), ("-1E-400", "-1E-500")],
)
def test_bounds_are_rounded_outward_and_exclude_zero(low, high):
    from decimal import Decimal

    down, up = map(Decimal, _outward(low, high))
    assert down <= Decimal(low)
    assert up >= Decimal(high)
    assert down > 0 or up < 0


def test_witness_as_arrays():
    values = REFUTED.values()
    assert values["W"].tolist() == [[0.5, -3], [0, 4 / 13]]
    assert values["x"].dtype.kind == "i"
    assert values["k"] == 2


def test_text_table_html_latex_and_json_say_the_same():
    """What one form of a proof says, every other says as well."""
    claims = {
        "d_a[t]": "(1 - h[t]) * d_h[t]",
        "d_h[t]": "V.T @ (yhat[t] - y[t]) + W.T @ d_a[t+1]",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
        "d_V": "-sum(outer(yhat[t] - y[t], h[t]) for t in steps)",
        "d_c": "sum(yhat[t] - y[t] for t in steps)",
    }
    proof = gg.prove(gg.cells.load("elman"), claims=claims)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(proof)
    forms = {
        "text": str(proof),
        "table": console.export_text(),
        "html": html.unescape(re.sub(r"<[^>]*>", " ", proof._repr_html_())),
        "latex": unlatex(proof.latex()),
    }
    said = [each for claim in proof.claims for each in (
        f"{claim.name} = {claim.truth}", claim.origin, claim.cause, claim.residual,
        *(f"{name} = {value}".replace("'", "") for name, value in claim.witness.items()),
    )]  # fmt: skip
    said += [part for each in proof.equations for part in (each.name, each.cause, each.residual)]
    said += [proof.scope, proof.method, *proof.assumptions, "nothing is claimed about U, b"]
    said += [text for claim in proof.claims for text in verdict_text(claim).split(" with ")]
    assert any(claim.cause for claim in proof.claims)
    assert any(each.cause for each in proof.equations)
    for form, text in forms.items():
        words = "".join(text.split())
        for each in said:
            assert "".join(each.split()) in words, (form, each)
    assert Proof.from_json(proof.to_json()) == proof


def unlatex(text):
    """What LaTeX shows, near enough."""
    text = re.sub(r"\\texttt\{((?:[^{}\\]|\\.)*)\}", r"\1", text)
    signs = {r"\partial": "∂", "-": "−", r"\neq": "≠", r"\tau": "τ", r"\geq": "≥", r"\surd": "✓",
             r"\times": "✗"}  # fmt: skip
    text = re.sub(r"\\ensuremath\{\\partial L/\\partial ([^}]*)\}", r"∂loss/∂\1", text)
    text = re.sub(r"\\ensuremath\{([^}]*)\}", lambda m: signs[m[1]], text)
    text = text.replace(r"\textasciicircum{}", "^").replace(r"\ldots{}", "…")
    return re.sub(r"\\([_{}#$%&])", r"\1", text)


def test_html_escapes_what_came_from_outside():
    hostile = "<img src=x onerror=alert(1)>&\"'"
    claim = replace(REFUTED, name=hostile, truth=hostile, origin=hostile, witness={hostile: "1"})
    proof = proof_of(
        claim,
        replace(UNDECIDED, reason=hostile),
        circuit=hostile,
        loss=hostile,
        method=hostile,
        assumptions=(hostile,),
        unclaimed=(hostile,),
    )
    page = proof._repr_html_()
    assert "<img" not in page
    assert "&lt;img" in page
    from xml.etree import ElementTree

    ElementTree.fromstring(f"<div>{page}</div>")


def test_html_says_what_the_text_says():
    page = gg.prove(gg.cells.load("tied"), tau=2)._repr_html_()
    assert page.count("<tr>") == 5
    assert "✓" in page
    assert "∂loss/∂w" in page
    assert "graphgrad-proof" in page


def test_json():
    proof = proof_of(REFUTED, UNDECIDED, assumptions=("y sums to 1",))
    data = json.loads(proof.to_json())
    assert data["ok"] is False
    assert data["verdict"] == "refuted"
    assert data["tau"] == {"t": 3}
    assert data["claims"][0]["witness"] == REFUTED.witness
    assert data["claims"][0]["difference"] == ["0.12345678", "0.12345679"]
    assert data["claims"][1]["reason"] == "the time limit was reached"
    assert "∂" in proof.to_json(), "readable as it is"


def test_scope_of_scalar_circuits():
    assert proof_of(CLAIM, sizes={}).scope.startswith("t = 1..3; scalars; all real values")


def test_latex():
    other = replace(CLAIM, name="d_{x}", origin="a & b", every=True)
    text = proof_of(CLAIM, other, assumptions=("x ≠ 0 % of the time",)).latex()
    assert r"\texttt{d\_W} = \ensuremath{\partial L/\partial W} & proved & 4 &" in text
    assert r"\texttt{d\_\{x\}}" in text
    assert r"proved at every length & 4 & a \& b" in text
    assert r"\item given that x \ensuremath{\neq} 0 \% of the time" in text


def test_latex_of_derivatives():
    assert latex_text("x % of ∂cost/∂alpha, ∂loss/∂W_xh") == (
        r"x \% of \ensuremath{\partial \mathrm{cost}/\partial \alpha}, "
        r"\ensuremath{\partial L/\partial W_{xh}}"
    )
    assert latex_text("∂(seed·h)/∂W") == (
        r"\ensuremath{\partial}(seed\ensuremath{\cdot}h)/\ensuremath{\partial}W"
    )


def test_the_table_of_a_terminal():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(proof_of(CLAIM, replace(UNDECIDED, name="d_[red]b")))
    lines = console.export_text().splitlines()
    assert lines[0].strip() == "net: gradient of loss undecided"
    assert any(line.split()[:2] == ["✓", "d_W"] for line in lines)
    assert any("d_[red]b = ∂loss/∂W" in line for line in lines)
    assert "for t = 1..3; H = 2; all real values" in lines[-2]


def test_wrong_equations_stand_below_their_heading():
    circuit = gg.parse("w: param()\nloss = w**2")
    page = gg.prove(circuit, claims="d_w = 3 * w")._repr_html_()
    assert "<li>wrong, given the other equations:<ul><li>✗ d_w" in page
    assert page.count("<ul>") == page.count("</ul>") == 2
