"""Hand-written code on trial: is what a NumPy function returns the gradient of a circuit's loss?

The function runs unchanged on arrays of traced scalars (`trace.py`). What it computed are formulas
in the circuit's symbols; SymPy's derivative of the fully substituted loss are others; `zero.py`
decides exactly, entry by entry, whether they are equal. Loss and states are compared, too, so that
a wrong forward pass is reported as such. Code that cannot be traced is judged in digits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.proof.arguments import KINDS, check_types
from graphgrad.proof.check_adapter import Adapter, fitted, sizes_of, stated, values_of
from graphgrad.proof.check_beyond import SHARE, beyond
from graphgrad.proof.check_case import LAYOUTS, Case, CheckError, Goal, goal_of
from graphgrad.proof.check_digits import certified, why_not_traced
from graphgrad.proof.check_explain import Finding, lessons
from graphgrad.proof.check_places import fixed_sizes, size_names
from graphgrad.proof.check_result import Checked
from graphgrad.proof.check_rounded import rounded_text
from graphgrad.proof.check_run import Program, not_running, program_of
from graphgrad.proof.check_trial import Check, Trial
from graphgrad.proof.clock import Clock, enforced
from graphgrad.proof.poly import ExhaustedError
from graphgrad.proof.result import Claim

EXACT = "a traced run against SymPy's derivative of the substituted loss, zero decided exactly"
DIGITS = "floating-point results at rational points against enclosures of the true gradient"
DEFAULT_SIZE = 2


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
    time_limit: float = 60.0,
) -> Checked:
    """Return the proof that hand-written code computes a circuit's loss and its gradients.

    `fn` is a NumPy function that returns gradients, or a pair (forward, backward) of a layer, whose
    upstream cotangent is symbolic; methods are fine. `loss` is a scalar of the circuit or, for
    a layer, its outputs: `"h"`, `"h[tau]"`, `("h", "c")`. `batch` is the number of examples (None:
    arrays have no batch axis), `layout` their order of axes: time_first (time, batch, features),
    batch_first, features_first (features, batch, time), or step for functions of one step.

    `arguments` says what the code's arguments are, where names do not tell:
    `{"Wx": "U.T", "b": "b[:, None]", "targets": "tokens(y)", "lr": 0.1}`, or functions of a dict of
    arrays; `"tau"` is the length, `"H"` a size; attributes of an object are named `self.W`,
    `self.params.W`. `results` says what it returns: `{"dWx": "d_U.T"}`, or the names of the
    elements of a tuple, and of the lists of gradients in it, in order. Gradients
    by an argument of the code (`dWx`, `grads["Wx"]`, `Wx_grad`) need no statement.

    `np.clip` to two limits, as of gradients that may explode, is taken as one that cuts nothing,
    and the verdict says so; a limit written with `np.where` is part of what is judged. Sizes that
    are not given are 2 each, and what is proved for them is tried in floats at others: where it is
    wrong there, it is refuted. At more steps, and for one example more, that is said: `limits`.

    Verdicts are proved, certified (in digits, where code cannot be traced), refuted or undecided;
    after `time_limit` seconds what is left is undecided. Raises CheckError where code does not run
    on the circuit's shapes or returns nothing that is recognised as a gradient.
    """
    if layout not in LAYOUTS:
        raise CheckError(f"{layout!r} is not a layout", remedy=f"use one of {', '.join(LAYOUTS)}")
    check_types(
        CheckError, loss=loss, sizes=sizes, batch=batch, arguments=arguments, results=results,
        time_limit=time_limit,
    )  # fmt: skip
    if time_limit is None:
        raise CheckError("a check needs a limit of time", remedy=KINDS["time_limit"].remedy)
    started, clock = time.monotonic(), Clock(time_limit)
    program = program_of(fn)
    goal = goal_of(circuit, loss)
    adapter = stated(program, goal, arguments)
    chosen, adapter = _sizes(program, goal, adapter, dict(sizes or {}))
    check = Check(circuit, program, goal, adapter, results, chosen, batch, layout)
    chosen = check.bound(lambda k: DEFAULT_SIZE)
    deadline = started + time_limit
    trial: Trial | None = None
    told: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    try:
        with enforced(clock):
            try:
                apart = check.bound(lambda k: DEFAULT_SIZE + 1 + k)
                length = 3 if batch == 2 else 2  # no steps may be taken for examples
                check.adapter = fitted(
                    adapter, program, partial(check.case, length, apart), results
                )
            except GraphgradError:  # an object may know its sizes, a mean may need more steps
                check.adapter = fitted(adapter, program, partial(check.case, tau, chosen), results)
            case = check.case(tau, chosen)
            notes = list(check.adapter.notes(program))
            try:
                trial = check.best_trial(case, deadline)
            except Exception as error:  # whatever foreign code raises on scalars it does not know
                notes.append(f"not traced: {why_not_traced(error)}")
            claims = tuple(trial.claims) if trial is not None else ()
            if trial is None or trial.tainted:
                reduction = trial.case.reduction if trial is not None else "sum"
                try:
                    digits = certified(check, tau, dict(case.sizes), reduction)
                except (GraphgradError, ExhaustedError):
                    raise
                except Exception as error:  # whatever foreign code raises on arrays of floats
                    raise not_running(program, error) from error
                claims = tuple(_mixed(trial, digits))
    except ExhaustedError:
        raise CheckError(
            f"{program.name} could not be run and judged in {time_limit:g} s",
            remedy="give a smaller tau or sizes, or a larger time_limit",
        ) from None
    if trial is not None and trial.tainted:
        notes += [f"at {place} a number {what}" for place, what in trial.run.tape.leaks.items()]
    elif trial is not None and trial.refuted:
        finding = Finding(claims, {})
        try:
            with enforced(clock):
                finding = Finding(claims, check.smallest(trial, started + time_limit / 3))
                elsewhere = partial(check.elsewhere, trial, deadline)
                longer = partial(check.longer, trial, deadline)
                found = lessons(
                    trial.evidence(deadline), finding, elsewhere, longer, time_limit / 4
                )
                told = tuple(found)
        except ExhaustedError:
            notes.append("no time was left to explain the faults")
    elif trial is not None and trial.proved:  # exactly, but at these sizes
        tried = beyond(check, trial, clock.part(SHARE))
        claims, limits = tried.claims, tuple(tried.limits)
        notes += tried.notes
    return Checked(
        circuit.name,
        goal.loss,
        case.lengths,
        case.sizes,
        EXACT if trial is not None and not trial.tainted else DIGITS,
        claims,
        tuple(_assumptions(circuit, trial)) if trial is not None else (),
        time.monotonic() - started,
        code=program.name,
        unclaimed=tuple(_unclaimed(check, case, claims)),
        notes=tuple(notes),
        lessons=told,
        limits=limits,
    )


def _sizes(
    program: Program, goal: Goal, adapter: Adapter, given: dict[str, int]
) -> tuple[dict[str, int], Adapter]:
    """Return the sizes that are given or that the code insists on, and the numbers to replace."""
    shown = {name: n for name, n in sizes_of(program, goal, adapter).items() if name not in given}
    fixed = fixed_sizes(shown, program.numbers)
    if fixed:
        return fixed | given, adapter
    numbers = size_names(shown, program.numbers)
    return given, replace(adapter, numbers=numbers)


def _unclaimed(check: Check, case: Case, claims: Sequence[Claim]) -> Iterator[str]:
    """Yield the parameters that the code takes and returns no gradient by."""
    place = {e: name for name, array in case.params.items() for e in array.flat}
    taken = {
        name: {place[entry] for entry in symbols.flat if entry in place}
        for name, symbols in values_of(check.adapter, case, lambda array: array).symbols.items()
    }
    judged: set[str] = set()
    for claim in claims:
        for word in re.findall(
            r"\w+", claim.truth.rpartition("/∂")[2] if "∂" in claim.truth else ""
        ):
            judged |= taken.get(word, {word})
    for name in case.params:
        if name not in judged and any(name in names for names in taken.values()):
            yield name


def _mixed(trial: Trial | None, digits: Sequence[Claim]) -> Iterator[Claim]:
    """Yield the exact claims where the trace is complete, else those in digits."""
    exact = {} if trial is None else {claim.name: claim for claim in trial.claims}
    for claim in digits:
        known = exact.get(claim.name)
        clean = trial is not None and known is not None and claim.name not in trial.tainted
        yield known if clean and known is not None else claim


def _assumptions(circuit: Circuit, trial: Trial) -> Iterator[str]:
    """Yield what the verdicts leave out."""
    tape, case = trial.run.tape, trial.case
    for bounds in tape.clipped if tape.clips else ():
        yield f"np.clip to {bounds} is inactive: nothing is said where it cuts"
    for constant in tape.dropped:
        yield f"{constant}, added for safety, is read as 0"
    for number, constant in tape.rounded.items():
        yield rounded_text(number, constant)
    answers = {each.place: each.answer for each in tape.decisions}
    for place, answer in list(answers.items())[:5]:
        where = "for small numbers" if place in tape.flips else "at the sampled values"
        yield f"the condition at {place} is {answer}, as {where}"
    for place, what in list(tape.leaks.items())[:5] if not trial.tainted else ():
        yield f"where a number {what}, at {place}, the code goes on as at the sampled values"
    kinks = {t.op.name for t in case.dag.templates if t.op.kinks}
    if kinks or {"step", "choose", "abs"} & set(tape.ops):
        yield "no value stands at a kink or tie" + (
            f" ({', '.join(sorted(kinks))})" if kinks else ""
        )
    if "log" in tape.ops or "div" in tape.ops:
        yield "logarithms are of positive numbers and divisors are not 0"
    for name, declared in circuit.check().inputs.items():
        if name in case.tokens[0]:
            shown = [tokens[name].tolist() for tokens in case.tokens]
            yield f"{name} holds the tokens {shown[0] if case.batch is None else shown}"
        elif declared.kind == "distribution":
            yield f"the entries of {name} sum to 1"
    for name in sorted(case.zeros):
        yield f"{name} is 0, since the code takes no other"
    if case.batch is not None:
        combined = (
            "" if case.goal.outputs else f", whose losses are combined by their {case.reduction}"
        )
        yield f"there are {case.batch} examples{combined}"
    yield "arithmetic is exact: what rounding does is another question"
