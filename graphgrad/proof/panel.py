"""Which methods are asked about a gradient, in which order, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from graphgrad.proof import induction, judge, sampled
from graphgrad.proof.anchor import METHOD_TEXT as SYMPY_TEXT
from graphgrad.proof.anchor import Anchor
from graphgrad.proof.claimed_domain import with_values
from graphgrad.proof.clock import NO_TIME, Clock, enforced
from graphgrad.proof.findings import blank, unanswered
from graphgrad.proof.likely import with_causes
from graphgrad.proof.likely_change import with_changes
from graphgrad.proof.likely_equation import with_equations
from graphgrad.proof.likely_pass import Slip, with_faults, with_pass, with_slip
from graphgrad.proof.local import equation_by_equation
from graphgrad.proof.poly import ExhaustedError
from graphgrad.proof.question import (
    CLAIMED,
    Question,
    Side,
    Stated,
    backward_pass,
    claimed_equations,
    may_compare_equals,
    own_equations,
    swept,
)
from graphgrad.proof.result import Claim, Equation
from graphgrad.proof.truncated import METHOD_TEXT as TRUNCATED_TEXT

TEXTS = {
    "induction": induction.METHOD_TEXT,
    "certificate": judge.METHOD_TEXT,
    "sympy": SYMPY_TEXT,
    "probabilistic": sampled.PROBABILISTIC_TEXT,
    "enclosure": sampled.ENCLOSURE_TEXT,
    "truncation": TRUNCATED_TEXT,
}
TIES = (
    "the claims may compare equal values, as in relu(u) > 0 with u < 0, which this method leaves "
    'out: use method="certificate"'
)
CERTIFICATE_SHARE, INDUCTION_SHARE = 0.6, 0.1
"""Of the time limit, what `auto` leaves to the certificate, and to the induction after it."""
OPINION_SHARE = 0.1
"""Of the time limit, what `auto` leaves to SymPy where nothing is open any more."""
ANCHOR_SCALARS, OPEN_SCALARS = 800, 3000
"""`auto` asks SymPy as well where the nodes of both passes have at most so many entries, and about
what the certificate left open where they have at most so many."""


class Panel:
    """The methods that are asked, and what they were."""

    def __init__(
        self,
        question: Question,
        targets: list[str],
        tau: Any,
        sizes: Mapping[str, int],
        method: str,
        clock: Clock,
    ) -> None:
        self.question, self.targets = question, targets
        self.tau, self.sizes = tau, sizes
        self.method, self.clock = method, clock
        self.seconds = clock.left
        self.used: dict[str, None] = {}
        self.anchor: Anchor | None = None
        self.too_long = False
        """Whether SymPy had no time for an answer that was not needed."""
        self.slip: Slip | None = None
        """What seems to be changed in a person's equations, if it was sought."""
        self.stated = question.opened
        """The circuit that holds the backward equations as well, once they are read."""

    def claims(
        self, text: str | None, source: str, wrt: Any, truncate: Any
    ) -> tuple[list[Claim], tuple[Equation, ...]]:
        """Return the claims about all gradients, and what is said of a person's equations.

        What is not answered when the time is over is undecided.
        """
        names = [] if text is not None else self.targets
        origin = "adjoint equations" if text is None else CLAIMED
        try:
            with enforced(self.clock):
                stated = self._stated(text, source, wrt, truncate)
                names, origin = list(stated.names), stated.origin
                side = stated.side(self.tau, self.sizes)
                if text is not None and truncate is None:
                    stated, self.slip = with_slip(self.question, stated, side, self.clock)
                    side = stated.of(side.dag)
        except ExhaustedError:
            question, tau, sizes = self.question, self.tau, self.sizes
            left = names or self.targets
            return [unanswered(question, origin, name, tau, sizes, NO_TIME) for name in left], ()
        self.stated = stated.circuit
        if truncate is not None:
            found = self._explained(side, self._truncated(side, truncate), truncate)
            return self._first_wrong(stated, side, found, truncate) if text else found, ()
        found = self._every(stated, side) if self.method == "induction" else self._judged(side)
        if self.method == "auto":
            found = self._extended(found, stated)
        if text is None and self.method != "induction":
            found += self._swept()
        if text is None:
            return found, ()
        found = self._valued(side, found)
        bad = next((claim for claim in found if claim.verdict in ("refuted", "undecided")), None)
        if bad is None:
            return found, ()
        try:
            with enforced(self.clock):
                side = stated.side(bad.tau, self.sizes) if bad.tau else side
        except ExhaustedError:
            return found, ()
        found, equations = self._explained(side, found, None), self._one_by_one(side, stated)
        return with_faults(found, equations), equations

    def _explained(self, side: Side, found: list[Claim], truncation: Any) -> list[Claim]:
        """Return refuted claims with their likely causes."""
        lengths = side.dag.tau
        mine = [claim for claim in found if not claim.tau or dict(claim.tau) == dict(lengths)]
        try:
            with enforced(self.clock):
                told = with_causes(self.question, side, mine, truncation, self.clock)
        except ExhaustedError:
            return found
        causes = {claim.name: claim for claim in told}
        return [causes.get(claim.name, claim) for claim in found]

    def _valued(self, side: Side, found: list[Claim]) -> list[Claim]:
        """Return the claims of a person, those undecided that are no numbers."""
        try:
            with enforced(self.clock):
                return with_values(self.question, side, found)
        except ExhaustedError:
            return found

    def _first_wrong(
        self, stated: Stated, side: Side, found: list[Claim], truncation: Any
    ) -> list[Claim]:
        """Return refuted truncated claims with the first equation that is wrong."""
        try:
            with enforced(self.clock):
                question, clock = self.question, self.clock
                return with_equations(question, stated, side, found, truncation, clock)
        except ExhaustedError:
            return found

    def _stated(self, text: str | None, source: str, wrt: Any, truncate: Any) -> Stated:
        self.clock.stage("backward equations")
        if text is None:
            return own_equations(self.question, self.targets, truncate)
        return claimed_equations(self.question, text, self.targets, wrt, source)

    def _swept(self) -> list[Claim]:
        """Return the claims about the library's sweep on the unfolded graph."""
        try:
            with enforced(self.clock):
                side = swept(self.question, self.targets, self.tau, self.sizes)
        except ExhaustedError:
            return []
        return self._judged(side)

    def _one_by_one(self, side: Side, stated: Stated) -> tuple[Equation, ...]:
        """Return a verdict on each equation, given the others."""
        self.clock.stage("equation by equation")
        try:
            with enforced(self.clock):
                found = equation_by_equation(self.question, side, self.clock)
                found = with_changes(self.question, side.names, stated.circuit, found)
                return with_pass(self.question, stated, side, found, self.slip, self.clock)
        except ExhaustedError:
            return ()

    def _asked(
        self,
        method: str,
        side: Side,
        names: Iterable[str],
        claims: Callable[[], Iterable[Claim]],
        clock: Clock | None = None,
    ) -> list[Claim]:
        """Return what a method says of gradients; undecided is what it has no time for."""
        self.used[method] = None
        try:
            with enforced(clock or self.clock):
                found = list(claims())
        except ExhaustedError:
            answer = [blank(self.question, side, name) for name in names]
            found = [replace(claim, verdict="undecided", reason=NO_TIME) for claim in answer]
        if method not in ("certificate", "induction") and side.origin == CLAIMED:
            found = self._without_ties(side, found)
        name = "probabilistic" if method == "truncation" else method
        return [replace(claim, methods={name: claim.verdict}) for claim in found]

    def _without_ties(self, side: Side, found: list[Claim]) -> list[Claim]:
        """Return claims of a method that does not know how equal values compare."""
        proved = any(claim.verdict == "proved" for claim in found)
        if not proved or not may_compare_equals(backward_pass(self.question, side)):
            return found
        return [
            replace(claim, verdict="undecided", reason=TIES, error=None)
            if claim.verdict == "proved"
            else claim
            for claim in found
        ]

    def _judged(self, side: Side) -> list[Claim]:
        """Return a claim for each gradient of a side."""
        if self.method == "sympy":
            return self._sympy(side, side.names)
        if self.method in ("probabilistic", "enclosure"):
            return self._sampled(side, self.method, side.names)
        if self.method == "certificate":
            return self._certificate(side, self.clock)
        return self._together(side)

    def _truncated(self, side: Side, truncation: Any) -> list[Claim]:
        """Return a claim for each truncated gradient."""
        self.clock.stage(f"{truncation}: masked sums")
        return self._asked(
            "truncation", side, side.names,
            lambda: sampled.truncated_claims(self.question, side, truncation, self.clock),
        )  # fmt: skip

    def _every(self, stated: Stated, side: Side) -> list[Claim]:
        """Return a claim for each gradient, for every length."""
        self.clock.stage("induction")
        return self._asked(
            "induction", side, side.names,
            lambda: induction.induction_claims(self.question, stated, self.sizes, self.clock),
        )  # fmt: skip

    def _extended(self, found: list[Claim], stated: Stated) -> list[Claim]:
        """Return claims that are proved at one length as proved at every length, where they are."""
        clock = self.clock.at_most(INDUCTION_SHARE * self.seconds)
        names = {claim.by for claim in found if claim.verdict in ("proved", "undecided")}
        if not names or clock.is_over:
            return found
        self.clock.stage(f"{stated.origin}: induction")
        hopeful = lambda so_far: bool(names - so_far.proved)  # noqa: E731
        try:
            with enforced(clock):
                every = induction.inductive(self.question, stated, self.sizes, clock, hopeful)
        except ExhaustedError:
            return found
        if every.proved & names:
            self.used["induction"] = None
        found = [_at_every_length(c) if c.by in every.proved & names else c for c in found]
        return self._limited(found, stated, every) if stated.origin == CLAIMED else found

    def _limited(
        self, found: list[Claim], stated: Stated, every: induction.Induction
    ) -> list[Claim]:
        """Return claims with the shortest length known at which one that is proved is wrong."""
        left = [claim.by for claim in found if claim.verdict == "proved" and not claim.every]
        clock = self.clock.at_most(INDUCTION_SHARE * self.seconds)
        if not left or clock.is_over:
            return found
        wrong: dict[str, Claim] = {}
        with suppress(ExhaustedError), enforced(clock):
            wrong = induction.refutations(self.question, stated, self.sizes, every, clock)
        return [
            replace(claim, wrong_at=wrong[claim.by].tau)
            if claim.by in left and claim.by in wrong
            else claim
            for claim in found
        ]

    def _together(self, side: Side) -> list[Claim]:
        """Return what certificate, random points and SymPy say together."""
        first = self._certificate(side, self.clock.part(CERTIFICATE_SHARE))
        left = [claim.by for claim in first if claim.verdict == "undecided"]
        if left and not self.clock.is_over:
            third = {claim.by: claim for claim in self._sampled(side, "probabilistic", left)}
            first = [_together(claim, third.get(claim.by)) for claim in first]
        open_names = [claim.by for claim in first if claim.verdict == "undecided"]
        asked = list(side.names) if side.scalars <= ANCHOR_SCALARS else open_names
        if side.scalars > OPEN_SCALARS or (self.too_long and not open_names):
            asked = []
        if not asked or self.clock.is_over:
            return first
        found = self._sympy(side, asked) if open_names else self._opinion(side, asked)
        second = {claim.by: claim for claim in found}
        return [_together(claim, second.get(claim.by)) for claim in first]

    def _certificate(self, side: Side, clock: Clock) -> list[Claim]:
        self.clock.stage(f"{side.origin}: certificate")
        return self._asked(
            "certificate", side, side.names,
            lambda: judge.certificate_claims(self.question, side, side.names, clock),
        )  # fmt: skip

    def _sampled(self, side: Side, method: str, names: Iterable[str]) -> list[Claim]:
        self.clock.stage(f"{side.origin}: {method}")
        judged = (
            sampled.probabilistic_claims if method == "probabilistic" else sampled.enclosure_claims
        )
        return self._asked(
            method, side, names, lambda: judged(self.question, side, list(names), self.clock)
        )

    def _opinion(self, side: Side, names: list[str]) -> list[Claim]:
        """Return what SymPy says of gradients that are judged already, unless it takes long."""
        clock = self.clock.at_most(OPINION_SHARE * self.seconds)
        known = "sympy" in self.used
        found = self._sympy(side, names, clock)
        self.too_long = any(claim.reason == NO_TIME for claim in found)
        if self.too_long:
            self.anchor = None  # it may have been interrupted at any place
        if not known and all(claim.verdict == "undecided" for claim in found):
            del self.used["sympy"]
        return found

    def _sympy(self, side: Side, names: Iterable[str], clock: Clock | None = None) -> list[Claim]:
        clock = clock or self.clock
        self.clock.stage(f"{side.origin}: SymPy")
        return self._asked("sympy", side, names, lambda: self._anchored(side, list(names), clock),
                           clock)  # fmt: skip

    def _anchored(self, side: Side, names: list[str], clock: Clock) -> Iterable[Claim]:
        if self.anchor is None:
            self.anchor = Anchor(self.question, self.tau, self.sizes)
        return self.anchor.judged(side, names, clock)


def _at_every_length(claim: Claim) -> Claim:
    methods = {**claim.methods, "induction": "proved"}
    return replace(
        claim, verdict="proved", reason="", error=None, every=True, methods=methods,
        fault="", residual="",
    )  # fmt: skip


def _together(first: Claim, second: Claim | None) -> Claim:
    """Return one claim from the verdicts of two methods; contradictions prove nothing."""
    if second is None:
        return first
    methods = {**first.methods, **second.methods}
    verdicts = {first.verdict, second.verdict} - {"undecided"}
    if len(verdicts) > 1:
        return replace(first, verdict="undecided", reason=judge.CONTRADICTION, methods=methods)
    chosen = second if first.verdict == "undecided" and verdicts else first
    if chosen.verdict == "proved":
        return replace(chosen, methods=methods)
    return replace(chosen, methods=methods, fault=first.fault, residual=first.residual)
