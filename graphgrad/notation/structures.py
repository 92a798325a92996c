"""The structures of formulas: fences, fractions, roots, calls, products, sums and cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphgrad.notation.boxes import Box, Fenced, grouped, listed, operator, plain, row

LEFT, RIGHT = (f"text-align:{side};text-align:-webkit-{side}" for side in ("left", "right"))
"""How cells of tables are aligned; Chromium needs the second form."""


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


def slashed(numerator: Box, denominator: Box) -> Box:
    """Return a fraction on one line: a/b."""
    return row(numerator, operator("/", tight=True), denominator, spaces=False)


def root(inner: Box) -> Box:
    """Return a square root."""
    mathml = f"<msqrt><mrow>{inner.mathml}</mrow></msqrt>"
    return Box(rf"\sqrt{{{inner.latex}}}", mathml, inner.width + 1, tall=inner.tall)


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
    above = f"^{grouped(over.latex)}" if over is not None else ""
    tag = "munderover" if over is not None else "munder"
    limits = under.mathml + (over.mathml if over is not None else "")
    limit_width = 0.7 * max(under.width, over.width if over is not None else 0)
    space = '<mspace width="0.17em"/>' if sign.function else ""
    gap = r"\, " if sign.function else " "
    return Box(
        rf"{name}_{grouped(under.latex)}{above}{gap}{body.latex}",
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
