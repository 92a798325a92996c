"""Code that cannot be traced, judged by its floating-point results at rational points.

The true gradient is enclosed at a point whose coordinates floating-point numbers hold exactly; each
entry's error is measured relative to its own size. Agreement is certified to so many digits: no
proof, but no vanishing gradient hides a fault either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from graphgrad.proof.check_case import CheckError
from graphgrad.proof.check_judge import Comparison, as_floats, floating_run
from graphgrad.proof.check_trial import Check
from graphgrad.proof.intervals import OutsideDomainError, Sample
from graphgrad.proof.nodes import Nodes
from graphgrad.proof.result import Claim

POINTS = 3
PRECISION = 192
WRONG = 1e-3
DIGITS = {8: 6, 4: 2}
"""By bytes a number, to how many digits results must agree to be certified."""


def certified(check: Check, tau: int, sizes: dict[str, int], reduction: str) -> list[Claim]:
    """Return claims on floating-point results: certified to some digits, refuted or undecided."""
    rows: list[list[Claim]] = []
    for seed in range(POINTS):
        case = check.case(tau, sizes, seed=seed)
        case.reduction = reduction
        run = floating_run(check.adapter, check.program, case)
        rows.append(
            [_claim(each, case.point, check) for each in check.compared(case, run, as_floats)]
        )
    return [_together(same) for same in zip(*rows, strict=True)]


def _claim(made: Comparison, point: dict[Any, Any], check: Check) -> Claim:
    origin = check.program.name
    if not made.fits:
        reason = f"it has shape {made.got.shape}, not {made.want.shape}"
        return Claim(made.name, made.truth, origin, "refuted", made.want.size, reason)
    nodes = Nodes()
    entries = [
        (p, nodes.intern(sympy.sympify(w))) for p, w in np.ndenumerate(made.want) if w is not None
    ]
    sample = Sample(nodes, PRECISION)
    where = {n: point[h] for n, h in enumerate(nodes.heads) if isinstance(h, sympy.Symbol)}
    worst, place = math.inf, ()
    width = made.got.dtype.itemsize if made.got.dtype.kind == "f" else 8
    for entry, root in entries:
        try:
            low, high = sample.numbers.ends(sample.enclose(root, where, lambda: None))
        except OutsideDomainError as failure:
            return Claim(made.name, made.truth, origin, "undecided", made.want.size, str(failure))
        digits = _digits(float(made.got[entry]), float(low), float(high))
        if digits < worst:
            worst, place = digits, entry
    reason = f"{worst:.1f} digits"
    if worst >= DIGITS.get(width, 2):
        return Claim(made.name, made.truth, origin, "certified", made.want.size, reason)
    values = {str(nodes.heads[n]): str(value) for n, value in where.items()}
    verdict: Any = "refuted" if worst < -math.log10(WRONG) else "undecided"
    return Claim(
        made.name, made.truth, origin, verdict, made.want.size,
        f"only {reason} agree", tuple(map(int, place)), values,
    )  # fmt: skip


def _digits(got: float, low: float, high: float) -> float:
    """Return to how many digits a number agrees with an enclosed one, relative to its size.

    An enclosure around 0 is taken for 0: it is as narrow as the working precision.
    """
    middle = (low + high) / 2
    gap = max(abs(got - low), abs(got - high))
    if not math.isfinite(got):
        return 0.0
    if low <= 0 <= high:
        return 16.0 if gap < 1e-12 else 0.0
    return 16.0 if gap == 0 else min(16.0, -math.log10(gap / abs(middle)))


def _together(claims: Sequence[Claim]) -> Claim:
    """Return the worst of the claims on one result at several points."""
    order = ("refuted", "undecided", "certified", "proved")
    return min(claims, key=lambda claim: (order.index(claim.verdict), _agreed(claim)))


def _agreed(claim: Claim) -> float:
    words = claim.reason.split()
    return next((float(word) for word in words if word.replace(".", "").isdigit()), 0.0)


def why_not_traced(error: BaseException) -> str:
    """Return in a line why code could not be traced."""
    if isinstance(error, CheckError):
        raise error
    return f"{type(error).__name__}: {error}".splitlines()[0]
