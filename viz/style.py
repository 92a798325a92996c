"""How pictures look, as data: shapes, colours, line widths and distances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from viz.engine import DrawingError
from viz.scene import EdgeKind, NodeKind

Fan = Literal["auto", "bus", "dotted"]
"""Lines of parameters: solid, dotted, or dotted where there are many in a step."""
Shape = Literal["round", "box", "plain"]
"""round: a circle, or a box with round ends when the label is long; box: slightly rounded."""

DOTTED = (0.8, 2.2)
"""The pattern of a dotted line, in points."""


@dataclass(frozen=True, slots=True)
class NodeStyle:
    """Border, fill and text of one kind of node; `height` in ems of the label's font size."""

    shape: Shape = "round"
    stroke: str = "#000000"
    fill: str = "#ffffff"
    text: str = "#000000"
    line: float = 1.0
    height: float = 2.7
    font: float = 1.0


@dataclass(frozen=True, slots=True)
class EdgeStyle:
    """Colour and width of a line; `dash` is a pattern in points, empty for a solid line.

    A pattern whose marks are shorter than 2 points is a dotted line.
    """

    stroke: str = "#000000"
    line: float = 1.0
    dash: tuple[float, ...] = ()
    arrow: float = 6.0

    @property
    def pattern(self) -> Literal["solid", "dashed", "dotted"]:
        """The name of the pattern."""
        if not self.dash:
            return "solid"
        return "dotted" if self.dash[0] < 2.0 else "dashed"


@dataclass(frozen=True)
class Style:
    """A complete look.

    Lengths are in points. `page_width` scales a wider picture down to fit (None: natural size).
    `column_gap`, `layer_gap` and `node_gap` are the least free distances between columns, layers
    and neighbours in a layer, `port_gap` between arrows that arrive at one side of a node. `fan`
    says how the lines of parameters are drawn.
    """

    name: str
    nodes: Mapping[NodeKind, NodeStyle]
    edges: Mapping[EdgeKind, EdgeStyle]
    background: str = "#ffffff"
    text: str = "#000000"
    frame: str = "#888888"
    shade: str = "#000000"
    font_size: float = 13.0
    page_width: float | None = None
    margin: float = 10.0
    column_gap: float = 30.0
    layer_gap: float = 26.0
    node_gap: float = 14.0
    track_gap: float = 7.0
    delay_size: float = 7.0
    port_gap: float = 7.0
    fan: Fan = "auto"

    def dotted(self) -> Style:
        """The same look with dotted lines of parameters and of their gradients."""
        thin: dict[EdgeKind, EdgeStyle] = {
            kind: replace(look, dash=DOTTED, line=look.line + 0.2)
            for kind, look in self.edges.items()
            if kind in ("parameter", "gradient")
        }
        return replace(self, edges=MappingProxyType({**self.edges, **thin}))

    def with_options(
        self,
        *,
        font_size: float | None = None,
        page_width: float | None = None,
        fan: Fan | None = None,
    ) -> Style:
        """The same look at another font size or for another page, both in points."""
        for name, value in (("font_size", font_size), ("page_width", page_width)):
            if value is not None and not 0 < value < math.inf:
                raise DrawingError(
                    f"{name} must be a positive number of points, not {value!r}",
                    remedy="choose 10 for a font, 345 for the width of a LaTeX article",
                )
        size = self.font_size if font_size is None else font_size
        scale = size / self.font_size
        return replace(
            self,
            font_size=size,
            page_width=self.page_width if page_width is None else page_width,
            fan=self.fan if fan is None else fan,
            column_gap=self.column_gap * scale,
            layer_gap=self.layer_gap * scale,
            node_gap=self.node_gap * scale,
            track_gap=self.track_gap * scale,
            delay_size=self.delay_size * scale,
            port_gap=self.port_gap * scale,
        )


