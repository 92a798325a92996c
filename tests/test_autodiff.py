"""Reverse mode against forward mode, complex step, exact differences and other libraries."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphgrad as gg
from graphgrad.autodiff import cotangent_prefix
from graphgrad.errors import DomainError, GradientError, UnknownNameError
from graphgrad.ir import OPS
from graphgrad.unfold import Dag
from tests.drawn import SIZES, Drawn
from tests.naive import Dual, DualAlgebra, EmptyMean, Naive, lifted
from tests.strategies import circuits

STEP = 1e-30
LENGTHS = {"H": 3, "D": 2, "K": 2, "N": 3, "M": 4, "G": 2, "I": 2}
KINKS = {"relu_rnn", "hinge"}
GALLERY = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).equations]


# -- generated circuits, exactly -------------------------------------------------------------------


def forward_mode(drawn: Drawn, values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The gradient of the loss by dual numbers through the naive evaluation."""
    circuit = gg.parse(drawn.text())
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    naive = Naive(circuit, drawn.steps, SIZES, duals)
    for variable in drawn.variables:  # a mean over no step is one though no loss reads it
        naive.stacked(variable.name)
    loss = Dual.of(naive.value("loss"))
    return {name: parts(loss, name, values[name]) for name in names}


def parts(value: Dual, name: str, like: Any) -> Any:
    """The derivatives of a dual number by the entries of one array."""
    found = np.empty(np.shape(like), object)
    for position in np.ndindex(*found.shape):
        found[position] = value.parts.get((name, *position), Fraction(0))
    return found


@given(circuits("rational", wide=True), st.integers(0, 3))
def test_gradient_against_forward_mode_exactly(drawn: Drawn, seed: int) -> None:
    circuit = gg.parse(drawn.text())
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


@given(circuits("polynomial", components=2, max_steps=3, wide=True), st.integers(0, 3))
def test_second_order_against_forward_over_reverse_exactly(drawn: Drawn, seed: int) -> None:
    """The gradient of d_k, by reverse mode twice and by dual numbers through reverse mode."""
    circuit = gg.parse(drawn.text())
    values = drawn.values(seed)
    names = [name for name in values if name != "n"]
    try:
        first = circuit.unfold(drawn.steps, **SIZES).grad(wrt=names)
    except DomainError:
        return
    duals = {n: lifted(n, v) if n in names else v for n, v in values.items()}
    slope = Dual.of(first.evaluate(duals, over=DualAlgebra(), outputs=["d_k"])["d_k"])
    found = first.grad("d_k", wrt=names).evaluate(values)
    for name in names:
        expected = parts(slope, name, values[name])
        assert np.all(np.asarray(found["dd_" + name]) == expected), name


def generic(value: Any) -> Any:
    """Numbers near drawn ones, such that no sum of products of them is at a kink by accident."""
    drawn = np.asarray(value, float) / 2
    return drawn + 0.0137 * np.cos(1 + np.arange(drawn.size)).reshape(drawn.shape)


@given(circuits("smooth", components=2, wide=True), st.integers(0, 3))
def test_smooth_circuits_against_complex_step(drawn: Drawn, seed: int) -> None:
    values = {n: v if n == "n" else generic(v) for n, v in drawn.values(seed).items()}
    try:
        # an imaginary step goes through what stop_gradient holds back
        dag = gg.parse(drawn.text().replace("stop_gradient", "")).unfold(drawn.steps, **SIZES)
    except DomainError:
        return
    found = dag.grad().evaluate(values)
    loss = found["loss"]
    if not np.isfinite(loss) or abs(loss) > 1e6:
        return
    for name in ("k", "w", "W"):
        expected = complex_step(dag, values, name)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found["d_" + name], expected, rtol=1e-9, atol=1e-9 * scale)


# -- the gallery -----------------------------------------------------------------------------------


def moved(values: dict[str, Any], name: str, position: tuple[int, ...], by: Any, kind: Any) -> Any:
    """The values with one entry moved, all of them as numbers of a kind (tokens aside)."""
    result = {
        n: v if np.asarray(v).dtype.kind in "iu" else np.asarray(v, kind) for n, v in values.items()
    }
    result[name] = result[name].copy()
    result[name][position] += by
    return result


def complex_step(dag: Dag, values: dict[str, Any], name: str, output: str = "loss") -> Any:
    """The derivative of an output by every entry of a value, with an imaginary step."""
    found = np.empty(np.shape(values[name]))
    for position in np.ndindex(*found.shape):
        point = moved(values, name, position, 1j * STEP, complex)
        found[position] = np.imag(dag.evaluate(point, outputs=[output])[output]) / STEP
    return found


