"""The text font of the pictures: its widths, and its data for embedding in a document."""

from __future__ import annotations

import base64
import functools
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Face = Literal["regular", "italic", "bold"]

FAMILY = "graphgrad"
FOLDER = Path(__file__).resolve().parent / "fonts"

_CSS = {
    "regular": "font-style:normal;font-weight:400",
    "italic": "font-style:italic;font-weight:400",
    "bold": "font-style:normal;font-weight:700",
}
_UNITS = 1000


@functools.cache
def _advances() -> Mapping[str, Mapping[str, int]]:
    """Advance widths in thousandths of the font size, by face and character."""
    table: dict[str, dict[str, int]] = json.loads(
        (FOLDER / "advances.json").read_text(encoding="utf-8")
    )
    return table


def text_width(text: str, italic: bool = False, size: float = 14.0, *, bold: bool = False) -> float:
    """The width in points that Graphviz and browsers give a text in the graphgrad font.

    The font has no kerning and no ligatures, so this is the sum of the advance widths. A character
    that the font lacks counts as one em, a combining mark as nothing. There is no bold italic:
    italic wins.

    >>> text_width("W", size=10.0), text_width("", size=10.0)
    (9.44, 0.0)
    """
    widths = _advances()["italic" if italic else "bold" if bold else "regular"]
    units = 0
    for character in text:
        width = widths.get(character)
        if width is None:
            width = 0 if unicodedata.category(character) in ("Mn", "Me", "Cf") else _UNITS
        units += width
    return units * size / _UNITS


def covers(text: str) -> bool:
    """Whether the font has every printable character of a text.

    >>> covers("∂L/∂W = Σ δ⁽ᵗ⁾ŷ"), covers("שלום")
    (True, False)
    """
    return all(character in _advances()["regular"] or character < " " for character in set(text))


@functools.cache
def font_face_css(*faces: Face) -> str:
    """CSS rules that bring the font with the document, as data; all faces unless some are named.

    One face is about 36 kB of text, so an SVG file names those that it uses.
    """
    return "".join(
        f'@font-face{{font-family:"{FAMILY}";{_CSS[face]};'
        f'src:url(data:font/woff2;base64,{_data(face)}) format("woff2")}}\n'
        for face in faces or ("regular", "italic", "bold")
    )


def _data(face: str) -> str:
    file = FOLDER / f"{FAMILY}-{face.capitalize()}.woff2"
    return base64.b64encode(file.read_bytes()).decode("ascii")
