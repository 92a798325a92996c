"""Sequences in pieces: states in and out, checkpoints, where values stop being finite."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.revolve import forward_pieces, revolve
from tests.compile.reference import close, sizes

STREAMS = ["elman", "lstm", "gru", "two_step_scalar", "deep_rnn", "lstm_peephole", "graves"]
STREAMS += ["autoregressive"]  # which has a condition on the step
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
    "a penalty": "sum(s[t] for t in steps) - (sum(W * W) - 3 * mean(s[t] for t in steps)) / 2",
    "the last step": "sum(h[tau] * h[tau]) - 2 * sum(s[t] for t in steps)",
    "only the last step": "sum(h[tau] * h[tau]) * tau",
}
"""Losses of which not all is summed over the steps."""
REFUSED = {
    "bidirectional": "swept backwards",
    "many_to_one": "read at a fixed step",
    "encoder_decoder": "several time indices",
}


def data(name: str, tau: int, batch: tuple[int, ...] = (3,)) -> tuple[gg.Circuit, Any, Any]:
    circuit = gg.cells.load(name)
    steps: Any = tau if len(circuit.indices) == 1 else {"s": tau, "t": tau}
    chosen = sizes(circuit)
    return circuit, circuit.init(0, **chosen), circuit.example(1, steps, batch, **chosen)


@pytest.mark.parametrize("batch", [(), (2, 2)], ids=str)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_the_values_of_the_whole_and_gradients_cut_at_its_pieces(
    name: str, batch: tuple[int, ...]
) -> None:
    circuit, params, inputs = data(name, 11, batch)
    function = gg.value_and_grad(circuit)
    state, loss, grads = None, 0.0, dict.fromkeys(params, 0.0)
    for start in range(0, 11, 4):
        piece = {
            k: v[start : start + 4] if circuit.inputs[k].index else v for k, v in inputs.items()
        }
        steps = min(4, 11 - start)
        part, own, state = function(
            params, state=state, return_state=True, batch="sum", tau=steps, **piece
        )
        loss += part
        grads = {key: grads[key] + own[key] for key in params}
    whole, _ = function(params, batch="sum", tau=11, **inputs)
    close(loss, whole)
    _, cut = gg.value_and_grad(circuit, truncate=gg.chunks(4))(
        params, batch="sum", tau=11, **inputs
    )
    for key in params:
        close(grads[key], cut[key])


def test_the_state_is_the_last_steps() -> None:
    circuit = gg.parse("k: param()\nx[t]: input()\nh[t] = k * h[t-2] + x[t]")
    given = {"k": np.array(0.5), "x": np.arange(6.0)}
    values, state = circuit.compile()(given, return_state=True)
    assert state.keys() == {"h"}
    np.testing.assert_array_equal(state["h"], values["h"][-2:])


def test_a_state_of_another_shape_is_called_by_its_place() -> None:
    function = gg.parse("x[t]: input(H)\nh[t] = h[t-1] / 2 + h[t-2] + x[t]").compile("h")
    for shape in ((2, 2), (2, 3, 1)):
        with pytest.raises(gg.DataError, match=r"^h\[\d\] of the state has shape"):
            function({"x": np.zeros((4, 3))}, state={"h": np.zeros(shape)})


def test_a_state_named_d_leaves_gradients_their_names() -> None:
    """Its value before the first step would be the input `d_0`, which looks like a cotangent."""
    circuit = gg.parse(
        "w: param()\nx[t]: input()\nd[t] = w * d[t-1] + x[t]\nloss = sum(d[t] for t in steps)"
    )
    values = {"w": 0.5, "x": np.ones(2)}
    function = circuit.compile(grad="loss")
    whole, state = function(values, return_state=True)
    piece = function(values, state=state)
    assert piece.keys() == whole.keys() == {"loss", "d_w"}
    close(piece["d_w"], 1.5 + 2.5)  # d[2], and d[3] + w * d[2]


def test_the_number_of_steps_so_far_is_part_of_the_state() -> None:
    circuit = gg.parse("h[t] = h[t-1] + t if t % 4 == 3 else h[t-1] / 2")
    function, state, found = circuit.compile("h"), None, []
    for steps in (3, 1, 5, 2):
        values, state = function({}, tau=steps, state=state, return_state=True)
        found.append(values["h"])
    assert state is not None
    assert state.keys() == {"h", "t"}
    assert state["t"] == 11
    close(np.concatenate(found), function({}, tau=11)["h"])
    with pytest.raises(gg.DataError, match="number of steps t"):
        function({}, tau=2, state={"h": state["h"]})
    with pytest.raises(gg.GraphgradError, match="compile every piece anew"):
        circuit.compile("h", backend="jax")({}, tau=2, return_state=True)
    with pytest.raises(gg.GraphgradError, match="tau is not known before the last piece"):
        gg.parse("h[t] = h[t-1] + 1 / tau").compile("h")({}, tau=2, return_state=True)


@pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("numba", marks=pytest.mark.oracle("numba"))]
)
def test_a_mean_over_chosen_steps_is_zero_in_a_piece_without_one(backend: str) -> None:
    """A loss that leaves out the first steps: states go on, and nothing else counts there."""
    text = (
        "x[t]: input(H)\nW: param(H, H)\nh[t] = tanh(W @ h[t-1] + x[t])\n"
        "loss = {}(sum(h[t]) for t in steps if t > 5)"
    )
    mean, total = (
        gg.value_and_grad(gg.parse(text.format(kind)), backend=backend) for kind in ("mean", "sum")
    )
    params, x = {"W": np.eye(2) / 2}, np.linspace(-1, 1, 48).reshape(12, 2, 2)
    state = None
    for start, count in ((0, 1), (4, 3), (8, 4)):  # in the first piece no step is chosen
        piece = {"state": state, "return_state": True, "x": x[start : start + 4]}
        loss, grads, state = mean(params, **piece)
        wanted, sums, _ = total(params, **piece)
        close(loss, wanted / count)
        close(grads["W"], sums["W"] / count)
        assert (loss == 0) == (start == 0)
    with pytest.raises(gg.DomainError, match="a mean over no step"):
        mean(params, x=x[:4])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_stream_is_refused_with_the_reason(name: str) -> None:
    circuit, params, inputs = data(name, 5)
    with pytest.raises(gg.GraphgradError, match=REFUSED[name]):
        gg.value_and_grad(circuit)(params, return_state=True, **inputs)
    if name != "many_to_one":
        with pytest.raises(gg.GraphgradError, match=REFUSED[name]):
            gg.value_and_grad(circuit, checkpoint=10**6)


@pytest.mark.parametrize("sums", ["a[t] = s + h[t]", "a[t] = mean(x[t] for t in steps) * h[t]"])
def test_a_step_that_needs_a_sum_over_all_steps_is_no_stream(sums: str) -> None:
    circuit = gg.parse(
        f"x[t]: input()\nh[t] = h[t-1] + x[t]\ns = 2 * v\nv = sum(h[t] for t in steps)\n{sums}\n"
    )
    with pytest.raises(gg.GraphgradError, match="a needs a sum over all steps"):
        circuit.compile("a")({"x": np.ones(3)}, return_state=True)


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


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("sum(s[t] for t in steps) ** 2", "is not linear in sums over the steps"),
        ("sum(s[t] for t in steps) * sum(h[tau])", "is not linear in sums over the steps"),
        ("mean(s[t] for t in steps if t > 4)", "is a mean over chosen steps"),
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


def test_a_state_that_does_not_fit_is_refused() -> None:
    circuit, params, inputs = data("elman", 5)
    function = gg.value_and_grad(circuit)
    with pytest.raises(gg.DataError, match="no part of the state"):
        function(params, state={"g": np.zeros((1, 3, 2))}, **inputs)
    with pytest.raises(gg.DataError, match="no 1 steps of h"):
        function(params, state={"h": np.zeros((2, 3, 2))}, **inputs)


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


def test_where_values_stop_being_finite() -> None:
    circuit = gg.parse(
        "w: param()\nx[t]: input()\nh[t] = w * h[t-1] + x[t]\nloss = sum(h[t] for t in steps)"
    )
    function = gg.value_and_grad(circuit)
    params, x = {"w": np.array(1e30)}, np.ones(30)
    function(params, x=x[:9], check_finite=True)
    with pytest.raises(gg.GraphgradError, match=r"h\[12\] is inf: the first value"):
        function(params, x=x, check_finite=True)
    x[17] = np.nan
    with pytest.raises(gg.DataError, match=r"the input x\[17\] is nan"):
        function(params, x=x, check_finite=True)


def test_mapped_files_are_read_in_place_and_never_changed(tmp_path: Path) -> None:
    circuit, params, inputs = data("elman", 40, ())
    mapped = {}
    for name, value in inputs.items():
        np.save(tmp_path / f"{name}.npy", value)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    for options in ({}, {"checkpoint": {"every": 7}}):
        function = gg.value_and_grad(circuit, **options)
        loss, grads = function(params, **mapped)
        expected, own = gg.value_and_grad(circuit)(params, **inputs)
        close(loss, expected)
        close(grads["W"], own["W"])


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


def test_threads_do_not_disturb_each_other() -> None:
    circuit, params, inputs = data("lstm", 30)
    function = gg.value_and_grad(circuit)
    scaled = [{k: v * (1 + n / 10) for k, v in params.items()} for n in range(8)]
    alone = [function(each, **inputs) for each in scaled]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: function(each, **inputs), scaled * 4))
    for position, (loss, grads) in enumerate(together):
        expected, own = alone[position % 8]
        assert loss == expected
        for key in params:
            np.testing.assert_array_equal(grads[key], own[key])


def test_mapped_tokens_are_checked_without_a_copy(tmp_path: Path) -> None:
    circuit = gg.parse(
        "n[t]: token(N)\nE: param(N)\nh[t] = tanh(h[t-1] + E[n[t]])\n"
        "loss = mean(h[t]**2 for t in steps)\n"
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
