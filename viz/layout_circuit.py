"""From a circuit scene to the plan of its picture: one column, delays on the lines."""

from __future__ import annotations

from collections import Counter

from viz.font import text_width
from viz.grid import Across, Column, Grid, Inner, Plan
from viz.label import typeset
from viz.layering import layers_of
from viz.scene import CircuitScene, Edge
from viz.sizing import sizes, typeset_nodes
from viz.step import Link
from viz.style import Style

LOOP = 26.0
"""How far the first self loop of a node reaches out."""
LOOP_STEP = 22.0
LOOP_ANGLE = 62.0
"""Where the first self loop of a node leaves and arrives, in degrees from the vertical."""


def plan_circuit(scene: CircuitScene, style: Style) -> Plan:
    """Sort the nodes and edges of a circuit by how they are drawn."""
    plan = Plan(style)
    plan.texts = typeset_nodes(scene.nodes, style)
    tracks = list(dict.fromkeys(node.track for node in scene.nodes)) or [""]
    plan.columns = [Column((track, "main"), None) for track in tracks]
    plan.cells = {node.id: (tracks.index(node.track), node.id) for node in scene.nodes}
    plan.sizes = sizes({node.id: [node] for node in scene.nodes}, plan.texts, style)
    if scene.layers is None:
        for column in range(len(tracks)):
            plan.layers |= _layers(plan, scene, column)
    else:
        plan.layers = {row: level for level, rows in enumerate(scene.layers) for row in rows}
    _sort_edges(plan, scene)
    _reserve_texts(plan)
    _reserve_loops(plan, [edge for edge in scene.edges if edge.tail == edge.head])
    return plan


def _layers(plan: Plan, scene: CircuitScene, column: int) -> dict[str, int]:
    """The layers of the nodes of one column."""
    mine = {node.id: node for node in scene.nodes if plan.cells[node.id][0] == column}
    inputs = {node.id for node in mine.values() if node.kind == "input"}
    inside = {name for group in scene.groups for name in group.members}
    return layers_of(
        list(mine),
        [(e.tail, e.head, e.delay) for e in scene.edges if e.tail in mine and e.head in mine],
        targets={node.id for node in mine.values() if node.kind == "target"},
        inputs=inputs,
        lowest=inputs - inside if inside else (),
    )


def _sort_edges(plan: Plan, scene: CircuitScene) -> None:
    targets = {node.id for node in scene.nodes if node.kind == "target"}
    seen: Counter[tuple[str, str]] = Counter()
    for edge in scene.edges:
        tail, head = plan.cells[edge.tail], plan.cells[edge.head]
        low, high = plan.layers[edge.tail], plan.layers[edge.head]
        down, inside = high < low, tail[0] == head[0]
        if edge.tail == edge.head:
            link = Link(edge.tail, edge.head, edge.id)
            plan.loops.append(Inner(edge, tail[0], edge.tail, edge.head, link, down))
        elif inside and (low < high or (down and edge.tail in targets)):
            ends = (edge.head, edge.tail) if down else (edge.tail, edge.head)
            link = Link(*ends, f"{seen[ends]}")
            seen[ends] += 1
            plan.inner.append(Inner(edge, tail[0], edge.tail, edge.head, link, down))
        else:
            side = (1 if edge.delay >= 0 else -1) if inside else (1 if head > tail else -1)
            plan.across.append(Across(edge.id, edge, edge.kind, tail, head, side))


def _reserve_texts(plan: Plan) -> None:
    """Make room beside nodes that have neighbours for what stands at lines from above or below."""
    em = plan.style.font_size
    count = Counter((column, plan.layers[row]) for column, row in plan.cells.values())
    for item in plan.across:
        column, row = item.head
        edge = item.edge
        if edge is None or edge.label is None or edge.near_head or item.distance:
            continue
        if count[column, plan.layers[row]] > 1:
            half = plan.sizes[row].width / 2
            left, right = plan.reach.get(row, (half, half))
            room = 0.5 * half + typeset(edge.label, em, text_width).width + 0.6 * em
            plan.reach[row] = (max(left, room), max(right, room))


def _reserve_loops(plan: Plan, loops: list[Edge]) -> None:
    """Make room beside the nodes for their loops, on the side where no line leaves."""
    for edge in loops:
        row = edge.tail
        busy = {item.side for item in plan.across if item.tail[1] == row}
        plan.loop_side[row] = -1 if 1 in busy and -1 not in busy else 1
        half = plan.sizes[row].width / 2
        left, right = plan.reach.get(row, (half, half))
        before = [other for other in loops[: loops.index(edge)] if other.tail == row]
        width = loop_text_width(edge, plan.style)
        plan.loop_reach[edge.id] = LOOP + sum(_loop_step(other, plan.style) for other in before)
        room = half + plan.loop_reach[edge.id] + plan.style.delay_size + width + 4
        plan.reach[row] = (max(left, room), max(right, room))


def _loop_step(edge: Edge, style: Style) -> float:
    """How much further than a loop the next one reaches out, with room for a text between them."""
    width = loop_text_width(edge, style)
    return LOOP_STEP if width < LOOP - style.delay_size else width + style.delay_size + 6


def turn_loops_outward(plan: Plan, grid: Grid) -> None:
    """Put the loops of what stands leftmost in its layer, beside others, on its left."""
    busy = {(item.tail[1], item.side) for item in plan.across}
    for row in plan.loop_side:
        cell = plan.cells[row]
        leftmost, rightmost = grid.is_outermost(cell, -1), grid.is_outermost(cell, 1)
        if leftmost and not rightmost and (row, -1) not in busy:
            plan.loop_side[row] = -1


def loop_text_width(edge: Edge, style: Style) -> float:
    """Width of what is written beside the square of a self loop."""
    width = typeset(edge.label, style.font_size, text_width).width if edge.label else 0.0
    if abs(edge.delay) != 1:
        width += text_width(str(abs(edge.delay)), size=0.8 * style.font_size) + 6
    return width + 4
