"""Look-ups by tokens and what belongs to them, cutting and joining."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.errors import DataError

TOKENS = np.array([2, 0, 2])
TABLE = np.arange(12.0).reshape(4, 3) + 0.5


def test_lookup_and_its_gradient() -> None:
    c = gg.parse(
        "x[t]: token(N)\nr[t]: input(D)\nE: param(N, D)\ne[t] = E[x[t]]\n"
        "loss = sum(sum(r[t] * e[t]) for t in steps)"
    )
    r = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    found = c.unfold(3).grad().evaluate({"E": TABLE, "x": TOKENS, "r": r})
    np.testing.assert_array_equal(found["e"], TABLE[TOKENS])
    expected = np.zeros((4, 3))
    np.add.at(expected, TOKENS, r)
    np.testing.assert_array_equal(found["d_E"], expected)


def test_lookup_of_a_vector_and_of_a_formula() -> None:
    c = gg.parse(
        "x[t]: token(N)\nv: param(N)\nE: param(D, N)\nq = E.T\n"
        "a[t] = v[x[t]]\nb[t] = sum(q[x[t]])\nd[t] = sum((2 * E.T)[x[t]])\n"
        "loss = sum(a[t] * b[t] + d[t] for t in steps)"
    )
    v = np.array([1.0, 2.0, 3.0, 4.0])
    found = c.unfold(3).grad().evaluate({"v": v, "E": TABLE.T, "x": TOKENS})
    np.testing.assert_array_equal(found["a"], v[TOKENS])
    np.testing.assert_array_equal(found["b"], TABLE.sum(axis=1)[TOKENS])
    np.testing.assert_array_equal(found["d"], 2 * TABLE.sum(axis=1)[TOKENS])
    counts = np.bincount(TOKENS, minlength=4)
    np.testing.assert_array_equal(found["d_v"], counts * TABLE.sum(axis=1))
    np.testing.assert_array_equal(found["d_E"], np.ones((3, 1)) * (counts * (v + 2)))


@pytest.mark.parametrize("number", [np.float64, np.float32, np.complex128, Fraction])
def test_onehot_has_the_numbers_of_the_data(number: type) -> None:
    c = gg.parse(
        "x[t]: token(N)\nE: param(N, D)\no[t] = onehot(x[t])\n"
        "loss = sum(sum(E.T @ o[t]) + sum(onehot(1, D)) for t in steps)"
    )
    table = np.array([[number(int(4 * e)) for e in row] for row in TABLE])
    found = c.unfold(3).grad().evaluate({"E": table, "x": TOKENS})
    np.testing.assert_array_equal(np.real(found["o"]), np.eye(4)[TOKENS])
    for name in ("o", "loss", "d_E"):
        entry = np.asarray(found[name]).ravel()[0]
        assert isinstance(entry, number), name


@pytest.mark.parametrize(
    "text",
    ["at(v, 5)", "sum(onehot(5, H))", "at(v + v, 3)"],
)
def test_positions_outside_once_sizes_are_known(text: str) -> None:
    c = gg.parse(f"v: param(H)\nh[t] = {text} * sum(v)")
    values = {"v": np.ones(3)}
    with pytest.raises(DataError, match=r"there is no component \d: H = 3") as caught:
        c.unfold(2).evaluate(values)
    assert caught.value.place is not None
    assert caught.value.remedy == "components and tokens are counted from 0 to 2"
    c.unfold(2).evaluate({"v": np.ones(6)})


def test_constant_token_outside_once_sizes_are_known() -> None:
    c = gg.parse("x[t]: token(N)\nv: param(N)\nx[0] = 4\nh[t] = v[x[t-1]]")
    with pytest.raises(DataError, match="there is no component 4: N = 3"):
        c.unfold(2).evaluate({"v": np.ones(3), "x": [0, 1]})


def test_concat_and_split_are_inverse() -> None:
    c = gg.parse(
        "u: param(H)\nv: param(K)\nk: param()\n"
        "a, b, d = split(concat(u, v, k), H, K, 1)\nloss = sum(a) + 2 * sum(b) + 3 * sum(d)"
    )
    values = {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0, 5.0]), "k": np.float64(6.0)}
    found = c.unfold(1).grad().evaluate(values)
    np.testing.assert_array_equal(found["a"], values["u"])
    np.testing.assert_array_equal(found["b"], values["v"])
    np.testing.assert_array_equal(found["d"], [6.0])
    np.testing.assert_array_equal(found["d_u"], [1, 1])
    np.testing.assert_array_equal(found["d_v"], [2, 2, 2])
    assert found["d_k"] == 3
    assert np.shape(found["d_k"]) == ()
