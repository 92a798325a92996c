"""Rigorous enclosures of an expression at a rational point: python-flint balls, else mpmath.iv."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import sympy
from mpmath.ctx_iv import MPIntervalContext  # type: ignore[import-untyped]

from graphgrad.errors import GraphgradError
from graphgrad.proof import functions as gg
from graphgrad.proof.nodes import Nodes

flint: Any = import_module("flint") if find_spec("flint") else None

Interval: TypeAlias = Any
"""A number of the chosen arithmetic, with the operators + - * /."""

LARGEST_ARGUMENT = 10**6
LARGEST_POWER = 10**6
LARGEST_EXPONENT = 10**5


class OutsideDomainError(GraphgradError):
    """The point is not provably inside the domain and off every kink; caught in this package."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What an interval arithmetic offers besides its operators."""

    number: Callable[[Fraction], Interval]
    ends: Callable[[Interval], tuple[Fraction, Fraction]]
    pi: Callable[[], Interval]
    exp: Callable[[Interval], Interval]
    log: Callable[[Interval], Interval]
    sin: Callable[[Interval], Interval]
    cos: Callable[[Interval], Interval]
    tanh: Callable[[Interval], Interval]
    sqrt: Callable[[Interval], Interval]


def _balls() -> Arithmetic:
    """python-flint's arb; its precision is set around each evaluation."""
    arb = flint.arb
    return Arithmetic(
        number=lambda value: arb(flint.fmpq(value.numerator, value.denominator)),
        ends=_ball_ends,
        pi=arb.pi,
        exp=arb.exp,
        log=arb.log,
        sin=arb.sin,
        cos=arb.cos,
        tanh=arb.tanh,
        sqrt=arb.sqrt,
    )


def _mpmath_intervals(precision: int) -> Arithmetic:
    """The interval context of mpmath, one of its own, so that no global precision is touched."""
    context = MPIntervalContext()
    context.prec = precision
    return Arithmetic(
        number=lambda value: context.mpf(value.numerator) / context.mpf(value.denominator),
        ends=lambda x: (_from_mpf(x._mpi_[0]), _from_mpf(x._mpi_[1])),
        pi=lambda: +context.pi,
        exp=context.exp,
        log=context.log,
        sin=context.sin,
        cos=context.cos,
        tanh=lambda x: 1 - 2 / (context.exp(2 * x) + 1),
        sqrt=context.sqrt,
    )


def _ball_ends(x: Interval) -> tuple[Fraction, Fraction]:
    if not x.is_finite():
        raise OutsideDomainError("the enclosure is not finite")
    low, high = (end.man_exp() for end in (x.lower(), x.upper()))
    return _scaled(int(low[0]), int(low[1])), _scaled(int(high[0]), int(high[1]))


def _sign(x: Interval) -> int | None:
    return 1 if x > 0 else -1 if x < 0 else None


def arithmetic(precision: int) -> Arithmetic:
    """The best interval arithmetic that is installed."""
    return _mpmath_intervals(precision) if flint is None else _balls()


