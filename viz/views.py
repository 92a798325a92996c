"""Pictures of circuits: the circuit diagram, and the unfolded graph of any length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from graphgrad.circuit import Circuit, as_circuit
from graphgrad.unfold import checked_lengths
from viz.circuit_scene import circuit_scene
from viz.drawing import Drawing
from viz.engine import DrawingError
from viz.groups import Groups, with_groups
from viz.items import Level
from viz.layout import lay_out
from viz.structure import structure
from viz.style import STYLES, Fan, Style
from viz.unfolding import Fold, Parameters, unfolded_scene


def circuit(
    circuit: Circuit,
    *,
    level: Level = "variables",
    groups: Groups | None = None,
    style: str | Style = "colour",
    font_size: float | None = None,
    page_width: float | None = None,
) -> Drawing:
    """Return the circuit diagram, in which a black square is a delay of one step.

    `level` is "variables" (one node a variable, parameters on the edges where they multiply what is
    read) or "operations" (one node a primitive operation). `groups` puts titled frames around
    variables: `{"cell": ["c", "i", "f", "o", "g"]}`. `style` is a name from `viz.style.STYLES` or a
    Style; `font_size` and `page_width`, to which a wider picture is scaled down, are in points.
    """
    circuit = as_circuit(circuit)
    one_of("level", level, get_args(Level))
    look = style_of(style, font_size=font_size, page_width=page_width)
    parts = structure(circuit, level)
    scene = with_groups(circuit_scene(parts), groups, parts)
    alt = f"Circuit diagram of {circuit.name}: {described(circuit)}. A black square is a delay."
    return Drawing.of(lay_out(scene, look), alt=alt, title=circuit.title or circuit.name)


def unfolded(
    circuit: Circuit,
    tau: int | Mapping[str, int] = 3,
    *,
    level: Level = "variables",
    parameters: Parameters = "shared",
    fold: Fold = None,
    groups: Groups | None = None,
    style: str | Style = "colour",
    font_size: float | None = None,
    page_width: float | None = None,
    fan: Fan | None = None,
) -> Drawing:
    """Return the unfolded graph: one column a step, one shared node a parameter.

    `parameters` is "shared" (one node each), "labels" (repeated on the edges where they multiply
    what is read, without those that are added to it; others keep a node) or "none". A sequence of
    more than 12 steps is folded around "…"; `fold=(first, last)` says how many steps to draw,
    `fold=k` the first k and the last k, `fold=(tau, 0)` all of them. A loss that is a sum over time
    has a node for each of its terms. `fan` is how the lines of shared parameters are drawn: "bus"
    (solid), "dotted", or "auto": dotted where more than a few meet in each step. `groups`, at every
    step, and the rest as in `circuit`.
    """
    circuit = as_circuit(circuit)
    one_of("level", level, get_args(Level))
    one_of("way to show parameters:", parameters, get_args(Parameters))
    look = style_of(style, font_size=font_size, page_width=page_width, fan=fan)
    lengths = checked_lengths(circuit.check(), tau)
    parts = structure(circuit, level, terms=True)
    scene = unfolded_scene(parts, lengths, parameters=parameters, fold=fold)
    scene = with_groups(scene, groups, parts)
    shown = ", ".join(f"{name} = 1..{length}" for name, length in lengths.items())
    alt = f"Unfolded graph of {circuit.name} for {shown}: {described(circuit)}."
    return Drawing.of(lay_out(scene, look), alt=alt, title=circuit.title or circuit.name)


def style_of(
    style: str | Style,
    *,
    font_size: float | None = None,
    page_width: float | None = None,
    fan: Fan | None = None,
) -> Style:
    """Return a style, given itself or its name, with other options if wanted."""
    if not isinstance(style, Style):
        one_of("style", style, STYLES)
        style = STYLES[style]
    if fan is not None:
        one_of("way to draw the lines of parameters:", fan, get_args(Fan))
    return style.with_options(font_size=font_size, page_width=page_width, fan=fan)


def one_of(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise a `DrawingError` unless a value is one of the choices."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise DrawingError(
            f"there is no {name} {value!r}", remedy=f"choose from {', '.join(known)}"
        )


def described(circuit: Circuit) -> str:
    """Return the equations on one line, for screen readers."""
    return "; ".join(str(equation) for equation in circuit.equations.values())
