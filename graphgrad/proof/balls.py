"""Intervals as a number type, with enclosures of derivatives noted on a tape.

Every scalar is an interval that provably contains the value; each operation notes the enclosures of
its partial derivatives, which are written down here once more and owe nothing to the rules in
`ops/`. One backward loop over these notes encloses every derivative of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.algebras import ObjectAlgebra
from graphgrad.ir import Number
from graphgrad.proof.clock import Clock
from graphgrad.proof.intervals import Interval, OutsideDomainError, arithmetic, moderate
from graphgrad.proof.poly import UndecidableError

MAX_OPERATIONS = 4_000_000
LARGEST_ARGUMENT = 10**6
OFTEN = 1024
"""After how many operations the clock is looked at."""


class Tape:
    """What was computed from what, with enclosures of the partial derivatives."""

    def __init__(self, precision: int) -> None:
        self.numbers = arithmetic(precision)
        self.parents: list[tuple[tuple[int, Interval], ...]] = []
        self.signs: list[bool] = []
        """Which way each comparison of values went, in the order of computation."""
        self.forward = True
        """Whether what is computed belongs to the forward pass, whose kinks are no points."""
        self.one = self.numbers.number(Fraction(1))
        self.zero = self.numbers.number(Fraction(0))

    def enter(self, value: Interval, *parents: tuple[Ball, Interval]) -> Ball:
        """Return a scalar that was computed from others."""
        self.parents.append(tuple((ball.place, slope) for ball, slope in parents))
        if len(self.parents) > MAX_OPERATIONS:
            raise UndecidableError(f"more than {MAX_OPERATIONS:,} operations on enclosures")
        return Ball(self, value, len(self.parents) - 1)

    def constant(self, value: Any) -> Ball:
        """Return a number as a scalar."""
        fraction = value if isinstance(value, Fraction) else Fraction(str(value))
        return self.enter(self.numbers.number(fraction))

    def positive(self, x: Interval) -> bool:
        """Return whether a number is positive, and note it; refuse a point at which it may be 0."""
        found = bool(nonzero(x) > 0)
        self.signs.append(found)
        return found

    def derivatives(
        self, seeds: Mapping[int, Interval], clock: Clock, stopped: Container[int] = ()
    ) -> list[Interval | None]:
        """Return the derivative of Σ seed·scalar by every scalar; None is zero.

        Derivatives do not go on from the places in `stopped`.
        """
        found: list[Interval | None] = [None] * len(self.parents)
        for place, seed in seeds.items():
            found[place] = seed
        for place in range(len(self.parents) - 1, -1, -1):
            weight = found[place]
            if weight is None or place in stopped:
                continue
            if not place % OFTEN:
                clock.tick()
            for parent, slope in self.parents[place]:
                part, before = weight * slope, found[parent]
                found[parent] = part if before is None else before + part
        return found


class Ball:
    """A scalar: an interval, and its place on the tape."""

    __slots__ = ("place", "source", "tape", "value")

    def __init__(self, tape: Tape, value: Interval, place: int) -> None:
        self.tape = tape
        self.value = value
        self.place = place
        self.source = place
        """The place of the same number, before it was given one of its own."""

    def _lifted(self, other: Any) -> Ball:
        return other if isinstance(other, Ball) else self.tape.constant(other)

    def __add__(self, other: Any) -> Ball:
        b, one = self._lifted(other), self.tape.one
        return self.tape.enter(self.value + b.value, (self, one), (b, one))

    __radd__ = __add__

    def __neg__(self) -> Ball:
        return self.tape.enter(-self.value, (self, -self.tape.one))

    def __sub__(self, other: Any) -> Ball:
        b, one = self._lifted(other), self.tape.one
        return self.tape.enter(self.value - b.value, (self, one), (b, -one))

    def __rsub__(self, other: Any) -> Ball:
        return self._lifted(other) - self

    def __mul__(self, other: Any) -> Ball:
        b = self._lifted(other)
        return self.tape.enter(self.value * b.value, (self, b.value), (b, self.value))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Ball:
        b = self._lifted(other)
        inverse = 1 / nonzero(b.value)
        quotient = self.value * inverse
        return self.tape.enter(quotient, (self, inverse), (b, -quotient * inverse))

    def __rtruediv__(self, other: Any) -> Ball:
        return self._lifted(other) / self

    def __pow__(self, exponent: Any) -> Ball:
        return power(self, exponent)


def nonzero(x: Interval) -> Interval:
    """Return an interval without 0, or refuse the point."""
    if not (x > 0 or x < 0):
        raise OutsideDomainError("a denominator or kink is not separated from zero")
    return x


def _positive(x: Interval) -> Interval:
    if not x > 0:
        raise OutsideDomainError("the argument of log or a root is not positive")
    return x


def power(a: Ball, b: Any) -> Ball:
    """Return a power: by products where the exponent is a small whole number."""
    tape = a.tape
    if not isinstance(b, Ball):
        fraction = Fraction(str(b))
        if fraction.denominator == 1 and abs(fraction) <= 64:
            n = int(fraction)
            if n == 0:
                return tape.constant(1)
            base = a.value if n > 0 else 1 / nonzero(a.value)
            value = _whole(tape, base, abs(n))
            rest = _whole(tape, base, n - 1 if n > 0 else abs(n) + 1)
            return tape.enter(value, (a, n * rest))
        b = tape.constant(fraction)
    log = tape.numbers.log(_positive(a.value))
    value = tape.numbers.exp(moderate(b.value * log))
    return tape.enter(value, (a, b.value * value / a.value), (b, value * log))


def _whole(tape: Tape, base: Interval, exponent: int) -> Interval:
    out = tape.one
    for _ in range(exponent):
        out = out * base
    return out


class BallAlgebra(ObjectAlgebra):
    """Intervals as a number type; derivatives are noted on the tape."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def number(self, value: Number) -> Ball:
        """Return a literal as the fraction it shows."""
        return self.tape.constant(value)

    def scalar(self, name: str, value: Any) -> Ball:
        """Return an entry of the data, a fraction."""
        return self.tape.constant(value)

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function on balls with its derivative."""
        rule = FUNCTIONS[name]
        return lambda *args: rule(self.tape, *args)

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return `a` where the comparison provably holds, `b` where it provably does not."""

        def chosen(x: Ball, y: Ball, u: Ball, v: Ball) -> Ball:
            if x.source == y.source:
                self.tape.signs.append(True)
                return u if relation in (">=", "<=") else v
            gap = x.value - y.value
            if not self.tape.forward and not any(self.tape.numbers.ends(gap)):
                self.tape.signs.append(True)
                return u if relation in (">=", "<=") else v
            greater = self.tape.positive(gap)
            return u if greater == (relation in (">", ">=")) else v

        return self.mapped(chosen, left, right, a, b)

    def max(self, v: Any) -> Ball:
        """Return the entry that is provably the largest, itself."""
        entries = list(np.ravel(v))
        best: Ball = entries[0]
        for entry in entries[1:]:
            best = entry if self.tape.positive(entry.value - best.value) else best
        return best

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power; a constant exponent is recognised by its exact value."""
        return power(a, b)

    def power(self, a: Any, b: Any) -> Any:
        """Return a power, entry by entry; whole exponents allow any base."""
        return self.mapped(_ball_power, a, b)


def _ball_power(a: Ball, b: Ball) -> Ball:
    low, high = a.tape.numbers.ends(b.value)
    if low == high and not a.tape.parents[b.place]:
        return power(a, low)
    return power(a, b)


def _function(
    value: Callable[[Tape, Interval], Interval],
    slope: Callable[[Tape, Interval, Interval], Interval],
) -> Callable[..., Ball]:
    def rule(tape: Tape, u: Ball) -> Ball:
        y = value(tape, u.value)
        return tape.enter(y, (u, slope(tape, u.value, y)))

    return rule


def _sigma(tape: Tape, u: Interval) -> Interval:
    return 1 / (1 + tape.numbers.exp(moderate(-u)))


def _relu(tape: Tape, u: Ball) -> Ball:
    return tape.enter(u.value, (u, tape.one)) if tape.positive(u.value) else tape.constant(0)


def _abs(tape: Tape, u: Ball) -> Ball:
    return u if tape.positive(u.value) else -u


FUNCTIONS: dict[str, Callable[..., Ball]] = {
    "tanh": _function(lambda t, u: t.numbers.tanh(moderate(u)), lambda t, u, y: 1 - y * y),
    "sigmoid": _function(_sigma, lambda t, u, y: y * (1 - y)),
    "exp": _function(lambda t, u: t.numbers.exp(moderate(u)), lambda t, u, y: y),
    "log": _function(lambda t, u: t.numbers.log(_positive(u)), lambda t, u, y: 1 / u),
    "sqrt": _function(lambda t, u: t.numbers.sqrt(_positive(u)), lambda t, u, y: 1 / (2 * y)),
    "sin": _function(
        lambda t, u: t.numbers.sin(moderate(u)), lambda t, u, y: t.numbers.cos(moderate(u))
    ),
    "cos": _function(
        lambda t, u: t.numbers.cos(moderate(u)), lambda t, u, y: -t.numbers.sin(moderate(u))
    ),
    "softplus": _function(
        lambda t, u: t.numbers.log(1 + t.numbers.exp(moderate(u))), lambda t, u, y: _sigma(t, u)
    ),
    "relu": _relu,
    "abs": _abs,
    "maximum": lambda t, a, b: a if t.positive(a.value - b.value) else b,
    "minimum": lambda t, a, b: b if t.positive(a.value - b.value) else a,
    "stop_gradient": lambda t, u: t.enter(u.value),
}
