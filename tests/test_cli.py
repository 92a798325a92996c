"""The command line: every command and option, exit statuses, errors, and what is left behind."""

import argparse
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.cli import main
from graphgrad.cli.arguments import argument_parser

ELMAN = gg.cells.path("elman")
PICTURES = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "tex": b"\\"}
COMMANDS = next(
    a for a in argument_parser()._actions if isinstance(a, argparse._SubParsersAction)
).choices


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command line; returns its status, output and errors."""

    def run_(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leave:  # how argparse ends
            status = leave.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_


def shell(line, **options):
    """Run a line as a person types it, with `graphgrad` in the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"PATH": path, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        **options,
    )


# -- help ------------------------------------------------------------------------------------------


def test_no_command_is_wrong_usage(run):
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "commands:" in err
    assert all(name in err for name in COMMANDS)


def test_version(run):
    assert run("--version") == (0, f"graphgrad {gg.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(run, name):
    status, out, err = run(name, "--help")
    assert (status, err) == (0, "")
    assert "example: graphgrad " + name in out


EXAMPLES = [
    line.removeprefix("example: ")
    for command in COMMANDS.values()
    for line in command.epilog.splitlines()
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_of_the_help_work(line):
    done = shell(line)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["check"],
        ["check", "elman", "lstm"],
        ["check", "elman", "--bogus"],
        ["unfold", "elman", "--tau", "x"],
        ["unfold", "elman", "--tau", "1.5"],
        ["unfold", "elman", "--tau", "s=x"],
        ["unfold", "elman", "--sizes", "H"],
        ["unfold", "elman", "--sizes", "=3"],
        ["unfold", "elman", "--sizes", "H=1,H=2"],
        ["unfold", "elman", "--limit", "x"],
        ["unfold", "elman", "--limit=-1"],
        ["grad", "elman", "--latex", "--json"],
        ["prove", "elman", "--latex", "--json"],
        ["show", "elman", "--level", "atoms"],
        ["show", "elman", "--style", "loud"],
        ["prove", "elman", "--time-limit", "soon"],
        ["prove", "elman", "--time-limit=-1"],
        ["prove", "elman", "--time-limit", "nan"],
    ],
)
def test_wrong_usage(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "error: " in err
    assert "usage: graphgrad" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "elman", "--level", "operations"], "--level is about a picture"),
        (["unfold", "elman", "--style", "dark"], "--style is about a picture"),
        (["grad", "elman", "--derivatives"], "--derivatives is about a picture"),
        (["grad", "elman", "--through", "h"], "--through is about paths"),
        (["prove"], "there is nothing to prove"),
    ],
)
def test_options_that_would_do_nothing(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}\nRemedy: ")


def test_a_lack_of_memory_is_no_traceback(run, monkeypatch):
    def greedy(name):
        raise MemoryError

    monkeypatch.setattr("graphgrad.cli.circuits.read_circuit", greedy)
    status, out, err = run("unfold", "elman", "--tau", 10**8)
    assert (status, out) == (1, "")
    assert err.startswith("error: there is not enough memory for this\nRemedy: use fewer steps")


# -- what a file may be ----------------------------------------------------------------------------


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


# -- check -----------------------------------------------------------------------------------------


def test_check(run):
    status, out, err = run("check", "bidirectional")
    assert (status, err) == (0, "")
    assert "bidirectional is a circuit: 5 equations" in out
    assert "  h[t]: (H)" in out
    assert "h  (forward, recurrent)" in out
    assert "g  (backward, recurrent)" in out
    assert "loss  (once)" in out


def test_check_as_json(run):
    status, out, _ = run("check", "elman", "--json")
    told = json.loads(out)
    assert (status, told["ok"], told["name"]) == (0, True, "elman")
    assert told["shapes"]["h"] == ["H"]
    assert told["order"][0] == {"variables": ["a", "h"], "sweep": "forward", "recurrent": True}


# -- show ------------------------------------------------------------------------------------------


def test_show_prints_the_notation(run):
    _, out, _ = run("show", "lstm")
    assert gg.parse(out) == gg.cells.load("lstm")


def test_show_latex(run):
    status, out, err = run("show", "elman", "--latex")
    assert (status, err) == (0, "")
    assert out.startswith("\\begin{align*}\n")
    assert out.endswith("\\end{align*}\n")