class Sample:
    """The enclosures of all nodes at one point and precision, computed when asked for."""

    def __init__(self, nodes: Nodes, precision: int) -> None:
        self.nodes = nodes
        self.numbers = arithmetic(precision)
        self.precision = precision
        self.point: dict[int, Fraction] = {}
        self.values: dict[int, Interval] = {}
        self._failed: dict[int, str] = {}

    def enclose(
        self, root: int, point: Mapping[int, Fraction], tick: Callable[[], None]
    ) -> Interval:
        """An enclosure of the root; points must agree with earlier ones on shared symbols."""
        self.point.update(point)
        pending = self.nodes.pending(root, self.values)
        for node in pending:
            if node in self._failed:
                raise OutsideDomainError(self._failed[node])
        with working_precision(self.precision):
            for node in pending:
                tick()
                try:
                    self.values[node] = self._evaluate(node)
                except (
                    OutsideDomainError,
                    ValueError,
                    ZeroDivisionError,
                    OverflowError,
                ) as failure:
                    self._failed[node] = str(failure)
                    raise OutsideDomainError(str(failure)) from failure
        return self.values[root]

    def _evaluate(self, node: int) -> Interval:
        head, args = self.nodes.heads[node], self.nodes.args[node]
        if not args:
            return self._leaf(node, head)
        if head is sympy.Pow:
            return self._power(*args)
        rule = RULES.get(head)
        if rule is None:
            raise OutsideDomainError(f"{getattr(head, '__name__', head)} has no interval rule")
        return rule(self, *[self.values[arg] for arg in args])

    def _leaf(self, node: int, leaf: object) -> Interval:
        if isinstance(leaf, sympy.Symbol):
            return self.numbers.number(self.point[node])
        if isinstance(leaf, sympy.Rational):
            return self.numbers.number(Fraction(int(leaf.p), int(leaf.q)))
        if leaf is sympy.S.Exp1:
            return self.numbers.exp(self.numbers.number(Fraction(1)))
        if leaf is sympy.S.Pi:
            return self.numbers.pi()
        raise OutsideDomainError(f"{leaf} has no interval rule")

    def _power(self, base: int, exponent: int) -> Interval:
        number, x = self.nodes.heads[exponent], self.values[base]
        if not isinstance(number, sympy.Rational):
            return self._exp(self.values[exponent] * self._log(x))
        n, d = int(number.p), int(number.q)
        if abs(n) > LARGEST_POWER or d > LARGEST_POWER:
            raise OutsideDomainError("an exponent is too large to enclose")
        if d == 2:
            x = self.numbers.sqrt(self._positive(x))
        elif d != 1:
            x = self._exp(self._log(x) / d)
        if n < 0:
            x = 1 / self._nonzero(x)
        return x ** abs(n)

    # Domains

    def _nonzero(self, x: Interval) -> Interval:
        if _sign(x) is None:
            raise OutsideDomainError("a denominator or kink is not separated from zero")
        return x

    def _positive(self, x: Interval) -> Interval:
        if _sign(x) != 1:
            raise OutsideDomainError("the argument of log or a root is not positive")
        return x

    # Functions

    def _exp(self, x: Interval) -> Interval:
        return self.numbers.exp(moderate(x))

    def _log(self, x: Interval) -> Interval:
        return self.numbers.log(self._positive(x))

    def _sigma(self, x: Interval) -> Interval:
        return 1 / (1 + self._exp(-x))

    def _softplus(self, x: Interval) -> Interval:
        return self._log(1 + self._exp(x))

    def _tanh(self, x: Interval) -> Interval:
        return self.numbers.tanh(moderate(x))

    def _sin(self, x: Interval) -> Interval:
        return self.numbers.sin(moderate(x))

    def _cos(self, x: Interval) -> Interval:
        return self.numbers.cos(moderate(x))

    def _tan(self, x: Interval) -> Interval:
        return self._sin(x) / self._nonzero(self._cos(x))

    def _sinh(self, x: Interval) -> Interval:
        return (self._exp(x) - self._exp(-x)) / 2

    def _cosh(self, x: Interval) -> Interval:
        return (self._exp(x) + self._exp(-x)) / 2

    def _where(self, u: Interval, a: Interval, b: Interval) -> Interval:
        return a if _sign(self._nonzero(u)) == 1 else b

    def _step(self, u: Interval) -> Interval:
        one, zero = self.numbers.number(Fraction(1)), self.numbers.number(Fraction(0))
        return self._where(u, one, zero)

    def _sign(self, u: Interval) -> Interval:
        one = self.numbers.number(Fraction(1))
        return self._where(u, one, -one)

    def _relu(self, u: Interval) -> Interval:
        return self._where(u, u, self.numbers.number(Fraction(0)))

    def _absolute(self, u: Interval) -> Interval:
        return self._where(u, u, -u)

    def _maximum(self, first: Interval, *others: Interval) -> Interval:
        for other in others:
            first = self._where(first - other, first, other)
        return first

    def _minimum(self, first: Interval, *others: Interval) -> Interval:
        for other in others:
            first = self._where(other - first, first, other)
        return first

    def _add(self, first: Interval, *others: Interval) -> Interval:
        for other in others:
            first = first + other
        return first

    def _multiply(self, first: Interval, *others: Interval) -> Interval:
        for other in others:
            first = first * other
        return first


RULES: dict[object, Callable[..., Interval]] = {
    sympy.Add: Sample._add,
    sympy.Mul: Sample._multiply,
    sympy.exp: Sample._exp,
    sympy.log: Sample._log,
    sympy.tanh: Sample._tanh,
    sympy.sin: Sample._sin,
    sympy.cos: Sample._cos,
    sympy.tan: Sample._tan,
    sympy.sinh: Sample._sinh,
    sympy.cosh: Sample._cosh,
    sympy.Abs: Sample._absolute,
    sympy.sign: Sample._sign,
    sympy.Max: Sample._maximum,
    sympy.Min: Sample._minimum,
    gg.sigma: Sample._sigma,
    gg.softplus: Sample._softplus,
    gg.step: Sample._step,
    gg.relu: Sample._relu,
    gg.absolute: Sample._absolute,
    gg.sign: Sample._sign,
    gg.maximum: Sample._maximum,
    gg.minimum: Sample._minimum,
    gg.where: Sample._where,
    gg.stop: lambda sample, u: u,
}


def moderate(x: Interval) -> Interval:
    """Return an argument whose function can be enclosed, or refuse the point."""
    if not -LARGEST_ARGUMENT < x < LARGEST_ARGUMENT:
        raise OutsideDomainError("an argument is too large to enclose")
    return x


def outward(low: Fraction, high: Fraction, digits: int = 20) -> tuple[Decimal, Decimal]:
    """Decimal ends that enclose [low, high], rounded outwards."""
    ends = []
    for value, rounding in ((low, ROUND_FLOOR), (high, ROUND_CEILING)):
        context = Context(prec=digits, rounding=rounding)
        ends.append(context.divide(Decimal(value.numerator), Decimal(value.denominator)))
    return ends[0], ends[1]


def _scaled(mantissa: int, exponent: int) -> Fraction:
    if abs(exponent) > LARGEST_EXPONENT:
        raise OutsideDomainError("the enclosure is of no moderate size")
    return Fraction(mantissa) * Fraction(2) ** exponent


def _from_mpf(raw: tuple[int, int, int, int]) -> Fraction:
    sign, mantissa, exponent, _ = raw
    if not mantissa and exponent:
        raise OutsideDomainError("the enclosure is not finite")
    return _scaled(-int(mantissa) if sign else int(mantissa), int(exponent))


class working_precision:  # noqa: N801
    """Set python-flint's working precision for a block and restore it."""

    def __init__(self, precision: int) -> None:
        self.precision = precision
        self.before = 0

    def __enter__(self) -> None:
        if flint is not None:
            self.before, flint.ctx.prec = flint.ctx.prec, self.precision

    def __exit__(self, *details: object) -> None:
        if flint is not None:
            flint.ctx.prec = self.before
