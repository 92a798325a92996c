"""Circuits as MathML Core, which browsers display by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.declared import Boundary, Declared, Equation
from graphgrad.notation.alphabet import xml_escape
from graphgrad.notation.boxes import operator
from graphgrad.notation.equations import Line, Page, broken, page_of
from graphgrad.notation.structures import LEFT, RIGHT
from graphgrad.notation.text import boundary_text, circuit_text, equation_text
from graphgrad.notation.text import style_of as text_style_of

NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def circuit_mathml(circuit: Circuit, **options: Any) -> str:
    """Return the equations of a circuit as one `<math>` element, aligned at their signs.

    The options are those of `circuit_latex`. What is read aloud is the notation.
    """
    lines = [part for line in page_of(circuit, **options).lines() for part in broken(line)]
    equations = circuit_text(circuit.declared()).rpartition("\n\n")[2]
    return lines_mathml(lines, equations.strip())


def lines_mathml(lines: Sequence[Line], spoken: str) -> str:
    """Return lines as one `<math>` element, aligned at their signs; `spoken` is read aloud."""
    rows = "\n".join(map(_row, lines))
    table = f'<mtable displaystyle="true">{rows}</mtable>' if lines else ""
    return _math(table, spoken, block=True)


def _row(line: Line) -> str:
    cell = '<mtd style="{};padding:.35em 0 0">{}</mtd>'
    if line.left is None:
        left, right = "", f'<mspace width="2em"/>{line.right.mathml}'
    else:
        left, right = line.left.mathml, f"{operator('=').mathml}{line.right.mathml}"
    return f"<mtr>{cell.format(RIGHT, left)}{cell.format(LEFT, f'<mrow>{right}</mrow>')}</mtr>"


def _math(content: str, spoken: str, *, block: bool) -> str:
    kind = "block" if block else "inline"
    # in an attribute, a line end that is not escaped is read as a space
    spoken = xml_escape(spoken).replace("\n", "&#10;")
    return f'<math xmlns="{NAMESPACE}" display="{kind}" alttext="{spoken}">{content}</math>'


def equation_mathml(equation: Equation | Boundary, declared: Declared, **options: Any) -> str:
    """Return one equation or boundary equation of a circuit as a `<math>` element."""
    page = Page(declared, **options)
    if isinstance(equation, Equation):
        line, spoken = page.equation(equation), equation_text(equation)
    else:
        line, spoken = page.boundary(equation), boundary_text(equation, text_style_of(declared))
    left = "" if line.left is None else line.left.mathml
    content = f"<mrow>{left}{operator('=').mathml}{line.right.mathml}</mrow>"
    return _math(content, spoken, block=False)
