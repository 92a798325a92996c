"""Unfolding: every equation instantiated for each step by tiling its template.

All of it is array operations, without a loop over steps. Reads resolve to the instance inside 1..τ,
else to the boundary equation, else to zero; choices keep the branch that holds; sums over time
become one `accumulate` node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from graphgrad.causality import Component
from graphgrad.circuit import Circuit
from graphgrad.ir import OPS, At
from graphgrad.system import System
from graphgrad.unfold.dag import STATIC, Dag, Ints, Series, Template
from graphgrad.unfold.existence import Bools, Existence, empty_mean
from graphgrad.unfold.instances import Instances, too_large
from graphgrad.unfold.lengths import MAX_NODES, checked_lengths, checked_sizes
from graphgrad.unfold.places import Places


def unfold(circuit: Circuit, tau: int | Mapping[str, int], sizes: Mapping[str, int]) -> Dag:
    """Return the unfolded graph of a circuit for `tau` steps (per index for several indices).

    Sizes that are left out stay symbolic until data show them. Raises DataError, BoundaryError
    (a token read where it has no value) or DomainError (a mean over no step).
    """
    system = circuit.check()
    lengths = checked_lengths(system, tau)
    bound = checked_sizes(system, sizes)
    names = [*system.variables, *system.inputs]
    least = sum(lengths[index] for index in map(system.index_of, names) if index is not None)
    if least > MAX_NODES:
        raise too_large()
    return Unfolder(circuit.name, system, lengths, bound).run()


class Unfolder:
    """Instantiates unit after unit; every step of it is an array operation."""

    def __init__(
        self, name: str, system: System, lengths: dict[str, int], sizes: dict[str, int]
    ) -> None:
        self.name = name
        self.system = system
        self.lengths = lengths
        self.sizes = sizes
        self.exists = Existence(system, lengths)
        self.steps = self.exists.steps
        self.instances = Instances()
        self.places = Places(self.exists, self.instances)

    def run(self) -> Dag:
        """Return the unfolded graph."""
        system = self.system
        for name in system.params:
            self.places.leaves[name] = self.instances.one(
                Template(OPS["param"], name, system.params[name].shape)
            )
        for name, declared in system.inputs.items():
            if declared.index is None:
                self.places.leaves[name] = self.instances.one(
                    Template(OPS["input"], name, declared.type)
                )
            else:
                steps = self.steps[declared.index].astype(np.int32)
                self.places.series[name] = self.instances.many(
                    Template(OPS["input"], name, declared.type), steps, [], declared.index
                )
        for component in system.components:
            if component.direction == 0:
                self.static_unit(component.units[0])
            else:
                self.sweep(component)
        return self.dag()

    # -- units ----------------------------------------------------------------------------------

    def static_unit(self, unit: str | At) -> None:
        """Instantiate a static variable or a boundary value."""
        system = self.system
        root = system.roots[unit] if isinstance(unit, str) else system.boundary_roots[unit]
        existing = self.exists.mark(root)
        for node in existing:
            self.instantiate(node)
        number = int(self.places.of[root][0])
        if not self.own_static(root):
            number = self.instances.one(
                Template(OPS["copy"], None, system.graph.nodes[root].type), [number]
            )
        if isinstance(unit, str):
            self.places.series[unit] = np.array([number], np.int32)
        else:
            length = self.lengths[system.index_of(unit.name) or ""]
            step = length + unit.offset if unit.last else unit.offset
            self.places.outside.setdefault(unit.name, {})[step] = number

    def own_static(self, root: int) -> bool:
        """Whether a root has an instance that is nobody else's."""
        node = self.system.graph.nodes[root]
        if node.op is OPS["choose"]:
            return False
        return bool(node.args) or node.op.name in ("const", "fill", "basis", "counter", "size")

    def instantiate(self, node: int) -> None:
        """Add the instances of a node outside any sweep, all steps in a row."""
        op, args, attr, kind = self.system.graph.nodes[node]
        space = self.system.spaces[node]
        if self.places.resolved(node) or op is OPS["choose"]:
            self.places.of[node] = self.places.resolve(node)
            return
        if op is OPS["reduce"]:
            self.places.of[node] = np.array([self.reduction(node)], np.int32)
            return
        needed = self.exists.need[node]
        once = np.array([STATIC], np.int32)
        times: Ints = once if space is None else self.steps[space][needed].astype(np.int32)
        columns = [self.places.argument(arg, node)[needed] for arg in args]
        place = np.full(self.exists.width(node), -1, np.int32)
        place[needed] = self.instances.many(Template(op, attr, kind), times, columns, space)
        self.places.of[node] = place

    def reduction(self, node: int) -> int:
        """Add the sum or mean over the steps where the condition holds."""
        (body,), attr, kind = self.system.graph.nodes[node][1:]
        assert isinstance(kind, tuple)
        chosen = self.exists.inside(attr)
        if not chosen.any():
            if attr.kind == "mean":
                raise empty_mean(self.system, node, self.lengths)
            return self.places.zero(kind)
        terms = np.broadcast_to(self.places.of[body], len(chosen))[chosen]
        if len(terms) == 1:
            total = self.instances.one(Template(OPS["copy"], None, kind), [int(terms[0])])
        else:
            total = self.instances.total(Template(OPS["accumulate"], None, kind), terms)
        if attr.kind == "mean":
            number = self.instances.one(Template(OPS["const"], len(terms), ()))
            total = self.instances.one(Template(OPS["div"], None, kind), [total, number])
        return total

    # -- reads ----------------------------------------------------------------------------------

    # -- sweeps ---------------------------------------------------------------------------------

    def sweep(self, component: Component) -> None:
        """Instantiate the variables of a component, step by step in the order of the sweep.

        First the parts of their equations that belong to no step of the sweep (static parts and
        the bodies of reductions), then the rest, numbered so that steps follow each other.
        """
        system = self.system
        units = [unit for unit in component.units if isinstance(unit, str)]
        index = system.variables[units[0]].index
        assert index is not None
        length = self.lengths[index]
        inner: dict[str, list[int]] = {}
        for unit in units:
            root = system.roots[unit]
            existing = self.exists.mark(root)
            region = self.region(root, set(existing))
            for node in existing:
                if node not in region:
                    self.instantiate(node)
            inner[unit] = [node for node in existing if node in region]
            for node in inner[unit]:
                if system.graph.nodes[node].op is OPS["read"]:
                    self.places.edge(node)
        numbers = self.numbered(component, units, inner, length)
        for unit in units:
            self.places.series[unit] = numbers[unit]
        steps = self.steps[index]
        for unit in units:
            for node in inner[unit]:
                op, args, attr, kind = system.graph.nodes[node]
                if self.places.resolved(node) or op is OPS["choose"]:
                    self.places.of[node] = self.places.resolve(node)
                    continue
                needed = self.exists.need[node]
                columns = [self.places.argument(arg, node)[needed] for arg in args]
                self.instances.numbered(
                    Template(op, attr, kind),
                    self.places.of[node][needed],
                    steps[needed],
                    columns,
                    index,
                )
            root = system.roots[unit]
            repeats = ~self.own(root, set(inner[unit]), length)
            if repeats.any():
                copy = Template(OPS["copy"], None, system.graph.nodes[root].type)
                source = np.broadcast_to(self.places.of[root], length)[repeats]
                self.instances.numbered(
                    copy, numbers[unit][repeats], steps[repeats], [source], index
                )

    def region(self, root: int, existing: set[int]) -> set[int]:
        """Return the nodes below a root that are computed at each step of its sweep."""
        nodes, spaces = self.system.graph.nodes, self.system.spaces
        region = {root} if spaces[root] is not None else set()
        for node in sorted(existing, reverse=True):
            if node in region:
                region.update(arg for arg in nodes[node].args if spaces[arg] is not None)
        return {node for node in region if node in existing}

    def chosen(self, root: int, region: set[int], where: Bools) -> Iterator[tuple[int, Bools]]:
        """Yield the nodes that choices inside a region leave of a root, and at which steps."""
        nodes = self.system.graph.nodes
        pending = [(root, where)]
        while pending:
            node, here = pending.pop()
            if nodes[node].op is OPS["choose"] and node in region:
                test = self.exists.condition(nodes[node].attr, node)
                first, second = nodes[node].args
                pending += [(first, here & test), (second, here & ~test)]
            else:
                yield node, here

    def own(self, root: int, region: set[int], length: int) -> Bools:
        """Return at which steps the root's value is an instance of its own."""
        own = np.zeros(length, bool)
        for node, where in self.chosen(root, region, np.ones(length, bool)):
            if (
                node in region
                and not self.places.resolved(node)
                and self.system.spaces[node] is not None
            ):
                own |= where
        return own

    def numbered(
        self, component: Component, units: list[str], inner: dict[str, list[int]], length: int
    ) -> dict[str, Ints]:
        """Number the instances of a sweep in its order; return the numbers of the roots."""
        system = self.system
        counts = np.zeros((len(units), length), np.int32)
        local: dict[int, Ints] = {}
        owns: list[Bools] = []
        for row, unit in enumerate(units):
            for node in inner[unit]:
                if self.places.resolved(node) or system.graph.nodes[node].op is OPS["choose"]:
                    continue
                local[node] = counts[row].copy()
                counts[row] += self.exists.need[node]
            owns.append(self.own(system.roots[unit], set(inner[unit]), length))
            counts[row] += ~owns[row]
        steps = np.arange(length, dtype=np.int64)
        moment = np.stack(
            [steps + component.offsets[component.units.index(unit)] for unit in units]
        )
        rank = np.broadcast_to(np.arange(len(units))[:, None], moment.shape)
        order = np.lexsort((rank.ravel(), component.direction * moment.ravel()))
        flat = counts.ravel()[order].astype(np.int64)
        bases = np.empty(len(flat), np.int64)
        bases[order] = self.instances.count + np.cumsum(flat) - flat
        self.instances.advance(int(flat.sum()))
        numbers: dict[str, Ints] = {}
        for row, unit in enumerate(units):
            base = bases.reshape(counts.shape)[row].astype(np.int32)
            for node in inner[unit]:
                if node in local:
                    self.places.of[node] = np.where(
                        self.exists.need[node], base + local[node], -1
                    ).astype(np.int32)
            root_numbers = base + counts[row] - 1
            numbers[unit] = root_numbers.astype(np.int32)
            self.check_roots(system.roots[unit], owns[row], inner[unit], numbers[unit])
        return numbers

    def check_roots(self, root: int, own: Bools, inner: list[int], numbers: Ints) -> None:
        """Make the root's own instances the last of their step, wherever a choice put them."""
        for node, where in self.chosen(root, set(inner), own):
            if where.any():
                numbers[where] = self.places.of[node][where]

    # -- result ---------------------------------------------------------------------------------

    def dag(self) -> Dag:
        """Return the graph with the instances of variables and inputs by name."""
        series = {}
        for name in [*self.system.inputs, *self.system.variables]:
            index = self.system.index_of(name)
            nodes = self.places.series.get(name)
            if nodes is None:
                nodes = np.array([self.places.leaves[name]], np.int32)
            kind = self.system.type_of(name)
            series[name] = Series(name, index, kind, nodes, self.places.outside.get(name, {}))
        params = {name: self.places.leaves[name] for name in self.system.params}
        made = self.instances
        return Dag(
            self.name,
            self.lengths,
            self.sizes,
            self.system,
            tuple(made.templates),
            tuple(made.spaces),
            *made.arrays(),
            series,
            params,
        )
