"""Right hand-written passes by the thousand: composed ones, and all that there are, rewritten.

A pass has a number. What is drawn for it is right by construction; rewrites that change a number
of the pass in floating point are not counted as such.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from random import Random
from typing import Any

from tests.faults.composed import composed
from tests.faults.drivers import driven
from tests.faults.fault import Stopped, Verdict, at_most, judgement, quietly
from tests.faults.passes import SECONDS, Pass, loaded, written
from tests.faults.rewrite import rewritten

FIRST = 100_000
"""The composed passes from here on are not those whose faults are in the corpus."""
SOURCES = ("composed", "composed", "composed, rewritten", "composed, rewritten", "hand-written")
REWRITES = (1, 2, 3, 5, 8, 12)


@dataclass(frozen=True)
class Right:
    """A right pass: the one that it was made from, and its source."""

    name: str
    kind: str
    origin: Pass
    source: str

    @property
    def digest(self) -> str:
        """A short hash of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:12]

    @cached_property
    def is_right(self) -> bool:
        """Whether it computes on floats what its origin computes."""
        try:
            with quietly(), at_most(SECONDS):
                module = loaded(self.source, self.origin.name)
                return not self.origin.suspects(module) and self.origin.setting.same_values(module)
        except (Exception, Stopped):
            return False

    def verdict(self, seconds: float = 60.0) -> Verdict:
        """Return what the proof says."""
        return judgement(lambda: self.origin.prove(self.source), seconds)


@cache
def by_hand() -> list[Pass]:
    """Return the passes that were not composed."""
    return [*written(), *driven()]


def refactored(number: int) -> Right:
    """Return the right pass of a number; it may turn out to be no pass at all (`is_right`)."""
    draw = Random(f"refactored {number}")
    kind = SOURCES[number % len(SOURCES)]
    if kind == "hand-written":
        origins: list[Any] = by_hand()
        origin = origins[number // len(SOURCES) % len(origins)]
    else:
        origin = composed(FIRST + number, steep_kinds=("tanh", "sigmoid"))
    source = origin.source
    if kind != "composed":
        source = rewritten(source, draw, draw.choice(REWRITES))
    return Right(f"refactored/{number} of {origin.name}", kind, origin, source)
