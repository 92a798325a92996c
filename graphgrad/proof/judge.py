"""Verdicts on one backward pass: proved by its certificate, refuted by enclosures, or undecided."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from graphgrad.proof.certificate import BackwardPass, Certificate, Local
from graphgrad.proof.clock import NO_TIME, Clock
from graphgrad.proof.findings import Fault, Findings, blank, shape_of, shape_of_gradient
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.question import CLAIMED, Question, Side, backward_pass
from graphgrad.proof.render import shown
from graphgrad.proof.residual import vanishes
from graphgrad.proof.result import Claim
from graphgrad.proof.sparse import Terms
from graphgrad.proof.witness import Search

METHOD_TEXT = "a certificate: one exact polynomial identity for each step of the backward pass"
ROUNDS = 4
CHEAP = 30_000
"""Claims are tried at one point beforehand where both passes have at most so many entries."""
CONTRADICTION = "the methods contradict each other: please report this circuit"


def certificate_claims(
    question: Question, side: Side, names: Iterable[str], clock: Clock
) -> Iterator[Claim]:
    """Yield a claim for each gradient: the certificate first, enclosures for what it leaves."""
    passes = backward_pass(question, side)
    known, search = Findings(), Search(question, side, passes, clock)
    if side.origin == CLAIMED and side.scalars <= CHEAP:
        search.first(known)
    found = certified(passes, clock, search, known)
    for name in names:
        claim = found.refuted.get(name) or blank(question, side, name)
        fault = found.blamed.get(name)
        if name in found.proved:
            if name in found.refuted:
                claim = replace(claim, verdict="undecided", reason=CONTRADICTION)
            yield claim
            continue
        if fault is not None:
            claim = replace(claim, fault=fault.text(side.cotangent), residual=fault.residual)
        if name not in found.refuted:
            reason = found.reason or "the local identities do not hold as polynomials"
            claim = replace(claim, verdict="undecided", reason=reason)
        yield claim


# -- certificates ----------------------------------------------------------------------------------


def certified(
    passes: BackwardPass,
    clock: Clock,
    search: Search | None = None,
    known: Findings | None = None,
) -> Findings:
    """Enter what certificates prove of a backward pass, and what `search` refutes.

    Equations called d_v need not be cotangents. Where one is not, its variable is no longer cut,
    and what remains is tried again: the identities are about fewer cuts then, and as strong. The
    first search gives up early, since most of what it does not refute is proved afterwards; the
    last is for what nothing else decides.
    """
    found = known or Findings()
    searched = False
    for _ in range(ROUNDS):
        try:
            attempt = _Attempt(passes, clock)
            if search is not None and not searched and attempt.failing():
                search.quick(found)
                searched = True
            wrong = attempt.conclude(found)
        except ExhaustedError:
            found.reason = NO_TIME
            break
        except UndecidableError as failure:
            found.reason = str(failure)
            break
        if not wrong or not found.left(passes.gradients):
            break
        kept = {each: node for each, node in passes.cotangents.items() if each[0] not in wrong}
        passes = replace(passes, cotangents=kept)
    if search is not None and (searched or found.reason) and found.left(passes.gradients):
        search.thorough(found)
    return found


@contextmanager
def uncollected() -> Iterator[None]:
    """Suspend the cyclic garbage collector, which would walk millions of terms in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Attempt:
    """One certificate: identities that hold at sight, and those that need a closer look."""

    def __init__(self, passes: BackwardPass, clock: Clock) -> None:
        clock.tick()
        self.passes = passes
        self.certificate = Certificate(passes, clock)
        with uncollected():
            self.certificate.run()
            local = self.certificate.locals()
            self.open = [(each, self._left(each)) for each in clock.counted(local, "equations")]
            self.gradients = {name: self.certificate.gradient(name) for name in passes.gradients}
            self.rest = {name: self._left(each) for name, each in self.gradients.items()}

    def failing(self) -> bool:
        """Whether any identity does not hold at sight."""
        return any(rest for _, rest in self.open) or any(self.rest.values())

    def _left(self, local: Local) -> dict[int, Terms]:
        """Return the residuals that do not vanish at sight."""
        table = self.certificate.table
        found = {}
        for position, residual in sorted(local.residuals.items()):
            table.relations.tick()
            if not vanishes(table, residual, hard=False):
                found[position] = residual
        return found

    def conclude(self, found: Findings) -> set[str]:
        """Enter what is proved and whom to blame; return the variables with wrong cotangents."""
        failing: dict[int, Fault] = {}
        for local, rest in self.open:
            known = local.instance in found.apart
            fault = self._fault(
                local, rest, shape_of(self.passes.dag, local.instance[0]), known=known
            )
            if fault is not None:
                gids = self.certificate.lets[local.instance]
                failing.update((gid, fault) for gid in gids)
        tainted = self.certificate.table.below(failing)
        for name, local in self.gradients.items():
            gids = self.certificate.data_of(name)
            shape = shape_of_gradient(self.passes.dag, name)
            cause = next((tainted[gid] for gid in gids if gid in tainted), None)
            known = name in found.refuted or cause is not None
            fault = self._fault(local, self.rest[name], shape, known=known)
            if fault is None and cause is None:
                found.proved.add(name)
            else:
                blamed = cause or fault
                assert blamed is not None
                found.blamed.setdefault(name, blamed)
        return {fault.instance[0] for fault in failing.values()}

    def _fault(
        self, local: Local, rest: dict[int, Terms], shape: tuple[int, ...], *, known: bool
    ) -> Fault | None:
        """Return the first entry at which an identity fails; look no closer if that is known."""
        table = self.certificate.table
        for position, residual in rest.items():
            table.relations.tick()
            if known or not vanishes(table, residual):
                entry = tuple(int(k) for k in np.unravel_index(position, shape)) if shape else ()
                return Fault(local.instance, entry, shown(table, residual))
        return None
