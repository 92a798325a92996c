"""Every script in examples/ runs by itself, in an empty folder, within a time limit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
LIMIT = 400  # seconds; on a busy machine what takes 20 has taken 120


@pytest.mark.skipif(not FOLDER.exists(), reason="no examples yet")
def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_runs(script, tmp_path):
    short = ["--quick"] if "--quick" in script.read_text("utf-8") else []
    done = subprocess.run(
        [sys.executable, str(script), *short],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout, "an example tells a story: it prints something"


TAKE_ARGUMENTS = [
    s for s in SCRIPTS if "argparse" in (text := s.read_text("utf-8")) or "argv" in text
]


@pytest.mark.parametrize("script", TAKE_ARGUMENTS, ids=lambda path: path.name)
def test_help_says_what_there_is_and_does_nothing(script, tmp_path):
    done = subprocess.run(
        [sys.executable, str(script), "--help"],
        cwd=tmp_path, env=os.environ | {"PYTHONUTF8": "1"}, capture_output=True,
        encoding="utf-8", timeout=LIMIT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {script.name}")
    assert not list(tmp_path.iterdir())
