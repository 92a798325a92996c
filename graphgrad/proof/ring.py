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

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import comb, gcd, lcm
from random import Random

PRIME = 2**127 - 1
BITS = 16
HALF = 1 << (BITS - 1)
MAX_GENERATORS = 2000


class Undecidable(Exception):
    """The reason why a decision is given up; caught before it leaves this package."""


class Exhausted(Undecidable):
    """A limit on time or work; unlike other reasons it may not hold for a later attempt."""


@dataclass(slots=True)
class Budget:
    """Limits on terms, on term products and on time, checked before the work is done."""

    max_terms: int = 200_000
    deadline: float | None = None
    work: int = 0

    @classmethod
    def start(cls, max_terms: int, time_limit: float | None) -> Budget:
        """A budget whose clock runs from now."""
        return cls(max_terms, None if time_limit is None else time.monotonic() + time_limit)

    def charge(self, products: int) -> None:
        """Account for work about to be done."""
        self.work += products
        if self.work > 60 * self.max_terms:
            raise Exhausted(f"more than {60 * self.max_terms:,} term products are needed")
        self.tick()

    def hold(self, terms: int) -> None:
        """Refuse a polynomial that is too long."""
        if terms > self.max_terms:
            raise Undecidable(f"a polynomial has more than {self.max_terms:,} terms")
        self.tick()

    def tick(self) -> None:
        """Honour the time limit."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Exhausted("the time limit is reached")


@dataclass(slots=True)
class Poly:
    """Integer coefficients by packed monomial, over one common denominator."""

    terms: dict[int, int]
    den: int
    bound: int
    """An upper bound of every exponent's size."""
    value: int
    """The value modulo PRIME at the ring's random point."""


@dataclass(slots=True)
class Generator:
    """One generator; what it stands for tells its kind."""

    value: int
    positive: bool = False
    nonnegative: bool = False
    seed: tuple[int, int] | None = None
    """(h, n) where value = h**n, so that the value's k-th root is known for k that divide n."""
    definition: Poly | None = None
    degree: int = 0
    replacement: Poly | None = None

    @property
    def free(self) -> bool:
        """Whether negative exponents are allowed."""
        return self.degree == 0


