"""Ragged batches: each example gets what it gets alone, in one call or in one for each length."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.masked import masked, pays
from graphgrad.errors import DataError
from tests.compile.reference import cast, close, sizes

BACKENDS = ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))]
STEPS = np.array([5, 2, 4, 2, 1])
CELLS = [
    name
    for name in gg.cells.names()
    if len(gg.cells.load(name).indices) == 1
    and any(given.index for given in gg.cells.load(name).inputs.values())
]
BY_LENGTH = {"bidirectional"}
"""Cells whose steps depend on later ones."""


@pytest.mark.parametrize("name", CELLS)
def test_each_example_gets_what_it_gets_alone(name: str) -> None:
    circuit = gg.cells.load(name)
    assert (masked(circuit) is None) == (name in BY_LENGTH)
    chosen = sizes(circuit)
    loss = "loss" if "loss" in circuit.equations and circuit.params else None
    function = circuit.compile(*circuit.variables, grad=loss)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 5, (5,), **chosen)
    alone = []
    for example, length in enumerate(STEPS):
        single = {
            key: value[:length, example] if circuit.inputs[key].index else value[example]
            for key, value in inputs.items()
        }
        alone.append(function(params | single))
    for key, value in inputs.items():  # nothing behind the end of an example is read
        if circuit.inputs[key].index and value.dtype.kind == "f":
            value[np.arange(5)[:, None] >= STEPS] = np.nan
    assert pays(STEPS)
    for key, value in function(params | inputs, lengths=STEPS, batch="sum").items():
        if key in function.gradients.values():
            close(value, sum(each[key] for each in alone))
            continue
        for example, length in enumerate(STEPS):
            if circuit.variables[key].index is None:
                close(value[example], alone[example][key])
            else:
                close(value[:length, example], alone[example][key])
                assert not value[length:, example].any()


def test_one_long_example_among_many_short_ones_is_run_by_itself() -> None:
    assert not pays(np.array([1000] + [10] * 50))
    assert not pays(np.array([7, 7, 7]))
    assert pays(np.array([7, 7, 8]))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ["elman", "lstm", "hidden_markov_model", "bidirectional"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lengths_have_as_many_axes_as_the_batch(backend: str, name: str, reduction: str) -> None:
    circuit = gg.cells.load(name)
    lengths = np.array([[4, 2, 3], [1, 4, 2]])
    chosen = sizes(circuit)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 5, (2, 3), **chosen)
    function = circuit.compile(*circuit.variables, grad="loss", backend=backend)
    found = function(params | inputs, lengths=lengths, batch=reduction)
    loss, grads = gg.value_and_grad(circuit, backend=backend)(
        params, lengths=lengths, batch=reduction, **inputs
    )
    examples = list(np.ndindex(lengths.shape))
    alone = {}
    for at in examples:
        own = {key: value[: lengths[at], *at] for key, value in inputs.items()}
        alone[at] = circuit.compile(*circuit.variables, grad="loss")(params | own)
        for key in circuit.variables:
            if circuit.variables[key].index is None:
                close(found[key][at], alone[at][key])
            else:
                assert found[key].shape[:3] == (4, 2, 3)
                close(found[key][: lengths[at], *at], alone[at][key])
                assert not found[key][lengths[at] :, *at].any()
    count = len(examples) if reduction == "mean" else 1
    close(loss, sum(alone[at]["loss"] for at in examples) / count)
    for key in params:
        close(grads[key], sum(alone[at][f"d_{key}"] for at in examples) / count)
        close(found[f"d_{key}"], grads[key])


def test_with_several_axes_inputs_have_gradients_for_each_example() -> None:
    circuit = gg.parse(
        "x[t]: input(H)\ns: input()\nn[t]: token(3)\nE: param(3, H)\n"
        "h[t] = tanh(h[t-1] / 2 + s * E[n[t]] * x[t])\nloss = mean(h[t] @ h[t] for t in steps)\n"
    )
    for lengths in (np.array([[4, 2], [4, 3]]), np.array([[1, 20, 1], [2, 1, 1]])):
        assert pays(lengths) == (lengths.max() == 4)  # one call, or one for each length
        params, inputs = circuit.init(0, H=2), circuit.example(1, 20, lengths.shape, H=2)
        function = gg.value_and_grad(circuit, wrt=["E", "x", "s"])
        _, grads = function(params, lengths=lengths, batch="sum", **inputs)
        total = np.zeros_like(params["E"])
        for at in np.ndindex(lengths.shape):
            steps = lengths[at]
            own = {key: inputs[key][:steps, *at] for key in ("x", "n")}
            _, alone = function(params, s=inputs["s"][at], **own)
            close(grads["x"][:steps, *at], alone["x"])
            assert not grads["x"][steps:, *at].any()
            close(grads["s"][at], alone["s"])
            total += alone["E"]
        close(grads["E"], total)


def test_single_precision_stays() -> None:
    circuit = gg.cells.load("gru")
    chosen = sizes(circuit)
    values = cast(circuit.init(0, **chosen), np.float32)
    data = cast(circuit.example(1, 5, (5,), **chosen), np.float32)
    loss, grads = gg.value_and_grad(circuit)(values, lengths=STEPS, **data)
    assert loss.dtype == np.float32
    assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}


def test_means_and_last_steps_are_those_of_each_example() -> None:
    circuit = gg.parse(
        "x[t]: input(H)\nw: param(H)\nh[0] = w\n"
        "h[t] = tanh(w * h[t-1] + x[t]) if t % 2 == 1 else h[t-1]\n"
        "m = mean(sum(h[t]) for t in steps if t % 2 == 1)\n"
        "loss = m * sum(h[tau] * h[1]) + mean(h[t] @ x[t] for t in steps)\n"
    )
    assert masked(circuit) is not None
    params, inputs = circuit.init(0, H=3), circuit.example(1, 5, (5,), H=3)
    function = gg.value_and_grad(circuit)
    loss, grads = function(params, lengths=STEPS, batch="sum", **inputs)
    alone = [function(params, x=inputs["x"][:n, k]) for k, n in enumerate(STEPS)]
    close(loss, sum(each for each, _ in alone))
    close(grads["w"], sum(each["w"] for _, each in alone))


def test_a_step_that_knows_the_length_is_run_by_length() -> None:
    for text in ("h[t] = x[t] / tau", "h[t] = x[t] + x[tau-1]", "h[t] = x[t] if t < tau else 0"):
        assert masked(gg.parse(f"x[t]: input()\n{text}\nloss = sum(h[t] for t in steps)")) is None


def test_impossible_lengths_are_refused() -> None:
    static = gg.parse(
        "s: input()\nw: param()\nh[t] = w * h[t-1] + s\nloss = sum(h[t] for t in steps)"
    )
    indexed = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = h[tau]")
    w = np.array(0.5)
    for circuit, values, steps, message in [
        (static, {"s": np.ones(2)}, [0, 3], "a length of 0 is not possible"),
        (static, {"s": np.ones(0)}, np.zeros(0, int), "one whole number for each example"),
        (indexed, {"x": np.ones((3, 2))}, [1, 4], "a length of 4 does not fit x's 3 steps"),
        (indexed, {"x": np.ones((3, 2, 5))}, [3, 3], r"x has batch axes \(2, 5\), lengths= has"),
        (
            indexed,
            {"x": np.ones((3, 2))},
            [[3, 3]],
            r"x has batch axes \(2,\), lengths= has \(1, 2\)",
        ),
        (indexed, {"x": np.ones((3, 2, 2))}, [[3], [1, 2]], "one whole number for each example"),
    ]:
        with pytest.raises(DataError, match=message):
            circuit.compile(grad="loss")({"w": w, **values}, lengths=steps)


@pytest.mark.parametrize("lengths", [[1, 20, 1, 1, 2, 1], [4, 4, 3, 4, 4, 4]])
def test_an_impossible_token_is_named_by_its_place_in_the_data(lengths: list[int]) -> None:
    circuit = gg.parse("n[t]: token(3)\nE: param(3)\nh[t] = h[t-1] + E[n[t]]\nloss = h[tau]")
    tokens = np.zeros((20, 6), int)
    tokens[1, 4] = 7
    function, params = gg.value_and_grad(circuit), circuit.init(0)
    with pytest.raises(DataError, match=r"n\[1, 4\] = 7 is not a token below 3"):
        function(params, n=tokens, lengths=lengths)
    with pytest.raises(DataError, match=r"n\[1, 1, 1\] = 7 is not a token below 3"):
        function(params, n=tokens.reshape(20, 2, 3), lengths=np.reshape(lengths, (2, 3)))


def test_every_indexed_input_has_an_axis_of_examples() -> None:
    circuit = gg.parse(
        "x[t]: input()\nu[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t] * u[t]\n"
        "loss = sum(h[t] for t in steps)"
    )
    function = gg.value_and_grad(circuit)
    with pytest.raises(gg.DataError, match=r"u has no batch axes: its shape is \(3,\)"):
        function({"w": np.array(0.5)}, x=np.ones((3, 2)), u=np.ones(3), lengths=[3, 2])


def test_what_overflows_behind_the_end_of_an_example_does_not_count() -> None:
    circuit = gg.parse(
        "x[t]: input(H)\nW: param(H, H)\nh[t] = relu(W @ h[t-1] + x[t])\n"
        "loss = sum(sum(h[t]) for t in steps)\n"
    )
    values = {"W": np.eye(2, dtype=np.float32) * np.float32(1e15), "x": np.zeros((5, 2, 2), "f4")}
    values["x"][:2, 0] = 1
    function = circuit.compile(grad="loss")
    alone = function({**values, "x": values["x"][:2, 0]})["d_W"]
    assert np.isfinite(alone).all()
    assert alone.any()
    close(function(values, lengths=[2, 5], batch="sum")["d_W"], alone)


def test_what_stands_behind_the_end_of_an_example_need_not_be_finite() -> None:
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = h[tau]**2")
    function, x, lengths = gg.value_and_grad(circuit), np.ones((4, 3)), [3, 1, 2]
    wanted = function({"w": 0.5}, x=x, lengths=lengths)
    x[np.arange(4)[:, None] >= lengths] = np.nan
    assert function({"w": 0.5}, x=x, lengths=lengths, check_finite=True) == wanted
    x[0, 1] = np.inf
    with pytest.raises(DataError, match=r"the input x\[0, 1\] is inf"):
        function({"w": 0.5}, x=x, lengths=lengths, check_finite=True)
    with pytest.raises(DataError, match=r"the input x\[0, 1, 0\] is inf"):
        function({"w": 0.5}, x=x[..., None], lengths=[[3], [1], [2]], check_finite=True)
