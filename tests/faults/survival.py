"""Which mutants of the library survive its tests: the tests of a module, called directly.

Tests are plain functions; those whose arguments are all parametrised are called with each
combination, one of each test first, until one fails. Where calls are timed, tests of generated
circuits are called as well, with some examples that are the same each time.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import itertools
import os
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import _lru_cache_wrapper, cache, partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn
from unittest.mock import patch

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import Phase, settings

import graphgrad as gg
from tests.faults.fault import at_most, quietly
from tests.faults.library import Mutant, mutants_of
from tests.faults.rules import candidates, ops_of

ALL = tuple(f"tests.faults.test_{name}" for name in ("noticed", "noticed_cuts", "printed"))
"""Tests that notice mutants of every group."""
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sweep": (
        tuple(f"graphgrad.autodiff.{name}" for name in ("plans", "requests", "reverse", "sweep")),
        ("tests.autodiff.test_generated", "tests.autodiff.test_gallery",
         "tests.autodiff.test_reverse", "tests.adjoint.test_square", "tests.test_time_slices"),
    ),
    "adjoint": (
        tuple(f"graphgrad.adjoint.{name}" for name in (
            "rules", "sweep", "build", "deliver", "live", "names")),
        ("tests.adjoint.test_nasty", "tests.adjoint.test_square", "tests.adjoint.test_requests",
         "tests.adjoint.test_growth", "tests.adjoint.test_corners", "tests.adjoint.test_readable"),
    ),
    "truncation": (
        ("graphgrad.truncation", "graphgrad.adjoint.copies"),
        ("tests.test_truncation", "tests.adjoint.test_nasty", "tests.adjoint.test_square",
         "tests.adjoint.test_requests"),
    ),
}  # fmt: skip
"""The modules that are mutated, and the tests that have to notice besides."""
Timed = tuple[str, Callable[[], Any], float]
LEFT_OUT = {"wrong variable", "rounded constant"}
"""Kinds of changes that are left out: exchanged names mostly raise at once."""
SECONDS, SHARE = 2.0, 20.0
"""How long a call may take under a mutant: so long, or so many times what it takes without."""
LONG = 60.0
"""Calls of tests end before, in seconds."""
MEMORY = 4 << 30
"""What the calls under a mutant may take beyond what there is, in bytes."""
NOT_CALLED = 70
"""The status of a child that failed outside the calls, which says nothing about the mutant."""
OFTEN = 4
SLOW = ("thousand", "growth", "long_sequences")
"""What stands in the names of tests that take long."""
EXAMPLES = 60
"""How many circuits are generated for a test that is called with them."""
EQUIVALENT = Path(__file__).parent / "equivalent.txt"


def mutants(group: str) -> list[Mutant]:
    """Return the mutants of a group, in a fixed order that goes across its modules."""
    if group == "rules":
        found = list(candidates())
    else:
        gg.cells.load("elman").adjoint(truncate=gg.window(2))  # every module is loaded
        modules = [sys.modules[name] for name in GROUPS[group][0]]
        found = [each for module in modules for each in mutants_of(module)]
    found = [each for each in found if each.mutation.cause not in LEFT_OUT]
    Random(group).shuffle(found)
    return found


@cache
def calls(group: str) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the calls of a group's tests by name: one of each test, then a second of each, …"""
    rounds = itertools.zip_longest(*_calls(group))
    return tuple(call for each in rounds for call in each if call is not None)


def _calls(group: str) -> Iterator[list[tuple[str, Callable[[], Any]]]]:
    """Yield the calls of each test of a group."""
    for module_name in (*ALL, *(GROUPS[group][1] if group in GROUPS else ())):
        module = importlib.import_module(module_name)
        for name, function in vars(module).items():
            if (
                not name.startswith("test_")
                or hasattr(function, "hypothesis")
                or any(s in name for s in SLOW)
            ):
                continue
            yield [
                (f"{module_name}.{name}({', '.join(map(repr, given.values()))[:80]})",
                 partial(function, **given))
                for given in _combinations(function)
            ]  # fmt: skip


