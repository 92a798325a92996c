"""SymPy nodes as rational functions over Q in their symbols and one atom per transcendental term.

Every rule is an identity that holds wherever both sides are real and no kink is met.  Arguments
are compared as elements of this field, not as text, so equal arguments share an atom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

import sympy

from graphgrad.proof import functions as gg
from graphgrad.proof.nodes import Nodes
from graphgrad.proof.ring import BITS, PRIME, Generator, Exhausted, Poly, Ring, Undecidable

ROOT_ORDER = 2**6 * 3**2 * 5 * 7
MAX_EXPONENT_TERMS = 200
LARGEST_TRIAL_DIVISOR = 10_000


class Algebra:
    """The atom table, and the field element of every node converted so far.

    With `exponential` tanh, sigma and softplus are written through exp and log, which recognises
    more identities and costs more; without, they are atoms of their own.
    """

    def __init__(self, nodes: Nodes, *, positive: Iterable[sympy.Symbol], exponential: bool) -> None:
        self.nodes = nodes
        self.ring = Ring()
        self.exponential = exponential
        self.elements: dict[int, Poly] = {}
        self._failures: dict[int, str] = {}
        self._positive = frozenset(positive)
        self._atoms: dict[tuple[object, ...], list[tuple[tuple[Poly, ...], Poly]]] = {}
        self._exponentials: dict[int, tuple[int, int]] = {}
        self._log_of_generator: dict[int, Poly] = {}
        self._log_argument: dict[int, Poly] = {}
        self._complements: dict[int, Poly] = {}

    # Conversion

    def convert(self, root: int) -> Poly:
        """The element of a node; converts what it needs, in order, once."""
        pending = self.nodes.pending(root, self.elements)
        for node in pending:
            if node in self._failures:
                raise Undecidable(self._failures[node])
        for node in pending:
            try:
                self.elements[node] = self._convert(node)
            except Exhausted:
                raise
            except Undecidable as failure:
                self._failures[node] = str(failure)
                raise
        return self.elements[root]

    def forget(self) -> None:
        """Drop the elements, keep the symbols and the atoms."""
        kept = {n: poly for n, poly in self.elements.items() if not self.nodes.args[n]}
        self.elements = kept

    def _convert(self, node: int) -> Poly:
        self.ring.budget.tick()
        head, args = self.nodes.heads[node], self.nodes.args[node]
        if not args:
            return self._leaf(head)
        if head is sympy.Pow:
            return self._power(*args)
        if head is sympy.log and len(args) == 1:
            return self._log_node(args[0])
        return self._apply(head, [self.elements[arg] for arg in args])

    def _leaf(self, leaf: object) -> Poly:
        if isinstance(leaf, sympy.Rational):
            return self.ring.constant(Fraction(int(leaf.p), int(leaf.q)))
        if leaf is sympy.S.Exp1:
            return self._exp(self.ring.constant(1))
        if isinstance(leaf, sympy.Symbol):
            if not leaf.is_commutative or leaf.is_extended_real is False:
                raise Undecidable(f"the symbol {leaf} is not real")
            return self._free(positive=bool(leaf in self._positive or leaf.is_positive))
        if isinstance(leaf, sympy.NumberSymbol):
            return self._free(positive=bool(leaf.is_positive))
        if isinstance(leaf, sympy.Float):
            raise Undecidable("the expression has a floating-point number: write it as a Rational")
        raise Undecidable(f"{leaf} is not a real number or symbol")

    def _apply(self, head: object, args: list[Poly]) -> Poly:
        rule = RULES.get(head)
        if rule is not None:
            return rule(self, *args)
        if isinstance(head, type) and issubclass(head, sympy.Function):
            found = self._lookup(("function", head), *args)
            return found if found is not None else self._enter(("function", head), args)
        raise Undecidable(f"{getattr(head, '__name__', head)} is not supported")

    def _power(self, base: int, exponent: int) -> Poly:
        number = self.nodes.heads[exponent]
        if isinstance(number, sympy.Rational):
            return self._rational_power(self.elements[base], Fraction(int(number.p), int(number.q)))
        return self._exp(self.ring.multiply(self.elements[exponent], self._log_node(base)))

    def _rational_power(self, base: Poly, exponent: Fraction) -> Poly:
        n, d = exponent.as_integer_ratio()
        if d != 1:
            base = self._root(base, d)
        if n < 0:
            base = self.ring.inverse(base)
        return self.ring.power(base, abs(n))

    # Atoms

    def _free(self, **signs: bool) -> Poly:
        seed = self.ring.draw()
        value = pow(seed, ROOT_ORDER, PRIME)
        return self.ring.generator(Generator(value, seed=(seed, ROOT_ORDER), **signs))

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
        """u or -u, whichever represents both, and whether the sign was changed."""
        if u.value <= PRIME // 2:
            return u, False
        return self.ring.scale(u, -1), True

    @staticmethod
    def _index(atom: Poly) -> int:
        (monomial,) = atom.terms
        return (monomial.bit_length() - 1) // BITS

    # Sums

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
        """The sum; c*(1 - s) is written as c times its abbreviation."""
        total = self.ring.add(args)
        if len(total.terms) == 2 and 0 in total.terms:
            ((monomial, c),) = ((m, c) for m, c in total.terms.items() if m)
            if c == -total.terms[0] and monomial in self._complements:
                factor = Fraction(total.terms[0], total.den)
                return self.ring.scale(self._complements[monomial], factor)
        return total

    # Exponential family

    def _exp(self, u: Poly) -> Poly:
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(1)
        u = ring.expand(u)
        found = self._lookup(("exp",), u)
        if found is not None:
            return found
        opposite = self._lookup(("exp",), ring.scale(u, -1))
        if opposite is not None:
            return ring.inverse(opposite)
        if len(u.terms) > MAX_EXPONENT_TERMS:
            raise Undecidable(f"the argument of exp has {len(u.terms)} terms")
        factors = [self._exp_monomial(m, Fraction(c, u.den)) for m, c in u.terms.items()]
        return self._enter(("exp",), [u], ring.product(factors))

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
            bound = max((abs(ring.exponent(monomial, i)) for i in ring.present([monomial])), default=0)
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
        u, flipped = self._oriented(u)
        atom = self._lookup(("tanh",), u)
        if atom is None:
            atom = self._enter(("tanh",), [u])
            self._define_complement(ring.power(atom, 2))
        return ring.scale(atom, -1) if flipped else atom

    def _sigma(self, u: Poly) -> Poly:
        ring = self.ring
        if ring.is_zero(u):
            return ring.constant(Fraction(1, 2))
        if self.exponential:
            e = self._exp(u)
            return ring.multiply(e, ring.inverse(ring.add([e, ring.constant(1)])))
        u, flipped = self._oriented(u)
        atom = self._lookup(("sigma",), u)
        if atom is None:
            atom = self._enter(("sigma",), [u], self._free(positive=True))
            other = self._define_complement(atom)
            self._log_of_generator[self._index(atom)] = ring.scale(self._softplus(ring.scale(u, -1)), -1)
            self._log_of_generator[self._index(other)] = ring.scale(self._softplus(u), -1)
        return self._add(ring.constant(1), ring.scale(atom, -1)) if flipped else atom

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
            if isinstance(exponent, sympy.Rational):
                if not exponent.is_Integer or ring.is_positive(self.elements[args[0]]):
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
            raise Undecidable("the argument of log vanishes identically")
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
                    raise Undecidable("a root of a quotient whose denominator may be negative")
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
            raise Undecidable("the root of a number is too large")
        factors = [ring.constant(Fraction(1, d))]
        for prime, exponent in _factors(n * d ** (degree - 1)):
            factors.append(ring.constant(prime ** (exponent // degree)))
            if exponent % degree:
                base = ring.constant(prime)
                root = self._lookup(("root", degree), base)
                root = self._root_atom(base, degree) if root is None else root
                factors.append(ring.power(root, exponent % degree))
        return ring.product(factors)

    # Angles

    def _angle(self, u: Poly) -> tuple[Poly, Poly, bool]:
        """cos and sin of u up to sign, with sin**2 = 1 - cos**2, and whether u was negated."""
        ring = self.ring
        u, flipped = self._oriented(u)
        cos, sin = self._lookup(("cos",), u), self._lookup(("sin",), u)
        if cos is None or sin is None:
            t = ring.draw()
            scale = pow(1 + t * t, -1, PRIME)
            cos = ring.generator(Generator((1 - t * t) * scale % PRIME))
            square = ring.subtract(ring.constant(1), ring.power(cos, 2))
            sin = ring.generator(Generator(2 * t * scale % PRIME, degree=2, replacement=square))
            self._enter(("cos",), [u], cos)
            self._enter(("sin",), [u], sin)
        return cos, sin, flipped

    def _cos(self, u: Poly) -> Poly:
        return self.ring.constant(1) if self.ring.is_zero(u) else self._angle(u)[0]

    def _sin(self, u: Poly) -> Poly:
        if self.ring.is_zero(u):
            return self.ring.constant(0)
        _, sin, flipped = self._angle(u)
        return self.ring.scale(sin, -1) if flipped else sin

    # Kinks

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

    def _relu(self, u: Poly) -> Poly:
        return self.ring.multiply(u, self._step(u))

    def _absolute(self, u: Poly) -> Poly:
        return self.ring.multiply(u, self._sign(u))

    def _where(self, u: Poly, a: Poly, b: Poly) -> Poly:
        ring = self.ring
        return ring.add([b, ring.multiply(self._step(u), ring.subtract(a, b))])

    def _maximum(self, first: Poly, *others: Poly) -> Poly:
        for other in others:
            first = self._where(self.ring.subtract(first, other), first, other)
        return first

    def _minimum(self, first: Poly, *others: Poly) -> Poly:
        for other in others:
            first = self._where(self.ring.subtract(other, first), first, other)
        return first

    # Compositions

    def _tan(self, u: Poly) -> Poly:
        return self.ring.multiply(self._sin(u), self.ring.inverse(self._cos(u)))

    def _sinh(self, u: Poly) -> Poly:
        e = self._exp(u)
        return self.ring.scale(self.ring.subtract(e, self.ring.inverse(e)), Fraction(1, 2))

    def _cosh(self, u: Poly) -> Poly:
        e = self._exp(u)
        return self.ring.scale(self.ring.add([e, self.ring.inverse(e)]), Fraction(1, 2))


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


RULES: dict[object, Callable[..., Poly]] = {
    sympy.Add: Algebra._add,
    sympy.Mul: lambda algebra, *args: algebra.ring.product(args),
    sympy.exp: Algebra._exp,
    sympy.tanh: Algebra._tanh,
    sympy.sin: Algebra._sin,
    sympy.cos: Algebra._cos,
    sympy.tan: Algebra._tan,
    sympy.sinh: Algebra._sinh,
    sympy.cosh: Algebra._cosh,
    sympy.Abs: Algebra._absolute,
    sympy.sign: Algebra._sign,
    sympy.Max: Algebra._maximum,
    sympy.Min: Algebra._minimum,
    gg.sigma: Algebra._sigma,
    gg.softplus: Algebra._softplus,
    gg.step: Algebra._step,
    gg.relu: Algebra._relu,
    gg.absolute: Algebra._absolute,
    gg.sign: Algebra._sign,
    gg.maximum: Algebra._maximum,
    gg.minimum: Algebra._minimum,
    gg.where: Algebra._where,
    gg.stop: lambda algebra, u: u,
}