@pytest.mark.parametrize("suffix", PICTURES)
def test_show_draws(run, suffix):
    status, out, err = run("show", "elman", "--out", f"elman.{suffix}")
    assert (status, err) == (0, f"wrote elman.{suffix}\n")
    assert out == str(gg.cells.load("elman"))
    assert PICTURES[suffix] in Path(f"elman.{suffix}").read_bytes()[:4000]


@pytest.mark.parametrize("style", ["book", "colour", "dark"])
@pytest.mark.parametrize("level", ["variables", "operations"])
def test_styles_and_levels(run, style, level):
    for command in ("show", "unfold"):
        out = f"{command}.svg"
        assert run(command, "elman", "--style", style, "--level", level, "--out", out)[0] == 0
    assert Path("show.svg").read_bytes() != Path("unfold.svg").read_bytes()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/elman.svg", "cannot write nowhere/elman.svg"),
        ("elman.gif", "gif"),
        ("elman", "no ending"),
        ("folder.svg", "cannot write folder.svg"),
    ],
)
@pytest.mark.parametrize("command", ["show", "unfold", "grad"])
def test_pictures_that_cannot_be_written(run, empty_folder, command, path, message):
    Path("folder.svg").mkdir()
    status, out, err = run(command, "elman", "--out", path)
    assert (status, out) == (1, "")
    assert message in err
    assert "Remedy" in err
    assert [p.name for p in empty_folder.iterdir()] == ["folder.svg"]


# -- unfold ----------------------------------------------------------------------------------------


def test_unfold_lists_the_nodes(run):
    status, out, err = run("unfold", "tied", "--tau", 2)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tied unfolded for tau = 2: 19 nodes, 21 edges"
    assert len(lines) == 20
    assert "h[1] = tanh(#10)" in out
    assert "x[2] = input scalar" in out
    assert lines[9].split() == ["#8", "w", "*", "h[0]"]
    assert any(line.split()[1:3] == ["loss", "="] for line in lines)


@pytest.mark.parametrize("name", gg.cells.names())
def test_every_cell_unfolds(run, name):
    status, out, err = run("unfold", name, "--tau", 2)
    assert (status, err) == (0, "")
    assert "Fill(" not in out
    assert "<" not in out.replace(" < ", "").replace(" <= ", "")


def test_unfold_long(run):
    status, out, _ = run("unfold", "elman", "--tau", 10_000)
    assert status == 0
    assert out.splitlines() == [
        "elman unfolded for tau = 10000: 110,007 nodes, 170,000 edges",
        "(--limit 110007 lists them)",
    ]
    assert len(run("unfold", "elman", "--limit", 5)[1].splitlines()) == 2
    assert len(run("unfold", "elman", "--tau", 30, "--limit", 1000)[1].splitlines()) == 338


def test_unfold_two_indices(run):
    _, out, _ = run("unfold", "encoder_decoder", "--tau", "s=2,t=4", "--limit", 0)
    assert "m = 2, n = 4" in out
    _, out, _ = run("unfold", "encoder_decoder", "--tau", "s=2", "--limit", 0)
    assert "m = 2, n = 3" in out


def test_unfold_as_json(run):
    status, out, err = run("unfold", "elman", "--tau", 2, "--json", "--out", "elman.svg")
    told = json.loads(out)
    assert (status, err, told["ok"]) == (0, "wrote elman.svg\n", True)
    assert told["params"] == ["U", "W", "V", "b", "c"]
    for position, node in enumerate(told["nodes"]):
        assert node["id"] == position
        assert all(arg < position for arg in node["args"])


@pytest.mark.parametrize("tau", ["0", "-1", "99999999999", "s=3"])
def test_lengths_that_are_not_possible(run, tau):
    status, out, err = run("unfold", "elman", f"--tau={tau}")
    assert (status, out) == (1, "")
    assert "Remedy" in err


# -- grad ------------------------------------------------------------------------------------------


def test_grad(run):
    assert run("grad", "elman") == (
        0,
        "d_o[t] = yhat[t] - y[t]\n"
        "d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]\n"
        "d_a[t] = (1 - h[t]**2) * d_h[t]\n"
        "d_U = sum(outer(d_a[t], x[t]) for t in steps)\n"
        "d_W = sum(outer(d_a[t], h[t-1]) for t in steps)\n"
        "d_V = sum(outer(d_o[t], h[t]) for t in steps)\n"
        "d_b = sum(d_a[t] for t in steps)\n"
        "d_c = sum(d_o[t] for t in steps)\n",
        "",
    )


