"""How large each node is: labels typeset, circles of one size, rows of one width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from viz.font import text_width
from viz.grid import Size
from viz.label import Typeset, typeset
from viz.scene import Node
from viz.style import Style

DOTS = Size(18.0, 8.0, "box")
"""The room of a "…"."""
PADDING = 0.8
"""The least free room beside a label in a circle, left and right together, in ems."""


def typeset_nodes(nodes: Iterable[Node], style: Style) -> dict[str, Typeset]:
    """The label of each node, set at the size that its kind has."""
    return {
        node.id: typeset(node.label, style.font_size * style.nodes[node.kind].font, text_width)
        for node in nodes
    }


def sizes(
    rows: Mapping[str, list[Node]], texts: Mapping[str, Typeset], style: Style
) -> dict[str, Size]:
    """The size of each row's nodes; circles of one height are equally large in all rows."""
    diameter: dict[float, float] = {}
    for members in rows.values():
        for node in members:
            look = style.nodes[node.kind]
            if look.shape == "round":
                height = _height(style, node)
                wanted = texts[node.id].width + PADDING * texts[node.id].size
                if wanted <= 1.35 * height:
                    diameter[height] = max(diameter.get(height, height), wanted)
    result: dict[str, Size] = {}
    for row, members in rows.items():
        shape = style.nodes[members[0].kind].shape
        height = max(_height(style, node) for node in members)
        width = max(texts[node.id].width for node in members)
        em = texts[members[0].id].size
        if shape == "round":
            height = max(diameter.get(_height(style, node), height) for node in members)
            wide = width + PADDING * em > height + 1e-9
            result[row] = Size(width + 1.3 * em if wide else height, height, shape)
        else:
            result[row] = Size(max(width + 0.9 * em, height), height, shape)
    return _evened(result)


def _evened(result: dict[str, Size]) -> dict[str, Size]:
    """Boxes whose widths differ little get the same."""
    widths = [s.width for s in result.values() if s.shape == "box" and s.width < 1.7 * s.height]
    widest = max(widths, default=0.0)
    return {
        row: Size(widest, s.height, s.shape) if s.shape == "box" and s.width < 1.7 * s.height else s
        for row, s in result.items()
    }


def _height(style: Style, node: Node) -> float:
    look = style.nodes[node.kind]
    return look.height * style.font_size * look.font
