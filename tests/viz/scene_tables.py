"""Scenes from tables of nodes and arrows, for the tests of the drawing code."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from viz.label import Label, roman, symbol
from viz.scene import CircuitScene, Edge, Node, NodeKind, Track, UnfoldedScene

Rows = dict[str, tuple[NodeKind, str]]


Arrow = tuple[str, str, int]


def circuit(
    kinds: dict[str, NodeKind],
    arrows: Iterable[tuple[str, str, int] | tuple[str, str, int, str]],
    symbols: dict[str, str] | None = None,
) -> CircuitScene:
    """A circuit from a table of nodes and arrows (tail, head, delay, parameter)."""
    nodes = tuple(
        Node(name, text(symbols, name), kind, tooltip=f"{name}[t]") for name, kind in kinds.items()
    )
    edges = []
    for number, (tail, head, delay, *parameter) in enumerate(arrows):
        label = symbol(parameter[0]) if parameter else None
        edges.append(Edge(f"e{number}", tail, head, label, delay))
    return CircuitScene(nodes, tuple(edges))


def text(symbols: dict[str, str] | None, name: str, sup: str = "") -> Label:
    """The label of a name; names in the table stand for an operation's sign."""
    if symbols and name in symbols:
        return roman(symbols[name])
    return symbol(name, sup=sup)


class Builder:
    """Unfolds a table of rows and arrows over the columns of one or more tracks."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.tracks: list[Track] = []

    def track(
        self,
        kinds: dict[str, NodeKind],
        arrows: Iterable[Arrow | tuple[str, str, int, str]],
        columns: tuple[int | None, ...],
        *,
        key: str = "t",
        symbols: dict[str, str] | None = None,
        boundaries: Iterable[tuple[str, int]] = (),
        parameters: dict[str, str] | None = None,
        sums: dict[str, str] | None = None,
        index: Callable[[int], str] = str,
        title: Label | None = None,
    ) -> Builder:
        """Add a track; `parameters` and `sums` name static nodes read by and reading rows."""
        self.tracks.append(Track(key, columns, title))
        times = [time for time in columns if time is not None]
        for time in times:
            for row, kind in kinds.items():
                label = text(symbols, row, f"({index(time)})")
                self.nodes[f"{row}.{time}"] = Node(
                    f"{row}.{time}", label, kind, row, time, key, tooltip=f"{row}[{time}]"
                )
        for row, time in boundaries:
            name = f"{row}.{time}"
            label = text(symbols, row, f"({index(time)})")
            self.nodes[name] = Node(name, label, "boundary", row, time, key)
        for tail, head, lag, *label_text in arrows:
            for time in sorted(self._times(key)):
                if time + lag in times:
                    self.edge(f"{tail}.{time}", f"{head}.{time + lag}", *label_text)
        for name, users in (parameters or {}).items():
            self.nodes.setdefault(name, Node(name, symbol(name), "parameter"))
            for row in users.split():
                for time in times:
                    self.edge(name, f"{row}.{time}", kind="parameter")
        for name, row in (sums or {}).items():
            self.nodes.setdefault(name, Node(name, symbol(name), "loss"))
            for time in times:
                self.edge(f"{row}.{time}", name)
        return self

    def _times(self, key: str) -> set[int]:
        nodes = self.nodes.values()
        return {n.time for n in nodes if n.track == key and n.time is not None}

    def edge(self, tail: str, head: str, label: str = "", kind: str = "forward") -> None:
        """An edge if both ends are in the picture."""
        if tail in self.nodes and head in self.nodes:
            self.edges.append(
                Edge(f"e{len(self.edges)}", tail, head, symbol(label) if label else None, kind=kind)  # type: ignore[arg-type]
            )

    def scene(self) -> UnfoldedScene:
        """The scene."""
        return UnfoldedScene(tuple(self.tracks), tuple(self.nodes.values()), tuple(self.edges))
