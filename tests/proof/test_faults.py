"""A fixed slice of the fault corpus: every wrong pass is refuted or proved equivalent.

The whole corpus is judged by `python tools/fault_corpus.py run`.
"""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import graphgrad as gg
from tests.faults.checkers import installed, passed
from tests.faults.corpus import parts, slice_of
from tests.faults.fault import CAUSES
from tests.faults.stories import cut, flipped, right
from tests.faults.subjects import Subject, generated

PARTS = {part.name: part for part in parts()}
SLICE = {name: 2 if name.startswith("adjoint") else 1 for name in [*PARTS][3::12]} | {"rules": 6}
WRONG, RIGHT = 1e-9, 1e-13
"""A relative error that no rounding makes; one that rounding alone makes."""


@pytest.mark.parametrize("name", SLICE)
def test_wrong_passes_are_refuted_and_equivalent_ones_proved(name):
    for fault in slice_of(PARTS[name], SLICE[name]):
        said = fault.verdict()
        assert said.verdict in ("refuted", "proved"), (fault.name, fault.text, said)
        error = fault.numbers(0).error
        if error > WRONG:
            assert said.verdict == "refuted", (fault.name, fault.text, error)


def test_right_passes_are_never_refuted():
    """The equations as they are; the passes themselves are in `test_check.py`."""
    for seed in range(8):
        subject = generated(seed)
        proof = subject.prove(subject.backward)
        assert proof.verdict == "proved", (seed, proof)
        assert subject.numbers(subject.backward, 0).error < 1e-7


def test_a_seed_gives_the_same_faults_everywhere():
    names = ["adjoint/gru", "adjoint/generated-7", "drivers/zipped_elman"]
    program = (
        "from tests.faults.corpus import parts, slice_of\n"
        f"for part in parts():\n    if part.name in {names}:\n"
        "        print(*[f.name + f.digest for f in slice_of(part, 4)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = [[f.name + f.digest for f in slice_of(PARTS[n], 4)] for n in PARTS if n in names]
    assert [line.split() for line in done.stdout.splitlines()] == here


def test_the_corpus_has_every_class_of_fault_and_no_fault_twice():
    names = ("adjoint/generated-0", "adjoint/truncated", "drivers/zipped_elman")
    faults = [fault for name in names for fault in PARTS[name].faults()]
    assert {fault.cause for fault in faults} == set(CAUSES)
    assert len({(fault.subject, str(fault.judge.args)) for fault in faults}) == len(faults)


def test_seeds_differ():
    one, other = (next(part for part in parts(s) if part.name == "adjoint/gru") for s in (0, 1))
    assert [f.text for f in slice_of(one, 5)] != [f.text for f in slice_of(other, 5)]


@pytest.mark.parametrize("story", [flipped(), cut()], ids=lambda story: story.title)
def test_what_standard_checkers_accept_is_refuted(story):
    numbers = story.numbers()
    assert numbers.error > 1e-6
    accepted = passed(numbers, installed())
    assert all(accepted.values()), accepted
    assert all(passed(right(numbers), installed()).values())
    assert story.proof().verdict == "refuted"


@pytest.mark.parametrize("checker", ["torch", "autograd", "jax"])
def test_the_checkers_see_what_they_can(checker):
    """A gradient of another sign is no miss, or the misses would be ours."""
    if checker not in installed():
        pytest.skip(f"{checker} is not installed")
    subject = generated(0)
    (fault,) = itertools.islice(
        (f for f in PARTS["adjoint/generated-0"].faults() if f.numbers(0).error > 0.5), 1
    )
    assert passed(fault.numbers(0), [checker]) == {checker: False}
    assert passed(subject.numbers(subject.backward, 0), [checker]) == {checker: True}


def test_a_fault_needs_a_length_at_which_it_shows():
    """A truncation after three steps is the gradient at τ = 3 and not at τ = 4."""
    circuit = gg.cells.load("tied")
    claims = {
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "h[t] - y[t] + (w * d_a[t+1] if t > tau - 3 else 0)",
        "d_w": "sum(d_a[t] * h[t-1] for t in steps)",
    }
    assert gg.prove(circuit, claims=claims, tau=3).ok
    proof = gg.prove(circuit, claims=claims, tau=4)
    assert proof.verdict == "refuted"
    assert proof.claims[0].fault == "d_h[1]"


def test_what_is_not_finite_is_no_gradient():
    subject = Subject("none", gg.parse("w: param()\nloss = w * w"), 1)
    numbers = subject.numbers({"d_w": "2 * w / (w - w)"}, 0)
    assert np.isinf(numbers.error)
    assert passed(numbers, installed()) == dict.fromkeys(installed(), False)
