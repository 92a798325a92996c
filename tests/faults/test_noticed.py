"""What nothing noticed before the library was mutated: kinks, names, messages, odd requests."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.adjoint import GradientWarning, copies
from graphgrad.autodiff import local_vjp
from graphgrad.errors import DataError, GradientError, NotationError
from graphgrad.ir import OPS, Expr
from graphgrad.ops.elementwise import where


def slopes(text, **values):
    """Return the gradients by both roads, which have to be the same."""
    circuit = gg.parse(text)
    given = {name: np.asarray(value, float) for name, value in values.items()}
    sizes = {name: 2 for name, size in circuit.sizes.items() if size is None}
    found = circuit.unfold(3, **sizes).grad().evaluate(given)
    other = circuit.adjoint().unfold(3, **sizes).evaluate(given)
    names = [f"d_{name}" for name in circuit.params]
    for name in names:
        np.testing.assert_allclose(found[name], other[name], rtol=1e-13)
    return [np.asarray(found[name]) for name in names]


@pytest.mark.parametrize("function", ["abs", "relu"])
def test_the_slope_at_a_kink_is_zero(function):
    (d_v,) = slopes(f"v: param(3)\nloss = sum({function}(v))", v=[0, 2, -3])
    np.testing.assert_array_equal(d_v, [0, 1, -1 if function == "abs" else 0])


def test_equal_largest_entries_share_the_slope():
    (d_v,) = slopes("v: param(4)\nloss = max(v)", v=[1, 3, 2, 3])
    np.testing.assert_array_equal(d_v, [0, 0.5, 0, 0.5])


@pytest.mark.parametrize(
    ("shape", "count"), [("H", 2), ("2*H+1", 5), ("3*H-1", 5), ("H+K", 4), ("H+K-1", 3), ("7", 7)]
)
def test_a_mean_is_divided_by_what_its_axis_is_long(shape, count):
    (d_v,) = slopes(f"v: param({shape})\nloss = mean(v)", v=np.ones(count))
    np.testing.assert_array_equal(d_v, np.full(count, 1 / count))


def test_a_boundary_that_is_zero_by_itself_has_no_cotangent():
    circuit = gg.cells.load("elman")
    dag = circuit.unfold(3, **dict.fromkeys(circuit.sizes, 2)).grad()
    assert dag.series["h"].outside
    assert dag.series["d_h"].outside == {}
    assert all(one.name == name for name, one in dag.series.items())


def test_what_is_named_twice_is_differentiated_once():
    circuit = gg.cells.load("elman")
    assert circuit.adjoint(wrt=["W", "W", "U"]) == circuit.adjoint(wrt=["W", "U"])
    dag = circuit.unfold(2, **dict.fromkeys(circuit.sizes, 2))
    twice, once = dag.grad(wrt=["W", "W"]), dag.grad(wrt="W")
    assert list(twice.outputs) == list(once.outputs)
    assert list(dag.grad(wrt=["W", "U"]).outputs) == ["d_W", "d_U"]
    assert list(dag.grad(wrt=["U", "W"]).outputs) == ["d_U", "d_W"]


def test_messages_say_why():
    circuit = gg.parse(
        "x[t]: input()\nw: param()\nh[t] = w * x[t]\nloss = sum(h[t] for t in steps)"
    )
    dag = circuit.unfold(2)
    with pytest.raises(GradientError, match=r"h\[t\] is not one number: it has a value at each"):
        dag.grad("h")
    with pytest.raises(gg.GraphgradError, match="there is no x"):
        dag.grad("x")
    for wrt, message in (
        ("h", "h is a variable, not a parameter"),
        (["w", "q"], "q is not declared"),
        (["w", "x", "w", "q"], "q is not declared"),
        (["q", "h"], "q is not declared"),
        ([3], "names nothing to differentiate by"),
    ):
        with pytest.raises(gg.GraphgradError, match=message):
            dag.grad(wrt=wrt)
    with pytest.raises(DataError, match="is taken of contributions, not of dict"):
        gg.window(2).of({})
    norms = dag.contributions({"x": np.ones(2), "w": 2.0}, norms=True)
    with pytest.raises(DataError, match="that are norms"):
        gg.window(2).of(norms)
    with pytest.raises(GradientError, match="loss=3 is no name"):
        dag.grad(3)
    with pytest.raises(GradientError, match="there is no nope to differentiate") as caught:
        circuit.adjoint("nope")
    assert caught.value.remedy.endswith(", or write an equation for it")
    with pytest.raises(GradientError, match="there is no los to differentiate") as caught:
        circuit.adjoint("los")
    assert "loss" in caught.value.remedy
    assert "equation" not in caught.value.remedy
    with pytest.raises(GradientError, match="counter has no derivative rule"):
        local_vjp(OPS["counter"], "t", (), [])
    with pytest.raises(NotationError, match="by a comparison of values"):
        where(True, 1, 2)


def test_warnings_point_at_who_asked():
    for text, message in (
        ("x: input()\nloss = x * x", "has no parameters"),
        ("x: input()\nw: param()\nloss = x * x", "does not depend on w"),
    ):
        with pytest.warns(GradientWarning, match=message) as caught:
            gg.parse(text).adjoint()
        assert [each.filename for each in caught] == [__file__]


def test_masks_entry_by_entry():
    window = [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    chunks = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(gg.window(2).mask(5), np.array(window, bool))
    np.testing.assert_array_equal(gg.chunks(2).mask(5), np.array(chunks, bool))
    both = np.ones((5, 5), bool)
    both[:2, :2] = gg.chunks(1).mask(2)
    both[2:, 2:] = gg.chunks(1).mask(3)
    np.testing.assert_array_equal(gg.chunks(1).mask({"s": 2, "t": 3}), both)
    three = gg.chunks(1).mask({"r": 2, "s": 2, "t": 2})
    assert three.sum() == 3 * 2 + 6 * 4
    assert np.array_equal(np.argwhere(~three), [[0, 1], [1, 0], [2, 3], [3, 2], [4, 5], [5, 4]])


def test_a_softmax_with_another_reader_is_no_pair_with_cross_entropy():
    text = """
