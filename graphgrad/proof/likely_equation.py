"""The first wrong equation of truncated claims: those that have to be replaced to make them right.

With a window the cotangent of a value is no one number, so no equation of a person can be compared
with a truth of its own. The library's truncated adjoint has equations under the same names. Fewest
of a person's equations are replaced by these until the gradient is right at all points, in floats:
an explanation, and no part of the refutation.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof.clock import Clock
from graphgrad.proof.findings import Fault
from graphgrad.proof.likely import LARGEST, View, by_point, near
from graphgrad.proof.likely_change import LONGEST, reading
from graphgrad.proof.question import Question, Side, Stated, own_equations
from graphgrad.proof.result import Claim

_parse = door("graphgrad.notation.parse:parse")
MOST = 24
"""At most so many equations are compared with the library's."""


def with_equations(
    question: Question,
    stated: Stated,
    side: Side,
    claims: Sequence[Claim],
    truncation: Any,
    clock: Clock,
) -> list[Claim]:
    """Return truncated claims; refuted ones have their first wrong equation, where one is seen."""
    wrong = [c for c in claims if c.verdict == "refuted" and not c.fault and not c.indexed]
    if not wrong or side.scalars > LARGEST:
        return list(claims)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            view = View(question, side, wrong, truncation, wrong[0].values())
            own = own_equations(question, list(side.names), truncation).circuit
            search = _Search(stated.circuit, own, view, clock)
            faults = {each.name: search.first_wrong(each) for each in wrong}
    except GraphgradError:
        return list(claims)
    return [_blamed(each, faults.get(each.name)) for each in claims]


def _blamed(claim: Claim, fault: Fault | None) -> Claim:
    if fault is None:
        return claim
    return replace(claim, fault=fault.text(), residual=fault.residual)


class _Search:
    """A person's equations, those of the library that read otherwise, and the points."""

    def __init__(self, claimed: Circuit, own: Circuit, view: View, clock: Clock) -> None:
        self.claimed, self.view, self.clock = claimed, view, clock
        self.text = str(claimed)
        self.others = dict(_others(claimed, own))

    def first_wrong(self, claim: Claim) -> Fault | None:
        """Return where the first of the equations that have to be replaced is wrong."""
        needed = dict(self.others)
        if len(needed) > MOST or not self._cures(needed, claim):
            return None
        for name in self.others:
            fewer = {each: text for each, text in needed.items() if each != name}
            if fewer and self._cures(fewer, claim):
                needed = fewer
        names = [name for name in self.others if name in needed]
        claimed = self._values(self.claimed, names)
        cured = self._values(self._with(needed), names)
        for name in names:
            found = self._last(name, claimed[name], cured[name])
            if found is not None:
                return found
        return None

    def _with(self, replaced: Mapping[str, str]) -> Circuit:
        """Return the claims with some equations replaced."""
        text = self.text
        for name, new in replaced.items():
            text = text.replace(f"\n{self.claimed.equations[name]}\n", f"\n{new}\n")
        circuit: Circuit = _parse(text)
        return circuit

    def _values(self, circuit: Circuit, names: Sequence[str]) -> dict[str, Any]:
        """Return the values of variables; points are on the axis after the steps."""
        dag = circuit.unfold(self.view.lengths, **self.view.sizes)
        found = dag.evaluate(self.view.values, outputs=list(names))
        return {
            name: by_point({name: found[name]}, int(circuit.equations[name].index is not None))[
                name
            ]
            for name in names
        }

    def _cures(self, replaced: Mapping[str, str], claim: Claim) -> bool:
        """Whether a gradient is right at all points with some equations replaced."""
        self.clock.tick()
        try:
            found = self._values(self._with(replaced), [claim.name])[claim.name]
        except GraphgradError:
            return False
        true = self.view.true[claim.by]
        return bool(found.shape == true.shape and near(found, true))

    def _last(self, name: str, claimed: Any, cured: Any) -> Fault | None:
        """Return the last step and its first entry at which an equation has another value."""
        indexed = self.claimed.equations[name].index is not None
        for step in range(len(claimed), 0, -1) if indexed else [None]:
            one, other = (each if step is None else each[step - 1] for each in (claimed, cured))
            one, other = one[0], other[0]  # at the witness
            apart = np.argwhere(~np.isclose(one, other, rtol=1e-8, atol=0))
            if len(apart):
                entry = tuple(int(k) for k in apart[0])
                size = f"{float((one - other)[entry]):.3g} at the witness"
                return Fault((name, step), entry, size)
        return None


def _others(claimed: Circuit, own: Circuit) -> Iterator[tuple[str, str]]:
    """Yield the equations of the library that read otherwise than those of the same name."""
    for name, equation in own.equations.items():
        mine = claimed.equations.get(name)
        if mine is None or mine.index != equation.index:
            continue
        one, other = str(mine), str(equation)
        if max(len(one), len(other)) <= LONGEST and reading(one) != reading(other):
            yield name, other
