"""How many copies of each cotangent a truncated backward pass has, and what flows between them.

A cotangent that enters at step s and has come to step t has the age |s - t|. A window of k keeps
ages below k: a variable whose cotangent travels on has one copy for each age, `d_h__0`, `d_h__1`,
…, and their sum `d_h` goes to the parameters. Chunks need no copies, only conditions where the
cotangent would cross from chunk to chunk.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from graphgrad.adjoint.live import Dependence
from graphgrad.adjoint.sweep import Contribution
from graphgrad.causality import Unit
from graphgrad.conditions import NEVER, Condition, both
from graphgrad.errors import GradientError
from graphgrad.ir import At, Read

MOST_COPIES = 100_000


class Truncation(Protocol):
    """What of the gradient is kept; see `graphgrad.truncation`."""

    @property
    def limit(self) -> int | None:
        """The number of ages kept, None where ages do not matter."""

    def kept(self, index: str, lag: int) -> Condition:
        """Return at which steps of a reader a cotangent goes on to what is read `lag` ago."""


@dataclass(frozen=True)
class Copy:
    """The cotangent of a unit, or what of it has one age."""

    unit: Unit
    age: int | None = None


class Copies:
    """The copies of each cotangent; one, without an age, where nothing is truncated."""

    def __init__(self, dependence: Dependence, loss: str, truncate: Truncation | None) -> None:
        self.dependence = dependence
        self.truncate = truncate
        if truncate is not None and not hasattr(truncate, "kept"):
            raise GradientError(
                f"truncate={truncate!r} is no truncation",
                remedy="write gg.window(k) or gg.chunks(k)",
            )
        self.limit = truncate.limit if truncate is not None else None
        self.oldest = self.limit or 0
        self.ages: dict[Unit, set[int]] = {}
        self.travels: set[Unit] = set()
        self.kept: Collection[Unit] = dependence.needed
        if truncate is None:
            return
        routes = _Routes(dependence, loss, truncate)
        routes.check()
        if self.limit is not None:
            self.travels = routes.travelling()
        ages = routes.ages()
        self.kept = ages.keys()
        self.ages = {unit: ages[unit] for unit in self.travels & ages.keys()}

    def of(self, unit: Unit) -> list[Copy]:
        """Return the copies of a unit's cotangent, and their sum where something needs it.

        There is none where nothing that is kept comes.
        """
        if unit not in self.kept:
            return []
        ages = sorted(self.ages.get(unit, ()))
        if len(ages) < 2:
            return [Copy(unit)]
        copies = [Copy(unit, age) for age in ages]
        return [*copies, Copy(unit)] if self._still(unit) else copies

    def _aged(self, unit: Unit) -> bool:
        return len(self.ages.get(unit, ())) > 1

    def is_first(self, copy: Copy) -> bool:
        """Whether this is the copy in which a cotangent enters."""
        return copy.age == 0 if self._aged(copy.unit) else True

    def summed(self, copy: Copy) -> list[Copy]:
        """Return the copies that a sum of copies is made of."""
        if copy.age is not None or not self._aged(copy.unit):
            return []
        return [Copy(copy.unit, age) for age in sorted(self.ages[copy.unit])]

    def _moving(self, unit: Unit) -> list[int]:
        """Return the leaves of an equation through which age matters."""
        return [
            leaf
            for leaf in self.dependence.flowing(unit)
            if any(self._matters(leaf, reached) for reached in self.dependence.reached(leaf))
        ]

    def _matters(self, leaf: int, reached: Unit) -> bool:
        """Whether it depends on the age how a cotangent goes on from a leaf to a unit."""
        elsewhere = not isinstance(reached, At) and _distance(self.dependence, leaf) > 0
        return elsewhere or reached in self.travels

    def _still(self, unit: Unit) -> list[int]:
        moving = self._moving(unit)
        return [leaf for leaf in self.dependence.flowing(unit) if leaf not in moving]

    def leaves(self, copy: Copy) -> list[int] | None:
        """Return the leaves that a copy's sweep goes to; None for all."""
        if not self._aged(copy.unit):
            return None
        if copy.age is None:
            return self._still(copy.unit)
        return [leaf for leaf in self._moving(copy.unit) if self._goes_on(copy.age, leaf)]

    def _goes_on(self, age: int, leaf: int) -> bool:
        assert self.limit is not None
        reached = self.dependence.reached(leaf)
        if any(isinstance(unit, At) and unit in self.dependence.needed for unit in reached):
            return True
        return age + _distance(self.dependence, leaf) < self.limit

    def targets(
        self, copy: Copy, found: Contribution, unit: Unit
    ) -> list[tuple[Copy, Contribution]]:
        """Return which copies of a unit's cotangent a contribution goes to, and where."""
        if self.truncate is None or isinstance(unit, At):
            return [(Copy(unit), found)]
        direct = found.space is not None and self.dependence.index(copy.unit) is not None
        distance = _distance(self.dependence, found.leaf)
        if self.limit is None:
            if not direct or not distance:
                return [(Copy(unit), found)]
            assert found.space is not None
            lag = self.dependence.nodes[found.leaf].attr.lag
            condition = self.truncate.kept(found.space, lag)
            if condition == NEVER:
                return []
            return [(Copy(unit), replace(found, condition=both(found.condition, condition)))]
        start = 0
        if direct:
            own = self.ages.get(copy.unit, {0})
            start = copy.age if copy.age is not None else min(own)
            start += distance
        if start >= self.limit:
            return []
        return [(Copy(unit, start) if self._aged(unit) else Copy(unit), found)]


