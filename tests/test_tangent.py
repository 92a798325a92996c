"""Forward mode: tangents against dual numbers, against gradients, and as a circuit."""

from __future__ import annotations

import random
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.adjoint import GradientWarning
from graphgrad.errors import DomainError
from graphgrad.tangent import basis_directions, tangent_prefix
from tests.drawn import SIZES, Drawn
from tests.naive import Dual, Naive
from tests.snapshots import same_as_snapshot
from tests.strategies import circuits

WITH_LOSS = [
    name
    for name in gg.cells.names()
    if "loss" in gg.cells.load(name).equations and gg.cells.load(name).params
]


def directions(values: dict[str, Any], names: list[str], seed: int) -> dict[str, Any]:
    """A random rational direction for each name."""
    source = random.Random(seed)
    found = {}
    for name in names:
        array = np.empty(np.shape(values[name]), object)
        for position in np.ndindex(*array.shape):
            array[position] = Fraction(source.randint(-3, 3), source.choice((1, 2)))
        found[f"dot_{name}"] = array
    return found


def moved(value: Any, direction: Any) -> Any:
    """An array as dual numbers with a given derivative."""
    result = np.empty(np.shape(value), object)
    for position in np.ndindex(*result.shape):
        result[position] = Dual(value[position], {"ε": direction[position]})
    return result


