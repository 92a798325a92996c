"""From a circuit scene to the plan of its picture: one column, delays on the lines."""

from __future__ import annotations

from collections import Counter

from viz.font import text_width
from viz.grid import Across, Column, Inner, Plan
from viz.label import typeset
from viz.layering import layers_of
from viz.scene import CircuitScene, Edge
from viz.sizing import sizes, typeset_nodes
from viz.step import Link
from viz.style import Style

LOOP = 26.0
"""How far the first self loop of a node reaches out."""
LOOP_STEP = 22.0


def plan_circuit(scene: CircuitScene, style: Style) -> Plan:
    """Sort the nodes and edges of a circuit by how they are drawn."""
    plan = Plan(style)
    plan.texts = typeset_nodes(scene.nodes, style)
    plan.columns = [Column(("", "main"), None)]
    plan.cells = {node.id: (0, node.id) for node in scene.nodes}
    plan.sizes = sizes({node.id: [node] for node in scene.nodes}, plan.texts, style)
    loops = [edge for edge in scene.edges if edge.tail == edge.head]
    if scene.layers is None:
        plan.layers = layers_of(
            [node.id for node in scene.nodes],
            [(edge.tail, edge.head, edge.delay) for edge in scene.edges],
            targets={node.id for node in scene.nodes if node.kind == "target"},
            inputs={node.id for node in scene.nodes if node.kind == "input"},
            chains={edge.tail for edge in loops},
        )
    else:
        plan.layers = {row: level for level, rows in enumerate(scene.layers) for row in rows}
    _sort_edges(plan, scene)
    _reserve_loops(plan, loops)
    return plan


def _sort_edges(plan: Plan, scene: CircuitScene) -> None:
    targets = {node.id for node in scene.nodes if node.kind == "target"}
    seen: Counter[tuple[str, str]] = Counter()
    for edge in scene.edges:
        low, high = plan.layers[edge.tail], plan.layers[edge.head]
        down = high < low
        if edge.tail == edge.head:
            link = Link(edge.tail, edge.head, edge.id)
            plan.loops.append(Inner(edge, 0, edge.tail, edge.head, link, down))
        elif low < high or (down and edge.tail in targets):
            ends = (edge.head, edge.tail) if down else (edge.tail, edge.head)
            link = Link(*ends, f"{seen[ends]}")
            seen[ends] += 1
            plan.inner.append(Inner(edge, 0, edge.tail, edge.head, link, down))
        else:
            side = 1 if edge.delay >= 0 else -1
            plan.across.append(
                Across(edge.id, edge, edge.kind, (0, edge.tail), (0, edge.head), side)
            )


def _reserve_loops(plan: Plan, loops: list[Edge]) -> None:
    """Make room beside the nodes for their loops, on the side where no line leaves."""
    for edge in loops:
        row = edge.tail
        busy = {item.side for item in plan.across if item.tail[1] == row}
        plan.loop_side[row] = -1 if 1 in busy and -1 not in busy else 1
        half = plan.sizes[row].width / 2
        left, right = plan.reach.get(row, (half, half))
        width = loop_text_width(edge, plan.style)
        number = sum(other.tail == row for other in loops[: loops.index(edge)])
        room = half + LOOP + LOOP_STEP * number + plan.style.delay_size + width + 4
        plan.reach[row] = (max(left, room), max(right, room))


def loop_text_width(edge: Edge, style: Style) -> float:
    """Width of what is written beside the square of a self loop."""
    width = typeset(edge.label, style.font_size, text_width).width if edge.label else 0.0
    if abs(edge.delay) != 1:
        width += text_width(str(abs(edge.delay)), size=0.8 * style.font_size) + 6
    return width + 4
