"""From a structure to the scene of a circuit diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise

import networkx as nx

from graphgrad.conditions import ALWAYS
from graphgrad.ir import At
from graphgrad.notation.names import symbol
from viz.items import MINUS, TRANSPOSED, Item, Link, Product, Structure
from viz.label import Label, Run, roman
from viz.scene import CircuitScene, Edge, Node
from viz.structure import boundary_key


def circuit_scene(parts: Structure) -> CircuitScene:
    """Return the scene of a circuit diagram, in which each variable stands once."""
    shown = _joining(parts)
    starts = [Link(boundary_key(at), at.name) for at in shown]
    drawn = [link for link in parts.links if _is_drawn(link, parts, shown)]
    links = _parallel_merged([*drawn, *starts])
    used = {end for link in links for end in (link.tail, link.head)}
    named = [item for item in parts.items.values() if item.key in used]
    labels = _distinct(named, parts)
    tracks = _tracks(links, parts) if len(parts.declared.indices) > 1 else {}
    nodes = tuple(
        Node(
            item.key,
            labels[item.key],
            item.kind,
            track=tracks.get(item.key, ""),
            tooltip=item.tooltip,
            data=(("name", item.key),),
        )
        for item in named
    )
    edges = tuple(
        Edge(
            f"e{number}",
            link.tail,
            link.head,
            edge_label(link, parts),
            link.lag,
            "parameter" if parts.is_parameter(link) else "forward",
            tooltip=link_tooltip(link, parts),
            near_head=bool(link.sign),
        )
        for number, link in enumerate(links)
    )
    return CircuitScene(nodes, edges)


def _tracks(links: list[Link], parts: Structure) -> dict[str, str]:
    """Return the index set beside which each item stands: its own, or that of its neighbours.

    What does not vary with time stands where what it reads does, or else where it is read.
    """
    found = {key: item.index for key, item in parts.items.items() if item.index is not None}
    for key, item in parts.items.items():
        index = item.boundary and parts.declared.index_of(item.boundary.name)
        if index:
            found[key] = index
    order = [*((x.head, x.tail) for x in links), *((x.tail, x.head) for x in links)]
    size = -1
    while size != len(found):
        size = len(found)
        for own, other in order:
            if own not in found and other in found:
                found[own] = found[other]
    return found


def _is_drawn(link: Link, parts: Structure, shown: Collection[At]) -> bool:
    """Whether a link is an arrow of its own; factors stand beside arrows, biases are left out."""
    boundary = parts.items[link.head].boundary
    if boundary is not None and boundary not in shown:
        return False
    if parts.level == "operations":
        return True
    return link.role in ("source", "unwritten") or (
        link.role == "bias" and not parts.is_parameter(link)
    )


def _joining(parts: Structure) -> list[At]:
    """Return the boundary values without which a part of the circuit would stand by itself.

    The others are left out: a circuit says what happens at every step. So are inputs that are
    boundary values themselves, as in h[0] = h0.
    """
    joined: nx.Graph[str] = nx.Graph()
    joined.add_nodes_from(parts.items)
    joined.add_edges_from((x.tail, x.head) for x in parts.links if _is_drawn(x, parts, ()))
    shown: list[At] = []
    for link in parts.links:
        tail, at = parts.items[link.tail], parts.items[link.head].boundary
        if at is None or tail.boundary is not None or parts.is_parameter(link):
            continue
        if parts.declared.boundaries[at].root.op.name == "input":
            continue
        if not nx.has_path(joined, link.tail, at.name):
            joined.add_edge(link.tail, at.name)
            shown.append(at)
    return list(dict.fromkeys(shown))


def _parallel_merged(links: list[Link]) -> list[Link]:
    """Return the links with one for all that lead from one item to another over one delay."""
    found: dict[tuple[str, str, int], Link] = {}
    for link in links:
        key = link.tail, link.head, link.lag
        if key in found:
            before = found[key]
            labels = tuple(dict.fromkeys((*before.labels, *link.labels)))
            same = before.condition == link.condition
            condition = before.condition if same else ALWAYS
            found[key] = replace(before, labels=labels, condition=condition)
        else:
            found[key] = link
    return list(found.values())


def _distinct(items: list[Item], parts: Structure) -> dict[str, Label]:
    """Return the labels; of two that only a time tells apart, one has it: L beside L⁽ᵗ⁾."""
    names = [item for item in items if item.kind not in ("operation", "constant", "boundary")]
    count = Counter(item.label for item in names)
    timed = {
        item.key: Label(parts.names[item.key].runs(sup=f"({item.index})"))
        for item in names
        if count[item.label] > 1 and item.index is not None and item.key in parts.names
    }
    timed |= {item.key: _outside(item, parts) for item in items if item.kind == "boundary"}
    return {item.key: timed.get(item.key, item.label) for item in items}


def _outside(item: Item, parts: Structure) -> Label:
    """Return the label of a boundary value, with its step."""
    at, index = item.boundary, item.boundary and parts.declared.index_of(item.boundary.name)
    assert at is not None
    assert index is not None
    length = parts.declared.indices[index].length.replace("tau", "τ")
    step = f"{length}+{at.offset}" if at.last else str(at.offset)
    return Label(parts.names[at.name].runs(sup=f"({step})"))


def edge_label(link: Link, parts: Structure) -> Label | None:
    """Return what stands beside an arrow: the factors applied on the way, or an operand's sign."""
    if parts.level == "operations":
        return roman(link.sign) if link.sign else None
    label: Label | None = None
    for product in link.labels:
        part = _product(product, parts)
        label = part if label is None else label + roman(", ") + part
    return label


def _product(product: Product, parts: Structure) -> Label:
    """Return a number and factors side by side, divisors behind a stroke."""
    factors = [_factor(name, parts) for name in product.factors]
    label = _side_by_side([*map(_number, product.above), *factors])
    if product.below:
        below = _side_by_side([*map(_number, product.below)])
        several = len(product.below) > 1
        label = label + (roman("/(") + below + roman(")") if several else roman("/") + below)
    return roman(MINUS) + label if product.negative else label


def _side_by_side(factors: list[Label]) -> Label:
    """Return the factors in a row; a space parts a word, such as Win, from what is next."""
    product = factors[0]
    for before, factor in pairwise(factors):
        words = not (before.runs[0].italic and factor.runs[0].italic)
        words = words and not before.text[0].isdigit()
        product = product + roman(" ") + factor if words else product + factor
    return product


def _number(text: str) -> Label:
    return roman(text) if text[0].isdigit() else Label(symbol(text).runs())


def _factor(name: str, parts: Structure) -> Label:
    base = Label(parts.names[name.removesuffix(TRANSPOSED)].runs())
    return base + Label((Run(TRANSPOSED, level=1),)) if name.endswith(TRANSPOSED) else base


def link_tooltip(link: Link, parts: Structure) -> str:
    """Return in words what a link means."""
    tail = parts.items[link.tail]
    if tail.index is None or tail.key not in parts.declared.names():
        return f"{link.head} reads {link.tail}"
    when = tail.index if not link.lag else f"{tail.index}{-link.lag:+d}"
    if link.at is not None:
        when = link.at.step(parts.declared.indices[tail.index].length)
    test = "" if link.condition == ALWAYS else f" if {link.condition}"
    return f"{link.head} reads {link.tail}[{when}]{test}"
