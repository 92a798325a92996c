"""What commands read: files, cells and standard input, and errors about them."""

import io
import json
import sys
from pathlib import Path

import pytest

import graphgrad as gg
from tests.cli.shell import shell

ELMAN = gg.cells.path("elman")


def test_a_file_and_a_cell_are_the_same(run):
    assert run("show", ELMAN) == run("show", "elman")
    assert run("show", "elman") == (0, str(gg.cells.load("elman")), "")


def test_a_file_goes_before_a_cell_and_a_folder_does_not(run):
    Path("lstm").mkdir()
    assert run("check", "lstm")[0] == 0
    Path("elman").write_text("a: param()\nloss = a", encoding="utf-8")
    assert "loss = a" in run("show", "elman")[1]


def test_standard_input(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a: param()\nloss = 3 * a"))
    assert run("grad", "-") == (0, "d_a = 3\n", "")
    done = shell("printf 'h[t] = tahn(h[t-1])' | graphgrad check -")
    assert done.returncode == 1
    assert "stdin:1:8: tahn is not a function" in done.stderr


BAD_FILES = {
    "missing.rec": (None, "cannot be read: No such file", "graphgrad cells"),
    "elmn": (None, "cannot be read", "did you mean elman"),
    "lstm.rec": (None, "cannot be read", "Remedy"),
    "binary.rec": (b"\xff\xfe\x00", "not UTF-8", "UTF-8"),
    "empty.rec": (b"", "no equation", "write one"),
    "only_comments.rec": (b"# nothing\n", "no equation", "write one"),
    "nul.rec": (b"h[t] = 1\x00", "", "Remedy"),
    "python.rec": (b"import os\n", "python.rec:1:1", "Remedy"),
    "loop.rec": (b"a[t] = b[t]\nb[t] = a[t]\n", "", "delay"),
}


@pytest.mark.parametrize("command", ["check", "show", "unfold", "grad", "prove", "report", "code"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_circuit(run, empty_folder, command, name):
    content, message, remedy = BAD_FILES[name]
    if content is not None:
        Path(name).write_bytes(content)
    before = sorted(empty_folder.iterdir())
    status, out, err = run(command, name)
    if command == "show" and name == "loop.rec":
        return  # it can be printed, though not computed
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert remedy in err
    assert sorted(empty_folder.iterdir()) == before, "nothing is left behind"


def test_a_folder_is_no_file(run):
    Path("folder").mkdir()
    status, out, err = run("check", "folder")
    assert (status, out) == (1, "")
    assert "folder cannot be read: Is a directory" in err


def test_errors_show_line_and_caret(run):
    Path("net.rec").write_text("W: param(H, D)\nx[t]: input(D)\nh[t] = tahn(W @ x[t])\n")
    status, out, err = run("check", "net.rec")
    assert (status, out) == (1, "")
    assert err == (
        "error: net.rec:3:8: tahn is not a function of the notation\n"
        "    h[t] = tahn(W @ x[t])\n"
        "           ^^^^\n"
        "Remedy: did you mean tanh?\n"
    )


def test_errors_as_json(run):
    Path("net.rec").write_text("W: param(H, D)\nx[t]: input(D)\nh[t] = tahn(W @ x[t])\n")
    for command in ("check", "unfold", "grad", "prove"):
        status, out, err = run(command, "net.rec", "--json")
        assert (status, err) == (1, "")
        told = json.loads(out)
        assert told["ok"] is False
        assert told["error"] == {
            "kind": "UnknownNameError",
            "message": "tahn is not a function of the notation",
            "remedy": "did you mean tanh?",
            "line": 3,
            "column": 8,
        }


def test_a_file_that_may_not_be_read(run, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    Path("mine.rec").write_text("a: param()\nloss = a", encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", refused)
    for arguments in (["check", "mine.rec"], ["prove", "--recheck", "mine.rec"]):
        status, _, err = run(*arguments)
        assert status == 1
        assert err == (
            "error: mine.rec cannot be read: Permission denied\n"
            "Remedy: allow yourself to read it: chmod u+r mine.rec\n"
        )


def test_the_ending_of_a_file_left_out(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.rec").write_text("h[t] = h[t-1]\n")
    assert run("check", "mine")[2].endswith("Remedy: did you mean mine.rec?\n")
    assert "has no name" in run("check", "")[2]
