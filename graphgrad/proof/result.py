"""What a proof says: claims with their verdicts, for which circuit, length and sizes, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof import shown
from graphgrad.proof.shown import MARKS, filled

Verdict = Literal["proved", "certified", "refuted", "undecided"]
_recheck = door("graphgrad.proof.recheck:recheck")


class ProofError(GraphgradError):
    """A proof that cannot be asked for."""


@dataclass(frozen=True)
class Claim:
    """One claim: that `name` equals `truth`, entry by entry.

    `origin` says what computed it, `by` what the gradient is taken by. A refuted claim names an
    entry (whose first axis is time, from 0, if `indexed`), parameters and inputs at which the two
    sides provably differ (`witness`, rationals as text), and bounds that enclose their difference
    there and exclude 0. `methods` gives the verdict of each method that was asked. `fault` names
    the first equation of the backward pass, from the loss back, that is wrong by itself, `residual`
    what is left of it when the truth is subtracted, `cause` what seems to have been done instead. A
    claim that is proved at a random point is wrong with probability 2**-`error` at most; one that
    is certified holds to `digits` digits. With `every` it is proved for every length; `tau` is the
    length at which it is refuted, where that is not the one of the proof, `wrong_at` one at which a
    claim is refuted that is proved for the length of the proof.
    """

    name: str
    truth: str
    origin: str
    verdict: Verdict
    entries: int
    reason: str = ""
    entry: tuple[int, ...] | None = None
    witness: Mapping[str, Any] = field(default_factory=dict)
    difference: tuple[str, str] | None = None
    by: str = ""
    indexed: bool = False
    methods: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    residual: str = ""
    cause: str = ""
    error: int | None = None
    digits: int | None = None
    every: bool = False
    tau: Mapping[str, int] = field(default_factory=dict)
    wrong_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def but(self) -> str:
        """Where a claim that is proved does not hold: `, but wrong for t = 1..7`."""
        steps = shown.lengths_text(self.wrong_at)
        return f", but wrong for {steps}" if steps else ""

    @property
    def where(self) -> str:
        """The refuted entry: `d_W entry [0, 1]`, `d_x[2] entry [0]`."""
        if not self.entry:
            return self.name
        name, entry = self.name, list(self.entry)
        if self.indexed:
            name, entry = f"{name}[{entry[0] + 1}]", entry[1:]
        return f"{name} entry {entry}" if entry else name

    @property
    def refuted_text(self) -> str:
        """What a refutation found, in one line; empty for other verdicts."""
        return " ".join(self.refuted_parts())

    def refuted_parts(self, like: str = "") -> list[str]:
        """Return the pieces of `refuted_text`, between which lines may be broken.

        `like` says in a few words where the difference was found if the values stand elsewhere.
        """
        if self.verdict != "refuted":
            return []
        bounds = "is not 0"
        if self.difference:
            low, high = _outward(*self.difference, digits=3 if like else 6)
            bounds = f"is between {low} and {high}"
        steps = shown.lengths_text(self.tau)
        found = f"{self.where}{f' for {steps}' if steps else ''}: claim − truth {bounds}"
        if like:
            return [f"{found} {like}"]
        found += " at" if self.witness else ""
        values = [f"{name} = {_shown(value)}," for name, value in self.witness.items()]
        return [found, *values[:-1], *(last.removesuffix(",") for last in values[-1:])]

    def values(self) -> dict[str, Any]:
        """Return the witness as arrays, to evaluate the opened circuit (`c.open()`) with."""
        return {name: np.array(_numbers(value)) for name, value in self.witness.items()}


def _shown(value: Any) -> str:
    return str(value).replace("'", "")


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return float(Fraction(value)) if isinstance(value, str) else value


def _outward(low: str, high: str, digits: int = 6) -> tuple[str, str]:
    """Return the bounds rounded outward to a few digits; they exclude 0 if the bounds do.

    >>> _outward("2.34936043377", "2.34936043378")
    ('2.34936', '2.34937')
    """
    down, up = Context(prec=digits, rounding=ROUND_FLOOR), Context(digits, ROUND_CEILING)
    return str(down.create_decimal(low)), str(up.create_decimal(high))


@dataclass(frozen=True)
class Equation:
    """Whether an equation of a person follows from the others; if not, where and by how much.

    `cause` says what the equation seems to do wrong.
    """

    name: str
    holds: bool
    where: str = ""
    residual: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Request:
    """What `prove` was asked: the circuit and the claims as text, and the options."""

    circuit: str
    claims: str | None
    wrt: list[str] | None
    tau: Any
    method: str
    truncate: str | None = None


@dataclass(frozen=True)
class Proof:
    """The result of `prove`: `ok` if every claim is proved.

    `tau` and `sizes` are what it holds for, `assumptions` what it leaves out, `method` how it was
    found. `unclaimed` names the parameters that the claims say nothing about. `request` is what
    was asked, in a form that can be asked again. `equations` judges claims that are not all right
    one by one, each given the others.
    """

    circuit: str
    loss: str
    tau: Mapping[str, int]
    sizes: Mapping[str, int]
    method: str
    claims: tuple[Claim, ...]
    assumptions: tuple[str, ...]
    seconds: float
    unclaimed: tuple[str, ...] = ()
    request: Request | None = None
    equations: tuple[Equation, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every claim is proved."""
        return bool(self.claims) and all(claim.verdict == "proved" for claim in self.claims)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict among the claims."""
        for verdict in ("refuted", "undecided", "certified"):
            if any(claim.verdict == verdict for claim in self.claims):
                return verdict
        return "proved"

    @property
    def title(self) -> str:
        """What it says, in one line."""
        but = next((claim.but for claim in self.claims if claim.but), "")
        return f"{self.circuit}: gradient of {self.loss} {self.verdict}{but}"

    @property
    def scope(self) -> str:
        """For which lengths and sizes the verdict holds."""
        tau = shown.lengths_text(self.tau) or "every length"
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        return f"{tau}; {sizes or 'scalars'}; all real values of parameters, inputs and states"

    def __str__(self) -> str:
        width = max((len(claim.name) for claim in self.claims), default=0)
        truth = max((len(claim.truth) for claim in self.claims), default=0)
        lines = [self.title]
        for k, line in enumerate(shown.wrong_equations(self)):
            first, *more = line.split("\n")
            lines.append(" " * (4 if k else 2) + first)
            for each in more:
                lines += filled(each.split(), indent=8)
        origin = None
        for claim, (found, why) in zip(self.claims, shown.refutations(self), strict=True):
            if claim.origin != origin:
                origin = claim.origin
                lines.append(f"  {origin}:")
            entries = f"{claim.entries} entr{'y' if claim.entries == 1 else 'ies'}"
            reason = f"{' at every length' if claim.every else claim.but}, {entries}"
            if claim.verdict in ("undecided", "certified"):
                reason = f": {claim.reason}"
            if claim.error is not None:
                reason = f" with error bound 2**-{claim.error}, {entries}"
            lines.append(
                f"    {MARKS[claim.verdict]} {claim.name:{width}} = {claim.truth:{truth}}  "
                f"{claim.verdict}{reason}"
            )
            lines += filled(found, indent=8)
            for parts in why:
                lines += filled(parts, indent=8)
        lines += [f"  {line}" for line in shown.right_equations(self)]
        if self.unclaimed:
            lines.append(f"  nothing is claimed about {', '.join(self.unclaimed)}")
        lines.append(f"  for {self.scope}")
        lines += [f"  by {self.method}"] if self.method else []
        lines += [f"  given that {assumption}" for assumption in self.assumptions]
        return "\n".join(lines)

    def __rich__(self) -> Any:
        """Return the table that rich prints."""
        return shown.rich_table(self)

    def __repr__(self) -> str:
        return f"<Proof {self.title}>"

    def _repr_html_(self) -> str:
        return shown.html_table(self)

    def more(self) -> tuple[str, ...]:
        """Return remarks of a kind of proof that others do not have."""
        return ()

    def latex(self) -> str:
        """Return the table in LaTeX."""
        return shown.latex_table(self)

    def recheck(self, **options: Any) -> Any:
        """Do everything again, independently; see `graphgrad.proof.recheck`."""
        return _recheck(self, **options)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "ok": self.ok, "verdict": self.verdict}

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Proof:
        """Return the proof that `to_json` wrote; ProofError for any other text."""
        try:
            data = json.loads(text)
            claims = tuple(_claim(each) for each in data["claims"])
            request = Request(**data["request"]) if data["request"] else None
            given = {each.name: data[each.name] for each in fields(Proof)}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProofError(
                "this is no proof that graphgrad wrote",
                remedy="write one with proof.to_json(), or graphgrad prove FILE --json",
            ) from error
        tuples: dict[str, Any] = {name: tuple(given[name]) for name in ("assumptions", "unclaimed")}
        tuples["equations"] = tuple(Equation(**each) for each in given["equations"])
        return Proof(**{**given, **tuples, "claims": claims, "request": request})


def proof_of(text: str) -> Proof:
    """Return the proof in a JSON text."""
    return Proof.from_json(text)


def _claim(data: dict[str, Any]) -> Claim:
    pairs = {name: data[name] and tuple(data[name]) for name in ("entry", "difference")}
    return Claim(**{**data, **pairs})
