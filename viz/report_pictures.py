"""The pictures of a report: both views at both levels for every length, packed small."""

from __future__ import annotations

import base64
import itertools
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, get_args

from graphgrad.circuit import Circuit
from viz.drawing import Drawing
from viz.label import symbol
from viz.render_svg import to_svg
from viz.structure import Level, structure
from viz.style import STYLES, Style
from viz.views import circuit as circuit_view
from viz.views import unfolded as unfolded_view

_NODE = re.compile(r'<g id="[^"]*" class="node ')
_NAMED = re.compile(r'<g id="[^"]*"( [^>]*>)(?:<title>[^<]*</title>)?')
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Choice:
    """A control for the length of one time index: its name, its length's name, what to choose."""

    index: str
    length: str
    steps: tuple[int, ...]
    start: int

    @property
    def label(self) -> str:
        """The length's name as it is printed: τ."""
        return symbol(self.length).text


@dataclass(frozen=True)
class Plan:
    """What the page lets its reader choose: lengths and levels."""

    choices: tuple[Choice, ...]
    levels: tuple[Level, ...]

    def lengths(self) -> Iterator[dict[str, int]]:
        """Yield every combination of lengths."""
        for steps in itertools.product(*(choice.steps for choice in self.choices)):
            names = (choice.index for choice in self.choices)
            yield dict(zip(names, steps, strict=True))

    @property
    def start(self) -> dict[str, int]:
        """The lengths that the page opens with."""
        return {choice.index: choice.start for choice in self.choices}


def plans(circuit: Circuit, tau: Mapping[str, int], most: Mapping[str, int]) -> Iterator[Plan]:
    """Yield what could be offered, the richest first; the last one is small for any circuit.

    `tau` are the lengths to open with, `most` lengths that the data do not exceed.
    """
    indices = circuit.check().indices
    used = {item.index for item in structure(circuit).items.values()}
    for longest, levels in ((6, LEVELS), (4, LEVELS), (6, LEVELS[:1]), (3, LEVELS[:1]), (0, ())):
        choices = []
        for name, start in tau.items():
            last = min(longest, 4 if len(indices) > 1 else longest, most.get(name, longest))
            steps = set(range(1, last + 1)) if name in used else set()
            choices.append(
                Choice(name, indices[name].length, tuple(sorted(steps | {start})), start)
            )
        yield Plan(tuple(choices), levels or LEVELS[:1])


def key(lengths: Mapping[str, int]) -> str:
    """Return the key of a combination of lengths: its numbers, in the order of the controls."""
    return ",".join(map(str, lengths.values()))


def pictures(circuit: Circuit, plan: Plan) -> dict[str, str]:
    """Return all pictures as SVG by level and key; the key of the circuit diagram is empty."""
    drawn = {}
    for level in plan.levels:
        drawn[f"{level}:"] = page_svg(circuit_view(circuit, level=level, style=PAGE))
        for lengths in plan.lengths():
            view = unfolded_view(circuit, lengths, level=level, style=PAGE)
            drawn[f"{level}:{key(lengths)}"] = page_svg(view)
    return drawn


def page_svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG element for the page, which brings its font and colours.

    Several pictures stand on one page, so that the identifiers of nodes become `data-id`; lines
    are known by their ends. Every element stands on a line of its own, see `shared_lines`.
    """
    opening, _, rest = to_svg(drawing.layout, alt=drawing.alt, embed_font=False).partition(
        "<style>"
    )
    natural = f'<svg style="--natural:{drawing.size[0]:.0f}pt" '
    lines = rest.partition("</style>\n")[2].strip().split("\n")
    kept = [_element(line) for line in lines if not line.startswith('<rect class="background"')]
    return "\n".join([opening.strip().replace("<svg ", natural, 1), *kept])


def _element(line: str) -> str:
    if line.startswith("<g id=") and not _NODE.match(line):
        return _NAMED.sub(r"<g\1", line, count=1)
    return line.replace("<g id=", "<g data-id=", 1)


def shared_lines(texts: Mapping[str, str]) -> tuple[list[str], dict[str, list[int]]]:
    """Return the lines of all texts, each once, and each text as the numbers of its lines.

    The columns of a sequence are drawn alike whatever its length, so there is much to share.
    """
    numbers: dict[str, int] = {}
    split = {
        key: [numbers.setdefault(line, len(numbers)) for line in text.split("\n")]
        for key, text in texts.items()
    }
    return list(numbers), split


def packed(data: Mapping[str, Any]) -> str:
    """Return data as compressed JSON in letters, which the page unpacks with its own means."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _page_style() -> Style:
    """Return the style whose colours are the page's variables, so that light and dark share one."""
    base = STYLES["colour"]
    nodes = {
        kind: replace(
            look, stroke=f"var(--{kind}-stroke)", fill=f"var(--{kind}-fill)", text="var(--label)"
        )
        for kind, look in base.nodes.items()
    }
    edges = {kind: replace(look, stroke=f"var(--{kind}-edge)") for kind, look in base.edges.items()}
    return replace(
        base,
        name="page",
        nodes=MappingProxyType(nodes),
        edges=MappingProxyType(edges),
        background="var(--page)",
        text="var(--label)",
        frame="var(--frame)",
    )


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


PAGE = _page_style()
