"""Two families of faults as equations: changed adjoint circuits, and adjoints by changed rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from tests.faults.equations import changes
from tests.faults.fault import Fault
from tests.faults.subjects import Claims, Subject


def adjoint_faults(subject: Subject, seed: int = 0) -> Iterator[Fault]:
    """Yield the faults of a subject's backward equations, in an order drawn from the seed."""
    for number, (cause, text, claims) in enumerate(changed(subject, seed), 1):
        name = f"adjoint/{subject.name}/{number}"
        yield claimed(name, "adjoint", cause, subject, text, claims)


def changed(subject: Subject, seed: int = 0) -> Iterator[tuple[str, str, Claims]]:
    """Yield the changed backward equations: the class of fault, the changed one, and all."""
    claims = subject.backward
    drawn = [
        (left, cause, new)
        for left, right in claims.items()
        for cause, new in changes(left, right, subject.alike)
        if new != right
    ]
    drawn = list(dict.fromkeys(drawn))
    Random(f"{seed} {subject.name}").shuffle(drawn)
    seen = set()
    for left, cause, new in drawn:
        if (left, new) in seen or not subject.is_legal(wrong := {**claims, left: new}):
            continue
        seen.add((left, new))
        yield cause, f"{left} = {new}", wrong


def claimed(
    name: str, family: str, cause: str, subject: Subject, text: str, claims: Claims
) -> Fault:
    """Return the fault that equations are."""
    return Fault(
        name,
        family,
        cause,
        subject.name,
        text,
        partial(subject.prove, claims),
        partial(subject.numbers, claims),
    )
