r"""Circuits as LaTeX: an `align*` environment, for documents that load amsmath."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.errors import names_given, unknown_name
from graphgrad.notation.equations import Line, broken, page_of


def circuit_latex(circuit: Circuit, *, only: Iterable[str] | None = None, **options: Any) -> str:
    r"""Return the equations of a circuit as an `align*` environment, without declarations.

    `only` names the variables whose equations are wanted; all, if left out. `units=True` writes
    every equation for one component, `time="subscript"` writes h_t for h^{(t)}, and `loss=` names
    the loss that ∂L/∂W belongs to. The circuit is checked first.
    """
    page = page_of(circuit, **options)
    wanted = None if only is None else frozenset(names_given("only", only))
    for name in wanted or ():
        if name not in circuit.equations:
            raise unknown_name(name, circuit.equations)
    lines = [text for line in page.lines(wanted) for text in _aligned(line)]
    if not lines:
        return ""
    body = " \\\\\n".join(f"  {line}" for line in lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def _aligned(line: Line) -> list[str]:
    shown = []
    for part in broken(line):
        if part.left is None:
            shown.append(rf"&\quad {part.right.latex}")
        else:
            shown.append(f"{part.left.latex} &= {part.right.latex}")
    return shown
