"""PyTensor as a peer: the other end of `pytensor_worker.py`.

The worker's Python is `out/bench/pytensor/bin/python` (`make bench-pytensor` installs it) or what
GRAPHGRAD_PYTENSOR names. Without it there is no such peer.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.cell_steps import CELLS

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "out" / "bench" / "pytensor"


def python() -> Path | None:
    """Return the interpreter that has PyTensor, if there is one."""
    given = os.environ.get("GRAPHGRAD_PYTENSOR")
    path = Path(given) if given else HOME / "bin" / "python"
    return path if path.exists() else None


@cache
def worker() -> subprocess.Popen[str]:
    flags = f"base_compiledir={HOME / 'compiled'},cxx="
    return subprocess.Popen(
        [str(python()), "-W", "ignore", "-m", "tests.bench.pytensor_worker"],
        cwd=ROOT,
        env=os.environ | {"PYTENSOR_FLAGS": flags},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


def ask(**question: Any) -> float:
    """Return the seconds that the worker says something took."""
    process = worker()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the process with PyTensor has ended")
    seconds: float = json.loads(answer)["seconds"]
    return seconds


def prepare(name: str, params: Any, data: Any) -> tuple[float, tuple[Any, dict[str, Any]]]:
    """Return the seconds of the first call, and loss and gradients."""
    cell = CELLS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.npz"
        np.savez(file, **cell.join(params), **data)
        seconds = ask(cell=name, dtype=data["x"].dtype.name, data=str(file))
        with np.load(file) as found:
            grads = {key[2:]: found[key] for key in found if key.startswith("d_")}
            return seconds, (found["loss"], cell.apart(grads))
