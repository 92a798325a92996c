"""Hand-written code on trial: is what a NumPy function returns the gradient of a circuit's loss?

The function runs unchanged on arrays of traced scalars (`trace.py`). What it computed are formulas
in the circuit's symbols; SymPy's derivative of the fully substituted loss are others; `zero.py`
decides exactly, entry by entry, whether they are equal. Loss and states are compared, too, so that a
wrong forward pass is reported as such.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.proof.check_adapter import Adapter, fitted, stated
from graphgrad.proof.check_case import LAYOUTS, Case, CheckError, Goal, goal_of
from graphgrad.proof.check_judge import (
    Comparison,
    Run,
    array_reader,
    comparisons,
    judged,
    traced_run,
)
from graphgrad.proof.check_result import Checked
from graphgrad.proof.check_run import Program, program_of
from graphgrad.proof.result import Claim
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.zero import Field

METHOD = "a traced run against SymPy's derivative of the substituted loss, zero decided exactly"
DEFAULT_SIZE = 2
TINY = Fraction(1, 10**5)


@dataclass
class Trial:
    """One run that was judged: claims, and what they compared."""

    case: Case
    run: Run
    made: list[Comparison]
    claims: list[Claim]
    field: Field
    expressions: Expressions

    @property
    def refuted(self) -> bool:
        """Whether a claim is refuted."""
        return any(claim.verdict == "refuted" for claim in self.claims)


@dataclass
class Check:
    """A piece of code, a goal and an adapter, to be tried at lengths and sizes."""

    program: Program
    goal: Goal
    adapter: Adapter
    results: Any
    sizes: Mapping[str, int]
    batch: int | None
    layout: str

    def case(self, tau: int, sizes: Mapping[str, int], adapter: Adapter | None = None) -> Case:
        """Return the case of a length and sizes."""
        chosen = adapter or self.adapter
        length = 1 if self.layout == "step" else tau
        return Case(self.goal, length, sizes, self.batch, self.layout, chosen.tokens)

    def bound(self, default: Callable[[int], int]) -> dict[str, int]:
        """Return sizes: those given, those declared, `default(k)` for the k-th of the others."""
        declared = self.goal.circuit.check().declared.sizes
        chosen = {name: size for name, size in declared.items() if size is not None}
        chosen |= dict(self.sizes)
        rest = [name for name in declared if name not in chosen]
        return chosen | {name: default(k) for k, name in enumerate(rest)}

    def trial(self, case: Case, deadline: float, **options: Any) -> Trial:
        """Return the judged run of a case."""
        run = traced_run(self.adapter, self.program, case, **options)
        read = array_reader(run.tape)

        def compared() -> list[Comparison]:
            return comparisons(
                self.program, case, run.values, run.found, run.outcomes, self.results, read
            )

        made = compared()
        if not any(each.quantity is not None for each in made):
            raise CheckError(
                f"nothing that {self.program.name} returns is recognised as a gradient: "
                f"{', '.join(run.found) or 'nothing'}",
                remedy="say what it returns: results={'dWx': 'd_U.T'}",
            )
        field, expressions = Field(), Expressions(run.tape)
        claims = []
        for position, each in enumerate(made):
            claim = judged(each, expressions, field, self.program.name, deadline)
            if claim.verdict == "refuted" and each.truth == case.goal.loss and case.batch:
                case.reduction = "mean"
                again = compared()
                other = judged(again[position], expressions, field, self.program.name, deadline)
                if other.verdict == "proved":
                    made, claim = again, other
                    each = made[position]
                else:
                    case.reduction = "sum"
            claims.append(claim)
        return Trial(case, run, made, claims, field, expressions)


def check_function(
    circuit: Circuit,
    fn: Any,
    *,
    loss: str | Sequence[str] = "loss",
    tau: int = 3,
    sizes: Mapping[str, int] | None = None,
    batch: int | None = None,
    layout: str = "time_first",
    arguments: Mapping[str, Any] | None = None,
    results: Mapping[Any, Any] | Sequence[Any] | None = None,
    time_limit: float = 120.0,
) -> Checked:
    """Return the proof that hand-written code computes a circuit's loss and its gradients.

    `fn` is a NumPy function that returns gradients, or a pair (forward, backward) of a layer, whose
    upstream cotangent is symbolic; methods are fine. `loss` is a scalar of the circuit or, for
    a layer, its outputs: `"h"`, `"h[tau]"`, `("h", "c")`. `batch` is the number of examples (None:
    arrays have no batch axis), `layout` their order of axes: time_first (time, batch, features),
    batch_first, features_first (features, batch, time), or step for functions of one step.

    `arguments` says what the code's arguments are, where names do not tell:
    `{"Wx": "U.T", "h0": "h_0", "b": "b[:, None]", "targets": "tokens(y)", "lr": 0.1}`, or a function
    of a dict of arrays; attributes of an object are named `self.W` or `self.params.W`. `results` says
    what it returns: `{"dWx": "d_U.T"}`, or the names of a tuple's elements in order. Gradients by
    an argument of the code (`dWx`, `grads["Wx"]`, `Wx_grad`) need no statement.
    """
    started = time.monotonic()
    if layout not in LAYOUTS:
        raise CheckError(f"{layout!r} is not a layout", remedy=f"use one of {', '.join(LAYOUTS)}")
    program = program_of(fn)
    goal = goal_of(circuit, loss)
    check = Check(
        program, goal, stated(program, goal, arguments), results, dict(sizes or {}), batch, layout
    )
    apart = check.bound(lambda k: 3 + k)
    check.adapter = fitted(
        check.adapter, program, lambda adapter: check.case(2, apart, adapter), results
    )
    case = check.case(tau, check.bound(lambda k: DEFAULT_SIZE))
    trial = check.trial(case, started + time_limit)
    return Checked(
        circuit.name,
        goal.loss,
        case.lengths,
        case.sizes,
        METHOD,
        tuple(trial.claims),
        (),
        time.monotonic() - started,
        code=program.name,
        notes=tuple(check.adapter.notes(program)),
    )
