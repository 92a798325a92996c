"""What notebooks show."""

from __future__ import annotations

import graphgrad as gg
import viz
from graphgrad import cells
from graphgrad.circuit import Circuit
from graphgrad.notation.mime import mimebundle
from graphgrad.notation.parse import parse


def test_text_latex_and_html() -> None:
    circuit = cells.load("elman")
    bundle = circuit._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/latex", "text/html"}
    assert bundle["text/plain"] == str(circuit)
    assert bundle["text/latex"] == circuit.latex()
    assert "<p>Elman network (Goodfellow" in bundle["text/html"]
    assert bundle["text/html"].endswith("</math></div>")


def test_titles_are_text() -> None:
    bundle = mimebundle(parse("# <script>alert(1)</script> & more\nx[t]: input()\nh[t] = x[t]\n"))
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</p>" in bundle["text/html"]


def test_a_circuit_that_does_not_check_is_shown_as_text() -> None:
    circuit = Circuit("unfinished")
    x, weights = circuit.input("x", "D", index=gg.t), circuit.param("W", "H", "H")
    circuit.var("z")[gg.t] = weights @ x[gg.t]
    assert mimebundle(circuit) == {
        "text/plain": "x[t]: input(D)\nW: param(H, H)\n\nz[t] = W @ x[t]\n"
    }


def test_what_is_displayed_has_a_short_text_as_well() -> None:
    c = cells.load("tied")
    proof = gg.prove(c, tau=2)
    shown = [proof, proof.recheck(), viz.circuit(c), viz.report(c), c.unfold(2).paths("w")]
    assert [repr(each) for each in shown] == [
        "<Proof tied: gradient of loss proved>",
        "<Recheck of <Proof tied: gradient of loss proved>: confirmed>",
        f"<Drawing {c.title}: {shown[2].size[0]:.0f} × {shown[2].size[1]:.0f} points>",
        f"<Report {c.title}>",
        "<Paths ∂loss/∂w: 3 terms>",
    ]
    assert repr(c.equations["loss"]) == f"<Equation {c.equations['loss']}>"
