"""The vocabulary of typeset mathematics: boxes that are LaTeX and MathML at once.

A box is put together from smaller ones by the functions here, so both languages come out of the
same decisions, and no pass walks a tree of boxes.
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
LEFT, RIGHT = (f"text-align:{side};text-align:-webkit-{side}" for side in ("left", "right"))
"""How cells of tables are aligned; Chromium needs the second form."""
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


@dataclass(frozen=True, kw_only=True)
class Negative(Box):
    """A box behind a minus sign; `inner` is what stands behind it and `level` how it binds."""

    inner: Box
    level: int


@dataclass(frozen=True, kw_only=True)
class Terms(Box):
    """A sum, kept as its signed terms so that a long one can be broken into lines."""

    parts: tuple[tuple[str, Box], ...]


@dataclass(frozen=True, kw_only=True)
class Cases(Box):
    """A choice, kept as rows of value and condition; the last row is what remains."""

    rows: tuple[tuple[Box, Box | None], ...]


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


# -- composition -----------------------------------------------------------------------------------


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


def _grouped(latex: str) -> str:
    """Return LaTeX as a script's argument: braces only where they are needed."""
    return latex if re.fullmatch(r"[A-Za-z0-9]|\\[A-Za-z]+", latex) else f"{{{latex}}}"


def scripted(
    base: Box, sub: Box | None = None, sup: Box | None = None, *, time: bool = False
) -> Scripted:
    """Return a base with a subscript, a superscript or both, one above the other."""
    latex = base.latex
    if sub is not None:
        latex += f"_{_grouped(sub.latex)}"
    if sup is not None:
        latex += f"^{_grouped(sup.latex)}"
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


def fenced(inner: Box, left: str = "(", right: str = ")") -> Fenced:
    """Return a box in parentheses or other fences, which grow with it."""
    names = {"‖": (r"\lVert", r"\rVert"), "|": (r"\lvert", r"\rvert")}
    opening, closing = names.get(left, (left, right))
    if inner.tall:
        latex = rf"\left{opening} {inner.latex} \right{closing}"
    elif opening.startswith("\\"):
        latex = rf"{opening} {inner.latex} {closing}"
    else:
        latex = f"{opening}{inner.latex}{closing}"
    stretch = "true" if inner.tall else "false"
    marks = [
        f'<mo form="{form}" fence="true" stretchy="{stretch}">{sign}</mo>'
        for form, sign in (("prefix", left), ("postfix", right))
    ]
    opening, closing = marks[0] + inner.mathml, marks[1]
    return Fenced(
        latex,
        f"<mrow>{opening}{closing}</mrow>",
        inner.width + 1,
        tall=inner.tall,
        opening=opening,
        closing=closing,
    )


def fraction(numerator: Box, denominator: Box) -> Box:
    """Return a fraction."""
    return Box(
        rf"\frac{{{numerator.latex}}}{{{denominator.latex}}}",
        f"<mfrac><mrow>{numerator.mathml}</mrow><mrow>{denominator.mathml}</mrow></mfrac>",
        max(numerator.width, denominator.width) + 0.5,
        tall=True,
        digit=True,
    )


def half() -> Box:
    """Return the small fraction ½."""
    mathml = '<mstyle displaystyle="false"><mfrac><mn>1</mn><mn>2</mn></mfrac></mstyle>'
    return Box(r"\tfrac{1}{2}", mathml, digit=True)


def root(inner: Box) -> Box:
    """Return a square root."""
    mathml = f"<msqrt><mrow>{inner.mathml}</mrow></msqrt>"
    return Box(rf"\sqrt{{{inner.latex}}}", mathml, inner.width + 1, tall=inner.tall)


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


def call(function: Box, *args: Box) -> Fenced:
    """Return a function applied to arguments in parentheses."""
    inner = listed(args) if len(args) > 1 else args[0]
    brackets = fenced(inner)
    # \left adds a space after a function's name, which the empty \mathopen takes away
    gap = r"\mathopen{}" if inner.tall else ""
    opening = f"{function.mathml}<mo>&#x2061;</mo>{brackets.opening}"
    return Fenced(
        f"{function.latex}{gap}{brackets.latex}",
        f"<mrow>{opening}{brackets.closing}</mrow>",
        function.width + brackets.width,
        tall=inner.tall,
        function=function.function,
        opening=opening,
        closing=brackets.closing,
    )


