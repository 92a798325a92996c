"""Machine code for narrower registers than this machine has, in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.oracle("numba")

SCRIPT = """
import sys
import llvmlite.binding as llvm

class Fewer(dict):
    def flatten(self):
        return ",".join(("+" if has else "-") + name for name, has in sorted(self.items()))

here, without = llvm.get_host_cpu_features(), tuple(sys.argv[1].split(","))
features = Fewer({name: has and not name.startswith(without) for name, has in here.items()})
llvm.get_host_cpu_features = lambda: features

import numpy as np
import graphgrad as gg
from graphgrad.compile.vector.lanes import register_bytes

assert register_bytes() == int(sys.argv[2])
circuit = gg.cells.load("lstm")
sizes = {"H": 21, "D": 5, "K": 11}
params, data = circuit.init(0, **sizes), circuit.example(1, 7, (13,), **sizes)
for dtype, tolerance in (("float32", 2e-6), ("float64", 2e-14)):
    given = [{n: v.astype(dtype) for n, v in each.items()} for each in (params, data)]
    loss, grads = gg.value_and_grad(circuit)(given[0], **given[1])
    found, others = gg.value_and_grad(circuit, backend="numba")(given[0], **given[1])
    assert abs(found - loss) <= tolerance * abs(loss)
    for name, grad in grads.items():
        assert np.max(np.abs(others[name] - grad)) <= tolerance * np.max(np.abs(grad)), name
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="features of x86")
@pytest.mark.parametrize(("without", "width"), [("avx512", 32), ("avx,fma", 16)])
def test_fewer_numbers_in_a_register(without: str, width: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, without, str(width)],
        env=os.environ | {"GRAPHGRAD_CACHE": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
