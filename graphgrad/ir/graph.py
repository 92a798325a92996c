"""Flat graphs, and the order in which expressions become their nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphgrad.errors import Place
from graphgrad.ir.expressions import Expr, Op, Type


class Node(NamedTuple):
    """One node of a flat graph; `args` are positions of earlier nodes."""

    op: Op
    args: tuple[int, ...]
    attr: Any
    type: Type


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, with the place each was written at."""

    nodes: tuple[Node, ...]
    places: tuple[Place | None, ...]

    def __len__(self) -> int:
        return len(self.nodes)


def topological(roots: Iterable[Expr], known: Any = ()) -> list[Expr]:
    """Return the expressions below the roots, arguments before users, each once.

    Expressions whose `id` is in `known` are left out, with everything below them.
    """
    order: list[Expr] = []
    seen: set[int] = set()
    pending: list[tuple[Expr, bool]] = [(root, False) for root in reversed(list(roots))]
    while pending:
        expr, done = pending.pop()
        if done:
            order.append(expr)
            continue
        if id(expr) in seen or id(expr) in known:
            continue
        seen.add(id(expr))
        pending.append((expr, True))
        pending.extend((arg, False) for arg in reversed(expr.args))
    return order
