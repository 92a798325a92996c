"""Reverse mode on an unfolded graph: the backward nodes appended to the same flat arrays.

One loop walks the nodes backwards. The rule of each kind of node is turned into a small plan once
(its VJP written in graph nodes, simplified), and every instance of the kind is one application of
the plan. Cotangents with several contributions become one `accumulate` node, so that the gradient
of a parameter visibly collects what its uses contribute.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphgrad.dims import Shape, Token, shape_text
from graphgrad.errors import GradientError, UnknownNameError, unknown_name
from graphgrad.ir import OPS, Expr, Op, Type, declare, topological
from graphgrad.ops.leaves import zeros
from graphgrad.simplify import Memo, simplified
from graphgrad.system import System
from graphgrad.unfold import STATIC, Dag, Series, Template


def _hole_type(attr: Any) -> Type:
    raise AssertionError("holes carry their types")


HOLE = declare(Op("hole", 0, _hole_type, doc="a value to be put in, in a plan"))


@dataclass(frozen=True)
class Plan:
    """How the cotangent of one kind of node reaches its arguments.

    Values are numbered: 0 the cotangent, 1 the node itself, then its arguments, then `static`
    leaves, then the results of `steps`. `results[k]` is the value that is argument k's cotangent,
    None where nothing flows.
    """

    static: tuple[Template, ...]
    steps: tuple[tuple[Template, tuple[int, ...]], ...]
    results: tuple[int | None, ...]


def local_vjp(op: Op, attr: Any, kind: Type, operands: Sequence[Expr]) -> list[Expr | None]:
    """Return the simplified cotangents of an op's arguments, in terms of holes.

    Hole 0 is the cotangent, hole 1 the value; the operands are holes 2, 3, … or constants.
    """
    if op.vjp is None:
        raise GradientError(f"{op.name} has no derivative rule")
    shape = () if isinstance(kind, Token) else kind
    cotangent = Expr(HOLE, attr=0, type=shape)
    # the value carries the op's own attribute, which rules may ask for
    value = _Value(HOLE, attr=attr, type=kind)
    memo: Memo = {}
    found = op.vjp(cotangent, value, *operands)
    return [None if each is None else simplified(each, memo) for each in found]


class _Value(Expr):
    """The hole for a node's own value; its attribute is that of the node."""

    __slots__ = ()


def plan_of(template: Template, args: Sequence[Template], active: Sequence[bool]) -> Plan:
    """Return the plan for one kind of node; only cotangents of active arguments are computed.

    Arguments that are constants are shown to the rule: u ** 0 and u ** 2 have rules of their own.
    """
    operands = [
        Expr(each.op, attr=each.attr, type=each.type)
        if each.op is OPS["const"]
        else Expr(HOLE, attr=k + 2, type=each.type)
        for k, each in enumerate(args)
    ]
    cotangents = [
        each if alive else None
        for each, alive in zip(local_vjp(*template, operands), active, strict=True)
    ]
    order = topological(each for each in cotangents if each is not None)
    number = {id(operand): k + 2 for k, operand in enumerate(operands)}
    static: list[Template] = []
    for expr in order:
        if id(expr) in number:
            continue
        if expr.op is HOLE:
            number[id(expr)] = 1 if isinstance(expr, _Value) else expr.attr
        elif not expr.args:
            number[id(expr)] = 2 + len(args) + len(static)
            static.append(Template(expr.op, expr.attr, _known(expr)))
    steps: list[tuple[Template, tuple[int, ...]]] = []
    for expr in order:
        if expr.args:
            number[id(expr)] = 2 + len(args) + len(static) + len(steps)
            template = Template(expr.op, expr.attr, _known(expr))
            steps.append((template, tuple(number[id(arg)] for arg in expr.args)))
    results = tuple(None if each is None else number[id(each)] for each in cotangents)
    return Plan(tuple(static), tuple(steps), results)


def _known(expr: Expr) -> Type:
    assert expr.type is not None
    return expr.type


def cotangent_prefix(names: Iterable[str]) -> str:
    """Return `d_`, or `dd_`, … whichever is the first that no name begins with."""
    taken = list(names)
    prefix = "d_"
    while any(name.startswith(prefix) for name in taken):
        prefix = "d" + prefix
    return prefix


