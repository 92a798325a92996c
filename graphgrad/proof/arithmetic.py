"""Generators in order of creation, and sums, products, inverses, powers and roots of them.

A *let* stands for its definition, a polynomial in earlier generators; an *atom* for a function at
arguments that are polynomials; equal arguments share an atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.sparse import (
    Relations,
    Terms,
    add_product,
    cleaned,
    constant,
    key_of,
    normal,
    scaled,
    total,
)

LONG = 24
"""A factor with more terms is abbreviated where a product would become long."""
CONSTANTS = ("input", "cotangent", "stop", "step", "choice")
DEFINED = ("let", "name", "stop")
"""Kinds that stand for their argument."""


@dataclass(slots=True)
class Generator:
    """What a generator stands for; `active` says whether a derivative can flow through it."""

    kind: str
    name: str
    args: tuple[Terms, ...]
    active: bool
    positive: bool = False


class Arithmetic:
    """All generators in order of creation."""

    def __init__(self, relations: Relations) -> None:
        self.relations = relations
        self.items: list[Generator] = []
        self.active = bytearray()
        self.cotangents: set[int] = set()
        self.strict: set[int] = set()
        """Steps and choices of the forward pass: its kinks are not in the domain."""
        self.ties: dict[int, int] = {}
        """What steps are where their argument is 0."""
        self.forward = False
        """Whether the forward pass is evaluated."""
        self._known: dict[object, int] = {}
        self._values: dict[object, int] = {}
        self._choices: dict[object, dict[object, Terms]] = {}
        self._slopes: dict[int, tuple[Terms, ...]] = {}

    # Generators

    def new(
        self,
        kind: str,
        name: str = "",
        args: Sequence[Terms] = (),
        *,
        active: bool | None = None,
        positive: bool = False,
    ) -> int:
        """Enter a generator and return its number."""
        if active is None:
            active = kind not in CONSTANTS and any(self.is_active(arg) for arg in args)
        for arg in args:
            self.relations.keep(len(arg))
        self.items.append(Generator(kind, name, tuple(args), active, positive))
        self.active.append(active)
        if kind == "cotangent":
            self.cotangents.add(len(self.items) - 1)
        return len(self.items) - 1

    def is_active(self, terms: Terms) -> bool:
        """Whether any generator in a polynomial lets a derivative flow."""
        active = self.active
        return any(active[g] for m in terms for g in m)

    def let(self, terms: Terms, name: str, *, active: bool | None = None) -> int:
        """Enter a generator for a value, and remember that it has this value."""
        gid = self.new("let", name, [terms], active=active, positive=self.is_positive(terms))
        key = key_of(terms)
        self._values.setdefault(key, gid)
        if key in self._choices:
            self._choices[key_of({(gid,): 1})] = self._choices[key]
        if len(terms) == 1:
            ((m, c),) = terms.items()
            if c == 1 and len(m) == 2 and m[0] != m[1]:
                for inverse, other in (m, m[::-1]):
                    if self.items[inverse].kind == "inverse":
                        self.relations.pair(inverse, other, gid)
        return gid

    def canonical(self, terms: Terms) -> Terms:
        """Return an equal polynomial: a let where one has this value."""
        if not terms:
            return terms
        first = next(iter(terms))
        if not first or (len(terms) > 1 and not self.cotangents.isdisjoint(first)):
            return terms  # a number, or no value of the forward pass
        gid = self._values.get(key_of(terms))
        return terms if gid is None else {(gid,): 1}

    def _atom(self, kind: str, *args: Terms, positive: bool = False) -> int:
        key = (kind, *map(key_of, args))
        gid = self._known.get(key)
        if gid is None:
            gid = self._known[key] = self.new(kind, args=args, positive=positive)
        return gid

    def abbreviated(self, terms: Terms) -> Terms:
        """Return a generator that stands for a long polynomial."""
        if len(terms) <= 1:
            return terms
        gid = self.named(terms)
        self._values.setdefault(key_of(terms), gid)
        return {(gid,): 1}

    def named(self, terms: Terms, kind: str = "name") -> int:
        """Return the generator that abbreviates a polynomial; a "sum" is never written out."""
        return self._atom(kind, terms, positive=self.is_positive(terms))

    def replaced(self, terms: Terms, gid: int, image: Terms) -> Terms:
        """Return a polynomial with another in place of a generator."""
        kept = {m: c for m, c in terms.items() if gid not in m}
        parts: list[Terms] = [kept]
        for m, c in terms.items():
            if gid not in m:
                continue
            part: Terms = {tuple(g for g in m if g != gid): c}
            for _ in range(m.count(gid)):
                part = self.product(part, image)
            parts.append(part)
        return total(parts)

    def is_positive(self, terms: Terms) -> bool:
        """Whether a polynomial is visibly > 0 wherever it is defined."""
        items = self.items
        return bool(terms) and all(
            c > 0 and all(items[g].positive for g in m) for m, c in terms.items()
        )

    # Arithmetic

    def product(self, a: Terms, b: Terms) -> Terms:
        """Return a product, abbreviating a long factor where the product would be long."""
        if len(a) > len(b):
            a, b = b, a
        if len(a) > 4 and len(a) * len(b) > 256 and len(b) > LONG:
            b = self.abbreviated(b)
        if len(a) > 1:
            self.relations.charge(len(a) * len(b))
        if len(a) == 1:
            ((m, c),) = a.items()
            if not m:
                return scaled(b, c)
            out: Terms = {tuple(sorted(m + n)): c * d for n, d in b.items()}
        else:
            out = {}
            add_product(out, a, b)
            out = cleaned(out)
        return self.relations.reduced(out)

    def inverse(self, terms: Terms) -> Terms:
        """Return 1/u: generator by generator for a monomial, else one generator for the sum."""
        if not terms:
            raise UndecidableError("a denominator vanishes identically")
        if len(terms) == 1:
            ((m, c),) = terms.items()
            inverse: Terms = {tuple(sorted(map(self._partner, m))): normal(Fraction(1) / c)}
            return self.relations.reduced(inverse)
        c = terms[min(terms)]
        unit = scaled(terms, normal(Fraction(1) / c))
        gid = self._atom("inverse", unit, positive=self.is_positive(unit))
        return {(gid,): normal(Fraction(1) / c)}

    def _partner(self, gid: int) -> int:
        known = self.relations.partners.get(gid)
        if known is not None:
            return known
        item = self.items[gid]
        if item.kind == "inverse" and len(item.args[0]) > 1:
            inverse = self._atom("name", item.args[0], positive=item.positive)
        else:
            inverse = self._atom("inverse", {(gid,): 1}, positive=item.positive)
        self.relations.invertible(gid, inverse)
        return inverse

    def power(self, base: Terms, exponent: Terms) -> Terms:
        """Return a power: a product, a root, or an atom of both."""
        if not exponent:
            return {(): 1}
        shift = exponent.get((), 0)
        whole = shift.numerator // shift.denominator
        if abs(whole) > 64:
            raise UndecidableError(f"the exponent {whole} is too large")
        out: Terms = {(): 1}
        factor = self.inverse(base) if whole < 0 else base
        for _ in range(abs(whole)):
            out = self.product(out, factor)
        rest = total([exponent, constant(-whole)])
        if not rest:
            return out
        if set(rest) == {()}:
            fraction = Fraction(rest[()])
            root = self.root(base, fraction.denominator)
            for _ in range(fraction.numerator):
                out = self.product(out, root)
            return out
        gid = self._atom("power", base, rest, positive=True)
        return self.product(out, {(gid,): 1})

    def root(self, u: Terms, degree: int) -> Terms:
        """Return the root of a quantity > 0."""
        if not u or u == {(): 1}:
            return u
        key = (f"root {degree}", key_of(u))
        gid = self._known.get(key)
        if gid is None:
            gid = self._atom(f"root {degree}", u, positive=True)
            inverse = self._partner(gid)
            self.relations.power(gid, degree, u)
            self.relations.power(inverse, degree, self.inverse(u))
        return {(gid,): 1}