def juxtaposed(left: Box, right: Box, *, thin: bool = False) -> Box:
    """Return a product written without a sign, with a dot before a number."""
    if right.digit:
        return row(left, operator("·"), right)
    space = thin or left.wordy or right.wordy
    gap = '<mspace width="0.17em"/>' if space or left.function or right.function else ""
    latex = rf"{left.latex}\, {right.latex}" if space else f"{left.latex} {right.latex}"
    return Box(
        latex,
        f"<mrow>{left.mathml}<mo>&#x2062;</mo>{gap}{right.mathml}</mrow>",
        left.width + right.width + 0.2,
        tall=left.tall or right.tall,
        digit=left.digit,
        wordy=right.wordy,
    )


def negative(inner: Box, level: int) -> Negative:
    """Return a box behind a minus sign."""
    sign = '<mo form="prefix">−</mo>'
    return Negative(
        f"-{inner.latex}",
        f"<mrow>{sign}{inner.mathml}</mrow>",
        inner.width + 1,
        tall=inner.tall,
        inner=inner,
        level=level,
    )


def summed(left: Box, sign: str, right: Box) -> Terms:
    """Return a sum or difference; a sum on the left is continued."""
    parts = left.parts if isinstance(left, Terms) else (("", left),)
    both = row(left, operator(sign), right)
    return Terms(both.latex, both.mathml, both.width, both.tall, parts=(*parts, (sign, right)))


def big(sign: Box, under: Box, over: Box | None, body: Box) -> Box:
    """Return a big operator (a sum, a maximum) over a body."""
    name = sign.latex.replace(r"\operatorname{", r"\operatorname*{")
    above = f"^{_grouped(over.latex)}" if over is not None else ""
    tag = "munderover" if over is not None else "munder"
    limits = under.mathml + (over.mathml if over is not None else "")
    limit_width = 0.7 * max(under.width, over.width if over is not None else 0)
    space = '<mspace width="0.17em"/>' if sign.function else ""
    gap = r"\, " if sign.function else " "
    return Box(
        rf"{name}_{_grouped(under.latex)}{above}{gap}{body.latex}",
        f"<mrow><{tag}>{sign.mathml}{limits}</{tag}>{space}{body.mathml}</mrow>",
        max(1.5, limit_width) + body.width,
        tall=True,
        wordy=sign.function,
    )


def stacked(*lines: Box) -> Box:
    """Return the lines under a big operator, one below the other."""
    rows = "".join(f'<mtr><mtd style="padding:0">{line.mathml}</mtd></mtr>' for line in lines)
    latex = r" \\ ".join(line.latex for line in lines)
    return Box(
        rf"\substack{{{latex}}}",
        f"<mtable>{rows}</mtable>",
        max(line.width for line in lines),
    )


def cases(rows: Sequence[tuple[Box, Box | None]]) -> Cases:
    """Return a choice by cases: rows of value and condition, None for what remains."""
    lines, table = [], []
    for value, condition in rows:
        guard = plain("otherwise") if condition is None else row(plain("if "), condition)
        lines.append(f"{value.latex} & {guard.latex}")
        table.append(
            f'<mtr><mtd style="{LEFT}">{value.mathml}</mtd>'
            f'<mtd style="{LEFT}">{guard.mathml}</mtd></mtr>'
        )
    gap = "[1ex]" if any(value.tall for value, _ in rows) else ""
    body = rf" \\{gap} ".join(lines)
    return Cases(
        rf"\begin{{cases}} {body} \end{{cases}}",
        f'<mrow><mo form="prefix" fence="true" stretchy="true">{{</mo>'
        f'<mtable displaystyle="false">{"".join(table)}</mtable></mrow>',
        max(value.width + (5 if test is None else 2 + test.width) for value, test in rows) + 2,
        tall=True,
        rows=tuple(rows),
    )
