"""Places: the numbers of the instances that the nodes of the equations stand for."""

from __future__ import annotations

import numpy as np

from graphgrad.dims import Shape, Token
from graphgrad.errors import BoundaryError
from graphgrad.ir import OPS
from graphgrad.ops.leaves import zeros
from graphgrad.unfold.dag import Ints, Template
from graphgrad.unfold.existence import Existence
from graphgrad.unfold.instances import Instances


class Places:
    """For each node, `of` has the number of its instance for each step (one entry if static).

    `series` has the instances of variables and inputs inside 1..τ, `outside` those beyond, by step,
    `leaves` those of parameters and static inputs.
    """

    def __init__(self, exists: Existence, instances: Instances) -> None:
        self.system = exists.system
        self.lengths = exists.lengths
        self.exists = exists
        self.instances = instances
        self.of: dict[int, Ints] = {}
        self.series: dict[str, Ints] = {}
        self.outside: dict[str, dict[int, int]] = {}
        self.leaves: dict[str, int] = {}

    def argument(self, arg: int, user: int) -> Ints:
        """Return an argument's instance for each step of its user."""
        return np.broadcast_to(self.of[arg], self.exists.width(user))

    def resolved(self, node: int) -> bool:
        """Whether a node is a leaf whose value is an instance that exists already."""
        name = self.system.graph.nodes[node].op.name
        return name in ("param", "input", "static", "read", "at_step")

    def resolve(self, node: int) -> Ints:
        """Return the instances that a leaf or choice stands for."""
        op, args, attr, _ = self.system.graph.nodes[node]
        if op.name in ("param", "input"):
            return np.array([self.leaves[attr]], np.int32)
        if op.name == "static":
            return self.series[attr]
        if op.name == "at_step":
            length = self.lengths[self.system.index_of(attr.name) or ""]
            step = length + attr.offset if attr.last else attr.offset
            if 1 <= step <= length:
                return self.series[attr.name][step - 1 : step]
            return np.array([self.beyond(attr.name, step, node)], np.int32)
        if op is OPS["choose"]:
            chosen = self.exists.condition(attr, node)
            first, second = (self.of.get(arg, np.array([-1], np.int32)) for arg in args)
            return np.where(chosen, first, second).astype(np.int32)
        return self.shifted(node)

    def shifted(self, node: int) -> Ints:
        """Return the instances `lag` steps ago, boundaries and zeros included."""
        name, lag = self.system.graph.nodes[node].attr
        series = self.series[name]
        length = len(series)
        place = np.full(length, -1, np.int32)
        low, high = max(0, lag), min(length, length + lag)
        if low < high:
            place[low:high] = series[low - lag : high - lag]
        for position, number in self.edge(node).items():
            place[position] = number
        return place

    def edge(self, node: int) -> dict[int, int]:
        """Return the boundary instances that a read reaches, by position in the series."""
        name, lag = self.system.graph.nodes[node].attr
        length = self.lengths[self.system.index_of(name) or ""]
        outside = range(min(lag, length)) if lag > 0 else range(max(0, length + lag), length)
        return {
            position: self.beyond(name, position + 1 - lag, node)
            for position in outside
            if self.exists.need[node][position]
        }

    def beyond(self, name: str, step: int, node: int) -> int:
        """Return the instance outside 1..τ: a boundary value, or zero."""
        known = self.outside.setdefault(name, {})
        if step not in known:
            kind = self.system.type_of(name)
            if isinstance(kind, Token):
                raise BoundaryError(
                    f"the token {name} is read at step {step}, where it has no value",
                    place=self.system.graph.places[node],
                    remedy=f"write a boundary equation such as {name}[{min(step, 0)}] = 0",
                )
            known[step] = self.zero(kind)
        return known[step]

    def zero(self, kind: Shape) -> int:
        """Add a zero and return its number."""
        leaf = zeros(kind)
        return self.instances.one(Template(leaf.op, leaf.attr, kind))
