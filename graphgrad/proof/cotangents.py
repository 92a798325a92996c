"""Which of a person's equations are cotangents of which variables, whatever they are called.

Texts write δ, g or λ for what is `d_h` here. An equation that has the values of a cotangent at
random points is taken for it. A certificate may be cut at any equation: a wrong guess proves
nothing that is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.proof.counts import CLOSE
from graphgrad.proof.points import sample
from graphgrad.proof.question import Question, Stated

POINTS = (0, 3)
"""The seeds of the points at which values are compared."""
Found = list[dict[str, Any]]


def has_more(question: Question, stated: Stated, own: Circuit) -> bool:
    """Whether a person has equations that may be cotangents still."""
    theirs, _ = _candidates(question, stated, own)
    lacking = [
        name
        for name in question.probed.variables
        if stated.prefix + name in own.equations
        and stated.cotangent(name) not in stated.circuit.variables
    ]
    return bool(theirs and lacking)


def recognised(
    question: Question,
    stated: Stated,
    own: Circuit,
    tau: Any,
    sizes: Mapping[str, int],
    *,
    ends: bool = False,
) -> Stated:
    """Return a person's equations; those with the values of cotangents in `own` count as these.

    With `ends`, values at the first or the last step are enough for a recurrence: where an equation
    is wrong, what it needs from other steps may be.
    """
    found = alike(question, stated, own, tau, sizes, ends=ends)
    forward, prefix = question.probed.variables, stated.prefix
    called = {name: found[prefix + name] for name in forward if prefix + name in found}
    return replace(stated, called={**called, **stated.called})


def alike(
    question: Question,
    stated: Stated,
    own: Circuit,
    tau: Any,
    sizes: Mapping[str, int],
    *,
    ends: bool = False,
) -> dict[str, str]:
    """Return which equations of `own` have the values of which of a person's, by their names."""
    theirs, ours = _candidates(question, stated, own)
    if not theirs or not ours:
        return {}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            points = points_of(question, stated, tau, sizes)
            got = evaluated(stated.circuit, points, theirs, tau, sizes)
            want = evaluated(own, points, ours, tau, sizes)
    except (GraphgradError, ArithmeticError):
        return {}
    recurrent = {name for name in theirs if ends and _recurrent(stated.circuit, name)}
    found: dict[str, str] = {}
    for steps in (slice(None), slice(-1, None), slice(1)) if ends else (slice(None),):
        whole = steps == slice(None)
        for name, index in ours.items():
            like = [
                each
                for each in (theirs if whole else recurrent)
                if theirs[each] == index and each not in found.values()
                and _same(got, each, want, name, steps)
            ]  # fmt: skip
            if name not in found and (len(like) == 1 or (like and whole)):
                found[name] = like[0]
    return found


def _candidates(
    question: Question, stated: Stated, own: Circuit
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return a person's auxiliary variables and the equations that they may be, with the index."""
    forward, claimed = question.probed.variables, stated.circuit.variables
    gradients = {stated.prefix + name for name in stated.names}
    known = {*stated.called.values(), *(stated.prefix + name for name in forward), *gradients}
    theirs = {
        name: each.index
        for name, each in claimed.items()
        if name not in forward and name not in known
    }
    taken = {*claimed, *(stated.prefix + name for name in stated.called)}
    ours = {name: each.index for name, each in own.variables.items() if name not in taken}
    return theirs, ours


def points_of(
    question: Question, stated: Stated, tau: Any, sizes: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return random points in floats."""
    dag = stated.circuit.unfold(tau, **sizes)
    drawn = [sample(question.probed.check(), dag.tau, dag.sizes, seed) for seed in POINTS]
    return [
        {
            name: np.asarray(value).astype(float) if np.asarray(value).dtype == object else value
            for name, value in point.items()
        }
        for point in drawn
    ]


def evaluated(
    circuit: Circuit, points: Found, names: Iterable[str], tau: Any, sizes: Mapping[str, int]
) -> Found:
    """Return the values of variables at points."""
    dag = circuit.unfold(tau, **sizes)
    return [dag.evaluate(point, outputs=list(names)) for point in points]


def _same(got: Found, one: str, want: Found, other: str, steps: slice) -> bool:
    """Whether two variables have the same values, which are not all zero, at some steps."""
    for left, right in zip(got, want, strict=True):
        a, b = np.asarray(left[one], float), np.asarray(right[other], float)
        if a.shape != b.shape:
            return False
        if a.ndim and steps != slice(None):
            a, b = a[steps], b[steps]
        largest = np.max(np.abs(b), initial=0.0)
        if not largest or not np.max(np.abs(a - b)) <= CLOSE * largest:
            return False
    return True


def _recurrent(circuit: Circuit, name: str) -> bool:
    """Whether a variable needs itself at other steps."""
    graph = circuit.graph
    return any(name in nx.descendants(graph, each) | {each} for each in graph.successors(name))
