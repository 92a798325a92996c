"""The backward loop over flat arrays, and where derivatives flow in them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.autodiff.plans import Plan, plan_of
from graphgrad.dims import Shape
from graphgrad.ir import OPS
from graphgrad.ops.leaves import zeros
from graphgrad.unfold import STATIC, Dag, Series, Template


class Flow:
    """Where derivatives flow in a graph, and the plans of the nodes they flow through."""

    def __init__(self, dag: Dag) -> None:
        self.source = dag
        self.starts_list = dag.starts.tolist()
        self.args_list = dag.args.tolist()
        self.kinds_list = dag.kinds.tolist()
        self.plans: dict[Any, Plan] = {}
        seen: dict[Any, int] = {}
        # templates whose nodes look the same to the rule of a node that uses them
        self.looks = [
            seen.setdefault((each if each.op is OPS["const"] else each.type), len(seen))
            for each in dag.templates
        ]

    def operands(self, node: int) -> list[int]:
        """Return the arguments of a node."""
        found: list[int] = self.args_list[self.starts_list[node] : self.starts_list[node + 1]]
        return found

    def reached(self, targets: list[int], groups: list[list[int]]) -> bytearray:
        """Return which nodes depend on a target; of a group of nodes all do if one does."""
        starts, args, kinds = self.starts_list, self.args_list, self.kinds_list
        flows = [_flows(template) for template in self.source.templates]
        reached = bytearray(len(self.source))
        fresh = targets
        while fresh:
            for node in fresh:
                reached[node] = 1
            for node in range(len(self.source)):
                if not reached[node] and flows[kinds[node]]:
                    for arg in args[starts[node] : starts[node + 1]]:
                        if reached[arg]:
                            reached[node] = 1
                            break
            partly = [nodes for nodes in groups if any(reached[node] for node in nodes)]
            fresh = [node for nodes in partly for node in nodes if not reached[node]]
        return reached

    def matters(self, root: int) -> bytearray:
        """Return which nodes the root depends on."""
        starts, args, kinds = self.starts_list, self.args_list, self.kinds_list
        flows = [_flows(template) for template in self.source.templates]
        found = bytearray(len(self.source))
        found[root] = 1
        for node in range(root, -1, -1):
            if found[node] and flows[kinds[node]]:
                for arg in args[starts[node] : starts[node + 1]]:
                    found[arg] = 1
        return found

    def active(self, root: int, reached: bytearray) -> bytearray:
        """Return which nodes lie on a path from one that is reached to the root."""
        starts, args = self.starts_list, self.args_list
        needed = bytearray(len(self.source))
        needed[root] = 1
        for node in range(root, -1, -1):
            if needed[node] and reached[node]:
                for arg in args[starts[node] : starts[node + 1]]:
                    if reached[arg]:
                        needed[arg] = 1
        return bytearray(a & b for a, b in zip(reached, needed, strict=True))

    def plan(self, node: int, operands: list[int], active: bytearray) -> Plan:
        """Return the plan for a node's kind and active arguments."""
        kind = self.kinds_list[node]
        mask = tuple(active[arg] for arg in operands)
        # backward nodes of one kind may differ in their operands: s * M and M * s are both a matrix
        key = (kind, mask, tuple(self.looks[self.kinds_list[arg]] for arg in operands))
        if key not in self.plans:
            args = [self.source.templates[self.kinds_list[arg]] for arg in operands]
            self.plans[key] = plan_of(self.source.templates[kind], args, [bool(m) for m in mask])
        return self.plans[key]


