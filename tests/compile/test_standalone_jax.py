"""Modules generated for JAX: the same numbers as the library, without the library."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.cli import main
from tests.compile.test_standalone import TRAINABLE

pytestmark = pytest.mark.oracle("jax")


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_module_computes_what_the_library_computes(
    name: str, capsys: pytest.CaptureFixture[str], oracle: Any
) -> None:
    assert main(["code", name, "--backend", "jax"]) == 0
    source = capsys.readouterr().out
    nodes = [*ast.walk(ast.parse(source))]
    imported = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    imported += [str(n.module) for n in nodes if isinstance(n, ast.ImportFrom)]
    assert set(imported) == {"jax", "jax.numpy", "numpy"}
    namespace: dict[str, Any] = {}
    exec(compile(source, name, "exec"), namespace)
    circuit = gg.cells.load(name)
    sizes = dict.fromkeys(circuit.sizes, 2)
    lengths = {"t": 4} if len(circuit.indices) == 1 else {"s": 3, "t": 4}
    params, inputs = circuit.init(0, **sizes), circuit.example(0, lengths, (3,), **sizes)
    with oracle.enable_x64(True):
        function = oracle.jit(
            lambda p, i: namespace["value_and_grad"](p, i, lengths, {**sizes, "": 3})
        )
        loss, grads = function(params, inputs)
    expected, wanted = gg.value_and_grad(circuit)(params, batch="sum", tau=lengths, **inputs)
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    assert grads.keys() == wanted.keys()
    for key, value in wanted.items():
        assert grads[key].shape == value.shape
        assert np.max(np.abs(grads[key] - value)) <= 1e-11 * max(np.max(np.abs(value)), 1e-3)


def test_whole_numbers_are_floats_and_tokens_whole_numbers() -> None:
    from graphgrad.compile.standalone_jax import jax_module_source

    text = "n[t]: token(N)\nE: param(N)\nloss = sum(tanh(E[n[t]]) for t in steps)"
    namespace: dict[str, Any] = {}
    exec(jax_module_source(gg.parse(text)), namespace)
    function, sizes = namespace["value_and_grad"], {"N": 2, "": 1}
    loss, _ = function({"E": np.array([0, 1])}, {"n": np.array([[1]])}, {"t": 1}, sizes)
    assert loss == pytest.approx(np.tanh(1))
    with pytest.raises(ValueError, match="n holds tokens: integers, not float32"):
        function({"E": np.array([0, 1])}, {"n": np.array([[0.5]])}, {"t": 1}, sizes)
