"""Modules generated for JAX: the same numbers as the library, without the library."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.compile.standalone_jax import jax_module_source
from tests.compile.test_standalone import (
    DATA,
    IMPOSSIBLE,
    LENGTHS,
    PARAMS,
    SIZES,
    TARGETS,
    TRAINABLE,
    WITHOUT_PARAMETERS,
    check_door,
    check_without_parameters,
)

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
    text = "n[t]: token(N)\nE: param(N)\nloss = sum(tanh(E[n[t]]) for t in steps)"
    namespace: dict[str, Any] = {}
    exec(jax_module_source(gg.parse(text)), namespace)
    function, sizes = namespace["value_and_grad"], {"N": 2, "": 1}
    loss, _ = function({"E": np.array([0, 1])}, {"n": np.array([[1]])}, {"t": 1}, sizes)
    assert loss == pytest.approx(np.tanh(1))
    with pytest.raises(ValueError, match="n holds tokens: integers from 0 to 1"):
        function({"E": np.array([0, 1])}, {"n": np.array([[0.5]])}, {"t": 1}, sizes)


def module(text: str) -> Any:
    """The function of the module of a circuit."""
    namespace: dict[str, Any] = {}
    exec(jax_module_source(gg.parse(text)), namespace)
    return namespace["value_and_grad"]


@pytest.mark.parametrize(("changes", "message"), IMPOSSIBLE, ids=lambda each: str(each)[:30])
def test_arrays_that_do_not_fit_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    check_door(module(TARGETS), changes, message)


NUMBERS = [*IMPOSSIBLE[7:10], *IMPOSSIBLE[11:]]
"""Those that only the numbers show, not their types."""


@pytest.mark.parametrize(("changes", "message"), NUMBERS, ids=lambda each: str(each)[:30])
def test_where_jax_traces_them_impossible_inputs_make_results_nan(
    changes: dict[str, Any], message: str, oracle: Any
) -> None:
    function = oracle.jit(lambda p, i: module(TARGETS)(p, i, LENGTHS, SIZES))
    with oracle.enable_x64(True):
        loss, grads = function(PARAMS, DATA)
        assert np.isfinite(loss)
        assert np.isfinite(grads["E"]).all()
        loss, grads = function(PARAMS, DATA | changes)
    assert np.isnan(loss), message
    assert np.isnan(grads["E"]).all()


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@pytest.mark.parametrize(("text", "dtype"), WITHOUT_PARAMETERS)
def test_without_parameters_the_inputs_say_the_type(text: str, dtype: str, oracle: Any) -> None:
    with oracle.enable_x64(True):
        check_without_parameters(jax_module_source(gg.parse(text)), text, dtype)
