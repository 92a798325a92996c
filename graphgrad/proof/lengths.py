"""How far from its ends a sequence is noticed: the length beyond which nothing new can happen.

Reads, boundary equations and conditions look at a step t of 1..τ only through its distance to
either end, up to a constant, and through remainders. `period` is the least common multiple of the
moduli; `first` and `last` say at which distance from the first and the last step an equation still
behaves differently, `least` up to which τ an equation tests τ itself. A condition such as
`2 * t < tau` changes in the middle as well: `middle` says at which fractions of τ, and up to which
distance from there it matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil, lcm

from graphgrad.conditions import Compare, Modulo, comparisons
from graphgrad.proof.poly import UndecidableError
from graphgrad.system import System

AT_ONE_LENGTH = 'prove the lengths you need with method="certificate"'
"""What to do where no proof for every length is found."""


@dataclass
class Horizon:
    """What the equations of one index notice of the ends of 1..τ.

    `early` and `late` are the largest offsets of absolute reads from either end, -1 for none.
    """

    first: int = 0
    last: int = 0
    least: int = 0
    period: int = 1
    early: int = -1
    late: int = -1
    middle: dict[Fraction, int] = field(default_factory=dict)

    @property
    def shift(self) -> int:
        """By how many steps a length is shortened: every place in the middle moves by whole steps.

        These are multiples of the period.
        """
        return self.period * lcm(1, *(fraction.denominator for fraction in self.middle))

    def bound(self, before: int, after: int, ends: int) -> int:
        """Return the length beyond which nothing new can happen.

        A class looks `before` steps back and `after` steps ahead, and is told apart within `ends`
        steps of either end. Between two places at which equations behave differently there are,
        one shift before that length, as many steps as both are noticed from and a shift.
        """
        inside = max(before, after, ends) + 1
        places = {Fraction(0): self.first + max(before, ends)}
        places |= {place: near + inside for place, near in self.middle.items()}
        places[Fraction(1)] = self.last + max(after, ends)
        order = sorted(places)
        longest = max(
            ceil((places[one] + places[other] + self.shift) / (other - one))
            for one, other in pairwise(order)
        )
        return max(longest + self.shift, self.least + 2 * self.shift)


def horizons(system: System) -> dict[str, Horizon]:
    """Return the horizon of each index; UndecidableError where there is none."""
    found = {index: Horizon() for index in system.indices}
    for node in system.graph.nodes:
        name = node.op.name
        if name == "read":
            horizon = found[system.index_of(node.attr.name) or ""]
            horizon.first = max(horizon.first, node.attr.lag)
            horizon.last = max(horizon.last, -node.attr.lag)
        elif name == "at_step":
            horizon = found[system.index_of(node.attr.name) or ""]
            if node.attr.last:
                horizon.late = max(horizon.late, abs(node.attr.offset))
            else:
                horizon.early = max(horizon.early, abs(node.attr.offset))
        elif name in ("choose", "reduce"):
            condition = node.attr if name == "choose" else node.attr.condition
            for comparison in comparisons(condition):
                _notice(system, comparison, found)
    for key in system.boundary_roots:
        horizon = found[system.index_of(key.name) or ""]
        horizon.first = max(horizon.first, abs(key.offset))
        horizon.last = max(horizon.last, abs(key.offset))
    for horizon in found.values():
        horizon.first = max(horizon.first, horizon.early)
        horizon.last = max(horizon.last, horizon.late)
        horizon.least = max(horizon.least, horizon.early, horizon.late)
    return found


def _notice(system: System, comparison: Compare, found: Mapping[str, Horizon]) -> None:
    """Widen a horizon by what one comparison can tell apart."""
    difference = comparison.left.plus(comparison.right, -1)
    names = difference.names
    owners = [i for i, index in system.indices.items() if {i, index.length} & names]
    if len(owners) > 1:
        raise UndecidableError(
            f"the condition {comparison} compares two index sets, and induction goes over one "
            f"length at a time: {AT_ONE_LENGTH}"
        )
    if not owners:
        return
    horizon = found[owners[0]]
    step, length = (
        dict(difference.terms).get(name, 0)
        for name in (owners[0], system.indices[owners[0]].length)
    )
    slack = abs(difference.constant)
    for atom, coefficient in difference.terms:
        if isinstance(atom, Modulo):
            slack += abs(coefficient) * atom.modulus
    for modulus in difference.moduli:
        horizon.period = lcm(horizon.period, modulus)
    if step and not length:
        horizon.first = max(horizon.first, slack // abs(step))
    elif (length and not step) or step * length > 0:
        horizon.least = max(horizon.least, slack)
    elif step and step == -length:
        horizon.last = max(horizon.last, slack // abs(step))
    elif step and abs(length) > abs(step):  # beyond the end, where the sequence is long
        horizon.least = max(horizon.least, slack // (abs(length) - abs(step)))
    elif step:
        place = Fraction(abs(length), abs(step))
        horizon.middle[place] = max(horizon.middle.get(place, 0), slack // abs(step) + 1)


def reach(system: System, cut: set[str]) -> tuple[int, int]:
    """Return how many steps back and ahead an equation can look through variables not cut.

    Variables in `cut` are read, but not looked through; the others must not need each other.
    """
    memo: dict[str, tuple[int, int]] = {}
    pending = list(system.variables)
    while pending:
        name = pending[-1]
        if name in memo:
            pending.pop()
            continue
        reads = list(_reads(system, name))
        looked = {read for read, _ in reads if read in system.variables and read not in cut}
        missing = looked - memo.keys()
        if missing:
            pending.extend(missing)
            continue
        back, ahead = 0, 0
        for read, lag in reads:
            further = memo[read] if read in looked else (0, 0)
            back, ahead = max(back, lag + further[0]), max(ahead, further[1] - lag)
        memo[name] = back, ahead
        pending.pop()
    return max(b for b, _ in memo.values()), max(a for _, a in memo.values())


def _reads(system: System, name: str) -> Iterator[tuple[str, int]]:
    """Yield what the equation of a variable reads, with the lag."""
    nodes = system.graph.nodes
    for node in system.below(system.roots[name]):
        if nodes[node].op.name == "read":
            yield nodes[node].attr.name, nodes[node].attr.lag
        elif nodes[node].op.name == "static":
            yield nodes[node].attr, 0
