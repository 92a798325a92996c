"""The time a proof may take: a limit that every long loop honours, and one for loops that do not.

A `Clock` is handed to every method. `tick` is called in loops and raises where the time is over;
`enforced` interrupts what calls nobody for a while, such as one long step of SymPy.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from graphgrad.proof.poly import ExhaustedError

NO_TIME = "the time limit was reached"
GRACE = 0.3
"""For how many seconds after the limit loops may notice it themselves."""
AGAIN = 0.5
"""After how many seconds what swallowed an interruption is interrupted once more."""

Item = TypeVar("Item")


class Display(Protocol):
    """What shows how far a proof is."""

    def stage(self, text: str) -> None:
        """Say what is done next."""

    def count(self, done: int, total: int, what: str) -> None:
        """Say how much of it is done."""


class Clock:
    """When to stop, and where to say how far one is."""

    def __init__(self, seconds: float | None = None, display: Display | None = None) -> None:
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.display = display

    @property
    def left(self) -> float:
        """How many seconds are left; infinite without a limit."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def tick(self) -> None:
        """Honour the limit."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise ExhaustedError(NO_TIME)

    def at_most(self, seconds: float) -> Clock:
        """Return a clock that stops after so many seconds, or with this one."""
        left = min(seconds, self.left)
        return Clock(None if left == float("inf") else left, self.display)

    def part(self, share: float) -> Clock:
        """Return a clock with a share of the time that is left."""
        return self.at_most(share * self.left)

    def stage(self, text: str) -> None:
        """Say what is done next."""
        if self.display is not None:
            self.display.stage(text)

    def count(self, done: int, total: int, what: str) -> None:
        """Say how much of it is done, and honour the limit; `what` is counted."""
        if self.display is not None:
            self.display.count(done, total, what)
        self.tick()

    def counted(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        """Yield items, counting them."""
        for done, item in enumerate(items):
            self.count(done, len(items), what)
            yield item
        self.count(len(items), len(items), what)


class _OverrunError(BaseException):
    """Raised in a thread that does not look at its clock; no handler of errors catches it."""


@contextmanager
def enforced(clock: Clock) -> Iterator[None]:
    """Raise ExhaustedError in a block that goes on after its time, whatever it is doing.

    Only pure Python is interrupted, between two of its instructions.
    """
    if clock.deadline is None:
        yield
        return
    clock.tick()
    watch, stopped = _Watch(), None
    try:
        try:
            watch.start(clock.left + GRACE)
            yield
        finally:
            while not watch.over:  # an interruption may be on its way, and Ctrl-C come in between
                try:
                    watch.end()
                except _OverrunError:
                    watch.over = watch.ended.is_set()
                except BaseException as error:
                    stopped = error
            if stopped is not None:
                raise stopped
    except _OverrunError:
        raise ExhaustedError(NO_TIME) from None


class _Watch:
    """A thread that interrupts the one that made it."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.sent = self.over = False

    def start(self, seconds: float) -> None:
        """Interrupt after so many seconds, and then again and again."""
        threading.Thread(target=self._wait, args=(seconds,), daemon=True).start()

    def _wait(self, seconds: float) -> None:
        while not self.ended.wait(max(0.0, seconds)):
            with self.lock:
                if not self.ended.is_set():
                    self.sent = True
                    _interrupt(self.thread)
            seconds = AGAIN

    def end(self) -> None:
        """Interrupt no more; an interruption that may not have happened yet happens in here.

        It could be taken back, but Python 3.11 would look for it ever after, and hang where it
        traces (bdb, coverage). Only one waits at a time: one more takes its place.
        """
        with self.lock:
            self.ended.set()
        if self.sent:
            _interrupt(self.thread)
            while True:
                time.sleep(0)
        self.over = True


def _interrupt(thread: int) -> None:
    """Raise an exception in a thread, as soon as it runs Python."""
    exception = ctypes.py_object(_OverrunError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
