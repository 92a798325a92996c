"""Generated modules: the same numbers as the library, without the library."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.standalone import module_source

TRAINABLE = [
    name
    for name in gg.cells.names()
    if gg.cells.load(name).params and "loss" in gg.cells.load(name).equations
]


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_module_computes_what_the_library_computes(name: str) -> None:
    circuit = gg.cells.load(name)
    source = module_source(circuit)
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    assert [alias.name for node in imported for alias in node.names] == ["numpy"]
    namespace: dict[str, Any] = {}
    exec(compile(source, name, "exec"), namespace)
    sizes = dict.fromkeys(circuit.sizes, 2)
    lengths = {"t": 4} if len(circuit.indices) == 1 else {"s": 3, "t": 4}
    params, inputs = circuit.init(0, **sizes), circuit.example(0, lengths, (3,), **sizes)
    loss, grads = namespace["value_and_grad"](params, inputs, lengths, {**sizes, "": 3})
    expected, wanted = gg.value_and_grad(circuit)(params, batch="sum", tau=lengths, **inputs)
    assert loss == expected
    assert grads.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_array_equal(grads[key], value)


def test_without_inputs_there_are_no_examples_to_sum_over() -> None:
    circuit = gg.parse("w: param()\nh[0] = 1\nh[t] = w * h[t-1]\nloss = h[tau]")
    namespace: dict[str, Any] = {}
    exec(compile(module_source(circuit), "powers", "exec"), namespace)
    for examples in (1, 3):
        found = namespace["value_and_grad"]({"w": np.array(0.5)}, {}, {"t": 2}, {"": examples})
        assert found == (0.25, {"w": 1.0})


WITHOUT_PARAMETERS = [
    ("x[t]: input(2)\nh[t] = tanh(h[t-1] / 2 + x[t])\nloss = sum(sum(h[t]) for t in steps)", "f4"),
    ("x[t]: token(3)\nh[t] = sum(onehot(x[t])) / 2\nloss = sum(h[t] for t in steps)", "i8"),
    ("h[t] = h[t-1] / 2 + 1\nloss = sum(h[t] for t in steps)", "f8"),
]
"""Circuits, and the type of their data."""


def check_without_parameters(source: str, text: str, dtype: str) -> None:
    """Assert that a module computes what the library does, in the type of the inputs."""
    circuit = gg.parse(text)
    namespace: dict[str, Any] = {}
    exec(compile(source, "no_parameters", "exec"), namespace)
    inputs = {name: v.astype(dtype) for name, v in circuit.example(1, 4, (2,)).items()}
    loss, grads = namespace["value_and_grad"]({}, inputs, {"t": 4}, {"": 2})
    wanted, _ = gg.value_and_grad(circuit)({}, tau=4, batch="sum", **inputs)
    assert (loss.dtype, grads) == (wanted.dtype, {})
    np.testing.assert_allclose(loss, wanted, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@pytest.mark.parametrize(("text", "dtype"), WITHOUT_PARAMETERS)
def test_without_parameters_the_inputs_say_the_type(text: str, dtype: str) -> None:
    check_without_parameters(module_source(gg.parse(text)), text, dtype)


def test_a_hostile_title_stays_in_the_docstring() -> None:
    circuit = gg.parse(
        '# """ + __import__("os") + """ \\N{BULLET} \\\n'
        "w: param()\nh[t] = w * h[t-1] + w\nloss = sum(h[t] for t in steps)\n"
    )
    tree = ast.parse(module_source(circuit))
    assert circuit.title in (ast.get_docstring(tree, clean=False) or "")
    assert not any(isinstance(node, ast.Call) and not node.args for node in tree.body)


def values_and_grads(text: str) -> Any:
    """The function of the module of a circuit."""
    namespace: dict[str, Any] = {}
    exec(compile(module_source(gg.parse(text)), "module", "exec"), namespace)
    return namespace["value_and_grad"]


BIASES = (
    "x[t]: input()\nb: param()\nc: param()\nw: param()\nh[t] = tanh(h[t-1] + b + c + x[t])\n"
    "loss = sum(h[t]**2 for t in steps) + 0 * w"
)


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
def test_gradients_are_arrays_of_their_own() -> None:
    params = {name: np.float32(0.5) for name in "bcw"}
    data = {"x": np.ones((2, 3), "f4")}
    _, grads = values_and_grads(BIASES)(params, data, {"t": 2}, {"": 3})
    assert [each.dtype for each in grads.values()] == [np.float32] * 3
    assert not np.may_share_memory(grads["b"], grads["c"])


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
def test_whole_numbers_are_computed_with_as_the_library_does() -> None:
    params, x = {"b": 1, "c": 0, "w": 2}, np.array([[3], [250]], np.uint8)
    loss, grads = values_and_grads(BIASES)(params, {"x": x}, {"t": 2}, {"": 1})
    expected, wanted = gg.value_and_grad(gg.parse(BIASES))(params, x=x)
    assert (loss, grads) == (expected, wanted)


@pytest.mark.parametrize("tokens", [[0.5], [-1], [3], [True]])
def test_tokens_that_are_none_are_refused(tokens: list[Any]) -> None:
    function = values_and_grads(
        "n[t]: token(N+1)\nE: param(N+1)\nloss = sum(E[n[t]] for t in steps)"
    )
    data = {"n": np.array([tokens])}
    with pytest.raises(ValueError, match="n holds tokens: integers from 0 to 2"):
        function({"E": np.ones(3)}, data, {"t": 1}, {"N": 2, "": 1})
    assert function({"E": np.ones(3)}, {"n": [[2]]}, {"t": 1}, {"N": 2, "": 1})[0] == 1


TARGETS = """n[t]: token(N)
y[t]: distribution(N)
E: param(N, N)
loss = sum(cross_entropy(softmax(E[n[t]]), y[t]) + at(E[n[t]], 1) for t in steps)
"""
PARAMS = {"E": np.eye(3)}
DATA = {"n": np.array([[0, 2], [1, 1]]), "y": np.full((2, 2, 3), 1 / 3)}
LENGTHS, SIZES = {"t": 2}, {"N": 3, "": 2}
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"E": np.eye(4)}, r"E has the shape \(4, 4\), not \(3, 3\)"),
    ({"E": 0.5}, r"E has the shape \(\), not \(3, 3\)"),
    ({"n": np.array([[0, 1]])}, r"n has the shape \(1, 2\), not \(2, 2\)"),
    ({"y": np.full((2, 1, 3), 1 / 3)}, r"y has the shape \(2, 1, 3\), not \(2, 2, 3\)"),
    ({"y": None}, "no value for y"),
    ({"z": np.ones(3)}, "unknown: z"),
    ({"E": np.eye(3) + 1j}, "E holds something else than real numbers"),
    ({"n": np.array([[0, 2], [1, 3]])}, "n holds tokens: integers from 0 to 2"),
    ({"n": np.array([[0, 2], [1, -1]])}, "n holds tokens: integers from 0 to 2"),
    ({"n": np.array([[0, 2], [1, 2**32]])}, "n holds tokens: integers from 0 to 2"),
    ({"n": np.array([[0.0, 2], [1, 1]])}, "n holds tokens: integers from 0 to 2"),
    ({"y": np.full((2, 2, 3), 1 / 2)}, "y holds distributions: .* sum 1"),
    ({"y": np.array([-1, 1, 1]) * np.ones((2, 2, 1))}, "y holds distributions: entries of 0 or"),
]


def check_door(function: Any, changes: dict[str, Any], message: str) -> None:
    """Assert that values that do not fit are refused in these words, while right ones pass."""
    function(PARAMS, DATA, LENGTHS, SIZES)
    given = {name: value for name, value in (PARAMS | DATA | changes).items() if value is not None}
    params = {"E": given.pop("E")}
    with pytest.raises(ValueError, match=message):
        function(params, given, LENGTHS, SIZES)


@pytest.mark.parametrize(("changes", "message"), IMPOSSIBLE, ids=lambda each: str(each)[:30])
def test_arrays_that_do_not_fit_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    check_door(values_and_grads(TARGETS), changes, message)


def test_lengths_and_sizes_that_cannot_be_are_refused() -> None:
    function = values_and_grads(TARGETS)
    with pytest.raises(ValueError, match="lengths and sizes are 1 or more"):
        function(PARAMS, DATA, {"t": 0}, SIZES)
    small = {"n": DATA["n"] * 0, "y": np.ones((2, 2, 1))}
    with pytest.raises(ValueError, match="there is no component 1 of 1"):
        function({"E": np.eye(1)}, small, LENGTHS, {"N": 1, "": 2})
