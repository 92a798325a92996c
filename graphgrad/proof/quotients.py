"""Division in the ring: inverses as monomials, definitions written out, exact quotients."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import gcd, lcm

from graphgrad.proof.poly import BITS, PRIME, Generator, Poly, UndecidableError
from graphgrad.proof.ring import Ring


@dataclass(slots=True)
class QuotientRing(Ring):
    """A ring in which every sum that was ever a denominator has an inverse."""

    _denominators: dict[int, list[tuple[Poly, int]]] = field(default_factory=dict)

    def inverse(self, poly: Poly) -> Poly:
        """1/poly: monomials invert at once, a sum gets a generator that abbreviates it."""
        factors, todo = [], [poly]
        while todo:
            poly = todo.pop()
            if self.is_zero(poly):
                raise UndecidableError("a denominator vanishes identically")
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
            elif rest.terms in ({0: 1}, {0: -1}):
                factors.append(self.constant(rest.terms[0]))
            else:
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
        """The polynomial with definitions written out, in partial fractions where they divide."""
        for index in reversed(self._defined(poly)):
            if all(self.exponent(monomial, index) >= 0 for monomial in poly.terms):
                poly, _ = self._eliminate(poly, index)
            else:
                poly = self._parted(poly, index)
        return poly

    def _parted(self, poly: Poly, index: int) -> Poly:
        """The same with x**0 to x**(k - 1) in terms with a negative power of g = a*p + b*q.

        So m/(1 + m) and 1 - 1/(1 + m) are one sum. `p` and `q` are monomials in whose quotient q/p
        x has the exponent k or -k (then 1/x is meant), `a` and `b` are numbers.
        """
        base = self.generators[index].definition
        assert base is not None
        if len(base.terms) != 2:
            return poly
        p, q = sorted(base.terms, key=abs)
        factors = self.present([p, q])
        apart = [i for i in factors if self.exponent(p, i) != self.exponent(q, i)]
        if not all(self.generators[i].free for i in factors):
            return poly
        x = min(apart, key=lambda i: abs(self.exponent(q, i) - self.exponent(p, i)))
        k, one_g = self.exponent(q, x) - self.exponent(p, x), 1 << (BITS * index)
        a, b = (Fraction(base.terms[each], base.den) for each in (p, q))
        out: dict[int, Fraction] = {}
        pending = [(monomial, Fraction(c, poly.den)) for monomial, c in poly.terms.items()]
        while pending:
            self.budget.charge(1)
            monomial, c = pending.pop()
            power = self.exponent(monomial, x) * (1 if k > 0 else -1)
            if self.exponent(monomial, index) >= 0 or 0 <= power < abs(k):
                out[monomial] = out.get(monomial, Fraction(0)) + c
            elif power > 0:  # q = (g - a*p) / b
                pending.append((monomial - q + one_g, c / b))
                pending.append((monomial - q + p, -c * a / b))
            else:  # p = (g - b*q) / a
                pending.append((monomial - p + one_g, c / a))
                pending.append((monomial - p + q, -c * b / a))
        den = lcm(*(c.denominator for c in out.values()))
        terms = {monomial: int(c * den) for monomial, c in out.items()}
        return self._clean(terms, den, self._largest(terms), poly.value)

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
        if self.is_positive(opposite) or (rest.value > PRIME // 2 and not self.is_positive(rest)):
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
