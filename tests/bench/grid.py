"""The grid of speeds: every back end beside every peer, on the same data, in interleaved rounds.

    python -m tests.bench.grid --minutes 18 --write     # the most telling cases come first
    python -m tests.bench.grid --size tiny --cell lstm  # some of them

Every case (cell, size, type of numbers, threads) is kept in out/bench/grid, so that a run that was
stopped goes on where it was; `--write` takes them into docs/benchmarks.json. With one thread the
process is bound to one processor: some libraries ignore every other way to say so. Each peer's loss
and gradients are compared with ours before anything is timed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from tests.bench.cell_steps import CELLS

RESULTS = Path(__file__).resolve().parents[2] / "out" / "bench" / "grid"
SIZES = {
    "tiny": (100, 1, 8, 4),
    "small": (100, 16, 32, 16),
    "medium": (100, 32, 128, 64),
    "large": (100, 64, 512, 256),
}
"""Steps, examples, H, and D = K."""
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 5e-4, "float64": 1e-10}
OURS = ("numpy", "numba", "jax")
ROUNDS, FEWEST = 9, 2
PATIENCE = {"tiny": 2.0, "small": 3.0, "medium": 5.0, "large": 10.0}
"""Seconds for one way in one case, from which on it gets fewer rounds (but `FEWEST`)."""
FIRST = ("elman", "lstm", "gru")
PAUSE = 0.15
"""Seconds between ways that have several threads. Those of NumPy's BLAS go on taking all the time
of their processor for a while after a product, in case there is another one."""


class Case(NamedTuple):
    """One row of the grid."""

    threads: int
    size: str
    cell: str
    dtype: str

    @property
    def file(self) -> Path:
        return RESULTS / f"{'-'.join(map(str, self))}.json"


def queue() -> list[Case]:
    """Return all cases, the most telling first."""
    rest = [name for name in CELLS if name not in FIRST]
    order = [
        (1, ("tiny", "small", "medium"), CELLS),
        (1, ("large",), FIRST),
        (2, ("medium",), CELLS),
        (2, ("large",), FIRST),
        (1, ("large",), rest),
        (2, ("large",), rest),
        (2, ("tiny", "small"), CELLS),
    ]
    return [
        Case(threads, size, cell, dtype)
        for threads, sizes, cells in order
        for size in sizes
        for cell in cells
        for dtype in DTYPES
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--size", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--cell", nargs="*", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--dtype", nargs="*", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--minutes", type=float, help="no case is begun after that time")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen = [
        case for case in queue()
        if case.threads in given.threads and case.size in given.size
        and case.cell in given.cell and case.dtype in given.dtype
    ]  # fmt: skip
    if given.worker is not None:
        work(chosen, given.worker)
        return
    if given.again:
        for case in chosen:
            case.file.unlink(missing_ok=True)
    until = time.time() + 60 * given.minutes if given.minutes else float("inf")
    for threads, cases in itertools.groupby(chosen, key=lambda case: case.threads):
        start(threads, [case for case in cases if not case.file.exists()], until)
    left = [case for case in chosen if not case.file.exists()]
    if left:
        print(f"{len(left)} of {len(chosen)} cases are left: run this again")
    if given.write:
        from tests.bench.page import write

        write()


def start(threads: int, cases: list[Case], until: float) -> None:
    """Measure cases in a process that has this many threads."""
    if not cases or time.time() > until:
        return
    names = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    fixed = {f"{name}_NUM_THREADS": str(threads) for name in names}
    if threads == 1:
        fixed["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    command = [sys.executable, "-m", "tests.bench.grid", "--worker", str(until)]
    command += ["--threads", str(threads)]
    for option in ("size", "cell", "dtype"):
        command += [f"--{option}", *dict.fromkeys(getattr(case, option) for case in cases)]
    ended = subprocess.run(command, env=os.environ | fixed, check=False).returncode
    if ended:
        print(f"the process with {threads} thread(s) ended with {ended}; its other cases are left")


def work(cases: list[Case], until: float) -> None:
    """Measure cases that have no result yet, one by one."""
    import jax
    import torch

    threads = cases[0].threads
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[-threads:])
    torch.set_num_threads(threads)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for case in cases:
        if case.file.exists() or time.time() > until:
            continue
        try:
            found = measured(case)
        except AssertionError as error:  # a peer computes something else: nothing is timed
            print(*case, f"FAILED: {error}", flush=True)
            continue
        partial = case.file.with_suffix(".tmp")
        partial.write_text(json.dumps(found, indent=1), "utf-8")
        partial.replace(case.file)
        told = ", ".join(f"{name} {value:.3g}" for name, value in found["ms"].items())
        print(*case, told, f"floor {found['floor']:.3g} ms", flush=True)
        jax.clear_caches()


def measured(case: Case) -> dict[str, Any]:
    """Return medians in milliseconds, rounds and seconds of the first calls, by way."""
    import jax

    from tests.bench import peers, pytensor_peer
    from tests.bench.floor import Floor

    steps, examples, hidden, width = SIZES[case.size]
    cell = CELLS[case.cell]
    circuit = circuit_of(case.cell)
    sizes = {"H": hidden, "D": width, "K": width}
    params = {name: value.astype(case.dtype) for name, value in circuit.init(0, **sizes).items()}
    made = circuit.example(1, steps, (examples,), **sizes)
    data = {name: value.astype(case.dtype) for name, value in made.items()}
    first: dict[str, float] = {}
    clock: dict[str, Any] = {}
    with jax.enable_x64(case.dtype == "float64"):
        ways = peers.ours(circuit, params, data, case.threads)
        ways |= peers.by_hand(case.cell, params, data)
        ways |= peers.torch_layer(case.cell, params, data)
        ways |= peers.jax_scans(cell, params, data)
        ways |= peers.torch_loop(cell, params, data)
        ways |= peers.hips_autograd(cell, params, data)
        want = None
        for name, way in ways.items():
            started = time.perf_counter()
            result = way.run()
            first[name] = time.perf_counter() - started
            want = way.read(result) if want is None else want
            check_same(name, want, way.read(result), TOLERANCE[case.dtype])
            clock[name] = lambda count, run=way.run: timed(run, count)
        if pytensor_peer.python() is not None:
            first["PyTensor"], result = pytensor_peer.prepare(case.cell, params, data)
            check_same("PyTensor", want, result, TOLERANCE[case.dtype])
            clock["PyTensor"] = lambda count: pytensor_peer.ask(repeat=count) / count
        floor = Floor(cell, params, data)
        pause = PAUSE if case.threads > 1 else 0.0
        seconds = interleaved(clock, first, floor, PATIENCE[case.size], pause)
    return {
        "ms": {name: 1e3 * median(each) for name, each in seconds.items()},
        "rounds": {name: len(each) for name, each in seconds.items()},
        "first": first,
        "floor": floor.milliseconds(),
        "peak": floor.peak(),
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "load": os.getloadavg()[0],
    }


def circuit_of(name: str) -> Any:
    """Return the circuit of a cell, from the gallery or from the folder beside this file."""
    import graphgrad as gg

    file = CELLS[name].file
    return gg.load(Path(__file__).parent / "cells" / file) if file else gg.cells.load(name)


def interleaved(
    clock: dict[str, Any], first: dict[str, float], floor: Any, patience: float, pause: float
) -> dict[str, list[float]]:
    """Return the seconds a call of each way, a list entry a round.

    Each way runs untimed first in its turn, so that the caches are its own, then as often as makes
    10 ms; the slowest ones run once, and in fewer rounds. It is untimed for as long as it is timed,
    or for 30 ms where there is a pause, which lets the threads of others fall asleep: its own have
    to be woken. What takes more than 0.2 s is not run untimed; a call that does so only because its
    memory is new does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in clock}
    slow = {"autograd", "torch loop"}  # compile nothing: the first call tells how long they take
    estimate = {name: first[name] if name in slow else tell(1) for name, tell in clock.items()}
    estimate |= {
        name: clock[name](1)
        for name, each in estimate.items()
        if 0.2 <= each < 1 and name not in slow
    }
    for turn in range(ROUNDS):
        for name, tell in clock.items():
            if turn >= max(FEWEST, patience / estimate[name]):
                continue
            time.sleep(pause)
            count = max(1, min(100, int(0.01 / estimate[name])))
            if estimate[name] < 0.2:
                tell(3 * count if pause else count)
            seconds[name].append(tell(count))
        if turn < 5:
            time.sleep(pause)
            floor.round()
    return seconds


def timed(run: Any, count: int) -> float:
    """Return the seconds a call."""
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count


def check_same(name: str, ours: Any, theirs: Any, tolerance: float) -> None:
    """Raise where a peer computes something else: entries are compared with the largest one."""
    loss, grads = ours
    other, others = theirs
    if abs(loss - float(other)) > tolerance * abs(loss) or set(grads) != set(others):
        raise AssertionError(f"{name}: the loss is {float(other)}, not {loss}")
    for each, grad in grads.items():
        gap = np.max(np.abs(grad - np.asarray(others[each])))
        if not gap <= tolerance * np.max(np.abs(grad)):
            raise AssertionError(f"{name}: the gradient by {each} is off by {gap}")


if __name__ == "__main__":
    main()
