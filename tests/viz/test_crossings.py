"""Lines that cross or lie on each other: found where they do, and never more than recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import graphgrad as gg
import viz
from tests.viz import scenes
from viz.crossings import crossings, shared_runs
from viz.drawing import Drawing
from viz.layout import lay_out
from viz.picture import Layout
from viz.routing import line

RECORD = Path(__file__).with_name("snapshots") / "crossings.txt"


def with_lines(*paths: tuple[tuple[float, float], ...]) -> Layout:
    """A picture of straight lines only, each with an arrow."""
    layout = lay_out(scenes.elman())
    whole = next(edge for edge in layout.edges if edge.tip is not None)
    edges = tuple(
        replace(whole, id=f"l{i}", tail=f"a{i}", head=f"b{i}", curve=line(*path), tip=path[-1])
        for i, path in enumerate(paths)
    )
    return replace(layout, edges=edges)


def test_crossings_are_found_once_each() -> None:
    cross = with_lines(((0, 0), (100, 100)), ((0, 100), (100, 0)), ((200, 0), (200, 90)))
    assert crossings(cross) == [("l0", "l1")]
    twice = with_lines(((0, 0), (50, 80), (100, 0)), ((0, 40), (100, 40)))
    assert crossings(twice) == [("l0", "l1")] * 2
    at_a_corner = with_lines(((0, 0), (50, 50), (100, 100)), ((0, 100), (50, 50), (100, 0)))
    assert crossings(at_a_corner) == [("l0", "l1")]


def test_a_branch_does_not_cross() -> None:
    assert crossings(with_lines(((0, 0), (100, 0)), ((50, 0), (50, 40)))) == []
    assert crossings(with_lines(((0, 0), (100, 0)), ((50, 40), (50, 0)))) == []
    assert crossings(with_lines(((0, 0), (100, 0)), ((0, 9), (100, 9)))) == []


def test_shared_runs_are_found() -> None:
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((40, 0.3), (60, 0.3)))) == ["l0 lies on l1"]
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((40, 3), (60, 3)))) == []
    assert shared_runs(with_lines(((0, 0), (100, 0)), ((50, -50), (50, 50)))) == []


def drawings(name: str) -> dict[str, Drawing]:
    circuit = gg.cells.load(name)
    tau = dict.fromkeys(circuit.indices, 3)
    found: dict[str, Drawing] = {}
    for level in ("variables", "operations"):
        found[f"circuit {level}"] = viz.circuit(circuit, level=level)  # type: ignore[arg-type]
        found[f"unfolded {level}"] = viz.unfolded(circuit, tau, level=level)  # type: ignore[arg-type]
        if "loss" in circuit.equations:
            found[f"backward {level}"] = viz.backward(circuit, tau, level=level)  # type: ignore[arg-type]
    return found


def recorded() -> dict[str, tuple[int, int]]:
    """How often lines cross, and lie on each other, in each picture."""
    rows = (text.rsplit(maxsplit=2) for text in RECORD.read_text(encoding="utf-8").splitlines())
    return {name: (int(crossed), int(shared)) for name, crossed, shared in rows}


@pytest.mark.parametrize("name", gg.cells.names())
@pytest.mark.filterwarnings("ignore::graphgrad.adjoint.GradientWarning")
def test_lines_cross_no_more_than_recorded(name: str) -> None:
    """GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes the record anew; what has grown is to be looked at."""
    record = recorded() if RECORD.exists() else {}
    for view, drawing in drawings(name).items():
        key = f"{name} {view}"
        found = len(crossings(drawing.layout)), len(shared_runs(drawing.layout))
        if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
            record[key] = found
            lines = sorted(f"{each} {a} {b}\n" for each, (a, b) in record.items())
            RECORD.write_text("".join(lines), encoding="utf-8")
        assert all(a <= b for a, b in zip(found, record[key], strict=True)), key
