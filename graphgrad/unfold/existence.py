"""Which nodes of the equations exist at which steps: where some user needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphgrad.conditions import ALWAYS, holds
from graphgrad.errors import DomainError, GraphgradError
from graphgrad.ir import OPS, Reduction
from graphgrad.system import System

Bools = NDArray[np.bool_]


class Existence:
    """For each node, `need` says at which steps it must exist: one entry if it is static."""

    def __init__(self, system: System, lengths: dict[str, int]) -> None:
        self.system = system
        self.lengths = lengths
        self.steps = {i: np.arange(1, n + 1, dtype=np.int64) for i, n in lengths.items()}
        self.values: dict[str, Any] = {
            index.length: lengths[name] for name, index in system.indices.items()
        }
        self.need: dict[int, Bools] = {}

    def mark(self, root: int) -> list[int]:
        """Set `need` for the nodes below a root; return those that exist somewhere."""
        nodes = self.system.graph.nodes
        below = self.system.below(root)
        for node in below:
            self.need[node] = np.zeros(self.width(node), bool)
        self.need[root] = np.ones(self.width(root), bool)
        for node in reversed(below):
            needed = self.need[node]
            op, args, attr, _ = nodes[node]
            if op is OPS["choose"]:
                chosen = self.condition(attr, node)
                self.require(args[0], needed & chosen)
                self.require(args[1], needed & ~chosen)
            elif op is OPS["reduce"]:
                self.require(args[0], self.inside(attr) & needed[0])
            else:
                for arg in args:
                    self.require(arg, needed)
        return [node for node in below if self.need[node].any()]

    def require(self, node: int, where: Bools) -> None:
        """Note that a node is needed at some steps of its user."""
        if self.width(node) == 1 and self.system.spaces[node] is None:
            self.need[node] |= where.any()
        else:
            self.need[node] |= where

    def condition(self, condition: Any, node: int) -> Bools:
        """Return at which steps of a node's space a condition holds."""
        space = self.system.spaces[node]
        values = self.values | ({space: self.steps[space]} if space is not None else {})
        return np.broadcast_to(np.asarray(holds(condition, values), bool), self.width(node))

    def width(self, node: int) -> int:
        """Return how many instances a node can have: one if it is static."""
        space = self.system.spaces[node]
        return 1 if space is None else self.lengths[space]

    def inside(self, reduction: Reduction) -> Bools:
        """Return at which steps the condition of a sum or mean over steps holds."""
        over = reduction.over
        found = holds(reduction.condition, self.values | {over: self.steps[over]})
        return np.broadcast_to(found, self.lengths[over])


def check_means(system: System, lengths: dict[str, int]) -> None:
    """Raise DomainError for a mean that is needed, over steps of which none is chosen."""
    means = [
        number
        for number, node in enumerate(system.graph.nodes)
        if node.op is OPS["reduce"] and node.attr.kind == "mean" and node.attr.condition != ALWAYS
    ]
    exists = Existence(system, lengths) if means else None
    for node in means:
        if exists is None or exists.inside(system.graph.nodes[node].attr).any():
            continue
        for root in (*system.roots.values(), *system.boundary_roots.values()):
            if node in exists.mark(root):
                raise empty_mean(system, node, lengths)


def empty_mean(system: System, node: int, lengths: Mapping[str, int]) -> GraphgradError:
    """Return the error for a mean over no step."""
    attr = system.graph.nodes[node].attr
    return DomainError(
        f"a mean over no step: the condition {attr.condition} never holds for "
        f"{system.indices[attr.over].length} = {lengths[attr.over]}",
        remedy="use a longer sequence or another condition",
    ).at(system.graph.places[node])
