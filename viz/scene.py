"""What to draw, as plain immutable data that knows neither circuits nor graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from viz.label import Label

NodeKind = Literal[
    "input",
    "variable",
    "output",
    "target",
    "loss",
    "parameter",
    "constant",
    "boundary",
    "operation",
]
EdgeKind = Literal["forward", "parameter", "adjoint", "gradient"]
Data = tuple[tuple[str, str], ...]
"""Pairs (name, value), written as `data-name="value"` in SVG; a name is letters and hyphens."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing with a border and a label.

    - `id`: unique in the scene; also the `id` of its element in SVG.
    - `label`: what stands inside.
    - `kind`: selects shape and colours in the style. A "target" is placed above the losses that
      read it, as in textbooks; every other node stands above what it reads.
    - `track`: the key of its index set; what has different ones stands side by side.
    - `row`, `time`: only in an `UnfoldedScene`. `row` is a key shared by all instances of one
      equation (or of one operation in it), `time` the index of its column. A node without `time`
      is static: it is drawn once, outside the columns.
    - `shade`: 0 to 1 darkens the inside (sensitivity pictures); None leaves the style's fill.
    - `tooltip`, `data`, `classes`: for hover behaviour; they change nothing that is drawn.
    """

    id: str
    label: Label
    kind: NodeKind = "variable"
    row: str = ""
    time: int | None = None
    track: str = ""
    shade: float | None = None
    tooltip: str = ""
    data: Data = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow between two nodes.

    - `label`: set beside the arrow, for instance the parameter that is applied on the way; beside
      its head if `near_head`.
    - `delay`: only in a `CircuitScene`. Time steps on the way: a black square on the arrow, with
      the number beside it unless it is 1; negative for an advance, a hollow square.
    - `kind`: selects line and colour in the style.
    - `beside`: the id of the edge from `head` to `tail` along which it runs back. The line of a
      parameter is not accompanied but turned round.
    """

    id: str
    tail: str
    head: str
    label: Label | None = None
    delay: int = 0
    kind: EdgeKind = "forward"
    beside: str = ""
    tooltip: str = ""
    data: Data = ()
    classes: tuple[str, ...] = ()
    near_head: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A titled frame around some nodes.

    `members` are node ids in a circuit; row keys in an unfolded scene, framed in each column.
    """

    id: str
    title: Label
    members: frozenset[str]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitScene:
    """A recurrence as a cyclic diagram with delays on its edges.

    `layers`, lowest first, fixes the height of every node by id; without it heights follow from
    the edges. The order of nodes and edges decides ties, so equal scenes give equal pictures.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...] = ()
    layers: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One index set: its columns from left to right, None standing for "…" (steps left out)."""

    key: str
    columns: tuple[int | None, ...]
    title: Label | None = None


@dataclass(frozen=True, slots=True)
class UnfoldedScene:
    """A recurrence with one column a time step.

    - `tracks`: the index sets, drawn side by side from left to right (encoder, decoder).
    - `nodes`: those with `time` stand in the column of that time. A time before the first or
      after the last column of its track (h[0], g[tau+1]) gets a narrow column in the margin.
      Nodes without `time` are static and stand below, above or beside the columns. A static
      result of one step only (`o = V @ h[tau]`) is better given the time of that step.
    - `edges`: between the nodes of the scene. An edge to a step that is left out need not be
      given: where columns are left out, arrows to and from "…" are drawn for every pattern (row to
      row over a lag) that the other columns show.
    - `layers`: row keys, lowest first, to fix the heights; else they follow from the edges.
    """

    tracks: tuple[Track, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...] = ()
    layers: tuple[tuple[str, ...], ...] | None = field(default=None)


Scene = CircuitScene | UnfoldedScene


def folded(tau: int, *, first: int = 3, last: int = 1) -> tuple[int | None, ...]:
    """The columns of a sequence of which only the first and the last steps are drawn.

    >>> folded(100, first=3, last=1)
    (1, 2, 3, None, 100)
    >>> folded(4)
    (1, 2, 3, 4)
    """
    if tau <= first + last:
        return tuple(range(1, tau + 1))
    return (*range(1, first + 1), None, *range(tau - last + 1, tau + 1))
