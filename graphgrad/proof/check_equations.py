"""Likely causes of all wrong results together: the backward equations with one change."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_case import Goal
from graphgrad.proof.check_evidence import Cause, Evidence, near
from graphgrad.proof.check_judge import Comparison
from graphgrad.proof.check_mutants import Mutant, mutants, neighbours, shapes_of
from graphgrad.proof.check_steps import neat
from graphgrad.proof.check_wide import everywhere

_parse = door("graphgrad.notation.parse:parse")
FIRST = 0.7
"""Of the time for changes that explain results alone; the rest is for further ones beside them."""


@dataclass
class Backward:
    """The backward equations of a goal as text, to be changed and evaluated."""

    circuit: Circuit
    text: str
    prefix: str
    equations: dict[str, str]
    targets: tuple[str, ...]


def backward_of(goal: Goal, targets: tuple[str, ...]) -> Backward | None:
    """Return the backward equations, None where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            adjoint = goal.circuit.adjoint(goal.loss, wrt=list(targets))
        except GraphgradError:
            return None
    equations = {
        name: str(equation)
        for name, equation in adjoint.equations.items()
        if name not in goal.circuit.equations
    }
    prefix = "dd_" if f"d_{targets[0]}" not in equations else "d_"
    return Backward(adjoint, str(adjoint), prefix, equations, targets)


def changed(backward: Backward, mutant: Mutant) -> Circuit | None:
    """Return the circuit with one equation changed, None where it cannot be computed."""
    return _parsed(_exchanged(backward.text, mutant.changes))


def _exchanged(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """Return a text with lines exchanged."""
    for old, new in changes:
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return text


def _parsed(text: str) -> Circuit | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            circuit: Circuit = _parse(text)
            circuit.check()
        except (GraphgradError, RecursionError):
            return None
    return circuit


def evaluated(
    evidence: Evidence, backward: Backward, circuit: Circuit, *, exact: bool
) -> dict[str, list[Any]] | None:
    """Return the gradients of a backward pass by quantity, one for each example."""
    case = evidence.case
    names = [backward.prefix + name for name in backward.targets]
    try:
        dag = circuit.unfold(case.tau, **case.sizes)
        found = []
        for example in case.examples:
            if exact:
                data = {**case.params, **case.inputs[example]}
                found.append(dag.evaluate(data, over="sympy", outputs=names))
            else:
                found.append(dag.evaluate(evidence.data[example], outputs=names))
    except GraphgradError:
        return None
    results = {
        name: [values[backward.prefix + name] for values in found] for name in backward.targets
    }
    for name, parts in results.items():
        for example, part in enumerate(parts):
            own: Any = case.params.get(name, case.inputs[example].get(name))
            if np.shape(part) != np.shape(own):
                return None
    return results


def equation_causes(
    evidence: Evidence, backward: Backward, limit: float, points: Sequence[Evidence] = ()
) -> list[Cause]:
    """Return changes of one equation that give what the code returns, the best first.

    A change that explains every result, right and wrong, is returned alone. A result that is right
    at the sample values, and wrong beyond a limit only, is explained by none. What is not confirmed
    exactly must hold at other sample `points` too.
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
    open_names = {each.name for each in wrong}
    shared = _behind(backward, right)
    shapes = shapes_of(evidence.case.goal.circuit.check())
    changes = [*mutants(backward.equations, shapes), *everywhere(backward.equations, shapes)]
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
        if not exact and not _holds(points, backward, circuit, explained):
            continue
        cause = Cause(
            mutant.cause, tuple(each.name for each in explained), exact,
            "equation", _neat(mutant),
        )  # fmt: skip
        if whole:
            return [cause]
        partial.append(cause)
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
    points: Sequence[Evidence], backward: Backward, circuit: Circuit, made: Sequence[Comparison]
) -> bool:
    """Whether a changed backward pass gives what the code returns at other points."""
    for point in points:
        found = evaluated(point, backward, circuit, exact=False)
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
    return replace(backward, text=_exchanged(backward.text, cause.changes))


def _fits(
    evidence: Evidence, backward: Backward, judged: Sequence[Comparison], names: set[str]
) -> bool:
    """Whether backward equations give what the code returns under some names."""
    circuit = _parsed(backward.text)
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
