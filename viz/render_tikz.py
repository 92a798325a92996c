"""A laid-out picture as a TikZ document, its labels set by TeX as mathematics."""

from __future__ import annotations

from collections.abc import Iterator

from viz.label import AXIS, Typeset, displayable
from viz.picture import DelayMark, Dot, Frame, Layout, PlacedEdge, PlacedNode
from viz.render_svg import arrowhead, blend, compact, output_scale
from viz.routing import Curve, Point
from viz.tex import FITTED, TYPED, mathematics


def to_tikz(layout: Layout, *, title: str = "") -> str:
    r"""A complete document, one page as large as the picture; one point of ours is 1 bp.

    It needs TikZ, amsmath and geometry, so that a small TeX will do. In a larger document,
    `\input` it with the packages `docmute` or `standalone`.
    """
    picture = _Picture(layout)
    body = list(picture.lines())
    width, height = (f"{compact(side * picture.scale)}bp" for side in (layout.width, layout.height))
    unit = f"{picture.scale:.6g}bp"
    head = [
        *([f"% {displayable(title)}"] if title else []),
        r"\documentclass{article}",
        # TeX rounds lengths: a text as large as its page may be too small for a picture as large.
        rf"\usepackage[papersize={{{width},{height}}},margin=0bp,right=-1bp,bottom=-1bp]{{geometry}}",
        r"\usepackage{amsmath,iftex,tikz}",
        r"\iftutex\usepackage{fontspec}\else\usepackage[T1]{fontenc}\usepackage{textcomp}\fi",
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\usepackage{fix-cm}}",
        *_commands("".join(body)),
        r"\pagestyle{empty}",
        r"\begin{document}",
        r"\noindent",
        rf"\begin{{tikzpicture}}[x={unit},y={unit},"
        r"every node/.style={anchor=base,inner sep=0bp}]",
        *picture.definitions(),
        rf"\useasboundingbox (0,0) rectangle {_at((layout.width, layout.height))};",
    ]
    return "\n".join((*head, *body, r"\end{tikzpicture}", r"\end{document}", ""))


def _commands(body: str) -> list[str]:
    """The definitions of those commands that are used."""
    return [text for name, text in ((r"\typed{", TYPED), (r"\fitted{", FITTED)) if name in body]


class _Picture:
    """The drawing commands of a layout, and the names of the colours that occur in them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.style = layout.style
        self.scale = output_scale(layout)
        self._names: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        """What is drawn, in the order of drawing."""
        if self.style.background != "#ffffff":
            paper = _rectangle((0, 0, self.layout.width, self.layout.height))
            yield rf"\fill[{self._colour(self.style.background)}] {paper};"
        for frame in self.layout.frames:
            yield self._frame(frame)
        for edge in self.layout.edges:
            yield from self._edge(edge)
        for mark in self.layout.marks:
            yield self._mark(mark)
        for dot in self.layout.dots:
            yield self._dot(dot)
        for node in self.layout.nodes:
            yield from self._node(node)
        for label, colour in zip(self.layout.labels, self.layout.label_colours(), strict=True):
            yield self._text(label.text, (label.x, label.y), colour, label.text.width)

    def definitions(self) -> Iterator[str]:
        """The lines that define the colours, in order of appearance."""
        for colour, name in self._names.items():
            yield rf"\definecolor{{{name}}}{{HTML}}{{{colour[1:].upper()}}}"

    def _colour(self, colour: str) -> str:
        """The name of a colour written #rrggbb."""
        return self._names.setdefault(colour, f"gg{len(self._names)}")

    def _length(self, points: float) -> str:
        """A length that does not scale with the picture by itself."""
        return f"{compact(points * self.scale)}bp"

    def _line(self, colour: str, width: float, dash: tuple[float, ...] = ()) -> str:
        options = f"{self._colour(colour)},line width={self._length(width)}"
        if dash:
            pairs = zip(("on", "off") * len(dash), dash, strict=False)
            pattern = " ".join(f"{word} {self._length(length)}" for word, length in pairs)
            options += f",dash pattern={pattern}"
        return options

    def _frame(self, frame: Frame) -> str:
        line = self._line(self.style.frame, 0.8, (3.0, 2.5))
        corners = f"rounded corners={self._length(6)}"
        return rf"\draw[{line},{corners}] {_rectangle(frame.box)};"

    def _edge(self, edge: PlacedEdge) -> Iterator[str]:
        look = self.style.edges[edge.kind]
        yield rf"\draw[{self._line(look.stroke, look.line, look.dash)}] {_path(edge.curve)};"
        if edge.tip is not None:
            joined = " -- ".join(map(_at, arrowhead(edge.curve[-1], edge.tip, look)))
            yield rf"\fill[{self._colour(look.stroke)}] {joined} -- cycle;"

    def _mark(self, mark: DelayMark) -> str:
        stroke = self.style.edges[mark.kind].stroke
        fill = self._colour(self.style.background if mark.hollow else stroke)
        return rf"\draw[{self._line(stroke, 1.0)},fill={fill}] {_rectangle(mark.box)};"

    def _dot(self, dot: Dot) -> str:
        colour = self._colour(self.style.edges[dot.kind].stroke)
        return rf"\fill[{colour}] {_at((dot.x, dot.y))} circle[radius={compact(dot.radius)}];"

    def _node(self, placed: PlacedNode) -> Iterator[str]:
        node, look = placed.node, self.style.nodes[placed.node.kind]
        fill = look.fill if node.shade is None else blend(look.fill, self.style.shade, node.shade)
        options = f"{self._line(look.stroke, look.line)},fill={self._colour(fill)}"
        radius = placed.height / 2
        if placed.shape == "round" and abs(placed.width - placed.height) < 0.01:
            yield rf"\draw[{options}] {_at((placed.x, placed.y))} circle[radius={compact(radius)}];"
        elif placed.shape == "round":
            corners = f"rounded corners={self._length(radius)}"
            yield rf"\draw[{options},{corners}] {_rectangle(placed.box)};"
        elif placed.shape == "box":
            yield rf"\draw[{options}] {_rectangle(placed.box)};"
        dark = node.shade is not None and node.shade >= 0.5
        colour = self.style.background if dark else look.text
        yield self._text(placed.text, (placed.x, placed.y), colour, placed.width - 4)

    def _text(self, text: Typeset, middle: Point, colour: str, room: float) -> str:
        base = (middle[0], middle[1] - AXIS * text.size)
        sizes = f"{{{self._length(text.size)}}}{{{self._length(1.2 * text.size)}}}"
        options = rf"text={self._colour(colour)},font=\fontsize{sizes}\selectfont"
        formula = mathematics(text.label)
        if r"\text{" in formula:  # its width in TeX's font is not known
            shown = rf"\fitted{{{self._length(room)}}}{{{formula}}}"
        else:
            shown = f"${formula}$"
        return rf"\node[{options}] at {_at(base)} {{{shown}}};"


def _path(curve: Curve) -> str:
    parts = [_at(curve[0])]
    for index in range(1, len(curve), 3):
        p1, p2, p3 = curve[index : index + 3]
        parts.append(f".. controls {_at(p1)} and {_at(p2)} .. {_at(p3)}")
    return " ".join(parts)


def _rectangle(box: tuple[float, float, float, float]) -> str:
    left, bottom, right, top = box
    return f"{_at((left, bottom))} rectangle {_at((right, top))}"


def _at(point: Point) -> str:
    return f"({compact(point[0])},{compact(point[1])})"
