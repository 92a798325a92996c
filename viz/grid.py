"""The grid of a picture: columns, layers, and the channels between them in which lines run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from viz.label import Typeset
from viz.routing import Box, Point, border_towards, port, segment_meets_box
from viz.scene import Edge, EdgeKind, Node
from viz.step import Link, Step
from viz.style import Shape, Style

Role = Literal["main", "left", "right", "gap"]
Cell = tuple[int, str]
"""Column number and row."""

ELLIPSIS = "\0…"
"""Ends the row of a "…"."""


def base_row(row: str) -> str:
    """The row that a "…" stands for; any other row is its own."""
    return row.split(ELLIPSIS)[0]


@dataclass(frozen=True, slots=True)
class Size:
    """Width, height and shape of the nodes of one row."""

    width: float
    height: float
    shape: Shape


@dataclass(frozen=True, slots=True)
class Column:
    """A time step in the picture; `time` is None for "…". Columns of one template look alike."""

    template: tuple[str, Role]
    time: int | None


@dataclass(frozen=True, slots=True)
class Inner:
    """An edge inside a column; `link` is its line in the template, `down` if it runs downward."""

    edge: Edge
    column: int
    tail: str
    head: str
    link: Link
    down: bool


@dataclass(frozen=True, slots=True)
class Across:
    """An edge to another column, or (in a circuit) back to an earlier layer through a delay.

    `side` is 1 if it leaves to the right, -1 to the left. `edge` is None for arrows at "…".
    """

    id: str
    edge: Edge | None
    kind: EdgeKind
    tail: Cell
    head: Cell
    side: int

    @property
    def distance(self) -> int:
        """How many columns away the head is."""
        return abs(self.head[0] - self.tail[0])

    @property
    def delay(self) -> int:
        """The delay on the way, in a circuit."""
        return self.edge.delay if self.edge is not None else 0


@dataclass(frozen=True, slots=True)
class Tap:
    """An edge between a static node and a cell; `inward` if it leads to the cell."""

    edge: Edge
    static: str
    cell: Cell
    inward: bool
    link: Link


@dataclass(slots=True)
class Plan:
    """Everything of a scene, sorted by how it is drawn.

    `homes` gives the column in front of which a static result stands that is read there or later,
    `accompanied` are the ids of the edges beside which others run back, `framed` is how far frames
    can reach out of a column.
    """

    style: Style
    sizes: dict[str, Size] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    layers: dict[str, int] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    inner: list[Inner] = field(default_factory=list)
    loops: list[Inner] = field(default_factory=list)
    across: list[Across] = field(default_factory=list)
    taps: list[Tap] = field(default_factory=list)
    between: list[Edge] = field(default_factory=list)
    statics: list[Node] = field(default_factory=list)
    above: set[str] = field(default_factory=set)
    homes: dict[str, int] = field(default_factory=dict)
    texts: dict[str, Typeset] = field(default_factory=dict)
    dots: list[Cell] = field(default_factory=list)
    reach: dict[str, tuple[float, float]] = field(default_factory=dict)
    loop_side: dict[str, int] = field(default_factory=dict)
    loop_reach: dict[str, float] = field(default_factory=dict)
    accompanied: frozenset[str] = frozenset()
    framed: float = 0.0

    def doubled(self) -> set[Link]:
        """The links with another line beside them; that of a parameter is turned round instead."""
        lines = [(inner.edge, inner.link) for inner in self.inner]
        lines += [(tap.edge, tap.link) for tap in self.taps]
        return {
            link for edge, link in lines if edge.id in self.accompanied and edge.kind != "parameter"
        }


class Grid:
    """Coordinates of columns, layers and channels; y counts upward."""

    def __init__(self, plan: Plan, steps: Mapping[tuple[str, Role], Step]) -> None:
        self.plan = plan
        self.steps = steps
        self.top = max(plan.layers.values(), default=0)
        count = len(plan.columns)
        self.x = [0.0] * count
        self.low = [0.0] * (self.top + 1)
        self.high = [0.0] * (self.top + 1)
        self.floor = 0.0
        self.ceiling = 0.0
        self._halves = [8.0] * (self.top + 1)
        for row, level in plan.layers.items():
            self._halves[level] = max(self._halves[level], plan.sizes[row].height / 2)

    def place(self, gaps: Sequence[float], channels: Sequence[float]) -> None:
        """Set all coordinates.

        `gaps` are the widths left of each column, `channels` the heights below each layer and,
        last, above the highest.
        """
        x = 0.0
        for number, column in enumerate(self.plan.columns):
            x += gaps[number]
            self.x[number] = x
            x += self.steps[column.template].width
        y = self.floor
        for level in range(self.top + 1):
            self.low[level] = y + channels[level]
            self.high[level] = self.low[level] + 2 * self._halves[level]
            y = self.high[level]
        self.ceiling = y + channels[self.top + 1]

    def right(self, column: int) -> float:
        """The right end of a column."""
        return self.x[column] + self.steps[self.plan.columns[column].template].width

    def band(self, level: int) -> tuple[float, float]:
        """Lowest and highest y of a layer; the floor below all layers, the ceiling above."""
        if level < 0:
            return self.floor, self.floor
        if level > self.top:
            return self.ceiling, self.ceiling
        return self.low[level], self.high[level]

    def lanes(self, column: int, link: Link) -> list[tuple[float, float, float]]:
        """The x of a link in each layer that it passes, with the layer's y range, lowest first."""
        plan = self.plan
        first = plan.layers[link.lower] + 1 if link.lower is not None else -1
        places = self.steps[plan.columns[column].template].lanes[link]
        return [(self.x[column] + x, *self.band(first + i)) for i, x in enumerate(places)]

    def centre(self, cell: Cell) -> Point:
        """The middle of a node."""
        column, row = cell
        low, high = self.band(self.plan.layers[row])
        x = self.steps[self.plan.columns[column].template].x[row]
        return self.x[column] + x, (low + high) / 2

    def box(self, cell: Cell) -> Box:
        """The box of a node."""
        x, y = self.centre(cell)
        size = self.plan.sizes[cell[1]]
        return (x - size.width / 2, y - size.height / 2, x + size.width / 2, y + size.height / 2)

    def port(self, cell: Cell, angle: float, side: int) -> tuple[Point, Point]:
        """A point on the lower (-1) or upper (1) border of a node, and the way out from there."""
        return port(self.box(cell), self.plan.sizes[cell[1]].shape, angle, side)

    def towards(self, cell: Cell, target: Point) -> Point:
        """Where the straight line from a node to a point leaves its border."""
        return border_towards(self.box(cell), self.plan.sizes[cell[1]].shape, target)

    def rows_of(self, column: int) -> Mapping[str, float]:
        """The rows that the template of a column has room for."""
        return self.steps[self.plan.columns[column].template].x

    def is_outermost(self, cell: Cell, side: int) -> bool:
        """Whether no other node of its layer and column is on that side of a node."""
        column, row = cell
        level, rows = self.plan.layers[row], self.rows_of(column)
        return all(
            other == row or self.plan.layers[other] != level or (x - rows[row]) * side < 0
            for other, x in rows.items()
        )

    def is_clear(self, start: Cell, end: Cell, margin: float) -> bool:
        """Whether the straight line between two nodes meets no other node."""
        first, last = sorted((start[0], end[0]))
        a, b = self.centre(start), self.centre(end)
        for column in range(first, last + 1):
            for row in self.rows_of(column):
                other = (column, row)
                if other in (start, end):
                    continue
                if segment_meets_box(a, b, self.box(other), margin):
                    return False
        return True
