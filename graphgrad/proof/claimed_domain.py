"""Where a person's backward equations have a value: identities say nothing about where they do not.

`log(u) - log(u)` is zero as a polynomial, and no number where u is negative.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.autodiff import cotangent_prefix
from graphgrad.errors import GraphgradError
from graphgrad.proof.points import PLAIN, sample
from graphgrad.proof.question import Question, Side, backward_pass
from graphgrad.proof.result import Claim

NO_VALUE = "the claim has a value at none of {} random points at which the gradient has one"


def with_values(question: Question, side: Side, found: Sequence[Claim]) -> list[Claim]:
    """Return claims, those undecided that have a value nowhere where the gradient has one.

    They are looked at where an op of the claims has a domain.
    """
    left = [claim for claim in found if claim.verdict in ("proved", "certified")]
    if not left or not _has_domain(question, side):
        return list(found)
    system, names = question.probed.check(), [claim.by for claim in left]
    graph = question.probed.unfold(dict(side.dag.tau), **side.dag.sizes)
    truth = graph.grad(question.scalar, wrt=names)
    prefix = cotangent_prefix(system.declared.names())
    wanted, valued = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for seed in range(PLAIN):
        values = sample(system, side.dag.tau, side.dag.sizes, seed)
        true = _values(truth, values, [prefix + name for name in names])
        got = _values(side.dag, values, [side.prefix + name for name in names])
        for name in names:
            known = prefix + name in true
            wanted[name] += known
            valued[name] += known and side.prefix + name in got
    nowhere = {name for name in names if wanted[name] and not valued[name]}
    return [
        replace(claim, verdict="undecided", every=False, reason=NO_VALUE.format(wanted[claim.by]))
        if claim.by in nowhere and claim in left
        else claim
        for claim in found
    ]


def _has_domain(question: Question, side: Side) -> bool:
    """Whether an op of the claims has a domain."""
    forward = backward_pass(question, side).forward()
    kinds = side.dag.kinds.tolist()
    return any(
        side.dag.templates[kind].op.domain and not forward[node] for node, kind in enumerate(kinds)
    )


def _values(graph: Any, values: Any, outputs: list[str]) -> dict[str, Any]:
    """Return those outputs that are finite at a point."""
    data = {
        name: np.asarray(value).astype(float) if np.asarray(value).dtype == object else value
        for name, value in values.items()
    }
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = graph.evaluate(data, outputs=outputs)
    except (GraphgradError, ArithmeticError):
        return {}
    return {name: value for name, value in found.items() if np.isfinite(value).all()}
