"""What nothing noticed before the library was mutated: kinks, names, messages, odd requests."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.adjoint import copies
from graphgrad.errors import DataError, GradientError


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
        (["w", "q"], "q"),
        (["w", "x", "w", "q"], "q"),
        ([3], "names nothing to differentiate by"),
    ):
        with pytest.raises(gg.GraphgradError, match=message):
            dag.grad(wrt=wrt)
    with pytest.raises(DataError, match="is taken of contributions, not of dict"):
        gg.window(2).of({})


def test_masks_entry_by_entry():
    window = [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
    chunks = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(gg.window(2).mask(5), np.array(window, bool))
    np.testing.assert_array_equal(gg.chunks(2).mask(5), np.array(chunks, bool))
    both = np.ones((5, 5), bool)
    both[:2, :2] = gg.chunks(1).mask(2)
    both[2:, 2:] = gg.chunks(1).mask(3)
    np.testing.assert_array_equal(gg.chunks(1).mask({"s": 2, "t": 3}), both)


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
                 "cross_entropy(p[t], y[t])"):  # fmt: skip
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
