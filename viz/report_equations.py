"""The equations of a report: forwards and backwards, as MathML, LaTeX and notation."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from graphgrad.circuit import Circuit
from graphgrad.declared import Boundary, Equation
from graphgrad.errors import GraphgradError
from graphgrad.notation.boxes import operator
from graphgrad.notation.equations import Line, Page, broken
from graphgrad.notation.text import grouped_splits


@dataclass(frozen=True)
class Equations:
    """Some equations in three forms: an HTML `table` of MathML, `latex`, `text` to compute with."""

    table: str
    latex: str
    text: str


@dataclass(frozen=True)
class Backward:
    """The backward pass: its equations and circuit, or why there are none; remarks on it."""

    equations: Equations | None
    circuit: Circuit | None
    reason: str = ""
    remarks: tuple[str, ...] = ()


def forward_equations(circuit: Circuit) -> Equations:
    """Return the equations of a circuit, boundary equations included."""
    lines = list(_lines(circuit, circuit.equations.values(), None))
    return _equations(lines, str(circuit))


def backward_equations(circuit: Circuit, loss: str) -> Backward:
    """Return the equations of backpropagation through time, without those of the circuit."""
    if loss not in circuit.equations:
        reason = f"The circuit has no equation for {loss}, so there is nothing to differentiate."
        return Backward(None, None, reason)
    if not circuit.params:
        return Backward(None, None, "The circuit has no parameters to differentiate by.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            adjoint = circuit.adjoint(loss)
        except GraphgradError as error:
            return Backward(None, None, str(error))
    own = set(str(circuit).splitlines())
    text = "\n".join(line for line in str(adjoint).splitlines() if line and line not in own)
    added = [e for name, e in adjoint.equations.items() if name not in circuit.equations]
    lines = list(_lines(adjoint, added, loss))
    remarks = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return Backward(_equations(lines, text), adjoint, remarks=remarks)


def _lines(
    circuit: Circuit, equations: Iterable[Equation], loss: str | None
) -> Iterator[tuple[str, Line]]:
    """Yield lines with the variable that they define, boundaries before their variable."""
    declared = circuit.declared()
    page = Page(declared, loss=loss)
    boundaries: dict[str, list[Boundary]] = {}
    for key in sorted(declared.boundaries):
        boundaries.setdefault(key.name, []).append(declared.boundaries[key])
    if loss is None:
        for name in declared.inputs:
            yield from ((name, page.boundary(b)) for b in boundaries.get(name, []))
    for group in grouped_splits(list(equations)):
        for equation in group:
            yield from (
                (equation.name, page.boundary(b)) for b in boundaries.get(equation.name, [])
            )
        if len(group) > 1:
            yield " ".join(equation.name for equation in group), page.split(group)
        else:
            yield from ((equation.name, page.equation(equation)) for equation in group)


def _equations(lines: list[tuple[str, Line]], text: str) -> Equations:
    rows: list[str] = []
    aligned: list[str] = []
    for names, line in lines:
        for part in broken(line):
            rows.append(_row(names, part))
            left = "" if part.left is None else part.left.latex
            sign = r"&\quad" if part.left is None else "&="
            aligned.append(f"  {left} {sign} {part.right.latex}")
    body = " \\\\\n".join(aligned)
    latex = f"\\begin{{align*}}\n{body}\n\\end{{align*}}\n"
    table = f'<table class="lines" role="presentation">{"".join(rows)}</table>'
    return Equations(table, latex, text.strip() + "\n")


def _row(names: str, line: Line) -> str:
    """Return one row of the table, marked with the variables it defines.

    Its sides are formulas of their own, so that a long table can go on on the next sheet of paper.
    """
    if line.left is None:
        left, right = "", f'<mspace width="2em"/>{line.right.mathml}'
    else:
        left, right = _math(line.left.mathml), f"{operator('=').mathml}{line.right.mathml}"
    return f'<tr data-names="{escape(names)}"><td>{left}</td><td>{_math(right)}</td></tr>\n'


def _math(inside: str) -> str:
    return f'<math displaystyle="true"><mrow>{inside}</mrow></math>'
