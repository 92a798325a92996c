"""Compiled functions of generated circuits against the reference interpreter, batches included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.compile.functions import compile_circuit
from graphgrad.dims import Token
from graphgrad.errors import DomainError
from tests.compile.reference import ULPS, cast
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits


def as_floats(values: dict[str, Any]) -> dict[str, Any]:
    """The values as arrays of floats (tokens as they are), small enough for long chains."""
    return {
        name: np.asarray(value)
        if np.asarray(value).dtype.kind in "iu"
        else np.asarray(value, float) / 4
        for name, value in values.items()
    }


def tokens(circuit: gg.Circuit) -> set[str]:
    return {name for name, given in circuit.inputs.items() if isinstance(given.type, Token)}


def close(actual: Any, expected: Any, scale: float) -> None:
    """Assert that arrays agree to ULPS of the largest number in the computation."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.max(np.abs(actual - expected), initial=0.0) <= ULPS * 2.0**-52 * scale


def reference(circuit: gg.Circuit, drawn: Drawn, values: dict[str, Any]) -> dict[str, Any]:
    """What the interpreter computes in higher precision: every variable, and the gradients."""
    try:
        dag = circuit.unfold(drawn.steps, **SIZES).grad()
    except DomainError:  # a mean over no step
        assume(False)
    found = dag.evaluate(cast(values, np.longdouble))
    assume(
        all(
            np.isfinite(each).all() and np.abs(each).max(initial=0) < 1e6 for each in found.values()
        )
    )
    return found


@settings(max_examples=15)
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.build.GradientWarning")
@given(circuits("smooth", wide=True), st.integers(0, 3))
def test_values_and_gradients_of_generated_circuits(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    one, two = (as_floats(drawn.values(each)) for each in (seed, seed + 1))
    values = [one, {name: two[name] if name in circuit.inputs else one[name] for name in one}]
    expected = [reference(circuit, drawn, each) for each in values]
    names = tuple(circuit.variables)
    compiled = compile_circuit(circuit, names, grad="loss")
    scale = max(np.abs(each).max(initial=1.0) for found in expected for each in found.values())

    alone = compiled(one, tau=drawn.steps, **SIZES)
    for key in (*names, *compiled.gradients.values()):
        close(alone[key], expected[0][key], scale)

    batch = dict(one)
    for name, declared in circuit.inputs.items():
        batch[name] = np.stack(
            [each[name] for each in values], axis=int(declared.index is not None)
        )
    if not circuit.inputs:
        return
    together = compiled(batch, tau=drawn.steps, batch="sum", **SIZES)
    for key in names:
        axis = int(circuit.variables[key].index is not None)
        if np.ndim(together[key]) == np.ndim(expected[0][key]):  # the same for all examples
            close(together[key], expected[0][key], scale)
        else:
            close(together[key], np.stack([each[key] for each in expected], axis=axis), scale)
    for key in compiled.gradients.values():
        close(together[key], expected[0][key] + expected[1][key], scale)
