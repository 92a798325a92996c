# ruff: noqa: RUF059
"""Declarations in Python: which names there are, what they clash with, how they are looked up."""

from __future__ import annotations

from typing import Any

import pytest

import graphgrad as gg
from graphgrad import Circuit, t
from graphgrad.declarations import RESERVED
from graphgrad.errors import GraphgradError, NameClashError, NotationError, UnknownNameError


def small() -> tuple[Circuit, Any, Any, Any]:
    c = Circuit("small")
    return c, c.input("x", "D", index=t), c.param("W", "D", "D"), c.var("h")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names(name: str) -> None:
    for declare in (
        lambda c: c.param(name),
        lambda c: c.input(name),
        lambda c: c.var(name),
        lambda c: c.size(name),
        lambda c: c.define(name, None, gg.ir.constant(1)),
    ):
        with pytest.raises(NameClashError, match=f"{name} is reserved"):
            declare(Circuit())


@pytest.mark.parametrize(
    "name",
    ["", " ", "2h", "h h", "h-1", "h[t]", "ŷ", "ο", "Η", "h\n", "lambda", "None", "if", 3, None],
)
def test_names_that_the_notation_cannot_hold(name: Any) -> None:
    for declare in (lambda c: c.param(name), lambda c: c.var(name), lambda c: c.input(name)):
        with pytest.raises(GraphgradError):
            declare(Circuit())


@pytest.mark.parametrize("name", ["h", "_", "h_1", "α", "δh", "Γ", "match", "Wx", "ς"])
def test_names_that_it_can(name: str) -> None:
    c = Circuit()
    c.param(name, "D")
    c["out"] = gg.sum(c[name])
    assert gg.parse(str(c)) == c


def test_clashes() -> None:
    c, x, W, h = small()
    for again in (
        lambda: c.param("W"),
        lambda: c.input("W"),
        lambda: c.var("W"),
        lambda: c.size("W", 3),
        lambda: c.param("D"),
        lambda: c.param("t"),
        lambda: c.state("h", "D", index=None),
        lambda: c.steps("x", "m"),
    ):
        with pytest.raises(NameClashError):
            again()
    h[t] = x[t]
    with pytest.raises(NameClashError, match="h has an equation already"):
        h[t] = x[t]


def test_sizes() -> None:
    c = Circuit()
    c.param("W", "H", "2*K")
    assert dict(c.sizes) == {"H": None, "K": None}
    c.size("H", 5)
    c["out"] = gg.sum(c["W"])
    assert dict(c.sizes) == {"H": 5, "K": None}
    assert c.init(0, K=2)["W"].shape == (5, 4)
    with pytest.raises(NameClashError):
        c.size("H", 6)
    for wrong in (0, -1, 1.5, True, 2**40):
        with pytest.raises(GraphgradError):
            Circuit().size("H", wrong)  # type: ignore[arg-type]


def test_indices_come_before_what_varies_with_them() -> None:
    c, x, W, h = small()
    with pytest.raises(NotationError, match="after variables over the implied index t") as caught:
        c.steps("s", "m")
    assert caught.value.remedy == 'begin with c.steps("t", "tau") and c.steps("s", "m")'
    assert c.steps("t", "n").affine == t.affine
    h[t] = W @ x[t]
    c["last"] = h[gg.index("n")]
    assert str(c).startswith("t: steps(n)\n")
    several = Circuit()
    s = several.steps("s", "m")
    several.steps("t", "n")
    with pytest.raises(NotationError, match="h may vary with s or t"):
        several.var("h")
    several.var("h", index=s)[s] = 1


def test_lookups_by_name() -> None:
    c, x, W, h = small()
    with pytest.raises(UnknownNameError, match="hh is not declared") as caught:
        c["hh"]
    assert caught.value.remedy == "did you mean h?"
    with pytest.raises(UnknownNameError):
        c.input("z", "D", index="i")
