r"""How a plain name is shown as mathematics: `yhat` as ŷ, `W_xh` as W with subscript xh.

The conventions, the same in LaTeX, MathML and pictures:

- One letter is italic, capitals (matrices) included; Greek letters may be spelled out; a longer
  word stays upright, exactly as it was typed.
- Trailing digits and what follows an underscore are subscripts. Words and usual abbreviations are
  upright (`W_out`, `W_fb`), any other two letters are two indices (`W_xh`), and parts are separated
  by commas.
- A trailing `hat`, `tilde`, `bar` or `dot` on a letter is an accent. `loss` is L.
- `d_h`, the cotangent of a variable h, is δ with subscript h; `dot_h`, its tangent, has a dot.

What a circuit adds to them is in `naming`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import NamedTuple

from graphgrad.notation.alphabet import GREEK
from graphgrad.notation.boxes import (
    ACCENTS,
    DOTS,
    Box,
    accented,
    identifier,
    listed,
    number,
    operator,
    row,
    scripted,
)
from graphgrad.notation.structures import fraction

# Two-letter subscripts that are words or usual abbreviations (feedback, forward, backward), not two
# indices.
_WORDS = frozenset({"in", "up", "on", "no", "to", "or", "fb", "fw", "bw"})
_DEEPEST = 9
_DOTS = ("", "\u0307", "\u0308", "\u20db")
COTANGENTS = {"d": "", "dd": "bar", "ddd": "dot"}
"""Prefixes of cotangents and the accents of their δ; longer ones where shorter ones are taken."""
TANGENTS = {"dot": 1, "ddot": 2, "dddot": 3}
"""Prefixes of tangents and the number of their dots."""


class Run(NamedTuple):
    """A stretch of text in one style; `level` is 0 on the base line, 1 raised, -1 lowered."""

    text: str
    italic: bool = False
    bold: bool = False
    level: int = 0
    accent: str = ""


class Instant(NamedTuple):
    """A fixed step, as a time in print: `offset` or `length + offset`."""

    length: str
    offset: int

    def text(self) -> str:
        """Return it on one line: `0`, `−1`, `τ+1`."""
        shown = GREEK.get(self.length, self.length)
        if shown and not self.offset:
            return shown
        return shown + format(self.offset, "+d" if shown else "d").replace("-", "−")


@dataclass(frozen=True)
class Symbol:
    """A name as mathematics: a base, an accent, groups of subscripts, a time; ∂per/∂ of it all.

    `dots` is how many dots stand above the base and its accent.
    """

    base: str
    accent: str = ""
    sub: tuple[tuple[Symbol, ...], ...] = ()
    time: Instant | None = None
    per: Symbol | None = None
    upright: bool = False
    dots: int = 0

    def box(
        self,
        *extra: Box,
        time: Box | None = None,
        label: bool = True,
        subscripts: bool = False,
    ) -> Box:
        """Return the symbol to be typeset.

        `extra` are further groups of subscripts, after its own (left out without `label`); `time`
        is a superscript in parentheses, or with `subscripts` the last subscript.
        """
        digits = re.fullmatch("−?[0-9]+", self.base)
        base = number(self.base) if digits else identifier(self.base, upright=self.upright)
        if self.accent:
            base = accented(base, self.accent)
        if self.dots:
            base = accented(base, list(DOTS)[self.dots - 1])
        groups = [row(*(each.box() for each in group), spaces=False) for group in self.sub]
        groups = [*(groups if label else []), *extra]
        instant = time if self.time is None else _instant(self.time)
        if instant is not None and subscripts:
            groups.append(instant)
        below = None if not groups else groups[0] if len(groups) == 1 else listed(groups)
        above = None if instant is None or subscripts else _bracketed(instant)
        scripts = below is not None or above is not None
        whole = scripted(base, below, above, time=above is not None) if scripts else base
        if self.per is None:
            return whole
        sign = operator("∂", tight=True)
        return fraction(row(sign, self.per.box()), row(sign, whole))

    def latex(self) -> str:
        r"""Return the symbol in LaTeX.

        >>> symbol("W_xh").latex(), symbol("yhat").latex(), symbol("h1").latex()
        ('W_{xh}', '\\hat{y}', 'h_1')
        """
        return self.box().latex

    def mathml(self) -> str:
        """Return the symbol in MathML."""
        return self.box().mathml

    def runs(self, *, sub: str = "", sup: str = "") -> tuple[Run, ...]:
        """Return the symbol as runs of text for pictures, with further scripts if so wished.

        >>> [(run.text, run.level) for run in symbol("W_xh").runs(sup="(t)")]
        [('W', 0), ('x', -1), ('h', -1), ('(', 1), ('t', 1), (')', 1)]
        """
        found = [self._run(0)]
        for position, group in enumerate(self.sub):
            if position:
                found.append(Run(",", level=-1))
            for piece in group:
                found += piece._flat()
        if sub:
            found += [Run(",", level=-1)] * bool(self.sub) + _text_runs(sub, -1)
        time = "" if self.time is None else f"({self.time.text()})"
        found += _text_runs(time + sup, 1)
        if self.per is None:
            return tuple(found)
        return (Run("∂"), *self.per.runs(), Run("/∂"), *found)

    def _run(self, level: int) -> Run:
        italic = len(self.base) == 1 and self.base.isalpha() and not self.upright
        if self.dots == 1 and not self.accent:
            return Run(self.base, italic=italic, level=level, accent="dot")
        dotted = self.base + _DOTS[self.dots]
        return Run(dotted, italic=italic, level=level, accent=self.accent)

    def _flat(self) -> list[Run]:
        """Return a subscript of a subscript on the level of its base."""
        below = [run for group in self.sub for piece in group for run in piece._flat()]
        return [self._run(-1), *below]

    def __str__(self) -> str:
        marks = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307"}
        text, level = "", 0
        for run in self.runs():
            if run.level != level:
                text += {0: "", 1: "^", -1: "_"}[run.level]
                level = run.level
            text += unicodedata.normalize("NFC", run.text + marks.get(run.accent, ""))
        return text


def _text_runs(text: str, level: int) -> list[Run]:
    """Return a short text such as `(t-1)` as runs, its letters italic."""
    pieces = re.findall(r"[^\W\d_]+|[\W\d_]+", text.replace("-", "−"))
    return [Run(GREEK.get(p, p), italic=p.isalpha() and (len(p) == 1 or p in GREEK), level=level)
            for p in pieces]  # fmt: skip


def _instant(time: Instant) -> Box:
    parts = [] if not time.length else [symbol(time.length).box()]
    if parts and time.offset:
        parts.append(operator("+" if time.offset > 0 else "−", tight=True))
        parts.append(number(str(abs(time.offset))))
    elif not parts:
        parts.append(number(str(time.offset)))
    return row(*parts, spaces=False)


def _bracketed(time: Box) -> Box:
    """Return a time in the parentheses of a superscript."""
    return Box(
        f"({time.latex})",
        f'<mrow><mo form="prefix" stretchy="false">(</mo>{time.mathml}'
        f'<mo form="postfix" stretchy="false">)</mo></mrow>',
        time.width + 1,
    )


def verbatim(name: str) -> Symbol:
    """Return a name upright, as it was typed."""
    return Symbol(name, upright=True)


def symbol(name: str) -> Symbol:
    """Return how a name is shown where nothing is known about its circuit.

    >>> [str(symbol(name)) for name in ("delta_h", "b_12", "W_in", "h_m1", "d_h", "dot_h", "loss")]
    ['δ_h', 'b_12', 'W_in', 'h_−1', 'δ_h', 'ḣ', 'L']
    """
    head, _, rest = name.partition("_")
    if head in COTANGENTS and rest and name.count("_") < _DEEPEST:
        of = symbol(rest)
        return Symbol("δ", COTANGENTS[head], ((of,),))
    if head in TANGENTS and rest and name.count("_") < _DEEPEST:
        of = symbol(rest)
        if of.dots + TANGENTS[head] < len(_DOTS):
            return replace(of, dots=of.dots + TANGENTS[head])
    return by_its_parts(name)


def by_its_parts(name: str) -> Symbol:
    """Return how a name is shown that is no cotangent."""
    if name == "loss":
        return Symbol("L")
    head, *parts = name.split("_")
    if not all((head, *parts)):
        return verbatim(name)
    if (digits := re.fullmatch(r"([^\W\d]+)(\d+)", head)) is not None:
        head, parts = digits[1], [digits[2], *parts]
    accent = next((a for a in ACCENTS if head.endswith(a) and _is_letter(head[: -len(a)])), "")
    if accent:
        head = head[: -len(accent)]
    elif parts and parts[0] in ACCENTS and _is_letter(head):
        accent, *parts = parts
    return Symbol(GREEK.get(head, head), accent, tuple(_part(part) for part in parts))


def _is_letter(text: str) -> bool:
    return len(text) == 1 or text in GREEK


def _part(part: str) -> tuple[Symbol, ...]:
    """Return one part of a subscript as symbols side by side."""
    if re.fullmatch(r"m\d+", part):
        return (Symbol("−" + part[1:]),)
    if part.isdigit() or part in _WORDS or part in GREEK:
        return (Symbol(GREEK.get(part, part)),)
    if len(part) == 2 and part.isalpha():
        return (Symbol(part[0]), Symbol(part[1]))
    return (symbol(part),)
