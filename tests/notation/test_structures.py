"""Structures: what neighbours must know of them, and where both languages put the pieces."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from graphgrad.notation.boxes import Box, bold, identifier, number, operator, scripted
from graphgrad.notation.structures import (
    big,
    call,
    cases,
    fenced,
    fraction,
    half,
    juxtaposed,
    negative,
    root,
    stacked,
    summed,
)

u, v, word = identifier("u"), identifier("v"), identifier("loss")
tall = fraction(u, v)
EVERY = [
    fenced(u), fenced(tall), fenced(u, "‖", "‖"), fraction(u, v), half(), root(tall),
    call(identifier("f"), u, tall), juxtaposed(u, number("2")), juxtaposed(u, word),
    negative(u, 3), summed(summed(u, "+", v), "−", u), stacked(u, v), cases([(u, v), (tall, None)]),
    big(operator("∑"), identifier("t"), None, u), big(operator("∑"), u, v, bold("1")),
]  # fmt: skip


@pytest.mark.parametrize("box", EVERY, ids=lambda box: box.latex)
def test_both_languages_are_well_formed(box: Box) -> None:
    ElementTree.fromstring(f"<math>{box.mathml}</math>")
    assert box.latex.count("{") == box.latex.count("}")
    assert box.width > 0


def test_fences_grow_only_around_what_is_tall() -> None:
    assert fenced(u).latex == "(u)"
    assert fenced(tall).latex == r"\left( \frac{u}{v} \right)"
    assert 'stretchy="false"' in fenced(u).mathml
    assert 'stretchy="true"' in fenced(tall).mathml
    assert fenced(u, "‖", "‖").latex == r"\lVert u \rVert"


def test_scripts_stand_on_the_last_fence() -> None:
    power = scripted(fenced(u), sup=number("2"))
    assert power.latex == "(u)^2"
    assert ElementTree.fromstring(power.mathml)[-1].tag == "msup"


def test_a_number_follows_a_factor_with_a_dot() -> None:
    assert juxtaposed(u, number("2")).latex == r"u \cdot 2"
    assert juxtaposed(number("2"), u).latex == "2 u"
    assert juxtaposed(word, u).latex == r"\mathrm{loss}\, u"


def test_sums_are_continued_and_keep_their_terms() -> None:
    total = summed(summed(u, "+", v), "−", word)
    assert [(sign, part.latex) for sign, part in total.parts] == [
        ("", "u"), ("+", "v"), ("−", r"\mathrm{loss}"),
    ]  # fmt: skip
    assert total.latex == r"u + v - \mathrm{loss}"


def test_cases_end_with_what_remains() -> None:
    choice = cases([(u, v), (word, None)])
    assert choice.latex == (
        r"\begin{cases} u & \text{if } v \\ \mathrm{loss} & \text{otherwise} \end{cases}"
    )
    assert choice.rows == ((u, v), (word, None))
