"""Which values differ from example to example, and how far sums over the examples go inside."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from graphgrad.ir import At
from graphgrad.system import System

LINEAR = ("add", "sub", "neg", "transpose", "sum")
BILINEAR = ("mul", "matmul", "outer")


@dataclass(frozen=True)
class Linear:
    """The nodes of an expression that is to be summed over the examples.

    `inside` are those whose sum is wanted, with the arguments into which the sum goes (none where
    it ends there); `plain` are those whose values are wanted for each example, or once for all.
    """

    inside: dict[int, tuple[int, ...]]
    plain: frozenset[int]


class Batching:
    """What the batch axes of some inputs mean for the equations of a system.

    Variables in `spread` have them, too, and so has what reads these.
    """

    def __init__(
        self, system: System, batched: frozenset[str], spread: frozenset[str] = frozenset()
    ) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.inputs = batched
        self.has = self._has(spread)

    def below(self, root: int) -> list[int]:
        """Return the nodes of an expression, arguments before users; linear in their number."""
        found = {root}
        pending = [root]
        while pending:
            new = set(self.nodes[pending.pop()].args) - found
            found |= new
            pending += new
        return sorted(found)

    def name_read(self, node: int) -> str | None:
        """Return the name that a node reads, if it reads one."""
        op, _, attr, _ = self.nodes[node]
        if op.name in ("read", "at_step"):
            return str(attr.name)
        return str(attr) if op.name in ("static", "input") else None

    def names_read(self, nodes: Iterable[int]) -> set[str]:
        """Return the names that nodes read."""
        return {name for node in nodes if (name := self.name_read(node))}

    def _has(self, spread: frozenset[str]) -> dict[str, bool]:
        has = {name: name in self.inputs for name in self.system.inputs}
        has |= {name: name in spread for name in self.system.variables}
        roots = [*self.system.roots.items()]
        roots += [(key.name, root) for key, root in self.system.boundary_roots.items()]
        read = {root: self.names_read(self.below(root)) for _, root in roots}
        changed = True
        while changed:
            changed = False
            for unit, root in roots:
                if not has[unit] and any(has[name] for name in read[root]):
                    has[unit] = changed = True
        return has

    def linear(self, root: int) -> Linear:
        """Return how the sum of an expression over the examples goes into its linear operations."""
        inside = {root}
        plain: set[int] = set()
        found: dict[int, tuple[int, ...]] = {}
        for node in reversed(self.below(root)):
            args = self.nodes[node].args
            over = self._summed_args(node) if node in inside and node not in plain else ()
            inside.update(over)
            plain.update(set(args) - set(over))
            if node in inside:
                found[node] = over
        return Linear(found, frozenset(plain))

    def _summed_args(self, node: int) -> tuple[int, ...]:
        """Return the arguments into which a sum over examples goes: those that differ."""
        op, args, _, _ = self.nodes[node]
        if op.name in LINEAR:
            return args
        if op.name not in (*BILINEAR, "div"):
            return ()
        differ = [any(self.has[name] for name in self.names_read(self.below(arg))) for arg in args]
        if op.name == "div":
            return () if differ[1] else (args[0],)
        return () if all(differ) else (args[differ.index(True) if any(differ) else 0],)

    def early_sums(self, summed: Collection[str], live: Iterable[str | At]) -> frozenset[str]:
        """Return the static variables of which only the sum over the examples is needed.

        These are what nothing but `summed` variables, and others of this kind, reads, and in linear
        terms: the cotangent of `W = S - S.T`, say, which would be a matrix for each example.
        `live` are the equations that are computed, in order.
        """
        early: set[str] = set()
        readers: dict[str, set[str]] = {}
        needed: set[str] = set()
        for unit in reversed([*live]):
            if isinstance(unit, At):
                needed |= self.names_read(self.below(self.system.boundary_roots[unit]))
                continue
            read = readers.get(unit, set())
            static = self.system.index_of(unit) is None and self.has[unit]
            if static and unit not in (*summed, *needed) and read and read <= {*summed, *early}:
                early.add(unit)
            root = self.system.roots[unit]
            for name in self.names_read(self.below(root)):
                readers.setdefault(name, set()).add(unit)
            if unit in summed or unit in early:
                needed |= self.names_read(self.linear(root).plain)
        return frozenset(early)
