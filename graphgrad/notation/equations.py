"""Circuits as lines of typeset mathematics; LaTeX and MathML both start from these lines."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from graphgrad.circuit import Circuit
from graphgrad.declared import Boundary, Declared, Equation
from graphgrad.dims import Shape
from graphgrad.errors import NotationError
from graphgrad.ir import Expr, topological
from graphgrad.notation.boxes import Box, listed, operator, row
from graphgrad.notation.letters import Letters, Unit
from graphgrad.notation.mathstyle import MathStyle
from graphgrad.notation.naming import Names
from graphgrad.notation.printer import show
from graphgrad.notation.structures import Terms, fenced
from graphgrad.notation.text import grouped_splits
from graphgrad.notation.units import component, with_sums
from graphgrad.system import infer_types, leaf_type, result_type

LONGEST = 60.0
"""The width, in letters, beyond which the right side of an equation is broken into lines."""


class Line(NamedTuple):
    """One equation: the left side, empty where a line is continued, and the right side."""

    left: Box | None
    right: Box


class Page:
    """The equations of one circuit in print.

    `units` writes every equation for one component; `time` is "superscript" or "subscript"; `loss`
    is the name of the loss that a gradient ∂L/∂W belongs to.
    """

    def __init__(
        self,
        declared: Declared,
        *,
        units: bool = False,
        time: str = "superscript",
        loss: str | None = None,
    ) -> None:
        if time not in ("superscript", "subscript"):
            raise NotationError(
                f"time={time!r} is not a place", remedy='write time="superscript" or "subscript"'
            )
        self.declared = declared
        self.units = units
        self.types: dict[str, Shape] = infer_types(declared)
        subscripts = time == "subscript"
        names = Names(declared, loss=loss, subscripts=subscripts)
        self.letters = Letters(declared, names, self.types)
        self.style = MathStyle(declared, names, self.letters, subscripts=subscripts)

    def expression(self, root: Expr, places: tuple[Unit, ...] = ()) -> Box:
        """Return an expression, or the component of it at some indices."""
        whole = typed(root, self.declared, self.types)
        if self.units and isinstance(whole.type, tuple):
            wanted = places if whole.type else ()
            return show(component(whole, wanted, self.letters), self.style).text
        return show(with_sums(whole, self.letters), self.style).text

    def _places(self, name: str) -> tuple[Unit, ...]:
        """Return the indices that stand for a component of a variable or input."""
        if not self.units:
            return ()
        shape = self.types.get(name)
        if shape is None:
            shape = self.declared.inputs[name].shape
        found: tuple[Unit, ...] = ()
        for dim in shape:
            found += (self.letters.fresh(dim, found),)
        return found

    def _component(self, name: str) -> tuple[tuple[Unit, ...], list[Box]]:
        places = self._places(name)
        return places, [self.letters.box(place) for place in places]

    def equation(self, equation: Equation) -> Line:
        """Return one equation."""
        places, shown = self._component(equation.name)
        left = self.style.now(equation.name, 0, shown)
        return Line(left, self.expression(equation.root, places))

    def boundary(self, boundary: Boundary) -> Line:
        """Return one boundary equation."""
        places, shown = self._component(boundary.name)
        left = self.style.instance(boundary.key, shown)
        return Line(left, self.expression(boundary.root, places))

    def split(self, group: list[Equation]) -> Line:
        """Return the equations of all pieces of one split as one: [i; f] = z."""
        left = [self.style.now(each.name) for each in group]
        return Line(fenced(listed(left, ";"), "[", "]"), self.expression(group[0].root.args[0]))

    def lines(self, only: Container[str] | None = None) -> Iterator[Line]:
        """Yield the equations in the order of the notation, boundaries before their variable.

        `only` names the variables whose equations are wanted; all, if left out.
        """
        declared = self.declared
        boundaries: dict[str, list[Boundary]] = {}
        for key in sorted(declared.boundaries):
            if only is None or key.name in only:
                boundaries.setdefault(key.name, []).append(declared.boundaries[key])
        for name in declared.inputs:
            yield from map(self.boundary, boundaries.get(name, []))
        wanted = [e for e in declared.equations.values() if only is None or e.name in only]
        for group in grouped_splits(wanted):
            for equation in group:
                yield from map(self.boundary, boundaries.get(equation.name, []))
            if len(group) > 1 and not self.units:
                yield self.split(group)
            else:
                yield from map(self.equation, group)


def typed(root: Expr, declared: Declared, types: Mapping[str, Shape]) -> Expr:
    """Return a copy of an expression in which every part knows its type, as far as it is known."""
    done: dict[int, Expr] = {}
    for expr in topological([root]):
        args = tuple(done[id(arg)] for arg in expr.args)
        if not args:
            kind = leaf_type(expr, declared, types)
        else:
            kind = result_type(expr, [arg.type for arg in args])
        done[id(expr)] = Expr(expr.op, args, expr.attr, kind, expr.place)
    return done[id(root)]


def page_of(circuit: Circuit, **options: object) -> Page:
    """Return the printed page of a circuit, which must check."""
    circuit.check()
    return Page(circuit.declared(), **options)  # type: ignore[arg-type]


def broken(line: Line) -> list[Line]:
    """Return a line, in several where the sum on its right side is too long for one."""
    if line.right.width <= LONGEST or not isinstance(line.right, Terms):
        return [line]
    found: list[list[Box]] = [[]]
    width = 0.0
    for sign, term in line.right.parts:
        if found[-1] and width + term.width > LONGEST:
            found.append([])
            width = 0.0
        if sign:
            found[-1].append(operator(sign, leading=not found[-1]))
        found[-1].append(term)
        width += term.width + 2
    rows = [row(*parts) for parts in found]
    return [Line(line.left if k == 0 else None, right) for k, right in enumerate(rows)]
