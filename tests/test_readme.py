"""What the README shows is what comes out: blocks with a prompt, and `text` after `python` blocks.

A line that is only … stands for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(README.read_text(encoding="utf-8"))
CUT = "-- 8< --"


def matches(shown: str, output: str) -> bool:
    parts = [re.escape(part) for part in re.split(r"^…\n", shown, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*?".join(parts), output.rstrip() + "\n") is not None


def run(arguments, folder):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    ).stdout


@pytest.mark.parametrize("block", [text for _, text in BLOCKS if text.startswith("$ ")])
def test_console_blocks(block, tmp_path):
    for language, text in BLOCKS:
        if language == "rec" and (name := re.match(r"# file: (\S+)", text)):
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
    command, _, shown = block.removeprefix("$ ").partition("\n")
    output = run(["bash", "-c", command], tmp_path)
    assert matches(shown, output), output


def test_python_blocks(tmp_path):
    program, wanted = [], []
    for position, (language, text) in enumerate(BLOCKS):
        if language == "python":
            program.append(f"{text}\nprint({CUT!r})\n")
            following, shown = (*BLOCKS, ("", ""))[position + 1]
            wanted.append(shown if following == "text" else "…\n")
    outputs = run([sys.executable, "-c", "".join(program)], tmp_path).split(f"{CUT}\n")
    for shown, output in zip(wanted, outputs, strict=False):
        assert matches(shown, output), output
    assert len(outputs) == len(wanted) + 1, outputs[-1]


def test_links_and_pictures_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', text):
        (path,) = filter(None, target)
        assert (README.parent / path).exists(), path


def test_ellipses():
    assert matches("a\n…\nb\n", "a\n1\n2\nb\n")
    assert matches("a\n…\nb\n", "a\nb\n")
    assert not matches("a\n…\nb\n", "a\n1\nc\n")
