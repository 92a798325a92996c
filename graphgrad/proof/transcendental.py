"""Exponentials, logarithms and roots as elements of the field.

Every rule is an identity that holds wherever both sides are real.
"""

from __future__ import annotations

from fractions import Fraction

import sympy

from graphgrad.proof.nodes import Nodes
from graphgrad.proof.poly import PRIME, Generator, Poly, UndecidableError
from graphgrad.proof.table import AtomTable

MAX_EXPONENT_TERMS = 200
LARGEST_TRIAL_DIVISOR = 10_000


class Transcendental(AtomTable):
    """The rules that link exp, log, powers, tanh, sigma and softplus."""

    def __init__(self, nodes: Nodes, *, exponential: bool, seed: int) -> None:
        super().__init__(seed)
        self.nodes = nodes
        self.exponential = exponential
        self.elements: dict[int, Poly] = {}
        self._exponentials: dict[int, tuple[int, int]] = {}
        self._log_of_generator: dict[int, Poly] = {}
        self._log_argument: dict[int, Poly] = {}

    # Exponentials

    def _exp(self, u: Poly) -> Poly:
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(1)
        found = self._known_exp(u)
        if found is None:
            u = ring.expand(u)
            found = self._known_exp(u)
        if found is not None:
            return found
        if len(u.terms) > MAX_EXPONENT_TERMS:
            raise UndecidableError(f"the argument of exp has {len(u.terms)} terms")
        factors = [self._exp_monomial(m, Fraction(c, u.den)) for m, c in u.terms.items()]
        return self._enter(("exp",), [u], ring.product(factors))

    def _known_exp(self, u: Poly) -> Poly | None:
        """exp(u) by an atom that is there: that of u or -u, or exp(u) = sigma(u)/sigma(-u)."""
        ring = self.ring
        found = self._lookup(("exp",), u)
        if found is not None:
            return found
        opposite = self._lookup(("exp",), ring.scale(u, -1))
        if opposite is not None:
            return ring.inverse(opposite)
        sigma, other = (self._lookup(("sigma",), each) for each in (u, ring.scale(u, -1)))
        if sigma is None or other is None:
            return None
        return ring.multiply(sigma, ring.inverse(other))

    def _exp_monomial(self, monomial: int, factor: Fraction) -> Poly:
        """exp(factor * monomial), as a power of one generator for each monomial."""
        ring = self.ring
        if monomial in self._log_argument:
            return self._rational_power(self._log_argument[monomial], factor)
        if monomial not in self._exponentials:
            index = self._index(self._free(positive=True))
            self._exponentials[monomial] = (index, factor.denominator)
            value = 1
            for i in ring.present([monomial]):
                power = pow(ring.generators[i].value, ring.exponent(monomial, i), PRIME)
                value = value * power % PRIME
            bound = max(
                (abs(ring.exponent(monomial, i)) for i in ring.present([monomial])), default=0
            )
            argument = Poly({monomial: 1}, 1, bound, value)
            self._log_of_generator[index] = ring.scale(argument, Fraction(1, factor.denominator))
        index, denominator = self._exponentials[monomial]
        return self._generator_power(index, factor * denominator)

    def _generator_power(self, index: int, exponent: Fraction) -> Poly:
        """A rational power of a positive free generator."""
        ring = self.ring
        n, d = exponent.as_integer_ratio()
        whole = ring.monomial(index, n // d)
        if d == 1:
            return whole
        base = ring.monomial(index, 1)
        root = self._lookup(("root", d), base)
        if root is None:
            root = self._root_atom(base, d)
        return ring.multiply(whole, ring.power(root, n % d))

    def _tanh(self, u: Poly) -> Poly:
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(0)
        if self.exponential:
            e, one = self._exp(ring.scale(u, 2)), ring.constant(1)
            return ring.multiply(ring.subtract(e, one), ring.inverse(ring.add([e, one])))
        atom = self._tanh_atom(u)
        if atom is not None:
            return atom
        sigma = self._lookup(("sigma",), ring.scale(u, 2))
        if sigma is not None:
            return ring.add([ring.scale(sigma, 2), ring.constant(-1)])
        self._define_complement(ring.power(self._enter(("tanh",), [self._oriented(u)[0]]), 2))
        return self._tanh(u)

    def _tanh_atom(self, u: Poly) -> Poly | None:
        """tanh(u) by the atom of u or -u, if there is one."""
        u, flipped = self._oriented(u)
        atom = self._lookup(("tanh",), u)
        return atom if atom is None or not flipped else self.ring.scale(atom, -1)

    def _sigma(self, u: Poly) -> Poly:
        """sigma(u), an atom; or defined by exp(u) or tanh(u/2) where one of them is an atom."""
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(Fraction(1, 2))
        if self.exponential:
            e = self._exp(u)
            return ring.multiply(e, ring.inverse(ring.add([e, ring.constant(1)])))
        if self._lookup(("sigma",), u) is None:
            self._enter_sigma(self._oriented(u)[0])
        atom = self._lookup(("sigma",), u)
        assert atom is not None
        return atom

    def _enter_sigma(self, u: Poly) -> None:
        """Make the atoms sigma(u) and sigma(-u), which is 1 - sigma(u).

        Where exp(u) or tanh(u/2) is an atom already, they are written by it.
        """
        ring, one = self.ring, self.ring.constant(1)
        opposite = ring.scale(u, -1)
        e, bent = self._known_exp(u), self._tanh_atom(ring.scale(u, Fraction(1, 2)))
        if e is not None:
            other = ring.inverse(ring.add([e, one]))
            atom = ring.multiply(e, other)
        elif bent is not None:
            atom, other = (
                ring.scale(
                    ring.generator(Generator(part.value, positive=True, definition=part)),
                    Fraction(1, 2),
                )
                for part in (ring.add([one, bent]), ring.subtract(one, bent))
            )
        else:
            atom = self._free(positive=True)
            other = self._define_complement(atom)
            pair = self._index(atom), self._index(other)
            self._pairs.update(dict.fromkeys(pair, pair))
            for part, argument in zip(pair, (opposite, u), strict=True):
                self._log_of_generator[part] = ring.scale(self._softplus(argument), -1)
        self._enter(("sigma",), [u], atom)
        self._enter(("sigma",), [opposite], other)

    def _softplus(self, u: Poly) -> Poly:
        ring = self.ring
        if self.exponential:
            return self._log(ring.add([ring.constant(1), self._exp(u)]))
        if ring.is_zero(u):
            return self._log_number(Fraction(2))
        w, flipped = self._oriented(u)
        atom = self._lookup(("softplus",), w)
        if atom is None:
            atom = self._enter(("softplus",), [w], self._free(positive=True))
        return ring.add([atom, u]) if flipped else atom

    # Logarithms

    def _log_node(self, node: int) -> Poly:
        """The logarithm of a node, split over factors whose sign is known."""
        ring, nodes = self.ring, self.nodes
        parts: list[Poly] = []
        together: dict[Fraction, list[Poly]] = {}
        todo = [(node, Fraction(1))]
        while todo:
            node, factor = todo.pop()
            head, args = nodes.heads[node], nodes.args[node]
            if head is sympy.Mul:
                todo.extend((arg, factor) for arg in args)
                continue
            exponent = nodes.heads[args[1]] if head is sympy.Pow else None
            if isinstance(exponent, sympy.Rational) and (
                not exponent.is_Integer or ring.is_positive(self.elements[args[0]])
            ):
                todo.append((args[0], factor * Fraction(int(exponent.p), int(exponent.q))))
                continue
            if ring.is_positive(self.elements[node]):
                parts.append(ring.scale(self._log(self.elements[node]), factor))
            else:
                together.setdefault(factor, []).append(self.elements[node])
        for factor, rest in together.items():
            parts.append(ring.scale(self._log(ring.product(rest)), factor))
        return ring.add(parts)

    def _log(self, u: Poly) -> Poly:
        ring = self.ring
        numerator, removed = ring.clear(u)
        if not numerator.terms:
            raise UndecidableError("the argument of log vanishes identically")
        if not all(ring.generators[index].positive for index in removed):
            return self._log_atom(u)
        parts = [ring.scale(self._log_generator(i), removed[i]) for i in sorted(removed)]
        number, monomial, rest = ring.content(numerator)
        parts.append(self._log_number(number))
        (packed,) = monomial.terms
        for index in ring.present([packed]):
            exponent = ring.exponent(packed, index)
            if ring.generators[index].positive:
                parts.append(ring.scale(self._log_generator(index), exponent))
            else:
                rest = ring.multiply(rest, ring.monomial(index, exponent))
        parts.append(self._log_primitive(rest))
        return ring.add(parts)

    def _log_primitive(self, u: Poly) -> Poly:
        ring = self.ring
        if u.terms == {0: 1}:
            return ring.constant(0)
        short = self._add(u)
        if len(u.terms) == 2 and list(short.terms.values()) == [1]:
            index = ring.single(max(short.terms))
            if index is not None:
                return self._log_generator(index)
        return self._log_atom(u)

    def _log_atom(self, u: Poly) -> Poly:
        atom = self._lookup(("log",), u)
        if atom is None:
            atom = self._enter(("log",), [u])
            (monomial,) = atom.terms
            self._log_argument[monomial] = u
        return atom

    def _log_generator(self, index: int) -> Poly:
        """The logarithm of a positive generator."""
        if index not in self._log_of_generator:
            definition = self.ring.generators[index].definition
            if definition is not None:
                log = self._log(definition)
            else:
                log = self._log_atom(self.ring.monomial(index, 1))
            self._log_of_generator[index] = log
        return self._log_of_generator[index]

    def _log_number(self, number: Fraction) -> Poly:
        ring = self.ring
        parts = []
        for integer, sign in ((number.numerator, 1), (number.denominator, -1)):
            for prime, exponent in _factors(integer):
                parts.append(ring.scale(self._log_atom(ring.constant(prime)), sign * exponent))
        return ring.add(parts)

    # Roots

    def _root(self, u: Poly, degree: int) -> Poly:
        """The root of that degree of a quantity >= 0."""
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(0)
        u, removed = ring.clear(u)
        factors = []
        for index, exponent in removed.items():
            definition = ring.generators[index].definition
            assert definition is not None
            if ring.generators[index].positive:
                factors.append(self._generator_power(index, Fraction(exponent, degree)))
                continue
            outside, inside = divmod(exponent, degree)
            u = ring.multiply(u, ring.power(definition, inside))
            factors.append(ring.monomial(index, outside))
            if outside % 2:
                if degree % 2:
                    raise UndecidableError("a root of a quotient whose denominator may be negative")
                factors.append(self._sign(definition))
        number, monomial, rest = ring.content(u)
        factors.append(self._number_root(number, degree))
        (packed,) = monomial.terms
        for index in ring.present([packed]):
            exponent = ring.exponent(packed, index)
            if ring.generators[index].positive:
                factors.append(self._generator_power(index, Fraction(exponent, degree)))
            else:
                rest = ring.multiply(rest, ring.monomial(index, exponent))
        if rest.terms != {0: 1}:
            root = self._lookup(("root", degree), rest)
            factors.append(self._root_atom(rest, degree) if root is None else root)
        return ring.product(factors)

    def _root_atom(self, radicand: Poly, degree: int) -> Poly:
        ring = self.ring
        value = None
        index = ring.single(max(radicand.terms)) if list(radicand.terms.values()) == [1] else None
        seed = ring.generators[index].seed if index is not None else None
        if seed is not None and not seed[1] % degree:
            value = pow(seed[0], seed[1] // degree, PRIME)
        if value is None and degree == 2:
            value = pow(radicand.value, (PRIME + 1) // 4, PRIME)
        if value is None or pow(value, degree, PRIME) != radicand.value:
            value = ring.draw()
            ring.consistent = False
        positive = ring.is_positive(radicand)
        atom = ring.generator(
            Generator(value, positive, not positive, degree=degree, replacement=radicand)
        )
        return self._enter(("root", degree), [radicand], atom)

    def _number_root(self, number: Fraction, degree: int) -> Poly:
        ring = self.ring
        n, d = number.as_integer_ratio()
        if d.bit_length() * degree > 100_000:
            raise UndecidableError("the root of a number is too large")
        factors = [ring.constant(Fraction(1, d))]
        for prime, exponent in _factors(n * d ** (degree - 1)):
            factors.append(ring.constant(prime ** (exponent // degree)))
            if exponent % degree:
                base = ring.constant(prime)
                root = self._lookup(("root", degree), base)
                root = self._root_atom(base, degree) if root is None else root
                factors.append(ring.power(root, exponent % degree))
        return ring.product(factors)

    def _rational_power(self, base: Poly, exponent: Fraction) -> Poly:
        n, d = exponent.as_integer_ratio()
        if d != 1:
            base = self._root(base, d)
        if n < 0:
            base = self.ring.inverse(base)
        return self.ring.power(base, abs(n))


def _factors(integer: int) -> list[tuple[int, int]]:
    """(base, exponent) pairs of a positive integer: small primes, and one cofactor."""
    found = []
    divisor = 2
    while divisor * divisor <= integer and divisor <= LARGEST_TRIAL_DIVISOR:
        exponent = 0
        while integer % divisor == 0:
            integer //= divisor
            exponent += 1
        if exponent:
            found.append((divisor, exponent))
        divisor += 1
    if integer > 1:
        found.append((integer, 1))
    return found
