"""`prove`: what is asked about a gradient, and the proof that answers it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphgrad.autodiff.requests import names_in, unknown_loss
from graphgrad.circuit import Circuit
from graphgrad.files import read_text
from graphgrad.ir import Node
from graphgrad.proof.arguments import check_types
from graphgrad.proof.clock import Clock
from graphgrad.proof.panel import TEXTS, Panel
from graphgrad.proof.progress import Shown
from graphgrad.proof.question import DEFAULT_SIZE, question_of, sizes_of, targets_of
from graphgrad.proof.result import Proof, ProofError, Request
from graphgrad.system import System
from graphgrad.unfold import checked_lengths

__all__ = ["DEFAULT_SIZE", "METHODS", "ProofError", "prove"]

METHODS = ("auto", "induction", "certificate", "sympy", "probabilistic", "enclosure")


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
    check_types(ProofError, claims=claims, sizes=sizes, time_limit=time_limit)
    started = time.monotonic()
    system = circuit.check()
    if not isinstance(loss, str):
        raise unknown_loss(loss, system.variables)
    lengths = checked_lengths(system, tau)
    wrt = None if wrt is None else names_in(wrt)
    text, source = _read(claims)
    targets = targets_of(circuit, loss, wrt, claimed=claims is not None)
    bound = sizes_of(circuit, sizes)
    question = question_of(circuit, loss)
    with Shown(circuit.name, progress) as shown:
        panel = Panel(question, targets, tau, bound, method, Clock(time_limit, shown))
        found, equations = panel.claims(text, source, wrt, truncate)
    judged = {claim.by for claim in found}
    return Proof(
        circuit.name,
        loss,
        {} if method == "induction" else lengths,
        bound,
        "; ".join(TEXTS[name] for name in panel.used),
        tuple(found),
        tuple(_assumptions(circuit, circuit if text is None else panel.stated)),
        time.monotonic() - started,
        () if text is None else tuple(name for name in system.params if name not in judged),
        Request(
            str(circuit),
            text,
            wrt,
            dict(tau) if isinstance(tau, Mapping) else int(tau),
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


def _with_a_domain(system: System) -> dict[str, str]:
    """Return the domains of ops with arguments that may be outside, by name."""
    nodes = [node for node in system.graph.nodes if node.op.domain]
    found = {node.op.name: node.op.domain for node in nodes if not _everywhere(system, node)}
    return dict(sorted(found.items()))


def _everywhere(system: System, node: Node) -> bool:
    """Whether an op has its derivative everywhere, as a quotient by a number or a square."""
    name = node.op.name
    if name not in ("div", "pow"):
        return False
    last = system.graph.nodes[node.args[1]]
    if last.op.name in ("size", "counter"):  # from 1
        return name == "div"
    return last.op.name == "const" and (
        last.attr != 0 if name == "div" else last.attr >= 0 and float(last.attr).is_integer()
    )


def _assumptions(circuit: Circuit, stated: Circuit) -> Iterator[str]:
    """Yield what the verdicts leave out, or hold for; `stated` holds a person's claims as well."""
    system = circuit.check()
    for name, op in sorted({node.op.name: node.op for node in system.graph.nodes}.items()):
        if op.kinks:
            yield f"no {name} stands at its kink ({op.kinks})"
    own = _with_a_domain(system)
    for name, domain in own.items():
        yield f"every {name} is inside its domain ({domain})"
    for name, domain in _with_a_domain(stated.check()).items():
        if name not in own:
            yield f"every {name} of the claims is inside its domain ({domain})"
    for name, declared in system.inputs.items():
        if declared.kind == "distribution":
            yield f"the entries of {name} sum to 1"
        if declared.kind == "token":
            yield f"{name} is a token: proved for every row of weights with sum 1"
    opened = [name for name in circuit.open().inputs if name not in circuit.inputs]
    if opened:
        yield f"the boundary values {', '.join(opened)} are arbitrary, not only zero"
