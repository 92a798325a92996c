"""Which steps feel an input: the unfolded graph shaded by derivatives (Graves 4.1, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit, as_circuit
from graphgrad.data import lengths_of
from graphgrad.errors import GradientError
from viz.drawing import Drawing
from viz.jacobians import from_input, together
from viz.label import Label, roman
from viz.layout import lay_out
from viz.scene import Node, UnfoldedScene
from viz.structure import structure
from viz.style import Style
from viz.unfolding import Parameters, unfolded_scene
from viz.views import described, style_of

OPEN, CLOSED = "O", "—"


def sensitivity(
    circuit: Circuit,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    source: str | None = None,
    step: int = 1,
    gates: bool = True,
    parameters: Parameters = "none",
    fold: tuple[int, int] | None = None,
    style: str | Style = "book",
    tau: int | Mapping[str, int] | None = None,
) -> Drawing:
    """Return the unfolded graph of one example, each node the darker the more it feels one input.

    A node is shaded by ‖∂v[t]/∂x[step]‖ relative to the largest value in its row; `source` names
    x, the first input of numbers if left out. With `gates` the variables that are sigmoids and
    multiply others are marked O where they are open (their mean is at least a half) and — where
    closed, as in Graves 2012, figs 4.1 and 4.3. Inputs have time first and no batch axis; `tau`
    says how many steps there are of an index that no input has. Raises GradientError where no input
    can be differentiated by.
    """
    values = together(as_circuit(circuit), params, inputs)
    source = source or _first(circuit)
    felt = from_input(circuit, values, source, step, tau)
    index = circuit.check().inputs[source].index
    steps = len(values[source])
    lengths = lengths_of(circuit.check(), values, tau)
    computed = circuit.unfold(lengths).evaluate(values)
    marks = gate_variables(circuit) if gates else []
    parts = structure(circuit, "variables", terms=True)
    scene = unfolded_scene(parts, lengths, parameters=parameters, fold=fold)

    def shaded(node: Node) -> Node:
        row, time = node.row, node.time
        if time is None or not 1 <= time <= steps:
            return node
        if row == source:
            return replace(node, shade=1.0 if time == step else 0.0)
        if row not in felt:
            return replace(node, shade=0.0) if node.track == index else node
        top = float(felt[row].max())
        share = float(felt[row][time - 1]) / top if top else 0.0
        tip = f"{node.tooltip}\n‖∂{row}[{time}]/∂{source}[{step}]‖ = {felt[row][time - 1]:.3g}"
        node = replace(node, shade=share, tooltip=tip)
        if row not in marks:
            return node
        mean = float(np.mean(computed[row][time - 1]))
        mark = OPEN if mean >= 0.5 else CLOSED
        tip = f"{tip}\nmean {mean:.3g}: {'open' if mark == OPEN else 'closed'}"
        return replace(node, label=_marked(node.label, mark), tooltip=tip)

    scene = _without(scene, set(felt) | set(circuit.inputs))
    scene = replace(scene, nodes=tuple(map(shaded, scene.nodes)))
    alt = (
        f"Unfolded graph of {circuit.name}, nodes shaded by their sensitivity to {source}[{step}]: "
        f"{described(circuit)}."
    )
    title = f"{circuit.title or circuit.name}: sensitivity to {source}[{step}]"
    return Drawing.of(lay_out(scene, style_of(style)), alt=alt, title=title)


def _without(scene: UnfoldedScene, known: set[str]) -> UnfoldedScene:
    """Return the scene without what has no derivative at each step, and what only that reads."""
    kept = {
        node.id
        for node in scene.nodes
        if node.row in known or node.kind in ("boundary", "parameter", "constant")
    }
    edges = tuple(edge for edge in scene.edges if {edge.tail, edge.head} <= kept)
    used = {end for edge in edges for end in (edge.tail, edge.head)}
    nodes = tuple(node for node in scene.nodes if node.id in kept & used)
    return replace(scene, nodes=nodes, edges=edges)


def _marked(label: Label, mark: str) -> Label:
    return label + roman(f" {mark}")


def _first(circuit: Circuit) -> str:
    for name, declared in circuit.check().inputs.items():
        if isinstance(declared.type, tuple) and declared.index is not None:
            return name
    raise GradientError(
        f"{circuit.name} has no input of numbers with an index",
        remedy="name one with source=, or feed embedded tokens as an input x[t]: input(D)",
    )


def gate_variables(circuit: Circuit) -> list[str]:
    """Return the variables that are sigmoids and that another equation multiplies by."""
    system = circuit.check()
    nodes = system.graph.nodes
    sigmoids = {name for name, root in system.roots.items() if nodes[root].op.name == "sigmoid"}
    used = {
        nodes[arg].attr.name
        for node in nodes
        if node.op.name == "mul"
        for arg in node.args
        if nodes[arg].op.name == "read"
    }
    return [name for name in system.variables if name in sigmoids & used]
