"""A fixed slice of the library's mutants: the tests notice each, or it is known to be equivalent.

The whole set is gone through by `python tools/fault_corpus.py library`.
"""

import os
from itertools import islice

import pytest

from graphgrad.autodiff import sweep
from graphgrad.ops import elementwise
from tests.faults import survival
from tests.faults.library import mutants_of
from tests.faults.rules import ops_of
from tests.faults.survival import (
    GROUPS,
    applies,
    calls,
    equivalent,
    fails,
    generated,
    killer,
    mutants,
)

SLICE = 2


@pytest.mark.parametrize("group", ["rules", *GROUPS])
def test_mutants_die(group):
    known = equivalent()
    for mutant in islice((m for m in mutants(group) if applies(m, group)), SLICE):
        assert mutant.name in known or killer(mutant, group) is not None, mutant.name


def test_a_mutant_is_in_place_while_it_lasts_and_gone_afterwards():
    (mutant,) = [m for m in mutants_of(elementwise) if m.name.endswith("1 - y ** 2 → 1 + y ** 2")]
    (rule,) = mutant.functions
    before = rule.__code__
    assert ops_of(mutant) == ("tanh",)
    with mutant.applied():
        assert rule.__code__ != before
    assert rule.__code__ == before


def test_what_runs_unchanged_does_not_fail():
    """One call of each test, or a mutant would die of something else."""
    for group in GROUPS:
        for name, run in calls(group)[:6]:
            assert not fails(run), name


def test_a_child_that_fails_outside_the_calls_ends_and_kills_nothing(monkeypatch):
    (mutant,) = [m for m in mutants_of(elementwise) if m.name.endswith("1 - y ** 2 → 1 + y ** 2")]
    monkeypatch.setattr(survival, "forget", lambda: 1 / 0)
    here = os.getpid()
    with pytest.raises(RuntimeError, match="no test could be called"):
        killer(mutant, "sweep")
    assert os.getpid() == here


def test_generated_circuits_kill_as_well(monkeypatch):
    name = "tests.autodiff.test_generated.test_gradient_against_forward_mode_exactly(60 examples)"
    run = dict(generated("sweep"))[name]
    assert not fails(run, 60)
    (mutant,) = [m for m in mutants_of(sweep) if m.name.endswith("pending → not active[node]")]
    monkeypatch.setattr(survival, "_in_order", lambda *_, **__: [(name, run, 3.0)])
    assert killer(mutant, "sweep") == name
