"""The oracles' marker: a missing oracle skips on a developer's machine and fails in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
TEST = """
import pytest

@pytest.mark.oracle("absent")
def test_needs_it(oracle):
    assert oracle
"""


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_missing_oracle(tmp_path, required, outcome):
    shutil.copy(CONFTEST, tmp_path)
    with open(tmp_path / "conftest.py", "a") as file:
        file.write("\nORACLES['absent'] = 'no-such-distribution'\n")
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA"],
        cwd=tmp_path,
        env=os.environ | {"GRAPHGRAD_REQUIRE_ORACLES": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout
    assert "absent missing" in done.stdout
    assert (done.returncode == 0) == (required == "")
