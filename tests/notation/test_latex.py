"""Circuits as LaTeX."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import graphgrad as gg
from graphgrad import cells, tanh
from graphgrad.circuit import Circuit
from graphgrad.errors import NotationError, ShapeError
from graphgrad.notation.alphabet import latex_escape
from graphgrad.notation.equations import Page
from graphgrad.notation.latex import circuit_latex
from graphgrad.notation.parse import parse
from tests.notation.printed import BACKWARD, HARD, SNAPSHOTS
from tests.snapshots import same_as_snapshot

STYLES: dict[str, dict[str, Any]] = {
    "matrices": {},
    "units": {"units": True},
    "subscripts": {"time": "subscript"},
}
PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage[utf8]{inputenc}
\usepackage{amsmath}
\allowdisplaybreaks
\begin{document}
"""


def document(**options: Any) -> str:
    """The whole gallery and the hard circuits as a LaTeX document."""
    circuits = [cells.load(name) for name in cells.names()]
    circuits += [parse(BACKWARD, "backward"), parse(HARD, "hard")]
    parts = [
        f"\\section*{{{latex_escape(c.name)}}}\n{latex_escape(c.title)}\n"
        f"{circuit_latex(c, **options)}"
        for c in circuits
    ]
    return PREAMBLE + "\n".join(parts) + "\\end{document}\n"


@pytest.mark.parametrize("style", STYLES)
def test_gallery(style: str) -> None:
    same_as_snapshot(document(**STYLES[style]), SNAPSHOTS / f"{style}.tex")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("style", STYLES)
