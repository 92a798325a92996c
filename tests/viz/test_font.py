"""viz.font: the widths of the table are the widths that Graphviz draws."""

from __future__ import annotations

import base64
import re

import pytest

from viz import font
from viz.engine import render

MATHEMATICS = "ŷŶẑ∂⊙∑∇σ×·−≤≥≠⊤∈ℝ→∞√½‖δ⁽ᵗ⁻¹⁾₁₂…□■\u0302\u0303\u0304"


def drawn_width(label: str, size: float, name: str = font.FAMILY) -> float:
    node = (
        f'a [shape=plain margin=0 width=0 height=0 fontname="{name}" fontsize={size} label={label}]'
    )
    plain = render(f"graph {{ {node} }}", format="plain").decode()
    return float(plain.splitlines()[1].split()[4]) * 72


@pytest.mark.parametrize(
    "text", ["hidden state", "ŷ", "x\u0302", "∂L/∂W = ∑ δ ⊙ h", "AVATo fi ffl"]
)
def test_widths_are_those_of_graphviz(text):
    # Glyphs stand on a grid of 3/4 points, so a large size tells the widths best.
    grid = 0.75 * len(text)
    for italic, bold, markup in ((0, 0, "<{}>"), (1, 0, "<<I>{}</I>>"), (0, 1, "<<B>{}</B>>")):
        expected = font.text_width(text, bool(italic), 500.0, bold=bool(bold))
        assert drawn_width(markup.format(text), 500.0) == pytest.approx(expected, abs=grid)


def test_our_font_is_used_whatever_family_is_asked_for():
    text = '"the quick brown fox"'
    widths = {drawn_width(text, 500.0, name) for name in ("graphgrad", "Helvetica", "no such font")}
    assert len(widths) == 1
    assert widths.pop() == pytest.approx(
        font.text_width("the quick brown fox", size=500.0), rel=0.01
    )


def test_mathematics_is_covered_in_every_face():
    assert font.covers(MATHEMATICS)
    for face in ("regular", "italic", "bold"):
        assert set(MATHEMATICS) <= font._advances()[face].keys()


def test_unknown_characters_count_one_em_and_marks_nothing():
    assert font.text_width("漢", size=20.0) == 20.0
    assert font.text_width("ש\u05b8", size=20.0) == 20.0
    assert font.text_width("x\u0302", size=20.0) == font.text_width("x", size=20.0)


def test_css_brings_the_named_faces():
    everything, one = font.font_face_css(), font.font_face_css("italic")
    assert everything.count("@font-face") == 3
    assert one in everything
    data = re.search(r"base64,([^)]+)\)", one).group(1)
    assert base64.b64decode(data, validate=True)[:4] == b"wOF2"
    assert len(one) < 60_000


def test_committed_files_are_small_and_carry_their_licence():
    files = {file.name: file.stat().st_size for file in font.FOLDER.iterdir()}
    assert "OFL.txt" in files
    assert all(size < 100_000 for size in files.values())