@cache
def generated(group: str) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return calls of the tests of generated circuits, by name."""
    modules = GROUPS.get(group, GROUPS["sweep"])[1]
    return tuple(
        (f"{module}.{name}({EXAMPLES} examples)", partial(_drawn, function))
        for module in modules
        for name, function in vars(importlib.import_module(module)).items()
        if name.startswith("test_") and hasattr(function, "hypothesis")
    )


def _drawn(test: Any) -> None:
    """Call a test of Hypothesis with few examples, not those of the profile it was declared in."""
    few = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
    )
    with patch.object(test, "_hypothesis_internal_use_settings", few):
        test()


def _combinations(function: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each call of a parametrised test; none where it needs fixtures."""
    axes: list[list[dict[str, Any]]] = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "oracle":
            return
        if mark.name == "parametrize":
            names = mark.args[0]
            keys = names.replace(",", " ").split() if isinstance(names, str) else list(names)
            rows = [_row(each, len(keys)) for each in mark.args[1]]
            axes.append([dict(zip(keys, row, strict=True)) for row in rows])
    wanted = set(inspect.signature(function).parameters)
    for choice in itertools.product(*axes):
        given = {key: value for each in choice for key, value in each.items()}
        if set(given) == wanted:
            yield given


def _row(each: Any, count: int) -> tuple[Any, ...]:
    """Return the values of one entry of a parametrisation."""
    if isinstance(each, ParameterSet):
        return tuple(each.values)
    return tuple(each) if count > 1 else (each,)


def fails(run: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Whether a call of a test fails, or does not end."""
    try:
        with quietly(), at_most(seconds):
            run()
    except (KeyboardInterrupt, pytest.skip.Exception):
        return False
    except BaseException:  # pytest's own failures are no Exceptions
        return True
    return False


def applies(mutant: Mutant, group: str) -> bool:
    """Whether a mutant changes what runs; in the table of ops, whether it changes a rule."""
    return mutant.is_possible and (group != "rules" or bool(ops_of(mutant)))


def killer(mutant: Mutant, group: str, seconds: float = float("inf")) -> str | None:
    """Return the name of a call that fails under a mutant; None for one that survives.

    With `seconds` calls are timed, and made if they take no longer, or have killed often.

    The calls are made in a fork of this process, so that nothing that a mutant computed stays.
    """
    candidates = _in_order(mutant, group, timed=seconds < float("inf"))
    often = {name for name, _ in KILLS.most_common(OFTEN)}
    candidates = [each for each in candidates if each[2] <= seconds or each[0] in often]
    _caches()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that a fork does not take along
        child = os.fork()
    if not child:
        try:
            _call(mutant, candidates, writer)
        finally:  # whatever happens: a child that went on would run the tests after this one
            os._exit(NOT_CALLED)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        name = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_CALLED:
        raise RuntimeError(f"no test could be called under {mutant.name}")
    name = name or (f"ended with status {status}" if status else "")
    if name:
        KILLS[name] += 1
    return name or None


KILLS: Counter[str] = Counter()
"""How many mutants each call has killed: those that kill are called first."""


def _call(mutant: Mutant, candidates: list[Timed], writer: int) -> NoReturn:
    """Make the calls in a process of their own; write the name of the one that fails."""
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    forget()
    with mutant.applied():
        for name, run, seconds in candidates:
            if fails(run, max(SECONDS, SHARE * seconds)):
                os.write(writer, name.encode())
                break
        os._exit(0)


def _address_space() -> int:
    """Return how much this process has mapped, in bytes: other libraries reserve much."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def forget() -> None:
    """Empty the caches of the library: what stands in them was computed without the mutant."""
    for each in _caches():
        each.cache_clear()


@cache
def _caches() -> list[Any]:
    """Return the caches of the library's functions."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is _lru_cache_wrapper and str(each.__module__).startswith("graphgrad")
    ]


def _in_order(mutant: Mutant, group: str, *, timed: bool) -> list[Timed]:
    """Return the calls, first those that are quick or have killed before."""
    both = [*_of(mutant, group), *(generated(group) if timed else ())]
    found = [(name, run, _seconds(name, run) if timed else 1.0) for name, run in both]
    return sorted(found, key=lambda each: each[2] / (1 + KILLS[each[0]]))


TIMES: dict[str, float] = {}


def _seconds(name: str, run: Callable[[], Any]) -> float:
    """Return how long a call takes without a mutant."""
    if name not in TIMES:
        started = time.process_time()
        assert not fails(run, LONG), f"{name} fails without a mutant"
        TIMES[name] = time.process_time() - started
    return TIMES[name]


def _of(mutant: Mutant, group: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    if group != "rules":
        yield from calls(group)
        return
    from tests.proof.test_rules import CIRCUITS, test_certificate

    ops = ops_of(mutant)
    for key, (op, text) in CIRCUITS.items():
        if op in ops:
            yield (
                f"tests.proof.test_rules.test_certificate[{key}]",
                partial(test_certificate, op, text),
            )
    yield from calls(group)


def equivalent() -> dict[str, str]:
    """Return the mutants that compute the same, with the reason why."""
    found = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        name, mark, reason = line.partition(" ⇐ ")
        if mark:
            found[name] = reason
    return found
