"""The SymPy anchor: the derivative of the fully substituted loss against the backward passes.

For a small length and small sizes the loss is one SymPy expression in real symbols. SymPy
differentiates it; the adjoint circuit and the reverse sweep on the unfolded graph compute the same
gradient over the same symbols; `zero.py` decides exactly whether they are equal. States before the
first step are symbols too, since at zero a fault in the oldest step would not show.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from graphgrad.autodiff import cotangent_prefix
from graphgrad.circuit import Circuit
from graphgrad.data import wanted_sizes
from graphgrad.errors import GradientError, GraphgradError, unknown_name
from graphgrad.proof.algebra import SympyAlgebra
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.result import Claim, Proof, Verdict
from graphgrad.proof.zero import Field, ZeroDecision
from graphgrad.unfold import Dag, checked_lengths

METHODS = ("auto", "sympy")
DEFAULT_SIZE = 2
METHOD_TEXT = "SymPy differentiation of the fully substituted loss, zero decided exactly"


class ProofError(GraphgradError):
    """A proof that cannot be asked for."""


@dataclass(frozen=True)
class _Side:
    """One backward pass over symbols: where it comes from and its gradients by name."""

    origin: str
    prefix: str
    values: Mapping[str, Any]


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
    need), as text in the notation or as a dict of right sides; without it the library's own adjoint
    circuit and its reverse sweep on the unfolded graph are put to the proof. `tau` and `sizes` (2
    each, where no default is declared) are what the proof is for. Verdicts are proved, refuted
    (with a witness) or undecided; after `time_limit` seconds what is left is undecided. Raises
    ProofError for a circuit that has no parameter or no such loss.
    """
    if method not in METHODS:
        raise ProofError(
            f"{method!r} is not a method of proof", remedy=f"use one of {', '.join(METHODS)}"
        )
    started = time.monotonic()
    deadline = started + time_limit
    system = circuit.check()
    if loss not in system.variables:
        error = unknown_name(loss, system.variables)
        raise ProofError(f"{circuit.name} has no {loss} to differentiate", remedy=error.remedy)
    targets = list(system.params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    if not targets:
        raise ProofError(
            f"{circuit.name} has no parameter to differentiate by",
            remedy="name inputs with wrt=[…], or declare a parameter",
        )
    chosen = dict(sizes or {})
    for name, default in system.declared.sizes.items():
        if default is None:
            chosen.setdefault(name, DEFAULT_SIZE)
    bound = wanted_sizes(system, chosen)
    opened = circuit.open()
    forward = opened.unfold(tau, **bound)
    symbols = SympyAlgebra().symbols(forward.system, forward.tau, forward.sizes, {})
    truth = Derivatives(forward.evaluate({}, over="sympy", outputs=[loss])[loss])
    found: list[Claim] = []
    field = Field()
    for side in _sides(opened, loss, targets, claims, tau, bound, symbols):
        for name in targets:
            if side.prefix + name in side.values:
                value = side.values[side.prefix + name]
                found.append(_judge(field, truth, side, name, loss, symbols[name], value, deadline))
    if not found:
        raise ProofError(
            "the claims contain no gradient of " + ", ".join(targets),
            remedy=f"write an equation for d_{targets[0]}",
        )
    return Proof(
        circuit.name,
        loss,
        checked_lengths(system, tau),
        bound,
        METHOD_TEXT,
        tuple(found),
        tuple(_assumptions(circuit, forward)),
        time.monotonic() - started,
    )


def _sides(
    opened: Circuit,
    loss: str,
    targets: list[str],
    claims: str | Mapping[str, str] | None,
    tau: Any,
    sizes: Mapping[str, int],
    symbols: Mapping[str, Any],
) -> Iterator[_Side]:
    """Yield the backward passes that are put to the proof."""
    if claims is not None:
        text = claims if isinstance(claims, str) else _claims_text(claims)
        stated = opened.extend(text)
        names = [f"d_{name}" for name in targets if f"d_{name}" in stated.equations]
        dag = stated.unfold(tau, **sizes)
        yield _Side("claimed", "d_", dag.evaluate({}, over="sympy", outputs=names))
        return
    adjoint = opened.adjoint(loss, wrt=targets)
    prefix = cotangent_prefix(opened.check().declared.names())
    names = [prefix + name for name in targets]
    dag = adjoint.unfold(tau, **sizes)
    values = dag.evaluate({}, over="sympy", outputs=names)
    yield _Side("adjoint equations", prefix, values)
    swept = opened.unfold(tau, **sizes).grad(loss, wrt=targets)
    values = swept.evaluate({}, over="sympy", outputs=names)
    yield _Side("reverse sweep on the unfolded graph", prefix, values)


def _claims_text(claims: Mapping[str, str]) -> str:
    return "\n".join(f"{left} = {right}" for left, right in claims.items())


def _judge(
    field: Field,
    truth: Derivatives,
    side: _Side,
    name: str,
    loss: str,
    symbols: Any,
    value: Any,
    deadline: float,
) -> Claim:
    """Decide one gradient, entry by entry, and stop at the first that is refuted."""
    by, claimed = np.asarray(symbols, object), np.asarray(value, object)
    statement = f"∂{loss}/∂{name}"
    verdict: Verdict = "proved"
    reason = ""
    for entry in np.ndindex(*by.shape):
        decision = _entry(field, truth, by[entry], claimed[entry], deadline)
        if decision.verdict == "nonzero":
            witness = {str(k): str(v) for k, v in (decision.witness or {}).items()}
            bounds = decision.enclosure
            difference = (str(bounds[0]), str(bounds[1])) if bounds else None
            return Claim(
                side.prefix + name, statement, side.origin, "refuted", by.size,
                decision.reason, entry, witness, difference,
            )  # fmt: skip
        if decision.verdict == "undecided":
            verdict, reason = "undecided", decision.reason
    return Claim(side.prefix + name, statement, side.origin, verdict, by.size, reason)


def _entry(
    field: Field, truth: Derivatives, symbol: Any, claimed: Any, deadline: float
) -> ZeroDecision:
    left = deadline - time.monotonic()
    if left <= 0:
        return ZeroDecision("undecided", "the time limit was reached")
    if not isinstance(symbol, sympy.Symbol):
        raise GradientError(
            f"{symbol} is bound to the other entries: it has no derivative of its own",
            remedy="a proof is by parameters and plain inputs, not by distributions",
        )
    slope = truth.by(symbol)
    return field.equal(claimed, slope, time_limit=left)


def _assumptions(circuit: Circuit, dag: Dag) -> Iterator[str]:
    """Yield what the verdicts leave out."""
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
    opened = [name for name in dag.system.inputs if name not in circuit.check().inputs]
    if opened:
        yield f"the boundary values {', '.join(opened)} are arbitrary, not only zero"
