"""The backward view: cotangents flow back beside the values that they answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

from graphgrad.circuit import Circuit, as_circuit
from graphgrad.unfold import checked_lengths
from viz.derivatives import Derivatives
from viz.drawing import Drawing
from viz.flow_back import Primal, cotangents, flow_of_operations, flow_of_variables
from viz.groups import Groups, with_groups
from viz.items import Level, Structure
from viz.label import Label
from viz.layout import lay_out
from viz.scene import Edge, Node, UnfoldedScene
from viz.structure import structure
from viz.style import Fan, Style
from viz.unfolding import Fold, Unfolding
from viz.views import one_of, style_of


def backward(
    circuit: Circuit,
    tau: int | Mapping[str, int] = 3,
    *,
    loss: str = "loss",
    wrt: Iterable[str] | str | None = None,
    level: Level = "variables",
    derivatives: bool = False,
    fold: Fold = None,
    groups: Groups | None = None,
    style: str | Style = "colour",
    font_size: float | None = None,
    page_width: float | None = None,
    fan: Fan | None = None,
) -> Drawing:
    """Return the unfolded graph with the flow of the gradient of a loss.

    Beside every arrow along which the gradient flows runs one back, and the contributions of all
    steps flow into one node a parameter (all of them, or what `wrt` names): its gradient.
    `derivatives` writes the local derivative beside the arrows, at the level of variables. That of
    an arrow without a label is 1 or the identity, or not one short formula, or has no room; one of
    two functions that the adjoint joins (a cross entropy of a softmax) stands at the lower arrow.
    The rest as in `unfolded`.
    """
    circuit = as_circuit(circuit)
    one_of("level", level, get_args(Level))
    look = style_of(style, font_size=font_size, page_width=page_width, fan=fan)
    adjoint = circuit.adjoint(loss, wrt=wrt)
    lengths = checked_lengths(circuit.check(), tau)
    scene = backward_scene(
        circuit, adjoint, lengths, loss=loss, level=level, derivatives=derivatives, fold=fold
    )
    scene = with_groups(scene, groups, structure(circuit, level, terms=True, loss=loss))
    shown = ", ".join(f"{name} = 1..{length}" for name, length in lengths.items())
    added = [str(e) for name, e in adjoint.equations.items() if name not in circuit.equations]
    alt = f"Gradient of {loss} in {circuit.name} for {shown}: {'; '.join(added)}."
    return Drawing.of(lay_out(scene, look), alt=alt, title=circuit.title or circuit.name)


def backward_scene(
    circuit: Circuit,
    adjoint: Circuit,
    lengths: Mapping[str, int],
    *,
    loss: str = "loss",
    level: Level = "variables",
    derivatives: bool = False,
    fold: Fold = None,
) -> UnfoldedScene:
    """Return the scene of the backward view; `adjoint` is the circuit's own for that loss."""
    unfolding = Unfolding(structure(circuit, level, terms=True, loss=loss), lengths, fold=fold)
    scene = unfolding.scene()
    back = structure(adjoint, loss=loss)
    primals = cotangents(circuit, back)
    if level == "variables":
        arrows = flow_of_variables(scene, unfolding, back, primals)
    else:
        wanted = {name for name, at in primals.values() if at is None and name in circuit.params}
        arrows = flow_of_operations(scene, unfolding, wanted)
    found: Derivatives | None = None
    if derivatives and level == "variables":
        found = Derivatives(adjoint, primals, back.names, unfolding.parts, lengths)
    nodes = {node.id: node for node in scene.nodes}
    companions = tuple(
        Edge(
            f"back-{edge.id}",
            edge.head,
            edge.tail,
            found.of(nodes[edge.tail], nodes[edge.head]) if found is not None else None,
            kind="adjoint",
            beside=edge.id,
            tooltip=f"cotangent of {edge.tail} from {edge.head}",
        )
        for edge in scene.edges
        if (edge.head, edge.tail) in arrows
    )
    equations = {
        primal: (name, str(back.declared.equations[name])) for name, primal in primals.items()
    }
    shown = tuple(_with_gradient(node, equations, back) for node in scene.nodes)
    return replace(scene, nodes=shown, edges=(*_kept(scene.edges, companions), *companions))


def _kept(edges: tuple[Edge, ...], companions: Iterable[Edge]) -> Iterator[Edge]:
    """Yield the edges without those of a parameter that no gradient answers while others do.

    The line of its gradient would seem to lead to them.
    """
    answered = {edge.beside for edge in companions}
    turned = {edge.head for edge in companions}
    for edge in edges:
        if edge.kind != "parameter" or edge.id in answered or edge.tail not in turned:
            yield edge


def _with_gradient(
    node: Node, equations: Mapping[Primal, tuple[str, str]], back: Structure
) -> Node:
    """A parameter's node shows its gradient; others say in their tooltip how theirs is found."""
    found = equations.get((dict(node.data)["name"], None))
    if found is None or node.kind == "boundary":
        return node
    name, equation = found
    if node.kind == "parameter":
        return replace(node, label=Label(back.names[name].runs()), tooltip=equation)
    return replace(node, tooltip=f"{node.tooltip}\n{equation}")
