"""A person's backward equations one by one: which are wrong by themselves, given all others.

A wrong equation for `d_h[t]` makes every gradient wrong that is computed from it. The local
identities of a certificate tell them apart: each is about one equation, with the cotangents that it
reads taken as they are.
"""

from __future__ import annotations

import numpy as np

from graphgrad.proof import judge
from graphgrad.proof.certificate import Certificate, Local
from graphgrad.proof.clock import Clock
from graphgrad.proof.findings import shape_of, shape_of_gradient
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.question import Question, Side, backward_pass
from graphgrad.proof.render import shown
from graphgrad.proof.residual import vanishes
from graphgrad.proof.result import Equation


def equation_by_equation(question: Question, side: Side, clock: Clock) -> tuple[Equation, ...]:
    """Return whether each equation follows from the others; nothing where that takes too long."""
    passes = backward_pass(question, side)
    system = passes.dag.system
    try:
        certificate = Certificate(passes, clock)
        with judge.uncollected():
            certificate.run()
            found: dict[str, Equation] = {}
            for local in certificate.locals():
                name, step = local.instance
                index = system.index_of(name)
                inside = step is not None and 1 <= step <= passes.dag.tau[index or ""]
                written = side.cotangent(name) + (f"[{index}]" if inside else "")
                if not inside and step is not None:
                    written += f"[{step}]"
                known = found.get(written)
                if known is None or known.holds:
                    shape = shape_of(passes.dag, local.instance[0])
                    found[written] = _equation(certificate, local, written, side, shape)
            for name in passes.gradients:
                own = _equation(
                    certificate,
                    certificate.gradient(name),
                    side.prefix + name,
                    side,
                    shape_of_gradient(passes.dag, name),
                )
                found[own.name] = own
    except UndecidableError:
        return ()
    return tuple(found.values())


def _equation(
    certificate: Certificate, local: Local, written: str, side: Side, shape: tuple[int, ...]
) -> Equation:
    name, step = local.instance
    for position, residual in sorted(local.residuals.items()):
        if not vanishes(certificate.table, residual):
            where = side.cotangent(name) + ("" if step is None else f"[{step}]")
            if shape:
                entry = [int(k) for k in np.unravel_index(position, shape)]
                where += f" entry {entry}"
            return Equation(written, False, where, shown(certificate.table, residual))
    return Equation(written, True)