def test_grad_of_some(run):
    _, out, _ = run("grad", "elman", "--wrt", "V", "--wrt", "c")
    assert [line.split(" =")[0] for line in out.splitlines()] == ["d_o[t]", "d_V", "d_c"]
    _, out, _ = run("grad", "elman", "--loss", "L", "--wrt", "x")
    assert "seed_L[t]: input()" in out
    assert "d_x[t] = " in out


def test_grad_whole(run):
    _, out, _ = run("grad", "elman", "--whole")
    assert gg.parse(out) == gg.cells.load("elman").adjoint()


def test_grad_latex(run):
    status, out, err = run("grad", "elman", "--latex")
    assert (status, err) == (0, "")
    assert out.count("&=") == 8, "the backward equations only"
    assert r"\delta_o^{(t)} &= \hat{y}^{(t)} - y^{(t)}" in out
    assert r"\frac{\partial L}{\partial W} &= \sum_{t=1}^\tau \delta_a^{(t)}\, h^{(t-1)" in out


def test_grad_as_json(run):
    _, out, _ = run("grad", "elman", "--wrt", "c", "--json")
    assert json.loads(out) == {
        "ok": True,
        "equations": ["d_o[t] = yhat[t] - y[t]", "d_c = sum(d_o[t] for t in steps)"],
    }


def test_grad_as_a_sum_over_paths(run):
    assert run("grad", "elman", "--paths", "W", "V", "--tau", 2) == (
        0,
        "∂L/∂W = ∂L₁/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W + ∂L₂/∂h₂ ∂h₂/∂W\n"
        "∂L/∂V = ∂L₁/∂V + ∂L₂/∂V\n",
        "",
    )
    _, out, _ = run("grad", "elman", "--paths", "h[1]", "--tau", 2, "--through", "o,h")
    assert out == "∂L/∂h₁ = ∂L₁/∂o₁ ∂o₁/∂h₁ + ∂L₂/∂o₂ ∂o₂/∂h₂ ∂h₂/∂h₁\n"
    _, out, _ = run("grad", "tied", "--paths", "--tau", 1, "--latex")
    assert out.count(r"\begin{align*}") == 2
    _, out, _ = run("grad", "tied", "--paths", "w", "--tau", 1, "--json")
    assert json.loads(out)["paths"][0]["terms"] == [[["loss", 1], ["h", 1], ["w", None]]]
    status, out, err = run("grad", "lstm", "--paths", "W_f", "--tau", 30)
    assert (status, out) == (1, "")
    assert err.startswith("error: the gradient by W_f is a sum over 4,052,739,537,850 paths")


def test_grad_forward_mode(run):
    _, out, _ = run("grad", "elman", "--tangent", "--wrt", "W")
    assert out.splitlines()[:3] == [
        "dot_W: input(H, H)",
        "dot_a[t] = dot_W @ h[t-1] + W @ dot_h[t-1]",
        "dot_h[t] = (1 - h[t]**2) * dot_a[t]",
    ]
    _, out, _ = run("grad", "elman", "--tangent", "--latex")
    assert r"\dot{h}^{(t)} &=" in out


def test_grad_warns_in_one_line(run):
    status, out, err = run("grad", "elman", "--loss", "h", "--wrt", "V")
    assert status == 0
    assert "d_V = zeros(K, H)" in out
    assert err == "warning: h does not depend on V: its gradient is zero\n"


@pytest.mark.parametrize("arguments", [["--loss", "los"], ["--wrt", "Q"], ["--wrt", "w"]])
def test_grad_of_what_is_not_there(run, arguments):
    status, out, err = run("grad", "elman", *arguments)
    assert (status, out) == (1, "")
    assert "Remedy" in err


def test_grad_draws(run):
    assert run("grad", "tied", "--tau", 2, "--out", "tied.svg")[0] == 0
    assert run("grad", "tied", "--out", "all.svg", "--derivatives", "--style", "book")[0] == 0
    assert b"<svg" in Path("tied.svg").read_bytes()[:500]


# -- prove -----------------------------------------------------------------------------------------


def test_prove(run):
    status, out, err = run("prove", "elman", "--tau", 2)
    assert (status, err) == (0, "")
    assert out.startswith("elman: gradient of loss proved\n")
    assert "d_W = ∂loss/∂W" in out