def gallery(name: str, tau: int = 4, seed: int = 5) -> tuple[gg.Circuit, Dag, dict[str, Any]]:
    """A cell of the gallery, all its boundary values made inputs, at random non-zero values."""
    circuit = gg.cells.load(name).open()
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    values = circuit.init(seed, **sizes) | circuit.example(seed, tau, **sizes)
    for parameter in circuit.params:
        values[parameter] = values[parameter] * 0.8 + 0.05
    if name == "hinge":
        values["y"] = np.sign(values["y"])
    assert all(np.all(v != 0) for v in values.values() if v.dtype.kind == "f")
    return circuit, circuit.unfold(tau, **sizes), values


@pytest.mark.parametrize("name", sorted(set(GALLERY) - KINKS))
def test_gallery_against_complex_step(name: str) -> None:
    """All parameters, and all inputs but tokens; distributions move off their simplex."""
    circuit, dag, values = gallery(name)
    inputs = [n for n, each in circuit.inputs.items() if each.kind != "token"]
    found = dag.grad(wrt=[*circuit.params, *inputs]).evaluate(values)
    seen = 0.0
    for target in [*circuit.params, *inputs]:
        if circuit.inputs.get(target) and circuit.inputs[target].kind == "distribution":
            continue
        expected = complex_step(dag, values, target)
        np.testing.assert_allclose(found["d_" + target], expected, rtol=1e-10, atol=1e-14)
        seen += np.abs(expected).sum()
    assert seen > 1e-3, "something was compared"


@pytest.mark.parametrize("name", sorted(KINKS))
def test_gallery_with_kinks_against_differences_of_many_digits(name: str) -> None:
    """Central differences with 60 digits, where the function is smooth between its kinks."""
    circuit, dag, values = gallery(name)
    found = dag.grad().evaluate(values)
    with mpmath.workdps(60):
        exact = {n: np.vectorize(mpmath.mpf, otypes=[object])(v) for n, v in values.items()}
        step = mpmath.mpf(10) ** -20
        for target in circuit.params:
            for position in np.ndindex(*np.shape(values[target])):
                ends = [
                    dag.evaluate(moved(exact, target, position, sign * step, object), over=MPMATH)
                    for sign in (1, -1)
                ]
                slope = float((ends[0]["loss"] - ends[1]["loss"]) / (2 * step))
                gradient = np.asarray(found["d_" + target])[position]
                assert gradient == pytest.approx(slope, rel=1e-12, abs=1e-15)
    ops = {template.op.name for template in dag.templates}
    assert ops & {"relu", "hinge"}


class _Mpmath(gg.algebras.ObjectAlgebra):
    """Numbers of many digits; their functions are those of mpmath."""

    def function(self, name: str) -> Callable[..., Any]:
        if name in ("relu", "abs", "maximum", "minimum", "stop_gradient"):
            return super().function(name)
        return getattr(mpmath, name)  # type: ignore[no-any-return]


MPMATH = _Mpmath()


@pytest.mark.parametrize("name", ["relu_rnn"])
def test_gallery_with_kinks_against_exact_differences(name: str) -> None:
    """relu and squares of rational numbers are rational: the derivative is exact."""
    circuit, dag, values = gallery(name, tau=3)
    exact = {
        n: np.vectorize(lambda u: Fraction(round(64 * u), 64), otypes=[object])(v)
        for n, v in values.items()
    }
    found = dag.grad().evaluate(exact)
    names = list(circuit.params)
    duals = {n: lifted(n, v) if n in names else v for n, v in exact.items()}
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    loss = Naive(circuit, {"t": 3}, sizes, duals).value("loss")
    for target in names:
        assert np.all(found["d_" + target] == parts(loss, target, exact[target]))


@pytest.mark.parametrize("name", sorted(set(GALLERY) - KINKS))
def test_gallery_second_order_against_complex_step(name: str) -> None:
    """Second derivatives through an added scalar parameter that scales the first one."""
    circuit, _, values = gallery(name, tau=3)
    if not circuit.params:
        pytest.skip("no parameter")
    # the first parameter p enters as p * scale, so that d_scale holds first derivatives
    target = next(iter(circuit.params))
    text = re.sub(rf"\b{target}\b(?!:)", f"(scale * {target})", str(circuit))
    scaled = gg.parse(text + "scale: param()\n")
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    first = scaled.unfold(3, **sizes).grad()
    values["scale"] = np.float64(0.7)
    second = first.grad("d_scale").evaluate(values)
    for name_ in circuit.params:
        expected = complex_step(first, values, name_, "d_scale")
        np.testing.assert_allclose(second["dd_" + name_], expected, rtol=1e-9, atol=1e-12)


SCALAR = ["two_step_scalar", "tied", "per_step", "state_space", "many_to_one"]