@dataclass(slots=True)
class Ring:
    """The generators, and arithmetic on polynomials in them."""

    budget: Budget = field(default_factory=Budget)
    generators: list[Generator] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(20160101))
    consistent: bool = True
    """Whether the values modulo PRIME satisfy every relation."""
    _bias: int = 0
    _reducible: int = 0
    _denominators: dict[int, list[tuple[Poly, int]]] = field(default_factory=dict)

    # Generators

    def generator(self, generator: Generator) -> Poly:
        """Enter a generator and return it as a polynomial."""
        index = len(self.generators)
        if index >= MAX_GENERATORS:
            raise Undecidable(f"more than {MAX_GENERATORS:,} generators are needed")
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
        found = []
        for index in range(len(self.generators)):
            if not seen:
                break
            if seen & (2 * HALF - 1):
                found.append(index)
            seen >>= BITS
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
            self.budget.hold(len(out))
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
            self.budget.hold(len(out))
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
                raise Undecidable("a power of a number is too large")
            for c in base.terms.values():
                if c.bit_length() * exponent > 1_000_000:
                    raise Undecidable("a power of a number is too large")
            terms = {m * exponent: c**exponent for m, c in base.terms.items()}
            value = pow(base.value, exponent, PRIME)
            return self._finish(terms, base.den**exponent, base.bound * exponent, value)
        if not self._reducible:
            length = len(base.terms)
            if exponent > HALF or comb(exponent + length - 1, exponent) > 50 * self.budget.max_terms:
                raise Undecidable(f"a sum of {length} terms to the power {exponent} is too long")
        out = self.constant(1)
        for _ in range(exponent):
            out = self.multiply(out, base)
        return out

    # Division

    def inverse(self, poly: Poly) -> Poly:
        """1/poly: monomials invert at once, a sum gets a generator that abbreviates it."""
        factors, todo = [], [poly]
        while todo:
            poly = todo.pop()
            if self.is_zero(poly):
                raise Undecidable("a denominator vanishes identically")
            number, monomial, rest = self.content(poly)
            factors.append(self.constant(1 / number))
            factors.append(self._invert_monomial(monomial))
            root = self._root_power(rest)
            if root is not None:
                index, exponent = root
                generator = self.generators[index]
                assert generator.replacement is not None
                factors.append(self.monomial(index, generator.degree - exponent))
                todo.append(generator.replacement)
            elif rest.terms != {0: 1}:
                index, sign = self._abbreviate(rest)
                factors.append(self.scale(self.monomial(index, -1), sign))
        return self.product(factors)

    def clear(self, poly: Poly) -> tuple[Poly, dict[int, int]]:
        """A numerator without definitions, and the exponents k_i of the generators g_i with
        poly = numerator * product of g_i**k_i.
        """
        for index in reversed(self._defined(poly)):
            poly, _ = self._eliminate(poly, index, force=False)
        removed: dict[int, int] = {}
        while defined := self._defined(poly):
            poly, exponent = self._eliminate(poly, defined[-1])
            removed[defined[-1]] = removed.get(defined[-1], 0) + exponent
        return poly, removed

    def _defined(self, poly: Poly) -> list[int]:
        """The generators with a definition that occur, oldest first."""
        present = self.present(poly.terms)
        return [i for i in present if self.generators[i].definition is not None]

    def expand(self, poly: Poly) -> Poly:
        """The polynomial with definitions written out, where they have no negative power."""
        for index in reversed(self._defined(poly)):
            if all(self.exponent(monomial, index) >= 0 for monomial in poly.terms):
                poly, _ = self._eliminate(poly, index)
        return poly

    def _eliminate(self, poly: Poly, index: int, *, force: bool = True) -> tuple[Poly, int]:
        """(out, k) with poly = out * g**k and k <= 0, where g no longer occurs in out.

        Positive powers are written out.  A negative one is divided by the definition where that
        goes without remainder; where it does not, everything else is multiplied by the
        definition or, without `force`, the power stays.
        """
        base, unit = self.generators[index].definition, 1 << (BITS * index)
        assert base is not None
        slices: dict[int, dict[int, int]] = {}
        for monomial, c in poly.terms.items():
            k = self.exponent(monomial, index)
            slices.setdefault(k, {})[monomial - k * unit] = c
        parts = {k: Poly(terms, poly.den, poly.bound, 0) for k, terms in slices.items()}
        nothing = self.constant(0)
        low, high = min((0, *slices)), max((0, *slices))
        out = nothing
        for k in range(high, -1, -1):
            out = self.add([self.multiply(out, base), parts.get(k, nothing)])
        parts[0] = out
        while low < 0:
            quotient = self._quotient(parts.get(low, nothing), base)
            if quotient is None:
                break
            low += 1
            parts[low] = self.add([parts.get(low, nothing), quotient])
        if not force:
            shifted = [self._shift(parts[k], k * unit) for k in range(low, 1) if k in parts]
            out = self.add(shifted)
            return Poly(out.terms, out.den, out.bound + abs(low), poly.value), 0
        out = nothing
        for k in range(0, low - 1, -1):
            out = self.add([self.multiply(out, base), parts.get(k, nothing)])
        value = poly.value * pow(self.generators[index].value, -low, PRIME) % PRIME
        return Poly(out.terms, out.den, out.bound, value), low

    def _shift(self, poly: Poly, monomial: int) -> Poly:
        return Poly({m + monomial: c for m, c in poly.terms.items()}, poly.den, poly.bound, 0)

    def _quotient(self, dividend: Poly, divisor: Poly) -> Poly | None:
        """The quotient if the division by an integer polynomial visibly has no remainder.

        The order of the packed integers is a monomial order, so leading terms divide.
        """
        if any(self.generators[index].degree for index in self.present(divisor.terms)):
            return None
        rest, out = dict(dividend.terms), {}
        lead = max(divisor.terms)
        heap = [-monomial for monomial in rest]
        heapify(heap)
        steps = 4 * len(rest) + 16
        self.budget.charge(len(rest) * len(divisor.terms))
        while heap:
            monomial = -heappop(heap)
            c = rest.pop(monomial, 0)
            if not c:
                continue
            steps -= 1
            if not steps or c % divisor.terms[lead]:
                return None
            shift, factor = monomial - lead, c // divisor.terms[lead]
            out[shift] = factor
            for m, d in divisor.terms.items():
                if m != lead:
                    if m + shift not in rest:
                        heappush(heap, -(m + shift))
                    rest[m + shift] = rest.get(m + shift, 0) - factor * d
        return Poly(out, dividend.den, self._largest(out), 0)

    def is_zero(self, poly: Poly) -> bool:
        """Whether the numerator is the zero polynomial."""
        if not poly.terms:
            return True
        if self.consistent and poly.value:
            return False
        return not self.clear(poly)[0].terms

    def content(self, poly: Poly) -> tuple[Fraction, Poly, Poly]:
        """Positive number, monomial in free generators, and the rest with integer coefficients."""
        number = Fraction(gcd(*poly.terms.values()), poly.den)
        shift = 0
        for index in self.present(poly.terms):
            if self.generators[index].free:
                low = min(self.exponent(monomial, index) for monomial in poly.terms)
                shift += low << (BITS * index)
        divisor = gcd(*poly.terms.values())
        terms = {monomial - shift: c // divisor for monomial, c in poly.terms.items()}
        monomial = self._monomial(shift, poly.bound)
        scale = number.numerator * monomial.value % PRIME
        value = poly.value * number.denominator * pow(scale, -1, PRIME) % PRIME
        return number, monomial, Poly(terms, 1, self._largest(terms), value)

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

    def _root_power(self, poly: Poly) -> tuple[int, int] | None:
        """(index, exponent) if the polynomial is a power of one root r**k = u, u free of r."""
        if len(poly.terms) != 1:
            return None
        ((monomial, c),) = poly.terms.items()
        present = self.present([monomial])
        if c != 1 or len(present) != 1:
            return None
        replacement = self.generators[present[0]].replacement
        if replacement is None or present[0] in self.present(replacement.terms):
            return None
        return present[0], self.exponent(monomial, present[0])

    def _abbreviate(self, rest: Poly) -> tuple[int, int]:
        """(index, sign) of the generator that stands for sign * rest."""
        opposite, sign = self.scale(rest, -1), 1
        if self.is_positive(opposite) or (
            rest.value > PRIME // 2 and not self.is_positive(rest)
        ):
            rest, sign = opposite, -1
        known = self._denominators.setdefault(rest.value, [])
        for definition, index in known:
            if definition.terms == rest.terms or self.is_zero(self.subtract(definition, rest)):
                return index, sign
        value = rest.value
        if not value:
            value, self.consistent = self.draw(), False
        self.generator(Generator(value, positive=self.is_positive(rest), definition=rest))
        known.append((rest, len(self.generators) - 1))
        return len(self.generators) - 1, sign

    def _check_bound(self, bound: int) -> None:
        if bound >= HALF - 1:
            raise Undecidable(f"an exponent may exceed {HALF - 2:,}")

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
            self.budget.hold(len(terms))

    def _relation(self, monomial: int) -> int | None:
        """A generator of the monomial whose power reduces."""
        for index in self.present([monomial]):
            degree = self.generators[index].degree
            if degree and self.exponent(monomial, index) >= degree:
                return index
        return None
