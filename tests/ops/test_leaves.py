"""Constants, sizes, lengths; the ops that appear only when a circuit is unfolded."""

from __future__ import annotations

import numpy as np

import graphgrad as gg
from graphgrad.dims import Dim
from graphgrad.ir import OPS
from graphgrad.ops.leaves import basis, filled, ones, size_of, zeros


def test_numbers_of_the_circuit() -> None:
    c = gg.parse(
        "W: param(H, 2*H+1)\na = H * 10\nb = 1 / H\nd = tau / 2\nh[t] = t / tau\n"
        "g[t] = t ** 2 - tau + H\nz = sum(zeros(H)) + sum(ones(H, 2*H))\ne = onehot(1, H)"
    )
    found = c.unfold(4).evaluate({"W": np.ones((3, 7))})
    assert (found["a"], found["b"], found["d"], found["z"]) == (30, 1 / 3, 2, 18)
    np.testing.assert_array_equal(found["h"], [0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found["g"], np.arange(1, 5) ** 2 - 4 + 3)
    np.testing.assert_array_equal(found["e"], [0, 1, 0])


def test_lengths_of_several_indices() -> None:
    c = gg.parse("s: steps(m)\nt: steps(n)\ng[s] = s + 10 * m + 100 * n\nh[t] = t * n - m")
    found = c.unfold({"s": 2, "n": 3}).evaluate({})
    np.testing.assert_array_equal(found["g"], [321, 322])
    np.testing.assert_array_equal(found["h"], [1, 4, 7])


def test_makers() -> None:
    shape = (Dim.of("H"),)
    assert zeros(()).attr == 0
    assert zeros(()).op is OPS["const"]
    assert ones(shape).attr.value == 1
    assert filled(1, shape).shape == shape
    assert basis(2, Dim.of("K")).shape == (Dim.of("K"),)
    assert size_of(Dim.of(5)).attr == 5
    assert (
        str(gg.parse("W: param(H)\nK: size(2)\na = sum(W) * H").equations["a"]) == "a = sum(W) * H"
    )


def test_a_variable_that_repeats_another_is_a_node_of_its_own() -> None:
    c = gg.parse("p: param(H)\nq[t] = h[t]\nh[t] = p * t\nloss = sum(sum(q[t]) for t in steps)")
    dag = c.unfold(2)
    assert dag["q", 1].op == "copy"
    assert dag["q", 1].args == [dag["h", 1]]
    found = dag.grad().evaluate({"p": np.ones(3)})
    np.testing.assert_array_equal(found["q"], found["h"])
    np.testing.assert_array_equal(found["d_q"], np.ones((2, 3)))


def test_sums_over_time_are_one_node() -> None:
    dag = gg.parse("h[t] = t * 1\nloss = sum(h[t] for t in steps if t != 2)").unfold(5)
    assert dag["loss"].op == "accumulate"
    assert dag["loss"].args == [dag["h", k] for k in (1, 3, 4, 5)]
    one = gg.parse("h[t] = t * 1\nloss = sum(h[t] for t in steps if t == 2)").unfold(5)
    assert one["loss"].op == "copy"
    mean = gg.parse("h[t] = t * 1\nloss = mean(h[t] for t in steps if t > 2)").unfold(5)
    assert mean["loss"].op == "div"
    assert mean["loss"].args[1].value == 3


def test_a_scalar_may_stand_for_an_array_at_a_boundary_and_in_a_choice() -> None:
    c = gg.parse(
        "k: param()\nw: param(H)\nh[0] = k\nh[t] = (w if t > 1 else 2 * k) * h[t-1]\n"
        "loss = sum(h[tau])"
    )
    dag = c.unfold(2)
    assert dag["h", 0].op == "expand"
    found = dag.grad().evaluate({"k": 2.0, "w": np.array([3.0, 5.0])})
    np.testing.assert_array_equal(found["h"], [[8, 8], [24, 40]])
    assert found["d_k"] == 8 * (3 + 5)
