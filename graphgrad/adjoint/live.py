"""What depends on what: the nodes and units between what is differentiated by and the loss."""

from __future__ import annotations

from collections.abc import Collection

from graphgrad.causality import Unit
from graphgrad.ir import At
from graphgrad.system import System


class Dependence:
    """Which nodes can carry a derivative, and which units need a cotangent.

    `live` are the nodes whose values depend differentiably on what is differentiated by, `depends`
    the units (variables and boundary values) with a live root, `needed` those of them on a path to
    the loss.
    """

    def __init__(self, system: System, loss: str, wrt: Collection[str]) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.units = [unit for component in system.components for unit in component.units]
        self.below = {unit: system.below(self.root(unit)) for unit in self.units}
        self.users: dict[int, list[int]] = {}
        for position, (_, args, _, _) in enumerate(self.nodes):
            for arg in dict.fromkeys(args):
                self.users.setdefault(arg, []).append(position)
        self._readers: dict[Unit, list[int]] = {}
        for below in self.below.values():
            for node in below:
                for unit in self.reached(node):
                    self._readers.setdefault(unit, []).append(node)
        self.live: set[int] = set()
        self.depends: set[Unit] = set()
        self._find_live(wrt)
        self.needed = self._needed(loss)

    def root(self, unit: Unit) -> int:
        """Return the node of a unit's right side."""
        roots = self.system.roots
        return roots[unit] if isinstance(unit, str) else self.system.boundary_roots[unit]

    def index(self, unit: Unit) -> str | None:
        """Return the index of a variable, None for static ones and for boundary values."""
        return self.system.variables[unit].index if isinstance(unit, str) else None

    def reached(self, leaf: int) -> list[Unit]:
        """Return the units whose values a leaf may be: a variable, and boundaries of it."""
        op, _, attr, _ = self.nodes[leaf]
        if op.name == "static":
            return [attr]
        if op.name not in ("read", "at_step"):
            return []
        units: list[Unit] = [attr.name] if attr.name in self.system.variables else []
        units += [
            key
            for key in self.system.boundary_roots
            if key.name == attr.name and self._can_reach(leaf, key)
        ]
        return units

    def _can_reach(self, leaf: int, key: At) -> bool:
        op, _, attr, _ = self.nodes[leaf]
        if op.name == "read":
            return bool(key.offset <= -attr.lag if key.last else key.offset >= 1 - attr.lag)
        return bool(attr.meets(key))

    def _find_live(self, wrt: Collection[str]) -> None:
        roots: dict[int, list[Unit]] = {}
        for unit in self.units:
            roots.setdefault(self.root(unit), []).append(unit)
        pending = [node for node in range(len(self.nodes)) if self._asked(node, wrt)]
        while pending:
            node = pending.pop()
            if node in self.live:
                continue
            self.live.add(node)
            for user in self.users.get(node, ()):
                op, args, _, _ = self.nodes[user]
                if any(arg == node and k not in op.blocked for k, arg in enumerate(args)):
                    pending.append(user)
            for unit in roots.get(node, ()):
                self.depends.add(unit)
                pending += self._readers.get(unit, ())

    def _asked(self, node: int, wrt: Collection[str]) -> bool:
        op, _, attr, _ = self.nodes[node]
        if op.name in ("param", "input"):
            return attr in wrt
        return op.name in ("read", "at_step") and attr.name in wrt

    def _needed(self, loss: str) -> set[Unit]:
        needed: set[Unit] = set()
        pending: list[Unit] = [loss] if loss in self.depends else []
        while pending:
            unit = pending.pop()
            if unit in needed:
                continue
            needed.add(unit)
            for node in self.flowing(unit):
                pending += [each for each in self.reached(node) if each in self.depends]
        return needed

    def flowing(self, unit: Unit) -> list[int]:
        """Return the live leaves of an equation that a derivative can flow to from its root."""
        flows = {self.root(unit)}
        leaves: list[int] = []
        for node in reversed(self.below[unit]):
            if node not in flows or node not in self.live:
                continue
            op, args, _, _ = self.nodes[node]
            flows.update(arg for k, arg in enumerate(args) if k not in op.blocked)
            if not args:
                leaves.append(node)
        return leaves

    def toward(self, unit: Unit, leaves: Collection[int]) -> set[int]:
        """Return the live nodes of an equation above the given leaves."""
        found = set(leaves)
        for node in self.below[unit]:
            if node in self.live and any(arg in found for arg in self.nodes[node].args):
                found.add(node)
        return found
