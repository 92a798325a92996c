"""Labels, scenes and what is refused in them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.viz import scenes
from viz.engine import DrawingError
from viz.font import text_width
from viz.label import Label, Run, italic, roman, symbol, typeset
from viz.layout import lay_out
from viz.scene import CircuitScene, Edge, Node, Scene, Track, UnfoldedScene, folded


def test_scripts_are_stacked_on_their_base() -> None:
    set_ = typeset(symbol("h_1", sup="(t-1)"), 10.0, text_width)
    base, sub, sup = set_.pieces[0], set_.pieces[1], set_.pieces[2]
    assert base.italic
    assert (base.x, base.y, base.size) == (0.0, 0.0, 10.0)
    assert sub.y < 0 < sup.y
    assert sub.size == sup.size == pytest.approx(7.0)
    assert sub.x == pytest.approx(base.width)
    assert sup.x == pytest.approx(base.width, abs=0.5)
    assert set_.width == pytest.approx(max(p.x + p.width for p in set_.pieces))


def test_a_second_base_comes_after_the_scripts() -> None:
    set_ = typeset(roman("∂") + italic("L", sub="1") + roman("/∂"), 10.0, text_width)
    assert all(a.x < b.x for a, b in zip(set_.pieces, set_.pieces[1:], strict=False))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h", "h"), ("yhat", "ŷ"), ("W_hh", "W_hh"), ("delta_h", "δ_h"), ("lam", "λ"),
        ("loss", "L"), ("h1", "h_1"), ("what", "ŵ"), ("that_x", "t̂_x"), ("Omega", "Ω"),
        ("hat", "hat"), ("λ", "λ"), ("_", "_"),
    ],
)  # fmt: skip
def test_symbols(name: str, text: str) -> None:
    assert symbol(name).text == text


def test_an_accent_that_has_no_character_is_set_above_its_letter() -> None:
    base, mark = typeset(Label((Run("h", italic=True, accent="tilde"),)), 10, text_width).pieces
    assert mark.y > 0
    assert base.x < mark.x + mark.width / 2 < base.x + base.width


@pytest.mark.parametrize("text", scenes.HOSTILE)
def test_every_character_is_displayed(text: str) -> None:
    (piece,) = typeset(roman(text), 10.0, text_width).pieces
    assert len(piece.text) == len(text)
    assert all(ord(c) >= 32 for c in piece.text)


def test_folding() -> None:
    assert folded(10**6) == (1, 2, 3, None, 10**6)
    assert folded(3) == (1, 2, 3)
    assert folded(9, first=2, last=2) == (1, 2, None, 8, 9)


A, B = Node("a", symbol("a")), Node("b", symbol("b"))


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (CircuitScene((A, A), ()), "twice"),
        (CircuitScene((A,), (Edge("a", "a", "a", delay=1),)), "twice"),
        (CircuitScene((A,), (Edge("e", "a", "z"),)), "not a node"),
        (CircuitScene((A, B), (), layers=(("a",),)), "lack 'b'"),
        (UnfoldedScene((), (replace(A, time=1, track="t"),), ()), "not declared"),
        (UnfoldedScene((Track("t", ()),), (), ()), "increasing"),
        (UnfoldedScene((Track("t", (2, 1)),), (), ()), "increasing"),
        (
            UnfoldedScene((Track("t", (1, None, 9)),), (replace(A, time=4, track="t"),), ()),
            "left out",
        ),
        (
            UnfoldedScene(
                (Track("t", (1,)),),
                (replace(A, time=1, track="t", row="r"), replace(B, time=1, track="t", row="r")),
                (),
            ),
            "shares",
        ),
        (
            UnfoldedScene((Track("t", (1,)),), (A, B), (Edge("e", "a", "b"), Edge("f", "b", "a"))),
            "cycle",
        ),
    ],
)
def test_contradictory_scenes_are_refused(scene: Scene, words: str) -> None:
    with pytest.raises(DrawingError, match=words):
        lay_out(scene)
