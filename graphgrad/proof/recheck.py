"""Proofs checked again, independently of the first time.

The circuit and the claims are read anew from text and proved anew. Whatever is random is drawn
anew: primes and points. Then every verdict is held against a method that did not give it:

* what was proved must agree at a random point modulo a random prime; what was proved at every
  length, at lengths drawn at random as well;
* what was refuted must be refuted again at the witness that the proof names, by enclosures of other
  precision.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import SystemRandom
from typing import Any

import numpy as np
from rich.console import Group
from rich.text import Text

from graphgrad.notation.parse import parse
from graphgrad.proof.clock import Clock
from graphgrad.proof.enclosure import enclosed
from graphgrad.proof.intervals import OutsideDomainError
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.probabilistic import probed
from graphgrad.proof.prove import prove
from graphgrad.proof.question import (
    Question,
    Side,
    Stated,
    backward_pass,
    claimed_equations,
    own_equations,
    question_of,
    swept,
    targets_of,
)
from graphgrad.proof.result import Claim, Proof, ProofError
from graphgrad.truncation import chunks, window

PRECISION = 777
LONGEST = 12


@dataclass(frozen=True)
class Recheck:
    """The new proof, and what speaks against the old one; `ok` if nothing does."""

    proof: Proof
    against: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every verdict was confirmed."""
        return not self.against

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        notes = {"ok": self.ok, "against": self.against, "checks": self.checks}
        return {**notes, "proof": self.proof.as_dict()}

    def __str__(self) -> str:
        return "\n".join([str(self.proof), *self._lines()])

    def __rich__(self) -> Any:
        """Return the table that rich prints."""
        return Group(self.proof, *(Text(line, overflow="fold") for line in self._lines()))

    def __repr__(self) -> str:
        return f"<Recheck of {self.proof!r}: {'' if self.ok else 'not '}confirmed>"

    def _repr_html_(self) -> str:
        head, *lines = (html.escape(line.strip()) for line in self._lines())
        notes = "".join(f"<li>{line}</li>" for line in lines)
        return f"{self.proof._repr_html_()}<p>{head}</p><ul>{notes}</ul>"

    def _lines(self) -> Iterator[str]:
        yield "checked again:"
        yield from (f"  {check}" for check in self.checks)
        yield from (f"  NOT CONFIRMED: {reason}" for reason in self.against)
        yield f"  {'confirmed' if self.ok else 'not confirmed'}"


def recheck(proof: Proof, *, time_limit: float = 60.0) -> Recheck:
    """Return what a second, independent look at a proof finds.

    Raises ProofError for proofs of hand-written code, which they do not contain.
    """
    request = proof.request
    if request is None:
        raise ProofError(
            "this proof does not contain what was proved",
            remedy="call check_function again: code is not stored in its proof",
        )
    circuit = parse(request.circuit, proof.circuit)
    truncate = truncation(request.truncate)
    again = prove(
        circuit,
        proof.loss,
        claims=request.claims,
        wrt=request.wrt,
        tau=request.tau,
        sizes=proof.sizes,
        method=request.method,
        truncate=truncate,
        time_limit=time_limit,
    )
    checks = ["read and proved anew"]
    against = list(_differences(proof, again))
    if truncate is None:
        question = question_of(circuit, proof.loss)
        found = _Second(proof, question, checks, Clock(time_limit))
        against += found.run()
    else:
        checks.append("masked sums at another random point")
    return Recheck(again, tuple(against), tuple(checks))


def truncation(text: str | None) -> Any:
    """Return the truncation that a text such as `window(3)` names."""
    if text is None:
        return None
    found = re.fullmatch(r"(window|chunks)\((\d+)\)", text)
    if not found:
        raise ProofError(f"{text!r} is no truncation", remedy="write window(k) or chunks(k)")
    return {"window": window, "chunks": chunks}[found[1]](int(found[2]))


def _differences(old: Proof, new: Proof) -> Iterator[str]:
    """Yield where the verdicts are not the same."""
    before = {(claim.origin, claim.name): claim for claim in old.claims}
    after = {(claim.origin, claim.name): claim for claim in new.claims}
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key), after.get(key)
        name = f"{key[1]} ({key[0]})"
        if one is None or other is None:
            yield f"{name} is claimed only {'now' if one is None else 'in the proof'}"
        elif (one.verdict, one.every) != (other.verdict, other.every):
            yield f"{name} was {_said(one)}, is {_said(other)}"


def _said(claim: Claim) -> str:
    return f"{claim.verdict}{' at every length' if claim.every else ''}"


