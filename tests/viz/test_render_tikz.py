"""TikZ documents: well formed as text, and set by LaTeX where there is one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest

import graphgrad as gg
import viz
from tests.viz import scenes
from viz.drawing import Drawing
from viz.layout import lay_out
from viz.render_tikz import to_tikz

PWN = r"\input{/etc/passwd} \immediate\write18{touch pwned} 100% $x$ #1 & ~^_{} ,,--''<< 'q' "
SCRIPTS = "naïve ß ŷ θ ½‖·‖² 🦉 שלום"


@pytest.mark.parametrize("name", scenes.ALL)
def test_well_formed(name: str) -> None:
    """Braces and environments close in order, every drawing command ends, no unit is missing."""
    picture = Drawing.of(lay_out(scenes.ALL[name]()), title="a\nb")
    text = picture.tex
    open_: list[str] = []
    drawn = text.split(r"\begin{document}", 1)[1]
    words = re.findall(r"(?<!\\)[{}]|\\begin\{\w+\}|\\end\{\w+\}", re.sub(r"\\[{}\\%]", "", drawn))
    for word in words[:-1]:
        if word == "{":
            open_.append(word)
        elif word == "}":
            assert open_.pop() == "{"
        elif word.startswith("\\begin"):
            open_.append(word[7:-1])
        else:
            assert open_.pop() == word[5:-1]
    assert open_ == []
    assert words[-1] == r"\end{document}"
    commands = re.findall(r"^\\(?:draw|fill|path|node)\b.*$", text, re.MULTILINE)
    assert len(commands) >= len(picture.layout.nodes)
    assert all(command.rstrip().endswith(";") for command in commands)
    assert text.splitlines()[0] == "% a␊b"


def cell(name: str, view: Callable[..., Drawing], **options: object) -> Callable[[], Drawing]:
    return lambda: view(gg.cells.load(name), **options)


PICTURES: dict[str, Callable[[], Drawing]] = {
    "circuit": cell("lstm", viz.circuit, level="operations", style="dark"),
    "unfolded": cell("hidden_markov_model", viz.unfolded, level="operations", page_width=345.0),
    "backward": cell("elman", viz.backward, derivatives=True, style="book"),
    "folded": cell("encoder_decoder", viz.unfolded, tau={"s": 20, "t": 3}),
    "groups": cell("elman", viz.unfolded, groups={PWN: ["h"], SCRIPTS: ["o"]}),
}


def typeset(text: str, folder: Path) -> tuple[pypdf.PageObject, str]:
    """The one page that LaTeX makes of a document, and its log; nothing else may appear."""
    (folder / "picture.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "picture.tex"],
        cwd=folder,
        env=os.environ | {"max_print_line": "10000"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert {file.suffix for file in folder.iterdir()} == {".tex", ".pdf", ".log", ".aux"}
    (page,) = pypdf.PdfReader(folder / "picture.pdf").pages
    return page, (folder / "picture.log").read_text(errors="replace")


@pytest.mark.oracle("latex")
@pytest.mark.parametrize("name", PICTURES)
def test_latex_sets_it(name: str, tmp_path: Path) -> None:
    picture = PICTURES[name]()
    page, log = typeset(picture.tex, tmp_path)
    size = page.mediabox.width, page.mediabox.height
    assert [float(side) for side in size] == pytest.approx(picture.size, abs=0.1)
    assert "Missing character" not in log
    assert "Overfull" not in log


@pytest.mark.oracle("latex")
def test_a_picture_that_tex_rounds_up_stays_on_its_page(tmp_path: Path) -> None:
    picture = viz.circuit(gg.cells.load("elman"))
    width, height = picture.size
    larger = rf"\useasboundingbox (0,0) rectangle ({width + 0.05}bp,{height + 0.05}bp);"
    text, count = re.subn(r"\\useasboundingbox .*;", lambda _: larger, picture.tex)
    assert count == 1
    _, log = typeset(text, tmp_path)
    assert "Overfull" not in log


@pytest.mark.oracle("latex")
def test_latex_shows_what_was_typed(tmp_path: Path) -> None:
    text = to_tikz(lay_out(scenes.hostile()), title="50% \\end{document}")
    page, _ = typeset(text, tmp_path)
    shown = " ".join(page.extract_text().split())
    for typed in ('say "hi"', r"back\slash \N \G", "<b>bold</b>", "]]><script>alert(1)</script>"):
        assert typed in shown
    for typed in ("&lt;&#65;", "100% {x}", "javascript:alert(1)", "U+1F600", "U+5E9"):
        assert typed in shown
