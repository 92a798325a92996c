"""The command report."""

from pathlib import Path

import graphgrad as gg

ELMAN = gg.cells.path("elman")


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
