"""What reverse mode appends to the graph: cotangents, their names, and what is left out."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import graphgrad as gg
from graphgrad.autodiff import cotangent_prefix
from graphgrad.errors import GradientError, UnknownNameError
from graphgrad.ir import OPS
from tests.autodiff.derivatives import gallery
from tests.naive import Dual, Naive


def test_the_graph_itself_is_kept_and_cotangents_have_names() -> None:
    dag = gg.cells.load("elman").unfold(3)
    backward = dag.grad()
    assert len(backward) > len(dag)
    np.testing.assert_array_equal(backward.kinds[: len(dag)], dag.kinds)
    np.testing.assert_array_equal(backward.args[: len(dag.args)], dag.args)
    users = np.repeat(np.arange(len(backward)), np.diff(backward.starts))
    assert (backward.args < users).all()
    assert {"d_a", "d_h", "d_o", "d_yhat", "d_L", "d_loss"} <= set(backward.series)
    assert set(backward.outputs) == {"d_U", "d_W", "d_V", "d_b", "d_c"}
    assert backward["d_h", 2].name == "d_h[2]"
    assert backward["d_h", 2].op == "accumulate"
    assert backward["d_W"].op == "accumulate"
    assert backward["d_loss"].value == 1


def test_a_gradient_sums_what_each_step_contributes() -> None:
    dag = gg.cells.load("elman").unfold(4)
    backward = dag.grad()
    contributions = backward["d_W"].args
    assert sorted(view.time or 0 for view in contributions) == [1, 2, 3, 4]
    assert {view.op for view in contributions} == {"outer"}


def test_cotangents_of_boundaries() -> None:
    dag = gg.parse("p: param(H)\nh[0] = p * p\nh[t] = 2 * h[t-1]\nloss = sum(h[tau])").unfold(3)
    backward = dag.grad()
    found = backward.evaluate({"p": np.array([1.0, 3.0])})
    np.testing.assert_array_equal(found["d_p"], 8 * 2 * np.array([1.0, 3.0]))
    assert backward["d_h", 0].name == "d_h[0]"


def test_what_does_not_matter_has_gradient_zero() -> None:
    c = gg.parse(
        "W: param(H, H)\nk: param()\nx[t]: input(H)\nh[t] = x[t] * 2\nloss = sum(h[1]) * k"
    )
    found = (
        c.unfold(3)
        .grad(wrt=["W", "k", "x"])
        .evaluate({"W": np.ones((2, 2)), "k": 3.0, "x": np.ones((3, 2))})
    )
    np.testing.assert_array_equal(found["d_W"], np.zeros((2, 2)))
    np.testing.assert_array_equal(found["d_x"], [[6, 6], [0, 0], [0, 0]])
    np.testing.assert_array_equal(found["d_h"], [[3, 3], [0, 0], [0, 0]])


def test_only_what_is_asked_for() -> None:
    dag = gg.cells.load("lstm").unfold(3)
    everything, one = dag.grad(), dag.grad(wrt="V")
    assert set(one.outputs) == {"d_V"}
    assert len(one) < len(everything)
    assert set(dag.grad(wrt=[]).outputs) == set()
    with_inputs = dag.grad(wrt=["x"])
    assert "d_x" in with_inputs.series


def test_a_cotangent_is_right_or_left_out() -> None:
    """It is never called zero because it lies on no way to what was asked for."""
    circuit, dag, values = gallery("elman")
    one = dag.grad(wrt="V")
    assert {"d_o", "d_yhat", "d_L", "d_loss"} <= set(one.series)
    assert not {"d_a", "d_h"} & set(one.series), "the loss depends on them, V does not reach them"
    everything = dag.grad(wrt=[*circuit.params, "h_0"]).evaluate(values)
    backward = dag.grad()
    assert backward["d_h", 0].name == "d_h[0]"
    c = gg.parse(
        "w: param()\nx[t]: input()\ng[0] = x[1]\ng[t] = (w if t > 1 else 1) * g[t-1]\n"
        "q[t] = x[t] + 1\nu[t] = w * 2\nloss = g[tau] * q[1]"
    )
    backward = c.unfold(3).grad()
    found = backward.evaluate({"w": 2.0, "x": [3.0, 5.0, 7.0]})
    np.testing.assert_array_equal(found["d_g"], [16, 8, 4])
    assert "d_q" not in found
    np.testing.assert_array_equal(found["d_u"], np.zeros(3))
    assert backward["d_g", 0].op != "const"
    assert everything["d_h_0"].any()


def test_stop_gradient() -> None:
    c = gg.parse("k: param()\nh[0] = 1\nh[t] = k * stop_gradient(h[t-1])\nloss = h[tau]")
    found = c.unfold(3).grad().evaluate({"k": 2.0})
    assert found["loss"] == 8
    assert found["d_k"] == 4


def test_no_gradient_comes_from_a_branch_that_does_not_exist() -> None:
    """The derivative of log at 0 would be infinite; the branch is not there at all."""
    c = gg.parse("k: param()\nh[t] = log(k) if t > 5 else k\nloss = sum(h[t] for t in steps)")
    found = c.unfold(3).grad().evaluate({"k": 0.0})
    assert found["d_k"] == 3


def test_prefix_avoids_names_that_are_taken() -> None:
    assert cotangent_prefix(["h", "W"]) == "d_"
    assert cotangent_prefix(["h", "d_h"]) == "dd_"
    assert cotangent_prefix(["dd_h"]) == "d_"
    assert cotangent_prefix(["d_h", "dd_h"]) == "ddd_"
    c = gg.parse("W: param()\nd_W: param()\nh[t] = W * h[t-1] + d_W\nloss = h[tau]")
    found = c.unfold(2).grad().evaluate({"W": 2.0, "d_W": 3.0})
    assert found["dd_W"] == 3
    assert found["dd_d_W"] == 3


def test_a_loss_of_another_name_is_proposed() -> None:
    circuit = gg.parse("w: param()\nx[t]: input()\nE = w**2\ny[t] = w * x[t]")
    remedy = 'name one of them, as in loss="E", or write an equation for it'
    for ask in (circuit.adjoint, lambda: gg.prove(circuit), lambda: gg.value_and_grad(circuit)):
        with pytest.raises(gg.GraphgradError, match="there is no loss to differentiate") as caught:
            ask()
        assert caught.value.remedy == f"declared are: E, y; {remedy}"


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("h", GradientError, "h[t] is not one number: it has a value at each step"),
        ("v", GradientError, "v is (H), not one number"),
        ("los", GradientError, "there is no los to differentiate"),
        ("W", GradientError, "there is no W to differentiate"),
        ("x", GradientError, "there is no x to differentiate"),
    ],
)
def test_losses_that_are_none(loss: str, error: type[Exception], message: str) -> None:
    dag = gg.parse(
        "W: param(H)\nx[t]: input()\nh[t] = x[t]\nv = W * 2\nloss = h[1] + sum(v)"
    ).unfold(2)
    with pytest.raises(error) as caught:
        dag.grad(loss)
    assert caught.value.message == message  # type: ignore[attr-defined]
    assert caught.value.remedy  # type: ignore[attr-defined]


def test_the_remedy_for_a_loss_of_many_numbers_works() -> None:
    """What is proposed is one number, for vectors at each step too; the other way has a seed."""
    text = "x[t]: input(H)\nW: param(H, H)\nh[t] = tanh(W @ h[t-1] + x[t])\nv = h[tau] * 2"
    circuit = gg.parse(text)
    for loss in ("h", "v"):
        with pytest.raises(GradientError, match="not one number") as caught:
            circuit.unfold(3, H=2).grad(loss)
        equation, other = caught.value.remedy.removeprefix("add ").split(", or take ")
        summed = circuit.extend(equation)
        values = summed.init(0, H=2) | summed.example(1, 3, H=2)
        found = summed.unfold(3).grad("total").evaluate(values)
        assert other.startswith(f'c.adjoint("{loss}"), where the input seed_{loss} ')
        seed = {f"seed_{loss}": np.ones_like(found[loss])}
        weighed = circuit.adjoint(loss).unfold(3).evaluate(values | seed)
        assert weighed["d_W"] == pytest.approx(found["d_W"])


def test_targets_that_are_none() -> None:
    dag = gg.parse("x[t]: token(N)\nE: param(N)\nh[t] = E[x[t]]\nloss = h[1]").unfold(2)
    with pytest.raises(GradientError, match="x holds tokens"):
        dag.grad(wrt="x")
    with pytest.raises(UnknownNameError, match="F is not declared"):
        dag.grad(wrt="F")
    with pytest.raises(UnknownNameError):
        dag.grad(wrt="h")


def test_a_loss_at_every_length() -> None:
    """τ = 1 included: boundaries, sums of one term and choices at both ends at once."""
    c = gg.parse(
        "k: param()\nh[0] = k\ng[tau+1] = 2 * k\nh[t] = (k * h[t-1] if t < tau else h[t-1] ** 2)\n"
        "g[t] = k * g[t+1] + h[t-1]\nloss = sum(g[t] * h[t] for t in steps) + h[tau-1]"
    )
    for tau in range(1, 6):
        values = {"k": Dual(Fraction(3, 2), {"k": Fraction(1)})}
        expected = Naive(c, {"t": tau}, {}, values).value("loss").parts["k"]
        assert c.unfold(tau).grad().evaluate({"k": Fraction(3, 2)})["d_k"] == expected


def test_backward_nodes_are_linear_in_the_length() -> None:
    for name in ("lstm", "bidirectional", "encoder_decoder"):
        sizes = [len(gg.cells.load(name).unfold(tau).grad()) for tau in (10, 20, 30)]
        assert sizes[2] - sizes[1] == sizes[1] - sizes[0]


def test_every_op_that_can_stand_in_an_unfolded_graph_has_a_rule() -> None:
    for op in OPS.values():
        if op.arity != 0 and op.name not in ("choose", "reduce"):
            assert op.vjp is not None, op.name


def test_third_order() -> None:
    dag = gg.parse("w: param()\nh[0] = 1\nh[t] = sin(w * h[t-1])\nloss = h[tau]").unfold(2)
    third = dag.grad().grad("d_w").grad("dd_w")
    with mpmath.workdps(40):
        point = mpmath.mpf("0.7")
        expected = [
            mpmath.diff(lambda w: mpmath.sin(w * mpmath.sin(w)), point, k) for k in (1, 2, 3)
        ]
    found = third.evaluate({"w": 0.7})
    assert [found[n] for n in ("d_w", "dd_w", "ddd_w")] == pytest.approx(
        [float(e) for e in expected], rel=1e-12
    )