def test_latex_accepts_it(style: str, tmp_path: Path) -> None:
    (tmp_path / "it.tex").write_text(document(**STYLES[style]), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "it.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


DECLARED = """
x[t]: input(D)
u[t]: input(H)
w[t]: input(H)
k[t]: token(H)
M: param(H, H)
U: param(H, D)
v: param(H)
a: param()
b: param()
sigma_1: param()
"""

EXPRESSIONS = {
    "M @ u[t-1] + U @ x[t]": r"M u^{(t-1)} + U x^{(t)}",
    "M.T @ (u[t] * w[t])": r"M^\top (u^{(t)} \odot w^{(t)})",
    "(M @ u[t]) * w[t]": r"(M u^{(t)}) \odot w^{(t)}",
    "u[t] @ w[t]": r"u^{(t)\top} w^{(t)}",
    "v @ (M @ u[t])": r"v^\top M u^{(t)}",
    "(v @ u[t]) * w[t]": r"(v^\top u^{(t)}) w^{(t)}",
    "a * b": r"a b",
    "a * u[t]": r"a u^{(t)}",
    "a * 2": r"a \cdot 2",
    "2 * a": r"2 a",
    "2 * 3.5": r"2 \cdot 3.5",
    "a * (M @ u[t])": r"a M u^{(t)}",
    "a * u[t] * w[t]": r"a u^{(t)} \odot w^{(t)}",
    "(u[t] * w[t]) * a": r"(u^{(t)} \odot w^{(t)}) a",
    "a * a": r"a^2",
    "outer(u[t], w[t-1])": r"u^{(t)}\, w^{(t-1)\top}",
    "outer(u[t] + v, v * v)": r"(u^{(t)} + v)\, (v \odot v)^\top",
    "a / b": r"\frac{a}{b}",
    "u[t] / a": r"\frac{u^{(t)}}{a}",
    "u[t] / v": r"u^{(t)} \oslash v",
    "u[t] / a / b": r"\frac{u^{(t)}}{a b}",
    "-a / b / 2 / b": r"-\frac{a}{2 b^2}",
    "(a + b) / a / (a - b)": r"\frac{a + b}{a (a - b)}",
    "a / (b / 2)": r"\frac{a}{b/2}",
    "a / (b / a) / b": r"\frac{a}{(b/a) b}",
    "a / ((a + b) / b / 2)": r"\frac{a}{(a + b)/(2 b)}",
    "u[t] / a / w[t]": r"\frac{u^{(t)}}{a} \oslash w^{(t)}",
    "(a / b)**2": r"\left( \frac{a}{b} \right)^2",
    "u[t]**2": r"(u^{(t)})^2",
    "v**2": r"v^2",
    "a**-b": r"a^{-b}",
    "M**2": r"M^{\odot 2}",
    "a - (b - 1)": r"a - (b - 1)",
    "a + -b": r"a - b",
    "a - -b": r"a - (-b)",
    "-u[t] * v": r"-u^{(t)} \odot v",
    "-a / b": r"-\frac{a}{b}",
    "-(a + b)": r"-(a + b)",
    "(a + b) * (a - b)": r"(a + b) (a - b)",
    "sigmoid(u[t])": r"\sigma(u^{(t)})",
    "tanh(u[t])**2": r"\tanh(u^{(t)})^2",
    "relu(a / b)": r"\operatorname{relu}\mathopen{}\left( \frac{a}{b} \right)",
    "sqrt(a)": r"\sqrt{a}",
    "abs(a - b)": r"\lvert a - b \rvert",
    "maximum(a, 0)": r"\max(a, 0)",
    "M[k[t]]": r"M_{k^{(t)}}",
    "(M.T)[k[t]]": r"(M^\top)_{k^{(t)}}",
    "onehot(k[t])": r"\mathbf{e}_{k^{(t)}}",
    "onehot(2, H)": r"\mathbf{e}_2",
    "zeros(H) + ones(H)": r"\mathbf{0} + \mathbf{1}",
    "ones(H, 2*D)": r"\mathbf{1}_{H \times 2D}",
    "concat(u[t], a)": r"[u^{(t)}; a]",
    "at(v, 1)": r"v_1",
    "at(u[t], 1)": r"u_1^{(t)}",
    "sum(v)": r"\sum_h v_h",
    "sum(v * v)": r"\sum_h v_h^2",
    "sum(M)": r"\sum_{h, h'} M_{hh'}",
    "sum(M @ M)": r"\operatorname{sum}(M M)",
    "mean(v)": r"\frac{1}{H} \sum_h v_h",
    "max(v)": r"\max_h\, v_h",
    "where(a > 0, a, b)": r"\begin{cases} a & \text{if } a > 0 \\ b & \text{otherwise} \end{cases}",
    "a if t == tau else b": (
        r"\begin{cases} a & \text{if } t = \tau \\ b & \text{otherwise} \end{cases}"
    ),
    "(a if t % 2 == 0 and t > 3 else 0) + b": (
        r"\left( \begin{cases} a & \text{if } t \bmod 2 = 0 \text{ and } t > 3 \\ "
        r"0 & \text{otherwise} \end{cases} \right) + b"
    ),
    "sum(u[t] for t in steps)": r"\sum_{t=1}^\tau u^{(t)}",
    "sum(u[t] for t in steps if t > 3)": r"\sum_{t=4}^\tau u^{(t)}",
    "sum(u[t] for t in steps if t >= 1)": r"\sum_{t=1}^\tau u^{(t)}",
    "sum(u[t] for t in steps if t <= tau - 2)": r"\sum_{t=1}^{\tau-2} u^{(t)}",
    "sum(u[t] for t in steps if t < 5)": (r"\sum_{\substack{1 \le t \le \tau \\ t < 5}} u^{(t)}"),
    "mean(u[t] for t in steps if t < tau)": r"\operatorname*{mean}_{t=1}^{\tau-1}\, u^{(t)}",
    "sum(u[t] for t in steps if t < tau)": r"\sum_{t=1}^{\tau-1} u^{(t)}",
    "sum(u[t] for t in steps if t != 2)": (
        r"\sum_{\substack{1 \le t \le \tau \\ t \ne 2}} u^{(t)}"
    ),
    "mean(u[t] for t in steps)": r"\frac{1}{\tau} \sum_{t=1}^\tau u^{(t)}",
    "sum(u[t] + w[t] for t in steps)": r"\sum_{t=1}^\tau (u^{(t)} + w^{(t)})",
    "sum(u[t] for t in steps) * a": r"\left( \sum_{t=1}^\tau u^{(t)} \right) a",
    "-sum(-u[t] for t in steps)": r"-\left( -\sum_{t=1}^\tau u^{(t)} \right)",
    "squared_error(u[t], v)": r"\tfrac{1}{2} \lVert u^{(t)} - v \rVert^2",
    "squared_error(a, b)": r"\tfrac{1}{2} (a - b)^2",
    "cross_entropy(u[t], v)": r"\operatorname{cross\ entropy}(u^{(t)}, v)",
    "t / tau": r"\frac{t}{\tau}",
    "1e-05 * a": r"10^{-5} a",
    "2.5e-07 * a": r"2.5 \cdot 10^{-7} a",
    "1 / H": r"\frac{1}{H}",
    "sigma_1 * sigmoid(a)": r"\sigma_1 \operatorname{sigmoid}(a)",
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions(text: str) -> None:
    indexed = "for t" not in text and ("[t" in text or "t /" in text or "if t" in text)
    # a name that is shown as σ takes that letter from the logistic function
    declarations = DECLARED if "sigma_1" in text else DECLARED.replace("sigma_1", "c")
    declared = parse(f"{declarations}z{'[t]' * indexed} = {text}\n").declared()
    assert Page(declared).expression(declared.equations["z"].root).latex == EXPRESSIONS[text]


UNITS = {
    "M @ u[t]": r"\sum_{h'} M_{hh'} u_{h'}^{(t)}",
    "M.T @ u[t]": r"\sum_{h'} M_{h'h} u_{h'}^{(t)}",
    "softmax(u[t])": r"\frac{\exp(u_h^{(t)})}{\sum_{h'} \exp(u_{h'}^{(t)})}",
    "M[k[t]]": r"M_{k^{(t)}, h}",
    "onehot(k[t])": r"[h = k^{(t)}]",
    "M @ concat(at(u[t], 0), split(w[t], 1, H-1)[1])": (
        r"M_{h, 0} u_0^{(t)} + \sum_i M_{h, 1+i} w_{1+i}^{(t)}"
    ),
    "log_softmax(v)": r"\log\mathopen{}\left( \frac{\exp(v_h)}{\sum_{h'} \exp(v_{h'})} \right)",
}


@pytest.mark.parametrize("text", UNITS)
def test_components(text: str) -> None:
    index = "[t]" if "[t]" in text else ""
    declared = parse(f"{DECLARED}z{index} = {text}\n").declared()
    shown = Page(declared, units=True).equation(declared.equations["z"])
    assert shown.right.latex == UNITS[text]


def test_graves_delta_recursion() -> None:
    """Graves 2012, eqs 3.30 to 3.35, whose weights are named from-to."""
    circuit = cells.load("graves").extend(
        "d_a_k[t] = y[t] - z[t]\n"
        "d_a_h[t] = (1 - b_h[t]**2) * (w_hk.T @ d_a_k[t] + w_hh.T @ d_a_h[t+1])\n"
        "d_w_ih = sum(outer(d_a_h[t], x[t]) for t in steps)\n"
    )
    lines = circuit_latex(circuit, units=True).splitlines()
    assert lines[1:3] == [
        r"  a_h^{(t)} &= \sum_i w_{ih} x_i^{(t)} + \sum_{h'} w_{h'h} b_{h'}^{(t-1)} \\",
        r"  b_h^{(t)} &= \tanh(a_h^{(t)}) \\",
    ]
    assert lines[-3:-1] == [
        r"  \delta_{a_h}^{(t)} &= (1 - (b_h^{(t)})^2) \left( \sum_k w_{hk} \delta_{a_k}^{(t)}"
        r" + \sum_{h'} w_{hh'} \delta_{a_{h'}}^{(t+1)} \right) \\",
        r"  \frac{\partial L}{\partial w_{ih}} &= \sum_{t=1}^\tau \delta_{a_h}^{(t)} x_i^{(t)}",
    ]


def test_a_gradient_in_an_expression_is_a_fraction() -> None:
    circuit = parse("w: param(H, H)\nloss = sum(w * w)\nd_w = 2 * w\nz = sum(d_w**2) + loss**2")
    declared = circuit.declared()
    shown = Page(declared).expression(declared.equations["z"].root).latex
    gradient = r"\left( \frac{\partial L}{\partial w_{hh'}} \right)^2"
    assert shown == rf"\sum_{{h, h'}} {gradient} + L^2"


def test_long_sums_are_broken() -> None:
    text = "x[t]: input(D)\nz[t] = " + " + ".join(["x[t]"] * 40) + "\n"
    body = circuit_latex(parse(text)).splitlines()[1:-1]
    assert len(body) > 1
    assert body[1].startswith(r"  &\quad {} + x^{(t)} + x^{(t)}")


def test_depth_costs_no_recursion() -> None:
    circuit = Circuit("deep")
    x = circuit.input("x", "H", index=gg.t)
    deep = x[gg.t]
    for _ in range(2000):
        deep = tanh(deep)
    circuit.var("h")[gg.t] = deep
    for units in (False, True):
        assert circuit.latex(units=units).count(r"\tanh") == 2000


def test_boundary_equations_and_options() -> None:
    circuit = cells.load("gru")
    assert r"  h^{(0)} &= h_0 \\" in circuit.latex().splitlines()
    assert r"  h_0 &= \mathrm{h0} \\" in circuit.latex(time="subscript").splitlines()
    with pytest.raises(NotationError, match="superscript"):
        cells.load("gru").latex(time="above")


def test_circuits_are_checked() -> None:
    with pytest.raises(ShapeError):
        parse("x[t]: input(D)\nW: param(H, H)\nz[t] = W @ x[t]\n").latex()
    assert Circuit("empty").latex() == ""
