"""What must hold before and after shapes are known: names, boundaries, tokens."""

from __future__ import annotations

from collections.abc import Iterator

from graphgrad.conditions import ALWAYS
from graphgrad.declared import Declared
from graphgrad.dims import Token
from graphgrad.errors import BoundaryError, NotationError, unknown_name
from graphgrad.ir import OPS, At, Expr, Graph, topological
from graphgrad.system.shapes import READS


def all_roots(declared: Declared) -> Iterator[tuple[str, Expr, str | None]]:
    """Yield name, right side and index of every equation and boundary equation."""
    for equation in declared.equations.values():
        yield equation.name, equation.root, equation.index
    for boundary in declared.boundaries.values():
        yield boundary.name, boundary.root, None


def check_names(declared: Declared) -> None:
    """Raise where an expression reads a name that nothing defines."""
    for name in declared.states:
        if name not in declared.equations:
            raise NotationError(
                f"{name} has a shape but no equation", remedy=f"write {name}[t] = …"
            )
    for _, root, _ in all_roots(declared):
        for expr in topological([root]):
            if expr.op.name not in READS:
                continue
            name = expr.attr if expr.op.name == "static" else expr.attr.name
            if name not in declared.equations and name not in declared.inputs:
                known = {*declared.equations, *declared.inputs}
                raise unknown_name(name, known, place=expr.place)
            if expr.op.name == "static" and declared.index_of(name) is not None:
                index = declared.index_of(name)
                raise NotationError(
                    f"{name} needs a time in brackets",
                    place=expr.place,
                    remedy=f"write {name}[{index}] or {name}[0]",
                )


def check_boundaries(declared: Declared) -> None:
    """Raise for a boundary equation that no read can reach."""
    for key in declared.boundaries:
        if key.name not in declared.equations and key.name not in declared.inputs:
            place = declared.boundaries[key].place
            raise BoundaryError(
                f"{key.name} has a boundary but no equation",
                place=place,
                remedy=f"write the equation {key.name}[t] = … too",
            )
    for key in unread_boundaries(declared):
        index = declared.indices[declared.index_of(key.name) or ""]
        shown = key.step(index.length)
        raise BoundaryError(
            f"{key.name}[{shown}] is never read",
            place=declared.boundaries[key].place,
            remedy="remove this boundary equation, or correct the step it stands for",
        )


def unread_boundaries(declared: Declared) -> list[At]:
    """Return the boundary equations that no read can reach."""
    reads: dict[str, set[int]] = {}
    absolute: dict[str, set[At]] = {}
    for _, root, _ in all_roots(declared):
        for expr in topological([root]):
            if expr.op.name == "read":
                reads.setdefault(expr.attr.name, set()).add(expr.attr.lag)
            elif expr.op.name == "at_step":
                absolute.setdefault(expr.attr.name, set()).add(expr.attr)
    found = []
    for key in declared.boundaries:
        lags = reads.get(key.name, set())
        used = any(-lag >= key.offset if key.last else 1 - lag <= key.offset for lag in lags)
        if not used and not any(read.meets(key) for read in absolute.get(key.name, ())):
            found.append(key)
    return found


def check_tokens(declared: Declared, graph: Graph) -> None:
    """Raise for a delayed read of a token without boundary equations, unless a choice guards it."""
    guarded: set[int] = set()
    for position in range(len(graph) - 1, -1, -1):
        node = graph.nodes[position]
        if (
            node.op is OPS["choose"]
            or position in guarded
            or (node.op is OPS["reduce"] and node.attr.condition != ALWAYS)
        ):
            guarded.update(node.args)
        if node.op is not OPS["read"] or not isinstance(node.type, Token) or position in guarded:
            continue
        name = node.attr.name
        for key in node.attr.outside():
            if key not in declared.boundaries:
                shown = key.step(declared.indices[declared.index_of(name) or ""].length)
                raise BoundaryError(
                    f"the token {name} is read at step {shown}, where it has no value",
                    place=graph.places[position],
                    remedy=f"write a boundary equation such as {name}[{shown}] = 0",
                )
