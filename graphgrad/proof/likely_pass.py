"""The likely change that makes a person's gradients wrong, whatever their equations are called.

The library's backward equations are changed in one place, as people get them wrong, and computed in
floats. A change that gives all that a person's equations give, right and wrong, is the likely one;
it also shows which of these are cotangents, so that each can be judged by itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_backward import Backward, backward_of, changed, exchanged, parsed
from graphgrad.proof.check_mutants import mutants, shapes_of
from graphgrad.proof.check_slips import DIAGONAL
from graphgrad.proof.check_steps import neat
from graphgrad.proof.check_wide import everywhere, quotients
from graphgrad.proof.clock import Clock
from graphgrad.proof.cotangents import Found, alike, evaluated, has_more, points_of, recognised
from graphgrad.proof.counts import VAGUE
from graphgrad.proof.likely import LARGEST, TRUNCATED, near
from graphgrad.proof.likely_change import SHARED, explained, shared_by_wrong, shared_cause
from graphgrad.proof.question import Question, Side, Stated, own_equations
from graphgrad.proof.result import Claim, Equation

SHARE = 0.15
"""Of the time that is left, what the search may take."""


@dataclass(frozen=True)
class Slip:
    """A change that gives all that a person's equations give: in words, and where it is made."""

    cause: str = ""
    names: tuple[str, ...] = ()


def with_slip(
    question: Question, stated: Stated, side: Side, clock: Clock
) -> tuple[Stated, Slip | None]:
    """Return a person's equations with the cotangents among them, and the change if one is sought.

    Nothing is sought where the gradients are right in floats, nor where the cotangents have the
    library's names: these are judged one by one as they are.
    """
    tau, sizes = dict(side.dag.tau), side.dag.sizes
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            own = own_equations(question, list(stated.names)).circuit
            known = recognised(question, stated, own, tau, sizes)
            if not has_more(question, known, own) or side.scalars > LARGEST:
                return known, None
            search = _Search(question, known, tau, sizes)
            if search.is_right(own):
                return known, None
            return _sought(question, known, own, search, clock)
        except (GraphgradError, ArithmeticError):
            return stated, None


def _sought(
    question: Question, known: Stated, own: Circuit, search: _Search, clock: Clock
) -> tuple[Stated, Slip]:
    """Return the equations and the change that gives what they give, if there is one."""
    tau, sizes = search.tau, search.sizes
    text, slip = search.change(clock.part(SHARE))
    circuit = None if text is None else parsed(text)
    if circuit is None:
        return recognised(question, known, own, tau, sizes, ends=True), Slip()
    known = recognised(question, known, circuit, tau, sizes)
    return known, replace(slip, cause=_told(known, own, circuit, slip.cause, search))


def with_pass(
    question: Question,
    stated: Stated,
    side: Side,
    judged: Sequence[Equation],
    slip: Slip | None,
    clock: Clock,
) -> tuple[Equation, ...]:
    """Return verdicts on equations; those without a cause have that of a change, if one is seen."""
    if all(each.holds or _named(each) for each in judged) or side.scalars > LARGEST:
        return tuple(judged)
    if slip is None and question.scalar == question.loss:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                search = _Search(question, stated, dict(side.dag.tau), side.dag.sizes)
                own = own_equations(question, list(stated.names)).circuit
                stated, slip = _sought(question, stated, own, search, clock)
            except (GraphgradError, ArithmeticError):
                return tuple(judged)
    return _caused(judged, stated, question.probed.equations.keys(), slip or Slip())


