"""What a call is told of its data: sizes that nothing shows, and data that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DataError

STEADY = "h[t]: state(H)\nh[t] = h[t-1] + 1\nloss = sum(sum(h[t]) for t in steps)"
COMPONENT = "x[t]: input(H)\nw: param()\nloss = sum(w * at(x[t], 3) for t in steps)"
TOKENS = "n[t]: token(N)\nw: param()\nh[t] = w * h[t-1] + 1\nloss = sum(h[t] for t in steps)"
ELMAN = "x[t]: input(H)\nW: param(H, H)\nh[t] = tanh(W @ h[t-1] + x[t])\nloss = sum(h[tau])"


def test_a_size_that_nothing_shows_is_given_or_the_default() -> None:
    assert gg.parse(STEADY).compile("loss")({}, tau=3, H=2)["loss"] == 12
    assert gg.parse("H: size(4)\n" + STEADY).compile("loss")({}, tau=3)["loss"] == 24


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({}, "the size H has no number"),
        ({"H": 2, "Q": 3}, "Q is not declared"),
        ({"H": -2}, "the size H = -2 is not possible"),
        ({"H": 2.5}, "the size H = 2.5 is not possible"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(gg.GraphgradError, match=message):
        gg.parse(STEADY).compile("loss")({}, tau=3, **sizes)


BACK_ENDS = [
    "numpy", *(pytest.param(name, marks=pytest.mark.oracle(name)) for name in ("numba", "jax")),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACK_ENDS)
def test_a_size_that_nothing_shows_goes_with_the_inputs(backend: str) -> None:
    """The remedy of the error holds for a loss and its gradients as well."""
    circuit = gg.parse("w: param()\nx[t]: input()\n" + STEADY.replace("+ 1", "+ w * x[t]"))
    function = gg.value_and_grad(circuit, backend=backend)
    ways = [function, function.pure] if backend == "jax" else [function]
    for way in ways:
        with pytest.raises(DataError, match="the size H has no number"):
            way({"w": 1.0}, x=np.ones(3))
        for size in (2, 4):
            loss, grads = way({"w": 1.0}, x=np.ones(3), H=size)
            assert (loss, grads["w"]) == (6 * size, 6 * size)
        with pytest.raises(DataError, match="the size H = 0 is not possible"):
            way({"w": 1.0}, x=np.ones(3), H=0)
    for options in ({"lengths": [3, 1]}, {"return_state": True}, {"check_finite": True}):
        found = function({"w": 1.0}, x=np.ones((3, 2)), batch="sum", H=2, **options)
        assert found[0] == (14 if "lengths" in options else 24)


@pytest.mark.parametrize("backend", BACK_ENDS)
def test_tokens_that_nothing_reads_need_no_size(backend: str) -> None:
    values = {"n": np.array([1, 7]), "w": np.array(3.0)}
    found = gg.parse(TOKENS).compile(grad="loss", backend=backend)(values)
    assert (found["loss"], found["d_w"]) == (5, 1)


@pytest.mark.parametrize(("dtype", "size"), [("u1", 300), ("i1", 200), ("u8", 5)])
@pytest.mark.parametrize("backend", BACK_ENDS)
def test_tokens_may_be_of_a_type_that_ends_before_they_do(
    backend: str, dtype: str, size: int
) -> None:
    """Nothing is counted in the type of the tokens: bytes are there for more than 256 of them."""
    circuit = gg.parse(
        "n[t]: token(N)\nE: param(N)\nM: param(N, N)\n"
        "loss = sum(E @ onehot(n[t]) + softmax_cross_entropy(M[n[t]], n[t]) for t in steps)"
    )
    function, params = gg.value_and_grad(circuit, backend=backend), circuit.init(0, N=size)
    tokens = np.array([[1, 4], [0, 3], [2, 2]])
    (loss, grads), (same, own) = (function(params, n=n) for n in (tokens, tokens.astype(dtype)))
    assert loss == same
    for name, value in grads.items():
        np.testing.assert_array_equal(own[name], value)


def test_a_component_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match="there is no component 3: H = 2"):
        gg.parse(COMPONENT).compile("loss")({"x": np.ones((2, 2)), "w": np.array(1.0)})


@pytest.mark.parametrize("backend", BACK_ENDS)
def test_kinds_of_arrays(backend: str) -> None:
    circuit = gg.parse(ELMAN)
    function = circuit.compile(grad="loss", backend=backend)
    values = circuit.init(0, H=2)
    x = np.ones((3, 2))
    wanted = function(values | {"x": x})["d_W"]
    np.testing.assert_array_equal(function(values | {"x": np.asmatrix(x)})["d_W"], wanted)
    with pytest.raises(DataError, match="x is a masked array"):
        function(values | {"x": np.ma.masked_greater(x, 0)})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", pytest.param("jax", marks=pytest.mark.oracle("jax"))])
def test_a_gradient_that_is_a_plain_number_has_the_dtype_of_the_data(
    backend: str, dtype: str
) -> None:
    circuit = gg.parse("x[t]: input()\nw: param()\nloss = 2 * w + x[tau]")
    values = {"x": np.ones(3, dtype), "w": np.array(1, dtype)}
    assert circuit.compile(grad="loss", backend=backend)(values)["d_w"].dtype == dtype


@pytest.mark.parametrize("backend", BACK_ENDS)
def test_functions_of_the_number_of_steps_have_the_dtype_of_the_data(backend: str) -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\na[t] = minimum(tau - t, cos(tau / 2))\n"
        "b = where(x[tau] >= tanh(tau), 1, tau)\n"
        "g[t] = w\ng[tau+1] = x[1]\ne[t] = g[t+1]\nc = relu(g[0]) if tau > 3 else 0\n"
        "d[t] = sigmoid_binary_cross_entropy(1, x[t+1]) if tau > 5 and t > 2 else 1\n"
        "loss = sum(w * a[t] * x[t] * d[t] * e[t] for t in steps) * b + c"
    )
    values = {"x": np.ones((3, 2), np.float32), "w": np.array(1, np.float32)}
    found = circuit.compile("a", "b", "c", "d", "loss", grad="loss", backend=backend)(values)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("backend", BACK_ENDS)
def test_values_that_do_not_come_by_name_are_refused(backend: str) -> None:
    circuit = gg.parse(ELMAN)
    x, function = np.ones((3, 2)), gg.value_and_grad(circuit, backend=backend)
    for again in (False, True):
        for values in (None, [x], x):
            with pytest.raises(DataError, match="values by name are needed"):
                function(values, x=x)  # type: ignore[arg-type]
            with pytest.raises(DataError, match="values by name are needed"):
                function.compiled(values)
        if not again:
            function(circuit.init(0, H=2), x=x)


def test_lengths_are_given_once() -> None:
    circuit = gg.parse(ELMAN)
    given = circuit.init(0, H=2) | {"x": np.ones((3, 2, 2))}
    with pytest.raises(DataError, match="both given"):
        circuit.compile("loss")(given, tau=3, lengths=[3, 2])


@pytest.mark.parametrize(
    ("wrt", "wanted"),
    [("W_rec", ["W_rec"]), (iter("b"), ["b"]), ((), []), (None, ["W_rec", "b"])],
)
def test_gradients_by_some_parameters(wrt: Any, wanted: list[str]) -> None:
    circuit = gg.parse(
        ELMAN.replace("W", "W_rec").replace("+ x[t]", "+ x[t] + b") + "\nb: param(H)"
    )
    function = gg.value_and_grad(circuit, wrt=wrt)
    _, gradients = function(circuit.init(0, H=2), x=np.ones((3, 2)))
    assert list(gradients) == wanted
