"""A laid-out picture as DOT in which everything has its place: Graphviz only draws.

Every run of text is a node of its own, because Graphviz has no labels with scripts on both levels
that look alike in all its formats. Boxes with round ends, which Graphviz lacks, are in the
background drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from viz.font import FAMILY
from viz.label import AXIS, Typeset, displayable
from viz.picture import Layout, PlacedEdge, PlacedNode
from viz.render_svg import blend, compact
from viz.routing import Curve, Point

CENTRE = 0.33
"""How far, in ems, Graphviz sets the base line below the middle of a text."""


def to_dot(layout: Layout, *, title: str = "") -> str:
    """The picture for `neato -n2` (the engine "nop2"); equal layouts give equal texts."""
    style = layout.style
    names = {node.node.id: f"n{i}" for i, node in enumerate(layout.nodes)}
    size = f'size="{compact(style.page_width / 72)},1000",' if style.page_width else ""
    lines = [
        "digraph {",
        f'graph [pad=0, margin=0, outputorder=edgesfirst, bgcolor="{style.background}", '
        f'{size}bb="0,0,{compact(layout.width)},{compact(layout.height)}"{_tip(title)}'
        f"{_background(layout)}];",
        'node [fixedsize=true, label="", margin=0];',
        "edge [arrowhead=normal];",
        'ground0 [pos="0,0", width=0, height=0, style=invis, shape=point];',
        f'ground1 [pos="{compact(layout.width)},{compact(layout.height)}", width=0, height=0, '
        "style=invis, shape=point];",
    ]
    lines.extend(_node(node, names[node.node.id], layout) for node in layout.nodes)
    for i, mark in enumerate(layout.marks):
        colour = style.edges[mark.kind].stroke
        fill = style.background if mark.hollow else colour
        lines.append(
            f'd{i} [shape=square, pos="{_at((mark.x, mark.y))}", width={_inches(mark.size)}, '
            f'height={_inches(mark.size)}, style=filled, color="{colour}", fillcolor="{fill}"];'
        )
    for i, dot in enumerate(layout.dots):
        colour = style.edges[dot.kind].stroke
        lines.append(
            f'j{i} [shape=circle, pos="{_at((dot.x, dot.y))}", width={_inches(2 * dot.radius)}, '
            f'height={_inches(2 * dot.radius)}, style=filled, color="{colour}", '
            f'fillcolor="{colour}", penwidth=0];'
        )
    for node in layout.nodes:
        look = style.nodes[node.node.kind]
        dark = node.node.shade is not None and node.node.shade >= 0.5
        colour = style.background if dark else look.text
        lines.extend(_text(node.text, node.x, node.y, colour, f"{names[node.node.id]}_"))
    for i, (label, colour) in enumerate(zip(layout.labels, layout.label_colours(), strict=True)):
        lines.extend(_text(label.text, label.x, label.y, colour, f"t{i}_"))
    lines.extend(_edge(edge, names, layout) for edge in layout.edges)
    lines.append("}\n")
    return "\n".join(lines)


def quoted(text: str) -> str:
    r"""A DOT string that is displayed as the text was typed.

    >>> print(quoted('a "b" \\N &amp;'))
    "a \"b\" \\N &amp;amp;"
    """
    clean = displayable(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean}"'


def _node(placed: PlacedNode, name: str, layout: Layout) -> str:
    node, look = placed.node, layout.style.nodes[placed.node.kind]
    circle = placed.shape == "round" and abs(placed.width - placed.height) < 0.01
    stadium = placed.shape == "round" and not circle
    shape = "circle" if circle else "none" if stadium or placed.shape == "plain" else "box"
    fill = _fill(placed, layout)
    paint = (
        ""
        if shape == "none"
        else f', style=filled, color="{look.stroke}", fillcolor="{fill}", '
        f"penwidth={compact(look.line)}"
    )
    return (
        f"{name} [id={quoted(node.id)}, class={quoted(' '.join((node.kind, *node.classes)))}, "
        f'shape={shape}, pos="{_at((placed.x, placed.y))}", width={_inches(placed.width)}, '
        f"height={_inches(placed.height)}{paint}{_tip(node.tooltip or node.label.text)}];"
    )


def _fill(placed: PlacedNode, layout: Layout) -> str:
    look, shade = layout.style.nodes[placed.node.kind], placed.node.shade
    return look.fill if shade is None else blend(look.fill, layout.style.shade, shade)


def _edge(placed: PlacedEdge, names: dict[str, str], layout: Layout) -> str:
    look = layout.style.edges[placed.kind]
    tail = names.get(placed.tail) or names.get(placed.head) or "ground0"
    head = names.get(placed.head) or tail
    arrow = "dir=none" if placed.tip is None else f"arrowsize={compact(_length(placed) / 10)}"
    start = f"e,{_at(placed.tip)} " if placed.tip is not None else ""
    points = " ".join(_at(point) for point in placed.curve)
    dash = f", style={look.pattern}" if look.dash else ""
    tip = placed.edge.tooltip if placed.edge is not None else ""
    return (
        f'{tail} -> {head} [id={quoted(placed.id)}, {arrow}, color="{look.stroke}", '
        f'penwidth={compact(look.line)}{dash}{_tip(tip)}, pos="{start}{points}"];'
    )


def _length(placed: PlacedEdge) -> float:
    assert placed.tip is not None
    (x0, y0), (x1, y1) = placed.curve[-1], placed.tip
    return float(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)


def _text(text: Typeset, x: float, y: float, colour: str, name: str) -> Iterator[str]:
    left, base = x - text.width / 2, y - AXIS * text.size
    for i, piece in enumerate(text.pieces):
        if not piece.text:
            continue
        face = FAMILY + (" italic" if piece.italic else " bold" if piece.bold else "")
        at = (left + piece.x + piece.width / 2, base + piece.y + CENTRE * piece.size)
        yield (
            f'{name}{i} [shape=none, fixedsize=false, width=0, height=0, pos="{_at(at)}", '
            f'label={quoted(piece.text)}, fontname="{face}", fontsize={compact(piece.size)}, '
            f'fontcolor="{colour}"];'
        )


def _background(layout: Layout) -> str:
    """The boxes with round ends, and the frames of groups, in xdot's words."""
    words: list[str] = []
    for node in layout.nodes:
        if node.shape == "round" and node.width - node.height >= 0.01:
            look = layout.style.nodes[node.node.kind]
            words.append(_pen(look.stroke, _fill(node, layout), look.line))
            words.append(_bezier("b", _stadium(node)))
    for frame in layout.frames:
        left, bottom, right, top = frame.box
        corners = ((left, bottom), (right, bottom), (right, top), (left, top))
        words.append(_pen(layout.style.frame, layout.style.background, 0.8))
        words.append(
            "S 6 -dashed p 4 " + " ".join(f"{compact(x)} {compact(y)}" for x, y in corners)
        )
    return f', _background="{" ".join(words)}"' if words else ""


