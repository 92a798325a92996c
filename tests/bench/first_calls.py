"""How long the first call takes: cold, from the cache on disk in a new process, by length of text.

`python -m tests.bench.first_calls` keeps what it finds in out/bench/first_calls.json, from which
`grid.py --write` makes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.cell_steps import CELLS
from tests.bench.grid import circuit_of

KEPT = Path(__file__).resolve().parents[2] / "out" / "bench" / "first_calls.json"
SHORTEST = "x[t]: input()\nw: param()\nloss = w * sum(x[t] for t in steps)"
COUNTS = (10, 20, 40, 80, 160)

ONE = """
import json, sys, time
text, backend, dtype, chosen = json.loads(sys.argv[1])
began = time.perf_counter()
import numpy as np
import graphgrad as gg
imported = time.perf_counter() - began
circuit = gg.parse(text)
parts = circuit.init(0, **chosen), circuit.example(1, 5, (2,), **chosen)
params, inputs = ({k: v.astype(dtype) for k, v in part.items()} for part in parts)
began, worked = time.perf_counter(), time.process_time()
function = gg.value_and_grad(circuit, backend=backend)
function(params, **inputs)
first, worked = time.perf_counter() - began, time.process_time() - worked
print(json.dumps({"import": imported, "first": first, "worked": worked}))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRAPHGRAD_CACHE"] = folder
        lines = [*cells(), *by_length()]
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(json.dumps({"lines": lines}), "utf-8")
    print("\n".join(lines))


def first_call(text: str, backend: str, dtype: str, **sizes: int) -> dict[str, float]:
    """Return the seconds of the import and the first call in a new process; `worked`: of CPU."""
    asked = json.dumps([text, backend, dtype, sizes])
    done = subprocess.run(
        [sys.executable, "-c", ONE, asked], capture_output=True, text=True, check=True
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def cells() -> list[str]:
    """Return the table of cold and cached first calls; every one is in a process of its own."""
    kernels = {}
    for dtype in ("float32", "float64"):
        kernels[dtype] = first_call(SHORTEST, "numba", dtype)["first"]
    lines = [
        "## First calls, cold and cached",
        "",
        "Seconds from `gg.value_and_grad(…)` to the first result, each in a new process. *Cold*:",
        "this program was never compiled here. *Cached*: it was, in another process. What all",
        f"programs share takes {kernels['float32']:.1f} s for float32 and "
        f"{kernels['float64']:.1f} s for float64, once on a machine.",
        "",
        "| seconds | numpy | numba, cold | numba, cached |",
        "|---|---:|---:|---:|",
    ]
    imports = []
    for name in CELLS:
        text = str(circuit_of(name))
        for dtype in ("float32", "float64"):
            sizes = {"H": 32, "D": 16, "K": 16}
            each = [first_call(text, by, dtype, **sizes) for by in ("numpy", "numba", "numba")]
            imports += [told["import"] for told in each]
            numbers = " | ".join(f"{told['first']:.2f}" for told in each)
            lines.append(f"| {name} {dtype} | {numbers} |")
    return [*lines, "", f"`import graphgrad` took {median(imports):.2f} s (median).", ""]


def chain(count: int) -> str:
    """Return a recurrent circuit of this many equations, each with a function and a product."""
    lines = ["x[t]: input(H)", "w: param(H)", "a0[t] = tanh(w * h[t-1] + x[t])"]
    lines += [f"a{k}[t] = tanh(a{k - 1}[t]) * {k}.5 + a{k // 2}[t]" for k in range(1, count)]
    return "\n".join([*lines, f"h[t] = a{count - 1}[t]", "loss = sum(sum(h[t]) for t in steps)"])


def by_length() -> list[str]:
    """Return the table of first calls by the number of equations."""
    lines = [
        "## Compile time by the number of equations",
        "",
        "Processor seconds from `gg.value_and_grad(…)` to the first result of a chain of this many",
        "recurrent equations, and milliseconds for each of them, nothing cached:",
        "",
        "| equations | numpy | ms an equation | numba | ms an equation |",
        "|---:|---:|---:|---:|---:|",
    ]
    for count in COUNTS:
        row: list[Any] = [count]
        for backend in ("numpy", "numba"):
            seconds = first_call(chain(count), backend, "float64", H=4)["worked"]
            row += [f"{seconds:.2f}", f"{1e3 * seconds / count:.0f}"]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