class _Search:
    """A person's gradients at a few points, and changed backward passes."""

    def __init__(
        self, question: Question, stated: Stated, tau: Any, sizes: Mapping[str, int]
    ) -> None:
        self.question, self.tau, self.sizes = question, tau, sizes
        self.targets = stated.names
        self.outputs = [stated.prefix + name for name in stated.names]
        self.points = points_of(question, stated, tau, sizes)
        self.got = evaluated(stated.circuit, self.points, self.outputs, tau, sizes)
        forward = [*question.probed.variables]
        values = evaluated(question.probed, self.points, forward, tau, sizes)
        self.data = [point | found for point, found in zip(self.points, values, strict=True)]

    def is_right(self, own: Circuit) -> bool:
        """Whether a person's gradients are those of the library, as far as floats see."""
        true = evaluated(own, self.points, self.outputs, self.tau, self.sizes)
        return self._equal(true, self.outputs)

    def change(self, clock: Clock) -> tuple[str | None, Slip]:
        """Return the whole changed pass as text, and the change."""
        question = self.question
        backward = None
        if question.scalar == question.loss:
            backward = backward_of(question.probed, question.scalar, self.targets)
        if backward is None:
            return None, Slip()
        shapes = shapes_of(question.probed.check())
        equations = backward.equations
        forward = {name: str(each) for name, each in question.probed.equations.items()}
        found = [*mutants(equations, shapes), *everywhere(equations, shapes)]
        found += quotients(equations, forward, backward.prefix)
        for mutant in sorted(found, key=lambda each: each.rank):
            if clock.is_over:
                break
            circuit = changed(backward, mutant)
            if circuit is None or not self._fits(backward, circuit):
                continue
            adjoint = str(question.probed.adjoint(question.scalar, wrt=list(self.targets)))
            names = tuple(right.partition(" = ")[0].partition("[")[0] for right, _ in
                          mutant.changes)  # fmt: skip
            return exchanged(adjoint, mutant.changes), Slip(neat(mutant.cause), names)
        return None, Slip()

    def _fits(self, backward: Backward, circuit: Circuit) -> bool:
        """Whether a changed pass gives what a person's equations give."""
        names = [each for each in self.outputs if each in circuit.variables]
        if len(names) < len(self.outputs):
            return False
        given = [
            {name: value for name, value in point.items() if name in circuit.inputs
             or name in circuit.params}
            for point in self.data
        ]  # fmt: skip
        try:
            found = evaluated(circuit, given, names, self.tau, self.sizes)
        except GraphgradError:
            return False
        return self._equal(found, names)

    def _equal(self, found: Found, names: Sequence[str]) -> bool:
        return all(
            np.shape(one[name]) == np.shape(other[name])
            and near(np.asarray(one[name], float), np.asarray(other[name], float))
            for one, other in zip(self.got, found, strict=True)
            for name in names
        )


def _named(equation: Equation) -> bool:
    """Whether an equation has a cause that says what is wrong in it."""
    return bool(equation.cause) and not equation.cause.startswith(SHARED)


def _told(known: Stated, own: Circuit, circuit: Circuit, cause: str, search: _Search) -> str:
    """Return a cause in a person's own names, as far as they have them."""
    called = {known.prefix + name: mine for name, mine in known.called.items()}
    called |= alike(search.question, known, circuit, search.tau, search.sizes)
    text = explained(cause, own, {*known.circuit.equations, *called})
    return re.sub(r"[^\W\d]\w*", lambda found: called.get(found[0], found[0]), text)


def _caused(
    judged: Sequence[Equation],
    known: Stated,
    forward: Set[str],
    slip: Slip,
) -> tuple[Equation, ...]:
    """Return wrong equations with a cause: those that were changed, else all of them."""
    if not slip.cause:
        common = shared_cause(known.circuit, shared_by_wrong(known.circuit, judged, forward))
        return tuple(
            each if each.holds or _named(each) else replace(each, cause=common) for each in judged
        )
    own = {known.called.get(name.removeprefix(known.prefix), name) for name in slip.names}
    wrong = [each for each in judged if not each.holds]
    changed_ones = [each for each in wrong if each.name.partition("[")[0] in own]
    chosen = {each.name for each in changed_ones or wrong}
    return tuple(
        replace(each, cause=slip.cause) if each.name in chosen and not _named(each) else each
        for each in judged
    )


def with_faults(claims: Sequence[Claim], equations: Sequence[Equation]) -> list[Claim]:
    """Return refuted claims whose own equation is right with the first that is wrong.

    Where an equation says what is wrong, a cause that says only where sums differ says less, and a
    softmax over time without its other steps is no truncation.
    """
    wrong = [each for each in equations if not each.holds]
    if not wrong:
        return list(claims)
    right = {each.name for each in equations if each.holds}
    named = any(_named(each) for each in wrong)
    diagonal = any(DIAGONAL in each.cause for each in wrong)
    found = []
    for claim in claims:
        here = claim.fault.partition(" ")[0] == claim.name
        if claim.verdict == "refuted" and claim.name in right and here:
            claim = replace(claim, fault=wrong[0].where, residual=wrong[0].residual)
        vague = named and claim.cause.endswith(VAGUE)
        vague = vague or (diagonal and claim.cause.endswith(TRUNCATED))
        found.append(replace(claim, cause="") if vague else claim)
    return found
