"""Vector functions against mpmath: errors in units in the last place, on all ranges, and edges."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

pytestmark = pytest.mark.oracle("numba")

SOURCE = """
def run(out, x):
    for j in range(0, x.size, lanes(x)):
        left = x.size - j
        store(out, (j,), left, {name}(load(x, (j,), left)))
"""
ULPS = {  # what is promised, in float32 and in float64
    "tanh": (3.0, 3.0),
    "sigmoid": (2.5, 2.5),
    "exp": (1.5, 1.5),
    "log": (1.5, 1.5),
    "log1p": (2.0, 2.0),
    "softplus": (2.5, 2.5),
}
EXACT: dict[str, Callable[[Any], Any]] = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "exp": mpmath.exp,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}


WAYS = pytest.mark.parametrize("portable", [False, True], ids=["as here", "any processor"])
"""With the instructions of this processor, and with those that every one has."""


@cache
def function(name: str, portable: bool) -> Callable[[Any], Any]:
    numba = importlib.import_module("numba")
    fast = importlib.import_module("graphgrad.compile.vector.fast")
    ir_math = importlib.import_module("graphgrad.compile.vector.ir_math")
    namespace = dict(vars(fast))
    exec(SOURCE.format(name=name), namespace)
    run = numba.njit(error_model="numpy")(namespace["run"])

    def call(x: Any) -> Any:
        out = np.full_like(x, 7)
        with pytest.MonkeyPatch.context() as patch:
            if portable:
                patch.setattr(ir_math, "_has_wide", lambda: False)
            run(out, x)
        return out

    return call


def points(name: str, dtype: Any) -> Any:
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    top = {"tanh": 12, "sigmoid": 100, "exp": 87, "softplus": 87}.get(name, 1e30)
    if dtype == np.float64:
        top = {"tanh": 25, "sigmoid": 740, "exp": 708, "softplus": 708}.get(name, 1e300)
    wide = np.exp(rng.uniform(np.log(float(info.smallest_subnormal)), np.log(top), 300))
    near = rng.uniform(-2, 2, 200)
    x = np.concatenate([wide, -wide, near, [float(info.tiny), 1.0, float(info.eps)]])
    if name == "log":
        x = np.abs(x)
        x = np.concatenate([x, 1 + rng.uniform(-1e-3, 1e-3, 50)])
    if name == "log1p":
        x = np.concatenate([x[x > -1], -1 + rng.uniform(1e-6, 1e-3, 50)])
    x = x.astype(dtype)
    return x[(x != 0) & np.isfinite(x)]


@WAYS
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ULPS)
def test_errors_in_units_in_the_last_place(name: str, dtype: Any, portable: bool) -> None:
    x = points(name, dtype)
    found = function(name, portable)(x)
    info = np.finfo(dtype)
    worst = 0.0
    with mpmath.workprec(200):
        for value, result in zip(x, found, strict=True):
            exact = EXACT[name](mpmath.mpf(float(value)))
            size = max(abs(exact), mpmath.mpf(float(info.tiny)))
            unit = mpmath.ldexp(1, int(mpmath.floor(mpmath.log(size, 2))) - info.nmant)
            worst = max(worst, float(abs(mpmath.mpf(float(result)) - exact) / unit))
    assert worst <= ULPS[name][dtype == np.float64]


INF, NAN = np.inf, np.nan
EDGES: dict[str, list[tuple[float, float]]] = {
    "tanh": [(INF, 1), (-INF, -1), (0.0, 0.0), (-0.0, -0.0)],
    "sigmoid": [(INF, 1), (-INF, 0), (0.0, 0.5), (-0.0, 0.5)],
    "exp": [(INF, INF), (-INF, 0), (0.0, 1), (1e4, INF), (-1e4, 0)],
    "log": [(INF, INF), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-INF, NAN), (1.0, 0.0)],
    "log1p": [(INF, INF), (0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (-INF, NAN)],
    "softplus": [(INF, INF), (-INF, 0), (1e4, 1e4), (-1e4, 0)],
}


@WAYS
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str, dtype: Any, portable: bool) -> None:
    given = np.array([x for x, _ in EDGES[name]] + [NAN, -NAN], dtype)
    wanted = np.array([y for _, y in EDGES[name]] + [NAN, NAN], dtype)
    found = function(name, portable)(given)
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("size", [1, 7, 8, 16, 17, 24])
def test_nothing_is_written_beyond_the_end(size: int) -> None:
    x = np.linspace(-1, 1, 64, dtype=np.float32)
    whole = np.full(64, 7, np.float32)
    numba = importlib.import_module("numba")
    fast = importlib.import_module("graphgrad.compile.vector.fast")
    namespace = dict(vars(fast))
    exec(SOURCE.format(name="tanh"), namespace)
    numba.njit(namespace["run"])(whole, x[:size].copy())
    np.testing.assert_allclose(whole[:size], np.tanh(x[:size]), rtol=1e-6)
    assert (whole[size:] == 7).all()


LARGEST = """
def run(out, x):
    store(out, (0,), 1, across_max(load(x, (0,), x.size)))
"""


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_the_largest_lane_and_nan_in_any_lane(dtype: Any) -> None:
    numba = importlib.import_module("numba")
    fast = importlib.import_module("graphgrad.compile.vector.fast")
    lanes = importlib.import_module("graphgrad.compile.vector.lanes")
    namespace = dict(vars(fast))
    exec(LARGEST, namespace)
    run = numba.njit(error_model="numpy")(namespace["run"])
    count = lanes.register_bytes() // np.dtype(dtype).itemsize
    for place in range(count):
        x, out = np.linspace(-3, -2, count, dtype=dtype), np.zeros(1, dtype)
        x[place] = 5
        run(out, x)
        assert out[0] == 5
        x[place] = NAN
        run(out, x)
        assert np.isnan(out[0])
