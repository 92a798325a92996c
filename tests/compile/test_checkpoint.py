"""Checkpoints: losses in pieces, schedules with the fewest repetitions, budgets that hold."""

from __future__ import annotations

import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.revolve import forward_pieces, revolve
from tests.compile.reference import STREAMS, close, data

CELL = """
x[t]: input(D)
W: param(H, H)
U: param(H, D)
w: param(H)
h[0] = w / 2
h[t] = tanh(W @ h[t-1] + U @ x[t]) if t % 3 != 1 or t == tau else h[t-1] / 2 + w * t / 20
s[t] = sum(h[t] * h[t-2])
"""
LOSSES = {
    "chosen steps": "mean(s[t] for t in steps) + sum(s[t] for t in steps if t > 4) / 7",
    "a mean over chosen steps": "mean(s[t] for t in steps if t % 5 == 2 or t == tau) - 2 * "
    "mean(s[t] for t in steps if t > 20) + (mean(s[t] for t in steps if t < 0) if tau < 9 else 1)",
    "a penalty": "sum(s[t] for t in steps) - (sum(W * W) - 3 * mean(s[t] for t in steps)) / 2",
    "the last step": "sum(h[tau] * h[tau]) - 2 * sum(s[t] for t in steps)",
    "only the last step": "sum(h[tau] * h[tau]) * tau",
}
"""Losses of which not all is summed over the steps."""


@pytest.mark.parametrize("every", [1, 2, 4, 22, 23])
@pytest.mark.parametrize("loss", LOSSES)
def test_checkpoints_count_steps_and_penalties_as_the_whole_does(loss: str, every: int) -> None:
    circuit = gg.parse(f"{CELL}loss = {LOSSES[loss]}\n")
    params, inputs = circuit.init(0, H=3, D=2), circuit.example(1, 23, (2,), H=3, D=2)
    total, grads = gg.value_and_grad(circuit)(params, **inputs)
    function = gg.value_and_grad(circuit, checkpoint={"every": every, "snapshots": 2})
    found, own = function(params, **inputs)
    close(found, total)
    for key in params:
        close(own[key], grads[key])


def test_with_checkpoints_a_mean_over_no_step_of_the_whole_is_refused() -> None:
    circuit = gg.parse(f"{CELL}loss = mean(s[t] for t in steps if t > 20)\n")
    params, inputs = circuit.init(0, H=3, D=2), circuit.example(1, 20, H=3, D=2)
    with pytest.raises(gg.DomainError, match="the condition t > 20 never holds for tau = 20"):
        gg.value_and_grad(circuit, checkpoint={"every": 4})(params, **inputs)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("sum(s[t] for t in steps) ** 2", "is not linear in sums over the steps"),
        ("sum(s[t] for t in steps) * sum(h[tau])", "is not linear in sums over the steps"),
        ("sum(h[3])", "h is read at a fixed step"),
        ("sum(s[t] * sum(h[tau]) for t in steps)", "needs the whole sequence"),
    ],
)
def test_losses_that_are_no_sums_are_refused_with_the_place(loss: str, message: str) -> None:
    circuit = gg.parse(f"{CELL}loss = {loss}\n")
    with pytest.raises(gg.GraphgradError, match=message) as caught:
        gg.value_and_grad(circuit, checkpoint=10**6)
    assert caught.value.place is not None
    assert caught.value.place.text.startswith("loss")
    assert caught.value.remedy


@cache
def fewest(pieces: int, snapshots: int) -> int:
    """The least number of pieces computed forwards, by trying every split."""
    if pieces == 1:
        return 0
    if not snapshots:
        return pieces * (pieces - 1) // 2
    return min(
        m + fewest(pieces - m, snapshots - 1) + fewest(m, snapshots) for m in range(1, pieces)
    )


@pytest.mark.parametrize("snapshots", range(6))
def test_binomial_schedules_repeat_the_fewest_pieces(snapshots: int) -> None:
    for pieces in range(1, 40):
        assert forward_pieces(pieces, snapshots) == fewest(pieces, snapshots)
        kept, undone = {0}, []
        for action in revolve(pieces, snapshots):
            assert action.start in kept
            if action.kind == "advance":
                kept.add(action.stop)
            elif action.kind == "reverse":
                undone.append(action.start)
            else:
                kept.remove(action.start)
            assert len(kept) <= snapshots + 2
        assert undone == list(reversed(range(pieces)))


@pytest.mark.parametrize("every", [1, 4, 23, 50])
@pytest.mark.parametrize("name", STREAMS)
def test_checkpoints_do_not_change_the_gradients(name: str, every: int) -> None:
    circuit, params, inputs = data(name, 23)
    loss, grads = gg.value_and_grad(circuit)(params, tau=23, **inputs)
    function = gg.value_and_grad(circuit, checkpoint={"every": every, "snapshots": 2})
    found, own = function(params, tau=23, **inputs)
    close(found, loss)
    for key in params:
        close(own[key], grads[key])


