"""What has been drawn so far."""

from __future__ import annotations

from viz.grid import Across, Cell, Plan
from viz.picture import DelayMark, Dot, PlacedEdge
from viz.routing import Curve, Point, simplified, with_arrow
from viz.scene import Edge, EdgeKind


class Ink:
    """Collects curves, squares and dots.

    `delayed` are the curves that still need the square of a delay: the edge, the ids of all edges
    that share the square, and where it may be.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names = {cell: name for name, cell in plan.cells.items()}
        self.edges: list[PlacedEdge] = []
        self.marks: list[DelayMark] = []
        self.dots: list[Dot] = []
        self.delayed: list[tuple[Edge, tuple[str, ...], Curve]] = []

    def emit(
        self,
        curve: Curve,
        *,
        name: str,
        edge: Edge | None,
        kind: EdgeKind,
        tail: str,
        head: str,
        arrow: bool = True,
    ) -> None:
        """Add a curve, drawn back by the length of its arrowhead."""
        curve = simplified(curve)
        tip: Point | None = None
        if arrow:
            curve, tip = with_arrow(curve, self._plan.style.edges[kind].arrow)
        self.edges.append(PlacedEdge(name, edge, kind, tail, head, curve, tip))

    def name(self, cell: Cell) -> str:
        """The id of the node in a cell; empty for a "…"."""
        return self._names.get(cell, "")

    def across(self, item: Across, curve: Curve) -> None:
        """Add a line to another column."""
        self.emit(
            curve,
            name=item.id,
            edge=item.edge,
            kind=item.kind,
            tail=self.name(item.tail),
            head=self.name(item.head),
        )

    def mark(self, edge: Edge, edges: tuple[str, ...], at: Point) -> None:
        """Put the square of a delay or an advance at a place."""
        size = self._plan.style.delay_size
        self.marks.append(DelayMark(edges, edge.kind, *at, size, edge.delay < 0))

    def dot(self, kind: EdgeKind, at: Point) -> None:
        """Put a dot where a line branches."""
        self.dots.append(Dot(kind, *at, 1.3 if kind == "parameter" else 1.6))
