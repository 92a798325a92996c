"""What users compile: options and values that cannot be, results of one's own, reductions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.doors import door
from tests.compile.reference import close

BACKENDS = ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))]
RNN = """x[t]: input(H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + x[t])
loss = sum(sum(h[t]) for t in steps)
"""
W = np.array([[0.5, -0.25], [0.125, 0.75]])
X = np.linspace(-1, 1, 24).reshape(3, 4, 2)
Function = Callable[..., Any]


def made(**options: Any) -> Function:
    return gg.value_and_grad(gg.parse(RNN), **options)


# -- what cannot be --------------------------------------------------------------------------------

OPTIONS: list[tuple[dict[str, Any], str]] = [
    *(({"threads": n}, "threads=") for n in (0, -1, 1.5, "2", True, None)),
    *(({"dtype": each}, "no type of real numbers") for each in ("foo", "int32", complex)),
    *(({"dtype": each}, "no type of real numbers") for each in ({"h": 1}, {"h": "f4"})),
    *(({"wrt": each}, "names nothing to differentiate by") for each in (3, np.array(3), [3])),
    ({"backend": np.array(["numpy", "jax"])}, "there is no back end"),
    ({"loss": None}, "is no name"),
    ({"loss": "nope"}, "no nope to differentiate"),
    ({"loss": "nope", "checkpoint": 100}, "no nope to differentiate"),
    ({"loss": "h", "checkpoint": 100}, "is not one number"),
]
CALLS: list[tuple[dict[str, Any], str]] = [
    *(({"state": each}, "a state is a dict") for each in (3, "h", X[:1])),
    ({"state": {"h": [[1], [2, 3]]}}, "the value of h is not an array"),
    *(({"tau": each}, "is not possible") for each in ([3], {"t": [3]}, np.array(3), 0)),
    ({"tau": {"t": 3, 3: 4}}, "3 is not a time index"),
    ({"lengths": [[1], [2, 3]]}, "one whole number for each example"),
    ({"batch": "Mean"}, "batch='Mean' is not possible"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=str)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gg.GraphgradError, match=message) as caught:
        made(**options)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("trunkate", r"did you mean truncate\?"),
        ("jit", "its options are: .*wrt, backend, dtype, threads, truncate, checkpoint"),
        ("lengths", "give lengths= with the data"),
    ],
)
def test_unknown_options_are_refused_in_the_name_of_what_was_called(name: str, remedy: str) -> None:
    for caller, call in (("value_and_grad", made), ("compile", gg.parse(RNN).compile)):
        with pytest.raises(gg.GraphgradError, match=f"{caller} has no option {name}") as caught:
            call(**{name: True})
        assert re.match(remedy, caught.value.remedy or "")
    with pytest.raises(gg.GraphgradError, match="value_and_grad has no option grad"):
        made(grad="loss")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("options", "message"), CALLS, ids=lambda each: str(each)[:40])
def test_impossible_calls_are_refused(options: dict[str, Any], message: str, backend: str) -> None:
    function = made(backend=backend)
    for _ in range(2):  # whatever was called before
        with pytest.raises(gg.GraphgradError, match=message) as caught:
            function({"W": W}, x=X, **options)
        assert caught.value.remedy
        function({"W": W}, x=X)


def test_names_and_sizes_that_cannot_be_are_refused() -> None:
    circuit = gg.parse(RNN)
    with pytest.raises(gg.GraphgradError, match="1 is neither a parameter nor an input"):
        made()({1: 2, "W": W}, x=X)
    with pytest.raises(gg.GraphgradError, match="is no name"):
        circuit.compile(grad=np.array(["loss", "h"]))  # type: ignore[arg-type]
    with pytest.raises(gg.DataError, match="batched=3 names no variables"):
        circuit.compile("h").source_for(3)  # type: ignore[arg-type]
    with pytest.raises(gg.GraphgradError, match="X is not declared") as caught:
        circuit.compile("h").source_for("X")
    assert caught.value.remedy == "did you mean x?"
    for output in (["h"], 3):
        with pytest.raises(gg.GraphgradError, match="is no name"):
            circuit.compile(output)  # type: ignore[arg-type]
    with pytest.raises(gg.GraphgradError, match="the size H ="):
        circuit.compile("h")({"W": W, "x": X}, H=[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "Mean"}, "batch='Mean' is not possible"),
        ({"lengths": np.array([3, 2, 1, 1]), "tau": 3}, "tau= and lengths= are both given"),
        ({"lengths": np.array([3, 2])}, r"lengths= has \(2,\)"),
        ({"state": {}}, "does not go with state="),
        ({"x": None}, "no value for the input x"),
    ],
    ids=str,
)
def test_impossible_calls_with_checkpoints_are_refused(
    options: dict[str, Any], message: str
) -> None:
    given = {"x": X, **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(gg.GraphgradError, match=message):
        made(checkpoint={"every": 2})({"W": W}, **given)


@pytest.mark.parametrize(
    ("truncate", "message", "remedy"),
    [
        (
            gg.chunks(3),
            r"chunks\(3\): no cotangent goes from one chunk",
            "compute 3 steps at a time",
        ),
        (gg.window(3), r"window\(3\): .* needs one for each age", "leave out checkpoint="),
        (3, "truncate", "gg.chunks"),
    ],
    ids=str,
)
def test_truncated_gradients_with_checkpoints_are_refused_with_the_reason(
    truncate: Any, message: str, remedy: str
) -> None:
    with pytest.raises(gg.GraphgradError, match=message) as refused:
        made(checkpoint={"every": 2}, truncate=truncate)
    assert remedy in str(refused.value.remedy)


def test_there_is_no_pure_function_with_checkpoints() -> None:
    with pytest.raises(gg.GraphgradError, match="JAX back end"):
        _ = made(checkpoint={"every": 2}).pure  # type: ignore[attr-defined]


def test_a_function_shows_what_it_takes_and_gives() -> None:
    function = gg.value_and_grad(gg.parse(RNN, name="rnn"))
    assert repr(function) == "<f(params, x=…) -> loss of rnn, gradients by W>"


def test_names_to_differentiate_by_may_come_once() -> None:
    compiled = gg.parse(RNN).compile(grad="loss", wrt=(name for name in ["W"]))
    assert list(compiled({"W": W, "x": X})) == ["loss", "d_W"]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64"])
def test_lengths_of_examples_are_integers_of_any_width(dtype: str) -> None:
    given, lengths = np.ones((3, 130, 2)), 2 + np.arange(130) % 2
    wanted, _ = made()({"W": W}, x=given, lengths=lengths)
    found, _ = made()({"W": W}, x=given, lengths=lengths.astype(dtype))
    assert found == wanted


@pytest.mark.parametrize("backend", BACKENDS)
def test_bytes_may_be_in_any_order(backend: str) -> None:
    function = made(backend=backend)
    wanted, gradients = function({"W": W}, x=X)
    loss, found = function({"W": W.astype(">f8")}, x=X.astype(">f8"))
    assert loss == wanted
    np.testing.assert_array_equal(found["W"], gradients["W"])
    tokens = gg.parse("E: param(N)\nn[t]: token(N)\nloss = sum(E[n[t]] for t in steps)\n")
    looked_up, given = gg.value_and_grad(tokens, backend=backend), np.array([1, 2, 4])
    assert looked_up({"E": np.arange(5.0)}, n=given)[0] == 7
    assert looked_up({"E": np.arange(5.0)}, n=given.astype(">i8"))[0] == 7


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mean_over_no_step_is_refused_with_its_place(backend: str) -> None:
    text = RNN.replace("sum(sum(h[t]) for t in steps)", "mean(sum(h[t]) for t in steps if t > 3)")
    function = gg.value_and_grad(gg.parse(text), backend=backend)
    for options in ({"x": X}, {"x": np.ones((6, 2, 2)), "lengths": [6, 3]}):
        with pytest.raises(gg.DomainError, match=r"line 4:8: a mean over no step: .* tau = 3"):
            function({"W": W}, **options)
    assert np.isfinite(function({"W": W}, x=np.ones((4, 2)))[0])


def test_a_mean_that_no_step_needs_may_be_over_none() -> None:
    circuit = gg.parse(
        "x[t]: input()\nw: param()\n"
        "h[t] = mean(x[t] for t in steps if t > 3) if t > 5 else w * x[t]\n"
        "loss = sum(h[t] for t in steps)"
    )
    given = np.array([1.0, 2.0, 3.0])
    assert circuit.unfold(3).evaluate({"x": given, "w": 2.0})["loss"] == 12
    loss, gradients = gg.value_and_grad(circuit)({"w": np.array(2.0)}, x=given)
    assert (loss, gradients["w"]) == (12, 6)


# -- results ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_result_shares_memory_with_another_or_with_what_was_given(backend: str) -> None:
    circuit = gg.parse(
        "x[t]: input(H)\ns: input(H)\nW: param(H, H)\nb: param(H)\nc: param(H)\nv: param(H)\n"
        "h[t] = tanh(W @ h[t-1] + x[t] + b + c)\nz[t] = h[t]\nP = W.T\n"
        "a[t], e[t] = split(concat(h[t], x[t]), H, H)\n"
        "loss = sum(sum(h[t]) for t in steps) + v @ s"
    )
    values = circuit.init(0, H=2) | circuit.example(1, 3, H=2)
    compiled = circuit.compile(*circuit.variables, grad="loss", backend=backend)
    for _ in range(2):
        results = compiled(values)
        everything = {**results, **values}
        for name, value in results.items():
            assert value.flags.writeable or not value.ndim, name
            for other in everything.keys() - {name}:
                assert not np.shares_memory(value, everything[other]), (name, other)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", ["mean", "sum"])
def test_the_gradient_by_a_number_is_an_array_that_can_be_written_to(
    batch: str, backend: str
) -> None:
    circuit = gg.parse("x[t]: input()\nw: param()\nloss = sum(w * x[t] for t in steps)")
    whole, pieces = (
        gg.value_and_grad(circuit, backend=backend, checkpoint=plan)
        for plan in (None, {"every": 2})
    )
    x = np.ones((3, 4))
    for function, options in ((whole, {}), (whole, {"lengths": [3, 1, 2, 3]}), (pieces, {})):
        _, gradients = function({"w": 0.5}, x=x, batch=batch, **options)
        gradients["w"][...] = 7
        assert gradients["w"] == 7


PENALTY = RNN.replace("sum(sum(h[t]) for t in steps)", "sum(W * W)")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_the_same_for_every_example_counts_for_each(backend: str) -> None:
    function = gg.value_and_grad(gg.parse(PENALTY), backend=backend)
    one, count = np.sum(W * W), X.shape[1]
    for options in ({}, {"lengths": [3, 2, 2, 1]}):
        assert function({"W": W}, x=X, **options)[0] == pytest.approx(one)
        loss, gradients = function({"W": W}, x=X, batch="sum", **options)
        assert loss == pytest.approx(count * one)
        close(gradients["W"], 2 * count * W)


@pytest.mark.parametrize(
    "source",
    [
        "graphgrad.compile.standalone:module_source",
        pytest.param(
            "graphgrad.compile.standalone_numba:numba_module_source",
            marks=pytest.mark.oracle("numba"),
        ),
        pytest.param(
            "graphgrad.compile.standalone_jax:jax_module_source", marks=pytest.mark.oracle("jax")
        ),
    ],
    ids=["numpy", "numba", "jax"],
)
def test_in_modules_that_stand_alone_too(source: str) -> None:
    space: dict[str, Any] = {}
    exec(door(source)(gg.parse(PENALTY)), space)
    count = X.shape[1]
    loss, gradients = space["value_and_grad"]({"W": W}, {"x": X}, {"t": 3}, {"H": 2, "": count})
    assert loss == pytest.approx(count * np.sum(W * W))
    close(gradients["W"], 2 * count * W, 1e-6)


@pytest.mark.parametrize("name", ["batch", "return_state", "check_finite", "self", "values"])
def test_inputs_named_like_options_go_into_the_first_dict(name: str) -> None:
    circuit = gg.parse(
        f"{name}[t]: input()\nw: param()\nh[t] = tanh(w * h[t-1] + {name}[t])\nloss = sum(h[tau])"
    )
    function = gg.value_and_grad(circuit)
    loss, _ = function({"w": W[0, 0], name: X[:, 0]})
    if name in ("self", "values"):  # no options: these can be given by name as well
        assert function({"w": W[0, 0]}, **{name: X[:, 0]})[0] == loss
    else:
        with pytest.raises(gg.GraphgradError, match=f"{name}=array.* is not possible") as caught:
            function({"w": W[0, 0]}, **{name: X[:, 0]})
        assert "first dict" in str(caught.value.remedy)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 2)])
def test_gradients_by_inputs_have_the_shape_of_the_inputs(
    backend: str, batch: tuple[int, ...]
) -> None:
    """Also where they are the same for every example."""
    circuit = gg.parse(
        "x[t]: input()\nq: input(H)\nw: param()\nloss = sum(x[t] for t in steps) + w**2 * sum(q)"
    )
    function = gg.value_and_grad(circuit, wrt=["x", "q"], backend=backend)
    for _ in range(2):  # the second call may go another way
        _, grads = function({"w": 2.0}, x=np.ones((3, *batch)), q=np.ones((*batch, 2)))
        np.testing.assert_array_equal(grads["x"], np.ones((3, *batch)))
        np.testing.assert_array_equal(grads["q"], np.full((*batch, 2), 4.0))
        grads["x"] += 1  # memory of its own


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_by_an_input_that_nothing_reads_leaves_other_zeros_alone(backend: str) -> None:
    """Zeros of each example (d_q) are not those that are the same for all (in d_a)."""
    circuit = gg.parse(
        "q: input(H)\nx[t]: input(H)\nu: param(H)\na[0] = tanh(ones(H))\n"
        "v[t] = cos(v[t+1]) + u\na[t] = v[t+1] / (1 + a[t-2] ** 2) + u\n"
        "loss = 3 * mean(sum(a[t+1]) for t in steps)"
    )
    with pytest.warns(UserWarning, match="q"):
        function = gg.value_and_grad(circuit, backend=backend, wrt=["q", "u"])
    _, gradients = function({"u": W[0]}, x=X, q=X[0], batch="sum")
    _, wanted = gg.value_and_grad(circuit, wrt=["u"])({"u": W[0]}, x=X, q=X[0], batch="sum")
    close(gradients["u"], wanted["u"])
    assert gradients["q"].shape == X[0].shape
    assert not gradients["q"].any()
