"""How long `import graphgrad` takes, in a fresh interpreter; an empty one beside it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("code", ["pass", "import numpy", "import graphgrad"])
def test_import(benchmark, code):
    benchmark.pedantic(
        subprocess.run, ([sys.executable, "-c", code],), {"check": True}, rounds=10, warmup_rounds=1
    )
