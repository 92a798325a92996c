"""Circuits as scenes: the circuit diagram, and the unfolded graph of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, holds
from graphgrad.ir import Expr, topological
from graphgrad.unfold import checked_lengths
from viz.drawing import Drawing
from viz.label import Label, Run, roman, symbol
from viz.layout import lay_out
from viz.scene import CircuitScene, Edge, Node, Track, UnfoldedScene, folded
from viz.structure import Item, Level, Link, Structure, structure
from viz.style import STYLES, Style

Parameters = Literal["shared", "labels", "none"]
FOLD_FROM = 12
"""Sequences longer than this are folded around "…" unless asked otherwise."""


def circuit(
    circuit: Circuit, *, level: Level = "variables", style: str | Style = "colour"
) -> Drawing:
    """Return the circuit diagram, in which a black square is a delay of one step.

    `level` is "variables" (one node a variable, parameters on the edges) or "operations" (one node
    a primitive operation). `style` is a name from `viz.style.STYLES` or a Style.
    """
    scene = circuit_scene(structure(circuit, level), level)
    alt = f"Circuit diagram of {circuit.name}: {_described(circuit)}. A black square is a delay."
    return Drawing.of(lay_out(scene, _style(style)), alt=alt, title=circuit.title or circuit.name)


def unfolded(
    circuit: Circuit,
    tau: int | Mapping[str, int] = 3,
    *,
    level: Level = "variables",
    parameters: Parameters = "shared",
    fold: tuple[int, int] | None = None,
    style: str | Style = "colour",
) -> Drawing:
    """Return the unfolded graph: one column a step, one shared node a parameter.

    `parameters` is "shared" (one node each), "labels" (repeated on the edges) or "none". A sequence
    of more than 12 steps is folded around "…"; `fold=(first, last)` says how many steps to draw.
    """
    lengths = checked_lengths(circuit.check(), tau)
    scene = unfolded_scene(structure(circuit, level), lengths, parameters=parameters, fold=fold)
    shown = ", ".join(f"{name} = 1..{length}" for name, length in lengths.items())
    alt = f"Unfolded graph of {circuit.name} for {shown}: {_described(circuit)}."
    return Drawing.of(lay_out(scene, _style(style)), alt=alt, title=circuit.title or circuit.name)


def _style(style: str | Style) -> Style:
    return style if isinstance(style, Style) else STYLES[style]


def _described(circuit: Circuit) -> str:
    return "; ".join(str(equation) for equation in circuit.equations.values())


# -- the circuit diagram ---------------------------------------------------------------------------


def circuit_scene(parts: Structure, level: Level) -> CircuitScene:
    """Return the scene of a circuit diagram."""
    links = [link for link in parts.links if _drawn_in_circuit(link, parts, level)]
    used = {link.tail for link in links} | {link.head for link in links}
    nodes = tuple(
        Node(item.key, item.label, item.kind, tooltip=item.tooltip, data=(("name", item.key),))
        for item in parts.items.values()
        if item.key in used
    )
    edges = tuple(
        Edge(
            f"e{number}",
            link.tail,
            link.head,
            _edge_label(link) if level == "variables" else None,
            link.lag,
            "parameter" if link.parameter else "forward",
            tooltip=_link_tooltip(link, parts),
        )
        for number, link in enumerate(links)
    )
    return CircuitScene(nodes, edges)


def _drawn_in_circuit(link: Link, parts: Structure, level: Level) -> bool:
    """Whether a link is drawn: parameters that stand on an edge, and biases, are not nodes."""
    if level == "operations" or not link.parameter:
        return True
    on_edges = {label.rstrip("⊤") for each in parts.links for label in each.labels}
    return not link.bias and link.tail not in on_edges


def _edge_label(link: Link) -> Label | None:
    label = None
    for name in link.labels:
        part = _parameter_label(name)
        label = part if label is None else label + roman(", ") + part
    return label


def _parameter_label(name: str) -> Label:
    if name.endswith("⊤"):
        base = symbol(name[:-1])
        return Label((*base.runs, Run("⊤", level=1)))
    return symbol(name)


def _link_tooltip(link: Link, parts: Structure) -> str:
    tail = parts.items[link.tail]
    if tail.index is None:
        return f"{link.head} reads {link.tail}"
    when = tail.index if not link.lag else f"{tail.index}{-link.lag:+d}"
    if link.at is not None:
        length = parts.declared.indices[tail.index].length
        when = str(link.at.offset) if not link.at.last else length
        if link.at.last and link.at.offset:
            when += f"{link.at.offset:+d}"
    test = "" if link.condition == ALWAYS else f" if {link.condition}"
    return f"{link.head} reads {link.tail}[{when}]{test}"


# -- the unfolded graph ----------------------------------------------------------------------------


def unfolded_scene(
    parts: Structure,
    lengths: Mapping[str, int],
    *,
    parameters: Parameters = "shared",
    fold: tuple[int, int] | None = None,
) -> UnfoldedScene:
    """Return the scene of an unfolded graph."""
    return _Unfolding(parts, lengths, parameters, fold).scene()


class _Unfolding:
    """Instantiates items and links for the columns that are drawn."""

    def __init__(
        self,
        parts: Structure,
        lengths: Mapping[str, int],
        parameters: Parameters,
        fold: tuple[int, int] | None,
    ) -> None:
        self.parts = parts
        self.lengths = lengths
        self.parameters = parameters
        self.columns = {name: _columns(length, fold) for name, length in lengths.items()}
        self.drawn = {
            name: [step for step in columns if step is not None]
            for name, columns in self.columns.items()
        }
        self.late = self._results_of_one_step()
        self.edges: dict[tuple[str, str], Edge] = {}
        self.boundary_nodes: dict[str, Node] = {}

    def scene(self) -> UnfoldedScene:
        for link in self.parts.links:
            if link.parameter and self.parameters != "shared":
                continue
            for tail, head in self._instances(link):
                self._edge(tail, head, link)
        for key, boundary in self.parts.declared.boundaries.items():
            for tail in _reads_of(boundary.root):
                self._boundary_edge(tail, key.name, self._step_of(key.name, key.last, key.offset))
        used = {name for edge in self.edges for name in edge}
        nodes = [node for item in self.parts.items.values() for node in self._nodes(item)]
        kept = [node for node in nodes if node.id in used]
        tracks = tuple(
            Track(name, columns, _track_title(self.parts, name) if len(self.columns) > 1 else None)
            for name, columns in self.columns.items()
        )
        return UnfoldedScene(
            tracks, (*kept, *self.boundary_nodes.values()), tuple(self.edges.values())
        )

    def _nodes(self, item: Item) -> Iterator[Node]:
        data = (("name", item.key),)
        if item.index is None:
            track, step = self.late.get(item.key, ("", None))
            yield Node(
                item.key, item.label, item.kind, item.key if step is not None else "",
                step, track, tooltip=item.tooltip, data=data,
            )  # fmt: skip
            return
        for step in self.drawn[item.index]:
            label = item.label if item.kind == "operation" else _timed(item.label, step)
            yield Node(
                f"{item.key}.{step}", label, item.kind, item.key, step, item.index,
                tooltip=_tooltip_at(item, step), data=(*data, ("time", str(step))),
            )  # fmt: skip

    def _instances(self, link: Link) -> Iterator[tuple[str | None, str]]:
        """Yield tail and head of every arrow that a link stands for."""
        tail, head = self.parts.items[link.tail], self.parts.items[link.head]
        values = {
            index.length: self.lengths[name] for name, index in self.parts.declared.indices.items()
        }
        over = link.over if head.index is None else head.index
        if over is None:
            if holds(link.condition, values):
                yield self._tail(link, tail, None), head.key
            return
        for step in self.drawn[over]:
            if holds(link.condition, values | {over: step}):
                target = head.key if head.index is None else f"{head.key}.{step}"
                yield self._tail(link, tail, step), target

    def _tail(self, link: Link, tail: Item, step: int | None) -> str | None:
        """Return the node that a link reads at a step; None where that step is left out."""
        if tail.index is None:
            return tail.key
        if link.at is not None:
            at = self._step_of(tail.key, link.at.last, link.at.offset)
        else:
            assert step is not None
            at = step - link.lag
        if 1 <= at <= self.lengths[tail.index]:
            return f"{tail.key}.{at}" if at in self.drawn[tail.index] else None
        return self._boundary(tail, at)

    def _step_of(self, name: str, last: bool, offset: int) -> int:
        index = self.parts.declared.index_of(name)
        return self.lengths[index or ""] + offset if last else offset

    def _boundary(self, tail: Item, step: int) -> str:
        """Return the node of a value outside the steps: a boundary equation's, or zero."""
        name = f"{tail.key}.{step}"
        given = any(
            key.name == tail.key and self._step_of(key.name, key.last, key.offset) == step
            for key in self.parts.declared.boundaries
        )
        origin = "given by a boundary equation" if given else "zero: no boundary equation gives it"
        self.boundary_nodes[name] = Node(
            name, _timed(tail.label, step), "boundary", tail.key, step, tail.index or "",
            tooltip=f"{tail.key}[{step}] is {origin}",
            data=(("name", tail.key), ("time", str(step))),
        )  # fmt: skip
        return name

    def _boundary_edge(self, tail: str, name: str, step: int) -> None:
        head = f"{name}.{step}"
        item = self.parts.items.get(tail)
        if head not in self.boundary_nodes or item is None or item.index is not None:
            return
        if item.kind == "parameter" and self.parameters != "shared":
            return
        self._edge(tail, head, Link(tail, name, parameter=item.kind == "parameter"))

    def _edge(self, tail: str | None, head: str, link: Link) -> None:
        if tail is None or (tail, head) in self.edges:
            return
        self.edges[tail, head] = Edge(
            f"e{len(self.edges)}",
            tail,
            head,
            _edge_label(link) if self.parameters == "labels" else None,
            kind="parameter" if link.parameter else "forward",
            tooltip=_link_tooltip(link, self.parts),
        )

    def _results_of_one_step(self) -> dict[str, tuple[str, int]]:
        """Return track and step of static items that follow from the last step alone."""
        found: dict[str, tuple[str, int]] = {}
        items = self.parts.items
        for _ in range(len(items)):
            for key, item in items.items():
                if item.index is not None or item.kind == "parameter" or key in found:
                    continue
                reads = [e for e in self.parts.links if e.head == key and not e.parameter]
                sources = [self._source(e, found) for e in reads]
                known = {s for s in sources if s is not None}
                data = ("input", "target", "constant")
                missing = [
                    link
                    for link, source in zip(reads, sources, strict=True)
                    if source is None and (link.over or items[link.tail].kind not in data)
                ]
                if len(known) == 1 and not missing:
                    found[key] = next(iter(known))
        for link in self.parts.links:
            tail = items[link.tail]
            users = {e.head for e in self.parts.links if e.tail == link.tail}
            if tail.index is None and tail.kind in ("target", "input") and users <= found.keys():
                found[link.tail] = found[link.head]
        return found

    def _source(self, link: Link, found: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
        tail = self.parts.items[link.tail]
        if link.over is not None:
            return None
        if tail.index is not None and link.at is not None:
            step = self._step_of(link.tail, link.at.last, link.at.offset)
            return (tail.index, step) if step == self.lengths[tail.index] else None
        return found.get(link.tail)


def _columns(length: int, fold: tuple[int, int] | None) -> tuple[int | None, ...]:
    if fold is None:
        return folded(length, first=length if length <= FOLD_FROM else 3, last=1)
    return folded(length, first=fold[0], last=fold[1])


def _timed(label: Label, step: int) -> Label:
    """Return a label with its step as superscript."""
    text = f"({step})".replace("-", "−")
    return Label((*label.runs, Run(text, level=1)))


def _tooltip_at(item: Item, step: int) -> str:
    return (
        f"t = {step}: {item.tooltip}"
        if item.index == "t"
        else f"{item.index} = {step}: " + (item.tooltip)
    )


def _track_title(parts: Structure, name: str) -> Label:
    length = parts.declared.indices[name].length
    return symbol(name) + roman(" = 1, …, ") + symbol(length)


def _reads_of(root: Expr) -> list[str]:
    """Return the names that the leaves of a boundary equation read."""
    leaves = [expr for expr in topological([root]) if not expr.args]
    return [str(leaf.attr) for leaf in leaves if leaf.op.name in ("param", "input", "static")]
