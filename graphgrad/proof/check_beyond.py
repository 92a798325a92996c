"""Code that is proved at one length and sizes, tried at others in floats.

A proof is for three steps and sizes of 2 where nobody asks for others, and code may be right there
only: because two sizes are equal, or because no sequence is long enough to be cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
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

OTHER_SIZES = (3, 2)
"""The first sizes that are tried; further ones are larger, and all are different."""
MORE_STEPS = 2
SHARE = 0.25
"""Of the time limit, what is left to it."""
AGREED, ROUNDING = 1e-6, 1e-12
"""How near floats are to the truth: relative to the largest entry, and where that is zero."""


def beyond(check: Check, trial: Trial, clock: Clock) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """Return the claims of a proof, refuted where other sizes do that, and what is to be noted.

    Sizes that nobody gave are free, and a length is not: what is wrong at another one is noted.
    Where the forward pass is another one too, the code is not for these sizes.
    """
    sizes = check.bound(lambda k: OTHER_SIZES[k] if k < len(OTHER_SIZES) else k + 2)
    here, claims, notes = trial.case.sizes, tuple(trial.claims), list[str]()
    with suppress(ExhaustedError), enforced(clock):
        if sizes != dict(here):
            shown = _sizes_text(sizes)
            wrong = _wrong(check, trial, trial.case.tau, sizes, shown, notes)
            places = f"right at {_sizes_text(here)}, but not at {shown}"
            claims = tuple(_refuted(claims, wrong, places))
        if check.layout != "step":
            longer = trial.case.tau + MORE_STEPS
            wrong = _wrong(check, trial, longer, here, f"τ = {longer}", notes)
            notes += [f"at τ = {longer} {each.name} is not {each.truth}" for each in wrong]
    return claims, tuple(notes)


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
        case = check.case(tau, sizes)
        case = FloatCase(**{each.name: getattr(case, each.name) for each in fields(case)})
        case.reduction = trial.case.reduction
        found = _results(check, trial, case)
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

    Nothing where that takes another branch, or where the code looks at numbers.
    """
    tape = trial.run.tape
    if not (tape.clipped or tape.dropped or tape.decisions or tape.leaks):
        return check.compared(case, floating_run(check.adapter, check.program, case), as_floats)
    options = {"clips": tape.clips, "tiny": tape.tiny, "flips": tape.flips}
    run = traced_run(check.adapter, check.program, case, **options)
    taken, here = ({(d.place, d.answer) for d in each.decisions} for each in (run.tape, tape))
    return [] if tape.leaks or not taken <= here else check.compared(case, run)


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
