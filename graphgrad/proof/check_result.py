"""What a check of hand-written code says: a proof, with what was noticed and is to be learned."""

from __future__ import annotations

from dataclasses import dataclass

from graphgrad.proof.result import Proof
from graphgrad.proof.shown import MARKS


@dataclass(frozen=True)
class Checked(Proof):
    """The result of `check_function`.

    `notes` say how the code's names were matched and what was noticed on the way, `lessons` explain
    each fault: what is wrong, how far it reaches, its likely cause, and the remedy. `limits` are
    lengths and numbers of examples at which something is wrong that is proved for those asked for.
    """

    code: str = ""
    notes: tuple[str, ...] = ()
    lessons: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The verdict in a line, with where it does not hold."""
        return super().title + self._but()

    def _but(self) -> str:
        return f", but wrong at {' and '.join(self.limits)}" if self.limits else ""

    def __str__(self) -> str:
        width = max((len(claim.name) for claim in self.claims), default=0)
        truth = max((len(claim.truth) for claim in self.claims), default=0)
        lines = [f"{self.code}: {self.verdict} against {self.circuit}{self._but()}"]
        for claim in self.claims:
            entries = f"{claim.entries} entr{'y' if claim.entries == 1 else 'ies'}"
            reason = f": {claim.reason}" if claim.reason else ""
            lines.append(
                f"  {MARKS[claim.verdict]} {claim.name:{width}} = {claim.truth:{truth}}  "
                f"{claim.verdict}, {entries}{reason}"
            )
        if self.unclaimed:
            lines.append(f"  ? no gradient is returned by {', '.join(self.unclaimed)}")
        for lesson in self.lessons:
            lines += ["", lesson]
        lines += [""] if self.lessons else []
        lines.append(f"  for {self.scope}")
        lines += [f"  by {self.method}"] if self.method else []
        lines += [f"  {note}" for note in self.notes]
        lines += [f"  given that {assumption}" for assumption in self.assumptions]
        return "\n".join(lines)

    def more(self) -> tuple[str, ...]:
        """Return the lessons and notes."""
        return (*self.lessons, *self.notes)
