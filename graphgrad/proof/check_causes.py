"""Likely causes of one wrong result by itself: a multiple of the truth, a transpose, another's.

Floating-point values at one sample point pick the hypotheses, exact decisions confirm them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from graphgrad.proof.check_evidence import Cause, Evidence, near, numbers, unwritten
from graphgrad.proof.check_judge import Comparison
from graphgrad.proof.counts import CLOSE, factor_text, simple_ratio


def simple_causes(
    evidence: Evidence, made: Comparison, points: Sequence[Evidence], longer: Evidence | None, *,
    at_once: bool,
) -> list[Cause]:  # fmt: skip
    """Return what one wrong result is in terms of true ones: a multiple, a transpose, another's.

    `points` hold the same run at other sample points, where a hypothesis must hold as well, and
    `longer` a run of more steps, which tells a factor τ from the same number;
    `at_once` says that the result is wrong for one step already.
    """
    found = []
    if unwritten(evidence.tape, made):
        text = "computed from what np.empty left in memory, where np.zeros belongs"
        found.append(Cause(text, (made.name,), True, "memory"))
    for text, wanted, kind in _simple(evidence, made, longer, at_once=at_once):
        exact = evidence.confirmed(made, wanted)
        if exact or all(near(p.got(made), numbers(p.case, wanted)) for p in points):
            found.append(Cause(text, (made.name,), exact, kind))
    return found


def _simple(
    evidence: Evidence, made: Comparison, longer: Evidence | None, *, at_once: bool
) -> Iterator[tuple[str, Any, str]]:
    """Yield hypotheses that fit at the sample point: in words, the expressions, the kind."""
    got, case = evidence.got(made), evidence.case
    want = numbers(case, made.want)
    if near(got, want):  # as far as floats see: whatever else is near the truth explains nothing
        return
    ratio = simple_ratio(got, want)
    if ratio is not None and ratio != 1:
        factor = sympy.Rational(*ratio.as_integer_ratio())
        wanted = np.frompyfunc(lambda e: None if e is None else factor * e, 1, 1)(made.want)
        steps = 0 if _same_factor(longer, made.name, ratio) else case.tau
        yield factor_text(ratio, steps, len(case.examples), at_once=at_once), wanted, "factor"
    yield from _constants(evidence, made, got, want)
    if got.ndim == 2 and got.shape[0] == got.shape[1] > 1 and near(got, want.T):
        yield "transposed", made.want.T, "transpose"
    for other in evidence.made:
        if other.quantity in (None, made.quantity) or other.want.shape != made.want.shape:
            continue
        if near(got, numbers(case, other.want)):
            yield f"{other.truth}, the gradient of something else", other.want, "other"
    if made.symbols is not None and made.symbols.shape == got.shape and got.ndim:
        entries = made.symbols
        decay = simple_ratio(got - want, numbers(case, entries))
        if decay is not None:
            factor = sympy.Rational(*decay.as_integer_ratio())
            wanted = np.frompyfunc(lambda e, w: e + factor * w, 2, 1)(made.want, entries)
            yield _decay_text(decay, made.quantity), wanted, "decay"


def _same_factor(longer: Evidence | None, name: str, ratio: Fraction) -> bool:
    """Whether a longer sequence shows a result to be the same multiple of the truth."""
    if longer is None:
        return False
    found = [each for each in longer.made if each.name == name and each.fits]
    return any(
        simple_ratio(longer.got(each), numbers(longer.case, each.want)) == ratio for each in found
    )


def _decay_text(decay: Fraction, quantity: str | None) -> str:
    if decay > 0:
        return f"the gradient plus {decay} times {quantity}: weight decay"
    missing = "weight decay of the wrong sign, or a penalty whose term is missing or too small"
    return f"the gradient minus {-decay} times {quantity}: {missing}"


def _constants(
    evidence: Evidence, made: Comparison, got: Any, want: Any
) -> Iterator[tuple[str, Any, str]]:
    """Yield that a result is constant, or the gradient and a constant."""
    known = [evidence.tape.number(entry.node) for entry in made.got.flat]
    if None not in known and any(known):
        exact = [sympy.Rational(*number.as_integer_ratio()) for number in known]
        text = "constant, whatever the data are: nothing of the gradient is in it"
        yield text, np.reshape(np.array(exact, object), made.got.shape), "constant"
    shifts = np.ravel(got - want)
    shift = shifts[0] if shifts.size and np.isfinite(shifts).all() else 0.0
    if shift and np.max(np.abs(shifts - shift)) <= CLOSE * abs(shift):
        number = sympy.Rational(f"{shift:.6g}")
        wanted = np.frompyfunc(lambda e: None if e is None else e + number, 1, 1)(made.want)
        sign = "plus" if number > 0 else "minus"
        yield f"the gradient {sign} {abs(float(number)):g} in each entry", wanted, "constant"


def example_causes(
    evidence: Evidence, made: Comparison, found: Mapping[str, list[Any]]
) -> Iterator[Cause]:
    """Yield that a result counts only one example of the batch."""
    count = len(evidence.case.examples)
    for kept in range(count if count > 1 else 0):
        only = {
            name: [part if k == kept else 0 * np.asarray(part) for k, part in enumerate(parts)]
            for name, parts in found.items()
        }
        if near(evidence.got(made), evidence.gradients(made, only)):
            text = f"what example {kept + 1} of {count} contributes: the others are missing"
            yield Cause(text, (made.name,), False, "example")
