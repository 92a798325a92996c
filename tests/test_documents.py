"""Every snippet of a document runs: Python blocks, and shell lines that call graphgrad."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [path for name in ("README.md", "ARCHITECTURE.md") if (path := ROOT / name).exists()]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LIMIT = 400  # seconds; on a busy machine what takes 20 has taken 120


class Snippet(NamedTuple):
    document: Path
    line: int
    language: str
    text: str


def snippets(document: Path) -> list[Snippet]:
    text = document.read_text(encoding="utf-8")
    return [
        Snippet(
            document, text.count("\n", 0, found.start()) + 2, found[2], textwrap.dedent(found[3])
        )
        for found in FENCE.finditer(text)
    ]


def commands(snippet: Snippet) -> list[str]:
    """The lines of a shell block that run graphgrad, a leading prompt taken off."""
    lines = (line.removeprefix("$ ") for line in snippet.text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.startswith("graphgrad ")]


def run(arguments: list[str], folder: Path) -> None:
    """Run a program in a folder that holds what a clone holds; show what it said if it fails."""
    for name in ("graphgrad", "examples"):
        if (ROOT / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": path, "MPLBACKEND": "Agg", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"


@pytest.mark.skipif(not DOCUMENTS, reason="no documents yet")
def test_documents_have_snippets():
    assert any(s.language == "python" for document in DOCUMENTS for s in snippets(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run(document, tmp_path):
    """The blocks of one document in order, as one program: a reader types them into one session."""
    blocks = [s for s in snippets(document) if s.language == "python"]
    if not blocks:
        pytest.skip("no Python blocks")
    program = "".join(
        # compiled apart, so that a traceback names the line of the document
        f"exec(compile({chr(10) * (s.line - 1) + s.text!r}, {document.name!r}, 'exec'))\n"
        for s in blocks
    )
    run([sys.executable, "-c", program], tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shell_lines_run(document, tmp_path):
    lines = [
        line
        for snippet in snippets(document)
        if snippet.language in ("bash", "sh", "shell", "console")
        for line in commands(snippet)
    ]
    if not lines:
        pytest.skip("no lines that call graphgrad")
    for block in snippets(document):  # a file that the document tells to write
        if block.language == "rec" and (name := re.match(r"# file: (\S+)", block.text)):
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
    for line in lines:
        run(["bash", "-c", line], tmp_path)


def test_snippets_are_found_with_their_lines(tmp_path):
    document = tmp_path / "a.md"
    document.write_text("# A\n\n```python\nx = 1\n```\n\n```bash\n$ graphgrad cells\nls\n```\n")
    python, shell = snippets(document)
    assert (python.line, python.language, python.text) == (4, "python", "x = 1\n")
    assert commands(shell) == ["graphgrad cells"]
