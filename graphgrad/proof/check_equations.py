"""Likely causes of all wrong results together: the backward equations with one change."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from graphgrad.circuit import Circuit
from graphgrad.proof.check_backward import Backward, changed, evaluated, exchanged, parsed
from graphgrad.proof.check_evidence import Cause, Evidence, near
from graphgrad.proof.check_judge import Comparison
from graphgrad.proof.check_mutants import Mutant, mutants, neighbours, shapes_of
from graphgrad.proof.check_steps import neat
from graphgrad.proof.check_wide import everywhere, quotients

FIRST = 0.7
"""Of the time for changes that explain results alone; the rest is for further ones beside them."""


def equation_causes(
    evidence: Evidence, backward: Backward, limit: float, points: Sequence[Evidence] = (),
    longer: Evidence | None = None,
) -> list[Cause]:  # fmt: skip
    """Return changes of one equation that give what the code returns, the best first.

    A change that explains every result, right and wrong, is returned alone. A result that is right
    at the sample values, and wrong beyond a limit only, is explained by none. What is not confirmed
    exactly must hold at other sample `points` too. What does not hold in a `longer` sequence, as an
    average of two steps in place of a factor 1/2, counts only where nothing else is found.
    """
    stop = min(time.monotonic() + limit, evidence.deadline)
    first = stop - (1 - FIRST) * limit
    judged = [each for each in evidence.made if each.symbols is not None]
    wrong = [each for each in evidence.refuted if each.symbols is not None and each.fits]
    right = {each.quantity for each in judged} - {each.quantity for each in wrong}
    wrong = [each for each in wrong if not evidence.right_here(each)]
    idle = {
        text
        for name, text in backward.equations.items()
        if name.removeprefix(backward.prefix) in right
    }
    got = {each.name: evidence.got(each) for each in judged if each.fits}
    partial: list[Cause] = []
    doubtful: list[tuple[bool, Cause]] = []
    open_names = {each.name for each in wrong}
    shared = _behind(backward, right)
    shapes = shapes_of(evidence.case.goal.circuit.check())
    equations = backward.equations
    forward = {n: str(e) for n, e in evidence.case.goal.circuit.equations.items()}
    changes = [*mutants(equations, shapes), *everywhere(equations, shapes)]
    changes += quotients(equations, forward, backward.prefix)
    for mutant in sorted(changes, key=lambda each: (each.right in shared, each.rank)):
        if time.monotonic() > first or not open_names:
            break
        if mutant.right in idle and not mutant.others:
            continue
        circuit = changed(backward, mutant)
        if circuit is None:
            continue
        found = evaluated(evidence, backward, circuit, exact=False)
        if found is None:
            continue
        fits = [e for e in judged if e.fits and near(got[e.name], evidence.gradients(e, found))]
        names = {each.name for each in fits}
        explained = [each for each in wrong if each.name in names and each.name in open_names]
        if not explained:
            continue
        whole = len(fits) == len([e for e in judged if e.fits])
        symbolic = evaluated(evidence, backward, circuit, exact=True)
        exact = symbolic is not None and all(
            evidence.confirmed(each, evidence.gradients(each, symbolic)) for each in explained
        )
        if not exact and not _holds(points, backward, circuit, names):
            continue
        cause = Cause(
            mutant.cause, tuple(each.name for each in explained), exact,
            "equation", _neat(mutant),
        )  # fmt: skip
        if longer is not None and not _holds([longer], backward, circuit, cause.explains):
            doubtful.append((whole, cause))
            continue
        if whole:
            return [cause]
        partial.append(cause)
    if not partial:
        if any(whole for whole, _ in doubtful):
            return [next(cause for whole, cause in doubtful if whole)]
        partial = [cause for _, cause in doubtful]
    chosen, both = _together(evidence, backward, partial, judged)
    if chosen:
        named = {name for cause in chosen for name in cause.explains}
        left = [each for each in wrong if each.name not in named]
        chosen += _second_causes(evidence, both, left, stop)
    return chosen


def _behind(backward: Backward, quantities: Collection[str | None]) -> set[str]:
    """Return the equations that gradients are computed from: a fault there would show in them."""
    found: set[str] = set()
    pending = [f"{backward.prefix}{quantity}" for quantity in quantities]
    while pending:
        text = backward.equations.get(pending.pop(), "")
        if text and text not in found:
            found.add(text)
            pending += re.findall(r"\w+", text.partition(" = ")[2])
    return found


def _holds(
    points: Sequence[Evidence], backward: Backward, circuit: Circuit, names: Collection[str]
) -> bool:
    """Whether a changed backward pass gives what the code returns at other points."""
    for point in points:
        found = evaluated(point, backward, circuit, exact=False)
        made = [each for each in point.made if each.name in names]
        if found is None or not all(near(point.got(m), point.gradients(m, found)) for m in made):
            return False
    return True


def _together(
    evidence: Evidence, backward: Backward, causes: Sequence[Cause], judged: Sequence[Comparison]
) -> tuple[list[Cause], Backward]:
    """Return causes that can all be there at once, and the equations with their changes.

    Those that explain most come first. A later one must leave what the earlier ones explain.
    """
    chosen: list[Cause] = []
    covered: set[str] = set()
    for cause in sorted(causes, key=lambda each: -len(each.explains)):
        if set(cause.explains) <= covered:
            continue
        both = _with(backward, cause)
        if chosen and not _fits(evidence, both, judged, covered | set(cause.explains)):
            continue
        backward = both
        chosen.append(cause)
        covered |= set(cause.explains)
    return chosen, backward


def _with(backward: Backward, cause: Cause) -> Backward:
    """Return the equations with the change of a cause; as they are where another one made it."""
    return replace(backward, text=exchanged(backward.text, cause.changes))


def _fits(
    evidence: Evidence, backward: Backward, judged: Sequence[Comparison], names: set[str]
) -> bool:
    """Whether backward equations give what the code returns under some names."""
    circuit = parsed(backward.text)
    found = None if circuit is None else evaluated(evidence, backward, circuit, exact=False)
    return found is not None and all(
        near(evidence.got(each), evidence.gradients(each, found))
        for each in judged
        if each.name in names
    )


def _second_causes(
    evidence: Evidence, both: Backward, left: list[Comparison], stop: float
) -> Iterator[Cause]:
    """Yield changes that explain further results beside others, each of its own equation."""
    shapes = shapes_of(evidence.case.goal.circuit.check())
    for made in left:
        for mutant in mutants(_own(both, made), shapes, neighbours(both.equations)):
            if time.monotonic() > stop:
                return
            circuit = changed(both, mutant)
            if circuit is None:
                continue
            found = evaluated(evidence, both, circuit, exact=False)
            if found is None or not near(evidence.got(made), evidence.gradients(made, found)):
                continue
            symbolic = evaluated(evidence, both, circuit, exact=True)
            exact = symbolic is not None and evidence.confirmed(
                made, evidence.gradients(made, symbolic)
            )
            yield Cause(mutant.cause, (made.name,), exact, "equation", _neat(mutant), second=True)
            break


def _own(backward: Backward, made: Comparison) -> dict[str, str]:
    """Return the equation of a gradient, and those of values without a step that it reads."""
    found: dict[str, str] = {}
    pending = [f"{backward.prefix}{made.quantity}"]
    while pending:
        name = pending.pop()
        text = backward.equations.get(name, "")
        if name not in found and text.startswith(f"{name} = "):
            found[name] = text
            pending += re.findall(r"\w+", text)
    return found


def _neat(mutant: Mutant) -> tuple[tuple[str, str], ...]:
    return tuple((right, neat(text)) for right, text in mutant.changes)
