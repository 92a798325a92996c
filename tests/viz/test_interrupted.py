"""Real trouble while files are written: no room, and Ctrl-C. What was there stays whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import graphgrad as gg

EARLIER = b"what was there before"


def run(code: str, folder: Path, *arguments: str) -> str:
    """What a program prints that runs in a folder with room for files of 20 kB and no more."""
    limited = """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(limited) + textwrap.dedent(code), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_room_for_any_format(tmp_path: Path) -> None:
    names = ["a.svg", "a.pdf", "a.png", "a.dot", "a.tex", "a.html"]
    for name in names:
        (tmp_path / name).write_bytes(EARLIER)
    told = run(
        """
        import graphgrad as gg, viz
        circuit = gg.cells.load("lstm")
        drawing = viz.unfolded(circuit, 20, fold=20, level="operations")
        for name in sys.argv[1:]:
            try:
                what = viz.report(gg.cells.load("vanilla")) if name == "a.html" else drawing
                what.save(name)
            except gg.GraphgradError as error:
                print(name, error)
        """,
        tmp_path,
        *names,
    )
    # Graphviz meets the limit itself, and says so in its own way
    assert [line.split()[0] for line in told.splitlines() if line.startswith("a.")] == names
    assert told.count(": File too large") >= 4
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).read_bytes() == EARLIER for name in names)


def test_no_room_for_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(EARLIER)
    (tmp_path / "out").mkdir()
    told = run(
        """
        from graphgrad.cli import main
        for command in (["unfold", sys.argv[1], "--out", "a.svg"],
                        ["report", sys.argv[1], "--out", "out"]):
            print(main(command))
        """,
        tmp_path,
        str(gg.cells.path("elman")),
    )
    assert [line for line in told.splitlines() if line in ("0", "1")] == ["1", "1"]
    assert (tmp_path / "a.svg").read_bytes() == EARLIER
    sizes = [file.stat().st_size for file in (tmp_path / "out").iterdir()]
    assert not any(file.name.startswith(".") for file in (tmp_path / "out").iterdir())
    assert 20_000 not in sizes  # what fits is whole, what does not is not there


@pytest.mark.usefixtures("keyboard")
def test_interrupted_again_and_again(tmp_path: Path) -> None:
    code = """
        import os, sys
        from viz.report import Report
        pages = [Report(letter * 3_000_000, "page") for letter in "ab"]
        wholes = [page.html.encode() for page in pages]
        print("ready", flush=True)
        while True:
            try:
                while True:
                    for page in pages:
                        page.save("page.html")
            except KeyboardInterrupt:
                with open("page.html", "rb") as file:
                    whole = file.read() in wholes
                print(os.listdir(".") == ["page.html"] and whole, flush=True)
    """
    (tmp_path / "page.html").write_bytes(b"a" * 3_000_000)
    choice = random.Random(0)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, stdout=subprocess.PIPE,
        text=True,
    ) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            for _ in range(40):
                time.sleep(choice.uniform(0.005, 0.03))
                child.send_signal(signal.SIGINT)
                assert child.stdout.readline() == "True\n"
        finally:
            child.kill()
