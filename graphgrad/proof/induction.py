"""Proofs for every τ: finitely many local identities, because time only matters near the ends.

Notation as in `certificate.py`: at length τ, each instance v of a variable that has a claimed
cotangent is a let, each claimed cotangent an indeterminate λ_v, and the backward equations are
right if C_v = T_v for all v and C_W = T_W for all parameters W.

Here, in addition: the mark m_t of a step multiplies every summand of a sum over time (`marks.py`)
and every λ_v of an instance at step t; lengths, and the step of an instance where it is used as a
number, are indeterminates; a sum over time is a generator of its own; every cotangent that depends
on itself at other steps is cut, also where it happens to be a number. The polynomials at m = 1 are
those of the certificate. The cotangent of a sum is Σ m_t X_t over the steps that read it; where
that is a multiple of a sum G = Σ m_t Y_t that the equations name, G is written for it.

**Lemma.** The polynomials C_v and T_v of an instance v = (u, t) at length τ are determined, up to
the shift by t of the steps in the names of generators, by its *class*: the expression of its
cotangent down to lets, λs and sums; the expressions that read v, down to the same, each with the
number of steps between; what the lets in them stand for; and, where a static expression among them
reads instances at fixed steps, the distance to these. Likewise the coefficient of m_t in C_W - T_W
is determined by the class of the step t, and what is free of marks by the static equations.

*Proof.* Polynomials are computed from expressions, and derivatives from expressions and users, by
rules that know a step only through the generators they meet and through the indeterminates for
numbers. Cuts bound what is met. Nothing is identified with anything outside the class: a generator
that abbreviates an equal polynomial may be written out again. ∎

**Theorem.** Let 0 = σ_0 < … < σ_n = 1 be the places, as fractions of τ, near which equations behave
differently: both ends, and σ where a condition compares t with σ τ (`2 * t < tau`). Let z_i be how
far from σ_i τ a class can notice it, and p a multiple of all moduli such that every σ_i p is one,
too. Let B be such that (σ_(i+1) - σ_i) (B - p) ≥ z_i + z_(i+1) + p for all i, and at least 2p more
than any length that an equation tests (`lengths.py`). If every identity holds for every class that
occurs at a length τ ≤ B, then the backward equations are right for every τ.

*Proof.* By induction on τ every class at a length τ > B occurs at τ - p. The instance at step t of
length τ has the same remainders as the one at t - σ_i p of length τ - p, the same distance from
place i, and is nearer to the place after it by (σ_(i+1) - σ_i) p. If it notices place i, all others
are too far away to be noticed, before and after: the class is the same. If it notices none, it lies
between two places i and i + 1. Where it is further than z_(i+1) + (σ_(i+1) - σ_i) p from the
second, t - σ_i p does not notice that either. Otherwise it is further than z_i + (σ_(i+1) - σ_i) p
from the first, and t - σ_(i+1) p notices neither. Between two neighbouring places all conditions
are the same. The same holds for the classes of steps. So every local identity C_v = T_v holds at
every τ: where G was written for the cotangent of a sum, X_t = c Y_t with one monomial c in every
class of steps, since all summands have marks of their own. For a
parameter, C_W - T_W = Y + Σ m_t X_t, where Y and X_t belong to the static equations and to the
class of step t. It was found to be zero, as a polynomial in everything but with Σ m_t = N in place
of one mark, where N stands for τ: so all X_t are one polynomial X, the same in every class, and
Y + N X = 0. Hence Y + Σ X_t = Y + τ X = 0 at every τ. With all identities, the theorem of
`certificate.py` applies at every τ; that each instance has its readers after it, so that the
equations for the cotangents have one solution, is causality, which `check()` decides for all τ. ∎

Where some identities fail, the gradient by W is still right if its own holds and no variable with a
failing one depends on W. That is asked of the equations and not of an unfolded graph: the length at
which a class is looked at may be too short for what is wrong in it to reach W.

With two index sets the argument is made for each length while the other is fixed, which is enough
where no static equation tests both (else all pairs are looked at). A residual that does not vanish
at sight may vanish when lets are written out; then classes are refined by what lets stand for at
that depth, and everything is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from graphgrad.errors import DomainError
from graphgrad.proof import judge
from graphgrad.proof.classes import Classes
from graphgrad.proof.clock import NO_TIME, Clock
from graphgrad.proof.findings import blank
from graphgrad.proof.lengths import AT_ONE_LENGTH
from graphgrad.proof.plan import EFFORTS, Plan, plan_of
from graphgrad.proof.poly import ExhaustedError, UndecidableError
from graphgrad.proof.question import Question, Side, Stated
from graphgrad.proof.result import Claim
from graphgrad.proof.step_certificate import StepCertificate

METHOD_TEXT = "induction over τ: one exact polynomial identity for each class of steps"
LONGEST = 300
"""The bound B up to which classes are looked for."""
MOST_PAIRS = 400
MOST_DROPPED = 3
"""How many equations called d_v are tried as auxiliary ones, one at a time."""
WITNESS_LENGTHS = 3
"""How many steps a refutation is looked for at, beyond the first length that is not proved."""
LONGEST_WITNESS = 24
"""At most at so many steps a fault is looked for that reaches a gradient in long sequences only."""


def lengths_to_check(plan: Plan, sizes: Mapping[str, int], clock: Clock) -> list[dict[str, int]]:
    """Return one length for each set of local identities that occurs at any length."""
    classes = Classes(plan.effort.rounds + 1)
    indices = list(plan.bounds)
    for index, bound in plan.bounds.items():
        if bound > LONGEST:
            length = plan.system.indices[index].length
            raise UndecidableError(
                f"steps are told apart up to {length} = {bound}, too many to look at: "
                f"{AT_ONE_LENGTH}"
            )

    def covering(candidates: Sequence[dict[str, int]]) -> list[dict[str, int]]:
        """Return few candidates among which every class occurs."""
        counted = clock.counted(candidates, "lengths compared")
        found = [plan.classes(classes, lengths, sizes) for lengths in counted]
        left = set().union(*found)
        chosen: list[dict[str, int]] = []
        while left:
            gains = [
                len(left & each) / sum(lengths.values())
                for each, lengths in zip(found, candidates, strict=True)
            ]
            best = int(np.argmax(gains))
            chosen.append(candidates[best])
            left -= found[best]
        return sorted(chosen, key=lambda lengths: sum(lengths.values()))

    if len(indices) == 1:
        (only,) = indices
        return covering([{only: n} for n in range(1, plan.bounds[only] + 1)])
    if not plan.separate:
        count = int(np.prod([plan.bounds[index] for index in indices]))
        if count > MOST_PAIRS:
            raise UndecidableError(
                f"static equations test the lengths of two index sets: {AT_ONE_LENGTH}"
            )
        grid = product(*(range(1, plan.bounds[index] + 1) for index in indices))
        return covering([dict(zip(indices, each, strict=True)) for each in grid])
    chosen: list[list[int]] = []
    for index in indices:
        others = dict.fromkeys(indices, 3)
        found = covering([others | {index: n} for n in range(1, plan.bounds[index] + 1)])
        chosen.append([lengths[index] for lengths in found])
    return [dict(zip(indices, each, strict=True)) for each in product(*chosen)]


# -- verdicts --------------------------------------------------------------------------------------


@dataclass
class Induction:
    """What was found about a backward pass of any length."""

    proved: set[str] = field(default_factory=set)
    lengths: list[dict[str, int]] = field(default_factory=list)
    reason: str = ""
    failing: dict[str, dict[str, int]] = field(default_factory=dict)
    """The first length at which a gradient was not proved."""
    bounds: dict[str, int] = field(default_factory=dict)
    """The lengths at which everything that can happen does."""


def inductive(
    question: Question,
    stated: Stated,
    sizes: Mapping[str, int],
    clock: Clock,
    hopeful: Callable[[Induction], bool] = lambda found: True,
) -> Induction:
    """Return which gradients are right at every length.

    After the first effort `hopeful` is asked whether there is anything left to try.
    """
    found = Induction()
    pending: list[frozenset[str]] = [frozenset()]
    for dropped in pending:
        wrong: set[str] = set()
        try:
            for effort in EFFORTS:
                plan = plan_of(question, stated, sizes, effort, dropped)
                found.bounds = found.bounds or plan.bounds
                wrong = _attempt(plan, sizes, found, clock)
                if found.proved == set(stated.names) or not hopeful(found):
                    return found
        except ExhaustedError:
            found.reason = NO_TIME
            return found
        except UndecidableError as failure:
            found.reason = found.reason or str(failure)
        if not dropped and wrong:
            pending += [frozenset({name}) for name in sorted(wrong)[:MOST_DROPPED]]
    return found


def _attempt(plan: Plan, sizes: Mapping[str, int], found: Induction, clock: Clock) -> set[str]:
    """Enter what can be shown with one effort; return the variables with wrong cotangents."""
    names = set(plan.stated.names)
    for name in sorted(plan.orphans):
        lacking = plan.stated.cotangent(name)
        if lacking in plan.stated.circuit.variables:
            continue  # dropped
        found.reason = found.reason or (
            f"{name} is a recurrence, and no equation gives its cotangent {lacking}: write one, "
            f"or {AT_ONE_LENGTH}"
        )
    proved, wrong = names - plan.behind(plan.orphans), set[str]()
    checked = lengths_to_check(plan, sizes, clock)
    for lengths in clock.counted(checked, "lengths proved"):
        passes = plan.passes(lengths, sizes)
        certificate = StepCertificate(passes, clock, plan.cuts(passes), plan)
        good, inside, outside = _holding(certificate)
        good -= plan.behind(inside, outside)
        found.reason = found.reason or next(iter(certificate.reasons), "")
        for name in proved - good:
            found.failing.setdefault(name, lengths)
        proved &= good
        wrong |= inside | outside
        if not proved - found.proved:
            break
    else:
        found.lengths += [each for each in checked if each not in found.lengths]
    found.proved |= proved
    return wrong


def _holding(certificate: StepCertificate) -> tuple[set[str], set[str], set[str]]:
    """Return the gradients whose own identities hold, and the variables with a wrong one.

    These are the variables that have it inside 1..τ, and those that have it outside.
    """
    system, tau = certificate.passes.dag.system, certificate.passes.dag.tau
    inside, outside = set[str](), set[str]()
    with judge.uncollected():
        certificate.run()
        for name, step in (each.instance for each in certificate.locals() if each.residuals):
            steps = range(1, tau.get(system.index_of(name) or "", 0) + 1)
            (inside if step is None or step in steps else outside).add(name)
        gradients = certificate.passes.gradients
        good = {name for name in gradients if not certificate.gradient(name).residuals}
    return good, inside, outside


def induction_claims(
    question: Question, stated: Stated, sizes: Mapping[str, int], clock: Clock
) -> Iterator[Claim]:
    """Yield a claim for each gradient: proved for every τ, refuted at one, or undecided."""
    refuted: dict[str, Claim] = {}

    def hopeful(found: Induction) -> bool:
        """Look for refutations once; go on while anything is neither proved nor refuted."""
        if not searched:
            searched.append(True)
            refuted.update(refutations(question, stated, sizes, found, clock))
        return bool(set(stated.names) - found.proved - refuted.keys())

    searched: list[bool] = []
    found = inductive(question, stated, sizes, clock, hopeful)
    if found.reason:
        hopeful(found)
    least = dict.fromkeys(question.probed.check().indices, 1)
    side = stated.side(found.lengths[0] if found.lengths else least, sizes)
    for name in stated.names:
        claim = refuted.get(name) or blank(question, side, name)
        if name in found.proved:
            yield replace(claim, every=True, reason=f"checked at {_texts(side, found.lengths)}")
        elif claim.verdict == "refuted":
            yield claim
        else:
            reason = found.reason or "the identities of some step do not hold as polynomials"
            yield replace(claim, verdict="undecided", reason=reason)


def _texts(side: Side, lengths: Sequence[Mapping[str, int]]) -> str:
    indices = side.dag.system.indices
    shown = [
        ", ".join(f"{indices[index].length} = {n}" for index, n in each.items()) for each in lengths
    ]
    return "; ".join(shown)


def refutations(
    question: Question,
    stated: Stated,
    sizes: Mapping[str, int],
    found: Induction,
    clock: Clock,
) -> dict[str, Claim]:
    """Look for points at short lengths at which what was not proved is provably wrong."""
    refuted: dict[str, Claim] = {}
    left = [name for name in stated.names if name not in found.proved]
    indices = list(question.probed.check().indices)
    tried = [found.failing[name] for name in left if name in found.failing]
    tried += [dict.fromkeys(indices, n) for n in range(1, WITNESS_LENGTHS + 1)]
    if found.bounds:
        tried.append({index: min(n, LONGEST_WITNESS) for index, n in found.bounds.items()})
    distinct = [each for k, each in enumerate(tried) if each not in tried[:k]]
    for lengths in sorted(distinct, key=lambda each: sum(each.values())):
        if not left or clock.is_over:
            break
        try:
            side = stated.side(lengths, sizes)
        except DomainError:
            continue
        for claim in judge.certificate_claims(question, side, left, clock):
            if claim.verdict == "refuted":
                refuted[claim.by] = replace(claim, tau=dict(lengths))
        left = [name for name in left if name not in refuted]
    return refuted
