"""The rule of one node: the cotangents of its arguments, as formulas in named values."""

from __future__ import annotations

from graphgrad.conditions import ALWAYS, Condition, both, negate, within
from graphgrad.ir import OPS, At, Expr, constant, read, reduce, topological
from graphgrad.simplify import Memo, simplified
from graphgrad.substitute import tree
from graphgrad.system import System

Part = tuple[int, Condition, Expr]


class Rules:
    """Applies the rules of the op table to the nodes of a system.

    Values are written by name where they have one: the value of a root is its variable, so that
    the slope of `h[t] = tanh(…)` reads `1 - h[t]**2`.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.names: dict[int, Expr] = {}
        for name, root in system.roots.items():
            kind, index = self.nodes[root].type, system.variables[name].index
            if index is None:
                self._enter(root, Expr(OPS["static"], attr=name, type=kind))
            elif system.spaces[root] == index:  # v[t] = 2 * w is no name for 2 * w
                self._enter(root, read(name, 0, kind))
        for key, root in system.boundary_roots.items():
            self._enter(root, Expr(OPS["at_step"], attr=key, type=self.nodes[root].type))

    def _enter(self, root: int, own: Expr) -> None:
        self.names[root] = own
        op, args, _, _ = self.nodes[root]
        if op is OPS["neg"]:
            self.names[args[0]] = OPS["neg"](own)

    def primal(self, node: int, *, by_name: bool = True) -> Expr:
        """Return the value of a node as a fresh expression."""
        values: dict[int, Expr] = {}
        for each in self.system.below(node):
            op, args, attr, kind = self.nodes[each]
            if each in self.names and args and (by_name or each != node):
                values[each] = self.names[each]
            elif op is OPS["expand"]:
                values[each] = values[args[0]]
            else:
                values[each] = Expr(op, tuple(values[arg] for arg in args), attr, kind)
        return tree(values[node])

    def apply(self, node: int, condition: Condition, g: Expr, live: list[int]) -> list[Part]:
        """Return argument, condition and cotangent for the live argument positions of a node."""
        op, args, attr, _ = self.nodes[node]
        if op.name == "choose":
            sides = (attr, negate(attr))
            index = self.system.spaces[node]
            return [(args[k], both(condition, self._within(sides[k], index)), g) for k in live]
        if op.name == "reduce":
            if attr.kind == "mean":
                g = simplified(g / self._count(attr.over, attr.condition))
            return [(args[0], both(condition, self._within(attr.condition, attr.over)), g)]
        if op.name == "cross_entropy" and live == [0] and self.nodes[args[0]].op.name == "softmax":
            inner = self.nodes[args[0]].args[0]
            return [(inner, condition, self.softmax_slope(g, args[0], args[1]))]
        assert op.vjp is not None
        memo: Memo = {}
        value = self.primal(node, by_name=not op.takes_attr)
        parts = op.vjp(g, value, *(self.primal(arg) for arg in args))
        return [
            (args[k], condition, self._normalised(part, memo))
            for k, part in enumerate(parts)
            if k in live and part is not None
        ]

    def _within(self, condition: Condition, index: str | None) -> Condition:
        """Return a condition as it is best said of steps inside the range of an index."""
        if index is None:
            return condition
        return within(condition, index, self.system.indices[index].length)

    def softmax_slope(self, g: Expr, softmax: int, target: int) -> Expr:
        """Return the cotangent of o for cross entropy of softmax(o): `g * (yhat·Σy - y)`."""
        y = self.primal(target)
        return simplified(g * (self.primal(softmax) * self._normalised(OPS["sum"](y), {}) - y))

    def _count(self, index: str, condition: Condition) -> Expr:
        """Return the number of steps that a mean is over."""
        if condition == ALWAYS:
            return Expr(OPS["counter"], attr=self.system.indices[index].length, type=())
        return reduce("sum", index, condition, constant(1))

    def _normalised(self, expr: Expr, memo: Memo) -> Expr:
        """Simplify, knowing that the entries of a distribution sum to 1."""
        result = simplified(expr, memo)
        changed: dict[int, Expr] = {}
        for each in topological([result]):
            args = tuple(changed[id(arg)] for arg in each.args)
            new = each
            if each.op.name == "sum" and self._sums_to_one(each.args[0]):
                new = constant(1)
            elif any(a is not b for a, b in zip(args, each.args, strict=True)):
                new = Expr(each.op, args, each.attr, each.type)
            changed[id(each)] = new
        final = changed[id(result)]
        return result if final is result else simplified(final)

    def _sums_to_one(self, expr: Expr) -> bool:
        if expr.op.name in ("onehot", "basis", "softmax"):
            return len(expr.shape) == 1
        if expr.op.name == "input":
            return self.system.inputs[expr.attr].kind == "distribution"
        inside = (expr.op.name == "read" and expr.attr.lag == 0) or (
            expr.op.name == "at_step" and expr.attr in (At(expr.attr.name, True, 0),)
        )
        declared = self.system.inputs.get(expr.attr.name) if inside else None
        return declared is not None and declared.kind == "distribution"
