"""Trying code on a circuit: at one length and sizes, on other branches, where it first fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_adapter import Adapter, values_of
from graphgrad.proof.check_case import Case, CheckError, Goal
from graphgrad.proof.check_evidence import Evidence, unwritten
from graphgrad.proof.check_judge import (
    Comparison,
    Run,
    array_reader,
    as_floats,
    comparisons,
    floating_run,
    judged,
    traced_run,
)
from graphgrad.proof.check_rounded import rounded_constants
from graphgrad.proof.check_run import Program
from graphgrad.proof.result import Claim
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.trace_tape import Tape
from graphgrad.proof.zero import Field

SMALL = Fraction(1, 2**10)
LARGEST_FREE = 4
MOST_FLIPS = 4
FAITHFUL = 1e-6
"""How near a traced run and one on floats must be at the sample point."""
FOREIGN = (GraphgradError, ArithmeticError, ValueError, IndexError, KeyError, TypeError)
"""What code may raise at sizes or on branches that it was not written for."""


def safeguards(tape: Tape) -> frozenset[str]:
    """Return the places where a small constant keeps a divisor, logarithm or root from 0.

    One that is added to a result of which nothing of the kind is computed is part of the result.
    """
    guarded = set[int]()
    for node in reversed(range(len(tape.ops))):
        op, args = tape.ops[node], tape.args[node]
        if op == "log":
            guarded.add(args[0])
        elif op == "div":
            guarded.add(args[1])
        elif op == "power":
            exponent = tape.number(args[1])
            if exponent is None or exponent < 0 or exponent.denominator > 1:
                guarded.add(args[0])
        if node in guarded:
            guarded.update(args)
    return frozenset[str]().union(*(tape.small[node] for node in tape.small if node in guarded))


@dataclass
class Trial:
    """One run that was judged: claims, and what they compared."""

    case: Case
    run: Run
    made: list[Comparison]
    claims: list[Claim]
    field: Field
    expressions: Expressions
    tainted: frozenset[str] = frozenset()
    """The results in which a scalar was replaced by its value at the sample point."""

    @property
    def refuted(self) -> list[str]:
        """The names of the claims that are refuted."""
        return [claim.name for claim in self.claims if claim.verdict == "refuted"]

    @property
    def proved(self) -> bool:
        """Whether every claim is."""
        return all(claim.verdict == "proved" for claim in self.claims)

    def evidence(self, deadline: float) -> Evidence:
        """Return what the search for causes starts from."""
        wrong = [made for made in self.made if made.name in self.refuted]
        return Evidence(
            self.case, self.made, wrong, self.run.tape, self.expressions, self.field, deadline
        )


@dataclass
class Check:
    """A piece of code, a goal and an adapter, to be tried at lengths and sizes."""

    circuit: Circuit
    program: Program
    goal: Goal
    adapter: Adapter
    results: Any
    sizes: Mapping[str, int]
    batch: int | None
    layout: str

    def case(
        self, tau: int, sizes: Mapping[str, int], adapter: Adapter | None = None, seed: int = 0
    ) -> Case:
        """Return the case of a length and sizes."""
        chosen = adapter or self.adapter
        length = 1 if self.layout == "step" else tau
        return Case(
            self.goal, length, sizes, self.batch, self.layout, chosen.tokens,
            seed=seed, zeros=self._unknown(chosen, sizes, length),
        )  # fmt: skip

    def _unknown(self, adapter: Adapter, sizes: Mapping[str, int], length: int) -> frozenset[str]:
        """Return the opened boundaries that the code does not take: it starts from zero."""
        opened = set(self.goal.circuit.inputs) - set(self.circuit.inputs)
        opened -= set(self.goal.seeds.values())
        if not opened:
            return frozenset()
        probe = Case(self.goal, length, sizes, self.batch, self.layout, adapter.tokens)
        values_of(adapter, probe, lambda symbols: symbols)
        return frozenset(opened - probe.used)

    def bound(self, default: Callable[[int], int]) -> dict[str, int]:
        """Return sizes: those given, those declared, `default(k)` for the k-th of the others."""
        declared = self.goal.circuit.check().declared.sizes
        chosen = {name: size for name, size in declared.items() if size is not None}
        chosen |= dict(self.sizes)
        rest = [name for name in declared if name not in chosen]
        return chosen | {name: default(k) for k, name in enumerate(rest)}

    def compared(
        self, case: Case, run: Run, as_array: Callable[[Any], Any] | None = None
    ) -> list[Comparison]:
        """Return what came back beside its truths; CheckError where no gradient is recognised."""
        read = as_array or array_reader(run.tape)
        made = comparisons(
            self.program, case, run.values, run.found, run.outcomes, self.results, read
        )
        if not any(each.quantity is not None for each in made):
            raise CheckError(
                f"nothing that {self.program.name} returns is recognised as a gradient: "
                f"{', '.join(run.found) or 'nothing'}",
                remedy="say what it returns: results={'dWx': 'd_U.T'}",
            )
        return made

    def trial(self, case: Case, deadline: float, **options: Any) -> Trial:
        """Return the judged run of a case."""
        run = traced_run(self.adapter, self.program, case, **options)
        made = self.compared(case, run)
        zero, expressions = Field(), Expressions(run.tape)
        claims = []
        for position in range(len(made)):
            each = made[position]
            claim = judged(each, expressions, zero, self.program.name, deadline)
            if claim.verdict == "refuted" and each.truth == case.goal.loss and case.batch:
                case.reduction = "mean"
                again = self.compared(case, run)
                other = judged(again[position], expressions, zero, self.program.name, deadline)
                if other.verdict == "proved":
                    made, claim = again, other
                else:
                    case.reduction = "sum"
            claims.append(claim)
        if case.batch and not case.goal.outputs and all(e.truth != case.goal.loss for e in made):
            made, claims = self._reduced(case, run, made, claims, expressions, zero, deadline)
        tainted = self._tainted(case, run, made, options) if run.tape.leaks else frozenset()
        return Trial(case, run, made, claims, zero, expressions, tainted)

    def _reduced(
        self, case: Case, run: Run, made: list[Comparison], claims: list[Claim],
        expressions: Expressions, zero: Field, deadline: float,
    ) -> tuple[list[Comparison], list[Claim]]:  # fmt: skip
        """Return the claims where no loss tells whether examples are averaged: the better ones."""
        if not any(claim.verdict == "refuted" for claim in claims):
            return made, claims
        case.reduction = "mean"
        other = self.compared(case, run)
        again = [judged(e, expressions, zero, self.program.name, deadline) for e in other]
        if _count_refuted(again) < _count_refuted(claims):
            return other, again
        case.reduction = "sum"
        return made, claims

    def _unlike(self, trial: Trial) -> frozenset[str]:
        """Return the results whose formulas do not have the values that plain floats give.

        Code may get at the bytes behind an array, or ask a number what a trace does not know; then
        a trace says nothing about it. Limits cut in these runs as they do in floats.
        """
        case, run, made = trial.case, trial.run, trial.made
        if run.tape.clipped:
            run = traced_run(self.adapter, self.program, case, clips=False)
            made = self.compared(case, run)
        plain = floating_run(self.adapter, self.program, case)
        found = {each.name: each for each in self.compared(case, plain, as_floats)}
        return frozenset(
            each.name
            for each in made
            if not unwritten(run.tape, each)  # that differs from run to run of floats as well
            and (
                each.name not in found
                or found[each.name].got.shape != each.got.shape
                or not np.allclose(
                    found[each.name].got,
                    np.reshape([entry.value for entry in each.got.flat], each.got.shape),
                    rtol=FAITHFUL,
                    atol=FAITHFUL,
                    equal_nan=True,
                )
            )
        )

    def _tainted(
        self, case: Case, run: Run, made: list[Comparison], options: Mapping[str, Any]
    ) -> frozenset[str]:
        """Return the results that are other formulas at another sample point."""
        other = self.case(case.tau, case.sizes, seed=1)
        other.reduction = case.reduction
        again = traced_run(self.adapter, self.program, other, **options)
        known: dict[Any, int] = {}
        first = _formulas(run.tape, made, known)
        second = _formulas(again.tape, self.compared(other, again), known)
        return frozenset(name for name, nodes in first.items() if second.get(name) != nodes)

    def best_trial(self, case: Case, deadline: float) -> Trial:
        """Return the run in which the fewest results are refuted.

        A number may be a constant, rounded; one that is added for safety may be meant as 0, a clip
        may be a kink, a branch that the sample takes may be the exception: each is tried where the
        plain run is refuted. An exception, such as a clip by the norm, is not for small numbers.
        What a trace does not follow, it does not follow in any of them.
        """
        best = self.trial(case, deadline)
        unlike = self._unlike(best)
        best.tainted |= unlike
        if not best.refuted:
            return best
        tape = best.run.tape
        forward = any(m.quantity is None and m.name in best.refuted for m in best.made)
        wrong = [each for each in best.made if each.name in best.refuted]
        rounded = rounded_constants(tape, wrong)
        variants: list[dict[str, Any]] = [{}] if rounded else []
        variants += [{"tiny": safe}] if (safe := safeguards(tape)) else []
        kinks = any(template.op.kinks for template in case.dag.templates)
        variants += [{"clips": False}] if tape.clipped and forward and kinks else []
        places = self._exceptions(case, tape) if tape.decisions else []
        variants += [{"flips": frozenset({place})} for place in places[:MOST_FLIPS]]
        for options in variants:
            try:
                other = self.trial(case, deadline, rounded=rounded, **options)
            except FOREIGN:
                continue
            if len(other.refuted) < len(best.refuted):
                best = replace(other, tainted=other.tainted | unlike)
            if not best.refuted:
                break
        return best

    def _exceptions(self, case: Case, tape: Tape) -> list[str]:
        """Return the places where the sample's branch is not the one that small numbers take."""
        small = self.case(case.tau, case.sizes)
        small.point = {symbol: value * SMALL for symbol, value in small.point.items()}
        try:
            usual = traced_run(self.adapter, self.program, small).tape.decisions
        except FOREIGN:
            return []
        answers = {each.place: each.answer for each in usual}
        taken = {each.place: each.answer for each in tape.decisions}
        return [place for place, answer in taken.items() if answers.get(place, answer) != answer]

    def smallest(self, trial: Trial, deadline: float) -> dict[str, tuple[str, Claim]]:
        """Return the smallest length and sizes at which each result is refuted, with the claim."""
        found: dict[str, tuple[str, Claim]] = {}
        names = set(trial.refuted)
        free = len(self.bound(lambda k: 1)) - len(self.sizes)
        steps = (1,) if self.layout == "step" else tuple(range(1, trial.case.tau + 1))
        choices = sorted(product(*[(1, 2)] * min(free, LARGEST_FREE)), key=sum)
        for length, choice in product(steps, choices):
            if names <= set(found) or time.monotonic() > deadline:
                break
            padded = (*choice, *[2] * free)
            sizes = self.bound(padded.__getitem__)
            try:
                other = self.trial(self.case(length, sizes), deadline)
            except FOREIGN:
                continue
            odd = _misshapen(other) - _misshapen(trial)  # as the 0 of a sum over no step
            for claim in other.claims:
                if claim.name in names - set(found) - odd and claim.verdict == "refuted":
                    shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
                    found[claim.name] = (f"τ = {length}" + (f", {shown}" if shown else ""), claim)
        return found

    def elsewhere(self, trial: Trial, deadline: float) -> list[Evidence]:
        """Return the same run at other sample points."""
        found = []
        for seed in (1, 2, 3):
            other = self.case(trial.case.tau, trial.case.sizes, seed=seed)
            other.reduction = trial.case.reduction
            found.append(replace(trial.evidence(deadline), case=other))
        return found

    def longer(self, trial: Trial, deadline: float) -> Evidence | None:
        """Return a run of one step more, on the same branches; None where code is not for that."""
        if self.layout == "step":
            return None
        tape = trial.run.tape
        case = self.case(trial.case.tau + 1, trial.case.sizes)
        case.reduction = trial.case.reduction
        options = {
            "clips": tape.clips,
            "tiny": tape.tiny,
            "flips": tape.flips,
            "rounded": tape.rounded,
        }
        try:
            run = traced_run(self.adapter, self.program, case, **options)
            made = self.compared(case, run)
        except FOREIGN:
            return None
        expressions = Expressions(run.tape)
        return Evidence(case, made, [], run.tape, expressions, trial.field, deadline)


def _misshapen(trial: Trial) -> set[str]:
    """Return the results that have another shape than the truth."""
    return {made.name for made in trial.made if not made.fits}


def _formulas(
    tape: Tape, made: list[Comparison], known: dict[Any, int]
) -> dict[str, tuple[int, ...]]:
    """Return each result as numbers that are the same for the same formula on any tape."""
    numbers: dict[int, int] = {}
    roots = [entry.node for each in made for entry in each.got.flat]
    for node in tape.needed(roots):
        args = tuple(numbers[arg] for arg in tape.args[node])
        numbers[node] = known.setdefault((tape.ops[node], args, tape.payload[node]), len(known))
    return {each.name: tuple(numbers[e.node] for e in each.got.flat) for each in made}


def _count_refuted(claims: list[Claim]) -> int:
    return sum(claim.verdict == "refuted" for claim in claims)
