"""Commands and the world outside: pipes, full disks, consoles."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.shell import shell


def test_a_closed_pipe_is_no_traceback():
    done = shell("graphgrad unfold elman --tau 15 | head -1")
    assert done.stdout.startswith("elman unfolded")
    assert done.stderr == ""
    done = shell("set -o pipefail; graphgrad unfold lstm --tau 200 --limit 99999 | true")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error():
    done = shell("graphgrad cells > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_console_without_greek():
    done = shell("PYTHONUTF8=0 PYTHONIOENCODING=ascii graphgrad prove tied --tau 2")
    assert done.returncode == 0
    assert "d_w = ?loss/?w" in done.stdout


@pytest.mark.parametrize("module", ["graphgrad", "graphgrad.cli"])
def test_as_a_module(module):
    done = shell(f"{sys.executable} -m {module} check elman")
    assert done.returncode == 0
    assert shell(f"{sys.executable} -m {module} --help").stdout.startswith("usage: graphgrad")


def test_remedies_name_options(run):
    text = "x[t]: input()\nq[t]: token(N)\nh[t] = x[t] + h[t-1]\nloss = sum(h[t] for t in steps)\n"
    Path("np.rec").write_text(text, encoding="utf-8")
    remedy = "name inputs to differentiate by, as in --wrt x\n"
    assert run("prove", "np.rec")[2].endswith(f"Remedy: add parameters, or {remedy}")
    assert run("grad", "np.rec")[2].endswith(remedy)
    assert run("grad", "np.rec", "--wrt", "x")[:2] == (
        0,
        "d_h[t] = 1 + d_h[t+1]\nd_x[t] = d_h[t]\n",
    )
    assert "Remedy: write x[1]\n" in run("grad", "np.rec", "--paths", "x")[2]
    error = json.loads(run("prove", "np.rec", "--json")[1])["error"]
    assert error["remedy"].endswith("--wrt x")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("graphgrad show elman >&-", "error: the output cannot be written: it is closed\n"),
        (
            "graphgrad show - <&-",
            "error: standard input is closed\nRemedy: give it a text, or name a file\n",
        ),
        ("graphgrad show nothing 2>&-", ""),
    ],
)
def test_closed_streams_are_no_traceback(line, said):
    found = shell(line)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", said)
