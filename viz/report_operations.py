"""Operations and boundary values as variables, so that a report can say what they are."""

from __future__ import annotations

from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.notation.mathml import equation_mathml
from graphgrad.notation.text import boundary_text, expression_text, style_of
from viz.structure import structure


def boundaries(circuit: Circuit) -> list[dict[str, Any]]:
    """Return every boundary equation as text and mathematics, with the instance it defines."""
    declared = circuit.declared()
    return [
        {
            "name": key.name,
            "last": key.last,
            "offset": key.offset,
            "text": boundary_text(boundary, style_of(declared)),
            "mathml": equation_mathml(boundary, declared),
        }
        for key, boundary in declared.boundaries.items()
    ]


def observed(circuit: Circuit, *, operations: bool = True) -> tuple[Circuit, dict[str, str]]:
    """Return a circuit with more variables, and what each of them stands for.

    That is the text of a boundary equation, or the key of an operation, or of a term of a loss, in
    `viz.structure`. Where an
    operation cannot stand alone (because it exists at some steps only, say), there are none.
    """
    declared = circuit.declared()
    wanted: list[tuple[str, str | None, str]] = []
    for boundary in declared.boundaries.values():
        text = boundary_text(boundary, style_of(declared))
        wanted.append((text, None, expression_text(boundary.root, declared)))
    if operations:
        drawn = {
            **structure(circuit, "operations").items,
            **structure(circuit, terms=True).items,
        }
        for key, item in drawn.items():
            if "/" in key and item.kind != "constant":
                wanted.append((key, item.index, item.tooltip))
    prefix = "observed"
    while any(name.startswith(prefix) for name in declared.names()):
        prefix += "_"
    names = {f"{prefix}{number}": key for number, (key, _, _) in enumerate(wanted)}
    lines = [
        f"{name}[{index}] = {text}" if index else f"{name} = {text}"
        for name, (_, index, text) in zip(names, wanted, strict=True)
    ]
    if not lines:
        return circuit, {}
    try:
        extended = circuit.extend("\n".join(lines))
        extended.check()
    except GraphgradError:
        return observed(circuit, operations=False) if operations else (circuit, {})
    return extended, names
