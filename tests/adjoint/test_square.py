"""The adjoint of generated circuits, and of every circuit of the gallery, on the square."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.errors import DomainError
from tests.adjoint.promises import keep
from tests.adjoint.square import SIZES as LENGTHS
from tests.adjoint.square import closed, quietly, square
from tests.drawn import SIZES, Drawn
from tests.naive import DualAlgebra, lifted
from tests.strategies import circuits

GALLERY = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).equations]


@given(circuits("rational", wide=True), st.integers(0, 3))
def test_rational_circuits_exactly(drawn: Drawn, seed: int) -> None:
    keep(drawn, seed, "rational")


@given(circuits("polynomial", components=2, wide=True), st.integers(0, 3))
def test_polynomial_circuits_exactly(drawn: Drawn, seed: int) -> None:
    keep(drawn, seed, "polynomial")


@given(circuits("smooth", components=2, wide=True), st.integers(0, 3))
def test_circuits_with_transcendental_functions_to_twelve_digits(drawn: Drawn, seed: int) -> None:
    keep(drawn, seed, "smooth")


@given(circuits("polynomial", components=2, max_steps=3, wide=True), st.integers(0, 3))
def test_second_order_against_dual_numbers(drawn: Drawn, seed: int) -> None:
    """The adjoint of the adjoint against forward mode through reverse mode."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = list(circuit.params)
    try:
        first = circuit.unfold(drawn.steps, **SIZES).grad()
    except DomainError:
        return
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    slope = first.evaluate(duals, over=DualAlgebra(), outputs=["d_k"])["d_k"]
    parts = getattr(slope, "parts", {})
    second = quietly(quietly(circuit), "d_k")
    found = second.unfold(drawn.steps, **SIZES).evaluate(values)
    for name in names:
        gradient = np.asarray(found[f"dd_{name}"], object)
        for position in np.ndindex(*gradient.shape):
            assert gradient[position] == parts.get((name, *position), 0), name


# -- the gallery -----------------------------------------------------------------------------------


def example(name: str, tau: int, seed: int = 5) -> tuple[gg.Circuit, dict[str, int], Any]:
    """A cell, its boundary values made inputs, with sizes and non-zero values."""
    circuit = gg.cells.load(name).open()
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    values = circuit.init(seed, **sizes) | circuit.example(seed, tau, **sizes)
    if name == "hinge":
        values["y"] = np.sign(values["y"])
    return circuit, sizes, values


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery(name: str) -> None:
    """Every cotangent of every cell, by parameters and inputs, with both kinds of guard."""
    for tau in (1, 2, 5):
        circuit, sizes, values = example(name, tau)
        inputs = [n for n, each in circuit.inputs.items() if each.kind != "token"]
        for guard in ("smart", "always"):
            both = square(circuit, tau, wrt=[*circuit.params, *inputs], guard=guard, **sizes)
            both.check_closely(values)
            assert len(both.names) > len(circuit.params)


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery_of_second_order(name: str) -> None:
    """Each entry of one gradient differentiated again, by both roads."""
    circuit, sizes, values = example(name, 3)
    first = quietly(circuit)
    if not circuit.params:
        pytest.fail("a cell with a loss and no parameter")
    target = f"d_{next(iter(circuit.params))}"
    probe = f"probe = sum({target})" if first.variables[target].shape else f"probe = {target}"
    twice = quietly(first.extend(probe), "probe")
    assert closed(first)
    assert closed(twice)
    found = twice.unfold(3, **sizes).evaluate(values)
    expected = first.extend(probe).unfold(3, **sizes).grad("probe").evaluate(values)
    for name_ in circuit.params:
        one, other = found[f"dd_{name_}"], expected[f"dd_{name_}"]
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=name_)
