"""The commands check, show, unfold, cells and code."""

import json
from pathlib import Path

import pytest

import graphgrad as gg

PICTURES = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "tex": b"\\"}

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
    ("path", "wanted", "message"),
    [
        ("nowhere/elman.svg", 1, "cannot write nowhere/elman.svg"),
        ("elman.gif", 2, "gif"),
        ("elman", 2, "no ending"),
        ("", 2, "no ending"),
        ("folder.svg", 1, "cannot write folder.svg"),
    ],
)
@pytest.mark.parametrize("command", ["show", "unfold", "grad"])
def test_pictures_that_cannot_be_written(run, empty_folder, command, path, wanted, message):
    Path("folder.svg").mkdir()
    status, out, err = run(command, "elman", "--out", path)
    assert (status, out) == (wanted, "")
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


def test_a_length_of_an_index_that_the_circuit_lacks(run):
    status, out, err = run("unfold", "elman", "--tau=s=3")
    assert (status, out) == (1, "")
    assert "Remedy" in err


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


LAYER = """x[t]: input(D)
W: param(H, H)
U: param(H, D)
h[t] = tanh(W @ h[t-1] + U @ x[t])
n[t] = sum(h[t])
last = n[tau]
"""


def test_code_of_a_circuit_without_a_loss_asks_which_variable_is_meant(run, tmp_path):
    path = tmp_path / "layer.rec"
    path.write_text(LAYER, encoding="utf-8")
    status, out, err = run("code", path)
    assert (status, out) == (1, "")
    assert "layer has no variable called loss" in err
    choices = (
        "--loss h for h[t], (H); or --loss n for n[t], scalar; or --loss last for last, scalar"
    )
    assert f"Remedy: write {choices}. What is no single number" in err
    assert "as seed_n" in err
    path.write_text("w: param()\ny = w**2", encoding="utf-8")
    assert run("code", path)[2].endswith("Remedy: write --loss y for y, scalar\n")
    assert "there is no loss to differentiate" in run("code", path, "--loss", "loss")[2]


@pytest.mark.parametrize(
    "backend",
    [
        "numpy",
        *(pytest.param(name, marks=pytest.mark.oracle(name)) for name in ("numba", "jax")),
    ],
)
def test_code_of_what_is_no_single_number_takes_its_cotangent(run, tmp_path, backend):
    path = tmp_path / "layer.rec"
    path.write_text(LAYER, encoding="utf-8")
    status, out, err = run("code", path, "--loss", "h", "--backend", backend)
    assert (status, err) == (0, "")
    assert "Return h and the gradients of sum(seed_h * h), over the batch, as (h, dict)." in out
    assert "inputs['seed_h']: (tau, B, H), floats" in out
    assert "seed_h[t]: input(H)" in out