class _Second:
    """The checks by other methods."""

    def __init__(self, proof: Proof, question: Question, checks: list[str], clock: Clock) -> None:
        assert proof.request is not None
        self.proof, self.question, self.checks = proof, question, checks
        self.request = proof.request
        self.draw, self.clock = SystemRandom(), clock
        wrt, claims = self.request.wrt, self.request.claims
        opened = question.opened
        targets = targets_of(opened, proof.loss, wrt, claimed=claims is not None)
        if wrt is None and claims is None:  # boundary values became inputs, never parameters
            targets = list(opened.params)
        self.targets = targets
        self.stated: Stated = (
            own_equations(question, targets)
            if claims is None
            else claimed_equations(question, claims, targets, wrt)
        )

    def run(self) -> Iterator[str]:
        """Yield what speaks against the proof."""
        for claim in self.proof.claims:
            if claim.verdict == "refuted":
                yield from self._witness(claim)
        proved = {claim.by for claim in self.proof.claims if claim.verdict == "proved"}
        if proved and self.proof.tau:
            yield from self._points(self.proof.tau, self._sides(self.proof.tau))
        every = {claim.by for claim in self.proof.claims if claim.every}
        if every:
            lengths = {
                index: self.draw.randint(2, LONGEST) for index in self.question.opened.indices
            }
            yield from self._points(lengths, [self.stated.side(lengths, self.proof.sizes)])

    def _sides(self, tau: Mapping[str, int]) -> list[Side]:
        sides = [self.stated.side(tau, self.proof.sizes)]
        if self.request.claims is None:
            sides.append(swept(self.question, self.targets, tau, self.proof.sizes))
        return sides

    def _points(self, tau: Mapping[str, int], sides: list[Side]) -> Iterator[str]:
        """Compare what was proved at a random point modulo a random prime."""
        shown = ", ".join(f"{index} = 1..{length}" for index, length in tau.items())
        for side in sides:
            names = {
                claim.by
                for claim in self.proof.claims
                if claim.verdict == "proved" and claim.origin == side.origin
            }
            passes = backward_pass(self.question, side)
            try:
                outcome = probed(passes, self.clock, self.draw)
            except UndecidableError as failure:
                self.checks.append(f"no random point for {shown}: {failure}")
                continue
            # functions have independent values there, so that agreement shows much, and a
            # difference only that an identity between functions was used
            agreeing = names & outcome.agreeing
            self.checks.append(
                f"{side.origin}: {len(agreeing)} of {len(names)} proved gradients agree at a "
                f"random point modulo a random prime, for {shown}"
            )
            left = names - agreeing
            if left:
                yield from self._digits(side, left)

    def _digits(self, side: Side, names: set[str]) -> Iterator[str]:
        """Look for points at which what was proved is wrong."""
        from_claims = {claim.by: claim for claim in self.proof.claims if claim.by in names}
        again = prove(
            parse(self.request.circuit, self.proof.circuit),
            self.proof.loss,
            claims=self.request.claims,
            wrt=self.request.wrt,
            tau=dict(side.dag.tau),
            sizes=self.proof.sizes,
            method="enclosure",
            time_limit=max(0.0, self.clock.left),
        )
        for claim in again.claims:
            if claim.by in from_claims and claim.origin == side.origin:
                self.checks.append(f"{claim.name}: {claim.verdict} by enclosures, {claim.reason}")
                if claim.verdict == "refuted":
                    yield f"{claim.name} was proved, and {claim.refuted_text}"

    def _witness(self, claim: Claim) -> Iterator[str]:
        """Enclose both sides at the witness of a refutation once more."""
        tau = claim.tau or self.proof.tau
        side = next(each for each in self._sides(tau) if each.origin == claim.origin)
        passes = backward_pass(self.question, side)
        try:
            values = {name: _exact(value) for name, value in claim.witness.items()}
        except (ValueError, TypeError) as failure:
            raise ProofError(
                f"the witness of {claim.name} is not made of rationals",
                remedy="write the proof anew with proof.to_json()",
            ) from failure
        try:
            point = enclosed(passes, values, PRECISION, self.clock)
            differing = dict(point.differing(claim.by))
        except UndecidableError as failure:
            yield f"{claim.name}: the witness was not looked at: {failure}"
            return
        except (OutsideDomainError, KeyError) as failure:
            yield f"{claim.name}: the witness is no point of the domain: {failure}"
            return
        shape = np.shape(np.asarray(values[claim.by]))
        position = int(np.ravel_multi_index(claim.entry, shape)) if claim.entry else 0
        if position in differing:
            self.checks.append(f"{claim.where} differs at the witness, to {PRECISION} bits")
        else:
            yield f"{claim.where} does not differ at the witness"


def _exact(value: Any) -> Any:
    """Return nested lists of rationals as an array; tokens stay whole numbers."""
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return array if array.ndim else int(array)
    result = np.empty(array.shape, object)
    for position in np.ndindex(*array.shape):
        result[position] = Fraction(str(array[position]))
    return result if array.ndim else result[()]
