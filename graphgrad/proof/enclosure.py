"""Enclosures of a true gradient and of what a backward pass computes, at a rational point.

Two enclosures without a common point are a certified refutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.algebras import flat
from graphgrad.evaluate import kernel_of
from graphgrad.ir import OPS
from graphgrad.proof.balls import Ball, BallAlgebra, Tape
from graphgrad.proof.certificate import BackwardPass, Instance, spread
from graphgrad.proof.clock import Clock
from graphgrad.proof.intervals import Interval, OutsideDomainError, outward, working_precision

Slopes = list["Interval | None"]
"""A derivative by every scalar on a tape, by place; None is 0."""


@dataclass(frozen=True)
class Part:
    """A part of a derivative: `factor` times what flows along the edges (argument, user) in it.

    `counts` says to which cotangents it belongs, where a cotangent is one number.
    """

    factor: int
    goes: Callable[[int, int], bool]
    counts: Callable[[Instance], bool] | None = None


@dataclass(frozen=True)
class Enclosed:
    """Enclosures at one point: of each claimed quantity, and of the truth.

    `signs` are the outcomes of all comparisons of values, in the order of computation.
    """

    claimed: Mapping[str | Instance, list[Interval]]
    truth: Mapping[str | Instance, list[Interval]]
    ends: Callable[[Interval], tuple[Fraction, Fraction]]
    precision: int
    signs: tuple[bool, ...]

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


def enclosed(
    passes: BackwardPass,
    values: Mapping[str, Any],
    precision: int,
    clock: Clock,
    parts: Sequence[Part] = (),
) -> Enclosed:
    """Evaluate both passes at a point; OutsideDomainError where that is not possible.

    The truth is the derivative of the loss, or the sum of `parts` of it; then the cotangents on the
    way are compared as far as a part counts for them.
    """
    with working_precision(precision):
        return _Point(passes, values, precision, clock).enclosed(parts)


class _Point:
    """Both passes at one point, on a tape."""

    def __init__(
        self, passes: BackwardPass, values: Mapping[str, Any], precision: int, clock: Clock
    ) -> None:
        self.passes, self.precision, self.clock = passes, precision, clock
        self.tape = Tape(precision)
        self.algebra = BallAlgebra(self.tape)
        self.arrays = {
            name: value if np.asarray(value).dtype != object else self.algebra.array(name, value)
            for name, value in values.items()
        }
        self.crossings: dict[tuple[int, int], list[int]] = {}
        """The places at which a derivative leaves a node (user) for an argument of it."""

    def enclosed(self, parts: Sequence[Part]) -> Enclosed:
        """Return the enclosures of claims and truths."""
        try:
            store = self._evaluated(apart=bool(parts))
        except (ZeroDivisionError, ValueError, OverflowError) as failure:
            raise OutsideDomainError(str(failure)) from failure
        flows = self._flows(store, parts)
        found = self._total(flows)
        claimed: dict[str | Instance, list[Interval]] = {}
        truth: dict[str | Instance, list[Interval]] = {}

        def compare(
            what: str | Instance, computed: list[Ball], of: list[Ball], found: Any = found
        ) -> None:
            claimed[what] = [ball.value for ball in computed]
            slopes = [found[ball.place] for ball in of]
            truth[what] = [self.tape.zero if slope is None else slope for slope in slopes]

        for name, nodes in self.passes.gradients.items():
            computed = [ball for node in nodes for ball in flat(store[node])]
            compare(name, computed, flat(self.arrays[name]))
        for instance, node in self.passes.cotangents.items():
            own = [each for part, each in flows if part and part.counts and part.counts(instance)]
            if parts and not own:
                continue
            of = flat(store[self.passes.values[instance]])
            computed = spread(flat(store[node]), len(of))
            if all(isinstance(ball, Ball) for ball in of) and len(of) == len(computed):
                there = self._at(own, [ball.place for ball in of]) if parts else found
                compare(instance, computed, of, there)
        signs = tuple(self.tape.signs)
        return Enclosed(claimed, truth, self.tape.numbers.ends, self.precision, signs)

    def _evaluated(self, *, apart: bool) -> list[Any]:
        """Return the value of each node; if `apart`, each operand has a place of its own."""
        dag, passes = self.passes.dag, self.passes
        kernels = [kernel_of(dag, t, self.arrays, dag.sizes, self.algebra) for t in dag.templates]
        roots = {node for node in passes.values.values() if node not in dag.param_nodes.values()}
        forward = passes.forward()
        store: list[Any] = [None] * len(dag)
        kinds, times = dag.kinds.tolist(), dag.times.tolist()
        starts, args = dag.starts.tolist(), dag.args.tolist()
        for node in range(len(dag)):
            self.clock.tick()
            self.tape.forward = bool(forward[node])
            arguments = args[starts[node] : starts[node + 1]]
            operands = [store[arg] for arg in arguments]
            if apart and forward[node]:
                operands = [self._crossing(arg, node, store[arg]) for arg in arguments]
            value = kernels[kinds[node]](times[node], *operands)
            if node in roots and dag.templates[kinds[node]].op is not OPS["input"]:
                value = self.algebra.mapped(_own_place, value)
            store[node] = value
        return store

    def _crossing(self, arg: int, user: int, value: Any) -> Any:
        """Return an operand at places of its own."""
        own = self.algebra.mapped(_own_place, value)
        places = [ball.place for ball in flat(own) if isinstance(ball, Ball)]
        self.crossings.setdefault((arg, user), []).extend(places)
        return own

    def _flows(self, store: list[Any], parts: Sequence[Part]) -> list[tuple[Part | None, Slopes]]:
        """Return the derivative of the loss by every scalar, or each part of it."""
        seeds = _seeds(self.passes, store, self.arrays, self.tape)
        if not parts:
            return [(None, self.tape.derivatives(seeds, self.clock))]
        flows: list[tuple[Part | None, Slopes]] = []
        for part in parts:
            stopped = {
                place
                for (arg, user), places in self.crossings.items()
                if not part.goes(arg, user)
                for place in places
            }
            flows.append((part, self.tape.derivatives(seeds, self.clock, stopped)))
        return flows

    def _total(self, flows: Sequence[tuple[Part | None, Slopes]]) -> Slopes:
        """Return the sum of the parts of a derivative."""
        total: Slopes = [None] * len(self.tape.parents)
        for part, found in flows:
            if part is None:
                return found
            for place, slope in enumerate(found):
                if slope is not None:
                    before = total[place]
                    weighted = part.factor * slope
                    total[place] = weighted if before is None else before + weighted
        return total

    @staticmethod
    def _at(flows: Sequence[Slopes], places: Sequence[int]) -> dict[int, Interval | None]:
        """Return the sum of some parts at a few places."""
        total: dict[int, Interval | None] = dict.fromkeys(places)
        for found in flows:
            for place in places:
                slope, before = found[place], total[place]
                if slope is not None:
                    total[place] = slope if before is None else before + slope
        return total


def _own_place(value: Any) -> Any:
    """Return the same number at a place of its own, so that it has a derivative of its own."""
    if not isinstance(value, Ball):
        return value
    own = value.tape.enter(value.value, (value, value.tape.one))
    own.source = value.source
    return own


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
        balls = flat(store[node])
        upstream = [tape.one] * len(balls)
        if passes.seed is not None:
            given = arrays[passes.seed]
            upstream = [b.value for b in flat(given if step is None else given[step - 1])]
        seeds.update((ball.place, seed) for ball, seed in zip(balls, upstream, strict=True))
    return seeds
