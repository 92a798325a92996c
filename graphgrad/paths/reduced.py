"""The graph between the variables that are shown: everything else is composed away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from graphgrad.errors import GradientError
from graphgrad.ir import OPS
from graphgrad.unfold import STATIC, Dag

MOST_VISITS = 20_000_000
SUMMING = ("accumulate", "add", "copy")


class Point(NamedTuple):
    """One instance of a variable, input or parameter: `step` is None where it has none.

    Summands of a loss that have no name are the loss at their step.
    """

    name: str
    step: int | None


class Reduced:
    """The shown instances below a root, each with those that it depends on directly.

    `points` names the nodes of the Dag that are shown; `below[node]` are the shown nodes that a
    node depends on through nodes that are not shown, earlier steps first and the target last.
    """

    def __init__(self, dag: Dag, root: int, target: int, points: Mapping[int, Point]) -> None:
        self.dag = dag
        self.root = root
        self.target = target
        self.points = points
        self.starts: list[int] = dag.starts.tolist()
        self.args: list[int] = dag.args.tolist()
        self.kinds: list[int] = dag.kinds.tolist()
        self.blocked: list[tuple[int, ...] | None] = [
            None if each.op.vjp is None else each.op.blocked for each in dag.templates
        ]
        self.reached = self._reached()
        self.inside: dict[int, list[int]] = {}
        self.below: dict[int, list[int]] = {}
        self._visits = 0
        pending = [root] if self.reached[root] else []
        while pending:
            node = pending.pop()
            if node not in self.below:
                self.below[node] = self.direct(node)
                pending += self.below[node]

    def flowing(self, node: int) -> Iterable[int]:
        """Return the arguments of a node that a derivative flows to."""
        blocked = self.blocked[self.kinds[node]]
        if blocked is None:
            return ()
        args = self.args[self.starts[node] : self.starts[node + 1]]
        return [arg for k, arg in enumerate(args) if k not in blocked] if blocked else args

    def _reached(self) -> bytearray:
        """Return which nodes depend on the target."""
        reached = bytearray(len(self.dag))
        reached[self.target] = 1
        for node in range(self.target + 1, self.root + 1):
            for arg in self.flowing(node):
                if reached[arg]:
                    reached[node] = 1
                    break
        return reached

    def direct(self, node: int) -> list[int]:
        """Return the shown nodes just below one; note the nodes between."""
        if node == self.target:
            return []
        found: set[int] = set()
        inside = {node}
        pending = [node]
        while pending:
            for arg in self.flowing(pending.pop()):
                if not self.reached[arg] or arg in found or arg in inside:
                    continue
                if arg in self.points:
                    found.add(arg)
                else:
                    inside.add(arg)
                    pending.append(arg)
        self._visits += len(inside)
        if self._visits > MOST_VISITS:
            raise GradientError(
                "too much lies between the variables that are shown",
                remedy="show more variables with through=[…], or unfold for fewer steps",
            )
        self.inside[node] = sorted(inside, reverse=True)
        return sorted(found, key=self._order)

    def _order(self, node: int) -> tuple[bool, int, int]:
        step = self.points[node].step
        return node == self.target, int(STATIC) if step is None else step, node

    def units(self) -> set[int]:
        """Return the shown nodes by which the derivative of the root is 1: terms of a plain sum."""
        terms = summands(self.dag, self.root)
        hidden = [node for node in terms if self.reached[node] and node not in self.points]
        twice = {each for node in hidden for each in self.direct(node)}
        return {node for node in terms if node in self.points} - twice - {self.root, self.target}

    def indirect(self) -> set[int]:
        """Return the shown nodes that the root depends on through other shown nodes."""
        return {node for each in self.below for node in self.below[each] if each != self.root}

    def count(self) -> int:
        """Return the number of paths from the root to the target."""
        paths: dict[int, int] = {}
        for node in sorted(self.below):
            paths[node] = 1 if node == self.target else sum(paths[k] for k in self.below[node])
        return paths.get(self.root, 0)

    def walk(self) -> list[tuple[int, ...]]:
        """Return every path as its nodes from the root to the target."""
        found: list[tuple[int, ...]] = []
        path: list[int] = []
        pending = [(self.root, 0)] if self.root in self.below else []
        while pending:
            node, depth = pending.pop()
            del path[depth:]
            path.append(node)
            if node == self.target:
                found.append(tuple(path))
            pending += [(each, depth + 1) for each in reversed(self.below[node])]
        return found


def summands(dag: Dag, root: int, *, scaled: bool = False) -> list[int]:
    """Return the nodes that a node is the plain sum of, each once; itself, if it is no such sum.

    With `scaled` the sum may have constant factors, as a mean has.
    """
    found: dict[int, int] = {}
    pending = [root]
    named = {int(node) for one in dag.series.values() for node in one.nodes if int(node) != root}
    while pending:
        node = pending.pop()
        sums = dag.templates[int(dag.kinds[node])].op.name in SUMMING
        if sums and (node == root or node not in named):
            pending += dag.arguments(node)
        elif scaled and node not in named and (parts := _linear(dag, node)):
            pending += parts
        else:
            found[node] = found.get(node, 0) + 1
    plain = all(times == 1 for times in found.values())
    scalar = all(dag.templates[int(dag.kinds[node])].type == () for node in found)
    return sorted(found) if plain and scalar else [root]


def _linear(dag: Dag, node: int) -> list[int]:
    """Return what a node is a difference or constant multiple of, such as the sum below a mean.

    A node that belongs to a step is a summand as it is.
    """
    if int(dag.times[node]) != STATIC:
        return []
    args = dag.arguments(node)
    match dag.templates[int(dag.kinds[node])].op.name:
        case "neg" | "sub":
            return args
        case "div" | "mul" if _is_number(dag, args[1]):
            return args[:1]
        case "mul" if _is_number(dag, args[0]):
            return args[1:]
    return []


def _is_number(dag: Dag, node: int) -> bool:
    """Whether a node is made of constants alone, such as 1 / tau."""
    seen, pending = {node}, [node]
    while pending:
        node = pending.pop()
        op = dag.templates[int(dag.kinds[node])].op.name
        if op in ("param", "input") or int(dag.times[node]) != STATIC:
            return False
        new = set(dag.arguments(node)) - seen
        seen |= new
        pending += new
    return True


def is_constant(dag: Dag, node: int) -> bool:
    """Whether a node is a plain constant, such as the zero before the first step."""
    return dag.templates[int(dag.kinds[node])].op in (OPS["fill"], OPS["const"])
