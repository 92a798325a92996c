"""A refutation that teaches: what is wrong, its likely cause, where it first shows, a witness."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from graphgrad.proof.check_backward import backward_of, evaluated
from graphgrad.proof.check_causes import example_causes, simple_causes
from graphgrad.proof.check_counts import contributions
from graphgrad.proof.check_equations import equation_causes
from graphgrad.proof.check_evidence import Cause, Evidence, near, numbers
from graphgrad.proof.check_judge import Comparison, decided
from graphgrad.proof.counts import Counts, counts_cause, counts_lines, simple_ratio
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.result import Claim

WIDTH = 96
ROUNDING = 1e-13
"""How near a value is to the truth, relative to it, that only rounded numbers keep apart."""
SUBJECTS = ("memory", "factor", "constant", "transpose", "other", "decay", "example")
"""The kinds of causes that say what a result is."""


@dataclass(frozen=True)
class Finding:
    """Where results are first refuted: the smallest length and sizes, with a witness there."""

    claims: tuple[Claim, ...]
    smallest: dict[str, tuple[str, Claim]]
    """The smallest case of each result, with the claim that is refuted there."""

    def at_once(self, name: str) -> bool:
        """Whether a result is wrong for a single step already."""
        return name in self.smallest and self.smallest[name][0].startswith("τ = 1")

    def lines(self, names: Sequence[str]) -> Iterator[str]:
        """Yield what is said of some results with one fault."""
        known = [self.smallest[name] for name in names if name in self.smallest]
        if known:
            place, claim = min(known, key=lambda each: len(each[1].witness))
            yield f"  It shows first at {place}."
            yield from _witness_lines(claim)
            return
        for claim in self.claims:
            if claim.name in names and claim.witness:
                yield from _witness_lines(claim)
                return


def lessons(
    evidence: Evidence,
    found_at: Finding,
    points: Callable[[], list[Evidence]],
    longer: Callable[[], Evidence | None],
    limit: float,
) -> Iterator[str]:
    """Yield an explanation of each fault; a wrong forward pass comes first."""
    values = [each for each in evidence.refuted if each.quantity is None]
    gradients = [each for each in evidence.refuted if each.quantity is not None]
    rounded = [each for each in values if _rounded(evidence, each)]
    values = [each for each in values if each not in rounded]
    if rounded:
        yield _rounding_lesson(rounded, found_at)
    if values:
        yield _forward_lesson(evidence, values, gradients, found_at)
    elif gradients:
        yield from _gradient_lessons(evidence, gradients, found_at, points, longer, limit)


def _gradient_lessons(
    evidence: Evidence,
    gradients: list[Comparison],
    found_at: Finding,
    points: Callable[[], list[Evidence]],
    longer: Callable[[], Evidence | None],
    limit: float,
) -> Iterator[str]:
    """Yield lessons on gradients; those with one cause share one, and those with none."""
    yield from (_shape_lesson(evidence, made) for made in gradients if not made.fits)
    shaped = [each for each in gradients if each.fits]
    others = points() if shaped else []
    if {"step", "choose", "abs"} & set(evidence.tape.ops):
        evidence, *others = _telling([evidence, *others], shaped)
        beyond = [each for each in shaped if evidence.right_here(each)]
        shaped = [each for each in shaped if each not in beyond]
        if beyond:
            yield _beyond_lesson(beyond, found_at)
    if not shaped:
        return
    more = longer()
    simple = {
        made.name: simple_causes(evidence, made, others, more, at_once=found_at.at_once(made.name))
        for made in shaped
    }
    counted: dict[str, Counts] = {}
    for made in shaped:
        counts = contributions(evidence, made, others)
        if counts is not None:
            counted[made.name] = counts
    found = _equation_causes(evidence, shaped, simple, limit, others, more)
    groups: dict[str, list[Comparison]] = {}
    chosen: dict[str, Cause | None] = {}
    whole = next((c for c in found if set(c.explains) >= {made.name for made in shaped}), None)
    same = {simple[made.name][0].text if simple[made.name] else made.name for made in shaped}
    for made in shaped:
        own = next((cause for cause in found if made.name in cause.explains), None)
        table = counted.get(made.name)
        text = counts_cause(table) if table is not None else ""
        if simple[made.name] and (len(same) == 1 or whole is None):
            key, cause = simple[made.name][0].text, simple[made.name][0]
        elif whole is not None:
            key, cause = whole.text, whole
        elif text and (own is None or len(shaped) > 1):
            key, cause = text, Cause(text, (made.name,), True, "counts")
        elif own is not None:
            key, cause = own.text, own
        else:
            key, cause = made.name if table else "\n".join(_where_wrong(evidence, made)), None
        groups.setdefault(key, []).append(made)
        chosen[key] = cause
    for key, members in groups.items():
        yield _lesson(evidence, members, chosen[key], counted, found_at)


def _equation_causes(
    evidence: Evidence,
    shaped: list[Comparison],
    simple: dict[str, list[Cause]],
    limit: float,
    points: Sequence[Evidence],
    longer: Evidence | None,
) -> list[Cause]:
    """Return changes of one backward equation that explain results; look only where needed."""
    if all(simple.values()) and len({causes[0].text for causes in simple.values()}) == 1:
        return []
    targets = {
        evidence.places[symbol][0]
        for made in evidence.made
        if made.symbols is not None
        for symbol in made.symbols.flat
        if symbol in evidence.places
    }
    goal = evidence.case.goal
    backward = backward_of(goal.circuit, goal.loss, tuple(sorted(targets)))
    if backward is None:
        return []
    right = evaluated(evidence, backward, backward.circuit, exact=False)
    for made in shaped:
        simple[made.name] += example_causes(evidence, made, right) if right else []
    return equation_causes(evidence, backward, limit, points, longer)


def _telling(points: list[Evidence], wrong: Sequence[Comparison]) -> list[Evidence]:
    """Return sample points, that first at which most results are wrong: a mask may hide a fault."""
    first = max(points, key=lambda point: sum(not point.right_here(made) for made in wrong))
    return [first, *(point for point in points if point is not first)]


def _lesson(
    evidence: Evidence,
    wrong: list[Comparison],
    cause: Cause | None,
    counted: dict[str, Counts],
    found_at: Finding,
) -> str:
    many = len(wrong) > 1
    lines = [f"✗ {_listed([made.name for made in wrong])} {'are' if many else 'is'} wrong."]
    seen = "" if cause is None or cause.exact else " (seen at sample values only)"
    if cause is not None and cause.kind in SUBJECTS:
        subject = "each is" if many else "it is"
        lines += _wrapped(f"Likely cause: {subject} {cause.text}{seen}.")
    elif cause is not None:
        lines += _wrapped(f"Likely cause: {cause.text}{seen}.")
    if cause is not None and cause.changes:
        for right, changed in cause.changes:
            lines += [f"    right:     {right}", f"    this code: {changed}"]
        changes = "this change beside the other" if cause.second else "this one change"
        lines += _wrapped(
            f"With {changes} the backward equations give "
            + ("exactly what the code returns." if cause.exact else "what the code returns there.")
        )
    table = next((counted[made.name] for made in wrong if made.name in counted), None)
    if table is not None and any(c not in (None, 1) for row in table.counts for c in row):
        lines += counts_lines(table)
    elif cause is None:
        lines += _where_wrong(evidence, wrong[0])
    return "\n".join([*lines, *found_at.lines([made.name for made in wrong])])


def _rounded(evidence: Evidence, made: Comparison) -> bool:
    """Whether a value differs from the truth in its last digits only, at the sample point."""
    if not made.fits:
        return False
    got, want = evidence.got(made), numbers(evidence.case, made.want)
    return bool(np.allclose(got, want, rtol=ROUNDING, atol=0))


def _rounding_lesson(wrong: list[Comparison], found_at: Finding) -> str:
    names = [made.name for made in wrong]
    lines = [f"✗ {_listed(names)}: right but for the last digits, where arithmetic is exact."]
    lines += _wrapped(
        "Likely cause: a number in the code is rounded, as np.log(2 * np.pi) or 2 / 3 of floats "
        "is, or one in the circuit. Leave it out of both: a constant has no gradient."
    )
    return "\n".join([*lines, *found_at.lines(names)])


def _forward_lesson(
    evidence: Evidence,
    values: list[Comparison],
    gradients: list[Comparison],
    found_at: Finding,
) -> str:
    """Explain a wrong forward pass first: gradients of another loss are judged by the wrong one."""
    made = values[0]
    lines = [f"✗ The forward pass is wrong: {made.name} is not {made.truth} of the circuit."]
    if made.fits:
        got, want = evidence.got(made), numbers(evidence.case, made.want)
        cause = _value_cause(got, want)
        lines += _wrapped(f"Likely cause: {cause}.") if cause else []
    if _consistent(evidence, gradients):
        lines += _wrapped(
            "The gradients are exactly those of the loss that the code computes: the backward pass "
            "fits the forward pass, but this is another loss than the circuit's."
        )
    elif not gradients:
        lines += _wrapped("The gradients are right: only the value is wrong.")
    else:
        lines += _wrapped(
            f"{_listed([g.name for g in gradients])} cannot be right before the forward pass is."
        )
    return "\n".join([*lines, *found_at.lines([made.name])])


def _value_cause(got: Any, want: Any) -> str:
    if near(got, -want):
        return "the wrong sign"
    ratio = simple_ratio(got, want)
    return "" if ratio in (None, 1) else f"it is {ratio} times the true value"


def _consistent(evidence: Evidence, gradients: list[Comparison]) -> bool:
    """Whether gradients are exactly the derivatives of the loss that the code itself computes."""
    loss = next((m for m in evidence.refuted if m.truth == evidence.case.goal.loss), None)
    if loss is None or not gradients or loss.got.size != 1:
        return False
    (own,) = evidence.expressions.of([loss.got.flat[0].node])
    slopes = Derivatives(own)
    for made in gradients:
        if made.symbols is None or made.symbols.size != made.got.size:
            return False
        values = evidence.expressions.of(entry.node for entry in made.got.flat)
        for symbol, value in zip(made.symbols.flat, values, strict=True):
            if not isinstance(symbol, sympy.Symbol):
                continue
            slope = slopes.by(symbol)
            if decided(evidence.field, value, slope, evidence.deadline).verdict != "zero":
                return False
    return True


def _shape_lesson(evidence: Evidence, made: Comparison) -> str:
    got, want = made.got.shape, made.want.shape
    lines = [f"✗ {made.name} has the wrong shape: {got} where {want} belongs."]
    case = evidence.case
    if len(got) == len(want) + 1 and got[1:] == want and got[0] == len(case.examples):
        lines += _wrapped("Likely cause: the sum over the examples (axis 0) is missing.")
    elif len(got) > len(want) and got[-len(want) :] == want:
        lines += _wrapped("Likely cause: a sum over an axis is missing.")
    return "\n".join(lines)


def _beyond_lesson(wrong: list[Comparison], found_at: Finding) -> str:
    """Say of results that are right at usual values where a comparison makes them wrong."""
    names = [made.name for made in wrong]
    many = len(names) > 1
    lines = [f"✗ {_listed(names)} {'are' if many else 'is'} wrong."]
    lines += _wrapped(
        f"At the sample values {'they are' if many else 'it is'} right, but not where a comparison "
        "in the code, as with a limit on gradients, has another outcome. A limit that is written "
        "with np.clip is taken as one that cuts nothing."
    )
    return "\n".join([*lines, *found_at.lines(names)])


def _where_wrong(evidence: Evidence, made: Comparison) -> Iterator[str]:
    """Yield which entries are wrong, where others are right."""
    got, want = evidence.got(made), numbers(evidence.case, made.want)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(got - want) <= 1e-9 * np.maximum(1e-3, np.abs(want)))
    if made.symbols is not None and made.symbols.shape == wrong.shape:
        by: dict[str, list[bool]] = {}
        for place in np.ndindex(*wrong.shape):
            name = evidence.places.get(made.symbols[place], ("", None, ()))[0]
            by.setdefault(name, []).append(bool(wrong[place]))
        bad = [name for name, flags in by.items() if any(flags)]
        if len(by) > 1 and len(bad) < len(by):
            good = [name for name in by if name not in bad]
            yield f"  Wrong are the entries of {_listed(bad)}; those of {_listed(good)} are right."
            return
    if wrong.any() and not wrong.all():
        places = [list(map(int, place)) for place in np.argwhere(wrong)]
        more = " …" if len(places) > 8 else ""
        yield f"  Wrong entries: {', '.join(map(str, places[:8]))}{more}."
    yield "  No single simple cause was recognised."


def _witness_lines(claim: Claim) -> Iterator[str]:
    if not claim.witness or claim.difference is None:
        return
    where = f" entry {list(claim.entry)}" if claim.entry else ""
    low, high = (f"{float(end):.6g}" for end in claim.difference)
    bounds = low if low == high else f"between {low} and {high}"
    values = ", ".join(f"{name} = {value}" for name, value in sorted(claim.witness.items()))
    yield f"  Witness: {claim.name}{where} minus the truth is {bounds} at"
    yield from textwrap.wrap(values, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + f" and {names[-1]}"
