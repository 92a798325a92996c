"""Boxes, which are LaTeX and MathML at once: symbols, rows of them, and scripts.

A box is put together from smaller ones by the functions here and in `structures`, so both languages
come out of the same decisions, and no pass walks a tree of boxes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphgrad.notation.alphabet import COMMANDS, GREEK, LATEX_SPECIAL, latex_escape, xml_escape

_OPERATORS = {
    "−": "-",
    "·": r"\cdot",
    "⊙": r"\odot",
    "⊘": r"\oslash",
    "×": r"\times",
    "⊤": r"\top",
    "∂": r"\partial",
    "≠": r"\ne",
    "≤": r"\le",
    "≥": r"\ge",
    "∑": r"\sum",
    "mod": r"\bmod",
}
_BOLD = {"0": "𝟎", "1": "𝟏", "e": "𝐞"}
ACCENTS = {"hat": "ˆ", "tilde": "˜", "bar": "¯", "dot": "˙"}
DOTS = {"dot": "˙", "ddot": "¨", "dddot": "\u20db"}


@dataclass(frozen=True)
class Box:
    """A formula: its LaTeX and MathML, its width in letters, and what its neighbours must know.

    `tall` boxes need growing parentheses, `wordy` ones a thin space beside a factor; a box that
    starts with a digit (`digit`) cannot follow a factor without a dot. `function` boxes bring
    their own space in LaTeX.
    """

    latex: str
    mathml: str
    width: float = 1.0
    tall: bool = False
    wordy: bool = False
    digit: bool = False
    function: bool = False


@dataclass(frozen=True, kw_only=True)
class Scripted(Box):
    """A base with scripts, kept apart so that more can be added; `time` if `sup` is a time."""

    base: Box
    sub: Box | None = None
    sup: Box | None = None
    time: bool = False


@dataclass(frozen=True, kw_only=True)
class Fenced(Box):
    """A box in parentheses, its MathML cut before the last one, on which scripts stand."""

    opening: str
    closing: str


# -- atoms -----------------------------------------------------------------------------------------


def identifier(text: str, *, upright: bool = False) -> Box:
    """Return a name: one letter (Latin or Greek) in italics, a word upright, as it was typed."""
    if len(text) == 1 and not upright:
        latex = COMMANDS.get(text, text)
        plain = text if text != "_" else r"\_"
        return Box(latex if text in COMMANDS else plain, f"<mi>{xml_escape(text)}</mi>")
    escaped = "".join(
        f"{{{COMMANDS[c]}}}" if c in COMMANDS else LATEX_SPECIAL.get(c, c) for c in text
    )
    mathml = f'<mi mathvariant="normal">{xml_escape(text)}</mi>'
    return Box(rf"\mathrm{{{escaped}}}", mathml, 0.9 * len(text), wordy=True)


def number(text: str) -> Box:
    """Return a number, written out: `3`, `0.5`, `1e-05`."""
    mantissa, _, exponent = text.partition("e")
    if exponent:
        power = scripted(number("10"), sup=number(str(int(exponent)).replace("-", "−")))
        if mantissa in ("1", "1.0"):
            return power
        return row(number(mantissa), operator("·"), power)
    sign, digits = ("-", text[1:]) if text[:1] in "-−" else ("", text)
    shown = f"<mn>{xml_escape(digits)}</mn>"
    if sign:
        return Box(f"-{digits}", f"<mrow>{_minus()}{shown}</mrow>", len(text))
    return Box(digits, shown, 0.9 * len(text), digit=True)


def _minus() -> str:
    return '<mo form="prefix" lspace="0" rspace="0">−</mo>'


def bold(text: str) -> Box:
    """Return one of the bold constants: the arrays of zeros and ones, a unit vector."""
    tag = "mn" if text.isdigit() else "mi"
    return Box(rf"\mathbf{{{text}}}", f"<{tag}>{_BOLD[text]}</{tag}>")


def operator(sign: str, *, tight: bool = False, leading: bool = False) -> Box:
    """Return an operator or relation; `tight` without space around it, for scripts.

    A `leading` one starts a continued line and is spaced as if something stood before it.
    """
    space = ' lspace="0" rspace="0"' if tight else ' form="infix"' if leading else ""
    if sign == "mod" and not tight:
        space = ' lspace="0.22em" rspace="0.22em"'
    width = 1.0 if tight else 2.0
    latex = _OPERATORS.get(sign, sign)
    latex = f"{{}} {latex}" if leading else latex
    return Box(latex, f"<mo{space}>{xml_escape(sign)}</mo>", width)


def plain(text: str) -> Box:
    """Return upright text among mathematics, its spaces kept."""
    spaced = xml_escape(text).replace(" ", "\u00a0")
    return Box(rf"\text{{{latex_escape(text)}}}", f"<mtext>{spaced}</mtext>", 0.8 * len(text))


def function_name(latex: str) -> Box:
    r"""Return the name of a function, given as LaTeX (`\tanh`, `\sigma`) or as a word."""
    if latex.startswith("\\"):
        name = latex[1:]
        if name in GREEK:
            return identifier(GREEK[name])
        return Box(latex, f"<mi>{xml_escape(name)}</mi>", len(name), function=True)
    words = latex.replace("_", " ")
    spaced = xml_escape(words).replace(" ", "\u2009")
    # `\ ` keeps the space between words inside the name
    name = latex_escape(words).replace(" ", r"\ ")
    return Box(rf"\operatorname{{{name}}}", f"<mi>{spaced}</mi>", len(words), function=True)


# -- rows and scripts ------------------------------------------------------------------------------


def _joined(left: str, right: str) -> str:
    """Return two pieces of LaTeX side by side, a space between them where one is needed."""
    if re.search(r"\\[A-Za-z]+$", left) and re.match(r"[A-Za-z]", right):
        return f"{left} {right}"
    return left + right


def row(*boxes: Box, spaces: bool = True) -> Box:
    """Return boxes side by side; their LaTeX is set apart by spaces if so wished."""
    latex = boxes[0].latex
    for box in boxes[1:]:
        latex = f"{latex} {box.latex}" if spaces else _joined(latex, box.latex)
    mathml = "".join(box.mathml for box in boxes)
    return Box(
        latex,
        f"<mrow>{mathml}</mrow>" if len(boxes) > 1 else mathml,
        sum(box.width for box in boxes),
        tall=any(box.tall for box in boxes),
        digit=boxes[0].digit,
    )


def listed(boxes: Sequence[Box], separator: str = ",") -> Box:
    """Return boxes with a comma, or another sign, between them."""
    latex = f"{separator} ".join(box.latex for box in boxes)
    comma = f"<mo>{separator}</mo>"
    return Box(
        latex,
        f"<mrow>{comma.join(box.mathml for box in boxes)}</mrow>",
        sum(box.width + 1 for box in boxes),
        tall=any(box.tall for box in boxes),
    )


def grouped(latex: str) -> str:
    """Return LaTeX as a script's argument: braces only where they are needed."""
    return latex if re.fullmatch(r"[A-Za-z0-9]|\\[A-Za-z]+", latex) else f"{{{latex}}}"


