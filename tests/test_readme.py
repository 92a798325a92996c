"""What documents show is what comes out: blocks with a prompt, and `text` after `python` blocks.

A line that is only … stands for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {path.name: path for path in (ROOT / "README.md", ROOT / "docs" / "scale-out.md")}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {name: FENCE.findall(path.read_text("utf-8")) for name, path in DOCUMENTS.items()}
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
        timeout=400,
        check=False,
    ).stdout


@pytest.mark.parametrize(
    "block", [text for _, text in BLOCKS["README.md"] if text.startswith("$ ")]
)
def test_console_blocks(block, tmp_path):
    for language, text in BLOCKS["README.md"]:
        if language == "rec" and (name := re.match(r"# file: (\S+)", text)):
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
    command, _, shown = block.removeprefix("$ ").partition("\n")
    output = run(["bash", "-c", command], tmp_path)
    assert matches(shown, output), output


MARKS = {"scale-out.md": [pytest.mark.oracle("jax"), pytest.mark.oracle("numba")]}


@pytest.mark.parametrize("name", [pytest.param(n, marks=MARKS.get(n, ())) for n in DOCUMENTS])
def test_python_blocks(name, tmp_path):
    program, wanted, blocks = [], [], BLOCKS[name]
    for position, (language, text) in enumerate(blocks):
        if language == "python":
            program.append(f"{text}\nprint({CUT!r})\n")
            following, shown = (*blocks, ("", ""))[position + 1]
            wanted.append(shown if following == "text" else "…\n")
    outputs = run([sys.executable, "-c", "".join(program)], tmp_path).split(f"{CUT}\n")
    for shown, output in zip(wanted, outputs, strict=False):
        assert matches(shown, output), output
    assert len(outputs) == len(wanted) + 1, outputs[-1]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_links_and_pictures_exist(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', text):
        (path,) = filter(None, target)
        assert (document.parent / path).exists(), path


def test_ellipses():
    assert matches("a\n…\nb\n", "a\n1\n2\nb\n")
    assert matches("a\n…\nb\n", "a\nb\n")
    assert not matches("a\n…\nb\n", "a\n1\nc\n")
