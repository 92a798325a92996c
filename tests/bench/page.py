"""docs/benchmarks.md, from what `grid.py` and `first_calls.py` have measured.

What they kept in out/ goes into docs/benchmarks.json, for each machine in the place of what is
there; the page is written from that file. So a part of the grid can be measured anew.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.cell_steps import CELLS
from tests.bench.first_calls import KEPT
from tests.bench.grid import DTYPES, OURS, PAUSE, ROUNDS, SIZES, Case, queue

TARGET = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
DATA = TARGET.with_suffix(".json")
SAID = {
    "elman": "Elman",
    "lstm": "LSTM",
    "gru": "GRU",
    "gru_reset_after": "GRU, reset after",
    "lstm_peephole": "peephole LSTM",
    "output_recurrence": "output recurrence",
    "lstm_bidirectional": "bidirectional LSTM",
}
INTRODUCTION = """\
# Benchmarks

Value and gradients by all parameters: milliseconds a call, medians over interleaved rounds in one
process. Same data for everyone; losses and gradients were compared before anything was timed.
Measured by

    python -m tests.bench.first_calls
    python -m tests.bench.grid --write

- *numba*, *numpy* and *jax* are our back ends. They are given one matrix for each gate, as in the
  circuit. PyTorch, JAX, autograd and PyTensor get the matrices of all gates in one, as their users
  keep them; *by hand* is a careful NumPy pass that joins them itself.
- *jax scan* is `lax.scan` as one writes it down, *jax hoisted* has the input products before the
  scan, *jax unrolled* does five steps in one besides. (All steps in one takes JAX minutes to
  compile, and is slower.)
- *torch loop* and *autograd* do a cell a step; *PyTensor* scans with input products outside,
  compiled by Numba in a process of its own.
- *floor* is the time of the matrix products that cannot be avoided, each by the faster of NumPy's
  BLAS and PyTorch's. Below the size *medium* it measures calls from Python and is left out.
- *peak* is the time of as many multiplications in a product of two 1024 × 1024 matrices: about the
  least that any way could take which does nothing else.
- One thread means a process that is bound to one processor. With two threads there are {pause} s of
  rest before each way, since threads of a BLAS go on waiting, at full cost, after its last product.
  In its turn a way is called for some 10 ms untimed (30 ms after a rest), then timed for 10 ms.
- † marks fewer than {rounds} rounds (at least 2), for what is too slow.
- *GRU* is the one of the gallery (Cho et al.), *reset after* that of cuDNN and `torch.nn`.

