"""The search for a witness: a rational point at which claim and truth are provably apart.

Random points come first. Where values are compared (`relu`, `where`, `max`), two gradients may
differ for some outcomes of the comparisons only: a condition that is off by a millionth is wrong
between two kinks that nearly coincide. So the lines between points with other outcomes are halved
until every outcome on the way has been seen, or no more than a billionth of a line is left for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.proof.clock import Clock
from graphgrad.proof.enclosure import Enclosed, Part, enclosed
from graphgrad.proof.findings import Fault, Findings, blank, shape_of, shape_of_gradient
from graphgrad.proof.intervals import OutsideDomainError
from graphgrad.proof.points import PLAIN, Values, as_data, middle, rounded, sample
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.question import Question, Side
from graphgrad.unfold import Dag

PRECISIONS = (128, 512)
FIRST, FEW, MORE = 6, 2, 48
"""How many random points are tried: at first, after the last that refuted anything, with kinks."""
DEEPEST = 30
QUICK_HALVINGS, HALVINGS = 80, 400
"""How many points between others are tried, in a quick search and in a thorough one."""
SIMPLE = (10, 100, 10_000, 10**6)
"""Denominators that a witness is rounded to, if it is one afterwards."""


class Search:
    """Points tried for one backward pass, and how comparisons went there.

    `parts` are those of a derivative that is not the whole gradient.
    """

    def __init__(
        self,
        question: Question,
        side: Side,
        passes: BackwardPass,
        clock: Clock,
        parts: Sequence[Part] = (),
    ) -> None:
        self.question, self.side, self.passes = question, side, passes
        self.clock, self.parts = clock, parts
        self.system = question.probed.check()
        self.seen: list[tuple[Values, tuple[bool, ...]]] = []
        self.tried: set[tuple[int, int]] = set()
        self.together: set[frozenset[int]] = set()
        """Comparisons that change their outcomes together, as far as can be seen."""
        self.helpless = False

    def quick(self, found: Findings) -> None:
        """Try a few points: most of what they do not refute is proved afterwards."""
        self._samples(found, PLAIN, FEW if found.refuted else FIRST, FEW)
        if not found.refuted:
            self._between(found, QUICK_HALVINGS)

    def thorough(self, found: Findings) -> None:
        """Try many points, for what nothing else decides."""
        self._samples(found, PLAIN, FIRST, PLAIN * len(PRECISIONS))
        if self.seen and self.seen[0][1]:
            self._samples(found, MORE, MORE, MORE)
            self._between(found, HALVINGS)

    def first(self, found: Findings) -> None:
        """Try one point."""
        self._sample(found, 0, PRECISIONS[0])

    def _samples(self, found: Findings, seeds: int, first: int, idle: int) -> None:
        """Try random points until so many in a row refute nothing more."""
        fruitless = 0
        for precision in PRECISIONS:
            for seed in range(seeds):
                if not self._goes_on(found) or fruitless >= (idle if found.refuted else first):
                    return
                if (seed, precision) not in self.tried:
                    fruitless = 0 if self._sample(found, seed, precision) else fruitless + 1

    def _goes_on(self, found: Findings) -> bool:
        over = self.helpless or self.clock.is_over
        return not over and bool(found.left(self.passes.gradients))

    def _sample(self, found: Findings, seed: int, precision: int) -> bool:
        """Try a random point; return whether it refutes anything more."""
        self.tried.add((seed, precision))
        dag = self.passes.dag
        values = sample(self.system, dag.tau, dag.sizes, seed)
        before = len(found.refuted)
        point = self._point(found, values, precision)
        if point is not None and precision == PRECISIONS[0]:
            self.seen.append((values, point.signs))
        return len(found.refuted) > before

    def _point(self, found: Findings, values: Values, precision: int) -> Enclosed | None:
        """Enter what a point refutes; None where it is no point of the domain."""
        try:
            point = enclosed(self.passes, values, precision, self.clock, self.parts)
            for name in found.left(self.passes.gradients):
                self._enter(found, point, values, name)
            for instance in self.passes.cotangents:
                if instance in point.claimed and next(point.differing(instance), None):
                    found.apart.add(instance)
        except OutsideDomainError:
            return None
        except UndecidableError:
            self.helpless = True
            return None
        return point

    def _enter(self, found: Findings, point: Enclosed, values: Values, name: str) -> None:
        """Enter that a gradient is refuted at a point, if it is."""
        difference = next(point.differing(name), None)
        if difference is None:
            return
        position, bounds = difference
        shape = shape_of_gradient(self.passes.dag, name)
        entry = tuple(int(k) for k in np.unravel_index(position, shape)) if shape else ()
        found.refuted[name] = replace(
            blank(self.question, self.side, name),
            verdict="refuted",
            reason="a rigorous enclosure excludes 0",
            entry=entry,
            witness=as_data(values),
            difference=(str(bounds[0]), str(bounds[1])),
        )
        if self.parts:
            self._blame(found, point, name)

    def _blame(self, found: Findings, point: Enclosed, name: str) -> None:
        """Enter the first cotangent that is wrong among those a gradient is computed from.

        None that it is computed from is known to differ, so its own equation does.
        """
        passes = self.passes
        known = [each for each in passes.cotangents if each in point.claimed]
        known.sort(key=passes.values.__getitem__, reverse=True)  # from the loss back
        below = _below(passes.dag, passes.gradients[name])
        suspects: list[str | Instance] = [e for e in known if below[passes.cotangents[e]]]
        for what in [*suspects, name] if known else ():
            wrong = next(point.differing(what), None)
            if wrong is not None:
                instance: Instance
                if isinstance(what, str):
                    instance, shape = (what, None), shape_of_gradient(passes.dag, what)
                else:
                    instance, shape = what, shape_of(passes.dag, what[0])
                entry = tuple(int(k) for k in np.unravel_index(wrong[0], shape)) if shape else ()
                size = f"{float(sum(wrong[1]) / 2):.3g} at the witness"
                found.blamed[name] = Fault(instance, entry, size)
                return

    # Between points

    def _between(self, found: Findings, budget: int) -> None:
        """Look for points between those at which comparisons had other outcomes."""
        for (a, signs), (b, others) in combinations(self.seen[:PLAIN], 2):
            if signs == others:
                continue
            b = {name: b[name] if self._moves(name) else value for name, value in a.items()}
            budget = self._halved(found, [(a, signs, b, others, 0)], budget)
            if budget <= 0 or not self._goes_on(found):
                return

    def _moves(self, name: str) -> bool:
        """Whether what has this name is no token."""
        declared = self.system.inputs.get(name)
        return declared is None or declared.kind != "token"

    def _halved(self, found: Findings, pending: list[Any], budget: int) -> int:
        """Halve stretches of a line at whose ends outcomes differ; return what is left to try."""
        while pending and budget > 0 and self._goes_on(found):
            a, signs, b, others, depth = pending.pop()
            changing = frozenset(k for k, sign in enumerate(signs) if sign != others[k])
            if not changing or changing in self.together:
                continue
            if depth == DEEPEST:
                self.together.add(changing)
                continue
            half = middle(a, b)
            before = set(found.refuted)
            point = self._point(found, half, PRECISIONS[0])
            budget -= 1
            if point is None:
                continue
            for name in found.refuted.keys() - before:
                self._simplify(found, half, name)
            pending.append((half, point.signs, b, others, depth + 1))
            pending.append((a, signs, half, point.signs, depth + 1))
        return budget

    def _simplify(self, found: Findings, values: Values, name: str) -> None:
        """Look for a witness with small denominators near by."""
        inputs = self.system.inputs
        for largest in SIMPLE:
            near = rounded(values, largest, lambda n: n in inputs and inputs[n].kind != "input")
            try:
                point = enclosed(self.passes, near, PRECISIONS[0], self.clock, self.parts)
            except UndecidableError:
                return
            except OutsideDomainError:
                continue
            if next(point.differing(name), None) is not None:
                self._enter(found, point, near, name)
                return


def _below(dag: Dag, nodes: Sequence[int]) -> bytearray:
    """Return which nodes some are computed from."""
    found = bytearray(len(dag))
    starts, args = dag.starts.tolist(), dag.args.tolist()
    for node in nodes:
        found[node] = 1
    for node in range(max(nodes, default=-1), -1, -1):
        if found[node]:
            for arg in args[starts[node] : starts[node + 1]]:
                found[arg] = 1
    return found
