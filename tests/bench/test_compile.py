"""Compiled NumPy functions against what one would write or use otherwise; no assertions on time.

Run with `make bench`. Every peer computes the same loss and gradients, compared first, of the same
data; rounds are interleaved and medians taken, of the time that the process computes (on an idle
machine with one thread that is the time that passes). `ratio` is the peer's time over ours.
"""

from __future__ import annotations

import time
import tracemalloc
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

import graphgrad as gg
from tests.bench.hand_written import CAREFUL, LOOPS

SIZES = {
    "tiny": (100, 1, 8, 4, 15),
    "small": (100, 16, 32, 16, 11),
    "medium": (100, 32, 128, 64, 7),
    "large": (100, 64, 512, 256, 3),
}
TOLERANCE = {"float32": 5e-4, "float64": 1e-10}


def with_autograd(cell, params, data):
    """Return loss and gradients by HIPS autograd, a step at a time."""
    autograd = pytest.importorskip("autograd")
    import autograd.numpy as anp

    def log_softmax(u):
        shifted = u - anp.max(u, axis=-1, keepdims=True)
        return shifted - anp.log(anp.sum(anp.exp(shifted), axis=-1, keepdims=True))

    functions = SimpleNamespace(
        tanh=anp.tanh,
        sigmoid=lambda u: 1 / (1 + anp.exp(-u)),
        log_softmax=log_softmax,
        zeros=lambda *shape: np.zeros(shape, data["x"].dtype),
    )
    loss = LOOPS[cell]
    both = autograd.value_and_grad(lambda p: loss(p, data["x"], data["y"], functions))
    return lambda: both(params)


def with_torch(cell, params, data):
    """Return loss and gradients by PyTorch, a step at a time."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    given = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    x, y = torch.tensor(data["x"]), torch.tensor(data["y"])
    functions = SimpleNamespace(
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        log_softmax=lambda u: torch.log_softmax(u, -1),
        zeros=lambda *shape: torch.zeros(shape, dtype=x.dtype),
    )

    def both():
        loss = LOOPS[cell](given, x, y, functions)
        grads = torch.autograd.grad(loss, list(given.values()))
        return loss.item(), dict(zip(given, grads, strict=True))

    return both


def same(ours, theirs, tolerance):
    """Raise where a peer computes something else."""
    loss, grads = ours
    other, others = theirs
    assert abs(loss - float(other)) <= tolerance * abs(loss)
    for name, grad in grads.items():
        gap = np.max(np.abs(grad - np.asarray(others[name])))
        assert gap <= tolerance * np.max(np.abs(grad)), name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CAREFUL)
def test_value_and_gradients(benchmark, capsys, cell, dtype, size):
    steps, examples, hidden, inputs, rounds = SIZES[size]
    circuit = gg.cells.load(cell)
    sizes = {"H": hidden, "D": inputs, "K": inputs}
    params = {name: value.astype(dtype) for name, value in circuit.init(0, **sizes).items()}
    made = circuit.example(1, steps, (examples,), **sizes)
    data = {name: value.astype(dtype) for name, value in made.items()}
    function = gg.value_and_grad(circuit)

    def careful():
        with np.errstate(all="ignore"):
            return CAREFUL[cell](params, **data)

    runs = {"graphgrad": lambda: function(params, **data), "by hand": careful}
    if size in ("tiny", "small"):
        runs["autograd"] = with_autograd(cell, params, data)
        runs["torch loop"] = with_torch(cell, params, data)
    first = runs["graphgrad"]()
    for run in runs.values():
        same(first, run(), TOLERANCE[dtype])
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # what ran before has left the caches to itself
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    medians = {name: median(each) for name, each in times.items()}
    benchmark.extra_info |= {name: 1e3 * value for name, value in medians.items()}
    benchmark.pedantic(runs["graphgrad"], rounds=1)
    with capsys.disabled():
        row = f"\n{cell:6}{dtype:8} {size:7}{1e3 * medians.pop('graphgrad'):9.3f} ms"
        for name, value in medians.items():
            row += (
                f"  {name} {1e3 * value:9.3f} ms, ratio {value / median(times['graphgrad']):5.2f}"
            )
        print(row, end="")


def test_a_million_steps_under_a_budget(benchmark, capsys):
    """Memory and time a step of an Elman network with 64 units, against a short run without budget.

    tracemalloc, which slows down what it watches, measures a run of its own.
    """
    circuit = gg.cells.load("elman")
    sizes = {"H": 64, "D": 8, "K": 8}
    params = circuit.init(0, **sizes)
    short, long = 20_000, 1_000_000
    x = np.random.default_rng(0).standard_normal((long, 8))
    y = np.full((long, 8), 1 / 8)
    plain, budget = gg.value_and_grad(circuit), gg.value_and_grad(circuit, checkpoint=2**28)
    for _ in range(2):
        start = time.process_time()
        plain(params, x=x[:short], y=y[:short])
        unbudgeted = (time.process_time() - start) / short
    start = time.process_time()
    benchmark.pedantic(budget, (params,), {"x": x, "y": y}, rounds=1)
    ratio = (time.process_time() - start) / long / unbudgeted
    tracemalloc.start()
    budget(params, x=x, y=y)
    tracemalloc.stop()
    plan = budget.plan
    with capsys.disabled():
        print(
            f"\n{long} steps: {plan.measured / 2**20:.0f} MiB beyond the data, predicted "
            f"{plan.predicted / 2**20:.0f}, {ratio:.2f} times the time a step of {short} steps",
            end="",
        )
    assert plan.measured < 2**30
