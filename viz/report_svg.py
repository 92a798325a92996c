"""Pictures as parts of a page: small, in the page's font and colours, with lines to share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

from viz.drawing import Drawing
from viz.render_svg import to_svg
from viz.style import STYLES, Style

_TEXT = "var(--label)"
_NODE = re.compile(r'<g id="[^"]*" class="node ')
_NAMED = re.compile(r'<g id="[^"]*"( [^>]*>)(?:<title>[^<]*</title>)?')
_PLACES = re.compile(r' (?:x|y|cx|cy)="[^"]*"')
_NUMBER = re.compile(r"(\d+\.\d)\d+")
_CENTRE = re.compile(r'<(?:circle cx|rect x)="([^"]*)" (?:cy|y)="([^"]*)"')
_ACROSS = re.compile(r' (?:c?x)="([^"]*)"')
_DOWN = re.compile(r' (?:c?y)="([^"]*)"')
_PATH = re.compile(r' d="(M[^"]*)"')
_DIGITS = re.compile(r"-?[\d.]+")
_STEP = re.compile(r"([MLC])([^MLC]*)")
_HEAD = re.compile(r' points="([^"]*)"')
_PAINT = re.compile(  # what `rules` say of lines, arrowheads and nodes
    r'(?<=")(?: stroke="var\(--[a-z]+-edge\)" stroke-width="[^"]*"| fill="var\(--[a-z]+-edge\)"'
    r'| fill="var\(--[a-z]+-fill\)" stroke="var\(--[a-z]+-stroke\)" stroke-width="[^"]*")(?=/>)'
)


def page_svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG element for the page, which brings its font, colours and `rules`.

    Several pictures stand on one page, so that the identifiers of nodes become `data-id`; lines
    are known by their ends. Every element stands on a line of its own, see `shared_lines`.
    """
    opening, _, rest = to_svg(drawing.layout, alt=drawing.alt, embed_font=False).partition(
        "<style>"
    )
    size = f"{drawing.layout.style.font_size:g}"
    usual = f'<svg style="--natural:{drawing.size[0]:.0f}pt" font-size="{size}" fill="{_TEXT}" '
    lines = rest.partition("</style>\n")[2].strip().split("\n")
    kept = [
        _element(line, f' font-size="{size}"')
        for line in lines
        if not line.startswith('<rect class="background"')
    ]
    return "\n".join([opening.strip().replace("<svg ", usual, 1), *kept])


def _element(line: str, usual_size: str) -> str:
    """Return an element without what the page says for all; places to a tenth of a point."""
    line = _PLACES.sub(lambda places: _NUMBER.sub(r"\1", places[0]), line)
    if line.startswith("<circle"):
        return line
    line = _PAINT.sub("", _HEAD.sub(_relative_head, _PATH.sub(_relative_path, line)))
    line = line.replace(usual_size, "").replace(f' fill="{_TEXT}"', "")
    if line.startswith("<g id=") and not _NODE.match(line):
        return _NAMED.sub(r"<g\1", line, count=1)
    return _moved(line.replace("<g id=", "<g data-id=", 1))


def _moved(line: str) -> str:
    """Return a node as seen from its own place, so that equal nodes in all columns read alike."""
    place = _CENTRE.search(line)
    if place is None:
        return line
    x, y = float(place[1]), float(place[2])
    line = _ACROSS.sub(lambda at: _attribute(at[0], float(at[1]) - x), line)
    line = _DOWN.sub(lambda at: _attribute(at[0], float(at[1]) - y), line)
    return line.replace("<g ", f'<g transform="translate({_short(x)} {_short(y)})" ', 1)


def _attribute(written: str, value: float) -> str:
    """Return an attribute with another value; zero goes without saying."""
    short = _short(value)
    return "" if short == "0" else f'{written.partition("=")[0]}="{short}"'


