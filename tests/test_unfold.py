"""Unfolding against a naive evaluation of the equations, and the shape of the unfolded graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphgrad.errors import DomainError
from graphgrad.notation.parse import parse
from tests.naive import EmptyMean, Naive
from tests.strategies import SIZES, Drawn, circuits


@given(circuits("rational"), st.integers(0, 3))
def test_every_variable_at_every_step_against_the_definition(drawn: Drawn, seed: int) -> None:
    circuit = parse(drawn.text())
    values = drawn.values(seed)
    naive = Naive(circuit, drawn.steps, SIZES, values)
    try:
        expected = {name: naive.stacked(name) for name in circuit.equations}
    except EmptyMean:
        with pytest.raises(DomainError, match="mean over no step"):
            circuit.unfold(drawn.steps)
        return
    found = circuit.unfold(drawn.steps, **SIZES).evaluate(values)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.shape(found[name]) == value.shape, name
        assert np.all(np.asarray(found[name]) == value), name
