"""Sensitivity and gradient flow: the numbers against finite sums and products of Jacobians."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import graphgrad as gg
import viz
from viz import jacobians
from viz.flow import _math, measured_flow, unit_summaries
from viz.shading import gate_variables

CHAIN = """
x[t]: input(H)
y[t]: input(H)
W: param(H, H)
h[t] = tanh(W @ h[t-1] + x[t])
loss = sum(squared_error(h[t], y[t]) for t in steps)
"""


@pytest.fixture
def chain():
    circuit = gg.parse(CHAIN, name="chain")
    return circuit, circuit.init(0, H=3), circuit.example(1, 5, H=3)


def products(circuit, params, data):
    """∂h[t]/∂h[k] as the product of diag(1 - h²) W over the steps between."""
    h = circuit.unfold(5).evaluate({**params, **data})["h"]
    local = [np.diag(1 - state**2) @ params["W"] for state in h]
    found = np.zeros((5, 5, 3, 3))
    for k in range(5):
        found[k, k] = np.eye(3)
        for t in range(k + 1, 5):
            found[t, k] = local[t] @ found[t - 1, k]
    return h, found


def test_jacobians_between_steps_are_products_of_local_ones(chain):
    circuit, params, data = chain
    _, want = products(circuit, params, data)
    found = jacobians.between_steps(circuit, {**params, **data}, "h")
    np.testing.assert_allclose(found, want, atol=1e-14)


def test_sensitivity_to_an_input_is_a_jacobian(chain):
    circuit, params, data = chain
    h, want = products(circuit, params, data)
    found = jacobians.from_input(circuit, {**params, **data}, "x", 2)["h"]
    for t in range(5):
        jacobian = want[t, 1] @ np.diag(1 - h[1] ** 2)
        np.testing.assert_allclose(found[t], np.linalg.norm(jacobian), atol=1e-14)


def test_nodes_are_shaded_by_sensitivity_and_gates_marked():
    circuit = gg.cells.load("lstm")
    params = circuit.init(0, H=3, D=2, K=2)
    params["b_f"] = params["b_f"] + 10
    params["b_i"] = params["b_i"] - 10
    data = circuit.example(1, 3, H=3, D=2, K=2)
    svg = viz.sensitivity(circuit, params, data).svg
    assert gate_variables(circuit) == ["i", "f", "o"]
    assert svg.count(": open") >= 3
    assert svg.count(": closed") >= 3
    assert "#000000" in svg
    assert "‖∂c[3]/∂x[1]‖" in svg
    assert viz.sensitivity(circuit, params, data).svg == svg


@pytest.mark.parametrize(
    "name", ["elman", "gru", "bidirectional", "deep_rnn", "context_conditioned"]
)
def test_other_cells_are_shaded(name):
    circuit = gg.cells.load(name)
    sizes = {each: size or 2 for each, size in circuit.check().declared.sizes.items()}
    params, data = circuit.init(0, **sizes), circuit.example(1, 3, **sizes)
    assert "‖∂h" in viz.sensitivity(circuit, params, data).svg


def test_flow_has_the_contributions_and_the_reach(chain):
    circuit, params, data = chain
    flow = measured_flow(circuit, params, data)
    _, want = products(circuit, params, data)
    assert flow.state == "h"
    assert flow.matrix == "W"
    assert flow.radius == pytest.approx(np.abs(np.linalg.eigvals(params["W"])).max())
    full = circuit.unfold(5).contributions({**params, **data})["W"]
    np.testing.assert_allclose(
        flow.contributions["W"], np.linalg.norm(full, axis=(-2, -1)), atol=1e-14
    )
    low, middle, high = flow.by_distance()[2]
    norms = [np.linalg.norm(want[t, t - 2], 2) for t in (2, 3, 4)]
    np.testing.assert_allclose([low, middle, high], sorted(norms), atol=1e-13)


def test_a_figure_of_the_flow(chain, tmp_path):
    circuit, params, data = chain
    figure = viz.gradient_flow(circuit, params, data)
    left, right = figure.axes[:2]
    assert "∂$L$ / ∂$W$" in left.get_title()
    assert right.get_yscale() == "log"
    figure.savefig(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 5000


def test_a_notebook_shows_the_figure_without_pyplot(chain):
    for figure in (viz.gradient_flow(*chain), viz.saturation(*chain)):
        assert figure._repr_png_().startswith(b"\x89PNG")


def test_units_that_are_saturated_or_dead():
    circuit = gg.parse(
        "x[t]: input(2)\na[t] = tanh(100 * x[t])\nr[t] = relu(x[t] - 1)\n"
        "loss = sum(sum(a[t] * r[t]) for t in steps)"
    )
    data = {"x": np.array([[0.5, 2.0], [0.0, 3.0]])}
    found = unit_summaries(circuit, {}, data)
    assert found["a"].saturated == pytest.approx(0.75)
    assert found["r"].dead == (0,)
    titles = [axes.get_title() for axes in viz.saturation(circuit, {}, data).axes]
    assert titles == ["$a$: 75 % saturated", "$r$: 1 of 2 units dead"]


def test_what_cannot_be_shown_is_named(chain):
    circuit, params, data = chain
    with pytest.raises(gg.GraphgradError, match="step=9"):
        viz.sensitivity(circuit, params, data, step=9)
    with pytest.raises(gg.GraphgradError, match="q"):
        viz.sensitivity(circuit, params, data, source="q")
    with pytest.raises(gg.GraphgradError, match="Q"):
        viz.gradient_flow(circuit, params, data, parameter="Q")
    tokens = gg.cells.load("encoder_decoder")
    sizes = {each: size or 2 for each, size in tokens.check().declared.sizes.items()}
    with pytest.raises(gg.GraphgradError, match="numbers"):
        viz.sensitivity(tokens, tokens.init(0, **sizes), tokens.example(1, 3, **sizes))
    large = gg.parse(CHAIN)
    with pytest.raises(gg.GraphgradError, match="256 MiB"):
        viz.gradient_flow(large, large.init(0, H=64), large.example(1, 200, H=64))


AUTONOMOUS = """
W: param(H, H)
h0: param(H)
h[0] = h0
h[t] = tanh(W @ h[t-1])
loss = sum(h[tau])
"""


def test_a_circuit_without_inputs_is_shown_for_a_length():
    """h[t] = tanh(W h[t-1]): ∂h[4]/∂h[2] is a product of two local Jacobians."""
    circuit = gg.parse(AUTONOMOUS)
    params = circuit.init(0, H=2)
    flow = measured_flow(circuit, params, {}, tau=4)
    h = circuit.unfold(4).evaluate(params)["h"]
    local = [(1 - h[t] ** 2)[:, None] * params["W"] for t in range(4)]
    expected = np.linalg.norm(local[3] @ local[2], 2)
    assert flow.jacobians[3, 1] == pytest.approx(expected, rel=1e-12)
    assert flow.contributions["W"].shape == (4, 4)
    (units,) = unit_summaries(circuit, params, {}, tau=4).values()
    assert units.slopes == pytest.approx(1 - h**2)
    viz.gradient_flow(circuit, params, {}, tau={"tau": 4})
    viz.saturation(circuit, params, {}, tau=4)
    for figure in (viz.gradient_flow, viz.saturation):
        with pytest.raises(gg.GraphgradError, match="does not show in the data"):
            figure(circuit, params, {})


def test_an_index_without_an_input_has_the_length_given():
    circuit = gg.parse(
        "s: steps(m)\nt: steps(n)\nx[s]: input()\nw: param()\n"
        "h[s] = tanh(w * h[s-1] + x[s])\ng[0] = h[m]\ng[t] = tanh(w * g[t-1])\nloss = g[n]"
    )
    params, data = {"w": 0.7}, {"x": np.array([0.1, 0.2, 0.3])}
    flow = measured_flow(circuit, params, data, state="g", tau=2)
    g = circuit.unfold({"s": 3, "t": 2}).evaluate({**params, **data})["g"]
    assert flow.jacobians[1, 0] == pytest.approx((1 - g[1] ** 2) * 0.7)
    assert "∂h[3]/∂x[1]" in viz.sensitivity(circuit, params, data, tau={"t": 2}).svg
    with pytest.raises(gg.GraphgradError, match="x has 3 steps, but m = 4"):
        viz.sensitivity(circuit, params, data, tau={"s": 4, "t": 2})


@pytest.mark.parametrize("plot", [viz.sensitivity, viz.gradient_flow, viz.saturation])
@pytest.mark.parametrize(
    ("given", "tau", "told"),
    [
        (3.0, None, "does not show in the data"),
        (3.0, 2, "not \\(tau"),
        ([[1.0], [1.0, 2.0]], None, "rows"),
    ],
)
def test_data_that_are_no_sequence_are_refused_in_words(plot, given, tau, told):
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = tanh(w * h[t-1] + x[t])\nloss = h[tau]")
    with pytest.raises(gg.DataError, match=told):
        plot(circuit, {"w": 0.5}, {"x": given}, tau=tau)


def test_sizes_may_show_in_the_inputs_alone():
    circuit = gg.parse(
        "x[t]: input(H)\nw: param()\nh[t] = tanh(w * h[t-1] + x[t])\nloss = sum(h[tau])"
    )
    flow = measured_flow(circuit, {"w": 0.5}, circuit.example(0, 3, H=2))
    assert flow.jacobians.shape == (3, 3)


def test_a_missing_matplotlib_is_named_with_the_remedy():
    code = """
        import sys
        sys.modules["matplotlib"] = None
        sys.modules["matplotlib.figure"] = None
        import graphgrad as gg, viz
        c = gg.parse("x[t]: input(2)\\na[t] = tanh(x[t] + a[t-1])")
        try:
            viz.saturation(c, {}, c.example(1, 3))
        except gg.GraphgradError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert "graphgrad[plots]" in done.stdout, done.stderr


NAMES = ["W_hh", "delta_h2", "yhat", "h_m1", "alpha_1_2", "d_h", "htilde", "prior", "loss", "Ω"]
NAMES += ["dot_x", "ddot_x", "x__1"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_mathematics_to_matplotlib(name):
    from matplotlib.mathtext import MathTextParser

    MathTextParser("path").parse(_math(name, "t"))
