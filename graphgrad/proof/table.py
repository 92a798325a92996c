"""The table of atoms: one generator for each function at arguments that are equal in the field."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import comb
from random import Random

from graphgrad.proof.poly import BITS, PRIME, Generator, Poly
from graphgrad.proof.quotients import QuotientRing

ROOT_ORDER = 2**6 * 3**2 * 5 * 7
"""Generators take values that have roots of every degree dividing this, modulo the prime."""
SHORT = 6
"""Sums of so many terms are looked at for what they are in sigma(u) and sigma(-u)."""


class AtomTable:
    """The ring, the atoms entered so far, and the abbreviations 1 - s and 1 - T**2."""

    def __init__(self, seed: int) -> None:
        self.ring = QuotientRing(random=Random(seed))
        self._atoms: dict[tuple[object, ...], list[tuple[tuple[Poly, ...], Poly]]] = {}
        self._complements: dict[int, Poly] = {}
        self._pairs: dict[int, tuple[int, int]] = {}
        """The generators sigma(u) and sigma(-u), by the number of either."""

    def _free(self, *, positive: bool = False) -> Poly:
        """A new generator without relations."""
        seed = self.ring.draw()
        value = pow(seed, ROOT_ORDER, PRIME)
        return self.ring.generator(Generator(value, positive, seed=(seed, ROOT_ORDER)))

    def _lookup(self, key: tuple[object, ...], *args: Poly) -> Poly | None:
        """The atom already made for equal arguments."""
        for known, atom in self._atoms.get((*key, *(arg.value for arg in args)), ()):
            if all(self._equal(a, b) for a, b in zip(args, known, strict=True)):
                return atom
        return None

    def _enter(self, key: tuple[object, ...], args: list[Poly], atom: Poly | None = None) -> Poly:
        atom = self._free() if atom is None else atom
        place = (*key, *(arg.value for arg in args))
        self._atoms.setdefault(place, []).append((tuple(args), atom))
        return atom

    def _equal(self, left: Poly, right: Poly) -> bool:
        if left.terms == right.terms and left.den == right.den:
            return True
        return self.ring.is_zero(self.ring.subtract(left, right))

    def _oriented(self, u: Poly) -> tuple[Poly, bool]:
        """Of u and -u, the one that represents both, and whether the sign was changed."""
        if u.value <= PRIME // 2:
            return u, False
        return self.ring.scale(u, -1), True

    @staticmethod
    def _index(atom: Poly) -> int:
        (monomial,) = atom.terms
        return (monomial.bit_length() - 1) // BITS

    def _define_complement(self, part: Poly) -> Poly:
        """Abbreviate 1 - part by a positive generator, for a monomial between 0 and 1."""
        ring = self.ring
        definition = ring.subtract(ring.constant(1), part)
        other = ring.generator(Generator(definition.value, positive=True, definition=definition))
        for one, rest in ((part, other), (other, part)):
            (monomial,) = one.terms
            self._complements[monomial] = rest
        return other

    def _add(self, *args: Poly) -> Poly:
        """The sum; c*(1 - s) is written as c times its abbreviation, and so on: `_logistic`."""
        total = self.ring.add(args)
        if len(total.terms) == 2 and 0 in total.terms:
            ((monomial, c),) = ((m, c) for m, c in total.terms.items() if m)
            if c == -total.terms[0] and monomial in self._complements:
                factor = Fraction(total.terms[0], total.den)
                return self.ring.scale(self._complements[monomial], factor)
        return self._logistic(total) or total

    def _logistic(self, total: Poly) -> Poly | None:
        """A short sum as one monomial in s = sigma(u) and r = sigma(-u), if s + r = 1 makes it one.

        So 1 + r/s is 1/s, and 1 - (2*s - 1)**2 is 4*s*r: what people write by exp and tanh is as
        short as what is written by the value.
        """
        if not self._pairs or not 1 < len(total.terms) <= SHORT:
            return None
        ring, first = self.ring, min(total.terms)
        varying = ring.present(m - first for m in total.terms)
        pair = self._pairs.get(varying[0])
        if pair is None or not set(varying) <= set(pair):
            return None
        powers = {m: [ring.exponent(m, index) for index in pair] for m in total.terms}
        low = [min(each[k] for each in powers.values()) for k in (0, 1)]
        coefficients = [0] * (2 * SHORT)
        for m, (a, b) in powers.items():
            a, b = a - low[0], b - low[1]
            if a + b >= len(coefficients):
                return None
            for k in range(b + 1):  # r**b = (1 - s)**b
                coefficients[a + k] += total.terms[m] * comb(b, k) * (-1) ** k
        while any(coefficients) and not coefficients[0]:
            coefficients = coefficients[1:]
            low[0] += 1
        while any(coefficients[1:]) and not sum(coefficients):
            coefficients = list(accumulate(coefficients))  # divided by 1 - s
            low[1] += 1
        if not coefficients[0] or any(coefficients[1:]):
            return None
        rest = first - sum(ring.exponent(first, index) << (BITS * index) for index in pair)
        monomial = rest + sum(k << (BITS * index) for k, index in zip(low, pair, strict=True))
        bound = max(total.bound, *map(abs, low))
        return Poly({monomial: coefficients[0]}, total.den, bound, total.value)

    # Signs

    def _step(self, u: Poly) -> Poly:
        """1 where u > 0, else 0, one idempotent atom for u and -u up to positive factors."""
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(0)
        numerator, removed = ring.clear(u)
        if all(ring.generators[index].positive for index in removed):
            _, monomial, u = ring.content(numerator)
            (packed,) = monomial.terms
            for index in ring.present([packed]):
                if not ring.generators[index].positive:
                    u = ring.multiply(u, ring.monomial(index, ring.exponent(packed, index)))
        if ring.is_positive(u):
            return ring.constant(1)
        if ring.is_positive(ring.scale(u, -1)):
            return ring.constant(0)
        u, flipped = self._oriented(u)
        atom = self._lookup(("step",), u)
        if atom is None:
            generator = Generator(ring.random.randrange(2), nonnegative=True, degree=2)
            atom = generator.replacement = ring.generator(generator)
            self._enter(("step",), [u], atom)
        return ring.subtract(ring.constant(1), atom) if flipped else atom

    def _sign(self, u: Poly) -> Poly:
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(0)
        return ring.add([ring.scale(self._step(u), 2), ring.constant(-1)])
