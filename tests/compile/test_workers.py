"""Threads that run parts of a call: results, errors, and the processors they may run on."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from graphgrad.compile.workers import Crew, Worker, workers


def test_a_job_runs_in_another_thread_and_its_result_comes_back() -> None:
    first, second = workers(2)
    waiting = [worker.start(threading.get_ident) for worker in (first, second, first)]
    one, two, again = (result() for result in waiting)
    assert one == again
    assert len({one, two, threading.get_ident()}) == 3


def test_the_same_threads_are_used_again() -> None:
    assert workers(2) is workers(2)


def test_an_error_is_raised_where_the_result_is_asked_for_and_the_thread_goes_on() -> None:
    (worker,) = workers(1)

    def fails() -> None:
        raise ZeroDivisionError("of a job")

    result = worker.start(fails)
    with pytest.raises(ZeroDivisionError, match="of a job"):
        result()
    assert worker.start(divmod, 7, 2)() == (3, 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_no_thread_runs_where_the_caller_or_another_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    placed: list[tuple[Any, list[int]]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: set(range(6)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, on: placed.append((thread, on)))
    crew = Crew(2)
    threads = [worker._thread for worker in crew.workers]
    crew.stay_off(1)
    assert placed == [(threads[0], [0, 3, 5]), (threads[1], [2, 4])]
    crew.stay_off(1)
    assert len(placed) == 2  # nothing has changed
    crew.stay_off(0)
    assert placed[2:] == [(threads[0], [1, 3, 5]), (threads[1], [2, 4])]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_with_too_few_processors_threads_run_where_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    placed: list[list[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0})
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, on: placed.append(on))
    Crew(2).stay_off(0)
    assert placed == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved here")
def test_a_thread_that_cannot_be_moved_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: int, on: list[int]) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    worker = Worker()
    worker.stay_on([0])
    assert worker.start(len, "abc")() == 3
