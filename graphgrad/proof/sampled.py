"""Verdicts from random points: probable ones with an error bound, and certified digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor, log10
from typing import Any

from graphgrad.proof.certificate import BackwardPass
from graphgrad.proof.clock import NO_TIME, Clock
from graphgrad.proof.enclosure import Enclosed, enclosed
from graphgrad.proof.findings import Findings, blank
from graphgrad.proof.intervals import OutsideDomainError
from graphgrad.proof.points import sample
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.probabilistic import Outcome, probed
from graphgrad.proof.question import Question, Side, backward_pass
from graphgrad.proof.result import Claim
from graphgrad.proof.truncated import Masked, truncation_probed
from graphgrad.proof.witness import Search

PROBABILISTIC_TEXT = (
    "Schwartz–Zippel: both sides at a random point modulo a random 127-bit prime, functions as "
    "independent values"
)
ENCLOSURE_TEXT = "enclosures: both sides in interval arithmetic at random rational points"
POINTS, PRECISION, CANDIDATES = 3, 256, 12
DIFFERING = "the sides differ where functions have independent values"


def probabilistic_claims(
    question: Question, side: Side, names: Iterable[str], clock: Clock
) -> Iterator[Claim]:
    """Yield a claim for each gradient: proved with an error bound, refuted, or undecided."""
    passes = backward_pass(question, side)
    found, error = _compared(lambda: probed(passes, clock))
    _refuted(found, Search(question, side, passes, clock))
    for name in names:
        yield _claim(found, error, blank(question, side, name))


def _compared(compare: Callable[[], Outcome]) -> tuple[Findings, float]:
    """Return which gradients agree at a random point, and log2 of the error bound."""
    found, error = Findings(), 0.0
    try:
        outcome = compare()
        found.proved, error = set(outcome.agreeing), outcome.log_error
        found.reason = DIFFERING
    except ExhaustedError:
        found.reason = NO_TIME
    except UndecidableError as failure:
        found.reason = str(failure)
    return found, error


def _refuted(found: Findings, search: Search) -> None:
    """Look for a witness against what does not agree at a random point."""
    try:
        if found.left(search.passes.gradients):
            search.thorough(found)
    except ExhaustedError:
        found.reason = NO_TIME


def _claim(found: Findings, error: float, claim: Claim) -> Claim:
    """Return the claim that a gradient is right with what was found."""
    if claim.by in found.proved:
        return replace(claim, error=floor(-error))
    if claim.by in found.refuted:
        return replace(found.refuted[claim.by], truth=claim.truth)
    return replace(claim, verdict="undecided", reason=found.reason)


def truncated_claims(
    question: Question, side: Side, truncation: Any, clock: Clock
) -> Iterator[Claim]:
    """Yield a claim for each gradient: that it is the masked sum, with an error bound."""
    passes = backward_pass(question, side)
    try:
        masked = Masked(passes, truncation)
        found, error = _compared(lambda: truncation_probed(passes, masked, clock))
        _refuted(found, Search(question, side, passes, clock, masked.parts()))
    except UndecidableError as failure:
        found, error = Findings(reason=str(failure)), 0.0
    for name in side.names:
        claim = blank(question, side, name)
        claim = _claim(found, error, replace(claim, truth=f"{truncation} of {claim.truth}"))
        fault = found.blamed.get(name)
        if claim.verdict == "refuted" and fault is not None:
            claim = replace(claim, fault=fault.text(side.cotangent), residual=fault.residual)
        yield claim


def enclosure_claims(
    question: Question, side: Side, names: Iterable[str], clock: Clock
) -> Iterator[Claim]:
    """Yield a claim for each gradient: certified to so many digits, refuted, or undecided."""
    passes = backward_pass(question, side)
    found = Findings(reason="no point was found at which everything has a value")
    compared: dict[str, list[list[int | None]]] = {}
    try:
        Search(question, side, passes, clock).thorough(found)
        for point in _points(question, passes, clock):
            for name in found.left(passes.gradients):
                compared.setdefault(name, []).append(agreement(point, name))
    except UndecidableError as failure:
        found.reason = str(failure)
    for name in names:
        claim = found.refuted.get(name) or blank(question, side, name)
        if name not in found.refuted:
            digits = fewest(compared.get(name, []))
            if digits > 0:
                reason = f"equal to {digits} digits at {len(compared[name])} random points"
                claim = replace(claim, verdict="certified", digits=digits, reason=reason)
            else:
                claim = replace(claim, verdict="undecided", reason=found.reason)
        yield claim


def _points(question: Question, passes: BackwardPass, clock: Clock) -> Iterator[Enclosed]:
    """Yield both sides at a few points inside the domain."""
    system = question.probed.check()
    count = 0
    for seed in range(CANDIDATES):
        if count == POINTS:
            return
        clock.tick()
        values = sample(system, passes.dag.tau, passes.dag.sizes, seed)
        try:
            yield enclosed(passes, values, PRECISION, clock)
        except OutsideDomainError:
            continue
        count += 1


def agreement(point: Enclosed, name: str) -> list[int | None]:
    """Return to how many digits each entry's claim and truth provably agree, relative to its size.

    None where both are near zero at this point: cancellation leaves nothing to compare with.
    """
    found: list[int | None] = []
    for claim, truth in zip(point.claimed[name], point.truth[name], strict=True):
        low, high = point.difference(claim, truth)
        error = max(abs(low), abs(high))
        ends = point.bounds(truth)
        size = Fraction(0) if ends[0] <= 0 <= ends[1] else min(map(abs, ends))
        if error == 0:
            found.append(PRECISION)
        elif not size:
            found.append(None)
        else:
            found.append(max(0, floor(_log10(size) - _log10(error))))
    return found


def fewest(points: list[list[int | None]]) -> int:
    """Return the digits to which every entry agrees wherever it can be compared; 0 for nowhere."""
    digits = []
    for entries in zip(*points, strict=True):
        compared = [each for each in entries if each is not None]
        digits.append(min(compared, default=0))
    return min(digits, default=0)


def _log10(value: Fraction) -> float:
    return (value.numerator.bit_length() - value.denominator.bit_length()) * log10(2)
