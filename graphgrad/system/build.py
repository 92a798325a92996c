"""From declarations to the checked system."""

from __future__ import annotations

from graphgrad.declared import Declared, spaces_of
from graphgrad.errors import NotationError
from graphgrad.ir import topological
from graphgrad.system.checks import all_roots, check_boundaries, check_names
from graphgrad.system.data import System
from graphgrad.system.shapes import check_known, infer_types, known_shapes
from graphgrad.system.typed import typed


def system_of(declared: Declared) -> System:
    """Return the checked system of a circuit.

    Raises UnknownNameError, ShapeError, BoundaryError or CausalityError, each with its place.
    """
    check_names(declared)
    check_boundaries(declared)
    order = topological(root for _, root, _ in all_roots(declared))
    spaces = spaces_of(order, declared.index_of, declared.indices)
    for name, root, index in all_roots(declared):
        if spaces[id(root)] not in (None, index):
            raise NotationError(
                f"{name} is written without {spaces[id(root)]}, on which its right side depends",
                place=root.place,
                remedy=f"write {name}[{spaces[id(root)]}] = … or reduce with sum(… for "
                f"{spaces[id(root)]} in steps)",
            )
    check_known(declared, known_shapes(declared))
    return typed(declared, infer_types(declared), spaces)
