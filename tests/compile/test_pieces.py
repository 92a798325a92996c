"""Sequences in pieces: states in and out, files as inputs, where values stop being finite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import graphgrad as gg
from tests.compile.reference import STREAMS, close, data

REFUSED = {
    "bidirectional": "swept backwards",
    "many_to_one": "read at a fixed step",
    "encoder_decoder": "several time indices",
}


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


@pytest.mark.parametrize(
    "backend",
    [
        "numpy",
        *(pytest.param(name, marks=pytest.mark.oracle(name)) for name in ("numba", "jax")),
    ],
)
@pytest.mark.parametrize("batch", [(), (2, 2)], ids=str)
def test_a_first_piece_may_be_shorter_than_the_state(batch: tuple[int, ...], backend: str) -> None:
    """What the state has from before the first step: boundary values, for all examples or each."""
    circuit = gg.parse(
        "x[t]: input(D)\nh0: input(H)\nW: param(H, H)\nU: param(H, D)\nM: param(H, H)\n"
        "h[0] = h0\nh[-1] = tanh(M @ h0)\nx[-1] = ones(D) / 2\nP[0] = M\n"
        "P[t] = outer(h[t], h[t])\n"
        "h[t] = tanh(W @ h[t-3] + U @ x[t-2] + P[t-2] @ h[t-1] - h[t-2])\n"
        "loss = sum(sum(h[t]) for t in steps)"
    )
    function = circuit.compile("h", grad="loss", truncate=gg.chunks(1), backend=backend)
    params = circuit.init(0, H=3, D=2)
    x, h0 = (circuit.example(1, 5, batch, H=3, D=2)[name] for name in ("x", "h0"))
    h0 = h0[0, 0] if batch else h0
    whole = function({**params, "x": x, "h0": h0})
    state, steps, grad = None, [], 0.0
    for start in range(5):
        values = {**params, "x": x[start : start + 1], "h0": h0}
        piece, state = function(values, state=state, return_state=True)
        steps.append(piece["h"])
        grad = grad + piece["d_W"]
    close(np.concatenate(steps), whole["h"])
    close(grad, whole["d_W"])


def test_a_first_piece_without_the_tokens_before_it_is_refused() -> None:
    circuit = gg.parse("x[t]: token(3)\nE: param(3)\nx[0] = 1\nx[-1] = 2\ny[t] = E[x[t-2]]\n")
    values = {"E": np.arange(3.0), "x": np.array([0, 1])}
    _, state = circuit.compile("y")(values, return_state=True)
    assert state["x"].tolist() == [0, 1]
    values["x"] = values["x"][:1]
    with pytest.raises(gg.DataError, match="has 1 steps, its state 2 tokens") as caught:
        circuit.compile("y")(values, return_state=True)
    assert caught.value.remedy == "start with at least 2 steps"


def test_a_state_that_does_not_fit_is_refused() -> None:
    circuit, params, inputs = data("elman", 5)
    function = gg.value_and_grad(circuit)
    with pytest.raises(gg.DataError, match="no part of the state"):
        function(params, state={"g": np.zeros((1, 3, 2))}, **inputs)
    with pytest.raises(gg.DataError, match="no 1 steps of h"):
        function(params, state={"h": np.zeros((2, 3, 2))}, **inputs)


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
