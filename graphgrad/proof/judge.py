"""Verdicts on one backward pass: proved by its certificate, refuted by enclosures, or undecided."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from graphgrad.proof.certificate import BackwardPass, Certificate, Instance, Local
from graphgrad.proof.enclosure import as_data, enclosed, sample
from graphgrad.proof.intervals import OutsideDomainError
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.question import Question, Side, backward_pass
from graphgrad.proof.render import shown
from graphgrad.proof.residual import vanishes
from graphgrad.proof.result import Claim
from graphgrad.proof.sparse import Terms

METHOD_TEXT = "a certificate: one exact polynomial identity for each step of the backward pass"
NO_TIME = "the time limit was reached"
SAMPLES = 12
PRECISIONS = (128, 512)
ROUNDS = 4
QUICK = 6
FEW = 2


@dataclass(frozen=True)
class Fault:
    """A local identity that does not hold: where, and what is left over."""

    instance: Instance
    entry: tuple[int, ...]
    residual: str


@dataclass
class Findings:
    """What is known of a backward pass so far: gradients proved and refuted, and what is at fault.

    `apart` are the instances whose claimed cotangents provably differ from the true ones.
    """

    proved: set[str] = field(default_factory=set)
    refuted: dict[str, Claim] = field(default_factory=dict)
    apart: set[Instance] = field(default_factory=set)
    blamed: dict[str, Fault] = field(default_factory=dict)
    reason: str = ""

    def left(self, names: Iterable[str]) -> list[str]:
        """Return the gradients that are neither proved nor refuted."""
        return [name for name in names if name not in self.proved and name not in self.refuted]


def certificate_claims(
    question: Question, side: Side, names: Iterable[str], deadline: float
) -> Iterator[Claim]:
    """Yield a claim for each gradient: the certificate first, enclosures for what it leaves."""
    passes = backward_pass(question, side)
    found = certified(
        passes,
        deadline,
        lambda found, patience: refute(question, side, passes, found, deadline, patience),
    )
    for name in names:
        claim = found.refuted.get(name) or blank(question, side, name, passes)
        fault = found.blamed.get(name)
        if name in found.proved:
            yield claim
            continue
        if fault is not None:
            claim = replace(claim, fault=_fault_text(side, fault), residual=fault.residual)
        if name not in found.refuted:
            reason = found.reason or "the local identities do not hold as polynomials"
            claim = replace(claim, verdict="undecided", reason=reason)
        yield claim


def blank(question: Question, side: Side, name: str, passes: BackwardPass) -> Claim:
    """Return the claim that a gradient is right, as if it were proved."""
    system = passes.dag.system
    declared = system.inputs.get(name)
    indexed = declared is not None and declared.index is not None
    return Claim(
        side.prefix + name,
        f"∂{question.shown}/∂{name}",
        side.origin,
        "proved",
        int(np.prod(shape_of_gradient(passes, name), dtype=int)),
        by=name,
        indexed=indexed,
    )


def shape_of_gradient(passes: BackwardPass, name: str) -> tuple[int, ...]:
    """Return the shape of a gradient, time first for an indexed input."""
    system, dag = passes.dag.system, passes.dag
    kind = system.type_of(name)
    assert isinstance(kind, tuple)
    shape = tuple(int(dim.bind(dag.sizes)) for dim in kind)
    index = system.index_of(name) if name in system.inputs else None
    return shape if index is None else (dag.tau[index], *shape)


def _fault_text(side: Side, fault: Fault) -> str:
    name, step = fault.instance
    where = side.prefix + name + ("" if step is None else f"[{step}]")
    return where + (f" entry {list(fault.entry)}" if fault.entry else "")


# -- certificates ----------------------------------------------------------------------------------


def certified(
    passes: BackwardPass,
    deadline: float | None,
    search: Callable[[Findings, int], None] = lambda found, patience: None,
) -> Findings:
    """Return what certificates prove of a backward pass, and what `search` refutes.

    Equations called d_v need not be cotangents. Where one is not, its variable is no longer cut,
    and what remains is tried again: the identities are about fewer cuts then, and as strong. The
    first search gives up early, since most of what it does not refute is proved afterwards; the
    last is for what nothing else decides.
    """
    found = Findings()
    searched = False
    for _ in range(ROUNDS):
        try:
            attempt = _Attempt(passes, deadline)
            if not searched and attempt.failing():
                search(found, FEW)
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
    if (searched or found.reason) and found.left(passes.gradients):
        search(found, SAMPLES * len(PRECISIONS))
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

    def __init__(self, passes: BackwardPass, deadline: float | None) -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise ExhaustedError(NO_TIME)
        self.passes = passes
        self.certificate = Certificate(passes, deadline)
        with uncollected():
            self.certificate.run()
            self.open = [(each, self._left(each)) for each in self.certificate.locals()]
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
            fault = self._fault(local, rest, shape_of(self.passes, local.instance), known=known)
            if fault is not None:
                gids = self.certificate.lets[local.instance]
                failing.update((gid, fault) for gid in gids)
        tainted = self.certificate.table.below(failing)
        for name, local in self.gradients.items():
            gids = self.certificate.data_of(name)
            shape = shape_of_gradient(self.passes, name)
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


def shape_of(passes: BackwardPass, instance: Instance) -> tuple[int, ...]:
    """Return the shape of an instance of a variable."""
    kind = passes.dag.system.type_of(instance[0])
    assert isinstance(kind, tuple)
    return tuple(int(dim.bind(passes.dag.sizes)) for dim in kind)


# -- refutations -----------------------------------------------------------------------------------


def refute(
    question: Question,
    side: Side,
    passes: BackwardPass,
    found: Findings,
    deadline: float,
    patience: int = SAMPLES * len(PRECISIONS),
) -> None:
    """Look for points at which claimed gradients and cotangents provably differ from the truth.

    `patience` is after how many points that refute nothing more to give up.
    """
    system, idle = question.probed.check(), 0
    for attempt in range(SAMPLES * len(PRECISIONS)):
        missing = found.left(passes.gradients)
        if not missing or time.monotonic() > deadline:
            return
        seed, precision = attempt % SAMPLES, PRECISIONS[attempt // SAMPLES]
        values = sample(system, passes.dag.tau, passes.dag.sizes, seed)
        try:
            point = enclosed(passes, values, precision)
            differing = {name: next(point.differing(name), None) for name in missing}
            for instance in passes.cotangents:
                if instance in point.claimed and next(point.differing(instance), None):
                    found.apart.add(instance)
        except OutsideDomainError:
            continue
        except UndecidableError:
            return
        idle = 0 if any(differing.values()) else idle + 1
        for name, difference in differing.items():
            if difference is None:
                continue
            position, bounds = difference
            shape = shape_of_gradient(passes, name)
            entry = tuple(int(k) for k in np.unravel_index(position, shape)) if shape else ()
            found.refuted[name] = replace(
                blank(question, side, name, passes),
                verdict="refuted",
                reason="a rigorous enclosure excludes 0",
                entry=entry,
                witness=as_data(values),
                difference=(str(bounds[0]), str(bounds[1])),
            )
        if idle >= (patience if found.refuted else QUICK):
            return