def _nodes(
    base: NodeStyle, changes: Mapping[NodeKind, Mapping[str, object]]
) -> Mapping[NodeKind, NodeStyle]:
    small: dict[NodeKind, dict[str, object]] = {
        "parameter": {"shape": "box", "height": 1.7},
        "constant": {"shape": "box", "height": 1.7},
        "operation": {"height": 1.75, "font": 0.9},
    }
    table = {}
    kinds: tuple[NodeKind, ...] = get_args(NodeKind)
    for kind in kinds:
        settings = {**small.get(kind, {}), **changes.get(kind, {})}
        table[kind] = replace(base, **settings)  # type: ignore[arg-type]
    return MappingProxyType(table)


BOOK = Style(
    name="book",
    nodes=_nodes(NodeStyle(), {"boundary": {"stroke": "#777777"}}),
    edges=MappingProxyType(
        {
            "forward": EdgeStyle(),
            "parameter": EdgeStyle(stroke="#808080", line=0.6, arrow=4.0),
            "adjoint": EdgeStyle(stroke="#000000", line=1.0, dash=(4.0, 2.5), arrow=5.0),
            "gradient": EdgeStyle(stroke="#808080", line=0.6, dash=(4.0, 2.5), arrow=4.0),
        }
    ),
)

# Okabe and Ito's palette, distinguishable with every common colour blindness.
COLOUR = Style(
    name="colour",
    nodes=_nodes(
        NodeStyle(stroke="#1a1a1a"),
        {
            "input": {"fill": "#cfe8f7", "stroke": "#0072b2"},
            "variable": {"fill": "#d3efe6", "stroke": "#00785a"},
            "output": {"fill": "#fdf0c8", "stroke": "#9a6a00"},
            "target": {"fill": "#cfe8f7", "stroke": "#0072b2"},
            "loss": {"fill": "#fbdccb", "stroke": "#b84a00"},
            "parameter": {"fill": "#f4dfec", "stroke": "#a8527f"},
            "constant": {"fill": "#eeeeee", "stroke": "#666666"},
            "boundary": {"fill": "#eeeeee", "stroke": "#666666"},
            "operation": {"fill": "#ffffff", "stroke": "#444444"},
        },
    ),
    edges=MappingProxyType(
        {
            "forward": EdgeStyle(stroke="#1a1a1a"),
            "parameter": EdgeStyle(stroke="#a8527f", line=0.6, arrow=4.0),
            "adjoint": EdgeStyle(stroke="#d55e00", line=1.1, arrow=5.0),
            "gradient": EdgeStyle(stroke="#d55e00", line=0.6, arrow=4.0),
        }
    ),
)

DARK = Style(
    name="dark",
    nodes=_nodes(
        NodeStyle(stroke="#d8dee4", fill="#161b22", text="#f0f3f6"),
        {
            "input": {"fill": "#0d3350", "stroke": "#56b4e9"},
            "variable": {"fill": "#0b3b30", "stroke": "#2fc39b"},
            "output": {"fill": "#43360a", "stroke": "#e6b84a"},
            "target": {"fill": "#0d3350", "stroke": "#56b4e9"},
            "loss": {"fill": "#4a2410", "stroke": "#f08a4b"},
            "parameter": {"fill": "#42233a", "stroke": "#d997bd"},
            "constant": {"fill": "#2a2f36", "stroke": "#9aa4ae"},
            "boundary": {"fill": "#2a2f36", "stroke": "#9aa4ae"},
        },
    ),
    edges=MappingProxyType(
        {
            "forward": EdgeStyle(stroke="#d8dee4"),
            "parameter": EdgeStyle(stroke="#c184a7", line=0.6, arrow=4.0),
            "adjoint": EdgeStyle(stroke="#f08a4b", line=1.1, arrow=5.0),
            "gradient": EdgeStyle(stroke="#f08a4b", line=0.6, arrow=4.0),
        }
    ),
    background="#0d1117",
    text="#f0f3f6",
    frame="#6e7681",
    shade="#ffffff",
)

STYLES: Mapping[str, Style] = MappingProxyType({s.name: s for s in (BOOK, COLOUR, DARK)})
