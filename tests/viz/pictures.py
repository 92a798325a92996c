"""The pictures whose DOT texts and coordinates are committed.

A change of the layout shows here. Look at the pictures before committing new ones.
"""

from __future__ import annotations

from pathlib import Path

import graphgrad as gg
import viz
from viz.drawing import Drawing
from viz.picture import Layout

FOLDER = Path(__file__).with_name("snapshots")
PICTURES = {
    "elman-circuit": lambda: viz.circuit(gg.cells.load("elman")),
    "elman-unfolded": lambda: viz.unfolded(gg.cells.load("elman"), 3),
    "elman-operations": lambda: viz.unfolded(gg.cells.load("elman"), 2, level="operations"),
    "elman-backward": lambda: viz.backward(gg.cells.load("elman"), 2, derivatives=True),
    "lstm-groups": lambda: viz.unfolded(
        gg.cells.load("lstm"), 2, groups={"cell": list("cifog"), "gates": ["i", "f", "o", "g"]}
    ),
    "lstm-circuit": lambda: viz.circuit(gg.cells.load("lstm")),
    "lstm-folded": lambda: viz.unfolded(gg.cells.load("lstm"), 100, style="book"),
    "bidirectional-circuit": lambda: viz.circuit(gg.cells.load("bidirectional")),
    "encoder_decoder-circuit": lambda: viz.circuit(gg.cells.load("encoder_decoder")),
    "bidirectional-unfolded": lambda: viz.unfolded(gg.cells.load("bidirectional"), 2),
    "encoder_decoder-unfolded": lambda: viz.unfolded(
        gg.cells.load("encoder_decoder"), {"s": 2, "t": 2}
    ),
    "hidden_markov_model-operations": lambda: viz.circuit(
        gg.cells.load("hidden_markov_model"), level="operations"
    ),
}


def texts(name: str) -> dict[Path, str]:
    """The texts of one picture by the files they belong in."""
    drawing: Drawing = PICTURES[name]()
    return {
        FOLDER / f"{name}.dot": drawing.dot,
        FOLDER / f"{name}.txt": coordinates(drawing.layout),
    }


def coordinates(layout: Layout) -> str:
    """What stands where, one thing a line."""
    lines = [f"picture {layout.width:g} {layout.height:g}"]
    lines += (
        f"node {node.node.id} [{node.node.label.text}] {node.node.kind} "
        f"{node.x:g} {node.y:g} {node.width:g} {node.height:g}"
        for node in layout.nodes
    )
    for edge in layout.edges:
        points = " ".join(f"{x:g},{y:g}" for x, y in edge.curve)
        ends = f"{edge.tail or '…'} -> {edge.head or '…'}"
        lines.append(f"edge {edge.id} {edge.kind} {ends}: {points}")
    lines += (
        f"{'advance' if mark.hollow else 'delay'} {mark.x:g} {mark.y:g}" for mark in layout.marks
    )
    lines += (
        f"label of {label.owner} [{label.text.label.text}] {label.x:g} {label.y:g}"
        for label in layout.labels
    )
    return "\n".join(lines) + "\n"
