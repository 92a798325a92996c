"""How far gradients reach, and the code that computes them: two sections of a report."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.compile.standalone import module_source
from graphgrad.errors import GraphgradError
from viz.label import html_text, symbol

DECADES = 6.0
"""A cell is blank where its norm is this many powers of ten below the largest in its table."""
SHADES = 6
MOST_STEPS = 12


def reach_section(
    circuit: Circuit, values: Mapping[str, Any], lengths: Mapping[str, int], loss: str | None
) -> str:
    """Return a table for each parameter: norms of the contributions by loss step and use step."""
    if loss is None:
        return '<p class="note">There is no gradient here, so nothing reaches anywhere.</p>'
    steps = [f"{name}[{k}]" for name, length in lengths.items() for k in range(1, length + 1)]
    if len(lengths) == 1:
        steps = [step.partition("[")[2].rstrip("]") for step in steps]
    if len(steps) > MOST_STEPS:
        return (
            '<p class="note">The sequence is too long for tables. '
            "<code>viz.gradient_flow(c, params, inputs)</code> draws them.</p>"
        )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            dag = circuit.unfold(dict(lengths))
            tables = dag.contributions(values, loss, norms=True)
    except GraphgradError as error:
        return f'<p class="note">{html_text(str(error))}</p>'
    norms = {name: np.asarray(table) for name, table in tables.items()}
    rows = _rows(norms, lengths)
    parts = [_table(name, table, steps, rows, loss) for name, table in norms.items()]
    return (
        "<p>Norms of what each use of a parameter (columns) contributes to the gradient of each "
        f"step's loss (rows). Fuller colour is larger, on a scale of {DECADES:.0f} powers of ten; "
        "“·” means exactly nothing.</p>\n"
        f'<div class="maps">{"".join(parts)}</div>'
    )


def _rows(norms: Mapping[str, Any], lengths: Mapping[str, int]) -> list[int]:
    """The loss steps to show: those of an index over which the loss has no terms are left out."""
    rows: list[int] = []
    start = 0
    for length in lengths.values():
        mine = range(start, start + length)
        if len(lengths) == 1 or any(np.any(table[mine]) for table in norms.values()):
            rows.extend(mine)
        start += length
    return rows


def _table(name: str, norms: Any, steps: list[str], rows: list[int], loss: str) -> str:
    finite = norms[np.isfinite(norms) & (norms > 0)]
    top = float(finite.max()) if finite.size else 1.0
    head = "".join(f"<th>{html_text(step)}</th>" for step in steps)
    body = "".join(
        f"<tr><th>{html_text(steps[row])}</th>"
        + "".join(_cell(float(norm), top) for norm in norms[row])
        + "</tr>"
        for row in rows
    )
    title = f"∂{_sign(loss)} / ∂{_sign(name)}"
    return (
        f'<table class="map"><caption>{title}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _sign(name: str) -> str:
    """Return a name as it is printed, with its subscript, in HTML."""
    base, _, below = symbol(name).text.partition("_")
    lowered = f"<sub><i>{html_text(below)}</i></sub>" if below else ""
    return f"<i>{html_text(base)}</i>{lowered}"


def _cell(norm: float, top: float) -> str:
    if norm == 0:
        return "<td>·</td>"
    if not math.isfinite(norm):
        return f"<td>{norm}</td>"
    share = max(0.0, 1 + math.log10(norm / top) / DECADES)
    return f'<td class="s{round(SHADES * share)}">{_short(norm)}</td>'


def _short(norm: float) -> str:
    """Return a norm in two digits.

    >>> _short(0.25), _short(12.0), _short(3.2e-7)
    ('.25', '12', '3e-7')
    """
    if 0.01 <= norm < 100:
        return f"{norm:.2g}".removeprefix("0")
    mantissa, _, power = f"{norm:.0e}".partition("e")
    return f"{mantissa}e{int(power)}"


def code_of(circuit: Circuit, loss: str | None) -> str:
    """Return the NumPy module that computes the loss and its gradients, empty if there is none."""
    if loss is None:
        return ""
    try:
        with warnings.catch_warnings():  # what is zero for lack of dependence, the page remarks
            warnings.simplefilter("ignore")
            return module_source(circuit, loss)
    except GraphgradError:
        return ""


def code_section(source: str) -> str:
    """Return the place for the module, which the page's script fills in from its packed data."""
    if not source:
        return '<p class="note">There is no gradient here, so no code for it.</p>'
    return (
        "<p>A module that imports nothing but NumPy, as <code>graphgrad code</code> writes it.</p>"
        '\n<noscript><p class="note">Without scripts it is not shown here.</p></noscript>\n'
        f'<details class="source needs-script"><summary>The module, {len(source.splitlines())} '
        'lines</summary>\n<pre tabindex="0" id="text-code"></pre>\n</details>\n'
        '<p class="tools"><button type="button" class="needs-script" data-copy="text-code">'
        "Copy code</button></p>"
    )
