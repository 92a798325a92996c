"""Letters for the components of arrays: h runs over the dimension H, h' over H once more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from graphgrad.declared import Declared
from graphgrad.dims import Dim, Shape
from graphgrad.ir import Expr
from graphgrad.notation.boxes import Box, identifier, number, operator, row, scripted
from graphgrad.notation.naming import Names

_SPARE = "ijklmnpqruvabcdfghswxyz"


@dataclass(frozen=True)
class Unit:
    """An index of components: a letter with primes, counted from `offset` on."""

    letter: str
    primes: int = 0
    offset: Dim = field(default_factory=lambda: Dim.of(0))

    @property
    def simple(self) -> bool:
        """Whether it is a letter alone."""
        return bool(self.letter) and self.offset == Dim.of(0)


class Letters:
    """The letters of one circuit: each dimension's own where no name has it, else a spare one.

    A subscript that is made of a name's own letters, such as the ih of a weight from I to H, stands
    for the indices themselves, as in Graves' equations.
    """

    def __init__(self, declared: Declared, names: Names, types: dict[str, Shape]) -> None:
        self.names = names
        self._taken = {names[name].base for name in names if name not in declared.sizes}
        self._letters: dict[str, str] = {}
        for size in declared.sizes:
            own = size[0].lower()
            if own not in self._taken and own.isascii() and own.isalpha():
                self._letters[size] = own
                self._taken.add(own)
        for size in declared.sizes:
            self.of(Dim.of(size))
        self._absorbed = self._own_indices(declared, types)

    def of(self, dim: Dim) -> str:
        """Return the letter for a dimension."""
        key = str(dim)
        if key not in self._letters:
            spare = (letter for letter in _SPARE if letter not in self._taken)
            self._letters[key] = next(spare, f"i{len(self._letters)}")
            self._taken.add(self._letters[key])
        return self._letters[key]

    def fresh(self, dim: Dim, scope: Collection[Unit]) -> Unit:
        """Return an index over a dimension that is none of those in scope."""
        letter = self.of(dim)
        used = {unit.primes for unit in scope if unit.letter == letter}
        return Unit(letter, next(k for k in range(len(used) + 1) if k not in used))

    def absorbed(self, name: str) -> tuple[int, ...] | None:
        """Return the order in which a name's subscript lists its axes, None if it does not."""
        return self._absorbed.get(name)

    def _own_indices(
        self, declared: Declared, types: dict[str, Shape]
    ) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, Shape] = dict(types)
        shapes |= {name: param.shape for name, param in declared.params.items()}
        shapes |= {name: each.shape for name, each in declared.inputs.items()}
        found: dict[str, tuple[int, ...]] = {}
        either: list[str] = []
        for name, shape in shapes.items():
            label = "".join(piece.base for group in self.names[name].sub for piece in group)
            axes = "".join(self.of(dim) for dim in shape)
            if not label or self.names.cotangent(name) or sorted(label) != sorted(axes):
                continue
            if label == axes:
                found[name] = tuple(range(len(axes)))
            if label == axes[::-1] and len(axes) == 2:
                either += [name] if name in found else []
                found.setdefault(name, (1, 0))
        # w_hh reads in the direction in which w_ih does
        backwards = any(order == (1, 0) for order in found.values())
        for name in either:
            found[name] = (1, 0) if backwards else (0, 1)
        found = self._distinct(found, shapes)
        for name in shapes:
            of = self.names.cotangent(name)
            if of is not None and of.primal in found and not of.serial:
                found[name] = found[of.primal]
        return found

    def _distinct(
        self, found: dict[str, tuple[int, ...]], shapes: dict[str, Shape]
    ) -> dict[str, tuple[int, ...]]:
        """Keep those that no other name looks like once its subscript is an index."""
        looks: dict[tuple[str, str, int], list[str]] = {}
        for name, shape in shapes.items():
            shown = self.names[name]
            if name in found or not shown.sub:
                key = (shown.base, shown.accent, len(shape))
                looks.setdefault(key, []).append(name)
        clashing = {
            name
            for names in looks.values()
            for name in names
            if any(other not in found for other in names)
        }
        return {name: order for name, order in found.items() if name not in clashing}

    def box(self, unit: Unit) -> Box:
        """Return an index as it stands in a subscript."""
        if not unit.letter:
            return dim_box(unit.offset, self.names)
        letter = identifier(unit.letter)
        if unit.primes:
            marks = Box("\\prime" * unit.primes, f"<mo>{'′' * unit.primes}</mo>")
            primed = scripted(letter, None, marks)
            letter = Box(unit.letter + "'" * unit.primes, primed.mathml, 1 + 0.4 * unit.primes)
        if unit.simple:
            return letter
        return row(
            dim_box(unit.offset, self.names), operator("+", tight=True), letter, spaces=False
        )


def dim_box(dim: Dim, names: Names) -> Box:
    """Return a dimension, such as H, 4H or N+D, as it stands in a subscript."""
    parts: list[Box] = []
    for name, coefficient in dim.terms:
        size = names[name].box()
        if abs(coefficient) != 1:
            size = row(number(str(abs(coefficient))), size, spaces=False)
        parts += [operator("−" if coefficient < 0 else "+", tight=True), size]
    if dim.constant or not parts:
        sign = operator("−" if dim.constant < 0 else "+", tight=True)
        parts += [sign, number(str(abs(dim.constant)))]
    leading = parts[0].latex == "-"
    return row(*(parts if leading else parts[1:]), spaces=False)


def name_of(expr: Expr) -> str | None:
    """Return the name that a leaf reads, None for other expressions."""
    if expr.op.name in ("read", "at_step"):
        name: str = expr.attr.name
        return name
    return expr.attr if expr.op.name in ("param", "input", "static") else None
