"""The likely cause of a refuted gradient: what was claimed instead, seen at a few points in floats.

A cause is an explanation and no part of the refutation. It is named only if it fits at all points.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.errors import GraphgradError
from graphgrad.proof.clock import Clock
from graphgrad.proof.counts import CLOSE, counts_cause, factor_text, simple_ratio, solved
from graphgrad.proof.points import sample
from graphgrad.proof.question import Question, Side
from graphgrad.proof.result import Claim
from graphgrad.truncation import chunks, window

POINTS = 12
LARGEST = 60_000
"""No cause is looked for where both passes have more entries than that."""
TRUNCATED = "truncated"
MOST_STEPS = 12
"""Contributions are told apart in sequences of at most so many steps."""


def with_causes(
    question: Question, side: Side, claims: Sequence[Claim], truncation: Any, clock: Clock
) -> list[Claim]:
    """Return the claims about a side; what is refuted has its likely cause, where one is seen."""
    wrong = [claim for claim in claims if claim.verdict == "refuted" and not claim.indexed]
    if not wrong or side.scalars > LARGEST or clock.is_over:
        return list(claims)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            witness = wrong[0].values()
            view = View(question, side, wrong, truncation, witness)
            causes = {claim.name: view.cause(claim) for claim in wrong}
            if any(causes.values()):
                usual = View(question, side, wrong, truncation, _usual(question, side, witness))
                causes = {c.name: causes[c.name] if usual.may_be(c, causes[c.name]) else ""
                          for c in wrong}  # fmt: skip
    except GraphgradError:
        return list(claims)
    return [replace(claim, cause=causes.get(claim.name, "")) for claim in claims]


class View:
    """Claimed gradients and true contributions at several points, which share their parameters."""

    def __init__(
        self,
        question: Question,
        side: Side,
        wrong: Sequence[Claim],
        truncation: Any,
        point: Mapping[str, Any],
    ) -> None:
        self.lengths, self.sizes = dict(side.dag.tau), side.dag.sizes
        self.truncation = truncation
        names = list(dict.fromkeys(side.names))
        forward = question.probed.unfold(self.lengths, **self.sizes)
        self.values = values = _points(question, side, point)
        steps = sum(self.lengths.values())
        if steps <= MOST_STEPS:
            self.parts = by_point(forward.contributions(values, question.scalar, wrt=names), 2)
            self.mask = np.ones((steps, steps), bool)
            if truncation is not None:
                self.mask = truncation.mask(self.lengths)
            self.true = {name: part[self.mask].sum(0) for name, part in self.parts.items()}
        else:
            self.parts = {}
            graph = forward.grad(question.scalar, wrt=names)
            prefix = next(n for n in graph.outputs if n.endswith(names[0]))[: -len(names[0])]
            found = graph.evaluate(values, outputs=[prefix + name for name in names])
            self.true = by_point({name: found[prefix + name] for name in names}, 0)
        claimed = side.dag.evaluate(values, outputs=[claim.name for claim in wrong])
        self.got = by_point({claim.by: claimed[claim.name] for claim in wrong}, 0)

    def cause(self, claim: Claim) -> str:
        """Return the first hypothesis that fits at all points, in words; empty for none."""
        got, true = self.got[claim.by], self.true[claim.by]
        for text, wanted in self._hypotheses(claim.by):
            if wanted.shape == got.shape and near(got, wanted) and not near(true, wanted):
                return text  # what is the gradient itself as far as floats see explains nothing
        return self._counted(claim) if claim.by in self.parts else ""

    def may_be(self, claim: Claim, cause: str) -> bool:
        """Whether a cause is not excluded here; it is where the claim is right, or something else.

        Where there is no value, nothing is excluded.
        """
        got, true = self.got[claim.by], self.true[claim.by]
        if not (np.isfinite(got).all() and np.isfinite(true).all()):
            return True
        return self.cause(claim) == cause

    def _hypotheses(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield what may have been computed instead."""
        got, true = self.got[name], self.true[name]
        (tau, *others) = self.lengths.values()
        ratio = simple_ratio(got, true)
        if ratio is not None and ratio != 1:
            text = factor_text(ratio, 0 if others else tau, 1, at_once=False)
            yield f"it is {text}", float(ratio) * true
        if true.ndim == 3:
            yield "it is the transpose of the gradient", np.swapaxes(true, 1, 2)
        if name in self.parts:
            yield from self._truncations(self.parts[name])
        for other, wanted in self.true.items():
            if other != name:
                yield f"it is the gradient of {other}, which has the same shape", wanted
        yield "it is zero: nothing is counted", 0 * true

    def _truncations(self, parts: Any) -> Iterator[tuple[str, Any]]:
        if self.truncation is not None:
            yield "it is the whole gradient: nothing is cut off", parts.sum((0, 1))
        for k in range(1, max(self.lengths.values())):
            for other in (window(k), chunks(k)):
                if other != self.truncation:
                    text = f"it is {other}: truncated in another way"
                    if self.truncation is None:
                        text = f"it is {other} of the gradient: {TRUNCATED}"
                    yield text, parts[other.mask(self.lengths)].sum(0)

    def _counted(self, claim: Claim) -> str:
        """Return which contributions are counted too rarely or too often."""
        if len(self.lengths) > 1:
            return ""
        parts, got = self.parts[claim.by], self.got[claim.by]
        columns = parts.reshape(parts.shape[0] ** 2, -1).T
        counts = solved(claim.name, columns, got.ravel(), len(parts))
        return "" if counts is None else counts_cause(counts, self.mask)


def _usual(question: Question, side: Side, witness: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point with the data of the witness and random parameters.

    Those of a witness may be so large that most of what is summed vanishes.
    """
    system = question.probed.check()
    drawn = sample(system, side.dag.tau, side.dag.sizes, POINTS)
    return {
        name: value if name in system.inputs else np.asarray(drawn[name]).astype(float)
        for name, value in witness.items()
    }


def _points(question: Question, side: Side, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch of examples, the first one that of a point; parameters are its own."""
    system = question.probed.check()
    drawn = [sample(system, side.dag.tau, side.dag.sizes, seed) for seed in range(POINTS - 1)]
    found: dict[str, Any] = {}
    for name, value in point.items():
        if name not in system.inputs:
            found[name] = value
            continue
        axis = 0 if system.inputs[name].index is None else 1
        kind = np.asarray(value).dtype
        found[name] = np.stack([value, *(np.asarray(d[name]).astype(kind) for d in drawn)], axis)
    return found


def by_point(found: Mapping[str, Any], lead: int) -> dict[str, Any]:
    """Return arrays with an axis of points after the leading ones, constants too."""
    arrays = {name: np.asarray(value, float) for name, value in found.items()}
    return {
        name: array if array.shape[lead : lead + 1] == (POINTS,) else np.expand_dims(array, lead)
        for name, array in arrays.items()
    }


def near(got: Any, wanted: Any) -> bool:
    """Whether two arrays agree as far as floats of one computation do."""
    if not (np.isfinite(got).all() and np.isfinite(wanted).all()):
        return False
    return bool(np.max(np.abs(got - wanted)) <= CLOSE * max(float(np.max(np.abs(wanted))), 1e-300))
