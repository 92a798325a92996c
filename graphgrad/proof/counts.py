"""What a wrong gradient is in terms of the right one: a multiple, or other contributions of steps.

The contribution of loss step s and step of use t is G[s, t] (`contributions.py`); a gradient that
counts some of them too rarely or too often tells what was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

VAGUE = "are counted wrongly"
"""How a cause ends that says where sums differ, not why."""
CLOSE = 1e-8
SURE = 1e-7
"""How near to a simple number a count must be: a gradient times 1.000001 is no other count."""
MOST_PLACES = 6
"""How many contributions are named."""


@dataclass(frozen=True)
class Counts:
    """How often each contribution of one gradient is counted: rows loss step, columns use."""

    name: str
    counts: tuple[tuple[Fraction | None, ...], ...]


def simple_ratio(got: Any, want: Any) -> Fraction | None:
    """Return the simple number by which one array is a multiple of another."""
    top, bottom = np.ravel(got), np.ravel(want)
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        return None
    used = np.abs(bottom) > 1e-12
    if not used.any() or np.abs(top[~used]).max(initial=0) > 1e-12:
        return None
    ratios = top[used] / bottom[used]
    ratio = Fraction(float(ratios[0])).limit_denominator(100)
    if ratio == 0 or np.max(np.abs(ratios - float(ratio))) > CLOSE * abs(float(ratio)):
        return None
    return ratio


def factor_text(ratio: Fraction, tau: int, count: int, *, at_once: bool) -> str:
    """Return in words what it is to be a multiple of the gradient of `count` examples."""
    if ratio == -1:
        return "the negative of the gradient: the sign is wrong"
    text = f"the gradient times {ratio}"
    if tau > 1 and ratio == Fraction(1, tau) and not at_once:
        return f"{text} = 1/τ: an average over the steps where the sum belongs"
    if ratio == tau and tau > 1 and not at_once:
        return f"{text} = τ: a sum over the steps where the average belongs"
    if count > 1 and ratio == Fraction(1, count):
        return f"{text}: divided by the {count} examples, while the loss is their sum"
    if count > 1 and ratio == count:
        return f"{text}: not divided by the {count} examples, while the loss is their mean"
    return text


def solved(name: str, parts: Any, got: Any, tau: int) -> Counts | None:
    """Return with which factors contributions add up to a result, None where they do not.

    `parts` has a row for each number of the result and a column for each contribution.
    """
    used = np.abs(parts).max(axis=0) > 1e-12
    if len(got) < used.sum() or not (np.isfinite(parts).all() and np.isfinite(got).all()):
        return None
    solution, _, rank, _ = np.linalg.lstsq(parts[:, used], got, rcond=1e-11)
    if rank < used.sum():
        return None
    if np.abs(parts[:, used] @ solution - got).max() > 1e-7 * max(np.abs(got).max(), 1e-12):
        return None
    counts: list[Fraction | None] = [None] * (tau * tau)
    for place, value in zip(np.flatnonzero(used), solution, strict=True):
        simple = Fraction(float(value)).limit_denominator(12)
        if abs(float(simple) - value) > SURE:
            return None
        counts[place] = simple
    return Counts(name, tuple(tuple(counts[s * tau : (s + 1) * tau]) for s in range(tau)))


def counts_lines(counts: Counts) -> Iterator[str]:
    """Yield the table of contributions: how often each is counted."""
    tau = len(counts.counts)
    yield f"  How often {counts.name} counts each contribution (1 is right):"
    head = "  ".join(f"use {t + 1}".rjust(6) for t in range(tau))
    yield f"    {'':8}{head}"
    for s, row in enumerate(counts.counts):
        cells = ("·" if c is None else str(c) for c in row)
        yield f"    loss {s + 1:<3}" + "  ".join(cell.rjust(6) for cell in cells)


def counts_cause(counts: Counts, wanted: Any = None) -> str:
    """Return what a table of contributions means; `wanted` says which are to be counted."""
    if wanted is not None and not np.all(wanted):
        return _unlike(counts, wanted)
    tau = len(counts.counts)
    cells = {
        (s, t): count
        for s, row in enumerate(counts.counts)
        for t, count in enumerate(row)
        if count is not None
    }
    missing = {place for place, count in cells.items() if count == 0}
    kept = {place for place, count in cells.items() if count == 1}
    if missing and missing | kept == set(cells):
        for window in range(1, tau):
            if missing == {(s, t) for s, t in cells if s - t >= window}:
                plural = "s" if window > 1 else ""
                return (
                    f"truncation: each loss counts its {window} most recent step{plural} only; "
                    "what flows back further is dropped"
                )
        for step in range(tau):
            if missing == {(s, t) for s, t in cells if t == step}:
                ends = {0: "first", tau - 1: "last"}
                return f"the {ends.get(step, f'{step + 1}th')} step is left out of the sum"
            if missing == {(s, t) for s, t in cells if t != step}:
                return f"only step {step + 1} is counted: the sum over the steps is missing"
            if missing == {(s, t) for s, t in cells if s == step}:
                return f"the loss of step {step + 1} does not flow back"
            if missing == {(s, t) for s, t in cells if s != step}:
                return f"only the loss of step {step + 1} flows back"
        for cut in range(1, tau):
            if missing == {(s, t) for s, t in cells if s >= cut > t}:
                return f"the gradient does not flow from step {cut + 1} back to step {cut}"
    if len(set(cells.values())) == 1:
        return ""
    wrong = [f"(loss {s + 1}, use {t + 1})" for (s, t), c in cells.items() if c != 1]
    return f"the contributions {_some(wrong)} {VAGUE}"


def _unlike(counts: Counts, wanted: Any) -> str:
    """Return which contributions a truncated gradient lacks, and which it has too much."""
    missing: list[str] = []
    extra: list[str] = []
    other: list[str] = []
    for s, row in enumerate(counts.counts):
        for t, count in enumerate(row):
            if count is not None and count != int(wanted[s, t]):
                where = missing if count == 0 else extra if count == 1 else other
                where.append(f"(loss {s + 1}, use {t + 1})")
    texts = (
        (missing, "missing"),
        (extra, "counted, though they are cut off"),
        (other, "counted wrongly"),
    )
    return "; ".join(f"{_some(places)} are {what}" for places, what in texts if places)


def _some(places: list[str]) -> str:
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return ", ".join(places[:MOST_PLACES]) + more
