"""Sparse polynomials in very many generators, few of which meet in one monomial.

A monomial is the sorted tuple of its generators' numbers, each as often as its exponent says;
coefficients are integers or fractions.  `ring.py` packs a monomial into one integer, which is
faster for a few hundred generators; an unfolded graph has tens of thousands.

A generator may be bound by relations between powers of it and one other generator: g and its
inverse cancel, a root reduces (r**2 = u), a step is idempotent (s**2 = s), two choices exclude each
other (e*f = 0).  Products are kept reduced by them.  Each relation holds at every point of the
domain, so a polynomial that reduces to zero is zero there; the converse is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from graphgrad.proof.clock import Clock
from graphgrad.proof.poly import UndecidableError

Monomial = tuple[int, ...]
Terms = dict[Monomial, "int | Fraction"]
MAX_TERMS = 100_000
MAX_STORED = 3_000_000


@dataclass(slots=True)
class Relations:
    """What is known of products of generators, and the limits on work and memory."""

    clock: Clock = field(default_factory=Clock)
    special: set[int] = field(default_factory=set)
    partners: dict[int, int] = field(default_factory=dict)
    """The inverse of a generator, in both directions."""
    powers: dict[int, tuple[int, Terms]] = field(default_factory=dict)
    """generator: (n, what its n-th power is)"""
    exclusive: dict[int, frozenset[int]] = field(default_factory=dict)
    """Generators whose product with this one is 0."""
    products: dict[int, dict[int, Terms]] = field(default_factory=dict)
    """(generator, other generator): what their product is."""
    pairs: dict[int, dict[int, int]] = field(default_factory=dict)
    """(inverse, other generator): the let whose value their product is."""
    folding: bool = False
    """Whether products are written as lets; never where the result is differentiated."""
    stored: int = 0
    max_terms: int = MAX_TERMS

    def charge(self, terms: int) -> None:
        """Refuse a product that is too long before it is computed; honour the time limit."""
        if terms > self.max_terms:
            raise UndecidableError(f"a polynomial would have up to {terms:,} terms")
        self.tick()

    def keep(self, terms: int) -> None:
        """Account for terms that stay in memory."""
        self.stored += terms
        if self.stored > MAX_STORED:
            raise UndecidableError(f"more than {MAX_STORED:,} terms would have to be kept")

    def hold(self, terms: int) -> None:
        """Refuse a polynomial that has become too long, term by term; honour the time limit."""
        if terms > self.max_terms:
            raise UndecidableError(f"a polynomial has {terms:,} terms")
        self.tick()

    def release(self, terms: int) -> None:
        """Account for terms that are no longer in memory."""
        self.stored -= terms

    def tick(self) -> None:
        """Honour the time limit."""
        self.clock.tick()

    def invertible(self, generator: int, inverse: int) -> None:
        """Let the product of two generators be 1."""
        self.partners[generator], self.partners[inverse] = inverse, generator
        self.special.update((generator, inverse))

    def pair(self, inverse: int, other: int, let: int) -> None:
        """Let the product of two generators be a third, where `folding` is on."""
        self.pairs.setdefault(inverse, {}).setdefault(other, let)
        self.special.add(inverse)

    def product(self, generator: int, other: int, value: Terms) -> None:
        """Let the product of two generators be a polynomial of lower degree."""
        self.products.setdefault(generator, {})[other] = value
        self.special.add(generator)

    def power(self, generator: int, exponent: int, value: Terms) -> None:
        """Let a power of a generator be a polynomial in lower ones."""
        self.powers[generator] = exponent, value
        self.special.add(generator)

    def exclude(self, generators: Iterable[int]) -> None:
        """Let any two of the generators have the product 0."""
        group = frozenset(generators)
        for generator in group:
            self.exclusive[generator] = group - {generator}
        self.special.update(group)

    def reduced(self, terms: Terms) -> Terms:
        """Return the polynomial with every relation applied."""
        special = self.special
        if not special or all(special.isdisjoint(monomial) for monomial in terms):
            return terms
        out: Terms = {}
        todo = list(terms.items())
        while todo:
            monomial, c = todo.pop()
            if not special.isdisjoint(monomial):
                better = self._step(monomial)
                if better is not None:
                    self.charge(len(todo) + len(better))
                    todo.extend((m, c * d) for m, d in better.items())
                    continue
            total = out.get(monomial, 0) + c
            if total:
                out[monomial] = total
            else:
                out.pop(monomial, None)
        return out

    def _step(self, monomial: Monomial) -> Terms | None:
        """Apply one relation to a monomial; None where none applies."""
        for generator in self.special.intersection(monomial):
            partner = self.partners.get(generator)
            if partner is not None and partner in monomial:
                rest = list(monomial)
                rest.remove(generator)
                rest.remove(partner)
                return {tuple(rest): 1}
            excluded = self.exclusive.get(generator)
            if excluded is not None and not excluded.isdisjoint(monomial):
                return {}
            for other, value in self.products.get(generator, {}).items():
                if other in monomial:
                    rest = list(monomial)
                    rest.remove(generator)
                    rest.remove(other)
                    return {tuple(sorted((*rest, *m))): d for m, d in value.items()}
            if self.folding:
                for other, let in self.pairs.get(generator, {}).items():
                    if other in monomial:
                        rest = list(monomial)
                        rest.remove(generator)
                        rest.remove(other)
                        return {tuple(sorted((*rest, let))): 1}
            rule = self.powers.get(generator)
            if rule is not None and monomial.count(generator) >= rule[0]:
                rest = list(monomial)
                for _ in range(rule[0]):
                    rest.remove(generator)
                return {tuple(sorted((*rest, *m))): d for m, d in rule[1].items()}
        return None


def add_product(out: Terms, a: Terms, b: Terms) -> None:
    """Add a product to a polynomial in place, relations aside; zeros may stay."""
    if len(a) > len(b):
        a, b = b, a
    get = out.get
    for m, c in a.items():
        if m:
            for n, d in b.items():
                key = tuple(sorted(m + n))
                out[key] = get(key, 0) + c * d
        elif c == 1:
            for n, d in b.items():
                out[n] = get(n, 0) + d
        else:
            for n, d in b.items():
                out[n] = get(n, 0) + c * d


def cleaned(terms: Terms) -> Terms:
    """Return a polynomial without zero coefficients."""
    if 0 in terms.values():
        return {m: c for m, c in terms.items() if c}
    return terms


def total(polynomials: Iterable[Terms]) -> Terms:
    """Return the sum of polynomials."""
    out: Terms = {}
    get = out.get
    for terms in polynomials:
        for m, c in terms.items():
            out[m] = get(m, 0) + c
    return cleaned(out)


def scaled(terms: Terms, factor: int | Fraction) -> Terms:
    """Return the product with a number."""
    if factor == 1:
        return terms
    return {m: c * factor for m, c in terms.items()} if factor else {}


def quotient(terms: Terms, by: Terms) -> Terms | None:
    """Return the monomial by which one polynomial is a multiple of another, if there is one."""
    if len(terms) != len(by) or not by:
        return None
    m, c = next(iter(terms.items()))
    for n, d in by.items():
        rest = list(m)
        for g in n:
            if g not in rest:
                break
            rest.remove(g)
        else:
            ratio = normal(Fraction(c) / d)
            product = {tuple(sorted((*rest, *k))): ratio * e for k, e in by.items()}
            if product == terms:
                return {tuple(rest): ratio}
    return None


def normal(number: int | Fraction) -> int | Fraction:
    """Return a whole number as an int, for speed."""
    if isinstance(number, Fraction) and number.denominator == 1:
        return number.numerator
    return number


def constant(number: Any) -> Terms:
    """Return a number as a polynomial."""
    value = normal(number if isinstance(number, int | Fraction) else Fraction(str(number)))
    return {(): value} if value else {}


def key_of(terms: Terms) -> object:
    """Return what two polynomials share if they are equal."""
    if len(terms) == 1:
        ((m, c),) = terms.items()
        return m, c
    return frozenset(terms.items())


def leading_sign(terms: Terms) -> int:
    """Return the sign of the first term, which tells a polynomial from its negative."""
    return 1 if terms[min(terms)] > 0 else -1
