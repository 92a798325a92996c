"""What may be asked of an adjoint: any loss, any target; and what happens to the rest."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.adjoint import GradientWarning
from graphgrad.errors import GradientError, UnknownNameError

TEXT = """
n[t]: token(N)
x[t]: input(H)
s: input(H)
E: param(N, H)
W: param(H, H)
Q: param(H)
h[t] = tanh(W @ h[t-1] + E[n[t]] + x[t])
P[t] = outer(h[t], s)
v = h[tau]
constant = 3
blocked = sum(stop_gradient(h[tau]))
loss = sum(sum(h[t]) for t in steps)
"""


@pytest.fixture
def circuit() -> gg.Circuit:
    return gg.parse(TEXT)


def lines(circuit: gg.Circuit, first: str) -> dict[str, str]:
    """The equations of the names that begin so, by name."""
    return {
        line.split(" = ")[0].split("[")[0]: line.split(" = ")[1]
        for line in str(circuit).splitlines()
        if line.startswith(first) and " = " in line
    }


# -- losses that are more than one number ----------------------------------------------------------


def test_a_loss_with_an_index_is_weighed_by_a_seed(circuit: gg.Circuit) -> None:
    adjoint = circuit.adjoint("h", wrt="W")
    seed = adjoint.inputs["seed_h"]
    assert (seed.index, [str(dim) for dim in seed.shape]) == ("t", ["H"])
    assert lines(adjoint, "d_")["d_h"] == "seed_h[t] + W.T @ delta_h[t+1]"


def test_a_seed_has_the_shape_of_the_loss(circuit: gg.Circuit) -> None:
    vector = circuit.adjoint("v", wrt="W").inputs["seed_v"]
    assert (vector.index, [str(dim) for dim in vector.shape]) == (None, ["H"])
    matrix = circuit.adjoint("P", wrt="s").inputs["seed_P"]
    assert (matrix.index, [str(dim) for dim in matrix.shape]) == ("t", ["H", "H"])


def test_a_row_of_the_jacobian_is_the_gradient_by_a_unit_seed(circuit: gg.Circuit) -> None:
    adjoint = circuit.adjoint("v", wrt="W")
    sizes = {"H": 2, "N": 3}
    values = circuit.init(1, **sizes) | circuit.example(2, 3, **sizes)
    for k in (0, 1):
        one = circuit.extend(f"entry = at(v, {k})").adjoint("entry", wrt="W").unfold(3)
        found = adjoint.unfold(3).evaluate(values | {"seed_v": np.eye(2)[k]})["d_W"]
        np.testing.assert_allclose(found, one.evaluate(values)["d_W"], rtol=1e-14)


def test_a_seed_avoids_names_that_are_taken() -> None:
    circuit = gg.parse("seed_h[t]: input()\nw: param()\nh[t] = w * h[t-1] + seed_h[t]")
    adjoint = circuit.adjoint("h")
    assert set(adjoint.inputs) == {"seed_h", "seed_h_"}


# -- names that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message", "remedy"),
    [
        ({"loss": "los"}, GradientError, "there is no los", "did you mean loss?"),
        ({"loss": "W"}, GradientError, "there is no W", "declared are: "),
        ({"loss": "x"}, GradientError, "there is no x", "declared are: "),
        ({"loss": ""}, GradientError, "there is no ''", "declared are: "),
        ({"loss": None}, GradientError, "loss=None is no name", "the name of a variable"),
        ({"loss": ["loss"]}, GradientError, r"loss=\['loss'\] is no name", "the name of a"),
        ({"wrt": "n"}, GradientError, "n holds tokens", "the matrix that it looks rows up"),
        ({"wrt": ["W", "n"]}, GradientError, "n holds tokens", "the matrix that it looks"),
        ({"wrt": "w"}, UnknownNameError, "w is not declared", "did you mean W?"),
        ({"wrt": "h"}, UnknownNameError, "h is a variable, not a parameter", "its cotangent is"),
        ({"wrt": "loss"}, UnknownNameError, "loss is a variable", "its cotangent is"),
        ({"wrt": 5}, GradientError, "wrt=5 names nothing", "wrt="),
        ({"wrt": [5]}, GradientError, r"wrt=\[5\] names nothing", "wrt="),
        ({"guard": "never"}, GradientError, "guard='never'", '"smart" or "always"'),
    ],
)
def test_requests_that_are_none(
    circuit: gg.Circuit,
    options: dict[str, Any],
    error: type[gg.GraphgradError],
    message: str,
    remedy: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        circuit.adjoint(**options)
    assert remedy in (caught.value.remedy or "")
    if "guard" not in options:
        with pytest.raises(error, match=message):
            circuit.unfold(2).grad(**options)


# -- gradients that are zero -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "silent"),
    [
        ("loss", {"Q"}),
        ("constant", {"E", "W", "Q"}),
        ("blocked", {"E", "W", "Q"}),
    ],
)
def test_what_nothing_depends_on_is_zero_with_a_warning(
    circuit: gg.Circuit, loss: str, silent: set[str]
) -> None:
    with pytest.warns(GradientWarning) as caught:
        adjoint = circuit.adjoint(loss)
    expected = {f"{loss} does not depend on {name}: its gradient is zero" for name in silent}
    assert {str(each.message) for each in caught} == expected
    assert {each.filename for each in caught} == {__file__}, "it points at the call"
    sizes = {"H": 2, "N": 3}
    values = circuit.init(1, **sizes) | circuit.example(2, 3, **sizes)
    found = adjoint.unfold(3, **sizes).evaluate(values)
    for name in circuit.params:
        assert found[f"d_{name}"].shape == values[name].shape
        assert found[f"d_{name}"].any() != (name in silent)


def test_zero_for_lack_of_steps_is_no_reason_to_warn() -> None:
    """w enters at step 3 at the earliest; the equations cannot know how many there are."""
    circuit = gg.parse("w: param()\nh[t] = (w if t >= 3 else 1) * h[t-1]\nh[0] = 1\nloss = h[tau]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adjoint = circuit.adjoint()
    assert [adjoint.unfold(tau).evaluate({"w": 2.0})["d_w"] for tau in (1, 2, 3, 4)] == [0, 0, 1, 4]


def test_only_what_leads_to_what_is_asked_is_written(circuit: gg.Circuit) -> None:
    cell = gg.cells.load("lstm")
    found = lines(cell.adjoint(wrt="V"), "d")
    assert found == {"d_V": "sum(outer(yhat[t] - y[t], h[t]) for t in steps)"}
    assert list(circuit.adjoint(wrt=[]).equations) == list(circuit.equations)
    assert list(lines(cell.adjoint(wrt=["V", "b_y", "V"]), "d_")) == ["d_V", "d_b_y"]


def test_inputs_can_be_asked_for(circuit: gg.Circuit) -> None:
    adjoint = circuit.adjoint(wrt=["x"])
    assert lines(adjoint, "d_x")["d_x"] == "delta_h[t]"
    static = circuit.adjoint("P", wrt=["s"])
    assert lines(static, "d_s")["d_s"] == "sum(d_P[t].T @ h[t] for t in steps)"


def test_nothing_to_differentiate_by_is_said() -> None:
    circuit = gg.parse("x[t]: input()\nh[t] = x[t] + h[t-1]\nloss = h[tau]")
    with pytest.warns(GradientWarning, match="no parameters"):
        assert circuit.adjoint() == circuit
    assert "d_x" in circuit.adjoint(wrt="x").equations
