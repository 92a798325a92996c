"""From a structure to the scene of its unfolded graph, in time of what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from graphgrad.conditions import holds
from graphgrad.ir import At
from graphgrad.notation.names import symbol
from viz.circuit_scene import edge_label, link_tooltip
from viz.engine import DrawingError
from viz.items import Item, Link, Structure
from viz.label import Label, Run, roman
from viz.scene import Edge, EdgeKind, Node, Track, UnfoldedScene, folded

Parameters = Literal["shared", "labels", "none"]
Fold = int | tuple[int, int] | None
"""How many of the first and of the last steps are drawn; one number for both."""
FOLD_FROM = 12
"""Sequences longer than this are folded around "…" unless asked otherwise."""


def unfolded_scene(
    parts: Structure,
    lengths: Mapping[str, int],
    *,
    parameters: Parameters = "shared",
    fold: Fold = None,
) -> UnfoldedScene:
    """Return the scene of an unfolded graph."""
    return Unfolding(parts, lengths, parameters=parameters, fold=fold).scene()


class Unfolding:
    """Instantiates items and links for the columns that are drawn."""

    def __init__(
        self,
        parts: Structure,
        lengths: Mapping[str, int],
        *,
        parameters: Parameters = "shared",
        fold: Fold = None,
    ) -> None:
        self.parts, self.lengths, self.parameters, self.fold = parts, lengths, parameters, fold
        self.columns = {name: columns(length, fold) for name, length in lengths.items()}
        self.drawn = {
            name: [step for step in steps if step is not None]
            for name, steps in self.columns.items()
        }
        self._shown = {name: frozenset(steps) for name, steps in self.drawn.items()}
        self._values = {
            index.length: lengths[name] for name, index in parts.declared.indices.items()
        }
        self._given = {
            (key.name, self.step_of(key)): item.key
            for item in parts.items.values()
            if (key := item.boundary) is not None and item.kind == "boundary"
        }
        self._late = self._results_of_one_step()
        self._edges: dict[tuple[str, str], Edge] = {}
        self.open: set[tuple[str, str]] = set()
        """The ends of the edges along which gradients can flow."""
        self.outside: dict[str, Node] = {}
        """The nodes of values outside the steps, found as they are read."""

    def scene(self) -> UnfoldedScene:
        """Return the scene."""
        links = [
            link
            for link in self.parts.links
            if self.parameters == "shared"
            or not self.parts.is_parameter(link)
            or (self.parameters == "labels" and link.role in ("source", "unwritten"))
        ]
        for link in links:
            if self.parts.items[link.head].boundary is None:
                self._add(link)
        self._add_boundaries([x for x in links if self.parts.items[x.head].boundary is not None])
        used = self._prune()
        nodes = [node for item in self.parts.items.values() for node in self._nodes(item)]
        equations = self.parts.declared.equations
        kept = [n for n in nodes if n.id in used or dict(n.data)["name"] in equations]
        tracks = tuple(
            Track(name, steps, self._title(name) if len(self.columns) > 1 else None)
            for name, steps in self.columns.items()
        )
        return UnfoldedScene(tracks, (*kept, *self.outside.values()), tuple(self._edges.values()))

    def _add(self, link: Link) -> None:
        shown = self.parameters == "labels" or bool(link.sign)
        label = edge_label(link, self.parts) if shown else None
        kind: EdgeKind = "parameter" if self.parts.is_parameter(link) else "forward"
        tooltip = link_tooltip(link, self.parts)
        for tail, head in self.instances(link):
            if tail is None:
                continue
            if not link.blocked:
                self.open.add((tail, head))
            if (tail, head) not in self._edges:
                self._edges[tail, head] = Edge(
                    f"e{len(self._edges)}", tail, head, label, kind=kind, tooltip=tooltip,
                    near_head=bool(link.sign),
                )  # fmt: skip

    def _add_boundaries(self, links: list[Link]) -> None:
        """Add what the boundary values that are read depend on, which may be others."""
        done: set[At] = set()
        while True:
            wanted = [
                boundary
                for link in links
                if (boundary := self.parts.items[link.head].boundary) is not None
                and boundary not in done
                and f"{boundary.name}.{self.step_of(boundary)}" in self.outside
            ]
            if not wanted:
                return
            done.update(wanted)
            for link in links:
                if self.parts.items[link.head].boundary in wanted:
                    self._add(link)

    def _prune(self) -> set[str]:
        """Remove operations that nothing reads; return the ids of the nodes that are left."""
        extra = {
            item.key
            for item in self.parts.items.values()
            if item.kind in ("operation", "constant") and item.index is None
        }
        while True:
            read = {tail for tail, _ in self._edges}
            idle = {head for _, head in self._edges if head in extra and head not in read}
            if not idle:
                return read | {head for _, head in self._edges}
            self._edges = {ends: e for ends, e in self._edges.items() if ends[1] not in idle}

    # -- instances ------------------------------------------------------------------------------

    def _nodes(self, item: Item) -> Iterator[Node]:
        data = (("name", item.key),)
        if item.boundary is not None:
            if item.kind != "boundary":
                step = self.step_of(item.boundary)
                track = self.parts.declared.index_of(item.boundary.name) or ""
                yield Node(
                    item.key, item.label, item.kind, item.key, step, track,
                    tooltip=item.tooltip, data=data,
                )  # fmt: skip
        elif item.index is None:
            track, late = self._late.get(item.key, ("", None))
            yield Node(
                item.key, item.label, item.kind, item.key if late is not None else "",
                late, track, tooltip=item.tooltip, data=data,
            )  # fmt: skip
        else:
            plain = item.kind in ("operation", "constant")
            for step in self.drawn[item.index]:
                yield Node(
                    f"{item.key}.{step}", item.label if plain else timed(item.label, step),
                    item.kind, item.key, step, item.index,
                    tooltip=f"{item.index} = {step}: {item.tooltip}",
                    data=(*data, ("time", str(step))),
                )  # fmt: skip

    def instances(self, link: Link) -> Iterator[tuple[str | None, str]]:
        """Yield tail and head of every arrow that a link stands for; no tail where it is hidden."""
        tail, head = self.parts.items[link.tail], self.parts.items[link.head]
        over = link.over if head.index is None else head.index
        if over is None:
            if holds(link.condition, self._values):
                yield self._tail(link, tail, None), self._head(head, None)
            return
        for step in self.drawn[over]:
            if holds(link.condition, self._values | {over: step}):
                yield self._tail(link, tail, step), self._head(head, step)

    def _head(self, head: Item, step: int | None) -> str:
        if head.kind == "boundary" and head.boundary is not None:
            return f"{head.boundary.name}.{self.step_of(head.boundary)}"
        return head.key if head.index is None else f"{head.key}.{step}"

    def _tail(self, link: Link, tail: Item, step: int | None) -> str | None:
        """Return the node that a link reads at a step; None where that step is left out."""
        if tail.index is None:
            return tail.key
        if link.at is not None:
            at = self.step_of(link.at)
        else:
            assert step is not None
            at = step - link.lag
        if 1 <= at <= self.lengths[tail.index]:
            return f"{tail.key}.{at}" if at in self._shown[tail.index] else None
        return self._outside(tail, at)

    def step_of(self, at: At) -> int:
        """Return the step of an absolute read."""
        index = self.parts.declared.index_of(at.name)
        return self.lengths[index or ""] + at.offset if at.last else at.offset

    def _outside(self, tail: Item, step: int) -> str:
        """Return the node of a value outside the steps: a boundary equation's, or zero."""
        name = f"{tail.key}.{step}"
        given = self._given.get((tail.key, step))
        if given is None:
            tooltip = f"{tail.key}[{step}] = 0: no boundary equation gives it"
        else:
            tooltip = self.parts.items[given].tooltip
        self.outside[name] = Node(
            name, timed(tail.label, step), "boundary", tail.key, step, tail.index or "",
            tooltip=tooltip, data=(("name", tail.key), ("time", str(step))),
        )  # fmt: skip
        return name

    # -- results --------------------------------------------------------------------------------

    def _results_of_one_step(self) -> dict[str, tuple[str, int]]:
        """Return track and step of static items that follow from the last step alone."""
        found: dict[str, tuple[str, int]] = {}
        items = self.parts.items
        reads: dict[str, list[Link]] = {}
        users: dict[str, list[str]] = {}
        for link in self.parts.links:
            if not self.parts.is_parameter(link):
                reads.setdefault(link.head, []).append(link)
                users.setdefault(link.tail, []).append(link.head)
        static = [key for key, item in items.items() if item.index is None and key in reads]
        data = ("input", "target", "constant")
        moved = True
        while moved:
            moved = False
            for key in static:
                if key in found or items[key].boundary is not None:
                    continue
                sources = [(link, self._source(link, found)) for link in reads[key]]
                known = {source for _, source in sources if source is not None}
                missing = any(
                    source is None and (link.over or items[link.tail].kind not in data)
                    for link, source in sources
                )
                if len(known) == 1 and not missing:
                    found[key] = next(iter(known))
                    moved = True
        for key, heads in users.items():
            single = items[key].index is None and items[key].kind in ("target", "input")
            if single and all(head in found for head in heads):
                found[key] = found[heads[-1]]
        return found

    def _source(self, link: Link, found: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
        tail = self.parts.items[link.tail]
        if link.over is not None:
            return None
        if tail.index is not None and link.at is not None:
            step = self.step_of(link.at)
            return (tail.index, step) if step == self.lengths[tail.index] else None
        return found.get(link.tail)

    def _title(self, name: str) -> Label:
        length = self.parts.declared.indices[name].length
        return _symbol(name) + roman(" = 1, …, ") + _symbol(length)


def columns(length: int, fold: Fold) -> tuple[int | None, ...]:
    """Return the columns of a sequence: all steps, or the first and the last ones."""
    if fold is None:
        return folded(length, first=length if length <= FOLD_FROM else 3, last=1)
    first, last = _checked(fold)
    return folded(length, first=first, last=last)


def _checked(fold: int | tuple[int, int]) -> tuple[int, int]:
    pair = fold if isinstance(fold, (tuple, list)) else (fold, fold)
    whole = [n for n in pair if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if len(pair) != 2 or len(whole) != 2 or not sum(whole):
        raise DrawingError(
            f"fold={fold!r} says not how many steps to draw",
            remedy="give the numbers of first and last steps, such as fold=(3, 1), or one for both",
        )
    return whole[0], whole[1]


def timed(label: Label, step: int) -> Label:
    """Return a label with its step as superscript."""
    return Label((*label.runs, Run(f"({step})".replace("-", "−"), level=1)))


def _symbol(name: str) -> Label:
    return Label(symbol(name).runs())
