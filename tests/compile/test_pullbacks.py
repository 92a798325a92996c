"""Gradients of what is no single number, weighed by a seed: against the sum of the products."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile import ragged
from graphgrad.doors import door
from tests.compile.reference import close, weighed

BACKENDS = ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))]
LAYER = """x[t]: input(D)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
n[t] = sum(h[t] ** 2)
P[t] = outer(h[t], x[t])
y = sigmoid(h[tau] + h[1])
"""
SHAPES = {"D": 2, "H": 3}


def layer(loss: str, batch: tuple[int, ...], steps: int = 4) -> tuple[gg.Circuit, Any, Any, Any]:
    """A circuit, its parameters, inputs with the seed of a loss, and what each example gives."""
    circuit = gg.parse(LAYER, name="layer")
    summed = weighed(circuit, loss)
    params, inputs = circuit.init(0, **SHAPES), summed.example(1, steps, batch, **SHAPES)
    dag = summed.unfold(steps, **SHAPES).grad("weighed", wrt=["W", "U", "x"])
    return circuit, params, inputs, dag.evaluate({**params, **inputs})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("loss", ["h", "n", "P", "y"])
def test_what_is_no_single_number_is_weighed_by_its_seed(
    loss: str, batch: tuple[int, ...], backend: str
) -> None:
    circuit, params, inputs, wanted = layer(loss, batch)
    function = gg.value_and_grad(circuit, loss, wrt=["W", "U", "x"], backend=backend)
    axes = tuple(range(len(batch)))
    for reduction, share in (("sum", 1), ("mean", int(np.prod(batch)))):
        value, gradients = function(params, batch=reduction, **inputs)
        close(value, wanted[loss], 1e-11)
        for name in ("W", "U"):  # the interpreter gives them for each example
            close(gradients[name], wanted[f"d_{name}"].sum(axis=axes) / share, 1e-11)
        close(gradients["x"], wanted["d_x"], 1e-11)
    found = circuit.compile("n", grad=loss, backend=backend)(params | inputs, batch="sum")
    assert {*found} == {"n", loss, "d_W", "d_U"}
    close(found["d_W"], wanted["d_W"].sum(axis=axes), 1e-11)


def test_a_seed_without_steps_may_be_the_same_for_all_examples() -> None:
    circuit, params, inputs, _ = layer("y", (3,))
    function, one = gg.value_and_grad(circuit, "y"), inputs["seed_y"][0]
    _, alike = function(params, x=inputs["x"], seed_y=one)
    _, repeated = function(params, x=inputs["x"], seed_y=np.stack([one] * 3))
    close(alike["W"], repeated["W"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_seed_is_an_input_also_where_no_gradient_needs_it(backend: str) -> None:
    circuit = gg.parse("x[t]: input()\nseed_h[t]: input()\nw: param()\nh[t] = x[t] + seed_h[t]")
    with pytest.warns(UserWarning, match="h does not depend on w"):
        function = gg.value_and_grad(circuit, "h", backend=backend)
    ones = np.ones((3, 2))
    value, gradients = function({"w": 2.0}, x=ones, seed_h=ones, seed_h_=ones)
    np.testing.assert_array_equal(value, 2 * ones)
    assert gradients == {"w": 0}
    with pytest.raises(gg.DataError, match="no value for the input seed_h_, the cotangent of h"):
        function({"w": 2.0}, x=ones, seed_h=ones)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_without_the_seed_says_what_it_is(backend: str) -> None:
    circuit, params, inputs, _ = layer("h", (2,))
    function = gg.value_and_grad(circuit, "h", backend=backend)
    assert repr(function) == "<f(params, x=…, seed_h=…) -> h of layer, gradients by W, U>"
    calls: list[dict[str, Any]] = [{}, {"lengths": [4, 2]}, {"check_finite": True}]
    for options in calls:
        with pytest.raises(gg.DataError, match="no value for the input seed_h") as caught:
            function(params, x=inputs["x"], **options)
        assert "give seed_h as an array (tau, *batch, H)" in str(caught.value.remedy)
    with pytest.raises(gg.DataError, match="seed_h has shape"):
        function(params, x=inputs["x"], seed_h=inputs["seed_h"][..., :2])


def test_checkpoints_of_what_is_no_single_number_have_a_remedy_that_works() -> None:
    circuit, params, inputs, wanted = layer("h", (2,))
    with pytest.raises(gg.GradientError, match="h is not one number") as caught:
        circuit.compile(grad="h", checkpoint={"every": 2})
    total = str(caught.value.remedy).partition("take the gradient of ")[2]
    again = gg.parse(LAYER.partition("P[t]")[0]).extend(f"seed_h[t]: input(H)\n{total}")
    function = gg.value_and_grad(again, "total", checkpoint={"every": 2})
    _, gradients = function(params, batch="sum", **inputs)
    close(gradients["W"], wanted["d_W"].sum(axis=0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_pieces_of_a_stream_take_their_steps_of_the_seed(backend: str) -> None:
    """Gradients that stop where a piece begins are those of chunks."""
    circuit = gg.parse(LAYER.partition("n[t]")[0])
    params, inputs = circuit.init(0, **SHAPES), weighed(circuit, "h").example(1, 6, (2,), **SHAPES)
    whole = gg.value_and_grad(circuit, "h", truncate=gg.chunks(3), backend=backend)
    value, wanted = whole(params, batch="sum", **inputs)
    function, state = gg.value_and_grad(circuit, "h", backend=backend), None
    total = {"W": 0.0, "U": 0.0}
    for part in (slice(0, 3), slice(3, 6)):
        data = {name: each[part] for name, each in inputs.items()}
        found, gradients, state = function(
            params, state=state, return_state=True, batch="sum", **data
        )
        close(found, value[part])
        total = {name: total[name] + gradients[name] for name in total}
    for name in total:
        close(total[name], wanted[name])


def test_a_pullback_is_pickled_by_what_makes_it() -> None:
    circuit, params, inputs, _ = layer("h", (2,))
    function = gg.value_and_grad(circuit, "h")
    _, wanted = function(params, **inputs)
    _, found = pickle.loads(pickle.dumps(function))(params, **inputs)
    np.testing.assert_array_equal(found["W"], wanted["W"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("loss", ["h", "P", "y"])
def test_examples_of_several_lengths_get_what_they_get_alone(
    loss: str, together: bool, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragged, "pays", lambda _: together)
    circuit, params, inputs, _ = layer(loss, (3,))
    summed, lengths = weighed(circuit, loss), [4, 2, 3]
    steps = [n for n, each in summed.inputs.items() if each.index]
    alone = []
    for k, tau in enumerate(lengths):
        example = {n: v[:tau, k] if n in steps else v[k] for n, v in inputs.items()}
        dag = summed.unfold(tau, **SHAPES).grad("weighed", wrt=["W", "U", "x"])
        alone.append(dag.evaluate({**params, **example}))
    for name in steps:  # nothing behind the end of an example is read
        inputs[name][np.arange(4)[:, None] >= lengths] = np.nan
    function = gg.value_and_grad(circuit, loss, wrt=["W", "U", "x"], backend=backend)
    value, gradients = function(params, lengths=lengths, batch="sum", **inputs)
    for name in ("W", "U"):
        close(gradients[name], sum(each[f"d_{name}"] for each in alone), 1e-11)
    for k, tau in enumerate(lengths):
        close(gradients["x"][:tau, k], alone[k]["d_x"], 1e-11)
        assert not gradients["x"][tau:, k].any()
        close(value[k] if loss == "y" else value[:tau, k], alone[k][loss], 1e-11)
        assert loss == "y" or not value[tau:, k].any()


@pytest.mark.oracle("jax")
@pytest.mark.parametrize("loss", ["h", "y"])
def test_the_pure_function_is_the_pullback_that_jax_makes_of_the_forward_pass(
    loss: str, oracle: Any
) -> None:
    circuit, params, inputs, _ = layer(loss, (3,))
    seed = inputs.pop(f"seed_{loss}")
    function = gg.value_and_grad(circuit, loss, backend="jax").pure
    with oracle.enable_x64(True):
        value, gradients = oracle.jit(lambda p, s: function(p, batch="sum", **inputs, **s))(
            params, {f"seed_{loss}": seed}
        )
        found, pullback = oracle.vjp(
            lambda p: function(p, **inputs, **{f"seed_{loss}": seed})[0], params
        )
        wanted = {n: np.asarray(g) for n, g in pullback(oracle.numpy.asarray(seed))[0].items()}
        _, mean = function(params, **inputs, **{f"seed_{loss}": seed})
    close(value, found)
    for name in ("W", "U"):
        close(gradients[name], wanted[name])
        close(mean[name], wanted[name] / 3)
    with pytest.raises(gg.DataError, match=f"the cotangent of {loss}"):
        function(params, **inputs)


@pytest.mark.oracle("numba")
def test_threads_divide_the_examples_of_a_pullback(monkeypatch: pytest.MonkeyPatch) -> None:
    run_numba = pytest.importorskip("graphgrad.compile.run_numba")
    monkeypatch.setattr(run_numba, "THREADS_PAY", 1)
    circuit, params, inputs, wanted = layer("h", (5,))
    function = gg.value_and_grad(circuit, "h", backend="numba", threads=2, wrt=["W", "x"])
    for _ in range(2):  # the second call goes the short way
        value, gradients = function(params, batch="sum", **inputs)
        close(value, wanted["h"], 1e-11)
        close(gradients["W"], wanted["d_W"].sum(axis=0), 1e-11)
        close(gradients["x"], wanted["d_x"], 1e-11)


MODULES = [
    "graphgrad.compile.standalone:module_source",
    pytest.param(
        "graphgrad.compile.standalone_numba:numba_module_source", marks=pytest.mark.oracle("numba")
    ),
    pytest.param(
        "graphgrad.compile.standalone_jax:jax_module_source", marks=pytest.mark.oracle("jax")
    ),
]


@pytest.mark.parametrize("source", MODULES, ids=["numpy", "numba", "jax"])
@pytest.mark.parametrize("loss", ["h", "n", "P", "y"])
def test_modules_that_stand_alone_take_the_seed_with_the_inputs(loss: str, source: str) -> None:
    circuit, params, inputs, wanted = layer(loss, (3,))
    space: dict[str, Any] = {}
    exec(door(source)(circuit, loss), space)
    sizes = {**SHAPES, "": 3}
    value, gradients = space["value_and_grad"](params, inputs, {"t": 4}, sizes)
    tolerance = 1e-6 if "jax" in source else 1e-11  # JAX computes in float32 unless told
    close(value, wanted[loss], tolerance)
    for name in ("W", "U"):
        close(gradients[name], wanted[f"d_{name}"].sum(axis=0), tolerance)
    seed = inputs.pop(f"seed_{loss}")
    with pytest.raises(ValueError, match=f"no value for seed_{loss}"):
        space["value_and_grad"](params, inputs, {"t": 4}, sizes)
    with pytest.raises(ValueError, match=f"seed_{loss} has the shape"):
        space["value_and_grad"](params, {**inputs, f"seed_{loss}": seed[1:]}, {"t": 4}, sizes)
