"""Threads that run parts of a call, on other processors than the one that calls.

Left alone, a scheduler may wake a thread where the one that woke it runs, though another processor
is idle, and leave it there for many calls as short as ours: the two then take turns.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import Any


def workers(count: int) -> list[Worker]:
    """Return that many threads; each may run on processors that no other of them has, nor we."""
    crew = _crew(count)
    current = _current_processor()
    if current is not None:
        crew.stay_off(current())
    return crew.workers


class Crew:
    """Threads that work together for a caller."""

    def __init__(self, count: int) -> None:
        self.workers = [Worker() for _ in range(count)]
        self._caller: int | None = None

    def stay_off(self, processor: int) -> None:
        """Divide the processors that may be used among the threads, but for that of the caller."""
        if processor != self._caller:
            free = sorted(os.sched_getaffinity(0) - {processor})
            for k, worker in enumerate(self.workers):
                worker.stay_on(free[k :: len(self.workers)])
            self._caller = processor


class Worker:
    """One thread, which runs one job after another."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[SimpleQueue[Any], Callable[..., Any], tuple[Any, ...]]]
        self._jobs = SimpleQueue()
        thread = threading.Thread(target=self._run, name="graphgrad", daemon=True)
        thread.start()
        self._thread = thread.native_id

    def start(self, job: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """Have a job run; return what waits for its end, and returns its result or raises."""
        ended: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._jobs.put((ended, job, args))

        def result() -> Any:
            value, error = ended.get()
            if error is not None:
                raise error
            return value

        return result

    def _run(self) -> None:
        while True:
            ended, job, args = self._jobs.get()
            try:
                ended.put((job(*args), None))
            except BaseException as error:
                ended.put((None, error))
            del ended, job, args  # arrays are kept no longer than the call

    def stay_on(self, processors: list[int]) -> None:
        """Let this thread run on these processors only; where there are none, as it is."""
        if processors and self._thread is not None:
            with suppress(OSError):  # it then runs where it runs, and takes longer
                os.sched_setaffinity(self._thread, processors)


@cache
def _crew(count: int) -> Crew:
    return Crew(count)


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_crew.cache_clear)


@cache
def _current_processor() -> Callable[[], int] | None:
    """Return what tells the processor of this thread, where the system lets threads be moved."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    found: Callable[[], int] | None = getattr(ctypes.PyDLL(None), "sched_getcpu", None)
    return found
