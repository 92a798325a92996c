"""Checkpoints: losses in pieces, schedules with the fewest repetitions, budgets that hold."""

from __future__ import annotations

import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.masked import pays
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


RAGGED = {
    "masked: a penalty": "sum(s[t] for t in steps) - (sum(W * W) - 3 * mean(s[t] for t in steps))",
    "masked: chosen steps": "mean(s[t] for t in steps if t % 5 < 3) - sum(s[t] for t in steps)",
    "masked: the last step": "sum(h[tau] * h[tau]) - 2 * sum(s[t] for t in steps)",
    "by length": "sum(h[tau] * h[tau]) * tau - mean(s[t] for t in steps)",
}
ELSEWHERE = [
    pytest.param(name, backend, marks=pytest.mark.oracle(backend))
    for name in ("masked: the last step", "by length")
    for backend in ("numba", "jax")
]


@pytest.mark.parametrize(("name", "backend"), [*((name, "numpy") for name in RAGGED), *ELSEWHERE])
def test_with_checkpoints_each_example_gets_what_it_gets_alone(name: str, backend: str) -> None:
    cell = CELL.replace(" or t == tau", "")
    if backend == "jax":  # it refuses what knows the number of a step
        cell = cell.replace(" if t % 3 != 1 else h[t-1] / 2 + w * t / 20", "")
    circuit = gg.parse(f"{cell}loss = {RAGGED[name]}\n")
    lengths = np.array([[17, 5, 11], [3, 17, 4]])
    params, inputs = circuit.init(0, H=3, D=2), circuit.example(1, 20, (2, 3), H=3, D=2)
    alone = []
    for at in np.ndindex(lengths.shape):
        own = {key: value[: lengths[at], *at] for key, value in inputs.items()}
        alone.append(gg.value_and_grad(circuit)(params, **own))
    inputs["x"][np.arange(20)[:, None, None] >= lengths] = np.nan  # nothing there is read
    for every in (4, 50) if backend == "numpy" else (4,):
        plan = {"every": every, "snapshots": 2}
        function = gg.value_and_grad(circuit, checkpoint=plan, backend=backend)
        for reduction, count in [("sum", 1), ("mean", 6)]:
            loss, grads = function(params, lengths=lengths, batch=reduction, **inputs)
            close(loss, sum(each for each, _ in alone) / count)
            for key in params:
                close(grads[key], sum(each[key] for _, each in alone) / count)
        assert bool(function.compiled._masked) == name.startswith("masked")


@pytest.mark.parametrize(
    ("backend", "together"),
    [
        ("numpy", True),
        ("numpy", False),
        pytest.param("numba", True, marks=pytest.mark.oracle("numba")),
    ],
)
def test_budgets_hold_for_ragged_batches_of_mapped_files(
    backend: str, together: bool, tmp_path: Path
) -> None:
    end = "" if together else " * tau"
    circuit = gg.parse(
        "x[t]: input(D)\nW: param(D, D)\nU: param(D, D)\n"
        "h[t] = tanh(W @ h[t-1] + U @ x[t-2])\n"
        f"loss = mean(sum(h[t] * x[t]) for t in steps) + sum(h[tau]){end}\n"
    )
    x = np.random.default_rng(0).standard_normal((3000, 2, 2, 64))
    np.save(tmp_path / "x.npy", x)
    mapped, lengths = np.load(tmp_path / "x.npy", mmap_mode="r"), [[3000, 1000], [1000, 2501]]
    assert pays(np.array(lengths))
    params = circuit.init(0, D=64)
    with pytest.raises(gg.GraphgradError, match="too small") as refused:
        gg.value_and_grad(circuit, backend=backend, checkpoint=1)(params, x=mapped, lengths=lengths)
    budget = int(int(refused.value.remedy.split()[1]) * 2)
    function = gg.value_and_grad(circuit, backend=backend, checkpoint=budget)
    function(params, x=mapped, lengths=lengths)  # writes the programs, which take memory as well
    assert bool(function.compiled._masked) == together
    tracemalloc.start()
    loss, grads = function(params, x=mapped, lengths=lengths)
    tracemalloc.stop()
    assert function.plan.predicted / 8 < function.plan.measured
    assert function.plan.measured <= function.plan.predicted <= budget < x.nbytes / 2
    expected, own = gg.value_and_grad(circuit)(params, x=x, lengths=lengths)
    close(loss, expected, 1e-10)
    for key in params:
        close(grads[key], own[key], 1e-10)


def test_tokens_of_ragged_batches_are_looked_at_as_far_as_examples_go() -> None:
    circuit = gg.parse("n[t]: token(3)\nE: param(3)\nh[t] = h[t-1] + E[n[t]]\nloss = h[tau]")
    tokens, lengths = np.full((20, 2, 2), 2), np.array([[3, 20], [5, 6]])
    tokens[np.arange(20)[:, None, None] >= lengths] = -1
    params = circuit.init(0)
    for given in (lengths, np.minimum(lengths, 3)):  # one call, or one for each length
        wanted = gg.value_and_grad(circuit)(params, n=tokens, lengths=given)
        function = gg.value_and_grad(circuit, checkpoint={"every": 4})
        found = function(params, n=tokens, lengths=given)
        close(found[0], wanted[0])
        close(found[1]["E"], wanted[1]["E"])
        wrong = tokens.copy()
        wrong[2, 1, 0] = 3
        with pytest.raises(gg.DataError, match=r"n\[2, 1, 0\] = 3 is not a token below 3"):
            function(params, n=wrong, lengths=given)


def test_with_checkpoints_a_mean_over_no_step_of_an_example_is_refused() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\n"
        "loss = mean(h[t] for t in steps if t > 3)"
    )
    x = np.ones((6, 2))
    for checkpoint in (None, {"every": 2}):
        function = gg.value_and_grad(circuit, checkpoint=checkpoint)
        with pytest.raises(gg.DomainError, match="the condition t > 3 never holds for tau = 3"):
            function({"w": 0.5}, x=x, lengths=[6, 3])


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
