"""Verdicts on one backward pass: proved by its certificate, refuted by enclosures, or undecided."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from graphgrad.proof.certificate import BackwardPass, Certificate, Instance, Local
from graphgrad.proof.enclosure import as_data, enclosed, sample
from graphgrad.proof.intervals import OutsideDomainError
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.question import Question, Side, backward_pass
from graphgrad.proof.render import shown
from graphgrad.proof.residual import vanishes
from graphgrad.proof.result import Claim

METHOD_TEXT = "a certificate: one exact polynomial identity for each step of the backward pass"
NO_TIME = "the time limit was reached"
SAMPLES = 12
PRECISIONS = (128, 512)
ROUNDS = 4


@dataclass(frozen=True)
class Fault:
    """A local identity that does not hold: where, and what is left over."""

    instance: Instance
    entry: tuple[int, ...]
    residual: str


@dataclass(frozen=True)
class Certified:
    """What a certificate shows: gradients proved, local identities that fail, or why it ends."""

    proved: frozenset[str]
    faults: tuple[Fault, ...]
    blamed: dict[str, Fault]
    reason: str


def certificate_claims(
    question: Question, side: Side, names: Iterable[str], deadline: float
) -> Iterator[Claim]:
    """Yield a claim for each gradient: the certificate first, enclosures for what it leaves."""
    passes = backward_pass(question, side)
    names = list(names)
    found = certified(passes, deadline)
    refuted: dict[str, Claim] = {}
    left = [name for name in names if name not in found.proved]
    if left and not isinstance(found, str):
        refuted = refutations(question, side, passes, left, deadline)
    for name in names:
        claim = blank(question, side, name, passes)
        if name in found.proved:
            yield claim
            continue
        fault = found.blamed.get(name)
        if fault is not None:
            claim = replace(claim, fault=_fault_text(side, fault), residual=fault.residual)
        if name in refuted:
            other = refuted[name]
            yield replace(
                claim,
                verdict="refuted",
                reason=other.reason,
                entry=other.entry,
                witness=other.witness,
                difference=other.difference,
            )
            continue
        reason = found.reason or "the local identities do not hold as polynomials"
        yield replace(claim, verdict="undecided", reason=reason)


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
        int(np.prod(_shape(passes, name), dtype=int)),
        by=name,
        indexed=indexed,
    )


def _shape(passes: BackwardPass, name: str) -> tuple[int, ...]:
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


def certified(passes: BackwardPass, deadline: float | None) -> Certified:
    """Return what certificates prove of a backward pass.

    Equations called d_v need not be cotangents. Where one is not, its variable is no longer cut,
    and what remains is tried again: the identities are about fewer cuts then, and as strong.
    """
    proved: set[str] = set()
    first: Certified | None = None
    reason = ""
    for _ in range(ROUNDS):
        try:
            found, wrong = _attempt(passes, deadline)
        except ExhaustedError:
            reason = NO_TIME
            break
        except UndecidableError as failure:
            reason = str(failure)
            break
        proved |= found.proved
        first = first or found
        if not wrong or len(proved) == len(passes.gradients):
            break
        kept = {each: node for each, node in passes.cotangents.items() if each[0] not in wrong}
        passes = replace(passes, cotangents=kept)
    if first is None:
        return Certified(frozenset(), (), {}, reason)
    return Certified(frozenset(proved), first.faults, first.blamed, reason)


def _attempt(passes: BackwardPass, deadline: float | None) -> tuple[Certified, set[str]]:
    """Return what one certificate shows, and the variables whose cotangents are wrong."""
    if deadline is not None and time.monotonic() > deadline:
        raise ExhaustedError(NO_TIME)
    certificate = Certificate(passes, deadline)
    certificate.run()
    faults: list[Fault] = []
    failing: dict[int, Fault] = {}
    for local in certificate.locals():
        fault = _fault(certificate, local, shape_of(passes, local.instance))
        if fault is not None:
            faults.append(fault)
            failing.update((gid, fault) for gid in certificate.lets[local.instance])
    tainted = certificate.table.below(failing)
    proved: set[str] = set()
    blamed: dict[str, Fault] = {}
    for name in passes.gradients:
        fault = _fault(certificate, certificate.gradient(name), _shape(passes, name))
        gids = certificate.data_of(name)
        if fault is None:
            fault = next((tainted[gid] for gid in gids if gid in tainted), None)
            if fault is None:
                proved.add(name)
                continue
        else:
            faults.append(fault)
        blamed[name] = fault
    wrong = {fault.instance[0] for fault in failing.values()}
    return Certified(frozenset(proved), tuple(faults), blamed, ""), wrong


def _fault(certificate: Certificate, local: Local, shape: tuple[int, ...]) -> Fault | None:
    """Return the first entry at which a local identity fails."""
    for position, residual in sorted(local.residuals.items()):
        certificate.table.relations.tick()
        if not vanishes(certificate.table, residual):
            entry = tuple(int(k) for k in np.unravel_index(position, shape)) if shape else ()
            return Fault(local.instance, entry, shown(certificate.table, residual))
    return None


def shape_of(passes: BackwardPass, instance: Instance) -> tuple[int, ...]:
    """Return the shape of an instance of a variable."""
    kind = passes.dag.system.type_of(instance[0])
    assert isinstance(kind, tuple)
    return tuple(int(dim.bind(passes.dag.sizes)) for dim in kind)


# -- refutations -----------------------------------------------------------------------------------


def refutations(
    question: Question, side: Side, passes: BackwardPass, names: list[str], deadline: float
) -> dict[str, Claim]:
    """Return a refuted claim for each gradient that provably differs from the truth somewhere."""
    found: dict[str, Claim] = {}
    system = question.probed.check()
    for attempt in range(SAMPLES * len(PRECISIONS)):
        missing = [name for name in names if name not in found]
        if not missing or time.monotonic() > deadline:
            break
        seed, precision = attempt % SAMPLES, PRECISIONS[attempt // SAMPLES]
        values = sample(system, passes.dag.tau, passes.dag.sizes, seed)
        try:
            point = enclosed(passes, values, precision)
            differing = {name: next(point.differing(name), None) for name in missing}
        except (OutsideDomainError, UndecidableError):
            continue
        for name, difference in differing.items():
            if difference is not None:
                position, bounds = difference
                shape = _shape(passes, name)
                entry = tuple(int(k) for k in np.unravel_index(position, shape)) if shape else ()
                found[name] = replace(
                    blank(question, side, name, passes),
                    verdict="refuted",
                    reason="a rigorous enclosure excludes 0",
                    entry=entry,
                    witness=as_data(values),
                    difference=(str(bounds[0]), str(bounds[1])),
                )
    return found
