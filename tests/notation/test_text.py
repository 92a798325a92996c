"""Printing in the notation: what is printed is read back as the same circuit, and looks written."""

from __future__ import annotations

import pytest
from hypothesis import given

import graphgrad as gg
from graphgrad import t, tau
from graphgrad.conditions import ALWAYS, NEVER
from graphgrad.notation.text import condition_text, equation_text
from tests.drawn import Drawn
from tests.strategies import circuits


def body(name: str) -> list[str]:
    """The lines of a cell, without comments and blanks, in order."""
    text = gg.cells.path(name).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


@pytest.mark.parametrize("name", gg.cells.names())
def test_the_gallery_is_printed_as_it_was_written(name: str) -> None:
    """Line for line; only the names in a dimension are sorted."""
    printed = str(gg.cells.load(name)).split("\n")
    assert printed[0].startswith("# ")
    lines = [line for line in printed if line and not line.startswith("#")]
    assert sorted(lines) == sorted(line.replace("N+D", "D+N") for line in body(name))


@pytest.mark.parametrize("name", gg.cells.names())
def test_the_gallery_is_read_back(name: str) -> None:
    circuit = gg.cells.load(name)
    assert gg.parse(str(circuit)) == circuit


@given(circuits("smooth"))
def test_random_circuits_are_read_back(drawn: Drawn) -> None:
    built = drawn.build()
    printed = str(built)
    again = gg.parse(printed)
    assert again == built
    assert str(again) == printed
    for equation in built.equations.values():
        assert equation_text(equation).count("(") <= len(printed)


def test_layout() -> None:
    c = gg.Circuit("example", title="An example")
    c.size("H", 4)
    x, q = c.input("x", "D", index=t), c.token("q", "N", index=t)
    W, E = c.param("W", "H", "D"), c.param("E", "N", "H")
    h = c.state("h", "H")
    h[0] = 1
    q[0] = 2
    h[t] = gg.choose(t == tau, W @ x[t], E[q[t - 1]]) * h[t - 1]
    c["loss"] = gg.sum(gg.sum(h[t]), over=t, where=t > 1)
    assert str(c) == (
        "# An example\n"
        "H: size(4)\n"
        "x[t]: input(D)\n"
        "q[t]: token(N)\n"
        "W: param(H, D)\n"
        "E: param(N, H)\n"
        "h[t]: state(H)\n"
        "\n"
        "q[0] = 2\n"
        "h[0] = 1\n"
        "h[t] = (W @ x[t] if t == tau else E[q[t-1]]) * h[t-1]\n"
        "loss = sum(sum(h[t]) for t in steps if t > 1)\n"
    )
    assert gg.parse(str(c)) == c


def test_indices_are_printed_unless_implied() -> None:
    assert "steps(" not in str(gg.parse("t: steps(tau)\nh[t] = 1"))
    text = str(gg.parse("s: steps(m)\nh[s] = h[s-1]\nc = h[m]"))
    assert text == "s: steps(m)\n\nh[s] = h[s-1]\nc = h[m]\n"
    assert str(gg.parse("t: steps(n)\nh[t] = 1")).startswith("t: steps(n)\n")


def test_numbers() -> None:
    for number in (0, 1, -1, 2.5, -0.5, 1e-9, 1e300, 123456789012345678901234567890, 0.1, -0.0):
        c = gg.Circuit()
        c["out"] = gg.ir.constant(number) * c.param("k")
        assert gg.parse(str(c)) == c
        assert c.unfold(1).evaluate({"k": 1.0})["out"] == float(number)


def test_signs() -> None:
    c = gg.Circuit()
    k = c.param("k")
    negative = -k
    c["out"] = -negative - (-k) * -3 + (-k) ** 2 - (-(k**2)) + 2 ** (-k) - (k - (k - k)) / -(k / k)
    assert str(c.equations["out"]) == (
        "out = --k - -k * -3 + (-k)**2 - -k**2 + 2**-k - (k - (k - k)) / -(k / k)"
    )
    assert gg.parse(str(c)) == c


def test_conditions_without_parts() -> None:
    assert condition_text(ALWAYS) == "0 == 0"
    assert condition_text(NEVER) == "0 == 1"
    assert condition_text((t > 1) | (t < 3)) == "t > 1 or t < 3"


def test_one_equation_by_itself() -> None:
    c = gg.cells.load("encoder_decoder")
    assert str(c.equations["h"]) == "h[s] = tanh(W @ h[s-1] + E[x[s]])"
    assert str(c.equations["C"]).startswith("C = h[")
    of_s, of_t = (c.adjoint().equations[name] for name in ("d_E", "d_R"))
    assert str(of_s) == "d_E = sum(outer(onehot(x[s]), delta_h[s]) for s in steps)"
    assert str(of_t) == "d_R = sum(outer(delta_g[t], g[t-1]) for t in steps)"


def test_printing_is_deterministic() -> None:
    for name in gg.cells.names():
        assert str(gg.cells.load(name)) == str(gg.cells.load(name))
