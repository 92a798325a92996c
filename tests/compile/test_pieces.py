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
REFUSED = {
    "bidirectional": "swept backwards",
    "many_to_one": "read at a fixed step",
    "autoregressive": "a condition on the step",
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


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_stream_is_refused_with_the_reason(name: str) -> None:
    circuit, params, inputs = data(name, 5)
    with pytest.raises(gg.GraphgradError, match=REFUSED[name]):
        gg.value_and_grad(circuit)(params, return_state=True, **inputs)
    with pytest.raises(gg.GraphgradError, match=REFUSED[name]):
        gg.value_and_grad(circuit, checkpoint=10**6)


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


def test_a_budget_holds_and_the_prediction_with_it() -> None:
    circuit = gg.cells.load("elman")
    sizes = {"H": 32, "D": 2, "K": 2}
    params, inputs = circuit.init(0, **sizes), circuit.example(1, 4000, **sizes)
    budget = 2**20
    function = gg.value_and_grad(circuit, checkpoint=budget)
    function(params, **{name: value[:100] for name, value in inputs.items()})
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


def test_impossible_checkpoints_are_refused() -> None:
    circuit = gg.cells.load("elman")
    for checkpoint in (0, "1 GiB", {"every": 0}, {"steps": 3}):
        with pytest.raises(gg.GraphgradError, match="no budget and no schedule"):
            gg.value_and_grad(circuit, checkpoint=checkpoint)
    with pytest.raises(gg.GraphgradError, match="whole gradient"):
        gg.value_and_grad(circuit, checkpoint=10**6, wrt=["x"])
    penalised = circuit.extend("cost = loss + sum(W * W)")
    with pytest.raises(gg.GraphgradError, match="sum over the steps"):
        gg.value_and_grad(penalised, "cost", checkpoint=10**6)


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
