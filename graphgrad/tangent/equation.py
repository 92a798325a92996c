"""The tangent of one equation, from those of what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from graphgrad.adjoint.live import Dependence
from graphgrad.adjoint.names import guarded
from graphgrad.adjoint.rules import Rules
from graphgrad.autodiff import HOLE
from graphgrad.causality import Unit
from graphgrad.conditions import ALWAYS, Condition, both, negate
from graphgrad.dims import Shape, Token
from graphgrad.ir import OPS, Expr, read, topological
from graphgrad.ops.leaves import ones, zeros
from graphgrad.simplify import same, simplified
from graphgrad.substitute import tree
from graphgrad.tangent.transpose import put_in, transposed

ADDITIVE = frozenset(
    {"add", "sub", "neg", "sum", "mean", "transpose", "part", "component", "concat", "where"}
    | {"lookup", "choose", "reduce"}
)
"""Ops that are linear in all arguments together, but for those that no derivative passes."""
PRODUCTS = frozenset({"mul", "matmul", "outer"})
"""Ops that are linear in each argument alone."""
SYMMETRIC = frozenset({"softmax"})
"""Ops whose reverse rule is its own transpose, and reads better as it is."""


class Dependency(NamedTuple):
    """What the tangent of a node takes from another: `rule` maps a cotangent (a hole) back.

    `rule` is None where the op itself says how its tangent is made of that of argument `position`.
    """

    node: int
    position: int
    rule: Expr | None


Write = Callable[[str, str, "str | None", Expr], None]
"""Enters an equation: the variable it belongs to, its own name, its index, its right side."""


class EquationTangent:
    """Differentiates the right side of one equation after the other, in order of computation.

    `write` is given the equations of tangents inside an equation that are used several times.
    """

    def __init__(self, dependence: Dependence, prefix: str, taken: set[str], write: Write) -> None:
        self.dependence = dependence
        self.system = dependence.system
        self.nodes = dependence.nodes
        self.rules = Rules(self.system)
        self.prefix = prefix
        self.taken = taken
        self.write = write
        self.references: dict[int, Expr] = {}

    def shape(self, name: str) -> Shape:
        """Return the shape of a value; `()` for a token."""
        kind = self.system.type_of(name)
        return () if isinstance(kind, Token) else kind

    def run(self, unit: Unit) -> Expr:
        """Return the tangent of a unit's right side."""
        root = self.dependence.root(unit)
        name = unit if isinstance(unit, str) else unit.name
        if unit not in self.dependence.depends:
            return zeros(self.shape(name))
        below = self.system.below(root)
        depends: dict[int, list[Dependency]] = {root: []}
        conditions: dict[int, Condition] = {root: ALWAYS}
        for node in reversed(below):
            if node in depends:
                depends[node] = self._dependencies(node)
                for each in depends[node]:
                    depends.setdefault(each.node, [])
                    conditions[each.node] = self._condition(node, each, conditions[node])
        tangents = dict(self.references)
        for node in below:
            if node not in depends:
                continue
            if not self.nodes[node].args:
                tangents[node] = self._leaf(node)
                continue
            if any(self._repeats(node, each, tangents) for each in depends[node]):
                for each in depends[node]:
                    value = guarded(conditions[each.node], tangents[each.node])
                    tangents[each.node] = self._named(name, each.node, value)
            tangents[node] = simplified(self._node(node, depends[node], tangents))
        if self.nodes[root].op.name == "softmax":
            (inner,) = self.nodes[root].args
            if not tangents[inner].args:
                self.references[inner] = tangents[inner]
        return self._filled(tangents[root], self.shape(name))

    def _condition(self, node: int, below: Dependency, condition: Condition) -> Condition:
        """Return when an argument of a node is computed at all."""
        op, _, attr, _ = self.nodes[node]
        if op.name == "choose":
            return both(condition, negate(attr) if below.position else attr)
        return both(condition, attr.condition) if op.name == "reduce" else condition

    def _dependencies(self, node: int) -> list[Dependency]:
        """Return what the tangent of a node is made of."""
        op, args, _, kind = self.nodes[node]
        live = [k for k, a in enumerate(args) if a in self.dependence.live and k not in op.blocked]
        if op.name in ADDITIVE | PRODUCTS or op.name in ("expand", "div"):
            return [Dependency(args[k], k, None) for k in live]
        assert isinstance(kind, tuple)
        hole = Expr(HOLE, attr=0, type=kind)
        found = []
        for k in live:
            softmax = self._softmax(args[k]) if op.name == "cross_entropy" and k == 0 else None
            if softmax is not None:
                rule = self.rules.softmax_slope(hole, softmax, args[1])
                found.append(Dependency(self.nodes[softmax].args[0], k, rule))
                continue
            parts = self.rules.apply(node, ALWAYS, hole, [k])
            found += [Dependency(arg, k, rule) for arg, _, rule in parts]
        return found

    def _softmax(self, leaf: int) -> int | None:
        """Return the softmax that a leaf reads, where the tangent of its argument has a name."""
        op, _, attr, _ = self.nodes[leaf]
        name = attr if op.name == "static" else attr.name if op.name == "read" else ""
        if name not in self.system.roots or (op.name == "read" and attr.lag):
            return None
        root = self.system.roots[name]
        args = self.nodes[root].args
        known = self.nodes[root].op.name == "softmax" and args[0] in self.references
        return root if known and len(self.shape(name)) == 1 else None

    def _node(self, node: int, depends: list[Dependency], tangents: Mapping[int, Expr]) -> Expr:
        """Return the tangent of an op from those of its arguments."""
        op, args, attr, kind = self.nodes[node]
        shape = () if isinstance(kind, Token) else kind
        if op is OPS["expand"]:
            return tangents[args[0]] * ones(shape)
        given = {each.position: tangents[each.node] for each in depends if each.rule is None}
        if op.name in ADDITIVE:
            operands = [
                given[k] if k in given else self._held(arg, blocked=k in op.blocked)
                for k, arg in enumerate(args)
            ]
            return self._filled(op(*operands, attr=attr), shape)
        if op.name == "div":
            return self._quotient(node, given)
        if len(depends) == 2 and self._is_square(node):
            return 2 * op(self.rules.primal(args[0]), tangents[depends[1].node])
        terms: list[Expr] = []
        for each in depends:
            if each.rule is None:
                operands = [self.rules.primal(arg) for arg in args]
                operands[each.position] = tangents[each.node]
                term = op(*operands, attr=attr)
            elif op.name in SYMMETRIC:
                term = put_in(each.rule, tangents[each.node])
            else:
                term = transposed(each.rule, tangents[each.node], shape)
            terms.append(self._filled(simplified(term), shape))
        return sum(terms[1:], terms[0])

    def _is_square(self, node: int) -> bool:
        """Whether a node is v * v, or v @ v for a vector."""
        op, args, _, kind = self.nodes[node]
        symmetric = op.name == "mul" or (op.name == "matmul" and kind == ())
        return symmetric and same(*(self.rules.primal(arg) for arg in args))

    def _quotient(self, node: int, given: Mapping[int, Expr]) -> Expr:
        """Return the tangent of y = a / b: what is left of that of a = y · b, over b."""
        _, args, _, kind = self.nodes[node]
        assert isinstance(kind, tuple)
        top = self._filled(given[0], kind) if 0 in given else zeros(kind)
        if 1 in given:
            top = top - self._filled(given[1] * self.rules.primal(node), kind)
        return top / self.rules.primal(args[1])

    def _held(self, node: int, *, blocked: bool) -> Expr:
        """Return what stands for an argument that does not move: itself, or a tangent of zero."""
        kind = self.nodes[node].type
        if blocked:
            return self.rules.primal(node)
        return zeros(() if isinstance(kind, Token) else kind)

    def _filled(self, value: Expr, shape: Shape) -> Expr:
        """Return a scalar as the array it stands for."""
        return value * ones(shape) if shape and not value.shape else value

    def _leaf(self, node: int) -> Expr:
        """Return the tangent of a leaf: the same read of the tangent variable, or a direction."""
        op, _, attr, kind = self.nodes[node]
        if op.name == "read":
            return read(self.prefix + attr.name, attr.lag, kind)
        if op.name == "at_step":
            return Expr(op, attr=attr._replace(name=self.prefix + attr.name), type=kind)
        if op.name == "param":
            op = OPS["input"]
        return Expr(op, attr=self.prefix + attr, type=kind)

    # -- names for what is used several times ---------------------------------------------------

    def _repeats(self, node: int, each: Dependency, tangents: Mapping[int, Expr]) -> bool:
        """Whether a rule would write a tangent that is a formula more than once."""
        value = tangents[each.node]
        if each.rule is None or not value.args:
            return False
        probe = Expr(HOLE, attr=1, type=value.type)
        shape = self.nodes[node].type
        assert isinstance(shape, tuple)
        shown = tree(simplified(transposed(each.rule, probe, shape)))
        return sum(expr.op is HOLE for expr in topological([shown])) > 1

    def _named(self, stem: str, node: int, value: Expr) -> Expr:
        """Give a tangent inside an equation a variable of its own and return a reference to it."""
        if not value.args:
            return value
        number = 1
        while f"{self.prefix}{stem}{number}" in self.taken:
            number += 1
        name = f"{self.prefix}{stem}{number}"
        self.taken.add(name)
        index = self.system.spaces[node]
        self.write(stem, name, index, value)
        if index is None:
            return Expr(OPS["static"], attr=name, type=value.type)
        return read(name, 0, value.type)