Ratios are a peer's time over ours, so more is better for us; *best* is the fastest way that is not
ours. A ratio is in bold type if it is less than we wanted it to be (after the sign).
"""


def write() -> None:
    """Put what was measured last into the file of all results, and write the page."""
    data = json.loads(DATA.read_text("utf-8"))
    own = data.setdefault(machine(), {"cases": {}, "first calls": []})
    for case in queue():
        if case.file.exists():
            own["cases"][case.file.stem] = json.loads(case.file.read_text("utf-8"))
    if KEPT.exists():
        own["first calls"] = json.loads(KEPT.read_text("utf-8"))["lines"]
    DATA.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    TARGET.write_text(page(data), encoding="utf-8")


def page(data: dict[str, Any]) -> str:
    """Return the page as Markdown, of results by machine."""
    parts = [INTRODUCTION.format(rounds=ROUNDS, pause=PAUSE)]
    for name, results in data.items():
        parts += [f"# {name}", "", *of_machine(results)]
    return "\n".join(parts) + "\n"


def of_machine(results: dict[str, Any]) -> list[str]:
    """Return the sections on one machine."""
    found = {
        case: results["cases"][case.file.stem]
        for threads in (1, 2)
        for size in SIZES
        for cell in CELLS
        for dtype in DTYPES
        if (case := Case(threads, size, cell, dtype)).file.stem in results["cases"]
    }
    parts = summary(found)
    for threads, size in dict.fromkeys((case.threads, case.size) for case in found):
        own = {c: f for c, f in found.items() if (c.threads, c.size) == (threads, size)}
        parts += section(threads, size, own)
    return [*parts, *first_calls(found), *results["first calls"]]


def machine() -> str:
    """Return what the numbers depend on, in words."""
    cpu = Path("/proc/cpuinfo")
    told = cpu.read_text("utf-8") if cpu.exists() else ""
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", told, re.MULTILINE))
    name = "{model name}, family {cpu family}, model {model}".format_map(facts) if facts else ""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    wide = "AVX-512" if any("AVX512" in each or "V4" in each for each in simd) else "no AVX-512"
    python = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{name or platform.machine()}; {wide}; {python}"


# -- what was wanted -------------------------------------------------------------------------------


def best_peer(ms: dict[str, float]) -> float:
    return min(value for name, value in ms.items() if name not in OURS)


def wanted_of_numba(case: Case) -> float:
    """Return how many times as fast as the best peer the Numba back end is meant to be."""
    fused = case.cell == "lstm" and case.dtype == "float32"
    match case.size:
        case "tiny":
            return 4.0
        case "small":
            return 3.0
        case "medium":
            return 1.15 if fused else 1.5
    return 1.0 if fused else 1.15 if case.dtype == "float64" else 1.3


def _over_numpy(way: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda row: row["ms"][way] / row["ms"]["numpy"] if way in row["ms"] else None


Wanted = Callable[[Case], float | None]
RATIOS: dict[str, tuple[Callable[[dict[str, Any]], float | None], Wanted]] = {
    "best / numba": (lambda row: best_peer(row["ms"]) / row["ms"]["numba"], wanted_of_numba),
    "autograd / numpy": (
        _over_numpy("autograd"),
        lambda case: 5.0 if case.size in ("tiny", "small") else None,
    ),
    "torch loop / numpy": (
        _over_numpy("torch loop"),
        lambda case: 5.0 if case.size in ("tiny", "small") else None,
    ),
    "by hand / numpy": (_over_numpy("by hand"), lambda case: 0.95),
    "floor / numba": (
        lambda row: row["floor"] / row["ms"]["numba"] if "floor" in row else None,
        lambda case: 1 / 1.3 if case.size == "large" else None,
    ),
    "peak / numba": (
        lambda row: row["peak"] / row["ms"]["numba"] if "peak" in row else None,
        lambda case: None,
    ),
}


def summary(found: dict[Case, dict[str, Any]]) -> list[str]:
    """Return, for each ratio, number of threads and size, in how many rows it is as wanted."""
    kinds = list(dict.fromkeys((case.threads, case.size) for case in found))
    heads = [f"{size}, {threads} thread{'s' * (threads > 1)}" for threads, size in kinds]
    lines = ["## As wanted, in how many rows", "", "| ratio | " + " | ".join(heads) + " |"]
    lines.append("|---|" + "---:|" * len(kinds))
    for name, (ratio, wanted) in RATIOS.items():
        cells = []
        for kind in kinds:
            own = {case: row for case, row in found.items() if (case.threads, case.size) == kind}
            pairs = [(ratio(row), wanted(case)) for case, row in own.items()]
            told = [(value, least) for value, least in pairs if value and least]
            met = sum(value >= least for value, least in told)
            cells.append(f"{met} of {len(told)}" if told else "")
        if any(cells):
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


# -- tables ----------------------------------------------------------------------------------------


def section(threads: int, size: str, found: dict[Case, dict[str, Any]]) -> list[str]:
    """Return the two tables of one size and number of threads."""
    steps, examples, hidden, width = SIZES[size]
    times = sorted(row["at"] for row in found.values())
    load = max(row["load"] for row in found.values())
    busy = " Other programs ran at the same time." if load > threads + 1.5 else ""
    ways = list(dict.fromkeys(name for row in found.values() for name in row["ms"]))
    products = size in ("medium", "large")
    peak = size != "tiny" and any("peak" in row for row in found.values())
    lines = [
        f"## {size}, {threads} thread{'s' * (threads > 1)}",
        "",
        f"τ = {steps}, {examples} example{'s' * (examples > 1)}, H = {hidden}, D = K = {width}; "
        f"measured {times[0][:10]}, load average up to {load:.1f}.{busy}",
        "",
        *table(
            "ms",
            [*ways, *["floor"] * products, *["peak"] * peak],
            ((case, times_of(row)) for case, row in found.items()),
        ),
        "",
    ]
    names = [name for name in RATIOS if products or not name.startswith("floor")]
    names = [name for name in names if peak or not name.startswith("peak")]
    rows = (
        (case, {name: ratio_of(name, case, row) for name in names}) for case, row in found.items()
    )
    return [*lines, *table("ratio", names, rows), ""]


def times_of(row: dict[str, Any]) -> dict[str, str]:
    told = {
        name: f"{value:.3g}" + "†" * (row["rounds"][name] < ROUNDS)
        for name, value in row["ms"].items()
    }
    return told | {name: f"{row[name]:.3g}" for name in ("floor", "peak") if name in row}


def ratio_of(name: str, case: Case, row: dict[str, Any]) -> str:
    ratio, wanted = RATIOS[name]
    value, least = ratio(row), wanted(case)
    if value is None:
        return ""
    if least is None:
        return f"{value:.2f}"
    mark = "≥" if value >= least else "<"
    told = f"{value:.2f} {mark} {least:.2f}"
    return told if value >= least else f"**{told}**"


def table(
    corner: str, columns: list[str], rows: Iterable[tuple[Case, dict[str, str]]]
) -> list[str]:
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [
        f"| {SAID[case.cell]}, {case.dtype} | "
        + " | ".join(values.get(name, "") for name in columns)
        + " |"
        for case, values in rows
    ]
    return lines


def first_calls(found: dict[Case, dict[str, Any]]) -> list[str]:
    """Return the sections on compile time."""
    lines = []
    chosen = {case: row for case, row in found.items() if (case.threads, case.size) == (1, "small")}
    if chosen:
        ways = list(dict.fromkeys(name for row in chosen.values() for name in row["first"]))
        lines += ["## First calls of all, in seconds", ""]
        lines += [
            "In the process of the grid (size *small*), with caches of machine code on disk:",
            "",
        ]
        rows = ((c, {n: f"{s:.2f}" for n, s in row["first"].items()}) for c, row in chosen.items())
        lines += [*table("seconds", ways, rows), ""]
    return lines
