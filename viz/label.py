"""Labels as real mathematics: runs of text at three levels, typeset from font metrics."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from graphgrad.notation import names
from graphgrad.notation.names import Run as Run

Measure = Callable[[str, bool, float], float]
"""Width in points of a text, set upright or italic, at a font size."""

SCRIPT_SIZE = 0.7
SUPERSCRIPT_RISE = 0.38
SUBSCRIPT_DROP = 0.20
AXIS = 0.30
"""Height, in ems, of the line through the middle of the letters above their baseline."""

ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307"}
_SPACING_ACCENTS = {"hat": "\u02c6", "tilde": "\u02dc", "bar": "\u00af", "dot": "\u02d9"}


@dataclass(frozen=True, slots=True)
class Label:
    """A formula: its runs from left to right.

    Scripts that follow a base run are stacked: a subscript and a superscript start together.
    """

    runs: tuple[Run, ...]

    def __add__(self, other: Label) -> Label:
        """The two formulas side by side."""
        return Label(self.runs + other.runs)

    @property
    def text(self) -> str:
        """The formula on one line of plain text, for tooltips and screen readers."""
        parts: list[str] = []
        level = 0
        for run in self.runs:
            if run.level not in (0, level):
                parts.append("^" if run.level > 0 else "_")
            level = run.level
            parts.append(unicodedata.normalize("NFC", run.text + ACCENTS.get(run.accent, "")))
        return "".join(parts)


def roman(text: str, *, bold: bool = False) -> Label:
    """Upright text, exactly as given."""
    return Label((Run(text, bold=bold),))


def italic(text: str, *, sub: str = "", sup: str = "", accent: str = "") -> Label:
    """An italic base with scripts: `italic("h", sup="(t-1)")`."""
    return Label(names.Symbol(text, accent).runs(sub=sub, sup=sup))


def symbol(name: str, *, sub: str = "", sup: str = "") -> Label:
    """The usual mathematical form of a name in the notation, as `graphgrad.notation.names` has it.

    >>> symbol("W_hh").text, symbol("yhat", sup="(t)").text, symbol("delta_h2").text
    ('W_hh', 'ŷ^(t)', 'δ_h2')
    """
    return Label(names.symbol(name).runs(sub=sub, sup=sup))


@dataclass(frozen=True, slots=True)
class Piece:
    """One run at its place: `x` from the left end of the label, `y` up from its base line."""

    text: str
    x: float
    y: float
    size: float
    width: float
    italic: bool
    bold: bool


@dataclass(frozen=True, slots=True)
class Typeset:
    """A label with every piece at its place; lengths in points."""

    label: Label
    pieces: tuple[Piece, ...]
    width: float
    size: float

    @property
    def height(self) -> float:
        """From the lowest descender to the highest ascender."""
        raised = any(piece.y > 0 for piece in self.pieces)
        lowered = any(piece.y < 0 for piece in self.pieces)
        return self.size * (0.95 + 0.2 * raised + 0.12 * lowered)


def displayable(text: str) -> str:
    r"""The text with what no font and no file format can show replaced by visible signs.

    >>> displayable("a\0b\n")
    'a␀b␊'
    """
    return text if text.isprintable() else "".join(map(_displayable_character, text))


def html_text(text: str) -> str:
    r"""The text of some lines for HTML, in which what nothing can show is a visible sign.

    >>> html_text("a\0 < b\nc")
    'a␀ &lt; b\nc'
    """
    return escape("\n".join(map(displayable, text.split("\n"))))


def _displayable_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE:
        return "\ufffd"
    return character


def typeset(label: Label, size: float, measure: Measure) -> Typeset:
    """Put every run of a label at its place, scripts stacked on their base."""
    pieces: list[Piece] = []
    cursor = {0: 0.0, 1: 0.0, -1: 0.0}
    for run in label.runs:
        if run.level == 0:
            cursor[0] = max(cursor.values())
        run_size = size if run.level == 0 else size * SCRIPT_SIZE
        rise = {0: 0.0, 1: SUPERSCRIPT_RISE, -1: -SUBSCRIPT_DROP}[run.level] * size
        text = displayable(unicodedata.normalize("NFC", run.text + ACCENTS.get(run.accent, "")))
        composed = len(text) == len(run.text)
        if not composed:
            text = displayable(run.text)
        width = measure(text, run.italic, run_size)
        x = cursor[run.level]
        pieces.append(Piece(text, x, rise, run_size, width, run.italic, run.bold))
        if run.accent and not composed:
            mark = _SPACING_ACCENTS[run.accent]
            mark_width = measure(mark, run.italic, run_size)
            tall = run.text.isupper() or run.text in "bdfhkltβδζθλξφψ"
            lift = 0.24 * run_size if tall else 0.0
            pieces.append(
                Piece(
                    mark,
                    x + (width - mark_width) / 2,
                    rise + lift,
                    run_size,
                    mark_width,
                    run.italic,
                    run.bold,
                )
            )
        end = x + width
        cursor[run.level] = end
        if run.level == 0:
            gap = 0.04 * size if run.italic else 0.02 * size
            cursor = {0: end, 1: end + gap, -1: end}
    return Typeset(label, tuple(pieces), max(cursor.values()), size)
