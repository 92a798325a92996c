"""`prove`: which methods are asked about a gradient, in which order, and what they say together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.dims import Token
from graphgrad.proof import judge, sampled
from graphgrad.proof.anchor import METHOD_TEXT as SYMPY_TEXT
from graphgrad.proof.anchor import Anchor
from graphgrad.proof.question import (
    DEFAULT_SIZE,
    ProofError,
    Question,
    Side,
    claimed_side,
    own_sides,
    question_of,
    sizes_of,
    targets_of,
)
from graphgrad.proof.result import Claim, Proof
from graphgrad.unfold import Dag, checked_lengths

__all__ = ["DEFAULT_SIZE", "METHODS", "ProofError", "prove"]

METHODS = ("auto", "certificate", "sympy", "probabilistic", "enclosure")
TEXTS = {
    "certificate": judge.METHOD_TEXT,
    "sympy": SYMPY_TEXT,
    "probabilistic": sampled.PROBABILISTIC_TEXT,
    "enclosure": sampled.ENCLOSURE_TEXT,
}
CERTIFICATE_SHARE = 0.6
"""Of the time limit, what `auto` leaves to the certificate."""
ANCHOR_SCALARS, OPEN_SCALARS = 800, 3000
"""`auto` asks SymPy as well where the nodes of both passes have at most so many entries, and about
what the certificate left open where they have at most so many."""


def prove(
    circuit: Circuit,
    loss: str = "loss",
    *,
    claims: str | Mapping[str, str] | None = None,
    wrt: Any = None,
    tau: int | Mapping[str, int] = 3,
    sizes: Mapping[str, int] | None = None,
    method: str = "auto",
    time_limit: float = 60.0,
) -> Proof:
    """Return the proof that the backward equations give the gradient of a loss.

    `claims` holds a person's own equations (`d_W = …`, with whatever auxiliary equations they
    need), as text in the notation or as a dict of right sides; every gradient in them is judged,
    or those that `wrt` names. Without claims the library's own adjoint circuit and its reverse
    sweep on the unfolded graph are put to the proof. `tau` and `sizes` (2 each, where no default is
    declared) are what the proof is for. `method` is "certificate" (exact, local, any size),
    "sympy" (independent, small sizes), "probabilistic" (with an error bound, larger sizes),
    "enclosure" (certified digits at random points), or "auto": the certificate; SymPy too where the
    circuit is small; the probabilistic proof where the certificate leaves something open. Verdicts
    are proved, certified, refuted (with a witness) or undecided; after `time_limit` seconds what is
    left is undecided. Raises ProofError where there is nothing to prove, and ShapeError for a claim
    without the shape of a gradient.
    """
    if method not in METHODS:
        raise ProofError(
            f"{method!r} is not a method of proof", remedy=f"use one of {', '.join(METHODS)}"
        )
    started = time.monotonic()
    deadline = started + time_limit
    system = circuit.check()
    targets = targets_of(circuit, loss, wrt, claimed=claims is not None)
    bound = sizes_of(circuit, sizes)
    question = question_of(circuit, loss)
    if claims is None:
        sides = own_sides(question, targets, tau, bound)
    else:
        sides = iter([claimed_side(question, claims, targets, wrt, tau, bound)])
    panel = _Panel(question, tau, bound, method, deadline)
    found = [claim for side in sides for claim in panel.judged(side)]
    judged = {claim.by for claim in found}
    return Proof(
        circuit.name,
        loss,
        checked_lengths(system, tau),
        bound,
        "; ".join(TEXTS[name] for name in panel.used),
        tuple(found),
        tuple(_assumptions(circuit, question.probed.unfold(tau, **bound))),
        time.monotonic() - started,
        tuple(name for name in system.params if name not in judged) if claims is not None else (),
    )


class _Panel:
    """The methods that are asked, and what they were."""

    def __init__(
        self,
        question: Question,
        tau: Any,
        sizes: Mapping[str, int],
        method: str,
        deadline: float,
    ) -> None:
        self.question = question
        self.method = method
        self.deadline = deadline
        self.used: dict[str, None] = {}
        self._anchor: Anchor | None = None
        self._make: Callable[[], Anchor] = lambda: Anchor(question, tau, sizes, deadline)

    def judged(self, side: Side) -> Iterator[Claim]:
        """Yield a claim for each gradient of a side."""
        if self.method == "sympy":
            yield from self._sympy(side, side.names)
            return
        if self.method in ("probabilistic", "enclosure"):
            yield from self._sampled(side, self.method, side.names)
            return
        first = list(self._certificate(side))
        if self.method == "certificate":
            yield from first
            return
        left = [claim.by for claim in first if claim.verdict == "undecided"]
        if left and time.monotonic() < self.deadline:
            third = {claim.by: claim for claim in self._sampled(side, "probabilistic", left)}
            first = [_together(claim, third.get(claim.by)) for claim in first]
        open_names = [claim.by for claim in first if claim.verdict == "undecided"]
        scalars = _scalars(side.dag)
        asked = list(side.names) if scalars <= ANCHOR_SCALARS else open_names
        if scalars > OPEN_SCALARS:
            asked = []
        if not asked or time.monotonic() > self.deadline:
            yield from first
            return
        second = {claim.by: claim for claim in self._sympy(side, asked)}
        for claim in first:
            yield _together(claim, second.get(claim.by))

    def _certificate(self, side: Side) -> Iterator[Claim]:
        self.used["certificate"] = None
        deadline = self.deadline
        if self.method == "auto":
            now = time.monotonic()
            deadline = now + CERTIFICATE_SHARE * (deadline - now)
        for claim in judge.certificate_claims(self.question, side, side.names, deadline):
            yield replace(claim, methods={"certificate": claim.verdict})

    def _sampled(self, side: Side, method: str, names: Iterable[str]) -> Iterator[Claim]:
        self.used[method] = None
        judged = (
            sampled.probabilistic_claims if method == "probabilistic" else sampled.enclosure_claims
        )
        for claim in judged(self.question, side, list(names), self.deadline):
            yield replace(claim, methods={method: claim.verdict})

    def _sympy(self, side: Side, names: Iterable[str]) -> Iterator[Claim]:
        self.used["sympy"] = None
        if self._anchor is None:
            self._anchor = self._make()
        for claim in self._anchor.judged(side, list(names)):
            yield replace(claim, methods={"sympy": claim.verdict})


def _scalars(dag: Dag) -> int:
    """Return the number of scalar entries of all nodes together."""
    sizes = []
    for _, _, kind in dag.templates:
        shape = () if isinstance(kind, Token) else kind
        sizes.append(prod(int(dim.bind(dag.sizes)) for dim in shape))
    counts = np.bincount(dag.kinds, minlength=len(sizes))
    return int(counts @ np.array(sizes))


def _together(first: Claim, second: Claim | None) -> Claim:
    """Return one claim from the verdicts of two methods; contradictions prove nothing."""
    if second is None:
        return first
    methods = {**first.methods, **second.methods}
    verdicts = {first.verdict, second.verdict} - {"undecided"}
    if len(verdicts) > 1:
        reason = "the methods contradict each other: please report this circuit"
        return replace(first, verdict="undecided", reason=reason, methods=methods)
    chosen = second if first.verdict == "undecided" and verdicts else first
    return replace(chosen, methods=methods, fault=first.fault, residual=first.residual)


def _assumptions(circuit: Circuit, dag: Dag) -> Iterator[str]:
    """Yield what the verdicts leave out, or hold for."""
    kinks = {t.op.name: t.op.kinks for t in dag.templates if t.op.kinks}
    for name, where in sorted(kinks.items()):
        yield f"no {name} stands at its kink ({where})"
    domains = {t.op.name: t.op.domain for t in dag.templates if t.op.domain}
    for name, where in sorted(domains.items()):
        yield f"every {name} is inside its domain ({where})"
    for name, declared in circuit.check().inputs.items():
        if declared.kind == "distribution":
            yield f"the entries of {name} sum to 1"
        if declared.kind == "token":
            yield f"{name} is a token: proved for every row of weights with sum 1"
    opened = [name for name in circuit.open().inputs if name not in circuit.inputs]
    if opened:
        yield f"the boundary values {', '.join(opened)} are arbitrary, not only zero"