@pytest.mark.parametrize("more", [1.1, 2, 10])
@pytest.mark.parametrize("name", ["elman", "gru"])
@pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("numba", marks=pytest.mark.oracle("numba"))]
)
def test_budgets_hold_that_are_hardly_large_enough(backend: str, name: str, more: float) -> None:
    circuit = gg.cells.load(name)
    sizes = {"H": 16, "D": 4, "K": 4}
    params, inputs = circuit.init(0, **sizes), circuit.example(1, 60, (4,), **sizes)
    with pytest.raises(gg.GraphgradError, match="too small") as refused:
        gg.value_and_grad(circuit, backend=backend, checkpoint=1)(params, **inputs)
    budget = int(int(refused.value.remedy.split()[1]) * more)
    function = gg.value_and_grad(circuit, backend=backend, checkpoint=budget)
    assert function.plan is None
    function(params, **inputs)  # writes the programs, which take memory as well
    assert (function.compiled.compile_seconds > 0) == (backend == "numba")
    tracemalloc.start()
    for _ in range(2):  # nothing is kept from one call to the next
        function(params, **inputs)
        assert function.plan.predicted / 8 < function.plan.measured
        assert function.plan.measured <= function.plan.predicted <= budget
    tracemalloc.stop()


def test_a_budget_holds_and_the_prediction_with_it() -> None:
    circuit = gg.cells.load("elman")
    sizes = {"H": 32, "D": 2, "K": 2}
    params, inputs = circuit.init(0, **sizes), circuit.example(1, 4000, **sizes)
    budget = 2**20
    function = gg.value_and_grad(circuit, checkpoint=budget)
    function(params, **inputs)  # writes the programs, which take memory as well
    tracemalloc.start()
    loss, grads = function(params, **inputs)
    tracemalloc.stop()
    assert function.plan.measured <= function.plan.predicted <= budget
    assert function.plan.measured >= function.plan.predicted / 8
    expected, own = gg.value_and_grad(circuit)(params, **inputs)
    close(loss, expected)
    for key in params:
        close(grads[key], own[key], 1e-10)
    with pytest.raises(gg.GraphgradError, match="too small"):
        gg.value_and_grad(circuit, checkpoint=1000)(params, **inputs)


def test_gradients_so_far_are_within_the_budget() -> None:
    """With many parameters they take as much as a piece does."""
    circuit = gg.parse(
        "n[t]: token(N)\nE: param(N, H)\nV: param(N, H)\nh[t] = tanh(h[t-1] + E[n[t]])\n"
        "loss = sum(softmax_cross_entropy(V @ h[t], n[t]) for t in steps) + sum(E * E)"
    )
    params, inputs = circuit.init(0, N=500, H=64), circuit.example(1, 20, N=500)
    with pytest.raises(gg.GraphgradError, match="too small") as refused:
        gg.value_and_grad(circuit, checkpoint=1)(params, **inputs)
    budget = np.int64(refused.value.remedy.split()[1])
    function = gg.value_and_grad(circuit, checkpoint=budget)
    function(params, **inputs)  # writes the programs, which take memory as well
    tracemalloc.start()
    function(params, **inputs)
    tracemalloc.stop()
    assert function.plan.measured <= function.plan.predicted <= budget


def test_impossible_checkpoints_are_refused() -> None:
    circuit = gg.cells.load("elman")
    for checkpoint in (0, True, "1 GiB", {"every": 0}, {"every": True}, {"steps": 3}):
        with pytest.raises(gg.GraphgradError, match="no budget and no schedule"):
            gg.value_and_grad(circuit, checkpoint=checkpoint)
    with pytest.raises(gg.GraphgradError, match="whole gradient"):
        gg.value_and_grad(circuit, checkpoint=10**6, wrt=["x"])


@pytest.mark.parametrize("order", ["<", ">"])
def test_mapped_files_larger_than_the_budget_stay_on_disk(order: str, tmp_path: Path) -> None:
    """Inputs that are read at other steps, which a program copies, are copied a piece at a time."""
    circuit = gg.parse(
        "x[t]: input(D)\nW: param(D, D)\nU: param(D, D)\n"
        "h[t] = tanh(W @ h[t-1] + U @ x[t-2])\nloss = mean(sum(h[t] * x[t]) for t in steps)\n"
    )
    x = np.random.default_rng(0).standard_normal((30_000, 16))
    np.save(tmp_path / "x.npy", x.astype(order + "f8"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    budget, params = 2**20, circuit.init(0, D=16)
    function = gg.value_and_grad(circuit, checkpoint=budget)
    function(params, x=mapped)  # writes the programs, which take memory as well
    tracemalloc.start()
    loss, grads = function(params, x=mapped)
    tracemalloc.stop()
    assert function.plan.measured <= budget < x.nbytes / 3
    expected, own = gg.value_and_grad(circuit)(params, x=x)
    close(loss, expected)
    close(grads["U"], own["U"])


def test_mapped_tokens_are_checked_without_a_copy(tmp_path: Path) -> None:
    circuit = gg.parse(
        "n[t]: token(N)\nE: param(N)\nh[t] = tanh(h[t-1] + E[n[t]])\n"
        "loss = mean(h[t]**2 for t in steps if t % 2 == 0)\n"
    )
    tokens = np.random.default_rng(0).integers(0, 5, 60_000)
    np.save(tmp_path / "n.npy", tokens)
    mapped = np.load(tmp_path / "n.npy", mmap_mode="r")
    budget, params = 300_000, circuit.init(0, N=5)
    function = gg.value_and_grad(circuit, checkpoint=budget)
    function(params, n=mapped)  # writes the programs, which take memory as well
    tracemalloc.start()
    function(params, n=mapped)
    tracemalloc.stop()
    assert function.plan.measured <= budget < tokens.nbytes
    wrong = tokens.copy()
    wrong[50_000] = 5
    with pytest.raises(gg.DataError, match=r"n\[50000\] = 5 is not a token below"):
        function(params, n=wrong)
