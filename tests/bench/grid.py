"""The table of speeds: every back end beside every peer, on the same data, in interleaved rounds.

    OMP_NUM_THREADS=1 python -m tests.bench.grid            # everything, some 20 minutes
    OMP_NUM_THREADS=1 python -m tests.bench.grid --size tiny small --dtype float32 --cell lstm

Prints a row a case as it goes and writes docs/benchmarks.md with --write. Each peer's loss and
gradients are compared with ours before anything is timed. Times are medians of wall-clock time;
the first call of a back end, which compiles, is reported beside them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import graphgrad as gg
from tests.bench.hand_written import CAREFUL
from tests.bench.peers import jax_scans, ready, torch_layer
from tests.bench.test_compile import SIZES, TOLERANCE, same, with_autograd, with_torch

TARGET = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
OURS = ("numpy", "numba", "jax")
TURN = 0.01
"""How many seconds one way is called in a round, at least once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", nargs="*", default=list(CAREFUL), choices=list(CAREFUL))
    parser.add_argument("--size", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--dtype", nargs="*", default=["float32", "float64"])
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    rows = []
    for size in options.size:
        for cell in options.cell:
            for dtype in options.dtype:
                row = case(cell, dtype, size)
                rows.append((cell, dtype, size, row))
                print(cell, dtype, size, shown(row), flush=True)
    if options.write:
        TARGET.write_text(document(rows), encoding="utf-8")


def case(cell: str, dtype: str, size: str) -> dict[str, Any]:
    """Return the median milliseconds of each way, and the seconds of our first calls."""
    import jax

    steps, examples, hidden, width, rounds = SIZES[size]
    circuit = gg.cells.load(cell)
    sizes = {"H": hidden, "D": width, "K": width}
    params = {name: value.astype(dtype) for name, value in circuit.init(0, **sizes).items()}
    made = circuit.example(1, steps, (examples,), **sizes)
    data = {name: value.astype(dtype) for name, value in made.items()}
    runs: dict[str, Any] = {}
    first: dict[str, float] = {}
    for backend in OURS:
        function = gg.value_and_grad(circuit, backend=backend)
        started = time.perf_counter()
        function(params, **data)
        first[backend] = time.perf_counter() - started
        runs[backend] = lambda function=function: function(params, **data)
    with jax.enable_x64(dtype == "float64"):
        runs["jax"] = ready(gg.value_and_grad(circuit, backend="jax").pure, params, data)
    with np.errstate(all="ignore"), jax.enable_x64(dtype == "float64"):
        runs["by hand"] = lambda: CAREFUL[cell](params, **data)
        layer = torch_layer(cell, params, data)
        runs |= {"torch.nn": layer} if layer else {}
        runs |= jax_scans(cell, params, data, unrolled=size == "tiny")
        if size in ("tiny", "small"):
            runs["torch loop"] = with_torch(cell, params, data)
            runs["autograd"] = with_autograd(cell, params, data)
        want = runs["numpy"]()
        for run in runs.values():
            same(want, run(), TOLERANCE[dtype])
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                seconds[name].append(turn(run))
    return {"ms": {name: 1e3 * median(each) for name, each in seconds.items()}, "first": first}


def turn(run: Callable[[], Any]) -> float:
    """Return the seconds of a call, as training makes them: one after the other for TURN seconds.

    The first call, which finds the caches of the processor full of the others' data, only warms.
    """
    run()
    count, started = 0, time.perf_counter()
    while not count or time.perf_counter() - started < TURN:
        run()
        count += 1
    return (time.perf_counter() - started) / count


def best_peer(ms: dict[str, float]) -> tuple[str, float]:
    """Return the fastest way that is not ours."""
    return min(((n, t) for n, t in ms.items() if n not in OURS), key=lambda each: each[1])


def shown(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in row["ms"].items()) + " ms"


def document(rows: list[tuple[str, str, str, dict[str, Any]]]) -> str:
    """Return the page: one table a size."""
    ways = list(dict.fromkeys(name for *_, row in rows for name in row["ms"]))
    lines = [
        "# Benchmarks",
        "",
        "Value and gradients by all parameters, milliseconds, medians of interleaved runs in one",
        f"process on {platform.machine()} with OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'unset')}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}. Made by",
        f"`OMP_NUM_THREADS=1 python -m tests.bench.grid {' '.join(sys.argv[1:])}`.",
        "The last column is the time of the best peer over that of our fastest back end. Cells are",
        "those of the gallery.",
        "",
    ]
    for size in dict.fromkeys(size for _, _, size, _ in rows):
        steps, examples, hidden, width, _ = SIZES[size]
        lines += [f"## {size}: τ = {steps}, {examples} examples, H = {hidden}, D = {width}", ""]
        lines += [
            "| cell | " + " | ".join(ways) + " | best peer / ours |",
            "|---|" + "---:|" * (len(ways) + 1),
        ]
        for cell, dtype, own, row in rows:
            if own != size:
                continue
            ms = row["ms"]
            numbers = [f"{ms[name]:.3g}" if name in ms else "" for name in ways]
            fastest = min(ms[name] for name in OURS)
            ratio = best_peer(ms)[1] / fastest
            lines.append(f"| {cell} {dtype} | {' | '.join(numbers)} | {ratio:.2f} |")
        lines.append("")
    lines += [
        "## First calls",
        "",
        "Seconds until the first result, in a cache of machine code or not:",
        "",
    ]
    for cell, dtype, size, row in rows:
        if size == rows[0][2]:
            told = ", ".join(f"{name} {value:.2f}" for name, value in row["first"].items())
            lines.append(f"- {cell} {dtype}: {told}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
