"""From leaves to cotangents: each contribution at the step it belongs to, guarded where need be."""

from __future__ import annotations

from collections.abc import Sequence

from graphgrad.adjoint.names import Names, guarded
from graphgrad.adjoint.sweep import Contribution
from graphgrad.conditions import ALWAYS, Affine, Compare, Condition, both, within
from graphgrad.ir import At, Expr, choose
from graphgrad.substitute import at_step, later, tree, vanishes_outside
from graphgrad.system import System


class Delivery:
    """Writes contributions as terms of the equation they go to.

    `guard` is "smart" or "always": whether the range of a contribution that vanishes outside by
    itself is written out.
    """

    def __init__(self, system: System, names: Names, guard: str) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.names = names
        self.guard = guard

    def terms(self, found: Sequence[Contribution]) -> list[Expr]:
        """Return the contributions to a variable, parameter or input, undelayed ones first."""
        terms: list[tuple[int, int, Expr]] = []
        for position, each in enumerate(found):
            op, _, attr, _ = self.nodes[each.leaf]
            if op.name == "read":
                terms.append((1 + abs(attr.lag), position, self._moved(each, attr.lag)))
            elif op.name == "at_step":
                term = self._at_one_step(each, attr)
                if term is not None:
                    terms.append((0, position, term))
            else:
                terms.append((0, position, guarded(each.condition, each.value)))
        return [term for _, _, term in sorted(terms, key=lambda entry: entry[:2])]

    def _at_one_step(self, found: Contribution, attr: At) -> Expr | None:
        """Return what an absolute read gives to the step it reads, None if it is never inside."""
        index = self.system.index_of(attr.name)
        assert index is not None
        if attr.offset >= 1 if attr.last else attr.offset < 1:
            return None
        start = Affine.name(self.system.indices[index].length) if attr.last else Affine.number(0)
        test = Compare("==", Affine.name(index), start.plus(attr.offset))
        return choose(both(found.condition, test), found.value, 0)

    def _moved(self, found: Contribution, lag: int) -> Expr:
        """Return a contribution `lag` steps later, with the range where it exists."""
        index = found.space
        assert index is not None
        if not lag:
            return guarded(found.condition, found.value)
        value, condition = later(tree(found.value), found.condition, index, lag)
        condition = within(condition, index, self.system.indices[index].length)
        if self.guard == "smart" and vanishes_outside(value, self.names.is_cotangent):
            return guarded(condition, value)
        length = Affine.name(self.system.indices[index].length)
        test = (
            Compare("<", Affine.name(index), length.plus(1 - lag))
            if lag > 0
            else Compare(">", Affine.name(index), Affine.number(-lag))
        )
        return choose(both(test, condition), value, 0)

    def at_boundary(self, found: Sequence[Contribution], key: At) -> list[Expr]:
        """Return what leaves contribute to one boundary value, as static expressions."""
        terms: list[tuple[int, Expr]] = []
        for each in found:
            op, _, attr, _ = self.nodes[each.leaf]
            if op.name == "at_step":
                terms.append((0, self._same_step(each, attr, key)))
            else:
                delay = -attr.lag if key.last else attr.lag
                terms.append((delay, self._reached(each, attr.lag, key)))
        return [term for _, term in sorted(terms, key=lambda entry: entry[0])]

    def _length(self, key: At) -> Affine:
        index = self.system.index_of(key.name)
        assert index is not None
        return Affine.name(self.system.indices[index].length)

    def _same_step(self, found: Contribution, attr: At, key: At) -> Expr:
        """Return what an absolute read gives to a boundary value, where they are one step."""
        if attr.last == key.last:
            return guarded(found.condition, found.value)
        gap = key.offset - attr.offset if attr.last else attr.offset - key.offset
        test = Compare("==", self._length(key), Affine.number(gap))
        return choose(both(found.condition, test), found.value, 0)

    def _reached(self, found: Contribution, lag: int, key: At) -> Expr:
        """Return what a delayed read gives to a boundary value, from the step that reaches it."""
        length, offset = self._length(key), key.offset + lag
        step = length.plus(offset) if key.last else Affine.number(offset)
        index = found.space
        assert index is not None
        value, condition = at_step(
            tree(found.value), found.condition, index, key.last, offset, step
        )
        least = 1 - offset if key.last else offset
        exists: Condition = ALWAYS
        if least > 1:
            exists = Compare(">=", length, Affine.number(least))
        return guarded(both(exists, condition), value)
