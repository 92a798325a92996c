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
