"""The checked circuit as data: one typed, flat graph, with its order of computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphgrad.causality import Component
from graphgrad.declared import Declared, Index, Input, Param, Variable
from graphgrad.doors import door
from graphgrad.ir import At, Expr, Graph, Type

_text = door("graphgrad.notation.text:circuit_text")
_parse = door("graphgrad.notation.parse:parse")


@dataclass(frozen=True)
class System:
    """A circuit that is known to make sense.

    `graph` holds all equations; `roots` gives the node of each variable, `boundary_roots` that of
    each boundary equation; `spaces[i]` is the index node i varies with, None if it is static;
    `components` is the order of computation.
    """

    declared: Declared
    variables: Mapping[str, Variable]
    graph: Graph
    spaces: tuple[str | None, ...]
    roots: Mapping[str, int]
    boundary_roots: Mapping[At, int]
    components: tuple[Component, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return _from_text, (_text(self.declared), self.declared.name)

    @property
    def indices(self) -> Mapping[str, Index]:
        """The time indices by name."""
        return self.declared.indices

    @property
    def params(self) -> Mapping[str, Param]:
        """The parameters by name."""
        return self.declared.params

    @property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs by name."""
        return self.declared.inputs

    def type_of(self, name: str) -> Type:
        """Return the type of a variable, input or parameter (of one step, if indexed)."""
        if name in self.variables:
            return self.variables[name].shape
        if name in self.inputs:
            return self.inputs[name].type
        return self.params[name].shape

    def index_of(self, name: str) -> str | None:
        """Return the index of a variable or input, None where it is static."""
        return self.declared.index_of(name)

    def below(self, root: int) -> list[int]:
        """Return the nodes of the expression under a root, arguments before users."""
        found = {root}
        for node in range(root, -1, -1):
            if node in found:
                found.update(self.graph.nodes[node].args)
        return sorted(found)

    def definition(self, name: str) -> Expr:
        """Return the right side of a variable's equation as it was written."""
        return self.declared.equations[name].root


def _from_text(text: str, name: str) -> System:
    """Return the system of a text; how systems travel between processes."""
    system: System = _parse(text, name).check()
    return system