class Sweep:
    """The backward loop and the arrays it appends to."""

    def __init__(self, dag: Dag) -> None:
        self.source = dag
        self.flow = Flow(dag)
        self.templates = list(dag.templates)
        self.spaces = list(dag.spaces)
        self.number: dict[Any, int] = {}
        self.kinds = array("i")
        self.times = array("i")
        self.ends = array("i")
        self.args = array("i")
        self.first = len(dag)
        self.cotangent: dict[int, int] = {}
        self.constants: dict[int, list[int]] = {}
        self.leaves: dict[Any, int] = {}

    def emit(
        self, template: Template, time: int, args: Iterable[int], space: str | None = None
    ) -> int:
        """Append a node, one of a step of the index `space` if it has a time; return its number."""
        key = template, space
        if key not in self.number:
            self.number[key] = len(self.templates)
            self.templates.append(template)
            self.spaces.append(space)
        self.kinds.append(self.number[key])
        self.times.append(time)
        self.args.extend(args)
        self.ends.append(len(self.args))
        return self.first + len(self.kinds) - 1

    def leaf(self, template: Template) -> int:
        """Return the one node of a constant that rules need."""
        if template not in self.leaves:
            self.leaves[template] = self.emit(template, int(STATIC), ())
        return self.leaves[template]

    def run(self, root: int, targets: list[int], groups: list[list[int]]) -> bytearray:
        """Walk backwards from the root and collect the cotangents of all nodes on the way to a
        target or to a group that depends on one; return which nodes those are.
        """
        flow = self.flow
        reached = flow.reached(targets, groups)
        active = flow.active(root, reached)
        seed = self.leaf(Template(OPS["const"], 1, ()))
        pending: dict[int, list[int]] = {root: [seed]}
        kinds, times = flow.kinds_list, self.source.times.tolist()
        for node in range(root, -1, -1):
            if not active[node] or node not in pending:
                continue
            parts = pending.pop(node)
            time, space = times[node], self.spaces[kinds[node]]
            cotangent = parts[0]
            if len(parts) > 1:
                kind = self.source.templates[kinds[node]].type
                parts.reverse()
                cotangent = self.emit(Template(OPS["accumulate"], None, kind), time, parts, space)
            self.cotangent[node] = cotangent
            operands = flow.operands(node)
            if not operands:
                continue
            plan = flow.plan(node, operands, active)
            values = [cotangent, node, *operands, *self.constants_of(plan)]
            for template, inputs in plan.steps:
                values.append(self.emit(template, time, [values[k] for k in inputs], space))
            for operand, result in zip(operands, plan.results, strict=False):
                if result is not None:
                    pending.setdefault(operand, []).append(values[result])
        return reached

    def constants_of(self, plan: Plan) -> list[int]:
        """Return the nodes of the constants that a plan needs."""
        key = id(plan)
        if key not in self.constants:
            self.constants[key] = [self.leaf(leaf) for leaf in plan.static]
        return self.constants[key]

    def cotangents(self, nodes: list[int], shape: Shape) -> Any:
        """Return the cotangent node of each node, zero where nothing flows."""
        found = [self.cotangent.get(node, -1) for node in nodes]
        if -1 in found:
            leaf = zeros(shape)
            zero = self.leaf(Template(leaf.op, leaf.attr, shape))
            found = [zero if node == -1 else node for node in found]
        return np.array(found, np.int32)

    def dag(self, series: dict[str, Series], outputs: dict[str, int]) -> Dag:
        """Return the graph with everything appended."""
        source = self.source
        edges = len(source.args)
        return replace(
            source,
            templates=tuple(self.templates),
            spaces=tuple(self.spaces),
            kinds=np.concatenate([source.kinds, np.array(self.kinds, np.int32)]),
            times=np.concatenate([source.times, np.array(self.times, np.int32)]),
            starts=np.concatenate([source.starts, np.array(self.ends, np.int32) + edges]),
            args=np.concatenate([source.args, np.array(self.args, np.int32)]),
            series=series,
            outputs=outputs,
        )


def _flows(template: Template) -> bool:
    """Whether a derivative can pass through an op at all."""
    op = template.op
    return op.vjp is not None and (op.arity is None or len(op.blocked) < op.arity)