@pytest.mark.parametrize("name", SCALAR)
def test_hessian_of_scalar_parameters_against_complex_step(name: str) -> None:
    circuit, dag, values = gallery(name)
    first = dag.grad()
    for parameter, declared in circuit.params.items():
        if declared.shape:
            continue
        second = first.grad("d_" + parameter).evaluate(values)
        for target in circuit.params:
            expected = complex_step(first, values, target, "d_" + parameter)
            np.testing.assert_allclose(second["dd_" + target], expected, rtol=1e-9, atol=1e-13)


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


# -- what is computed ------------------------------------------------------------------------------


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


# -- other libraries -------------------------------------------------------------------------------


def torch_loss(name: str, v: dict[str, Any], torch: ModuleType) -> Any:
    """The loss of a cell as one writes it in PyTorch."""
    zero = torch.zeros(LENGTHS["H"], dtype=torch.float64)
    tau = len(v["x"])
    if name == "elman":
        h, total = v["h_0"], 0
        for k in range(tau):
            h = torch.tanh(v["b"] + v["W"] @ h + v["U"] @ v["x"][k])
            total = total - (v["y"][k] * torch.log_softmax(v["c"] + v["V"] @ h, 0)).sum()
        return total
    if name == "lstm":
        h, c, total = v["h_0"], v["c_0"], 0
        for k in range(tau):
            gate = {q: v[f"b_{q}"] + v[f"W_{q}"] @ h + v[f"U_{q}"] @ v["x"][k] for q in "ifog"}
            c = torch.sigmoid(gate["f"]) * c + torch.sigmoid(gate["i"]) * torch.tanh(gate["g"])
            h = torch.sigmoid(gate["o"]) * torch.tanh(c)
            total = total - (v["y"][k] * torch.log_softmax(v["b_y"] + v["V"] @ h, 0)).sum()
        return total
    assert name == "bidirectional"
    h, forward = zero, []
    for k in range(tau):
        h = torch.tanh(v["b"] + v["W"] @ h + v["U"] @ v["x"][k])
        forward.append(h)
    g, backward = torch.zeros(LENGTHS["G"], dtype=torch.float64), [None] * tau
    for k in reversed(range(tau)):
        g = torch.tanh(v["r"] + v["R"] @ g + v["S"] @ v["x"][k])
        backward[k] = g
    total = 0
    for k in range(tau):
        o = v["c"] + v["V"] @ forward[k] + v["Q"] @ backward[k]
        total = total - (v["y"][k] * torch.log_softmax(o, 0)).sum()
    return total


@pytest.mark.oracle("torch")
@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional"])
def test_against_torch(name: str, oracle: ModuleType) -> None:
    circuit, dag, values = gallery(name, tau=6)
    tensors = {n: oracle.tensor(v, dtype=oracle.float64) for n, v in values.items()}
    wanted = [*circuit.params, "x"]
    for n in wanted:
        tensors[n].requires_grad_(True)
    loss = torch_loss(name, tensors, oracle)
    loss.backward()
    found = dag.grad(wrt=wanted).evaluate(values)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for n in wanted:
        expected = tensors[n].grad.numpy()
        np.testing.assert_allclose(found["d_" + n], expected, rtol=1e-11, atol=1e-15)


@pytest.mark.oracle("torch")
def test_lstm_against_the_lstm_of_torch(oracle: ModuleType) -> None:
    """torch.nn.LSTM itself, its stacked weights taken apart: gates i, f, g, o, two biases."""
    _, dag, values = gallery("lstm", tau=5)
    hidden, width = LENGTHS["H"], LENGTHS["D"]
    module = oracle.nn.LSTM(width, hidden).double()
    order = "ifgo"
    with oracle.no_grad():
        for q, name in (("ih", "U"), ("hh", "W")):
            stacked = np.concatenate([values[f"{name}_{k}"] for k in order])
            getattr(module, f"weight_{q}_l0").copy_(oracle.tensor(stacked))
        biases = np.concatenate([values[f"b_{k}"] for k in order])
        module.bias_ih_l0.copy_(oracle.tensor(biases))
        module.bias_hh_l0.zero_()
    start = tuple(oracle.tensor(values[n]).reshape(1, hidden) for n in ("h_0", "c_0"))
    states, _ = module(oracle.tensor(values["x"]), start)
    V, b = (oracle.tensor(values[n]) for n in ("V", "b_y"))
    log_p = oracle.log_softmax(states @ V.T + b, 1)
    loss = -(oracle.tensor(values["y"]) * log_p).sum()
    loss.backward()
    found = dag.grad().evaluate(values)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for q, name in (("ih", "U"), ("hh", "W")):
        stacked = np.concatenate([found[f"d_{name}_{k}"] for k in order])
        expected = getattr(module, f"weight_{q}_l0").grad.numpy()
        np.testing.assert_allclose(stacked, expected, rtol=1e-11, atol=1e-15)
    biases = np.concatenate([found[f"d_b_{k}"] for k in order])
    np.testing.assert_allclose(biases, module.bias_ih_l0.grad.numpy(), rtol=1e-11, atol=1e-15)
