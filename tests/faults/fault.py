"""A fault: one wrong backward pass, how it is judged, and the numbers that any checker needs.

A fault that is no fault (an equivalent pass) is told apart by the verdict, which must then be
*proved*, and by `error`, which is measured in floating point and knows nothing of the proof.
"""

from __future__ import annotations

import hashlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CAUSES = (
    "sign", "factor", "rounded constant", "transpose", "wrong step", "boundary", "average",
    "truncation", "missing term", "counted twice", "wrong variable", "wrong derivative",
    "carried gradient", "accumulation", "order", "constant",
)  # fmt: skip
"""What a fault is: the classes of the tables."""

FAMILIES = ("rules", "adjoint", "drivers", "passes")


@dataclass(frozen=True)
class Numbers:
    """A fault as a checker by finite differences sees it: a function, a point, a gradient there.

    `value` takes the parameters as one vector; `claimed` is the gradient of the faulty pass at
    `point`, `true` that of the right one. All are float64.
    """

    value: Callable[[Any], float]
    point: Any
    claimed: Any
    true: Any

    @property
    def error(self) -> float:
        """The largest error of an entry, relative to that entry; infinite where one is no number.

        An entry is as small as it likes, so that a fault in a vanishing gradient counts in full;
        what rounding does to the largest entry is no error of any.
        """
        if not np.all(np.isfinite(self.claimed)):
            return float("inf")
        apart = np.abs(self.claimed - self.true)
        apart[apart <= 1e-13 * np.max(np.abs(self.true), initial=0.0)] = 0.0
        scale = np.maximum(np.abs(self.claimed), np.abs(self.true))
        return float(np.max(np.divide(apart, scale, where=scale > 0, out=np.zeros_like(apart))))


@dataclass(frozen=True)
class Verdict:
    """What the proof said of a fault, and how long it took."""

    verdict: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Fault:
    """One wrong backward pass; `name` is the same for the same seed on every machine.

    `text` is what was changed and how; `judge` puts the pass to the proof, `numbers` gives the
    floating-point view of it at a generic point drawn from a seed.
    """

    name: str
    family: str
    cause: str
    subject: str
    text: str
    judge: Callable[[], Any] = field(repr=False, compare=False)
    numbers: Callable[[int], Numbers] = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.cause in CAUSES, self.cause
        assert self.family in FAMILIES, self.family

    @property
    def digest(self) -> str:
        """A short hash of what is wrong, so that a stored verdict is never taken for another's."""
        return hashlib.sha256(f"{self.subject}\n{self.text}".encode()).hexdigest()[:12]

    def verdict(self, seconds: float = 60.0) -> Verdict:
        """Return what the proof says, "stopped" after that many seconds."""
        return judgement(self.judge, seconds)


def judgement(judge: Callable[[], Any], seconds: float) -> Verdict:
    """Return what a proof says, undecided where it takes longer."""
    started = time.perf_counter()
    try:
        with quietly(), at_most(seconds):
            proof = judge()
        said = proof.verdict
        reasons = dict.fromkeys(claim.reason for claim in proof.claims if claim.reason)
        reason = "; ".join(reasons) if said != "refuted" else ""
    except Stopped:
        said, reason = "undecided", f"stopped after {seconds:g} s"
    return Verdict(said, reason, time.perf_counter() - started)


class Stopped(BaseException):
    """What took too long; no error that wrong code may catch and go on."""


@contextmanager
def quietly() -> Iterator[None]:
    """Let wrong passes divide by zero and warn without a word."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Stopped in what takes longer; a changed loop may never end."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    started = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, if it is swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # the limit around this one goes on
            signal.setitimer(
                signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - started)), 1.0
            )