def grad(dag: Dag, loss: str = "loss", wrt: Iterable[str] | str | None = None) -> Dag:
    """Return the graph with the backward pass of a scalar appended.

    `wrt` names parameters and inputs; all parameters, if left out. The new graph has the outputs
    `d_W` for them (`dd_` where `d_` is taken), zero where the loss does not depend on them, and the
    series `d_h` for every variable that depends on one of them or does not matter. Raises
    GradientError for a loss that is no scalar, UnknownNameError for names that do not exist.
    """
    root = scalar_root(dag, loss)
    targets = targets_of(dag, wrt)
    names = {*dag.series, *dag.outputs, *dag.param_nodes}
    prefix = cotangent_prefix(names)
    wanted = {name: one for name, one in dag.series.items() if name not in dag.system.inputs}
    wanted |= {name: dag.series[name] for name in targets if name in dag.system.inputs}
    beyond = {
        name: {
            step: node
            for step, node in one.outside.items()
            if dag.templates[dag.kinds[node]].op not in (OPS["fill"], OPS["const"])
        }
        for name, one in wanted.items()
    }
    instances = {
        name: [*one.nodes.tolist(), *beyond[name].values()] for name, one in wanted.items()
    }
    sweep = Sweep(dag)
    starts = [node for nodes in targets.values() for node in nodes.tolist()]
    reached = sweep.run(root, starts, list(instances.values()))
    unknown = [name for name, nodes in instances.items() if not reached[nodes[0]]]
    matters = sweep.flow.matters(root) if unknown else bytearray()
    outputs = dict(dag.outputs)
    series = dict(dag.series)
    for name, one in wanted.items():
        if name in unknown and any(matters[node] for node in instances[name]):
            continue  # its cotangent is not zero, and nobody asked for it
        kind = () if isinstance(one.type, Token) else one.type
        nodes = sweep.cotangents(one.nodes.tolist(), kind)
        outside = {
            step: int(sweep.cotangents([node], kind)[0]) for step, node in beyond[name].items()
        }
        series[prefix + name] = Series(prefix + name, one.index, kind, nodes, outside)
    for name in targets:
        if name in dag.param_nodes:
            shape = dag.system.params[name].shape
            outputs[prefix + name] = int(sweep.cotangents([dag.param_nodes[name]], shape)[0])
    return sweep.dag(series, outputs)


def scalar_root(dag: Dag, loss: str) -> int:
    """Return the node of a loss; GradientError if there is none, or it is more than one number."""
    if isinstance(loss, str) and loss in dag.outputs:
        node = dag.outputs[loss]
    elif isinstance(loss, str) and loss in dag.series and loss not in dag.system.inputs:
        one = dag.series[loss]
        if one.index is not None:
            raise GradientError(
                f"{loss}[{one.index}] is not one number: it has a value at each step",
                remedy=f"add total = sum({loss}[{one.index}] for {one.index} in steps)",
            )
        node = int(one.nodes[0])
    else:
        known = [name for name in dag.series if name not in dag.system.inputs]
        raise unknown_loss(loss, [*known, *dag.outputs])
    kind = dag.templates[dag.kinds[node]].type
    if kind != ():
        assert isinstance(kind, tuple)
        raise GradientError(
            f"{loss} is {shape_text(kind)}, not one number", remedy="add a sum of its components"
        )
    return node


def targets_of(dag: Dag, wrt: Iterable[str] | str | None) -> dict[str, Any]:
    """Return the nodes of what is differentiated by, by name."""
    return {
        name: np.array([dag.param_nodes[name]])
        if name in dag.param_nodes
        else dag.series[name].nodes
        for name in target_names(dag.system, wrt)
    }


def target_names(system: System, wrt: Iterable[str] | str | None) -> list[str]:
    """Return the parameters and inputs that `wrt` names, each once; all parameters for None.

    Raises UnknownNameError for other names, GradientError for tokens and for what is no name.
    """
    if wrt is None:
        return list(system.params)
    chosen = [wrt] if isinstance(wrt, str) else list(wrt) if isinstance(wrt, Iterable) else [wrt]
    if not all(isinstance(name, str) for name in chosen):
        raise GradientError(
            f"wrt={wrt!r} names nothing to differentiate by",
            remedy='give names of parameters and inputs, for example wrt=["W", "x"]',
        )
    for name in chosen:
        if name in system.variables:
            raise UnknownNameError(
                f"{name} is a variable, not a parameter or an input",
                remedy="its cotangent is in the result anyway; for a derivative by it alone, add "
                "an input to its equation",
            )
        if name not in system.params and name not in system.inputs:
            raise unknown_name(name, {*system.params, *system.inputs})
        if isinstance(system.type_of(name), Token):
            raise GradientError(
                f"{name} holds tokens: there is no derivative by an integer",
                remedy="differentiate by the matrix that it looks rows up in",
            )
    return list(dict.fromkeys(chosen))


def unknown_loss(loss: object, known: Iterable[str]) -> GradientError:
    """Return the error for a loss that does not exist, with the nearest name that does."""
    if not isinstance(loss, str):
        return GradientError(
            f"loss={loss!r} is no name", remedy='give the name of a variable: loss="loss"'
        )
    remedy = unknown_name(loss, known).remedy
    return GradientError(f"there is no {loss or repr(loss)} to differentiate", remedy=remedy)


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
