"""A laid-out picture as SVG, written by us so that it looks the same in every browser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from unicodedata import bidirectional
from xml.sax.saxutils import escape, quoteattr

from viz.font import FAMILY, Face, covers, font_face_css
from viz.label import AXIS, Piece, Typeset, displayable
from viz.picture import DelayMark, Dot, Frame, Layout, PlacedEdge, PlacedLabel, PlacedNode
from viz.routing import Curve, Point
from viz.scene import Data
from viz.style import EdgeStyle

PLAIN = re.compile(r"[\w .+/=:-]+", re.ASCII).fullmatch
"""Matches what stands in an attribute as it is."""
FALLBACKS = "'Latin Modern Roman','STIX Two Text','Times New Roman',serif"


def to_svg(layout: Layout, *, title: str = "", alt: str = "", embed_font: bool = True) -> str:
    """The picture as a self-contained SVG document.

    Every node and edge is a group with the `id` of the scene, a class for its kind and its data
    as `data-` attributes; lines that several edges share have `data-tail`.
    """
    height = layout.height
    scale = output_scale(layout)
    width_attr = f'width="{compact(layout.width * scale)}pt" height="{compact(height * scale)}pt"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {width_attr} '
        f'viewBox="0 0 {compact(layout.width)} {compact(height)}" role="img"'
        f"{_attribute('aria-label', title or alt)}>",
    ]
    if title:
        parts.append(f"<title>{_text(title)}</title>")
    if alt:
        parts.append(f"<desc>{_text(alt)}</desc>")
    parts.append(f"<style>{_css(layout, embed_font)}</style>")
    parts.append(
        f'<rect class="background" width="100%" height="100%" fill="{layout.style.background}"/>'
    )
    parts.extend(_frame(frame, layout) for frame in layout.frames)
    by_edge: dict[str, list[DelayMark]] = {}
    for mark in layout.marks:
        by_edge.setdefault(mark.edges[0], []).append(mark)
    labels: dict[str, list[PlacedLabel]] = {}
    for label in layout.labels:
        labels.setdefault(label.owner, []).append(label)
    parts.extend(
        _edge(edge, by_edge.pop(edge.id, []), labels.pop(edge.id, []), layout)
        for edge in layout.edges
    )
    parts.extend(_dot(dot, layout) for dot in layout.dots)
    parts.extend(_node(node, layout) for node in layout.nodes)
    parts.extend(
        f'<g class="title">{_label(label, layout.style.text, height)}</g>'
        for rest in labels.values()
        for label in rest
    )
    parts.append("</svg>\n")
    return "\n".join(parts)


def output_scale(layout: Layout) -> float:
    """How much smaller than natural the picture must be for the width of the page."""
    page = layout.style.page_width
    return 1.0 if page is None or layout.width <= page else page / layout.width


def _css(layout: Layout, embed_font: bool) -> str:
    pieces = [piece for text in _texts(layout) for piece in text.pieces]
    faces: list[Face] = []
    if any(not piece.italic and not piece.bold for piece in pieces):
        faces.append("regular")
    if any(piece.italic for piece in pieces):
        faces.append("italic")
    if any(piece.bold and not piece.italic for piece in pieces):
        faces.append("bold")
    font = font_face_css(*faces) if embed_font and faces else ""
    return (
        f"{font}text{{font-family:{FAMILY},{FALLBACKS};white-space:pre}}"
        ".i{font-style:italic}.b{font-weight:700}path{fill:none}"
    )


def _texts(layout: Layout) -> Iterable[Typeset]:
    for node in layout.nodes:
        yield node.text
    for label in layout.labels:
        yield label.text


def _node(placed: PlacedNode, layout: Layout) -> str:
    node, look = placed.node, layout.style.nodes[placed.node.kind]
    x, y = placed.x, layout.height - placed.y
    fill = look.fill if node.shade is None else blend(look.fill, layout.style.shade, node.shade)
    paint = f'fill="{fill}" stroke="{look.stroke}" stroke-width="{compact(look.line)}"'
    width, height = placed.width, placed.height
    if placed.shape == "plain":
        border = ""
    elif placed.shape == "round" and abs(width - height) < 0.01:
        border = f'<circle cx="{compact(x)}" cy="{compact(y)}" r="{compact(width / 2)}" {paint}/>'
    else:
        radius = height / 2 if placed.shape == "round" else 0.0
        rounding = f' rx="{compact(radius)}"' if radius else ""
        border = (
            f'<rect x="{compact(x - width / 2)}" y="{compact(y - height / 2)}" '
            f'width="{compact(width)}" height="{compact(height)}"{rounding} {paint}/>'
        )
    colour = look.text if node.shade is None or node.shade < 0.5 else layout.style.background
    left, base = placed.x - placed.text.width / 2, placed.y - AXIS * placed.text.size
    text = _pieces(placed.text.pieces, left, base, colour, layout.height)
    opening = _opening(node.id, f"node {node.kind}", node.classes, node.data, ())
    return f"{opening}{_tooltip(node.tooltip)}{border}{text}</g>"


def _edge(
    placed: PlacedEdge, marks: Sequence[DelayMark], labels: Sequence[PlacedLabel], layout: Layout
) -> str:
    look = layout.style.edges[placed.kind]
    height = layout.height
    data: list[tuple[str, str]] = []
    if placed.tail:
        data.append(("tail", placed.tail))
    if placed.head:
        data.append(("head", placed.head))
    edge = placed.edge
    role = "edge" if edge is not None else "trunk"
    classes = edge.classes if edge is not None else ()
    opening = _opening(
        placed.id, f"{role} {placed.kind}", classes, edge.data if edge is not None else (), data
    )
    parts = [opening]
    if edge is not None:
        parts.append(_tooltip(edge.tooltip))
    dash = f' stroke-dasharray="{" ".join(map(compact, look.dash))}"' if look.dash else ""
    parts.append(
        f'<path d="{_path(placed.curve, height)}" stroke="{look.stroke}" '
        f'stroke-width="{compact(look.line)}"{dash}/>'
    )
    if placed.tip is not None:
        corners = arrowhead(placed.curve[-1], placed.tip, look)
        points = " ".join(f"{compact(x)},{compact(height - y)}" for x, y in corners)
        parts.append(f'<polygon points="{points}" fill="{look.stroke}"/>')
    for mark in marks:
        half = mark.size / 2
        fill = layout.style.background if mark.hollow else look.stroke
        kind = "advance" if mark.hollow else "delay"
        parts.append(
            f'<rect class="{kind}" x="{compact(mark.x - half)}" '
            f'y="{compact(height - mark.y - half)}" width="{compact(mark.size)}" '
            f'height="{compact(mark.size)}" fill="{fill}" stroke="{look.stroke}"/>'
        )
    colour = look.stroke if placed.kind == "adjoint" else layout.style.text
    parts.extend(_label(label, colour, height) for label in labels)
    return "".join((*parts, "</g>"))


def _dot(dot: Dot, layout: Layout) -> str:
    kind = "ellipsis" if dot.ellipsis else "junction"
    colour = layout.style.edges[dot.kind].stroke
    return (
        f'<circle class="{kind}" cx="{compact(dot.x)}" cy="{compact(layout.height - dot.y)}" '
        f'r="{compact(dot.radius)}" fill="{colour}"/>'
    )


def _frame(frame: Frame, layout: Layout) -> str:
    left, bottom, right, top = frame.box
    opening = _opening(frame.id, "group", frame.group.classes, (), ())
    return (
        f'{opening}<rect x="{compact(left)}" y="{compact(layout.height - top)}" '
        f'width="{compact(right - left)}" height="{compact(top - bottom)}" rx="6" fill="none" '
        f'stroke="{layout.style.frame}" stroke-width="0.8" stroke-dasharray="3 2.5"/></g>'
    )


def _label(label: PlacedLabel, colour: str, height: float) -> str:
    left, base = label.x - label.text.width / 2, label.y - AXIS * label.text.size
    return _pieces(label.text.pieces, left, base, colour, height)


def _pieces(pieces: Iterable[Piece], left: float, base: float, colour: str, height: float) -> str:
    """Each run as an element of its own, at its own place: no browser is left to choose."""
    parts = []
    for piece in pieces:
        style = " ".join(["i"] * piece.italic + ["b"] * piece.bold)
        named = f' class="{style}"' if style else ""
        fitted = (
            ""
            if covers(piece.text)
            else f' textLength="{compact(piece.width)}" lengthAdjust="spacingAndGlyphs"'
        )
        if _runs_leftward(piece.text):  # its end is its left end
            fitted += ' direction="rtl" text-anchor="end"'
        parts.append(
            f'<text x="{compact(left + piece.x)}" y="{compact(height - base - piece.y)}" '
            f'font-size="{compact(piece.size)}"{named} fill="{colour}"{fitted}>'
            f"{_text(piece.text)}</text>"
        )
    return "".join(parts)


def _runs_leftward(text: str) -> bool:
    """Whether a text is set from right to left: whether its first letter of any script is."""
    strong = (bidirectional(character) for character in text)
    return next((kind != "L" for kind in strong if kind in ("L", "R", "AL")), False)


def _opening(
    name: str,
    role: str,
    classes: Sequence[str],
    data: Data,
    more: Iterable[tuple[str, str]],
) -> str:
    parts = [_attribute("id", name), _attribute("class", " ".join((role, *classes)))]
    parts += [_attribute(f"data-{key}", value) for key, value in dict((*more, *data)).items()]
    return f"<g{''.join(parts)}>"


def _attribute(key: str, value: str) -> str:
    if PLAIN(value):
        return f' {key}="{value}"'
    return f" {key}={quoteattr(displayable(value))}" if value else ""


def _tooltip(text: str) -> str:
    return f"<title>{_text(text)}</title>" if text else ""


def _text(text: str) -> str:
    return escape(displayable(text))


def _path(curve: Curve, height: float) -> str:
    """The curve in SVG's words, straight pieces as lines."""
    parts = [f"M{compact(curve[0][0])} {compact(height - curve[0][1])}"]
    for index in range(0, len(curve) - 1, 3):
        p0, p1, p2, p3 = curve[index : index + 4]
        dx, dy = p3[0] - p0[0], p3[1] - p0[1]
        limit = 0.02 * (abs(dx) + abs(dy)) + 1e-9
        if (
            abs((p1[0] - p0[0]) * dy - (p1[1] - p0[1]) * dx) < limit
            and abs((p2[0] - p0[0]) * dy - (p2[1] - p0[1]) * dx) < limit
        ):
            parts.append(f"L{compact(p3[0])} {compact(height - p3[1])}")
        else:
            numbers = " ".join(f"{compact(x)} {compact(height - y)}" for x, y in (p1, p2, p3))
            parts.append(f"C{numbers}")
    return "".join(parts)


def arrowhead(base: Point, tip: Point, look: EdgeStyle) -> tuple[Point, Point, Point]:
    """The corners of the filled triangle at the end of a line."""
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    return (
        tip,
        (base[0] - 0.36 * dy, base[1] + 0.36 * dx),
        (base[0] + 0.36 * dy, base[1] - 0.36 * dx),
    )


def blend(low: str, high: str, share: float) -> str:
    """A colour between two, both written #rrggbb.

    >>> blend("#ffffff", "#000000", 0.5)
    '#808080'
    """
    share = min(max(share, 0.0), 1.0)
    mixed = (
        round(int(low[i : i + 2], 16) * (1 - share) + int(high[i : i + 2], 16) * share)
        for i in (1, 3, 5)
    )
    return "#" + "".join(f"{value:02x}" for value in mixed)


def compact(value: float) -> str:
    """A number in as few characters as two decimals allow.

    >>> compact(100.0), compact(2.5), compact(-0.001), compact(0.0)
    ('100', '2.5', '0', '0')
    """
    text = f"{value:.2f}"
    if text[-1] == "0":
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
