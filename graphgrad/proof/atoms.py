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
from graphgrad.proof.poly import PRIME, ExhaustedError, Generator, Poly, UndecidableError
from graphgrad.proof.transcendental import Transcendental


class Algebra(Transcendental):
    """The atom table, and the field element of every node converted so far.

    With `exponential` tanh, sigma and softplus are written through exp and log, which recognises
    more identities and costs more; without, they are atoms of their own.
    """

    def __init__(
        self, nodes: Nodes, *, positive: Iterable[sympy.Symbol], exponential: bool, seed: int
    ) -> None:
        super().__init__(nodes, exponential=exponential, seed=seed)
        self._positive = frozenset(positive)
        self._failures: dict[int, str] = {}
        self._logistic_nodes: set[int] = set()
        self._stored = 0

    # Conversion

    def convert(self, root: int) -> Poly:
        """The element of a node; converts what it needs, in order, once."""
        if self._stored > 8 * self.ring.budget.max_terms:
            self._forget()
        pending = self.nodes.pending(root, self.elements)
        for node in pending:
            if node in self._failures:
                raise UndecidableError(self._failures[node])
            if not self.exponential:
                self._logistic_nodes |= self.nodes.logistic(node)
        for node in pending:
            try:
                self._relate(node)
                element = self._convert(node)
                self._stored += len(element.terms) * (1 + len(self.ring.generators) // 128)
                if self._stored > 16 * self.ring.budget.max_terms:
                    raise ExhaustedError("the polynomials need too much memory")
                self.elements[node] = element
            except ExhaustedError:
                raise
            except UndecidableError as failure:
                self._failures[node] = str(failure)
                raise
        return self.elements[root]

    def _relate(self, node: int) -> None:
        """Make the atom of sigma first, where exp or tanh is probably a part of it."""
        if node in self._logistic_nodes:
            (u,) = (self.elements[arg] for arg in self.nodes.args[node])
            self._sigma(self.ring.scale(u, 2) if self.nodes.heads[node] is sympy.tanh else u)

    def _forget(self) -> None:
        """Drop the elements, keep the symbols and the atoms."""
        self.elements = {n: poly for n, poly in self.elements.items() if not self.nodes.args[n]}
        self._stored = 0

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
                raise UndecidableError(f"the symbol {leaf} is not real")
            return self._free(positive=bool(leaf in self._positive or leaf.is_positive))
        if isinstance(leaf, sympy.NumberSymbol):
            return self._free(positive=bool(leaf.is_positive))
        if isinstance(leaf, sympy.Float):
            raise UndecidableError(
                "the expression has a floating-point number: write it as a Rational"
            )
        raise UndecidableError(f"{leaf} is not a real number or symbol")

    def _apply(self, head: object, args: list[Poly]) -> Poly:
        rule = RULES.get(head)
        if rule is not None:
            return rule(self, *args)
        if isinstance(head, type) and issubclass(head, sympy.Function):
            return self._opaque(head, *args)
        raise UndecidableError(f"{getattr(head, '__name__', head)} is not supported")

    def _opaque(self, key: object, *args: Poly) -> Poly:
        """An atom of which nothing is known but its arguments."""
        found = self._lookup(("function", key), *args)
        return found if found is not None else self._enter(("function", key), list(args))

    def _power(self, base: int, exponent: int) -> Poly:
        number = self.nodes.heads[exponent]
        if isinstance(number, sympy.Rational):
            return self._rational_power(self.elements[base], Fraction(int(number.p), int(number.q)))
        b, e = self.elements[base], self.elements[exponent]
        if self.ring.is_positive(b):
            return self._exp(self.ring.multiply(e, self._log_node(base)))
        return self._opaque("power", b, e)  # real at integer exponents though b may be negative

    # Angles

    def _angle(self, u: Poly) -> tuple[Poly, Poly, bool]:
        """Cosine and sine of u or -u, with sin**2 = 1 - cos**2, and whether it is -u."""
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
