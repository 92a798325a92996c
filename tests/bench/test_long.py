"""Long sequences under a budget of memory; no assertions on time. See `grid.py` for all else."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

import graphgrad as gg


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_million_steps_under_a_budget(benchmark, capsys, backend):
    """Memory and time a step of an Elman network with 64 units, against a short run without budget.

    tracemalloc, which slows down what it watches, measures a run of its own.
    """
    circuit = gg.cells.load("elman")
    sizes = {"H": 64, "D": 8, "K": 8}
    params = circuit.init(0, **sizes)
    short, long = 20_000, 1_000_000
    x = np.random.default_rng(0).standard_normal((long, 8))
    y = np.full((long, 8), 1 / 8)
    plain = gg.value_and_grad(circuit, backend=backend)
    budget = gg.value_and_grad(circuit, backend=backend, checkpoint=2**28)
    for _ in range(2):
        start = time.process_time()
        plain(params, x=x[:short], y=y[:short])
        unbudgeted = (time.process_time() - start) / short
    budget(params, x=x, y=y)  # compiles
    start = time.process_time()
    benchmark.pedantic(budget, (params,), {"x": x, "y": y}, rounds=1)
    ratio = (time.process_time() - start) / long / unbudgeted
    tracemalloc.start()
    budget(params, x=x, y=y)
    tracemalloc.stop()
    plan = budget.plan
    with capsys.disabled():
        print(
            f"\n{backend}, {long} steps: {plan.measured / 2**20:.0f} MiB beyond the data, "
            f"predicted {plan.predicted / 2**20:.0f}, {ratio:.2f} times the time a step "
            f"of {short} steps",
            end="",
        )
    assert plan.measured < 2**30
