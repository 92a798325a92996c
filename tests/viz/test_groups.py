"""Titled frames around variables that a person names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import graphgrad as gg
import viz
from viz.drawing import Drawing
from viz.engine import DrawingError
from viz.picture import overlaps
from viz.routing import Box

GROUPS = {"cell": ["c", "i", "f", "o", "g"], "gates": ["i", "f", "o", "g"]}
HOSTILE = 'a "b" <script>alert(1)</script> \\N % ]]> 🦉 عربي'


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[2] <= outer[2]
        and inner[3] <= outer[3]
    )


def framed(drawing: Drawing) -> dict[str, set[str]]:
    """The names of the variables in each frame."""
    layout = drawing.layout
    return {
        frame.id: {
            dict(placed.node.data)["name"]
            for placed in layout.nodes
            if inside(placed.box, frame.box) and placed.node.kind != "parameter"
        }
        for frame in layout.frames
    }


def test_a_frame_holds_its_members_and_nothing_else() -> None:
    lstm = gg.cells.load("lstm")
    drawing = viz.circuit(lstm, groups=GROUPS)
    assert framed(drawing) == {"group-0": set("cifog"), "group-1": set("ifog")}
    assert overlaps(drawing.layout) == []
    cell, gates = (frame.box for frame in drawing.layout.frames)
    assert inside(gates, cell)
    assert gates[0] > cell[0]
    assert gates[2] < cell[2]


def test_every_step_has_its_frame_and_a_margin_none() -> None:
    lstm = gg.cells.load("lstm")
    for drawing in (
        viz.unfolded(lstm, 3, groups=GROUPS),
        viz.backward(lstm, 3, groups=GROUPS),
        viz.unfolded(lstm, 3, groups=GROUPS, style="book", font_size=9),
    ):
        found = framed(drawing)
        assert len(found) == 6
        assert all(names in (set("cifog"), set("ifog")) for names in found.values())
        assert overlaps(drawing.layout) == []
    assert len(viz.unfolded(lstm, 100, groups=GROUPS).layout.frames) == 2 * 4


def test_operations_belong_to_their_variable() -> None:
    drawing = viz.circuit(gg.cells.load("lstm"), level="operations", groups={"in": ["i", "f", "g"]})
    (names,) = framed(drawing).values()
    assert {"i", "f", "g"} <= names
    assert {name.split("/")[0] for name in names} == {"i", "f", "g"}
    assert len(names) > 8


@pytest.mark.parametrize("draw", [viz.circuit, viz.unfolded, viz.backward])
def test_inputs_stand_below_groups_of_operations(draw: Callable[..., Drawing]) -> None:
    drawing = draw(
        gg.cells.load("lstm"), level="operations", groups={"gates": ["i", "f", "g", "o"]}
    )
    assert overlaps(drawing.layout) == []
    for names in framed(drawing).values():
        assert {"i", "f", "g", "o"} <= names
        assert "x" not in names
    lowest = min(frame.box[1] for frame in drawing.layout.frames)
    inputs = [placed for placed in drawing.layout.nodes if placed.node.id.split(".")[0] == "x"]
    assert inputs
    assert all(placed.box[3] < lowest for placed in inputs)


def test_titles_are_shown_as_typed() -> None:
    drawing = viz.circuit(gg.cells.load("lstm"), groups={HOSTILE: ["c"]})
    (title,) = [label for label in drawing.layout.labels if label.owner == "group-0"]
    assert title.text.label.text == HOSTILE
    assert "<script" not in drawing.svg
    assert "&lt;script&gt;" in drawing.svg
    assert drawing.to_bytes("png", dpi=40).startswith(b"\x89PNG")


def test_an_operation_between_the_members_is_named_with_its_variable() -> None:
    """What can be added to a group is a variable, so it is no help to name a mere ×."""
    deep = gg.cells.load("deep_rnn")
    with pytest.raises(
        DrawingError, match=r"(?s)\(×\) of h2 .*add 'h2' .*level=\"variables\""
    ) as told:
        viz.unfolded(deep, 2, level="operations", groups={"layer 1": ["h1"]})
    assert "layer 1" in str(told.value)
    both = viz.unfolded(deep, 2, level="operations", groups={"layers": ["h1", "h2"]})
    assert overlaps(both.layout) == []


def test_wrong_groups_are_refused() -> None:
    lstm = gg.cells.load("lstm")
    with pytest.raises(DrawingError, match="names 'q'"):
        viz.circuit(lstm, groups={"cell": ["q"]})
    with pytest.raises(DrawingError, match="is empty"):
        viz.circuit(lstm, groups={"cell": []})
    with pytest.raises(DrawingError, match="stands between"):
        viz.circuit(lstm, groups={"cell": ["x", "c"]})
    with pytest.raises(DrawingError, match="which title"):
        viz.circuit(lstm, groups=["cell"])  # type: ignore[arg-type]