@given(circuits("rational"), st.integers(0, 3))
def test_every_tangent_is_that_of_dual_numbers(drawn: Drawn, seed: int) -> None:
    """Every variable at every step and every boundary it reads, by parameters and inputs."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        circuit.unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    along = directions(values, names, seed)
    duals = {n: v if n == "n" else moved(v, along[f"dot_{n}"]) for n, v in values.items()}
    expected = Naive(circuit, drawn.steps, SIZES, duals)
    forward = circuit.tangent(names)
    found = forward.unfold(drawn.steps, **SIZES).evaluate(values | along)
    slope = np.frompyfunc(lambda each: getattr(each, "parts", {}).get("ε", 0), 1, 1)
    for variable in drawn.variables:
        slopes = np.asarray(slope(expected.stacked(variable.name)))
        if f"dot_{variable.name}" not in found:
            assert not slopes.astype(bool).any(), variable.name
            continue
        tangents = np.asarray(found[f"dot_{variable.name}"], object)
        assert tangents.shape == slopes.shape
        assert np.all(tangents == slopes), variable.name


@given(circuits("rational"))
def test_the_tangent_is_a_circuit_like_any_other(drawn: Drawn) -> None:
    circuit = gg.parse(drawn.text())
    forward = circuit.tangent()
    assert gg.parse(str(forward)) == forward
    assert list(forward.equations)[: len(circuit.equations)] == list(circuit.equations)
    assert len(forward.equations) <= 3 * len(circuit.equations)


@given(circuits("smooth", components=2), st.integers(0, 3))
def test_the_slope_of_the_loss_with_transcendental_functions(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
    values = {n: v if n == "n" else np.asarray(v, float) / 2 for n, v in drawn.values(seed).items()}
    names = list(circuit.params)
    along = {n: np.asarray(v, float) for n, v in directions(values, names, seed).items()}
    try:
        gradients = circuit.unfold(drawn.steps, **SIZES).grad().evaluate(values)
    except DomainError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        forward = circuit.tangent(of="loss").unfold(drawn.steps, **SIZES)
    found = forward.evaluate(values | along, outputs=["dot_loss"])["dot_loss"]
    terms = np.concatenate([np.ravel(gradients[f"d_{n}"] * along[f"dot_{n}"]) for n in names])
    size = np.abs(terms).sum()
    if np.isfinite(size) and size < 1e6:
        assert found == pytest.approx(terms.sum(), rel=1e-11, abs=1e-11 * size + 1e-300)


def example(name: str, tau: int = 4) -> tuple[gg.Circuit, dict[str, Any], Any, dict[str, int]]:
    circuit = gg.cells.load(name)
    steps: Any = dict.fromkeys(circuit.indices, tau)
    sizes = dict.fromkeys(circuit.sizes, 2)
    values = circuit.init(1, **sizes) | circuit.example(1, steps, **sizes)
    return circuit, values, steps, sizes


@pytest.mark.parametrize("name", gg.cells.names())
def test_tangents_of_the_gallery(name: str) -> None:
    circuit = gg.cells.load(name)
    forward = circuit.tangent()
    assert gg.parse(str(forward)) == forward
    assert list(forward.inputs)[len(circuit.inputs) :] == [f"dot_{p}" for p in circuit.params]
    assert forward.latex().isascii()


@pytest.mark.parametrize("name", WITH_LOSS)
def test_real_time_recurrent_learning_is_backpropagation_through_time(name: str) -> None:
    """The tangent circuit, batched over basis directions, gives the gradient."""
    circuit, values, steps, sizes = example(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        gradients = circuit.unfold(steps).grad().evaluate(values)
        forward = circuit.tangent(of="loss")
    along = basis_directions({p: values[p] for p in circuit.params})
    count = len(next(iter(along.values())))
    batched = {
        name: np.repeat(np.expand_dims(v, 1), count, axis=1)
        if name in circuit.inputs and circuit.inputs[name].index is not None
        else v
        for name, v in values.items()
    }
    expected = np.concatenate([np.ravel(gradients[f"d_{p}"]) for p in circuit.params])
    size = np.abs(expected).max()
    for found in (
        forward.unfold(steps).evaluate(batched | along, outputs=["dot_loss"]),
        forward.compile("dot_loss")(batched | along, tau=steps, **sizes),
    ):
        np.testing.assert_allclose(found["dot_loss"], expected, rtol=1e-12, atol=1e-13 * size)


def test_tangents_read_as_a_person_would_write_them() -> None:
    """As committed."""
    pages = []
    for name in gg.cells.names():
        circuit = gg.cells.load(name)
        own = set(str(circuit).splitlines())
        lines = [line for line in str(circuit.tangent()).splitlines() if line not in own]
        pages.append("\n".join([f"# {name}", *(e for e in lines if ": input(" not in e)]))
    found = "\n\n".join(pages) + "\n"
    same_as_snapshot(found, Path(__file__).with_name("tangents.txt"))


def test_published_tangents_of_the_elman_network() -> None:
    """Williams and Zipser 1989, eq. 5: the sensitivities p of the state, for a unit with tanh."""
    lines = str(gg.cells.load("elman").tangent("W", of="loss")).splitlines()
    assert lines[-4:] == [
        "dot_h[t] = (1 - h[t]**2) * dot_a[t]",
        "dot_o[t] = V @ dot_h[t]",
        "dot_L[t] = (yhat[t] - y[t]) @ dot_o[t]",
        "dot_loss = sum(dot_L[t] for t in steps)",
    ]
    assert lines[-5] == "dot_a[t] = dot_W @ h[t-1] + W @ dot_h[t-1]"


@pytest.mark.parametrize(
    ("equations", "tangents"),
    [
        ("h[0] = w\nh[t] = h[t-1] * 2\nloss = h[tau]",
         ["dot_h[0] = dot_w", "dot_h[t] = 2 * dot_h[t-1]", "dot_loss = dot_h[tau]"]),
        ("z[0] = w\nloss = sum(z[t-1] for t in steps)",
         ["dot_z[0] = dot_w", "dot_z[t] = 0", "dot_loss = sum(dot_z[t-1] for t in steps)"]),
        ("h[0] = w\nh[t] = stop_gradient(h[t-1]) + w\nloss = h[tau]",
         ["dot_h[t] = dot_w", "dot_loss = dot_h[tau]"]),
        ("h[t] = w / z[t] if t > 1 else 1\nloss = h[1]",
         ["dot_h[t] = dot_w / z[t] if t > 1 else 0", "dot_loss = dot_h[1]"]),
        ("loss = w + squared_error(w, w)", ["dot_loss = dot_w"]),
        ("loss = sum(w * t for t in steps if t % 2 == 0) / tau",
         ["dot_loss = sum(dot_w * t for t in steps if t % 2 == 0) / tau"]),
    ],
)  # fmt: skip
def test_boundaries_choices_and_sums(equations: str, tangents: list[str]) -> None:
    circuit = gg.parse(f"z[t]: input()\nw: param()\n{equations}")
    lines = [line for line in str(circuit.tangent()).splitlines() if line]
    assert [line for line in lines if line.startswith("dot_")][1:] == tangents


def test_what_is_used_twice_gets_a_name_where_it_is_defined() -> None:
    """A tangent inside an equation is not computed at steps where the equation has no value."""
    circuit = gg.parse(
        "x[t]: input(H)\nw: param(H)\nn[t] = t - 1\n"
        "p[t] = log_softmax((w + x[t]) / n[t] * w) if t > 1 else x[t]\nloss = sum(p[tau])"
    )
    forward = circuit.tangent()
    assert "dot_p1" in forward.equations
    x = np.array([[Fraction(1), Fraction(2)]] * 2, object)
    dag = forward.unfold(2)
    found = dag.evaluate({"x": x, "w": x[0], "dot_w": x[1]}, over=float, outputs=["dot_p"])
    assert np.isfinite(found["dot_p"].astype(float)).all()
    exact = {"x": x, "w": x[0], "dot_w": x[1]}
    assert dag.evaluate(exact, outputs=["dot_p1"])["dot_p1"][0].tolist() == [0, 0]


def test_tangents_of_tangents() -> None:
    circuit = gg.parse("w: param()\nh[0] = w\nh[t] = h[t-1] ** 2\nloss = h[tau]")
    twice = circuit.tangent().tangent()
    assert tangent_prefix(circuit.tangent().check().declared.names()) == "ddot_"
    values = {"w": Fraction(3), "dot_w": Fraction(1), "ddot_w": Fraction(1)}
    found = twice.unfold(2).evaluate(values)
    assert found["ddot_dot_loss"] == 12 * 3**2  # the second derivative of w⁴


def test_only_what_is_asked_for() -> None:
    circuit = gg.cells.load("elman")
    forward = circuit.tangent("W", of="h")
    assert set(forward.equations) - set(circuit.equations) == {"dot_a", "dot_h"}
    assert set(forward.inputs) - set(circuit.inputs) == {"dot_W"}


def test_a_tangent_without_dependence_is_zero_with_a_warning() -> None:
    circuit = gg.parse("w: param(H)\nu: param()\nv = sum(w)\nloss = u * v")
    with pytest.warns(GradientWarning, match="v does not depend on u"):
        forward = circuit.tangent("u", of=["v", "loss"])
    found = forward.unfold(1).evaluate({"w": np.ones(2), "u": 2.0, "dot_u": 1.0})
    assert (found["dot_v"], found["dot_loss"]) == (0, 2)


def test_bad_requests() -> None:
    circuit = gg.cells.load("encoder_decoder")
    with pytest.raises(gg.UnknownNameError):
        circuit.tangent("nothing")
    with pytest.raises(gg.UnknownNameError):
        circuit.tangent(of="nothing")
    with pytest.raises(gg.GradientError, match="tokens"):
        circuit.tangent("x")


def test_long_sequences() -> None:
    circuit = gg.parse("w: param()\nh[0] = 1\nh[t] = w * h[t-1]\nloss = h[tau]")
    found = circuit.tangent().unfold(100_000).evaluate({"w": 1.0, "dot_w": 1.0})
    assert found["dot_loss"] == 100_000
