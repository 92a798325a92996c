"""Modules generated for Numba: the same numbers as the library, without the library."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.compile.standalone_numba import numba_module_source
from tests.compile.test_standalone import (
    IMPOSSIBLE,
    TARGETS,
    WITHOUT_PARAMETERS,
    check_door,
    check_without_parameters,
)

TRAINABLE = [
    name
    for name in gg.cells.names()
    if gg.cells.load(name).params and "loss" in gg.cells.load(name).equations
]


def check(name: str, source: str) -> None:
    circuit = gg.cells.load(name)
    namespace: dict[str, Any] = {}
    exec(compile(source, name, "exec"), namespace)
    sizes = dict.fromkeys(circuit.sizes, 2)
    lengths = {"t": 4} if len(circuit.indices) == 1 else {"s": 3, "t": 4}
    params, inputs = circuit.init(0, **sizes), circuit.example(0, lengths, (3,), **sizes)
    loss, grads = namespace["value_and_grad"](params, inputs, lengths, {**sizes, "": 3})
    expected, wanted = gg.value_and_grad(circuit)(params, batch="sum", tau=lengths, **inputs)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert grads.keys() == wanted.keys()
    for key, value in wanted.items():
        assert grads[key].shape == value.shape
        assert np.max(np.abs(grads[key] - value)) <= 1e-11 * max(np.max(np.abs(value)), 1e-3)


STAND_IN = "njit = lambda **options: lambda function: function"


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_module_computes_what_the_library_computes(name: str) -> None:
    source = numba_module_source(gg.cells.load(name))
    imported = [
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    modules = [n.module for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    assert (imported, modules) == (["numpy"], ["numba"])
    check(name, source.replace("from numba import njit", STAND_IN))


def test_whole_numbers_are_floats_and_tokens_whole_numbers() -> None:
    text = "n[t]: token(N)\nE: param(N)\nloss = sum(tanh(E[n[t]]) for t in steps)"
    source = numba_module_source(gg.parse(text)).replace("from numba import njit", STAND_IN)
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    function, sizes = namespace["value_and_grad"], {"N": 2, "": 1}
    loss, _ = function({"E": np.array([0, 1])}, {"n": np.array([[1]])}, {"t": 1}, sizes)
    assert loss == pytest.approx(np.tanh(1))
    with pytest.raises(ValueError, match="n holds tokens: integers from 0 to 1"):
        function({"E": np.array([0, 1])}, {"n": np.array([[0.5]])}, {"t": 1}, sizes)


@pytest.mark.oracle("numba")
def test_the_module_compiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["code", "elman", "--backend", "numba"]) == 0
    check("elman", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["work", "results", "arrays", "numbers", "named", "gradients"])
def test_circuits_may_have_the_names_of_the_module(name: str) -> None:
    text = f"t: steps({name})\nx[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\n"
    lengths = gg.parse(f"{text}loss = sum(h[t]**2 for t in steps)")
    losses = gg.parse(f"{text.replace(name, 'n')}{name} = sum(h[t]**2 for t in steps)")
    for circuit, loss in ((lengths, "loss"), (losses, name)):
        source = numba_module_source(circuit, loss).replace("from numba import njit", STAND_IN)
        namespace: dict[str, Any] = {}
        exec(source, namespace)
        params, data = {"w": np.array(0.5)}, {"x": np.ones((2, 1))}
        found = namespace["value_and_grad"](params, data, {"t": 2}, {"": 1})
        assert found == (3.25, {"w": 3.0})


@pytest.mark.parametrize(("changes", "message"), IMPOSSIBLE, ids=lambda each: str(each)[:30])
def test_arrays_that_do_not_fit_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    namespace: dict[str, Any] = {}
    source = numba_module_source(gg.parse(TARGETS))
    exec(source.replace("from numba import njit", STAND_IN), namespace)
    check_door(namespace["value_and_grad"], changes, message)


@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@pytest.mark.parametrize(("text", "dtype"), WITHOUT_PARAMETERS)
def test_without_parameters_the_inputs_say_the_type(text: str, dtype: str) -> None:
    plain = numba_module_source(gg.parse(text)).replace(
        "from numba import njit", "njit = lambda **_: lambda made: made"
    )
    check_without_parameters(plain, text, dtype)
