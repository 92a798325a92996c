# ruff: noqa: RUF059
"""Variables and inputs in Python: which times they have, and what may be defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphgrad as gg
from graphgrad import Circuit, t, tanh, tau
from graphgrad.errors import BoundaryError, GraphgradError, NotationError


def small() -> tuple[Circuit, Any, Any, Any]:
    c = Circuit("small")
    return c, c.input("x", "D", index=t), c.param("W", "D", "D"), c.var("h")


@pytest.mark.parametrize("time", [1.5, "t", 2 * t, t * t, t % 2, -t, tau - t, True, None, slice(1)])
def test_times_that_are_none(time: Any) -> None:
    _, x, _, h = small()
    with pytest.raises(GraphgradError):
        x[time]
    with pytest.raises(GraphgradError):
        h[time] = 1


def test_what_an_equation_may_define() -> None:
    c, x, W, h = small()
    with pytest.raises(NotationError, match="an equation defines h at t"):
        h[t + 1] = x[t]
    with pytest.raises(BoundaryError, match=r"h\[2\] lies inside 1..tau"):
        h[2] = 0
    with pytest.raises(BoundaryError, match=r"h\[tau\] lies inside"):
        h[tau] = 0
    with pytest.raises(NotationError, match="h needs a time in brackets"):
        tanh(h)
    with pytest.raises(NotationError, match="h cannot be iterated over"):
        list(h)


def test_static_variables_in_python() -> None:
    c, x, W, h = small()
    p = c.var("p", index=None)
    c["p"] = gg.sum(W)
    h[t] = 2 * p * h[t - 1] + p / 2 + np.tanh(p) - (-p) + p**2 + x[t]
    assert c == gg.parse(
        "x[t]: input(D)\nW: param(D, D)\np = sum(W)\n"
        "h[t] = 2 * p * h[t-1] + p / 2 + tanh(p) - (-p) + p ** 2 + x[t]"
    )
