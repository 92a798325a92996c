"""Reverse mode against forward mode, complex step, exact differences and hand-worked gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad.errors import DomainError
from graphgrad.notation.parse import parse
from tests.naive import Dual, EmptyMean, Naive, lifted
from tests.strategies import SIZES, Drawn, circuits


def forward_mode(drawn: Drawn, values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The gradient of the loss by dual numbers through the naive evaluation."""
    circuit = parse(drawn.text())
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    loss = Dual.of(Naive(circuit, drawn.steps, SIZES, duals).value("loss"))
    found = {}
    for name in names:
        gradient = np.empty(np.shape(values[name]), object)
        for position in np.ndindex(*gradient.shape):
            gradient[position] = loss.parts.get((name, *position), 0)
        found[name] = gradient
    return found


@given(circuits("rational"), st.integers(0, 3))
def test_gradient_against_forward_mode_exactly(drawn: Drawn, seed: int) -> None:
    circuit = parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        expected = forward_mode(drawn, values, names)
    except EmptyMean:
        with pytest.raises(DomainError):
            circuit.unfold(drawn.steps)
        return
    found = circuit.unfold(drawn.steps, **SIZES).grad(wrt=names).evaluate(values)
    for name in names:
        assert np.all(np.asarray(found["d_" + name]) == expected[name]), name