def scripted(
    base: Box, sub: Box | None = None, sup: Box | None = None, *, time: bool = False
) -> Scripted:
    """Return a base with a subscript, a superscript or both, one above the other."""
    latex = base.latex
    if sub is not None:
        latex += f"_{grouped(sub.latex)}"
    if sup is not None:
        latex += f"^{grouped(sup.latex)}"
    scripts = [script for script in (sub, sup) if script is not None]
    tag = "msubsup" if len(scripts) == 2 else "msub" if sub is not None else "msup"
    inner = "".join(script.mathml for script in scripts)
    if isinstance(base, Fenced) and not base.tall:
        mathml = f"<mrow>{base.opening}<{tag}>{base.closing}{inner}</{tag}></mrow>"
    else:
        mathml = f"<{tag}>{base.mathml}{inner}</{tag}>"
    return Scripted(
        latex,
        mathml if scripts else base.mathml,
        base.width + 0.7 * max((script.width for script in scripts), default=0),
        tall=base.tall,
        wordy=base.wordy,
        digit=base.digit,
        function=base.function,
        base=base,
        sub=sub,
        sup=sup,
        time=time,
    )


def accented(base: Box, accent: str) -> Box:
    """Return a letter under an accent of `ACCENTS` or under `DOTS`."""
    latex = rf"\{accent}{{{base.latex}}}"
    mark = f'<mo stretchy="false">{(ACCENTS | DOTS)[accent]}</mo>'
    return replace(base, latex=latex, mathml=f'<mover accent="true">{base.mathml}{mark}</mover>')
