"""Sparse Laurent polynomials over Q in an open-ended list of generators, within a budget.

A monomial is one Python integer: the exponent of generator g, signed, times 2**(16 g).  Monomials
multiply by integer addition, which is several times faster than merging exponent lists.

A generator is *free* (it takes negative exponents) or has a *relation* by which a power reduces
(r**2 = u, step**2 = step).  A free generator may abbreviate a sum by a *definition*: denominators,
whose inverse is then a monomial, so that no gcd is ever taken; and 1 - s or 1 - T**2, which would
double the terms at every layer.  Definitions are written out at the end, newest first.
Reductions hold at every point of the domain, so polynomials that reduce to zero are zero as
functions; the converse is not claimed here.

Each polynomial carries its value modulo a prime at one fixed random point.  Values only choose
candidates (equal arguments, differences worth clearing); every use is confirmed exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb, gcd, lcm
from random import Random

from graphgrad.proof.poly import (
    BITS,
    HALF,
    MAX_GENERATORS,
    PRIME,
    Budget,
    Generator,
    Poly,
    UndecidableError,
)


@dataclass(slots=True)
class Ring:
    """The generators, and arithmetic on polynomials in them."""

    budget: Budget = field(default_factory=Budget)
    generators: list[Generator] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(0))
    consistent: bool = True
    """Whether the values modulo PRIME satisfy every relation."""
    _bias: int = 0
    _reducible: int = 0

    # Generators

    def generator(self, generator: Generator) -> Poly:
        """Enter a generator and return it as a polynomial."""
        index = len(self.generators)
        if index >= MAX_GENERATORS:
            raise UndecidableError(f"more than {MAX_GENERATORS:,} generators are needed")
        self.generators.append(generator)
        self._bias += HALF << (BITS * index)
        if generator.degree:
            low = 1 << (generator.degree.bit_length() - 1)
            self._reducible |= (HALF - low) << (BITS * index)
        return Poly({1 << (BITS * index): 1}, 1, 1, generator.value)

    def draw(self) -> int:
        """A random non-zero value modulo PRIME."""
        return self.random.randrange(2, PRIME)

    def exponent(self, monomial: int, index: int) -> int:
        """The exponent of one generator."""
        return (((monomial + self._bias) >> (BITS * index)) & (2 * HALF - 1)) - HALF

    def present(self, terms: Iterable[int]) -> list[int]:
        """The generators that occur in any of the monomials."""
        bias, seen = self._bias, 0
        for monomial in terms:
            seen |= (monomial + bias) ^ bias
        found, field_mask = [], 2 * HALF - 1
        while seen:
            index = ((seen & -seen).bit_length() - 1) // BITS
            found.append(index)
            seen &= ~(field_mask << (BITS * index))
        return found

    def single(self, monomial: int) -> int | None:
        """The generator that the monomial is, if it is one to the power 1."""
        index = (monomial.bit_length() - 1) // BITS
        return index if monomial > 0 and monomial == 1 << (BITS * index) else None

    # Construction

    def constant(self, number: Fraction | int) -> Poly:
        """A rational number."""
        n, d = Fraction(number).as_integer_ratio()
        return Poly({0: n} if n else {}, d, 0, n * pow(d, -1, PRIME) % PRIME)

    def monomial(self, index: int, exponent: int) -> Poly:
        """A power of one generator; negative only where it is free."""
        self._check_bound(abs(exponent))
        value = pow(self.generators[index].value, exponent, PRIME)
        return self._finish({exponent << (BITS * index): 1}, 1, abs(exponent), value)

    # Arithmetic

    def add(self, polys: Sequence[Poly]) -> Poly:
        """The sum."""
        den = lcm(*(poly.den for poly in polys))
        out: dict[int, int] = {}
        for poly in polys:
            self.budget.charge(len(poly.terms))
            scale = den // poly.den
            for monomial, c in poly.terms.items():
                out[monomial] = out.get(monomial, 0) + c * scale
            self._hold(len(out))
        bound = max((poly.bound for poly in polys), default=0)
        return self._clean(out, den, bound, sum(poly.value for poly in polys) % PRIME)

    def subtract(self, left: Poly, right: Poly) -> Poly:
        """The difference."""
        return self.add([left, self.scale(right, -1)])

    def scale(self, poly: Poly, number: Fraction | int) -> Poly:
        """The product with a rational number."""
        n, d = Fraction(number).as_integer_ratio()
        if not n:
            return self.constant(0)
        terms = {monomial: c * n for monomial, c in poly.terms.items()}
        value = poly.value * n * pow(d, -1, PRIME) % PRIME
        return self._clean(terms, poly.den * d, poly.bound, value)

    def multiply(self, left: Poly, right: Poly) -> Poly:
        """The product, refused before it grows past the budget."""
        if len(left.terms) > len(right.terms):
            left, right = right, left
        self.budget.charge(len(left.terms) * len(right.terms))
        bound = left.bound + right.bound
        self._check_bound(bound)
        den, value = left.den * right.den, left.value * right.value % PRIME
        if len(left.terms) == 1:
            ((m, c),) = left.terms.items()
            return self._finish({m + n: c * d for n, d in right.terms.items()}, den, bound, value)
        out: dict[int, int] = {}
        get, items = out.get, right.terms.items()
        for m, c in left.terms.items():
            for n, d in items:
                monomial = m + n
                out[monomial] = get(monomial, 0) + c * d
            self._hold(len(out))
        return self._finish(out, den, bound, value)

    def product(self, polys: Iterable[Poly]) -> Poly:
        """The product of several, shortest first."""
        out = self.constant(1)
        for poly in sorted(polys, key=lambda poly: len(poly.terms)):
            out = self.multiply(out, poly)
        return out

    def power(self, base: Poly, exponent: int) -> Poly:
        """A power with an exponent >= 0."""
        if exponent == 0:
            return self.constant(1)
        if len(base.terms) <= 1:
            self._check_bound(base.bound * exponent)
            if base.den.bit_length() * exponent > 1_000_000:
                raise UndecidableError("a power of a number is too large")
            for c in base.terms.values():
                if c.bit_length() * exponent > 1_000_000:
                    raise UndecidableError("a power of a number is too large")
            terms = {m * exponent: c**exponent for m, c in base.terms.items()}
            value = pow(base.value, exponent, PRIME)
            return self._finish(terms, base.den**exponent, base.bound * exponent, value)
        if not self._reducible:
            length = len(base.terms)
            if (
                exponent > HALF
                or comb(exponent + length - 1, exponent) > 50 * self.budget.max_terms
            ):
                raise UndecidableError(
                    f"a sum of {length} terms to the power {exponent} is too long"
                )
        out = self.constant(1)
        for _ in range(exponent):
            out = self.multiply(out, base)
        return out

    # Signs

    def is_positive(self, poly: Poly) -> bool:
        """Whether every term is visibly >= 0 and one is > 0."""
        strict = False
        generators = self.generators
        if any(c < 0 for c in poly.terms.values()):
            return False
        for monomial in poly.terms:
            powers = [(generators[i], self.exponent(monomial, i)) for i in self.present([monomial])]
            if not all(g.positive or g.nonnegative or e % 2 == 0 for g, e in powers):
                return False
            strict = strict or all(g.positive for g, _ in powers)
        return strict

    # Internals

    def _hold(self, terms: int) -> None:
        """Refuse a polynomial that is too long, sooner where monomials are wide."""
        self.budget.hold(terms * (1 + len(self.generators) // 128))

    def _largest(self, terms: dict[int, int]) -> int:
        """The size of the largest exponent."""
        present = self.present(terms)
        bound = max((abs(self.exponent(m, i)) for i in present for m in terms), default=0)
        self._check_bound(bound)
        return bound

    def _monomial(self, monomial: int, bound: int) -> Poly:
        value = 1
        for index in self.present([monomial]):
            power = pow(self.generators[index].value, self.exponent(monomial, index), PRIME)
            value = value * power % PRIME
        return Poly({monomial: 1}, 1, bound, value)

    def _invert_monomial(self, poly: Poly) -> Poly:
        ((monomial, _),) = poly.terms.items()
        return self._monomial(-monomial, poly.bound)

    def _check_bound(self, bound: int) -> None:
        if bound >= HALF - 1:
            raise UndecidableError(f"an exponent may exceed {HALF - 2:,}")

    def _clean(self, terms: dict[int, int], den: int, bound: int, value: int) -> Poly:
        if 0 in terms.values():
            terms = {monomial: c for monomial, c in terms.items() if c}
        if den != 1:
            common = gcd(den, *terms.values())
            if common != 1:
                terms = {monomial: c // common for monomial, c in terms.items()}
                den //= common
        return Poly(terms, den, bound, value)

    def _finish(self, terms: dict[int, int], den: int, bound: int, value: int) -> Poly:
        """A product's terms after the relations."""
        if self._reducible:
            bound = self._reduce(terms, bound)
        return self._clean(terms, den, bound, value)

    def _reduce(self, terms: dict[int, int], bound: int) -> int:
        """Apply the relations in place, one power at a time, until none applies."""
        while True:
            bias, mask = self._bias, self._reducible
            hits = [m for m in terms if (m + bias) & mask and self._relation(m) is not None]
            if not hits:
                return bound
            self.budget.charge(len(hits))
            for monomial in hits:
                c = terms.pop(monomial)
                index = self._relation(monomial)
                if not c or index is None:
                    continue
                generator = self.generators[index]
                assert generator.replacement is not None
                kept = monomial - (generator.degree << (BITS * index))
                for m, d in generator.replacement.terms.items():
                    terms[kept + m] = terms.get(kept + m, 0) + c * d
                bound = max(bound, bound + generator.replacement.bound)
            self._check_bound(bound)
            self._hold(len(terms))

    def _relation(self, monomial: int) -> int | None:
        """A generator of the monomial whose power reduces."""
        for index in self.present([monomial]):
            degree = self.generators[index].degree
            if degree and self.exponent(monomial, index) >= degree:
                return index
        return None
