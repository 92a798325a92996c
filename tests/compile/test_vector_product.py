"""Products of packed matrices against NumPy, for registers of every width."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.oracle("numba")

SCRIPT = """
import llvmlite.binding as llvm
features = {features}
if features is not None:
    llvm.get_host_cpu_features = lambda: type("Features", (dict,), {{"flatten": str}})(features)
import numpy as np
from numba import njit
from graphgrad.compile.run_numba import _kernels
from graphgrad.compile.vector.fast import across_sum, kept, lanes, load, outer_sum, pack, store
from graphgrad.compile.vector.fast import panels, product, row_sum, times

@njit
def run(out, sums, gram, column, a, w, wt, rows, columns, depth):
    packed = panels(columns, depth, out)
    pack(packed, depth, 0, 0, w, 0, (columns // 2, depth), False)
    start = columns // 2 * depth
    pack(packed, depth, columns // 2, 0, w, start, (columns - columns // 2, depth), False)
    product(out, 0, columns, rows, columns, a, 0, depth, depth, packed)
    pack(packed, depth, 0, 0, wt, 0, (depth, columns), True)
    product(sums, 0, columns, rows, columns, a, 0, depth, depth, packed)
    outer_sum(gram, columns, depth, out, 0, columns, a, 0, depth, rows, True)
    outer_sum(gram, columns, depth, out, 0, columns, a, 0, depth, rows, False)
    row_sum(column, 1, columns, out, 0, columns, rows)

@njit
def row(out, a, w, start, columns, depth):
    packed = panels(columns, depth, out)
    pack(packed, depth, 0, 0, w, 0, (columns, depth), False)
    for j in range(0, columns, lanes(out)):
        store(out, (1 + j,), columns - j, times(packed, depth, j, a, start))

@njit
def part(gram, u, first, rows, a):
    outer_sum(gram, rows, a.shape[1], u, first, u.shape[1], a, 0, a.shape[1], len(a), True)

@njit
def total(x, out):
    whole = kept(load(x, (0,), 3), 3, 0)
    store(out, (0,), 1, across_sum(whole))
    return lanes(x)

rng = np.random.default_rng(0)
for dtype, tolerance in {dtypes}:
    _kernels(np.dtype(dtype).name)
    for rows, columns, depth in [
        (1, 1, 1), (1, 33, 5), (5, 31, 8), (13, 64, 3), (25, 40, 400), (400, 30, 32), (7, 25, 24),
    ]:
        a, w = rng.standard_normal((rows, depth)), rng.standard_normal((columns, depth))
        a, w = a.astype(dtype), w.astype(dtype)
        out, other = np.full((2, rows, columns), 9, dtype)
        gram, column = np.full((columns, depth), 9, dtype), np.full(columns + 2, 9, dtype)
        run(out, other, gram, column, a, w, np.ascontiguousarray(w.T), rows, columns, depth)
        exact = a.astype(np.longdouble) @ w.T.astype(np.longdouble)
        assert np.max(np.abs(out - exact)) <= tolerance * depth
        assert (out == other).all()
        single = np.full(columns + 2, 9, dtype)
        row(single, a, w, (rows - 1) * depth, columns, depth)
        assert np.max(np.abs(single[1:-1] - exact[-1])) <= tolerance * depth
        assert single[0] == single[-1] == 9
        assert np.max(np.abs(column[1:-1] - exact.sum(axis=0))) <= tolerance * depth * rows
        assert column[0] == column[-1] == 9
        twice = 2 * exact.T @ a
        assert np.max(np.abs(gram - twice)) <= tolerance * depth * rows * np.max(np.abs(exact))
    for width in (512, 500):  # rows of 512 numbers lie so far apart that they are copied first
        u, a = rng.standard_normal((201, width)).astype(dtype), rng.standard_normal((201, 70))
        a, gram, rows = a.astype(dtype), np.full((width - 13, 70), 9, dtype), width - 13
        u[:, :3] = u[:, 3 + rows :] = np.nan
        part(gram, u, 3, rows, a)
        exact = u[:, 3 : 3 + rows].T.astype(np.longdouble) @ a
        assert np.max(np.abs(gram - exact)) <= tolerance * 201 * 4
    x, out = np.array([1.5, 2, 4, 100], dtype), np.zeros(1, dtype)
    assert total(x, out) == {size} // np.dtype(dtype).itemsize or {features} is None
    assert out[0] == 7.5
print("done")
"""
BOTH = "((np.float32, 4e-7), (np.float64, 1e-15))"
ONE = "((np.float32, 4e-7),)"


@pytest.mark.parametrize(
    ("features", "size", "dtypes"),
    [("None", 0, BOTH), ("{'avx': True}", 32, ONE), ("{}", 16, ONE)],
    ids=["here", "32 bytes", "16 bytes"],
)
def test_products(
    features: str, size: int, dtypes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHGRAD_CACHE", str(tmp_path))
    code = SCRIPT.format(features=features, size=size, dtypes=dtypes)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=250
    )
    assert done.stdout.strip() == "done", done.stderr
