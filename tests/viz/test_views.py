"""Pictures of the gallery: no overlaps, level rows, snapshots, lengths and hostile text."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

import graphgrad as gg
import viz
from graphgrad.errors import GraphgradError
from tests.viz import pictures
from viz.drawing import Drawing
from viz.picture import Layout, overlaps
from viz.routing import flatten
from viz.structure import Level
from viz.unfolding import Parameters

CELLS = gg.cells.names()
WITH_LOSS = [name for name in CELLS if "loss" in gg.cells.load(name).equations]


def lengths(name: str, tau: int) -> dict[str, int]:
    return dict.fromkeys(gg.cells.load(name).indices, tau)


def check(layout: Layout) -> None:
    """Nothing overlaps, nothing is cut off, rows are level and in one order in all columns."""
    assert overlaps(layout) == []
    for node in layout.nodes:
        assert 0 <= node.box[0] <= node.box[2] <= layout.width
        assert 0 <= node.box[1] <= node.box[3] <= layout.height
        assert node.text.width <= node.width
    for label in layout.labels:
        assert 0 <= label.box[0] <= label.box[2] <= layout.width
    rows = defaultdict(list)
    columns = defaultdict(list)
    for placed in layout.nodes:
        node = placed.node
        if node.time is not None:
            rows[node.track, node.row].append(placed)
            columns[node.track, node.time].append(placed)
    for members in rows.values():
        assert len({round(placed.y, 2) for placed in members}) == 1
    orders = defaultdict(set)
    for (track, _), members in columns.items():
        members.sort(key=lambda placed: (placed.y, placed.x))
        for i, low in enumerate(members):
            for high in members[i + 1 :]:
                if abs(low.y - high.y) < 0.01 and low.node.kind != "boundary" != high.node.kind:
                    pair = sorted((low.node.row, high.node.row))
                    orders[track, *pair].add(low.node.row)
    assert all(len(first) == 1 for first in orders.values())


@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", CELLS)
def test_circuits(name: str, level: Level) -> None:
    check(viz.circuit(gg.cells.load(name), level=level).layout)


GRU = """
x[t]: input(D)
Wz: param(H, D)
Uz: param(H, H)
Wr: param(H, D)
Ur: param(H, H)
Wn: param(H, D)
Un: param(H, H)
z[t] = sigmoid(Wz @ x[t] + Uz @ h[t-1])
r[t] = sigmoid(Wr @ x[t] + Ur @ h[t-1])
n[t] = tanh(Wn @ x[t] + r[t] * (Un @ h[t-1]))
h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]
loss = sum(sum(h[t]) for t in steps)
"""


@pytest.mark.parametrize("layer", ["", "1", "_layer1_"])
def test_long_labels_stand_at_their_own_lines(layer: str) -> None:
    text = GRU
    for name in ("Wz", "Uz", "Wr", "Ur", "Wn", "Un"):
        text = text.replace(name, name[0] + layer + name[1])
    layout = viz.circuit(gg.parse(text)).layout
    check(layout)
    for label in layout.labels:
        left, bottom, right, top = label.box
        near = {
            edge.id
            for edge in layout.edges
            for x, y in flatten(edge.curve)
            if left - 3 < x < right + 3 and bottom - 3 < y < top + 3
        }
        assert near <= {label.owner}, label.text.label.text


RESET_BEFORE = GRU.replace("r[t] * (Un @ h[t-1])", "Un @ (r[t] * h[t-1])")


@pytest.mark.parametrize("text", ["gru", "lstm", GRU, RESET_BEFORE])
def test_labels_are_not_squeezed_between_lines(text: str) -> None:
    circuit = gg.parse(text) if "=" in text else gg.cells.load(text)
    layout = viz.circuit(circuit).layout
    check(layout)
    for label in layout.labels:
        left, bottom, right, top = label.box
        for edge in layout.edges:
            if edge.id != label.owner:
                for x, y in flatten(edge.curve):
                    inside = left - 4 < x < right + 4 and bottom < y < top
                    assert not inside, (label.text.label.text, edge.id)


def test_a_label_stands_inside_the_next_loop() -> None:
    circuit = gg.parse(
        "e[t]: input()\nphi1: param()\nphi2: param()\ny[t] = e[t] - phi1*y[t-1] - phi2*y[t-2]"
    )
    layout = viz.circuit(circuit).layout
    check(layout)
    inner, outer = sorted(layout.marks, key=lambda mark: mark.x)
    (label,) = (each for each in layout.labels if each.owner in inner.edges)
    assert label.text.label.text == "−φ_1"
    assert label.box[2] < outer.x


def test_a_word_is_parted_from_the_next_factor() -> None:
    circuit = gg.parse(
        "w[t]: input(N)\nE: param(D, N)\nWin: param(H, D)\nA: param(H, H)\nB: param(H, H)\n"
        "h[t] = tanh(Win @ (E @ w[t]) + A @ (B @ h[t-1]))"
    )
    labels = {label.text.label.text for label in viz.circuit(circuit).layout.labels}
    assert labels == {"Win E", "AB"}


@pytest.mark.parametrize("size", [7, 10, 24])
@pytest.mark.parametrize("name", CELLS)
def test_font_sizes(name: str, size: float) -> None:
    check(viz.circuit(gg.cells.load(name), font_size=size).layout)


@pytest.mark.parametrize("tau", [1, 2, 3, 6, 40])
@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", CELLS)
def test_unfolded(name: str, level: Level, tau: int) -> None:
    check(viz.unfolded(gg.cells.load(name), lengths(name, tau), level=level).layout)


@pytest.mark.parametrize("tau", [1, 2, 3, 6])
@pytest.mark.parametrize("parameters", ["labels", "none"])
@pytest.mark.parametrize("name", CELLS)
def test_parameters_beside_the_arrows(name: str, parameters: Parameters, tau: int) -> None:
    circuit = gg.cells.load(name)
    layout = viz.unfolded(circuit, lengths(name, tau), parameters=parameters).layout
    check(layout)
    boxes = boxed(viz.circuit(circuit).layout) | starts(circuit)
    assert boxed(layout) <= (boxes if parameters == "labels" else set())


def test_a_parameter_that_is_no_factor_stands_beside_no_arrow() -> None:
    """It keeps its node, as in the circuit diagram: q, and a where it is squared."""
    circuit = gg.parse(
        "x[t]: input()\na: param()\nq: param()\nb: param()\n"
        "p[t] = a**2 * p[t-1] + exp(q)\nm[t] = a * m[t-1] + p[t] * x[t] + b\nloss = m[tau]"
    )
    layout = viz.unfolded(circuit, 3, parameters="labels").layout
    check(layout)
    assert boxed(layout) == boxed(viz.circuit(circuit).layout) == {"a", "q"}


def starts(circuit: gg.Circuit) -> set[str]:
    """The parameters that are boundary values, which a circuit diagram leaves out."""
    roots = [equation.root for equation in circuit.boundaries.values()]
    return {str(root.attr) for root in roots if root.op.name == "param"}


def boxed(layout: Layout) -> set[str]:
    return {placed.node.id for placed in layout.nodes if placed.node.kind == "parameter"}


@pytest.mark.parametrize("tau", [1, 2, 3, 6])
@pytest.mark.parametrize("level", ["variables", "operations", "derivatives"])
@pytest.mark.parametrize("name", WITH_LOSS)
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")
def test_backward(name: str, level: str, tau: int) -> None:
    circuit = gg.cells.load(name)
    drawing = viz.backward(
        circuit,
        lengths(name, tau),
        level="operations" if level == "operations" else "variables",
        derivatives=level == "derivatives",
    )
    check(drawing.layout)


# -- snapshots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_snapshots(name: str) -> None:
    """DOT and coordinates are as committed; GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes them anew."""
    for path, text in pictures.texts(name).items():
        if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} has changed"


@pytest.mark.parametrize("draw", [viz.unfolded, viz.backward])
def test_many_lines_of_parameters_are_dotted(draw: Callable[..., Drawing]) -> None:
    """Unless asked otherwise; that changes no places."""
    elman, lstm = gg.cells.load("elman"), gg.cells.load("lstm")
    for circuit, fan, pattern in (
        (elman, None, "solid"),
        (elman, "dotted", "dotted"),
        (lstm, None, "dotted"),
        (lstm, "auto", "dotted"),
        (lstm, "bus", "solid"),
    ):
        layout = draw(circuit, 2, fan=fan).layout
        assert layout.style.edges["parameter"].pattern == pattern
        assert layout.style.edges["gradient"].pattern == pattern
        assert layout.style.edges["forward"].pattern == "solid"
        assert layout.nodes == draw(circuit, 2, fan="bus").layout.nodes
    assert "style=dotted" in draw(elman, 2, fan="dotted").dot


def test_pictures_of_the_readme_are_up_to_date() -> None:
    """`make pictures` draws them anew."""
    path = Path(__file__).parents[2] / "tools" / "pictures.py"
    spec = importlib.util.spec_from_file_location("pictures_of_the_readme", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, drawing in tool.drawings().items():
        committed = (tool.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert drawing.svg == committed, f"docs/pictures/{name}.svg is old"


def test_equal_bytes_in_every_process() -> None:
    code = (
        "import graphgrad as gg, viz, hashlib\n"
        "for name in ('elman', 'lstm', 'encoder_decoder', 'state_space'):\n"
        "    c = gg.cells.load(name); tau = dict.fromkeys(c.indices, 3)\n"
        "    for d in (viz.circuit(c), viz.unfolded(c, tau), viz.backward(c, tau, derivatives=1),\n"
        "              viz.unfolded(c, tau, level='operations')):\n"
        "        for text in (d.svg, d.dot, d.tex):\n"
        "            print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    found = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    ]
    assert len(found[0].split()) == 4 * 4 * 3
    assert len(set(found)) == 1


def test_png_and_pdf_are_equal_on_repetition() -> None:
    for ending in ("png", "pdf"):
        hashes = {
            hashlib.sha256(viz.unfolded(gg.cells.load("elman"), 2).to_bytes(ending)).hexdigest()  # type: ignore[arg-type]
            for _ in range(2)
        }
        assert len(hashes) == 1


# -- lengths ---------------------------------------------------------------------------------------


def test_long_sequences_are_folded() -> None:
    circuit = gg.cells.load("lstm")
    assert {p.node.time for p in viz.unfolded(circuit, 12).layout.nodes} == {*range(13), None}
    layout = viz.unfolded(circuit, 13).layout
    assert {p.node.time for p in layout.nodes} == {None, 0, 1, 2, 3, 13}
    assert any(dot.ellipsis for dot in layout.dots)
    layout = viz.unfolded(circuit, 50, fold=(2, 2)).layout
    assert {p.node.time for p in layout.nodes} == {None, 0, 1, 2, 49, 50}
    layout = viz.unfolded(circuit, 50, fold=(50, 0)).layout
    assert {p.node.time for p in layout.nodes} == {None, *range(51)}
    assert not any(dot.ellipsis for dot in layout.dots)


@pytest.mark.parametrize("name", ["lstm", "bidirectional", "encoder_decoder", "sequence_to_one"])
def test_a_folded_picture_does_not_depend_on_the_length(name: str) -> None:
    drawing = viz.unfolded(gg.cells.load(name), lengths(name, 10**6))
    assert len(drawing.svg) < 200_000
    columns = {(p.node.track, p.node.time) for p in drawing.layout.nodes if p.node.time is not None}
    assert len(columns) <= 15


def test_long_sequences_take_linear_space() -> None:
    circuit = gg.cells.load("lstm")
    sizes = []
    for tau in (100, 200, 300):
        drawing = viz.unfolded(circuit, tau, fold=(tau, 0))
        sizes.append((len(drawing.layout.edges), len(drawing.svg)))
    for one, two, three in zip(*sizes, strict=True):
        assert abs((three - two) - (two - one)) < 0.02 * one


def test_one_number_folds_at_both_ends() -> None:
    circuit = gg.cells.load("lstm")
    for fold in (2, (2, 2)):
        drawing = viz.unfolded(circuit, 10**6, fold=fold)
        times = {p.node.time for p in drawing.layout.nodes}
        assert times == {None, 0, 1, 2, 10**6 - 1, 10**6}
    assert viz.unfolded(circuit, 9, fold=2).svg == viz.unfolded(circuit, 9, fold=(2, 2)).svg


def test_font_size_and_page_width() -> None:
    circuit = gg.cells.load("elman")
    plain = viz.unfolded(circuit, 3)
    small = viz.unfolded(circuit, 3, font_size=6.5)
    assert small.layout.width < 0.75 * plain.layout.width
    assert max(label.text.size for label in small.layout.nodes) == pytest.approx(6.5)
    narrow = viz.backward(circuit, 3, page_width=150)
    assert narrow.size[0] == pytest.approx(150)
    assert viz.circuit(circuit, page_width=4000).size == viz.circuit(circuit).size


@pytest.mark.parametrize(
    "options",
    [
        {"style": "x"}, {"style": 3}, {"level": "x"}, {"parameters": "x"}, {"fold": (0, 0)},
        {"fan": "x"}, {"fold": (-1, 2)}, {"fold": ("a", 2)}, {"fold": 0}, {"fold": (1, 2, 3)},
        {"font_size": -1}, {"font_size": float("nan")}, {"page_width": 0},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(GraphgradError, match="Remedy"):
        viz.unfolded(gg.cells.load("elman"), 30, **options)  # type: ignore[arg-type]


def test_wrong_lengths_are_refused() -> None:
    circuit = gg.cells.load("elman")
    for tau in (0, -1, 2.5, "3", None, {"s": 3}):
        with pytest.raises(GraphgradError):
            viz.unfolded(circuit, tau)  # type: ignore[arg-type]
        with pytest.raises(GraphgradError):
            viz.backward(circuit, tau)  # type: ignore[arg-type]
    with pytest.raises(GraphgradError, match="no nothing"):
        viz.backward(circuit, 2, loss="nothing")


# -- text ------------------------------------------------------------------------------------------

HOSTILE = [
    'a "quoted" title', r"back\slash \N \G", "<b>bold</b> & <script>alert(1)</script>", "]]>",
    "emoji 🦉 and عربي", "100 % of $x_1$ {braces} #1 ~^", "javascript:alert(1)", "'; DROP --",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_titles_are_shown_as_typed(text: str, tmp_path: Path) -> None:
    circuit = gg.parse(
        f"# {text}\nx[t]: input()\nw: param()\nh[t] = w * h[t-1] + x[t]\nloss = h[tau]"
    )
    assert circuit.title == text
    for drawing in (viz.circuit(circuit), viz.unfolded(circuit, 2), viz.backward(circuit, 2)):
        root = ElementTree.fromstring(drawing.svg)
        titles = [e.text for e in root if e.tag.endswith("title")]
        assert titles == [text]
        assert not any(e.tag.endswith("script") for e in root.iter())
        for ending in ("svg", "dot", "tex"):
            drawing.save(tmp_path / f"picture.{ending}")
            assert (tmp_path / f"picture.{ending}").stat().st_size > 100
    viz.unfolded(circuit, 2).save(tmp_path / "picture.png")
    viz.unfolded(circuit, 2).save(tmp_path / "picture.pdf")


def test_drawings_say_what_they_show() -> None:
    drawing: Drawing = viz.backward(gg.cells.load("elman"), 2)
    assert "d_h[t] = V.T @ d_o[t] + W.T @ d_a[t+1]" in drawing.alt
    assert drawing.title.startswith("Elman network")
    for each in (drawing, viz.circuit(gg.cells.load("elman"))):
        assert each._repr_svg_() == each.svg
