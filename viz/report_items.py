"""What the page says about each thing that it draws, whatever the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.dims import Token, shape_text
from graphgrad.notation.mathml import equation_mathml
from viz.label import symbol
from viz.structure import structure

ROLES = {
    "input": "input",
    "target": "input (target)",
    "variable": "variable",
    "output": "variable",
    "loss": "loss",
    "parameter": "parameter",
}


def items(circuit: Circuit, adjoint: Circuit | None, loss: str) -> dict[str, dict[str, Any]]:
    """Return what there is to say about every input, parameter and variable.

    That is label, role, index, shape, equation, and the equation of its gradient if `adjoint` has
    one.
    """
    system = circuit.check()
    declared = circuit.declared()
    found: dict[str, dict[str, Any]] = {}
    for name, item in structure(circuit).items.items():
        if item.kind not in ROLES:
            continue
        entry: dict[str, Any] = {
            "label": symbol(name).text,
            "role": ROLES[item.kind],
            "index": item.index,
            "shape": shape_of(circuit, name),
            "text": item.tooltip,
        }
        if name in system.variables:
            entry["mathml"] = equation_mathml(declared.equations[name], declared)
        if adjoint is not None:
            gradient = adjoint.equations.get(cotangent_prefix(declared.names()) + name)
            if gradient is not None:
                entry["backward"] = equation_mathml(gradient, adjoint.declared(), loss=loss)
        found[name] = entry
    return found


def shape_of(circuit: Circuit, name: str) -> str:
    """Return the shape of one step of a value in words: `(H, D)`, `token below N`, `scalar`."""
    system = circuit.check()
    if name in system.inputs:
        kind = system.inputs[name].type
        if isinstance(kind, Token):
            return f"token below {kind.size}"
        return shape_text(kind)
    if name in system.params:
        return shape_text(system.params[name].shape)
    return shape_text(system.variables[name].shape)


def declarations(circuit: Circuit, sizes: Mapping[str, int]) -> list[tuple[str, str, str, str]]:
    """Return name, name as written, kind and shape of everything that a circuit names.

    `sizes` are those of the values in the report.
    """
    system = circuit.check()
    rows = []
    for name, default in circuit.sizes.items():
        usual = "" if default in (None, sizes[name]) else f", {default} by default"
        rows.append((name, name, "size", f"{sizes[name]} here{usual}"))
    for name, given in system.inputs.items():
        shown = f"{name}[{given.index}]" if given.index else name
        rows.append((name, shown, given.kind, shape_of(circuit, name)))
    rows += [(name, name, "parameter", shape_of(circuit, name)) for name in system.params]
    for name, variable in system.variables.items():
        shown = f"{name}[{variable.index}]" if variable.index else name
        rows.append((name, shown, "variable", shape_of(circuit, name)))
    return rows
