"""The command line draws in every format, and leaves nothing behind where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.cli import main

STARTS = {
    "svg": b"<svg",
    "png": b"\x89PNG",
    "pdf": b"%PDF",
    "dot": b"digraph",
    "tex": b"% ",
}


@pytest.mark.parametrize("ending", STARTS)
@pytest.mark.parametrize(
    "command",
    [
        ["show", "elman"],
        ["show", "lstm", "--level", "operations", "--style", "dark"],
        ["unfold", "encoder_decoder", "--tau", "s=2,t=3"],
        ["unfold", "gru", "--tau", "100", "--limit", "0", "--level", "operations"],
        ["grad", "elman", "--tau", "2", "--derivatives", "--style", "book"],
        ["grad", "lstm", "--wrt", "V"],
    ],
)
def test_pictures(
    command: list[str], ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, cell, *options = command
    out = tmp_path / f"picture.{ending}"
    assert main([name, str(gg.cells.path(cell)), *options, "--out", str(out)]) == 0
    assert f"wrote {out}" in "".join(capsys.readouterr())
    assert out.read_bytes().lstrip().startswith(STARTS[ending])


@pytest.mark.parametrize("command", ["show", "unfold", "grad"])
@pytest.mark.parametrize(
    ("out", "status"), [("picture.gif", 2), ("picture", 2), ("missing/picture.svg", 1)]
)
def test_refused(
    command: str, out: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(gg.cells.path("elman")), "--out", str(tmp_path / out)]) == status
    assert "error: cannot" in (text := capsys.readouterr().err) or "no ending" in text
    assert list(tmp_path.iterdir()) == []
