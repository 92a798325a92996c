"""Code that is proved at one length and sizes, tried at others in floats.

A proof is for three steps and sizes of 2 where nobody asks for others, and code may be right there
only: because two sizes are equal, or because no sequence is long enough to be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from graphgrad.autodiff import cotangent_prefix
from graphgrad.dims import Token
from graphgrad.proof.check_adapter import float_values
from graphgrad.proof.check_case import Case
from graphgrad.proof.check_digits import why_not_traced
from graphgrad.proof.check_evidence import float_data, placed
from graphgrad.proof.check_judge import Comparison, as_floats, floating_run, traced_run
from graphgrad.proof.check_trial import Check, Trial
from graphgrad.proof.clock import Clock, enforced
from graphgrad.proof.poly import ExhaustedError
from graphgrad.proof.result import Claim

OTHER_SIZES: tuple[Callable[[int], int], ...] = (
    lambda k: (3, 2)[k] if k < 2 else k + 2,
    lambda k: (2, 3)[k] if k < 2 else k + 2,
    lambda k: 5 + k,
    lambda k: 1,
)
"""The k-th of the sizes that are tried: all different, the second larger, all large, all 1."""
MORE_STEPS = (2, 9, 27)
SEEDS = range(8)
"""The sample points of which the first is taken at which the circuit has values."""
SHARE = 0.25
"""Of the time limit, what is left to it."""
AGREED, ROUNDING = 1e-9, 1e-12
"""How near floats are to the truth: relative to the largest entry, and where that is zero."""


@dataclass
class Beyond:
    """What other sizes, lengths and numbers of examples say of a proof.

    `limits` are the lengths and numbers at which something is wrong that is proved.
    """

    claims: tuple[Claim, ...]
    notes: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


def beyond(check: Check, trial: Trial, clock: Clock) -> Beyond:
    """Return the claims of a proof, refuted where other sizes do that, and what is to be noted.

    Sizes that nobody gave are free, and a length is not: what is wrong at another one is noted, and
    so is what is wrong for one example more. Where the forward pass is another one too, the code is
    not for these sizes.
    """
    found = Beyond(tuple(trial.claims))
    with suppress(ExhaustedError), enforced(clock):
        _other_sizes(check, trial, found)
        case, here = trial.case, trial.case.sizes
        for longer in MORE_STEPS if check.layout != "step" else ():
            tau = case.tau + longer
            if found.limits or (longer > MORE_STEPS[0] and _traces(trial)):
                break
            wrong = _wrong(check, trial, tau, here, f"τ = {tau}", found.notes)
            _limited(found, wrong, f"τ = {tau}", f"at τ = {tau}")
        if case.batch is not None:
            more = replace(check, batch=case.batch + 1)
            text = f"{more.batch} examples"
            wrong = _wrong(more, trial, case.tau, here, text, found.notes)
            _limited(found, wrong, text, f"with {text}")
    return found


def _other_sizes(check: Check, trial: Trial, found: Beyond) -> None:
    """Refute the claims that are wrong at other sizes, unless the code is not for these."""
    here = trial.case.sizes
    for choice in OTHER_SIZES:
        sizes, before = check.bound(choice), len(found.notes)
        if sizes != dict(here):
            shown = _sizes_text(sizes)
            wrong = _wrong(check, trial, trial.case.tau, sizes, shown, found.notes)
            places = f"right at {_sizes_text(here)}, but not at {shown}"
            found.claims = tuple(_refuted(found.claims, wrong, places))
            if wrong or len(found.notes) > before:
                break


def _limited(found: Beyond, wrong: Sequence[Comparison], where: str, at: str) -> None:
    """Note what is wrong elsewhere, and beside each claim that it is."""
    found.notes += [f"{at} {each.name} is not {each.truth}" for each in wrong]
    names = {each.name for each in wrong}
    if names:
        found.limits.append(where)
        found.claims = tuple(
            replace(claim, reason=f"but wrong {at}")
            if claim.name in names and claim.verdict == "proved"
            else claim
            for claim in found.claims
        )


class FloatCase(Case):
    """A case whose truths are floats: the library's own gradients at the sample point.

    Examples share tokens where they did not in the proof.
    """

    ahead = 0

    @cached_property
    def forward(self) -> list[dict[str, Any]]:
        """The values of every variable for each example."""
        return float_values(self)

    @cached_property
    def _slopes(self) -> dict[Any, Any]:
        """The derivative of the sum of all losses by every symbol."""
        inputs = self.system.inputs.items()
        free = [n for n, i in inputs if not isinstance(i.type, Token) and i.kind != "distribution"]
        names = [*self.params, *(name for name in free if name not in self.tokens[0])]
        graph = self.dag.grad(self.goal.loss, wrt=names)
        prefix = cotangent_prefix(self.system.declared.names())
        outputs = {name: prefix + name for name in names}
        found = [graph.evaluate(data, outputs=[*outputs.values()]) for data in float_data(self)]
        slopes = {}
        for symbol, (name, example, entry) in placed(self).items():
            if name in outputs:
                parts = found if example is None else [found[example]]
                slopes[symbol] = sum(float(np.asarray(p[outputs[name]])[entry]) for p in parts)
        return slopes

    def slope(self, entry: Any) -> Any:
        """Return the derivative of the objective by an entry; None where it has none."""
        found = self._slopes.get(entry)
        return None if found is None else float(self.scale) * found


def _wrong(
    check: Check, trial: Trial, tau: int, sizes: Mapping[str, int], shown: str, notes: list[str]
) -> list[Comparison]:
    """Return the gradients that are wrong where the forward pass is right."""
    try:
        for seed in SEEDS:
            case = check.case(tau, sizes, seed=seed)
            case = FloatCase(**{each.name: getattr(case, each.name) for each in fields(case)})
            case.reduction = trial.case.reduction
            found = _results(check, trial, case)
            if all(map(_has_values, found)):
                break
        else:
            notes.append(f"not tried at {shown}: the circuit has no value at the sample points")
            return []
        if any(not _agrees(each) for each in found) and not _traces(trial):
            found = check.compared(case, traced_run(check.adapter, check.program, case))
    except ExhaustedError:
        raise
    except Exception as error:  # whatever foreign code raises
        notes.append(f"not tried at {shown}: {why_not_traced(error)}")
        return []
    names = {claim.name for claim in trial.claims}
    wrong = [each for each in found if each.name in names and not _agrees(each)]
    if all(each.quantity is not None for each in wrong):
        return wrong
    notes.append(f"at {shown} the forward pass is another one")
    return []


def _results(check: Check, trial: Trial, case: Case) -> list[Comparison]:
    """Return what the code gives, on the branches and without the limits of the proof.

    Where floats differ from the truth, a trace tells whether that is rounding, as in float32.
    Nothing where that takes another branch, or where the code looks at numbers.
    """
    tape = trial.run.tape
    if not _traces(trial):
        return check.compared(case, floating_run(check.adapter, check.program, case), as_floats)
    options = {"clips": tape.clips, "tiny": tape.tiny, "flips": tape.flips, "rounded": tape.rounded}
    run = traced_run(check.adapter, check.program, case, **options)
    taken, here = ({(d.place, d.answer) for d in each.decisions} for each in (run.tape, tape))
    return [] if tape.leaks or not taken <= here else check.compared(case, run)


def _traces(trial: Trial) -> bool:
    """Whether the run of the proof took something for granted that a run on floats would not."""
    tape = trial.run.tape
    return bool(tape.clipped or tape.dropped or tape.decisions or tape.leaks)


def _has_values(made: Comparison) -> bool:
    """Whether the truth is a number in each entry: no logarithm of what is negative."""
    return all(np.isfinite(float(want)) for want in made.want.flat if want is not None)


def _agrees(made: Comparison) -> bool:
    """Whether a result is the truth, up to rounding."""
    if not made.fits:
        return False
    pairs = zip(made.got.flat, made.want.flat, strict=True)
    known = [(float(got), float(want)) for got, want in pairs if want is not None]
    if not known:
        return True
    got, want = np.array(known).T
    return bool(np.max(np.abs(got - want)) <= max(AGREED * np.max(np.abs(want)), ROUNDING))


def _refuted(claims: Sequence[Claim], wrong: Sequence[Comparison], places: str) -> Iterator[Claim]:
    """Yield claims, those refuted that are wrong elsewhere."""
    names = {each.name for each in wrong}
    for claim in claims:
        if claim.name in names:
            yield replace(claim, verdict="refuted", reason=places)
        else:
            yield claim


def _sizes_text(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())
