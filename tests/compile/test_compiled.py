"""Compiled circuits against the reference interpreter, on every circuit of the gallery."""

from __future__ import annotations

import copy
import linecache
import pickle
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.functions import compile_circuit
from tests.compile.reference import (
    accurate,
    cast,
    close,
    expectation,
    lengths,
    over_examples,
    sizes,
)

BATCHES = [(), (4,), (2, 3)]
BACKENDS = ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))]


@pytest.fixture
def nothing_is_zero_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill new arrays with what must not be read."""

    def filled(shape: Any, dtype: Any = float, order: str = "C") -> Any:
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 99, dtype, order)

    monkeypatch.setattr(np, "empty", filled)


@pytest.mark.usefixtures("nothing_is_zero_by_chance")
@pytest.mark.parametrize("name", gg.cells.names())
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_equal_the_reference(
    name: str, batch: tuple[int, ...], dtype: str
) -> None:
    circuit = gg.cells.load(name)
    chosen = sizes(circuit)
    loss = "loss" if "loss" in circuit.equations and circuit.params else None
    compiled = compile_circuit(circuit, tuple(circuit.variables), grad=loss, dtype=dtype)
    for steps in (1, 2, 3, 6):
        tau = lengths(circuit, steps)
        values = circuit.init(3, **chosen) | circuit.example(2, tau, batch, **chosen)
        values = cast(values, dtype)
        results = compiled(values, tau=tau, batch="sum", **chosen)
        again = compiled(values, tau=tau, batch="sum", **chosen)
        expected = expectation(circuit, values, tau, dtype)
        for key, value in results.items():
            np.testing.assert_array_equal(value, again[key])
            gradient = key in compiled.gradients.values()
            accurate(value, over_examples(expected[key], value, batch, gradient=gradient))


def test_value_and_grad_reduces_over_the_batch() -> None:
    circuit = gg.cells.load("elman")
    chosen = {"H": 3, "D": 2, "K": 4}
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 5, (6,), **chosen)
    function = gg.value_and_grad(circuit)
    mean, mean_grads = function(params, **inputs)
    total, total_grads = function(params, batch="sum", **inputs)
    close(total, 6 * mean, 1e-12)
    for name in params:
        assert total_grads[name].shape == params[name].shape
        close(total_grads[name], 6 * mean_grads[name], 1e-12)


def test_a_penalty_counts_once_an_example() -> None:
    circuit = gg.parse(
        "x[t]: input(D)\nW: param(H, D)\n"
        "loss = sum(squared_error(W @ x[t], ones(H)) for t in steps) + sum(W * W)\n"
    )
    params, inputs = circuit.init(0, H=2, D=3), circuit.example(1, 4, (5,), H=2, D=3)
    _, grads = gg.value_and_grad(circuit)(params, **inputs)
    alone = [
        gg.value_and_grad(circuit)(params, x=inputs["x"][:, example])[1]["W"]
        for example in range(5)
    ]
    close(grads["W"], np.mean(alone, axis=0), 1e-12)


@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional", "many_to_one"])
def test_a_ragged_batch_gives_each_example_what_it_gets_alone(name: str) -> None:
    circuit = gg.cells.load(name)
    chosen = sizes(circuit)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 6, (5,), **chosen)
    steps = np.array([6, 2, 4, 2, 1])
    function = gg.value_and_grad(circuit)
    loss, grads = function(params, lengths=steps, batch="sum", **inputs)
    losses, total = 0.0, dict.fromkeys(params, 0.0)
    for example, length in enumerate(steps):
        single = {
            key: value[:length, example] if circuit.inputs[key].index else value[example]
            for key, value in inputs.items()
        }
        alone, own = function(params, **single)
        losses += alone
        total = {key: total[key] + own[key] for key in params}
    close(loss, losses, 1e-12)
    for key in params:
        close(grads[key], total[key], 1e-12)


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "hidden_markov_model", "hinge"])
def test_float32_in_float32_out(name: str) -> None:
    circuit = gg.cells.load(name)
    chosen = sizes(circuit)
    values = circuit.init(0, **chosen) | circuit.example(1, 4, (3,), **chosen)
    single = cast(values, np.float32)
    compiled = compile_circuit(circuit, (), grad="loss")
    for key, value in compiled(single).items():
        assert value.dtype == np.float32, key
        close(value, compiled(values)[key], 1e-4)


def test_choices_between_numbers_have_the_type_of_the_data() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\np[t] = 1 if t > 2 else 2\nq[t] = where(x[t] > 0, 1, 2)\n"
        "h[t] = h[t-1] * w + p[t] * q[t] * x[t]\nloss = sum(h[t] for t in steps)\n"
    )
    values = {"w": np.float32(0.5), "x": np.linspace(-1, 1, 5, dtype=np.float32)}
    compiled = circuit.compile("p", "q", "h", grad="loss")
    assert {value.dtype for value in compiled(values).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.oracle("jax"))])
def test_numbers_of_steps_have_the_type_of_the_data(backend: str) -> None:
    circuit = gg.parse(
        "u: param(3)\nw: param(3)\nm[t] = max(u)\nh[t] = mean(u if t != 1 else w for t in steps)\n"
        "loss = mean(m[1] for t in steps) + sum(sum(h[t]) for t in steps)\n"
    )
    values = {"u": np.arange(3, dtype=np.float32), "w": np.ones(3, np.float32)}
    found = circuit.compile("m", "h", grad="loss", backend=backend)(values, tau=4)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    close(found["d_u"], np.array([3, 3, 4]), 1e-6)


def test_inputs_are_never_changed_and_calls_do_not_share_results() -> None:
    circuit = gg.cells.load("lstm")
    chosen = sizes(circuit)
    values = circuit.init(0, **chosen) | circuit.example(1, 4, (3,), **chosen)
    before = {key: value.copy() for key, value in values.items()}
    compiled = compile_circuit(circuit, ("h",), grad="loss")
    first = compiled(values)
    kept = {key: value.copy() for key, value in first.items()}
    compiled({key: value + (key in circuit.params) for key, value in values.items()})
    for key, value in before.items():
        np.testing.assert_array_equal(values[key], value)
    for key, value in kept.items():
        np.testing.assert_array_equal(first[key], value)


def test_gradients_by_inputs() -> None:
    circuit = gg.cells.load("elman")
    chosen = {"H": 3, "D": 2, "K": 4}
    values = circuit.init(0, **chosen) | circuit.example(1, 5, (2,), **chosen)
    compiled = compile_circuit(circuit, (), grad="loss", wrt=["x"])
    expected = circuit.unfold(5).grad(wrt=["x"]).evaluate(values)["d_x"]
    close(compiled(values)["d_x"], expected, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_by_a_matrix_of_each_example(backend: str) -> None:
    """Its sum over steps reads cotangents of all steps."""
    circuit = gg.parse(
        "x[t]: input(H)\nM: input(H, H)\nloss = sum(squared_error(M @ x[t], x[t]) for t in steps)"
    )
    values = circuit.example(1, 5, (3,), H=2)
    compiled = compile_circuit(circuit, (), grad="loss", wrt=["M"], backend=backend)
    expected = circuit.unfold(5).grad(wrt=["M"]).evaluate(values)["d_M"]
    close(compiled(values)["d_M"], expected, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [(), (4,)], ids=str)
def test_tables_that_change_with_the_steps(batch: tuple[int, ...], backend: str) -> None:
    circuit = gg.parse(
        "k[t]: token(N)\ni: token(N)\nx[t]: input(N)\nv: param(N)\nP: param(N, H)\n"
        "a[t] = log(softmax(x[t] * v)[k[t]])\nb[t] = (P if t % 2 == 0 else 2 * P)[k[t]]\n"
        "M[t] = tanh(M[t-1] + P)\nc[t] = M[t][i]\n"
        "loss = sum(a[t] + sum(b[t]**2) + sum(c[t]**2) for t in steps)"
    )
    values = circuit.init(0, N=3, H=2) | circuit.example(1, 3, batch, N=3, H=2)
    found = circuit.compile("a", "b", "c", grad="loss", backend=backend)(values, batch="sum")
    wanted = circuit.unfold(3).grad().evaluate(values)
    for key, value in found.items():
        gradient = key.startswith("d_")
        close(value, over_examples(wanted[key], value, batch, gradient=gradient), 1e-12)


def test_names_of_helpers_can_be_used_in_a_circuit() -> None:
    circuit = gg.parse(
        "B: size(2)\nnp[t]: input(B)\nk: param(B, B)\nops: param(B)\n"
        "v1[t] = tanh(k @ v1[t-1] + np[t] + ops)\nlen[t] = v1[t] * v1[t]\n"
        "values = sum(len[t] for t in steps)\nloss = sum(values)\n"
    )
    values = circuit.init(0) | circuit.example(0, 3)
    results = compile_circuit(circuit, tuple(circuit.variables), grad="loss")(values)
    expected = circuit.unfold(3).grad().evaluate(values)
    for key, value in results.items():
        close(value, expected[key], 1e-12)


def test_the_source_is_what_runs_and_a_debugger_finds_it() -> None:
    function = gg.value_and_grad(gg.cells.load("elman"))
    assert "for h_before, h_t in zip(h[:tau], h[1:tau + 1]):" in function.source
    assert "d_W = outer_sum(d_a[:tau], h[:tau])" in function.source
    files = [name for name in linecache.cache if name.startswith("<graphgrad elman")]
    assert any("".join(linecache.getlines(name)) == function.source for name in files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((4, 3, 9))}, "x has shape"),
        ({"y": np.ones((4, 3, 2))}, "distribution"),
        ({"W": np.zeros((3, 2))}, "W has shape"),
        ({"x": "text"}, "not real numbers"),
        ({"Wx": np.zeros(2)}, "neither a parameter nor an input"),
    ],
)
def test_wrong_data_is_refused(change: dict[str, object], message: str) -> None:
    circuit = gg.cells.load("elman")
    chosen = {"H": 3, "D": 2, "K": 2}
    values = circuit.init(0, **chosen) | circuit.example(1, 4, (3,), **chosen) | change
    with pytest.raises(gg.DataError, match=message):
        compile_circuit(circuit, (), grad="loss")(values)


def test_unknown_options_are_refused() -> None:
    circuit = gg.cells.load("elman")
    with pytest.raises(gg.GraphgradError, match="no back end"):
        circuit.compile(backend="fortran")
    with pytest.raises(gg.UnknownNameError):
        circuit.compile("hh")


def test_lengths_of_the_steps_must_show() -> None:
    circuit = gg.cells.load("fixed_point")
    compiled = circuit.compile("h")
    with pytest.raises(gg.DataError, match="does not show"):
        compiled(circuit.example(0, 1))
    assert compiled(circuit.example(0, 1), tau=50)["h"][-1] == pytest.approx(0.5708793946)


def test_functions_are_pickled_and_copied_by_what_makes_them() -> None:
    circuit = gg.cells.load("elman")
    chosen = sizes(circuit)
    params, inputs = circuit.init(0, **chosen), circuit.example(1, 4, **chosen)
    compiled, function = circuit.compile("h", grad="loss"), gg.value_and_grad(circuit)
    pieces = circuit.compile(grad="loss", checkpoint={"every": 2})
    wanted = compiled(params | inputs)
    for again in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert again(params | inputs).keys() == wanted.keys()
        np.testing.assert_array_equal(again(params | inputs)["d_W"], wanted["d_W"])
    again = pickle.loads(pickle.dumps(pieces))
    assert again.checkpoint == {"every": 2}
    np.testing.assert_array_equal(again(params | inputs)["d_W"], pieces(params | inputs)["d_W"])
    loss, grads = pickle.loads(pickle.dumps(function))(params, **inputs)
    np.testing.assert_array_equal(grads["W"], wanted["d_W"])
    assert loss == wanted["loss"]
