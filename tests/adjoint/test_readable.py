"""How adjoints read: the whole gallery as text, LaTeX and MathML, as committed and looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.ir import OPS, Expr, topological
from graphgrad.notation.mathml import circuit_mathml
from tests.adjoint.square import closed

SNAPSHOTS = Path(__file__).parent / "snapshots"
GALLERY = [name for name in gg.cells.names() if "loss" in gg.cells.load(name).equations]


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery_in_print(name: str) -> None:
    """Three texts a cell; GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes them anew, to be read."""
    adjoint = gg.cells.load(name).adjoint()
    shown = {
        "rec": str(adjoint),
        "tex": adjoint.latex(),
        # one line an equation, so that a difference can be seen
        "html": circuit_mathml(adjoint).replace("><mtr>", ">\n<mtr>") + "\n",
    }
    for ending, text in shown.items():
        path = SNAPSHOTS / f"{name}.{ending}"
        if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name}.{ending}"


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(GALLERY)


def own(circuit: gg.Circuit, adjoint: gg.Circuit) -> dict[str, Expr]:
    """The right sides of the backward equations."""
    names = [name for name in adjoint.equations if name not in circuit.equations]
    return {name: adjoint.equations[name].root for name in names}


@pytest.mark.parametrize("name", GALLERY)
def test_nothing_is_written_that_a_person_would_leave_out(name: str) -> None:
    circuit = gg.cells.load(name)
    adjoint = circuit.adjoint()
    equations = own(circuit, adjoint)
    wanted = [f"d_{param}" for param in circuit.params]
    assert list(equations)[-len(wanted) :] == wanted, "gradients come last, as declared"
    read: set[str] = set()
    for root in equations.values():
        for expr in topological([root]):
            if expr.op.name in ("read", "at_step"):
                read.add(expr.attr.name)
            elif expr.op.name == "static":
                read.add(expr.attr)
            assert not trivial(expr), (name, expr)
    assert not set(equations) - read - set(wanted), "every equation is read, or asked for"
    assert closed(adjoint)
    assert adjoint == circuit.adjoint(), "the same every time"


def trivial(expr: Expr) -> bool:
    """Whether an expression could be written shorter at sight."""
    ones = [arg.op is OPS["const"] and arg.attr == 1 for arg in expr.args]
    zeros = [
        (arg.op is OPS["const"] and arg.attr == 0)
        or (arg.op is OPS["fill"] and arg.attr.value == 0)
        for arg in expr.args
    ]
    match expr.op.name:
        case "add" | "sub":
            return any(zeros) or expr.args[1].op is OPS["neg"]
        case "mul":
            return any(ones) or any(zeros)
        case "div":
            return ones[1] or zeros[0]
        case "pow":
            return ones[1]
        case "neg":
            return expr.args[0].op is OPS["neg"] or any(zeros)
        case "transpose":
            return expr.args[0].op is OPS["transpose"]
        case "matmul" | "outer" | "reduce":
            return any(zeros)
        case "choose" | "where":
            return all(zeros[-2:])
    return False


TEXTBOOK = {
    "elman": [
        "d_o[t] = yhat[t] - y[t]",
        "d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]",
        "d_a[t] = (1 - h[t]**2) * d_h[t]",
        "d_W = sum(outer(d_a[t], h[t-1]) for t in steps)",
    ],
    "sequence_to_one": [
        "d_o = yhat - y",
        "d_h[t] = (V.T @ d_o if t == tau else 0) + W.T @ d_a[t+1]",
        "d_V = outer(d_o, h[tau])",
    ],
    "skip_connections": [
        "d_h[t] = V.T @ delta_Vh[t] + W.T @ delta_h[t+1] + S.T @ delta_h[t+2]",
        "d_h_0 = W.T @ delta_h[1] + (S.T @ delta_h[2] if tau >= 2 else 0)",
        "d_h_m1 = S.T @ delta_h[1]",
    ],
    "many_to_many": ["d_E = sum(outer(onehot(x[t]), d_e[t]) for t in steps)"],
    "hidden_markov_model": [
        "d_alpha[t] = P @ d_prior[t+1]",
        "d_n[t] = -(1 + d_alpha[t] @ alpha[t]) / n[t]",
        "d_P = sum(outer(alpha[t-1], d_prior[t]) for t in steps if t > 1)",
    ],
    "variable_length": ["delta_yhat[t] = (yhat[t] - y[t]) / tau"],
    "encoder_decoder": ["d_C = S.T @ delta_SC + Q.T @ delta_g_0"],
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_equations_as_a_textbook_has_them(name: str) -> None:
    lines = str(gg.cells.load(name).adjoint()).splitlines()
    for line in TEXTBOOK[name]:
        assert line in lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # what vanishes outside by itself is bare, anything else says where it exists
        ("loss = sum(h[t-1] for t in steps)", "d_h[t] = 1 if t < tau else 0"),
        ("loss = sum(h[t+2] for t in steps)", "d_h[t] = 1 if t > 2 else 0"),
        (
            "a[t] = h[t-1] / x[t]\nloss = sum(a[t] ** 2 for t in steps)",
            "d_h[t] = d_a[t+1] / x[t+1] if t < tau else 0",
        ),
        ("loss = sum(h[t] for t in steps if t != tau)", "d_h[t] = 1 if t < tau else 0"),
        ("loss = h[tau-1]", "d_h[t] = 1 if t == tau - 1 else 0"),
        # a reduction spreads, a static value collects
        ("m = mean(h[t] for t in steps)\nloss = m ** 2", "d_h[t] = d_m / tau"),
        ("s = w * w\nloss = sum(s * h[t] for t in steps)", "d_s = sum(h[t] for t in steps)"),
        # a distribution sums to 1, other targets do not
        (
            "p[t]: distribution(K)\nu: param(K)\nq[t] = softmax(u * h[t])\n"
            "loss = sum(cross_entropy(q[t], p[t]) for t in steps)",
            "delta_q[t] = q[t] - p[t]",
        ),
        (
            "p[t]: input(K)\nu: param(K)\nq[t] = softmax(u * h[t])\n"
            "loss = sum(cross_entropy(q[t], p[t]) for t in steps)",
            "delta_q[t] = q[t] * sum(p[t]) - p[t]",
        ),
        # a number times ones is put in where it is used, and numbers become one
        ("M: param(N, N)\nloss = h[tau] + sum(M * M) / 2", "d_M = M"),
        ("M: param(N, N)\nloss = h[tau] + mean(M * M) / 2", "d_M = M / N / N"),
        ("loss = h[tau] * h[tau] / 2", "d_h[t] = h[tau] if t == tau else 0"),
        (
            "v[t] = 0.01 * h[t] ** 2\nloss = sum(sin(v[t]) for t in steps)",
            "d_h[t] = 0.02 * h[t] * d_v[t]",
        ),
    ],
)
def test_one_thing_at_a_time(text: str, line: str) -> None:
    circuit = gg.parse(f"w: param()\nx[t]: input()\nh[t] = w * x[t]\n{text}")
    assert line in str(circuit.adjoint()).splitlines()


def test_the_prefix_avoids_names_that_are_taken() -> None:
    circuit = gg.parse(
        "w: param()\nd_w = w * w\ndelta_h: param()\nh = d_w * sin(d_w * delta_h)\nloss = h"
    )
    text = str(circuit.adjoint())
    assert "dd_w = " in text
    assert "dd_d_w = " in text
    assert closed(circuit.adjoint())
