"""`prove`: which methods are asked about a gradient, in which order, and what they say together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.dims import Token
from graphgrad.files import read_text
from graphgrad.proof import induction, judge, sampled
from graphgrad.proof.anchor import METHOD_TEXT as SYMPY_TEXT
from graphgrad.proof.anchor import Anchor
from graphgrad.proof.local import equation_by_equation
from graphgrad.proof.progress import Progress
from graphgrad.proof.question import (
    DEFAULT_SIZE,
    Question,
    Side,
    Stated,
    claimed_equations,
    own_equations,
    question_of,
    sizes_of,
    swept,
    targets_of,
)
from graphgrad.proof.result import Claim, Equation, Proof, ProofError, Request
from graphgrad.proof.truncated import METHOD_TEXT as TRUNCATED_TEXT
from graphgrad.unfold import Dag, checked_lengths

__all__ = ["DEFAULT_SIZE", "METHODS", "ProofError", "prove"]

METHODS = ("auto", "induction", "certificate", "sympy", "probabilistic", "enclosure")
TEXTS = {
    "induction": induction.METHOD_TEXT,
    "certificate": judge.METHOD_TEXT,
    "sympy": SYMPY_TEXT,
    "probabilistic": sampled.PROBABILISTIC_TEXT,
    "enclosure": sampled.ENCLOSURE_TEXT,
    "truncation": TRUNCATED_TEXT,
}
CERTIFICATE_SHARE, INDUCTION_SHARE = 0.6, 0.1
"""Of the time limit, what `auto` leaves to the certificate, and to the induction after it."""
ANCHOR_SCALARS, OPEN_SCALARS = 800, 3000
"""`auto` asks SymPy as well where the nodes of both passes have at most so many entries, and about
what the certificate left open where they have at most so many."""


def prove(
    circuit: Circuit,
    loss: str = "loss",
    *,
    claims: str | Path | Mapping[str, str] | None = None,
    wrt: Any = None,
    tau: int | Mapping[str, int] = 3,
    sizes: Mapping[str, int] | None = None,
    method: str = "auto",
    truncate: Any = None,
    time_limit: float = 60.0,
    progress: bool | None = None,
) -> Proof:
    """Return the proof that the backward equations give the gradient of a loss.

    `claims` holds a person's own equations (`d_W = …`, with whatever auxiliary equations they
    need), as text in the notation, a Path, or a dict of right sides; every gradient in them is
    judged, or those that `wrt` names. Without claims the library's own adjoint circuit and its
    reverse sweep on the unfolded graph are put to the proof. `tau` and `sizes` (2 each, where no
    default is declared) are what the proof is for.

    `method` is "induction" (exact, every length), "certificate" (exact, local, any size), "sympy"
    (independent, small sizes), "probabilistic" (with an error bound, larger sizes), "enclosure"
    (certified digits at random points), or "auto": the certificate; SymPy too where the circuit is
    small; the probabilistic proof where the certificate leaves something open; and induction for
    what equations give. With `truncate` (`gg.window(k)`, `gg.chunks(k)`) the equations are those of
    the truncated gradient, and compared with the masked sum that defines it.

    Verdicts are proved, certified, refuted (with a witness) or undecided; after `time_limit`
    seconds what is left is undecided. `progress` shows on stderr what is being done: True, False,
    or None for terminals only. Raises ProofError where there is nothing to prove, and ShapeError
    for a claim without the shape of a gradient.
    """
    if method not in METHODS:
        raise ProofError(
            f"{method!r} is not a method of proof", remedy=f"use one of {', '.join(METHODS)}"
        )
    if truncate is not None and method not in ("auto", "probabilistic"):
        raise ProofError(
            f"the method {method} is not for truncated gradients",
            remedy='leave method out, or use "probabilistic"',
        )
    started = time.monotonic()
    system = circuit.check()
    text, source = _read(claims)
    targets = targets_of(circuit, loss, wrt, claimed=claims is not None)
    bound = sizes_of(circuit, sizes)
    question = question_of(circuit, loss)
    own = claims is None
    stated = (
        own_equations(question, targets, truncate)
        if text is None
        else claimed_equations(question, text, targets, wrt, source)
    )
    with Progress(circuit.name, progress) as shown:
        panel = _Panel(question, tau, bound, method, time_limit, shown)
        if truncate is not None:
            found = list(panel.truncated(stated.side(tau, bound), truncate))
        elif method == "induction":
            found = list(panel.every(stated))
        else:
            found = list(panel.judged(stated.side(tau, bound), stated))
            if own:
                found += panel.judged(swept(question, targets, tau, bound), None)
    judged = {claim.by for claim in found}
    bad = [claim for claim in found if claim.verdict in ("refuted", "undecided")]
    equations: tuple[Equation, ...] = ()
    if not own and bad and truncate is None:
        side = stated.side(bad[0].tau or tau, bound)
        equations = equation_by_equation(question, side, panel.deadline)
    return Proof(
        circuit.name,
        loss,
        {} if method == "induction" else checked_lengths(system, tau),
        bound,
        "; ".join(TEXTS[name] for name in panel.used),
        tuple(found),
        tuple(_assumptions(circuit, question.probed.unfold(tau, **bound))),
        time.monotonic() - started,
        () if own else tuple(name for name in system.params if name not in judged),
        Request(
            str(circuit),
            text,
            None if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt),
            tau if isinstance(tau, int) else dict(tau),
            method,
            None if truncate is None else str(truncate),
        ),
        equations,
    )


def _read(claims: str | Path | Mapping[str, str] | None) -> tuple[str | None, str]:
    """Return claims as text, and where it is from."""
    if claims is None or isinstance(claims, str):
        return claims, "claims"
    if isinstance(claims, Path):
        return read_text(claims), str(claims)
    return "\n".join(f"{left} = {right}" for left, right in claims.items()), "claims"


class _Panel:
    """The methods that are asked, and what they were."""

    def __init__(
        self,
        question: Question,
        tau: Any,
        sizes: Mapping[str, int],
        method: str,
        time_limit: float,
        shown: Progress,
    ) -> None:
        self.question = question
        self.shown = shown
        self.sizes = sizes
        self.method = method
        self.time_limit = time_limit
        self.deadline = time.monotonic() + time_limit
        self.used: dict[str, None] = {}
        self._anchor: Anchor | None = None
        self._make: Callable[[], Anchor] = lambda: Anchor(question, tau, sizes, self.deadline)

    def judged(self, side: Side, stated: Stated | None) -> Iterator[Claim]:
        """Yield a claim for each gradient of a side; `stated` are its equations, if it has any."""
        if self.method == "sympy":
            yield from self._sympy(side, side.names)
        elif self.method in ("probabilistic", "enclosure"):
            yield from self._sampled(side, self.method, side.names)
        elif self.method == "certificate":
            yield from self._certificate(side)
        else:
            found = self._panel(side)
            yield from found if stated is None else self._extended(found, stated)

    def truncated(self, side: Side, truncation: Any) -> Iterator[Claim]:
        """Yield a claim for each truncated gradient."""
        self.used["truncation"] = None
        self.shown.stage(f"{truncation}: masked sums")
        claims = sampled.truncated_claims(self.question, side, truncation, self.deadline)
        for claim in claims:
            yield replace(claim, methods={"probabilistic": claim.verdict})

    def every(self, stated: Stated) -> Iterator[Claim]:
        """Yield a claim for each gradient, for every length."""
        self.used["induction"] = None
        self.shown.stage("induction")
        claims = induction.induction_claims(self.question, stated, self.sizes, self.deadline)
        for claim in claims:
            yield replace(claim, methods={"induction": claim.verdict})

    def _extended(self, found: list[Claim], stated: Stated) -> Iterator[Claim]:
        """Yield claims that are proved at one length as proved at every length, where they are."""
        left = min(self.deadline, time.monotonic() + INDUCTION_SHARE * self.time_limit)
        names = {claim.by for claim in found if claim.verdict in ("proved", "undecided")}
        if not names or time.monotonic() > left:
            yield from found
            return
        self.shown.stage(f"{stated.origin}: induction")
        hopeful = lambda so_far: bool(names - so_far.proved)  # noqa: E731
        every = induction.inductive(self.question, stated, self.sizes, left, hopeful)
        if every.proved & names:
            self.used["induction"] = None
        for claim in found:
            if claim.by in every.proved & names:
                methods = {**claim.methods, "induction": "proved"}
                claim = replace(
                    claim, verdict="proved", reason="", error=None, every=True, methods=methods
                )
            yield claim

    def _panel(self, side: Side) -> list[Claim]:
        """Return what certificate, random points and SymPy say together."""
        first = list(self._certificate(side))
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
            return first
        second = {claim.by: claim for claim in self._sympy(side, asked)}
        return [_together(claim, second.get(claim.by)) for claim in first]

    def _certificate(self, side: Side) -> Iterator[Claim]:
        self.used["certificate"] = None
        self.shown.stage(f"{side.origin}: certificate")
        deadline = self.deadline
        if self.method == "auto":
            now = time.monotonic()
            deadline = now + CERTIFICATE_SHARE * (deadline - now)
        for claim in judge.certificate_claims(self.question, side, side.names, deadline):
            yield replace(claim, methods={"certificate": claim.verdict})

    def _sampled(self, side: Side, method: str, names: Iterable[str]) -> Iterator[Claim]:
        self.used[method] = None
        self.shown.stage(f"{side.origin}: {method}")
        judged = (
            sampled.probabilistic_claims if method == "probabilistic" else sampled.enclosure_claims
        )
        for claim in judged(self.question, side, list(names), self.deadline):
            yield replace(claim, methods={method: claim.verdict})

    def _sympy(self, side: Side, names: Iterable[str]) -> Iterator[Claim]:
        self.used["sympy"] = None
        self.shown.stage(f"{side.origin}: SymPy")
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
