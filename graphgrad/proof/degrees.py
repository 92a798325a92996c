"""How large degrees and coefficients can become: a shadow of both sides, node by node.

A node's entries are bounded together: each is a quotient whose numerator has at most this degree
and this sum of absolute coefficients, over one common denominator, a product of powers of divisors
met before. Degrees add in products; in sums, numerators are first brought to the denominator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import log2

from graphgrad.proof.poly import UndecidableError


@dataclass(frozen=True)
class Shadow:
    """A bound of a node's entries: degree, log2 of the coefficients' sum, divisors."""

    degree: int = 0
    bits: float = 0.0
    divisors: Mapping[int, int] = field(default_factory=dict)
    zero: bool = False


ONE = Shadow()
ZERO = Shadow(zero=True)


class Bounds:
    """The arithmetic of shadows, and what the drawn values can collide in."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, float]] = []
        """degree and bits of each divisor, all entries multiplied"""
        self.atoms = 0
        self.largest = 0
        self.widest = 0.0

    def total(self, shadow: Shadow) -> tuple[int, float]:
        """Return degree and bits of numerator and denominator together."""
        degree, bits = shadow.degree, shadow.bits
        for place, power in shadow.divisors.items():
            degree += power * self.sizes[place][0]
            bits += power * self.sizes[place][1]
        return degree, bits

    def sum(self, shadows: Iterable[Shadow], count: int = 1) -> Shadow:
        """Return a bound of sums with `count` terms of each."""
        terms = [shadow for shadow in shadows if not shadow.zero]
        if not terms:
            return ZERO
        divisors: dict[int, int] = {}
        for term in terms:
            for place, power in term.divisors.items():
                divisors[place] = max(power, divisors.get(place, 0))
        degree, bits = 0, 0.0
        for term in terms:
            d, b = term.degree, term.bits
            if len(term.divisors) != len(divisors) or term.divisors != divisors:
                for place, power in divisors.items():
                    more = power - term.divisors.get(place, 0)
                    d += more * self.sizes[place][0]
                    b += more * self.sizes[place][1]
            degree, bits = max(degree, d), max(bits, b)
        return Shadow(degree, bits + log2(len(terms) * count), divisors)

    def product(self, *shadows: Shadow) -> Shadow:
        """Return a bound of products."""
        return reduce(self._product, shadows)

    def _product(self, a: Shadow, b: Shadow) -> Shadow:
        if a.zero or b.zero:
            return ZERO
        divisors = dict(a.divisors)
        for place, power in b.divisors.items():
            divisors[place] = divisors.get(place, 0) + power
        return Shadow(a.degree + b.degree, a.bits + b.bits, divisors)

    def inverse(self, shadow: Shadow, entries: int) -> Shadow:
        """Return a bound of reciprocals: the old denominators over all entries' numerators."""
        if shadow.zero:
            raise UndecidableError("a denominator vanishes identically")
        self.sizes.append((shadow.degree * entries, shadow.bits * entries))
        place = len(self.sizes) - 1
        degree, bits = shadow.degree * (entries - 1), shadow.bits * (entries - 1)
        for divisor, power in shadow.divisors.items():
            degree += power * self.sizes[divisor][0]
            bits += power * self.sizes[divisor][1]
        return Shadow(degree, bits, {place: 1})

    def atom(self, arguments: Iterable[Shadow], entries: int) -> Shadow:
        """Return the bound of drawn values, and note that their arguments must not collide."""
        for shadow in arguments:
            degree, bits = self.total(shadow)
            self.largest = max(self.largest, degree)
            self.widest = max(self.widest, bits)
        self.atoms += entries
        return Shadow(1)
