"""Enclosures of a true gradient and of what a backward pass computes, at rational points.

Every scalar is an interval that provably contains the value; each operation notes the enclosures of
its partial derivatives, which are written down here once more and owe nothing to the rules in
`ops/`. One backward loop over these notes encloses every derivative of the loss. Two enclosures
without a common point are a certified refutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from graphgrad.algebras import ObjectAlgebra
from graphgrad.dims import Token, concrete
from graphgrad.evaluate import kernel_of
from graphgrad.ir import OPS, Number
from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.proof.intervals import (
    Interval,
    OutsideDomainError,
    arithmetic,
    outward,
    working_precision,
)
from graphgrad.proof.poly import UndecidableError
from graphgrad.system import System

MAX_OPERATIONS = 4_000_000
LARGEST_ARGUMENT = 10**6


class Tape:
    """What was computed from what, with enclosures of the partial derivatives."""

    def __init__(self, precision: int) -> None:
        self.numbers = arithmetic(precision)
        self.parents: list[tuple[tuple[int, Interval], ...]] = []
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

    def derivatives(self, seeds: Mapping[int, Interval]) -> list[Interval | None]:
        """Return the derivative of Σ seed·scalar by every scalar; None is zero."""
        found: list[Interval | None] = [None] * len(self.parents)
        for place, seed in seeds.items():
            found[place] = seed
        for place in range(len(self.parents) - 1, -1, -1):
            weight = found[place]
            if weight is None:
                continue
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


def _small(x: Interval) -> Interval:
    if not -LARGEST_ARGUMENT < x < LARGEST_ARGUMENT:
        raise OutsideDomainError("an argument is too large to enclose")
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
    value = tape.numbers.exp(_small(b.value * log))
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
                return u if relation in (">=", "<=") else v
            greater = bool(nonzero(x.value - y.value) > 0)
            return u if greater == (relation in (">", ">=")) else v

        return self.mapped(chosen, left, right, a, b)

    def max(self, v: Any) -> Ball:
        """Return the entry that is provably the largest, itself."""
        entries = list(np.ravel(v))
        best: Ball = entries[0]
        for entry in entries[1:]:
            best = entry if nonzero(entry.value - best.value) > 0 else best
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
    return 1 / (1 + tape.numbers.exp(_small(-u)))


def _relu(tape: Tape, u: Ball) -> Ball:
    positive = nonzero(u.value) > 0
    return tape.enter(u.value, (u, tape.one)) if positive else tape.constant(0)


def _abs(tape: Tape, u: Ball) -> Ball:
    return u if nonzero(u.value) > 0 else -u


FUNCTIONS: dict[str, Callable[..., Ball]] = {
    "tanh": _function(lambda t, u: t.numbers.tanh(_small(u)), lambda t, u, y: 1 - y * y),
    "sigmoid": _function(_sigma, lambda t, u, y: y * (1 - y)),
    "exp": _function(lambda t, u: t.numbers.exp(_small(u)), lambda t, u, y: y),
    "log": _function(lambda t, u: t.numbers.log(_positive(u)), lambda t, u, y: 1 / u),
    "sqrt": _function(lambda t, u: t.numbers.sqrt(_positive(u)), lambda t, u, y: 1 / (2 * y)),
    "sin": _function(
        lambda t, u: t.numbers.sin(_small(u)), lambda t, u, y: t.numbers.cos(_small(u))
    ),
    "cos": _function(
        lambda t, u: t.numbers.cos(_small(u)), lambda t, u, y: -t.numbers.sin(_small(u))
    ),
    "softplus": _function(
        lambda t, u: t.numbers.log(1 + t.numbers.exp(_small(u))), lambda t, u, y: _sigma(t, u)
    ),
    "relu": _relu,
    "abs": _abs,
    "maximum": lambda t, a, b: a if nonzero(a.value - b.value) > 0 else b,
    "minimum": lambda t, a, b: b if nonzero(a.value - b.value) > 0 else a,
    "stop_gradient": lambda t, u: t.enter(u.value),
}


# -- points ----------------------------------------------------------------------------------------


def sample(
    system: System, lengths: Mapping[str, int], sizes: Mapping[str, int], seed: int
) -> dict[str, Any]:
    """Return small non-zero rationals for every parameter and input; tokens are integers.

    Even seeds mix signs, odd ones are positive throughout.
    """
    draw = Random(seed)
    scale = (Fraction(1, 13), Fraction(1, 5), Fraction(1, 50), Fraction(1, 2))[seed // 2 % 4]

    def entry() -> Fraction:
        sign = draw.choice((-1, 1)) if seed % 2 == 0 else 1
        return sign * draw.randint(2, 12) * scale

    def array(shape: tuple[int, ...]) -> Any:
        result = np.empty(shape, object)
        for position in np.ndindex(*shape):
            result[position] = entry()
        return result

    found: dict[str, Any] = {
        name: array(concrete(param.shape, sizes)) for name, param in system.params.items()
    }
    for name, declared in system.inputs.items():
        lead = () if declared.index is None else (lengths[declared.index],)
        if isinstance(declared.type, Token):
            (count,) = concrete((declared.type.size,), sizes)
            tokens = [draw.randrange(count) for _ in range(lead[0] if lead else 1)]
            found[name] = np.array(tokens) if lead else tokens[0]
            continue
        values = array((*lead, *concrete(declared.type, sizes)))
        if declared.kind == "distribution":
            values = np.abs(values)
            values = values / np.sum(values, axis=-1, keepdims=True)
        found[name] = values
    return found


def as_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point as plain data: nested lists of rationals as text, tokens as integers."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype == object:
            text = np.empty(array.shape, object)
            for position in np.ndindex(*array.shape):
                text[position] = str(array[position])
            found[name] = text.tolist()
        else:
            found[name] = array.tolist()
    return found


# -- both passes at one point ----------------------------------------------------------------------


@dataclass(frozen=True)
class Enclosed:
    """Enclosures at one point: of each claimed quantity, and of the truth."""

    claimed: Mapping[str | Instance, list[Interval]]
    truth: Mapping[str | Instance, list[Interval]]
    ends: Callable[[Interval], tuple[Fraction, Fraction]]
    precision: int

    def bounds(self, value: Interval) -> tuple[Fraction, Fraction]:
        """Return ends between which a value lies."""
        with working_precision(self.precision):
            return self.ends(value)

    def difference(self, claim: Interval, truth: Interval) -> tuple[Fraction, Fraction]:
        """Return ends between which claim less truth lies."""
        with working_precision(self.precision):
            return self.ends(claim - truth)

    def differing(self, what: str | Instance) -> Iterator[tuple[int, tuple[Decimal, Decimal]]]:
        """Yield the entries at which claim and truth provably differ, with their difference."""
        for position, (claim, truth) in enumerate(
            zip(self.claimed[what], self.truth[what], strict=True)
        ):
            low, high = self.difference(claim, truth)
            if low > 0 or high < 0:
                yield position, outward(low, high)


def enclosed(passes: BackwardPass, values: Mapping[str, Any], precision: int) -> Enclosed:
    """Evaluate both passes at a point; OutsideDomainError where that is not possible."""
    with working_precision(precision):
        return _enclosed(passes, values, precision)


def _enclosed(passes: BackwardPass, values: Mapping[str, Any], precision: int) -> Enclosed:
    dag, tape = passes.dag, Tape(precision)
    algebra = BallAlgebra(tape)
    arrays = {
        name: value if np.asarray(value).dtype != object else algebra.array(name, value)
        for name, value in values.items()
    }
    kernels = [kernel_of(dag, t, arrays, dag.sizes, algebra) for t in dag.templates]
    roots = {node for node in passes.values.values() if node not in dag.param_nodes.values()}
    store: list[Any] = [None] * len(dag)
    kinds, times = dag.kinds.tolist(), dag.times.tolist()
    starts, args = dag.starts.tolist(), dag.args.tolist()
    try:
        for node in range(len(dag)):
            operands = args[starts[node] : starts[node + 1]]
            value = kernels[kinds[node]](times[node], *[store[arg] for arg in operands])
            if node in roots and dag.templates[kinds[node]].op is not OPS["input"]:
                value = algebra.mapped(_own_place, value)
            store[node] = value
    except (ZeroDivisionError, ValueError, OverflowError) as failure:
        raise OutsideDomainError(str(failure)) from failure
    found = tape.derivatives(_seeds(passes, store, arrays, tape))
    claimed: dict[str | Instance, list[Interval]] = {}
    truth: dict[str | Instance, list[Interval]] = {}

    def compare(what: str | Instance, computed: list[Ball], of: list[Ball]) -> None:
        claimed[what] = [ball.value for ball in computed]
        slopes = [found[ball.place] for ball in of]
        truth[what] = [tape.zero if slope is None else slope for slope in slopes]

    for name, nodes in passes.gradients.items():
        computed = [ball for node in nodes for ball in _balls(store[node])]
        compare(name, computed, _balls(arrays[name]))
    for instance, node in passes.cotangents.items():
        of = _balls(store[passes.values[instance]])
        computed = _balls(store[node])
        if all(isinstance(ball, Ball) for ball in of) and len(of) == len(computed):
            compare(instance, computed, of)
    return Enclosed(claimed, truth, tape.numbers.ends, precision)


def _own_place(value: Any) -> Any:
    """Return the same number at a place of its own, so that it has a derivative of its own."""
    if not isinstance(value, Ball):
        return value
    own = value.tape.enter(value.value, (value, value.tape.one))
    own.source = value.source
    return own


def _balls(value: Any) -> list[Any]:
    return list(np.ravel(value)) if isinstance(value, np.ndarray) else [value]


def _seeds(
    passes: BackwardPass, store: list[Any], arrays: Mapping[str, Any], tape: Tape
) -> dict[int, Interval]:
    """Return the upstream cotangents of the loss's scalars."""
    seeds: dict[int, Interval] = {}
    index = passes.dag.system.index_of(passes.loss)
    length = passes.dag.tau[index] if index else 0
    for (name, step), node in passes.values.items():
        if name != passes.loss or (step is not None and not 1 <= step <= length):
            continue
        balls = _balls(store[node])
        upstream = [tape.one] * len(balls)
        if passes.seed is not None:
            given = arrays[passes.seed]
            upstream = [b.value for b in _balls(given if step is None else given[step - 1])]
        seeds.update((ball.place, seed) for ball, seed in zip(balls, upstream, strict=True))
    return seeds
