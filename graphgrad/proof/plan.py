"""A backward pass of any length: where it is cut, and what its equations notice of the ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np

from graphgrad.causality import dependencies
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, comparisons, holds
from graphgrad.errors import DomainError
from graphgrad.ir import OPS, At
from graphgrad.proof.certificate import BackwardPass, Instance
from graphgrad.proof.classes import Classes, Cuts, Zone
from graphgrad.proof.lengths import horizons, reach
from graphgrad.proof.marks import marked
from graphgrad.proof.question import Question, Stated, backward_pass
from graphgrad.system import System
from graphgrad.unfold import STATIC, Dag


@dataclass(frozen=True)
class Effort:
    """How often lets are written out where an identity does not hold at sight.

    If `loose`, summands of different steps may stand for each other, as far as terms show to which
    step they belong.
    """

    rounds: int
    loose: bool


EFFORTS = (Effort(0, False), Effort(3, False), Effort(0, True), Effort(3, True))


@dataclass
class Plan:
    """A backward pass of any length: where it is cut, and what its equations notice of the ends."""

    question: Question
    stated: Stated
    marks: dict[str, str]
    circuit: Circuit
    system: System
    claimed: frozenset[str]
    """Variables with a cotangent of their own."""
    mutual: frozenset[str]
    """Those whose cotangents need themselves at other steps."""
    opaque: frozenset[str]
    """Other variables that need themselves at other steps."""
    active: frozenset[str]
    zones: dict[str, Zone]
    bounds: dict[str, int]
    separate: bool
    """Whether no static equation tests two lengths."""
    effort: Effort
    orphans: frozenset[str]
    """Recurrences that the loss depends on, and that have no cotangent."""
    partial: bool
    """Whether there are means that have no value at some lengths."""
    needs: nx.DiGraph[str]
    """What is computed from what at any length: variables, boundary values, parameters, inputs."""

    def behind(self, variables: Set[str], outside: Set[str] = frozenset()) -> set[str]:
        """Return the parameters and inputs that some variables depend on, at whatever length.

        One wrong cotangent makes all gradients by these wrong, if not at the length at which it was
        found then at a longer one. Of variables in `outside` only values outside 1..τ are meant.
        """
        keys = {_unit(key) for key in self.system.boundary_roots if key.name in outside}
        found: set[str] = set()
        for unit in {*variables, *keys}.intersection(self.needs):
            found |= nx.ancestors(self.needs, unit)
        return found

    def passes(self, lengths: Mapping[str, int], sizes: Mapping[str, int]) -> BackwardPass:
        """Return the backward pass at one length."""
        stated = self.stated
        dag = self.circuit.unfold(dict(lengths), **sizes)
        found = backward_pass(self.question, stated.of(dag))
        kept = {each: node for each, node in found.cotangents.items() if each[0] in self.claimed}
        return replace(found, cotangents=kept)

    def cuts(self, passes: BackwardPass) -> Cuts:
        """Return the nodes that are cut."""
        dag = passes.dag
        carried = {passes.values[each]: node for each, node in passes.cotangents.items()}
        variables = {
            node: each
            for each, node in passes.values.items()
            if each in passes.cotangents or each[0] in self.claimed | self.opaque
        }
        mutual = {n for (name, _), n in passes.cotangents.items() if name in self.mutual}
        opaque: dict[int, Instance] = {}
        for name in self.opaque - {each[0] for each in passes.values}:
            series = dag.series[name].nodes.tolist()
            opaque.update({node: (name, k + 1) for k, node in enumerate(series)})
        marks = {dag.series[name].nodes[0] for name in self.marks.values()}
        kinds = {int(dag.kinds[node]) for node in marks}
        return Cuts(variables, carried, frozenset(mutual), opaque, frozenset(_sums(dag, kinds)))

    def classes(
        self, classes: Classes, lengths: Mapping[str, int], sizes: Mapping[str, int]
    ) -> set[int]:
        """Return the classes of local identities at one length; none where it has no meaning."""
        try:
            if self.partial:
                self.stated.circuit.unfold(dict(lengths), **sizes)
            passes = self.passes(lengths, sizes)
        except DomainError:
            return set()
        index = passes.dag.system.index_of(passes.loss)
        seeds = {
            node
            for (name, step), node in passes.values.items()
            if name == passes.loss and (step is None or 1 <= step <= passes.dag.tau[index or ""])
        }
        return classes.of(passes, self.cuts(passes), self.zones, seeds, self._pattern(lengths))

    def _pattern(self, lengths: Mapping[str, int]) -> tuple[bool, ...]:
        """Return which static branches are taken, and which sums have any summand."""
        indices = self.system.indices
        values = {index.length: lengths[name] for name, index in indices.items()}
        found = []
        for node, space in zip(self.system.graph.nodes, self.system.spaces, strict=True):
            if node.op.name == "reduce":
                steps = np.arange(1, lengths[node.attr.over] + 1)
                found.append(
                    bool(np.any(holds(node.attr.condition, values | {node.attr.over: steps})))
                )
            elif node.op.name == "choose" and space is None:
                found.append(bool(holds(node.attr, values)))
        return tuple(found)


def _sums(dag: Dag, marks: set[int]) -> Iterator[int]:
    """Yield the nodes that are sums over time: of one summand, they are copies."""
    kinds, starts, args = dag.kinds.tolist(), dag.starts.tolist(), dag.args.tolist()
    for node, kind in enumerate(kinds):
        operands = args[starts[node] : starts[node + 1]]
        if dag.times[node] != STATIC or not operands or dag.times[operands[0]] == STATIC:
            continue
        if dag.templates[kind].op is OPS["accumulate"]:
            yield node
        elif dag.templates[kind].op is OPS["copy"]:
            first = operands[0]
            if dag.templates[kinds[first]].op is OPS["mul"]:
                factor = args[starts[first]]
                if kinds[factor] in marks:
                    yield node


def plan_of(
    question: Question,
    stated: Stated,
    sizes: Mapping[str, int],
    effort: Effort = EFFORTS[0],
    dropped: Set[str] = frozenset(),
) -> Plan:
    """Analyse a backward pass; UndecidableError where the argument cannot be made.

    Equations for the cotangents of the variables in `dropped` are taken for auxiliary ones.
    """
    circuit, marks = marked(stated.circuit)
    system = circuit.check()
    forward = (question.opened if stated.seed else question.probed).check().variables
    passes = backward_pass(question, stated.of(circuit.unfold(3, **sizes)))
    claimed = {name for name, _ in passes.cotangents} - dropped
    depth = effort.rounds + 1
    cotangents = {stated.cotangent(name) for name in claimed}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(system.variables)
    for each in dependencies(system.declared):
        graph.add_edge(_unit(each.used), _unit(each.user))
    recurrent = _recurrent(graph)
    mutual = {name for name in claimed if stated.cotangent(name) in recurrent}
    active: nx.DiGraph[str] = nx.DiGraph()
    active.add_edges_from(graph.edges)
    leaves = _leaves(system)
    needs: nx.DiGraph[str] = nx.DiGraph(active.edges)
    needs.add_edges_from((name, unit) for unit, names in leaves.items() for name in names)
    sources = [unit for unit, names in leaves.items() if names & set(stated.names)]
    reached = set(sources).union(*(nx.descendants(graph, unit) for unit in sources))
    graph.remove_nodes_from([*claimed, *cotangents])
    opaque = _recurrent(graph) & set(system.variables)
    orphans = {
        name
        for name in opaque & set(forward) & reached
        if stated.loss in nx.descendants(active, name) | {name}
    }
    # a value outside 1..τ that has no cotangent hands its derivative on from fixed steps
    loose = any(_unit(key) in reached for key in system.boundary_roots if key.name in forward
                and not _has(passes, key))  # fmt: skip
    back, ahead = reach(system, claimed | {stated.cotangent(name) for name in mutual} | opaque)
    zones, bounds = {}, {}
    for index, horizon in horizons(system).items():
        # the expressions that read an instance, what they read, and what lets in it stand for
        before = ahead + (depth + 1) * back
        after = back + (depth + 1) * ahead
        early, late = horizon.early, horizon.late
        if loose:
            early, late = max(early, horizon.first), max(late, horizon.last)
        fixed = max(early, late)
        width = before + after + fixed + 1 if fixed >= 0 else 0
        window = back + ahead if effort.loose else 0
        zones[index] = Zone(early, late, width, window)
        bounds[index] = horizon.bound(before + window, after + window, width + window)
    return Plan(
        question, stated, marks, circuit, system, frozenset(claimed),
        frozenset(mutual), frozenset(opaque), frozenset(reached & (set(forward) | claimed)),
        zones, bounds, _is_separate(system), effort, frozenset(orphans),
        any(
            node.op.name == "reduce" and node.attr.kind == "mean" and node.attr.condition != ALWAYS
            for node in stated.circuit.check().graph.nodes
        ),
        needs,
    )  # fmt: skip


def _has(passes: BackwardPass, key: At) -> bool:
    """Whether a boundary value has a cotangent of its own."""
    length = passes.dag.tau[passes.dag.system.index_of(key.name) or ""]
    return (key.name, key.offset + length * key.last) in passes.cotangents


def _unit(unit: Any) -> str:
    return unit if isinstance(unit, str) else repr(unit)


def _recurrent(graph: Any) -> set[str]:
    found: set[str] = set()
    for part in nx.strongly_connected_components(graph):
        if len(part) > 1 or any(graph.has_edge(unit, unit) for unit in part):
            found |= part
    return found


def _leaves(system: System) -> dict[str, set[str]]:
    """Return the parameters and inputs that each variable and boundary value reads."""
    nodes = system.graph.nodes
    roots: list[tuple[str, int]] = [*system.roots.items()]
    roots += [(_unit(key), root) for key, root in system.boundary_roots.items()]
    found: dict[str, set[str]] = {}
    for unit, root in roots:
        names = found.setdefault(unit, set())
        for node in system.below(root):
            op, _, attr, _ = nodes[node]
            if op.name in ("param", "input"):
                names.add(attr)
            elif op.name in ("read", "at_step"):
                names.add(attr.name)
    return found


def _is_separate(system: System) -> bool:
    """Whether no two index sets are tested by static equations."""
    tested: set[str] = set()
    for node, space in zip(system.graph.nodes, system.spaces, strict=True):
        if space is not None:
            continue
        if node.op.name in ("choose", "reduce"):
            condition = node.attr if node.op.name == "choose" else node.attr.condition
            for each in comparisons(condition):
                names = each.left.names | each.right.names
                tested |= {
                    i for i, index in system.indices.items() if {i, index.length} & names
                }  # fmt: skip
        elif node.op.name == "at_step" and node.attr.offset != (0 if node.attr.last else 1):
            tested.add(system.index_of(node.attr.name) or "")
    return len(tested) < 2
