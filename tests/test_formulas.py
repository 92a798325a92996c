"""Expressions in Python: operators, NumPy's protocols, and errors instead of surprises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import Circuit, t, tanh
from graphgrad.errors import GraphgradError
from graphgrad.ir import OPS, Expr


@pytest.mark.parametrize(
    ("function", "op"),
    [(op.ufunc, op) for op in OPS.values() if op.ufunc is not None],
    ids=[op.name for op in OPS.values() if op.ufunc is not None],
)
def test_ufuncs(function: Any, op: Any) -> None:
    c = Circuit()
    u = c.param("u", "H", "H")
    arguments = [u] * function.nin
    made = function(*arguments)
    assert isinstance(made, Expr)
    assert made.op is op
    c["out"] = made
    value = np.array([[2.0, 0.5], [0.25, 1.0]])
    found = c.unfold(1).evaluate({"u": value})["out"]
    np.testing.assert_allclose(found, function(*[value] * function.nin), rtol=1e-15)


@pytest.mark.parametrize(
    ("function", "op"),
    [(f, op) for op in OPS.values() for f in op.array_functions],
    ids=lambda each: getattr(each, "__name__", None) or each.name,
)
def test_array_functions(function: Any, op: Any) -> None:
    c = Circuit()
    value: Any = np.array([2.0, 0.5])
    u = c.param("u", "H", *(["H"] if op.name == "transpose" else []))
    if op.name == "transpose":
        value = np.array([[2.0, 0.5], [0.25, 1.0]])
    if op.name == "concat":
        made, expected = function([u, u]), function([value, value])
    elif op.arity == 2:
        made, expected = function(u, u), function(value, value)
    else:
        made, expected = function(u), function(value)
    assert made.op is op
    c["out"] = made
    np.testing.assert_allclose(c.unfold(1).evaluate({"u": value})["out"], expected, rtol=1e-15)


def test_numpy_code_for_a_cell() -> None:
    """What a person wrote for arrays builds the circuit."""

    def cell(W: Any, U: Any, b: Any, h: Any, x: Any) -> Any:
        return np.tanh(np.dot(W, h) + U @ x + np.exp(-b) * np.float64(0.5) + np.abs(b) ** 2)

    c = Circuit()
    x = c.input("x", "D", index=t)
    W, U, b = c.param("W", "H", "H"), c.param("U", "H", "D"), c.param("b", "H")
    h = c.var("h")
    h[t] = cell(W, U, b, h[t - 1], x[t])
    values = c.init(1, H=3, D=2) | c.example(1, 2, H=3, D=2)
    found = c.unfold(2).evaluate(values)["h"]
    state: Any = np.zeros(3)
    for k in range(2):
        state = cell(values["W"], values["U"], values["b"], state, values["x"][k])
        np.testing.assert_allclose(found[k], state, rtol=1e-14)


@pytest.mark.parametrize(
    "make",
    [
        lambda u: np.sinh(u),
        lambda u: np.add(u, u, where=True),
        lambda u: np.add.reduce(u),
        lambda u: np.multiply.outer(u, u),
        lambda u: np.sum(u, axis=0),
        lambda u: np.linalg.norm(u),
        lambda u: np.concatenate([u, u], axis=0),
        lambda u: np.ones(2) * u,
        lambda u: u + np.ones(2),
        lambda u: u + "1",
        lambda u: u + None,
        lambda u: u + 1j,
        lambda u: u + True,
        lambda u: u * float("nan"),
        lambda u: u * float("inf"),
        lambda u: u * 10**400,
        lambda u: u[0],
        lambda u: u[0:1],
        lambda u: list(u),
        lambda u: sum(u),
        lambda u: max(u),
        lambda u: bool(u),
        lambda u: u and 1,
        lambda u: 1 if u > 0 else 2,
        lambda u: (u > 0) + 1,
        lambda u: 2 * (u > 0),
        lambda u: (u > 0) & (u < 1),
        lambda u: np.where(u > 0, 1),
        lambda u: np.sum(u > 0),
        lambda u: gg.where(u, 1, 2),
        lambda u: tanh(),
        lambda u: tanh(u, u),
        lambda u: gg.sum(u, where=t > 1),
        lambda u: gg.sum(u, over=t + 1),
        lambda u: gg.split(u, 0),
        lambda u: gg.at(u, -1),
        lambda u: gg.at(u, 0.5),
        lambda u: gg.zeros(),
        lambda u: gg.ones(1, 2, 3),
        lambda u: gg.onehot(-1, "H"),
        lambda u: sum(u for t in gg.steps),
        lambda u: [u for t in gg.steps],
    ],
)
def test_misuse_of_expressions(make: Any) -> None:
    u = Circuit().param("u", "H")
    with pytest.raises(GraphgradError) as caught:
        make(u)
    assert caught.value.remedy or "argument" in caught.value.message


def test_where_of_numpy() -> None:
    c = Circuit()
    u = c.param("u", "H")
    c["out"] = np.where(u > 0, u, -1)
    assert str(c.equations["out"]) == "out = where(u > 0, u, -1)"