def _relative_path(path: re.Match[str]) -> str:
    """Return a path as steps from its start, so that equal lines in all columns read alike."""
    words: list[str] = []
    start = here = (0.0, 0.0)
    for command, numbers in _STEP.findall(path[1]):
        values = [float(number) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            start = points[0]
            words.append(f"M{_short(start[0])} {_short(start[1])}")
            continue
        offsets = [(round(x - start[0], 1), round(y - start[1], 1)) for x, y in points]
        steps = " ".join(f"{_short(x - here[0])} {_short(y - here[1])}" for x, y in offsets)
        words.append(command.lower() + steps)
        here = offsets[-1]
    return f' d="{"".join(words)}"'


def _relative_head(head: re.Match[str]) -> str:
    """Return the corners of an arrowhead as seen from its tip."""
    (tip, *others) = ([float(value) for value in corner.split(",")] for corner in head[1].split())
    seen = " ".join(f"{_short(x - tip[0])} {_short(y - tip[1])}" for x, y in others)
    return f' transform="translate({_short(tip[0])} {_short(tip[1])})" points="0 0 {seen}"'


def _short(value: float) -> str:
    """Return a number to a tenth of a point, which is finer than any screen.

    >>> _short(12.04), _short(-0.52), _short(-0.01)
    ('12', '-.5', '0')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else re.sub(r"^(-?)0\.", r"\1.", text)


def shared_lines(texts: Mapping[str, str]) -> tuple[list[str], dict[str, list[int]]]:
    """Return the lines of all texts, each once, and each text as numbers of lines.

    The columns of a sequence are drawn alike whatever its length, so there is much to share. Lines
    that differ only in numbers stand together, which makes them pack well, and of the numbers of a
    text each is the difference to the one before.
    """
    split = {key: text.split("\n") for key, text in texts.items()}
    lines = sorted(
        {line for text in split.values() for line in text},
        key=lambda line: (_DIGITS.sub("", line), line),
    )
    numbers = {line: number for number, line in enumerate(lines)}
    differences = {
        key: [after - before for before, after in pairwise((0, *map(numbers.__getitem__, text)))]
        for key, text in split.items()
    }
    return lines, differences


def _page_style() -> Style:
    """Return the style whose colours are the page's variables, so that light and dark share one."""
    base = STYLES["colour"]
    nodes = {
        kind: replace(look, stroke=f"var(--{kind}-stroke)", fill=f"var(--{kind}-fill)", text=_TEXT)
        for kind, look in base.nodes.items()
    }
    edges = {kind: replace(look, stroke=f"var(--{kind}-edge)") for kind, look in base.edges.items()}
    return replace(
        base,
        name="page",
        nodes=MappingProxyType(nodes),
        edges=MappingProxyType(edges),
        background="var(--page)",
        text=_TEXT,
        frame="var(--frame)",
    )


PAGE = _page_style()


def colours(style: Style) -> str:
    """Return a style's colours as the CSS variables that the pictures of a page use."""
    rules: Sequence[str] = [
        f"--page:{style.background}",
        f"--label:{style.text}",
        f"--frame:{style.frame}",
        *(
            f"--{kind}-fill:{look.fill};--{kind}-stroke:{look.stroke}"
            for kind, look in style.nodes.items()
        ),
        *(f"--{kind}-edge:{look.stroke}" for kind, look in style.edges.items()),
    ]
    return ";".join(rules)


def rules() -> str:
    """Return the CSS for what `page_svg` leaves out; every other rule is stronger."""
    nodes = (
        f":where(.node.{kind})>:where(circle,rect){{fill:{look.fill};stroke:{look.stroke};"
        f"stroke-width:{look.line:g}}}"
        for kind, look in PAGE.nodes.items()
    )
    edges = (
        f":where(.edge,.trunk):where(.{kind})>:where(path){{stroke:{look.stroke};"
        f"stroke-width:{look.line:g}}}:where(.edge.{kind})>:where(polygon){{fill:{look.stroke}}}"
        for kind, look in PAGE.edges.items()
    )
    return "\n".join((*nodes, *edges))
