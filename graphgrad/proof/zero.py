"""Decide exactly whether a SymPy expression is identically zero.

"zero" is an algebraic proof: the numerator vanishes in the field of rational functions over the
symbols and one atom per transcendental term (`atoms.py`).  "nonzero" is a certified witness: a
rational point at which a rigorous enclosure of the value excludes 0 (`intervals.py`).  Anything
else is "undecided".  Nothing is simplified, nothing is decided by sampling.

Every symbol ranges over the reals (over what its SymPy assumptions allow, over the positive reals
or a simplex if declared so).  The domain is where every sub-expression is real and finite, kinks
excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Literal

import sympy

from graphgrad.proof import functions as gg
from graphgrad.proof.atoms import Algebra
from graphgrad.proof.intervals import OutsideDomainError, Sample, outward
from graphgrad.proof.nodes import Nodes
from graphgrad.proof.poly import Budget, ExhaustedError, UndecidableError

KINKED = {sympy.Abs, sympy.sign, sympy.Max, sympy.Min, gg.step, gg.relu, gg.absolute, gg.sign}
KINKED |= {gg.maximum, gg.minimum, gg.where}
SCALES = (Fraction(1), Fraction(1, 4), Fraction(3), Fraction(8), Fraction(1, 16))
WIDE = (*SCALES, Fraction(1, 64), Fraction(24), Fraction(64))
CANDIDATES, FAR = 32, 512
"""How many points are tried, and how many where values are compared, further apart: a limit on a
gradient may be out of reach of usual numbers."""
PRECISIONS = (64, 192, 640)
SEEDS = 24


@dataclass(frozen=True, slots=True)
class Simplex:
    """Symbols that are entries of one probability vector, whose last entry is 1 less the others.

    With `vertices` it is a token: one entry is 1, the others are 0.
    """

    symbols: tuple[sympy.Symbol, ...]
    vertices: bool = False


@dataclass(frozen=True, slots=True)
class ZeroDecision:
    """A verdict with its reason and, for "nonzero", the certified witness."""

    verdict: Literal["zero", "nonzero", "undecided"]
    reason: str
    witness: dict[sympy.Symbol, sympy.Rational] | None = None
    enclosure: tuple[Decimal, Decimal] | None = None
    """Outward-rounded ends of an interval that contains the value at the witness, and not 0."""


class Field:
    """Decisions that share one table of atoms, one memo of elements and one set of enclosures."""

    def __init__(
        self,
        *,
        positive: Iterable[sympy.Symbol] = (),
        simplices: Iterable[Simplex] = (),
        max_terms: int = 200_000,
    ) -> None:
        self.max_terms = max_terms
        self._simplices = {symbol: each for each in simplices for symbol in each.symbols}
        self._positive = frozenset(positive)
        self._positive |= {s for s, each in self._simplices.items() if not each.vertices}
        self._nodes = Nodes()
        self._algebras: dict[bool, Algebra] = {}
        self._samples: dict[tuple[int, int], Sample] = {}

    def decide(self, expr: sympy.Expr, *, time_limit: float | None = None) -> ZeroDecision:
        """Whether the expression is identically zero on its domain."""
        return self.equal(expr, sympy.S.Zero, time_limit=time_limit)

    def equal(
        self, left: sympy.Expr, right: sympy.Expr, *, time_limit: float | None = None
    ) -> ZeroDecision:
        """Whether left - right is identically zero; the difference is never built in SymPy."""
        for side in (left, right):
            if not isinstance(side, sympy.Expr):
                return ZeroDecision("undecided", f"{type(side).__name__} is not a SymPy expression")
        root = self._nodes.intern(left)
        if right is not sympy.S.Zero:
            root = self._nodes.subtract(root, self._nodes.intern(right))
        return self._decide(root, Budget.start(self.max_terms, time_limit))

    def _decide(self, root: int, budget: Budget) -> ZeroDecision:
        witnesses = _Witnesses(
            self._nodes, self._samples, root, self._positive, self._simplices, budget.tick
        )
        try:
            decision = witnesses.first()
            reasons = []
            for exponential in (False, True):
                if decision is not None:
                    return decision
                try:
                    algebra = self._vanishing(root, budget, exponential=exponential)
                    if algebra is not None:
                        return self._proved(algebra, witnesses)
                    reasons.append("the numerator does not vanish in the atoms")
                except UndecidableError as failure:
                    reasons.append(str(failure))
                    if isinstance(failure, ExhaustedError):
                        break
            decision = witnesses.search()
        except ExhaustedError as failure:
            return ZeroDecision("undecided", str(failure))
        if decision is not None:
            return decision
        reason = "; in exponentials ".join(reasons)
        return ZeroDecision("undecided", f"{reason}; no witness was found: {witnesses.obstacle}")

    def _vanishing(self, root: int, budget: Budget, *, exponential: bool) -> Algebra | None:
        """The algebra in which the node's numerator vanishes.

        A root may have no value modulo the prime at the point that was drawn; equal arguments are
        then missed, so other points are tried.
        """
        for seed in range(SEEDS):
            algebra = self._algebras.get(exponential)
            if algebra is None or seed:
                algebra = Algebra(
                    self._nodes, positive=self._positive, exponential=exponential, seed=seed
                )
                self._algebras[exponential] = algebra
            algebra.ring.budget = budget
            if algebra.ring.is_zero(algebra.convert(root)):
                return algebra
            if algebra.ring.consistent:
                break
        return None

    def _proved(self, algebra: Algebra, witnesses: _Witnesses) -> ZeroDecision:
        """A proof with kinks counts only if the domain off the kinks has a certified point."""
        if witnesses.kinked and not witnesses.domain_point():
            return ZeroDecision("undecided", f"no point off the kinks found: {witnesses.obstacle}")
        off = ", kinks excluded" if witnesses.kinked else ""
        count = len(algebra.ring.generators)
        return ZeroDecision("zero", f"the numerator vanishes in {count} generators{off}")


class _Witnesses:
    """Rational points at which a rigorous enclosure of one node may exclude zero."""

    def __init__(
        self,
        nodes: Nodes,
        samples: dict[tuple[int, int], Sample],
        root: int,
        positive: frozenset[sympy.Symbol],
        simplices: Mapping[sympy.Symbol, Simplex],
        tick: Callable[[], None],
    ) -> None:
        self.nodes = nodes
        self.samples = samples
        self.root = root
        self.positive = positive
        self.simplices = simplices
        self.tick = tick
        reached = nodes.pending(root, ())
        self.symbols = [n for n in reached if isinstance(nodes.heads[n], sympy.Symbol)]
        self.kinked = any(nodes.heads[n] in KINKED for n in reached if nodes.args[n])
        self.obstacle = "not tried"
        self._inside = False

    def first(self) -> ZeroDecision | None:
        """One quick attempt."""
        return self._try(0, PRECISIONS[0])

    def search(self) -> ZeroDecision | None:
        """All candidates, with more digits for the first few."""
        for candidate in range(CANDIDATES):
            decision = self._try(candidate, PRECISIONS[0])
            if decision is not None:
                return decision
        for precision in PRECISIONS[1:]:
            for candidate in range(4):
                decision = self._try(candidate, precision)
                if decision is not None:
                    return decision
        for candidate in range(CANDIDATES, FAR if self.kinked else 0):
            decision = self._try(candidate, PRECISIONS[0])
            if decision is not None:
                return decision
        return None

    def domain_point(self) -> bool:
        """Whether some candidate is certainly inside the domain."""
        for candidate in range(CANDIDATES):
            if self._inside:
                return True
            self._try(candidate, PRECISIONS[0])
        return self._inside

    def _try(self, candidate: int, precision: int) -> ZeroDecision | None:
        point = self._point(candidate)
        if point is None:
            self.obstacle = "no candidate satisfies the assumptions on the symbols"
            return None
        key = candidate, precision
        sample = self.samples.setdefault(key, Sample(self.nodes, precision))
        try:
            low, high = sample.numbers.ends(sample.enclose(self.root, point, self.tick))
        except OutsideDomainError as failure:
            self.obstacle = str(failure)
            return None
        self._inside = True
        if low <= 0 <= high:
            self.obstacle = f"the enclosures of {precision} bits contain 0"
            return None
        witness = {self._symbol(n): sympy.Rational(*v.as_integer_ratio()) for n, v in point.items()}
        return ZeroDecision(
            "nonzero", "a rigorous enclosure excludes 0", witness, outward(low, high)
        )

    def _point(self, candidate: int) -> dict[int, Fraction] | None:
        """Small non-zero rationals, fixed by the candidate's number and the symbol."""
        point = {}
        for node in self.symbols:
            value = self._value(candidate, node)
            if value is None:
                return None
            point[node] = value
        return point

    def _value(self, candidate: int, node: int) -> Fraction | None:
        symbol = self._symbol(node)
        if symbol in self.simplices:
            return self._share(candidate, symbol, self.simplices[symbol])
        draw = Random(f"{candidate} {node} {symbol.name}")
        known = candidate < 2 * len(SCALES)
        others = SCALES if candidate < CANDIDATES else WIDE
        scale = SCALES[candidate // 2] if known else draw.choice(others)
        for attempt in range(12):
            value = Fraction(draw.randint(2, 12)) * (scale / 13 if attempt < 6 else 1)
            if symbol not in self.positive and candidate % 2 == 0:
                value *= draw.choice((-1, 1))
            if symbol.is_negative:
                value = -abs(value)
            number = sympy.Rational(value.numerator, value.denominator)
            facts = symbol.assumptions0.items()
            if all(getattr(number, f"is_{fact}", None) == held for fact, held in facts):
                return value
        return None

    def _share(self, candidate: int, symbol: sympy.Symbol, simplex: Simplex) -> Fraction:
        """An entry of a probability vector or of a token's unit vector."""
        count = len(simplex.symbols)
        if simplex.vertices:
            draw = Random(f"{candidate} {simplex.symbols[0].name}")
            chosen = draw.randrange(count + 1)
            return Fraction(int(chosen < count and simplex.symbols[chosen] == symbol))
        return Fraction(Random(f"{candidate} {symbol.name}").randint(1, 12), 13 * count)

    def _symbol(self, node: int) -> sympy.Symbol:
        symbol = self.nodes.heads[node]
        assert isinstance(symbol, sympy.Symbol)
        return symbol
