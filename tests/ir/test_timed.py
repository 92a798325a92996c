"""Indices and lengths as numbers to compute with."""

from __future__ import annotations

import pytest

import graphgrad as gg
from graphgrad.conditions import Affine
from graphgrad.errors import NotationError
from graphgrad.ir import number
from graphgrad.notation.text import expression_text


def test_numbers_of_time() -> None:
    def text(affine: Affine) -> str:
        circuit = gg.parse("s: steps(m)\nt: steps(n)\nh[t] = 1")
        return expression_text(number(affine), circuit.declared())

    t, n = Affine.name("t"), Affine.name("n")
    assert text(t) == "t"
    assert text(t.plus(-1)) == "t - 1"
    assert text(n.plus(t, -2).plus(3)) == "n - 2 * t + 3"
    assert text(t.times(-1)) == "-t"
    assert text(Affine.number(-4)) == "-4"
    with pytest.raises(NotationError, match="% stands only in conditions"):
        number(t.modulo(2))
