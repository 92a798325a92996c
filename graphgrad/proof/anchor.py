"""The SymPy anchor: the derivative of the fully substituted loss against the backward passes.

For a small length and small sizes the loss is one SymPy expression in real symbols. SymPy
differentiates it; the backward passes compute the same gradient over the same symbols; `zero.py`
decides exactly whether they are equal. States before the first step are symbols too, since at zero
a fault in the oldest step would not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from graphgrad.proof.algebra import SympyAlgebra
from graphgrad.proof.clock import NO_TIME, Clock
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.question import Question, Side
from graphgrad.proof.result import Claim
from graphgrad.proof.zero import Field, Simplex, ZeroDecision
from graphgrad.system import System

METHOD_TEXT = "SymPy differentiation of the fully substituted loss, zero decided exactly"


class Anchor:
    """The loss as one expression, and decisions about its derivatives."""

    def __init__(self, question: Question, tau: Any, sizes: Mapping[str, int]) -> None:
        self.question = question
        forward = question.probed.unfold(tau, **sizes)
        self.symbols = SympyAlgebra().symbols(forward.system, forward.tau, forward.sizes, {})
        scalar = question.scalar
        self.truth = Derivatives(forward.evaluate({}, over="sympy", outputs=[scalar])[scalar])
        self.field = Field(simplices=_simplices(forward.system, self.symbols))

    def judged(self, side: Side, names: Sequence[str], clock: Clock) -> Iterator[Claim]:
        """Yield a claim for each gradient of a side."""
        outputs = [side.prefix + name for name in names]
        values = side.dag.evaluate({}, over="sympy", outputs=outputs)
        for name in clock.counted(names, "gradients"):
            yield _judge(self.field, self.truth, side, values, name, self.question, self.symbols,
                         clock)  # fmt: skip


def _judge(
    field: Field,
    truth: Derivatives,
    side: Side,
    values: Mapping[str, Any],
    name: str,
    question: Question,
    symbols: Mapping[str, Any],
    clock: Clock,
) -> Claim:
    """Decide one gradient, entry by entry, and stop at the first that is refuted."""
    by = np.asarray(symbols[name], object)
    claimed = np.asarray(values[side.prefix + name], object)
    claim = Claim(
        side.prefix + name,
        f"∂{question.shown}/∂{name}",
        side.origin,
        "proved",
        by.size,
        by=name,
        indexed=name in question.opened.inputs and question.opened.inputs[name].index is not None,
    )
    for entry in np.ndindex(*by.shape):
        decision = _entry(field, truth, by[entry], claimed[entry], clock)
        if decision.verdict == "nonzero":
            bounds = decision.enclosure
            return replace(
                claim,
                verdict="refuted",
                reason=decision.reason,
                entry=entry,
                witness=_witness(question.probed.check(), symbols, decision.witness or {}),
                difference=(str(bounds[0]), str(bounds[1])) if bounds else None,
            )
        if decision.verdict == "undecided":
            claim = replace(claim, verdict="undecided", reason=decision.reason)
    return claim


def _entry(
    field: Field, truth: Derivatives, symbol: sympy.Symbol, claimed: Any, clock: Clock
) -> ZeroDecision:
    if clock.is_over:
        return ZeroDecision("undecided", NO_TIME)
    return field.equal(claimed, truth.by(symbol), time_limit=clock.left)


def _witness(
    system: System, symbols: Mapping[str, Any], point: Mapping[sympy.Symbol, sympy.Rational]
) -> dict[str, Any]:
    """Return a point as data for the circuit: nested lists of rationals, tokens as integers."""
    found: dict[str, Any] = {}
    for name, given in symbols.items():
        array = np.asarray(given, object)
        kind = system.inputs[name].kind if name in system.inputs else "input"
        other = sympy.S.One  # what neither side depends on gets some value, too
        if kind != "input":
            other = sympy.S.Zero if kind == "token" else sympy.Rational(1, 13 * array.shape[-1])
        values = {s: point.get(s, other) for s in array.flat if isinstance(s, sympy.Symbol)}
        entries = np.empty(array.shape, object)
        for entry in np.ndindex(*array.shape):
            entries[entry] = str(sympy.sympify(array[entry]).xreplace(values))
        if kind == "token":
            found[name] = np.argmax(entries == "1", axis=-1).tolist()
        else:
            found[name] = entries.tolist()
    return found


def _simplices(system: System, symbols: Mapping[str, Any]) -> Iterator[Simplex]:
    """Yield the symbols that are probability vectors, and those that stand for tokens."""
    for name, declared in system.inputs.items():
        if declared.kind == "input":
            continue
        for row in np.reshape(symbols[name], (-1, np.shape(symbols[name])[-1])):
            if len(row) > 1:
                yield Simplex(tuple(row[:-1]), vertices=declared.kind == "token")