def _pen(stroke: str, fill: str, width: float) -> str:
    line = f"setlinewidth({compact(width)})"
    return f"c {len(stroke)} -{stroke} C {len(fill)} -{fill} S {len(line)} -{line}"


def _bezier(operation: str, points: Iterable[Point]) -> str:
    listed = list(points)
    numbers = " ".join(f"{compact(x)} {compact(y)}" for x, y in listed)
    return f"{operation} {len(listed)} {numbers}"


def _stadium(node: PlacedNode) -> Curve:
    left, bottom, right, top = node.box
    radius = (top - bottom) / 2
    y, far = (bottom + top) / 2, 4 / 3 * radius
    a, b = left + radius, right - radius
    return (
        (a, bottom),
        (a, bottom),
        (b, bottom),
        (b, bottom),
        (b + far, bottom),
        (b + far, top),
        (b, top),
        (b, top),
        (a, top),
        (a, top),
        (a - far, top),
        (a - far, bottom),
        (a, 2 * y - top),
    )


def _tip(text: str) -> str:
    return f", tooltip={quoted(text)}" if text else ""


def _at(point: Point) -> str:
    return f"{compact(point[0])},{compact(point[1])}"


def _inches(points: float) -> str:
    return f"{points / 72:.5f}".rstrip("0").rstrip(".")
