"""Pictures of circuits: the circuit diagram, and the unfolded graph of any length."""

from __future__ import annotations

from collections.abc import Mapping

from graphgrad.circuit import Circuit
from graphgrad.unfold import checked_lengths
from viz.circuit_scene import circuit_scene
from viz.drawing import Drawing
from viz.groups import Groups, with_groups
from viz.items import Level
from viz.layout import lay_out
from viz.structure import structure
from viz.style import STYLES, Style
from viz.unfolding import Parameters, unfolded_scene


def circuit(
    circuit: Circuit,
    *,
    level: Level = "variables",
    groups: Groups | None = None,
    style: str | Style = "colour",
) -> Drawing:
    """Return the circuit diagram, in which a black square is a delay of one step.

    `level` is "variables" (one node a variable, parameters on the edges) or "operations" (one node
    a primitive operation). `groups` puts titled frames around variables:
    `{"cell": ["c", "i", "f", "o", "g"]}`. `style` is a name from `viz.style.STYLES` or a Style.
    """
    parts = structure(circuit, level)
    scene = with_groups(circuit_scene(parts), groups, parts)
    alt = f"Circuit diagram of {circuit.name}: {described(circuit)}. A black square is a delay."
    return Drawing.of(lay_out(scene, style_of(style)), alt=alt, title=circuit.title or circuit.name)


def unfolded(
    circuit: Circuit,
    tau: int | Mapping[str, int] = 3,
    *,
    level: Level = "variables",
    parameters: Parameters = "shared",
    fold: tuple[int, int] | None = None,
    groups: Groups | None = None,
    style: str | Style = "colour",
) -> Drawing:
    """Return the unfolded graph: one column a step, one shared node a parameter.

    `parameters` is "shared" (one node each), "labels" (repeated on the edges) or "none". A sequence
    of more than 12 steps is folded around "…"; `fold=(first, last)` says how many steps to draw,
    `fold=(tau, 0)` all of them. A loss that is a sum over time has a node for each of its terms.
    `groups` as in `circuit`, at every step.
    """
    lengths = checked_lengths(circuit.check(), tau)
    parts = structure(circuit, level, terms=True)
    scene = unfolded_scene(parts, lengths, parameters=parameters, fold=fold)
    scene = with_groups(scene, groups, parts)
    shown = ", ".join(f"{name} = 1..{length}" for name, length in lengths.items())
    alt = f"Unfolded graph of {circuit.name} for {shown}: {described(circuit)}."
    return Drawing.of(lay_out(scene, style_of(style)), alt=alt, title=circuit.title or circuit.name)


def style_of(style: str | Style) -> Style:
    """Return a style, given itself or its name."""
    return style if isinstance(style, Style) else STYLES[style]


def described(circuit: Circuit) -> str:
    """Return the equations on one line, for screen readers."""
    return "; ".join(str(equation) for equation in circuit.equations.values())