def test_prove_claims_from_a_file_and_from_standard_input(run, monkeypatch):
    _, equations, _ = run("grad", "elman")
    Path("mine.rec").write_text(equations, encoding="utf-8")
    assert run("prove", "elman", "--claims", "mine.rec")[0] == 0
    Path("wrong.rec").write_text(equations.replace("h[t-1])", "h[t])"), encoding="utf-8")
    status, out, err = run("prove", "elman", "--claims", "wrong.rec")
    assert (status, err) == (1, "")
    assert re.search(r"✗ +d_W = ∂loss/∂W +refuted", out)
    assert "d_W entry [0, 0]: claim − truth is between" in out
    monkeypatch.setattr(sys, "stdin", io.StringIO(equations))
    assert run("prove", "elman", "--claims", "-", "--wrt", "W")[0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d_W = 0", "mine.rec:1:1: d_W has shape scalar"),
        ("d_h[t] = h[t]", "no gradient"),
        ("# hm\nd_W = zeros(H, Hh", "mine.rec:2:"),
        ("", "no gradient"),
    ],
)
def test_claims_that_make_no_sense(run, text, message):
    Path("mine.rec").write_text(text, encoding="utf-8")
    status, out, err = run("prove", "elman", "--claims", "mine.rec")
    assert (status, out) == (1, "")
    assert message in err
    assert "Remedy" in err


def test_claims_that_cannot_be_read(run):
    status, _, err = run("prove", "elman", "--claims", "nowhere.rec")
    assert status == 1
    assert "nowhere.rec cannot be read: No such file or directory" in err


def test_prove_as_json(run):
    status, out, err = run("prove", "tied", "--tau", 2, "--json")
    told = json.loads(out)
    assert (status, err, told["ok"], told["verdict"]) == (0, "", True, "proved")
    status, out, _ = run("prove", "tied", "--time-limit", 0, "--json")
    told = json.loads(out)
    assert (status, told["ok"], told["verdict"]) == (1, False, "undecided")


def test_prove_options(run):
    _, out, _ = run("prove", "elman", "--tau", 2, "--sizes", "H=1,D=3", "--wrt", "U")
    assert "t = 1..2" in out
    assert "D = 3" in out
    assert "H = 1" in out
    assert "d_W" not in out
    status, _, err = run("prove", "fixed_point")
    assert status == 1
    assert "no parameter" in err


# -- report ----------------------------------------------------------------------------------------


def test_report(run, empty_folder):
    status, out, err = run("report", ELMAN, "--out", "deep/out", "--tau", 2)
    assert (status, err) == (0, "")
    assert out.index("d_W = sum(") < out.index("proved") < out.index("wrote ")
    names = sorted(path.name for path in Path("deep/out").iterdir())
    kinds = [f"elman-{k}.{s}" for k in ("circuit", "unfolded") for s in ("pdf", "png", "svg")]
    assert names == sorted([*kinds, "elman.html"])
    assert all(f"wrote deep/out/{name}" in out for name in names)
    page = Path("deep/out/elman.html").read_text(encoding="utf-8")
    assert "∂loss/∂W" in page


def test_report_without_a_gradient(run):
    status, out, _ = run("report", "fixed_point")
    assert status == 0
    assert "nothing to differentiate" in out
    assert Path("out/fixed_point.html").exists()


def test_report_that_is_undecided(run):
    status, out, _ = run("report", "tied", "--time-limit", 0, "--tau", 2)
    assert status == 1
    assert "undecided" in out


def test_report_where_nothing_can_be_written(run, empty_folder):
    Path("out").write_text("in the way")
    status, out, err = run("report", "elman")
    assert (status, out) == (1, "")
    assert "out cannot be made: " in err
    assert [path.name for path in empty_folder.iterdir()] == ["out"]


# -- cells and code --------------------------------------------------------------------------------


def test_cells(run):
    _, out, _ = run("cells")
    assert [line.split()[0] for line in out.splitlines()] == gg.cells.names()
    _, out, _ = run("cells", "lstm")
    assert gg.parse(out) == gg.cells.load("lstm")
    status, _, err = run("cells", "lstmm")
    assert status == 1
    assert "did you mean lstm?" in err


def test_cells_as_json(run):
    told = json.loads(run("cells", "--json")[1])
    assert list(told["cells"]) == gg.cells.names()
    told = json.loads(run("cells", "lstm", "--json")[1])
    assert gg.parse(told["text"]) == gg.cells.load("lstm")


def test_code(run):
    status, out, err = run("code", "lstm")
    assert (status, err) == (0, "")
    compile(out, "lstm.py", "exec")
    assert "graphgrad" not in "\n".join(line for line in out.splitlines() if "import" in line)


# -- the world outside -----------------------------------------------------------------------------


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


def test_as_a_module():
    done = shell(f"{sys.executable} -m graphgrad.cli check elman")
    assert done.returncode == 0