def _distance(dependence: Dependence, leaf: int) -> int:
    op, _, attr, _ = dependence.nodes[leaf]
    return abs(attr.lag) if op.name == "read" else 0


# how far a path has come: in no equation with an index yet, in one, out of the steps again
OUTSIDE, INSIDE, LEFT = range(3)


class _Routes:
    """The ways a cotangent takes through the equations and through time."""

    def __init__(self, dependence: Dependence, loss: str, truncate: Truncation) -> None:
        self.dependence = dependence
        self.loss = loss
        self.truncate = truncate
        self.leaves: dict[Unit, list[tuple[int, Unit]]] = {
            unit: [
                (leaf, reached)
                for leaf in dependence.flowing(unit)
                for reached in dependence.reached(leaf)
                if reached in dependence.needed
            ]
            for unit in dependence.needed
        }
        self.sums = {unit for unit in dependence.needed if self._sums(unit)}

    def _sums(self, unit: Unit) -> bool:
        """Whether a derivative flows into a sum over the steps of an index."""
        nodes, live = self.dependence.nodes, self.dependence.live
        flows = self.dependence.toward(unit, self.dependence.flowing(unit))
        return any(nodes[node].op.name == "reduce" and node in live for node in flows)

    def check(self) -> None:
        """Raise where a path runs both ways in time, or leaves the steps and enters them again."""
        pending: list[tuple[Unit, int, int]] = [(self.loss, OUTSIDE, 0)]
        seen: set[tuple[Unit, int, int]] = set()
        while pending:
            unit, state, sign = pending.pop()
            if (unit, state, sign) in seen or unit not in self.dependence.needed:
                continue
            seen.add((unit, state, sign))
            indexed = self.dependence.index(unit) is not None
            if state == LEFT and (indexed or unit in self.sums):
                raise self._refused("a cotangent leaves the steps and enters them again")
            if indexed:
                state = INSIDE
                if unit in self.sums:
                    raise self._refused("a cotangent leaves the steps and enters them again")
            for leaf, reached in self.leaves[unit]:
                entered = self.dependence.index(reached) is not None
                if not indexed or not entered:
                    pending.append((reached, LEFT if state == INSIDE else state, sign))
                    continue
                attr = self.dependence.nodes[leaf].attr
                if not isinstance(attr, Read):
                    raise self._refused("a cotangent leaves the steps and enters them again")
                direction = (attr.lag > 0) - (attr.lag < 0)
                if direction * sign < 0:
                    raise self._refused("paths run both ways in time")
                pending.append((reached, INSIDE, sign or direction))

    def _refused(self, why: str) -> GradientError:
        return GradientError(
            f"{why}, so {self.truncate} of the gradient of {self.loss} is not one sweep",
            remedy=f"use the mask: {self.truncate}.of(dag.contributions(values)) sums what is kept",
        )

    def travelling(self) -> set[Unit]:
        """Return the variables from which a cotangent goes on to other steps."""
        found: set[Unit] = set()
        while True:
            more = {
                unit
                for unit, leaves in self.leaves.items()
                if unit not in found and self.dependence.index(unit) is not None
                for leaf, reached in leaves
                if not isinstance(reached, At)
                and (_distance(self.dependence, leaf) or reached in found)
            }
            if not more:
                return found
            found |= more

    def ages(self) -> dict[Unit, set[int]]:
        """Return the ages that a cotangent can have at each unit that it is kept for."""
        found: dict[Unit, set[int]] = {}
        pending: list[tuple[Unit, int]] = [(self.loss, 0)]
        count = 0
        while pending:
            unit, age = pending.pop()
            if unit not in self.dependence.needed or age in found.setdefault(unit, set()):
                continue
            found[unit].add(age)
            count += 1
            if count > MOST_COPIES:
                raise self._refused(f"more than {MOST_COPIES:,} copies would be needed")
            for leaf, reached in self.leaves[unit]:
                older = self._older(unit, age, leaf, reached)
                if older is not None:
                    pending.append((reached, older))
        return found

    def _older(self, unit: Unit, age: int, leaf: int, reached: Unit) -> int | None:
        """Return the age with which a cotangent goes on, None where it does not."""
        index = self.dependence.index(unit)
        if index is None or isinstance(reached, At):
            return 0
        if self.truncate.limit is not None:
            older = age + _distance(self.dependence, leaf)
            return older if older < self.truncate.limit else None
        attr = self.dependence.nodes[leaf].attr
        crosses = isinstance(attr, Read) and self.truncate.kept(index, attr.lag) == NEVER
        return None if crosses else 0
