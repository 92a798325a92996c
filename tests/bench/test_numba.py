"""How fast the Numba back end is: value and gradients of an LSTM, vector functions.

Products beside the BLAS of NumPy in the same process. That uses all processors unless it is told
not to (OPENBLAS_NUM_THREADS=1), ours use one. `grid.py` compares with peers, `first_calls.py`
measures compile time.
"""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg

pytest.importorskip("numba")
LSTM = """
x[t]: input(D)
W: param(4*H, H)
U: param(4*H, D)
b: param(4*H)
i[t], f[t], g[t], o[t] = split(b + W @ h[t-1] + U @ x[t], 4)
c[t] = sigmoid(f[t]) * c[t-1] + sigmoid(i[t]) * tanh(g[t])
h[t] = sigmoid(o[t]) * tanh(c[t])
loss = sum(sum(h[t]) for t in steps)
"""
SIZES = {
    "tiny": (100, 1, 8, 4),
    "small": (100, 16, 32, 16),
    "medium": (100, 32, 128, 64),
    "large": (100, 64, 512, 256),
}


def data(size, dtype):
    tau, batch, hidden, width = SIZES[size]
    circuit = gg.parse(LSTM)
    chosen = {"H": hidden, "D": width}
    values = circuit.init(0, **chosen), circuit.example(1, tau, (batch,), **chosen)
    return circuit, *({key: v.astype(dtype) for key, v in part.items()} for part in values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 2])
def test_lstm(benchmark, size, dtype, threads):
    circuit, params, inputs = data(size, dtype)
    function = gg.value_and_grad(circuit, backend="numba", threads=threads)
    function(params, **inputs)
    benchmark(function, params, **inputs)
    benchmark.extra_info["compile seconds"] = function.compiled.compile_seconds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "log"])
def test_function(benchmark, name, dtype):
    from numba import njit

    from graphgrad.compile.vector import fast

    text = (
        "def run(out, x):\n"
        "    for j in range(0, x.size, lanes(x)):\n"
        f"        store(out, (j,), x.size - j, {name}(load(x, (j,), x.size - j)))\n"
    )
    namespace = dict(vars(fast))
    exec(text, namespace)
    run = njit(error_model="numpy")(namespace["run"])
    x = np.random.default_rng(0).uniform(0.1, 3, 1024).astype(dtype)
    out = np.empty_like(x)
    run(out, x)
    benchmark(run, out, x)
    benchmark.extra_info["ns an element"] = benchmark.stats.stats.median / x.size * 1e9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(16, 128, 32), (32, 512, 128), (64, 2048, 512)], ids=str)
@pytest.mark.parametrize("by", ["own", "numpy"])
def test_product(benchmark, shape, dtype, by):
    from numba import njit

    from graphgrad.compile.run_numba import _kernels
    from graphgrad.compile.vector.fast import pack, panels, product

    rows, columns, depth = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, depth)).astype(dtype)
    w = rng.standard_normal((columns, depth)).astype(dtype)
    out = np.empty((rows, columns), dtype)
    if by == "numpy":
        benchmark(np.dot, a, w.T, out=out)
        return
    _kernels(dtype)

    @njit
    def packed_of(w, columns, depth):
        packed = panels(columns, depth, w)
        pack(packed, depth, 0, 0, w, 0, (columns, depth), False)
        return packed

    @njit
    def run(out, a, packed, rows, columns, depth):
        product(out, 0, columns, rows, columns, a, 0, depth, depth, packed)

    packed = packed_of(w, columns, depth)
    benchmark(run, out, a, packed, rows, columns, depth)
    assert np.allclose(out, a @ w.T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1600, 128, 32), (3200, 384, 128), (3200, 512, 128)], ids=str)
@pytest.mark.parametrize("by", ["own", "numpy"])
def test_sum_of_outer_products(benchmark, shape, dtype, by):
    from numba import njit

    from graphgrad.compile.run_numba import _kernels
    from graphgrad.compile.vector.fast import outer_sum

    count, rows, columns = shape
    rng = np.random.default_rng(0)
    u = rng.standard_normal((count, rows)).astype(dtype)
    v = rng.standard_normal((count, columns)).astype(dtype)
    out = np.empty((rows, columns), dtype)
    if by == "numpy":
        benchmark(np.matmul, u.T, v, out=out)
        return
    _kernels(dtype)

    @njit
    def run(out, rows, columns, u, v, count):
        outer_sum(out, rows, columns, u, 0, rows, v, 0, columns, count, True)

    run(out, rows, columns, u, v, count)
    benchmark(run, out, rows, columns, u, v, count)
    assert np.allclose(out, u.T @ v, rtol=1e-3, atol=1e-2)