x[t]: input(K)
y[t]: input(K)
V: param(K, K)
p[t] = softmax(V @ x[t])
loss = sum({} for t in steps)
"""
    random = np.random.default_rng(0)
    values = {name: random.uniform(0.1, 1, (3, 2)) for name in "xy"}
    values["V"] = random.normal(size=(2, 2))
    for term in ("sum(p[t] * y[t])", "cross_entropy(y[t], p[t])", "cross_entropy(p[t], p[t])",
                 "cross_entropy(p[t], y[t])", "cross_entropy(p[t], V @ x[t])",
                 "cross_entropy(softmax(V @ x[t]), y[t])"):  # fmt: skip
        circuit = gg.parse(text.format(term))
        dag = circuit.unfold(3, K=2)
        (found,) = slopes(text.format(term), **values)
        for place in np.ndindex(2, 2):
            step = np.zeros((2, 2))
            step[place] = 1e-6
            ends = [dag.evaluate(values | {"V": values["V"] + d})["loss"] for d in (step, -step)]
            assert found[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_what_the_loss_does_not_depend_on():
    circuit = gg.parse("w: param()\nq: param(2)\nloss = w * w")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = circuit.unfold(1).grad().evaluate({"w": 3.0, "q": np.ones(2)})
    assert found["d_w"] == 6
    np.testing.assert_array_equal(found["d_q"], [0, 0])


def test_what_is_left_out_and_what_is_zero():
    """No cotangent where it is unknown: r matters without a parameter in it, q does not."""
    text = "x[t]: input()\nw: param()\nq[t] = 2 * x[t]\nr[t] = 3 * x[t]\n"
    circuit = gg.parse(text + "loss = w * sum(r[t] for t in steps)")
    dag = circuit.unfold(3).grad()
    assert "d_r" not in dag.series
    np.testing.assert_array_equal(dag.evaluate({"w": 1.0, "x": np.ones(3)})["d_q"], np.zeros(3))


def test_so_many_copies_and_no_more():
    circuit = gg.parse("x[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = h[tau]")
    with patch.object(copies, "MOST_COPIES", 6):
        circuit.adjoint(truncate=gg.window(5))
        with pytest.raises(GradientError, match="more than 6 copies would be needed"):
            circuit.adjoint(truncate=gg.window(6))


TWO = "x: input()\nw: param()\n"


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("q = x\nr = exp(q)\nloss = w * r", {"q", "r"}),
        ("q = 2 * x\nloss = w * sum(concat(x, x, q))", {"q"}),
        ("q = 2 * x\np = q + q * q\nloss = w * x", set()),
        ("q = stop_gradient(2 * w)\nloss = w * q", {"q"}),
        ("q = x * x\nz = stop_gradient(q)\nloss = w * z", {"z"}),
    ],
)
def test_which_cotangents_are_left_out(text, left_out):
    """Those of what matters and has no parameter in it; what does not matter has zero."""
    series = gg.parse(TWO + text).unfold(1).grad().series
    variables = {name for name in series if name in "pqrz"}
    assert variables - {name[2:] for name in series if name.startswith("d_")} == left_out


@pytest.mark.parametrize("name", ["elman", "encoder_decoder"])
def test_nodes_of_a_step_are_of_its_index(name):
    circuit = gg.cells.load(name)
    lengths = {index.length: 2 for index in circuit.check().indices.values()}
    dag = circuit.unfold(lengths, **dict.fromkeys(circuit.sizes, 2)).grad()
    for kind, step in zip(dag.kinds, dag.times, strict=True):
        assert (dag.spaces[kind] is None) == (step < 0)


def test_cotangents_are_summed_in_the_order_of_the_uses():
    dag = gg.parse("a: input()\nb: input()\nw: param()\nloss = w * a + w * b").unfold(1).grad()
    kinds = [dag.templates[kind].op.name for kind in dag.kinds]
    last = len(kinds) - 1
    assert kinds[last] == "accumulate"
    one, other = dag.args[dag.starts[last] : dag.starts[last + 1]]
    assert [dag.args[dag.starts[node]] for node in (one, other)] == [1, 2]


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.blocked and op.vjp])
def test_what_is_blocked_has_no_cotangent(name):
    op = OPS[name]
    circuit = gg.parse("v: param(3)\nk: token(3)\nloss = v[k]").check()
    v, k = (Expr(OPS["input"], attr=each, type=circuit.type_of(each)) for each in "vk")
    operands = [v, k] if name == "lookup" else [v] * op.arity
    found = op.vjp(v, Expr(OPS["input"], attr=">", type=v.type), *operands)
    assert all(found[position] is None for position in op.blocked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss = sum(concat(a, a, w * w))", [2 * 2, 0]),
        ("u = w * a\nloss = where(u > 0, 1, 2) * w", [1, 0]),
        ("p = w * a\nq = w * b\nr = w * c\nloss = p * q * r", [3 * 2**2 * 2 * 3, 0]),
        ("g[t] = w * g[t+1] * t + x[t]\ng[tau+1] = v\nloss = sum(g[t] for t in steps)", [329, 78]),
        ("g[t] = t * g[t+1] + w * x[t]\ng[tau+1] = v\nloss = sum(g[t] for t in steps)", [20, 15]),
        ("g[t] = w * g[t+1] + x[t]\ng[tau+1] = v\nloss = g[4]", [0, 1]),
        ("g[t] = w * g[t-1] + x[t]\ng[0] = v\nloss = g[tau-3]", [0, 1]),
        ("h[t] = w * x[t] if t == 2 else x[t]\nloss = sum(h[t] * h[t] for t in steps)", [16, 0]),
        ("loss = exp(w-2) * sum((v * v * (w * x[t] * w) if t % 2 == 0 else 0) for t in steps)",
         [9 * 2 * (4 + 4), 6 * 2 * 4]),
    ],
)  # fmt: skip
def test_slopes_worked_out_by_hand(text, expected):
    """Third operands and uses, conditions on values, boundaries at the end, steps in formulas."""
    head = "a: input()\nb: input()\nc: input()\nx[t]: input()\nw: param()\nv: param()\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        found = slopes(head + text, a=1, b=2, c=3, x=[1, 2, 3], v=3, w=2)
    np.testing.assert_allclose(found, expected)


def test_a_distribution_sums_to_one_inside_its_steps_only():
    text = "y[t]: distribution(K)\nV: param(K)\nloss = cross_entropy(softmax(V), y[{}])"
    for place, expected in (("tau", -1 / 2), ("tau-3", 0)):
        (d_v,) = slopes(text.format(place), y=[[1, 0]] * 3, V=[1, 1])
        np.testing.assert_allclose(d_v, [expected, -expected])


def test_the_cotangent_of_what_is_not_one_number():
    found = gg.parse("x: input(H)\nw: param()\nr = w * x").adjoint("r")
    values = {"x": np.array([1.0, 2]), "w": 3.0, "seed_r": np.array([5.0, 7])}
    assert found.unfold(1, H=2).evaluate(values)["d_w"] == 5 + 14
    found = gg.parse("x[t]: input()\nw: param()\nh[t] = w * x[t]").adjoint("h")
    values = {"x": np.array([1.0, 2]), "w": 3.0, "seed_h": np.array([5.0, 7])}
    assert found.unfold(2).evaluate(values)["d_w"] == 5 + 14


def test_what_is_written():
    """A leaf by its own name; nothing of steps that are never inside; names that are taken."""
    alias = gg.parse("w: param()\nv = w\nr[t] = v * w\nloss = v * v * r[1]").adjoint()
    assert "d_r[t] = v * v if t == 1 else 0" in str(alias)
    beyond = "x[t]: input()\nw: param()\ng[t] = w * g[t+1] + x[t]\nloss = g[tau+1] + g[1]"
    assert "d_g[t] = (1 if t == 1 else 0) + w * d_g[t-1]\n" in str(gg.parse(beyond).adjoint())
    two = "x[t]: input()\nw: param()\nv: param()\nh[t] = w * h[t-1] + x[t] + h_[t]\nh_[0] = v\n"
    circuit = gg.parse(two + "h_[t] = w * h_[t-1] + x[t]\nloss = h[tau]")
    found = circuit.adjoint(truncate=gg.window(2)).variables
    assert {"d_h__0", "d_h__0_"} <= set(found)
    never = (
        "x[t]: input()\nw: param()\nh[t] = w * x[t]\nloss = w + sum(h[t-1] for t in steps if {})"
    )
    assert "d_h" not in gg.parse(never.format("tau + 3 == tau")).adjoint().variables
    assert "d_h" in gg.parse(never.format("tau + 3 == 5")).adjoint().variables
    assert str(gg.parse("w: param()\nloss = w ** 1").adjoint()).endswith("d_w = 1\n")
    frozen = gg.parse("v: param(H)\nh[0] = v\nh[t] = h[t-1]\nloss = sum(h[0])").adjoint()
    assert "d_h[t]: state(H)\n" in str(frozen)


@pytest.mark.parametrize(
    ("term", "name"),
    [("w * x[t]", "delta_wx"), ("wy * x[t]", "delta_wyx"), ("w * x[t] * 2", "delta_loss2"),
     ("wyz * x[t]", "delta_loss2")],
)  # fmt: skip
def test_the_names_of_shared_cotangents(term, name):
    w = term.split()[0]
    text = f"x[t]: input()\n{w}: param()\nq: param()\nloss = exp({w}) * sum("
    found = gg.parse(f"{text}(q * q * ({term} * {w}) if t % 2 == 0 else 0) for t in steps)")
    assert f"{name}[t] = q * q * delta_loss if t % 2 == 0 else 0\n" in str(found.adjoint())
