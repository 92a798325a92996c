"""Operations and boundary values as variables, so that a report can say what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS
from graphgrad.declared import Declared, Equation
from graphgrad.errors import GraphgradError
from graphgrad.ir import OPS, Expr, read, topological
from graphgrad.notation.mathml import equation_mathml
from graphgrad.notation.text import boundary_text, expression_text, style_of
from viz.structure import boundary_key, structure


def boundaries(circuit: Circuit) -> list[dict[str, Any]]:
    """Return every boundary equation as text and mathematics, with the instance it defines."""
    declared = circuit.declared()
    return [
        {
            "key": boundary_key(key),
            "name": key.name,
            "last": key.last,
            "offset": key.offset,
            "text": boundary_text(boundary, style_of(declared)),
            "mathml": equation_mathml(boundary, declared),
        }
        for key, boundary in declared.boundaries.items()
    ]


@dataclass(frozen=True)
class Observed:
    """A circuit in which operations and boundary values are variables as well.

    `names` are those variables by the key of an operation, or of a term of a loss, in
    `viz.structure`, or by the text of a boundary equation. The loss is computed through those in
    `inner`, so that their cotangents are what they are in the circuit that was given.
    """

    circuit: Circuit
    names: Mapping[str, str]
    inner: frozenset[str] = frozenset()


def observed(circuit: Circuit) -> Observed:
    """Return a circuit with more variables, as many as can stand alone.

    What exists at some steps only stands beside the equations, where it has a value at all steps.
    """
    plain = Observed(circuit, {})
    attempts: tuple[Callable[[], Observed], ...] = (
        lambda: _beside(_inside(circuit), circuit, operations=True),
        lambda: _beside(plain, circuit, operations=True),
        lambda: _beside(plain, circuit, operations=False),
    )
    for attempt in attempts:
        try:
            found = attempt()
            found.circuit.check()
        except GraphgradError:
            continue
        return found
    return plain


def _inside(circuit: Circuit) -> Observed:
    """Return a circuit with its equations cut into one operation each."""
    declared = circuit.check().declared
    names = _fresh(declared)
    parts = structure(circuit, "operations")
    guarded = {link.tail for link in parts.links if link.condition != ALWAYS}
    cut = {
        id(item.expr): (next(names), item.index)
        for key, item in parts.items.items()
        if item.expr is not None and key not in guarded
    }
    equations: dict[str, Equation] = {}

    def rewritten(root: Expr) -> Expr:
        done: dict[int, Expr] = {}
        for expr in topological([root]):
            args = tuple(done[id(arg)] for arg in expr.args)
            new = Expr(expr.op, args, expr.attr) if args else expr
            if id(expr) in cut:
                name, index = cut[id(expr)]
                equations[name] = Equation(name, index, new)
                new = _value_of(name, index)
            done[id(expr)] = new
        return done[id(root)]

    for name, equation in declared.equations.items():
        equations[name] = replace(equation, root=rewritten(equation.root))
    boundaries = {}
    texts: dict[str, str] = {}
    for at, boundary in declared.boundaries.items():
        root = rewritten(boundary.root)
        if at.name in declared.equations:
            name = next(names)
            equations[name] = Equation(name, None, root)
            texts[boundary_text(boundary, style_of(declared))] = name
            root = _value_of(name, None)
        boundaries[at] = replace(boundary, root=root)
    drawn = {**parts.items, **structure(circuit, terms=True).items}
    found = {key: cut[id(item.expr)][0] for key, item in drawn.items() if id(item.expr) in cut}
    whole = Circuit.of(replace(declared, equations=equations, boundaries=boundaries))
    return Observed(whole, {**texts, **found}, frozenset((*texts, *found)))


def _beside(given: Observed, circuit: Circuit, *, operations: bool) -> Observed:
    """Return what is given with equations of their own for everything that it lacks."""
    declared = circuit.declared()
    wanted: dict[str, tuple[str | None, str]] = {}
    for boundary in declared.boundaries.values():
        text = boundary_text(boundary, style_of(declared))
        wanted[text] = (None, expression_text(boundary.root, declared))
    if operations:
        for level in (structure(circuit, "operations"), structure(circuit, terms=True)):
            for key, item in level.items.items():
                if "/" in key and item.kind != "constant":
                    wanted[key] = (item.index, item.tooltip)
    names = _fresh(given.circuit.declared())
    added = {key: next(names) for key in wanted if key not in given.names}
    lines = []
    for key, name in added.items():
        index, text = wanted[key]
        lines.append(f"{name}[{index}] = {text}" if index else f"{name} = {text}")
    extended = given.circuit.extend("\n".join(lines)) if lines else given.circuit
    return Observed(extended, {**given.names, **added}, given.inner)


def _value_of(name: str, index: str | None) -> Expr:
    return read(name, 0) if index is not None else Expr(OPS["static"], attr=name)


def _fresh(declared: Declared) -> Iterator[str]:
    """Yield names that are not in use."""
    prefix = "observed"
    while any(name.startswith(prefix) for name in declared.names()):
        prefix += "_"
    return (f"{prefix}{number}" for number in count())
