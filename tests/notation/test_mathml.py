"""Circuits as MathML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad import cells
from graphgrad.circuit import Circuit
from graphgrad.notation.alphabet import xml_escape
from graphgrad.notation.latex import circuit_latex
from graphgrad.notation.mathml import (
    NAMESPACE,
    circuit_mathml,
    equation_mathml,
)
from graphgrad.notation.parse import parse
from tests.drawn import Drawn
from tests.notation.printed import BACKWARD, HARD, SNAPSHOTS
from tests.snapshots import same_as_snapshot
from tests.strategies import circuits

# What browsers implement: MathML Core, section 2 and 3.
CORE = {
    "math": {"display", "alttext"},
    "mrow": set(),
    "mi": {"mathvariant"},
    "mn": set(),
    "mo": {"form", "fence", "stretchy", "lspace", "rspace"},
    "mtext": set(),
    "mspace": {"width"},
    "msub": set(),
    "msup": set(),
    "msubsup": set(),
    "munder": set(),
    "mover": {"accent"},
    "munderover": set(),
    "mfrac": set(),
    "msqrt": set(),
    "mstyle": {"displaystyle"},
    "mtable": {"displaystyle"},
    "mtr": set(),
    "mtd": {"style"},
}
CHILDREN = {"msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}
STYLES: dict[str, dict[str, Any]] = {"matrices": {}, "units": {"units": True}}


def gallery() -> list[Circuit]:
    found = [cells.load(name) for name in cells.names()]
    return [*found, parse(BACKWARD, "backward"), parse(HARD, "hard")]


@pytest.mark.parametrize("style", STYLES)
def test_gallery(style: str) -> None:
    """The snapshot is a page to look at in a browser."""
    parts = [
        f"<h2>{xml_escape(c.title)}</h2>\n{circuit_mathml(c, **STYLES[style])}\n" for c in gallery()
    ]
    page = f'<!doctype html>\n<meta charset="utf-8">\n<title>{style}</title>\n{"".join(parts)}'
    same_as_snapshot(page, SNAPSHOTS / f"{style}.html")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("circuit", gallery(), ids=lambda c: c.name)
def test_core_elements_with_the_right_number_of_children(style: str, circuit: Circuit) -> None:
    root = ElementTree.fromstring(circuit_mathml(circuit, **STYLES[style]))
    for element in root.iter():
        space, _, tag = element.tag[1:].partition("}")
        assert space == NAMESPACE
        assert set(element.attrib) <= CORE[tag]
        assert len(element) == CHILDREN.get(tag, len(element))
        assert tag != "mfrac" or len(element) == 2
        assert tag in ("mi", "mn", "mo", "mtext") or not (element.text or "").strip()


def test_alternative_text_is_the_notation() -> None:
    circuit = cells.load("elman")
    root = ElementTree.fromstring(circuit_mathml(circuit))
    alternative = root.attrib["alttext"]
    assert alternative.startswith("a[t] = b + W @ h[t-1] + U @ x[t]")
    assert parse(str(circuit).partition("\n\n")[0] + "\n" + alternative) == circuit


def test_equations_and_expressions() -> None:
    circuit = cells.load("gru")
    declared = circuit.declared()
    shown = equation_mathml(circuit.equations["h"], declared)
    assert 'display="inline"' in shown
    assert 'alttext="h[t] = z[t] * h[t-1] + (1 - z[t]) * htilde[t]"' in shown
    (boundary,) = circuit.boundaries.values()
    assert 'alttext="h[0] = h0"' in equation_mathml(boundary, declared)
    assert "<mi>σ</mi>" in equation_mathml(circuit.equations["r"], declared)


def test_an_empty_circuit() -> None:
    ElementTree.fromstring(circuit_mathml(Circuit("empty")))


@given(circuits("smooth"))
def test_random_circuits_are_well_formed(drawn: Drawn) -> None:
    circuit = parse(drawn.text())
    for units in (False, True):
        for time in ("superscript", "subscript"):
            ElementTree.fromstring(circuit_mathml(circuit, units=units, time=time))
            latex = circuit_latex(circuit, units=units, time=time)
            assert latex.isascii()
            assert latex.count("{") == latex.count("}")


@given(st.text())
def test_any_text_can_stand_in_xml(text: str) -> None:
    root = ElementTree.fromstring(f'<a b="{xml_escape(text)}">{xml_escape(text)}</a>')
    if not set(text) & set(map(chr, range(32))) and text.isprintable():
        assert root.text == (text or None)
        assert root.attrib["b"] == text
