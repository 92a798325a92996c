"""Products of local derivatives along paths, as nodes appended to the unfolded graph.

A cotangent is pulled back from one shown node to the next, through the nodes between them only. The
rules are those of reverse mode; what is restricted is where it may go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphgrad.autodiff import Sweep
from graphgrad.data import bind
from graphgrad.dims import Shape, concrete
from graphgrad.ir import OPS, Basis
from graphgrad.ops.leaves import zeros
from graphgrad.paths.reduced import Reduced
from graphgrad.unfold import STATIC, Template

Pair = tuple[int, int]


class PathValues:
    """Appends the products along the paths of a reduced graph and evaluates them."""

    def __init__(self, reduced: Reduced) -> None:
        self.reduced = reduced
        self.dag = reduced.dag
        self.sweep = Sweep(reduced.dag)
        self.active = bytearray(len(reduced.dag))

    def products(
        self, paths: Sequence[tuple[int, ...]], values: Mapping[str, Any], over: Any
    ) -> list[Any]:
        """Return the product of the local derivatives along each path."""
        one = self.sweep.leaf(Template(OPS["const"], 1, ()))
        way: list[tuple[int, dict[int, int]]] = []  # nodes of the path before, and what they gave
        results: list[int] = []
        for path in paths:
            known = _common(way, path)
            del way[known:]
            cotangent = self._or_zero(way[-1][1].get(path[known]), path[known]) if way else one
            for node, below in pairwise(path[known:]):
                way.append((node, self._pull(node, cotangent)))
                cotangent = self._or_zero(way[-1][1].get(below), below)
            results.append(cotangent)
        return self._evaluated(results, values, over)

    def jacobians(
        self, pairs: Sequence[Pair], values: Mapping[str, Any], over: Any
    ) -> dict[Pair, Any]:
        """Return the derivative of one node by another for each pair, axes `(*of, *by)`."""
        arrays = {name: np.asarray(value) for name, value in values.items()}
        sizes = bind(self.dag.system, self.dag.tau, self.dag.sizes, arrays).sizes
        rows: dict[int, tuple[tuple[int, ...], list[dict[int, int]]]] = {}
        for node in dict.fromkeys(node for node, _ in pairs):
            shape = self._shape(node)
            lengths = concrete(shape, sizes)
            seeds = [self._unit(shape, position) for position in np.ndindex(*lengths)]
            rows[node] = lengths, [self._pull(node, seed) for seed in seeds]
        nodes = [
            self._or_zero(row.get(below), below) for node, below in pairs for row in rows[node][1]
        ]
        flat = iter(self._evaluated(nodes, values, over))
        found: dict[Pair, Any] = {}
        for node, below in pairs:
            lengths, pulled = rows[node]
            stacked = np.stack([np.asarray(next(flat)) for _ in pulled])
            found[node, below] = stacked.reshape(lengths + stacked.shape[1:])
        return found

    def _shape(self, node: int) -> Shape:
        kind = self.dag.templates[int(self.dag.kinds[node])].type
        assert isinstance(kind, tuple)
        return kind

    def _unit(self, shape: Shape, position: tuple[int, ...]) -> int:
        """Return a cotangent that picks one entry."""
        if not shape:
            return self.sweep.leaf(Template(OPS["const"], 1, ()))
        axes = [
            self.sweep.leaf(Template(OPS["basis"], Basis(k, dim), (dim,)))
            for k, dim in zip(position, shape, strict=True)
        ]
        if len(axes) == 1:
            return axes[0]
        return self.sweep.emit(Template(OPS["outer"], None, shape), int(STATIC), axes)

    def _pull(self, node: int, cotangent: int) -> dict[int, int]:
        """Return the cotangents of the shown nodes just below one, from its own."""
        reduced = self.reduced
        below = reduced.below[node]
        for each in (*reduced.inside[node], *below):
            self.active[each] = 1
        pending: dict[int, list[int]] = {node: [cotangent]}
        for each in reduced.inside[node]:
            if each not in pending:
                continue
            given = self._total(each, pending.pop(each))
            operands = self.dag.arguments(each)
            if not operands:
                continue
            plan = self.sweep.flow.plan(each, operands, self.active)
            numbers = [given, each, *operands, *self.sweep.constants_of(plan)]
            for template, inputs in plan.steps:
                numbers.append(self._emit(each, template, [numbers[k] for k in inputs]))
            for operand, result in zip(operands, plan.results, strict=True):
                if result is not None:
                    pending.setdefault(operand, []).append(numbers[result])
        for each in (*reduced.inside[node], *below):
            self.active[each] = 0
        return {each: self._total(each, pending[each]) for each in below if each in pending}

    def _total(self, node: int, parts: list[int]) -> int:
        if len(parts) == 1:
            return parts[0]
        return self._emit(node, Template(OPS["accumulate"], None, self._shape(node)), parts)

    def _emit(self, node: int, template: Template, args: list[int]) -> int:
        """Append a node that belongs to the step of another."""
        space = self.dag.spaces[int(self.dag.kinds[node])]
        return self.sweep.emit(template, int(self.dag.times[node]), args, space)

    def _or_zero(self, cotangent: int | None, node: int) -> int:
        """Return a cotangent, zero where nothing flows."""
        if cotangent is not None:
            return cotangent
        leaf = zeros(self._shape(node))
        return self.sweep.leaf(Template(leaf.op, leaf.attr, self._shape(node)))

    def _evaluated(self, nodes: Sequence[int], values: Mapping[str, Any], over: Any) -> list[Any]:
        outputs = {f"#{node}": node for node in nodes}
        extended = self.sweep.dag(dict(self.dag.series), outputs)
        found = extended.evaluate(values, over, outputs=list(outputs))
        return [found[f"#{node}"] for node in nodes]


def _common(way: Sequence[tuple[int, Any]], path: Sequence[int]) -> int:
    """Return how many nodes a path has in common with the one before, short of its last."""
    for position, ((node, _), other) in enumerate(zip(way, path[:-1], strict=False)):
        if node != other:
            return position
    return min(len(way), len(path) - 1)
