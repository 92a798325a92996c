"""Forward mode as a circuit: the tangent recurrence in the same notation.

For each equation `u[t] = F(…)`, the tangent `dot_u[t]` is the derivative of F along the tangents of
what it reads. Where F is linear that is F itself applied to the tangents. Everywhere else it is the
transpose of the reverse rule in the op table, which is a linear function of its cotangent: no op
has a forward rule of its own that could disagree with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from graphgrad.adjoint import GradientWarning
from graphgrad.adjoint.live import Dependence
from graphgrad.adjoint.rules import Rules
from graphgrad.adjoint.sweep import guarded
from graphgrad.autodiff import HOLE, target_names
from graphgrad.causality import Unit
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Condition, both, negate
from graphgrad.dims import Shape, Token
from graphgrad.errors import unknown_name
from graphgrad.ir import OPS, At, Expr, read, rebuilt, topological
from graphgrad.notation.letters import name_of
from graphgrad.ops.leaves import ones, zeros
from graphgrad.simplify import polished, simplified
from graphgrad.substitute import tree
from graphgrad.system import System, infer_types, unread_boundaries

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


def tangent(
    circuit: Circuit,
    wrt: Iterable[str] | str | None = None,
    *,
    of: Iterable[str] | str | None = None,
) -> Circuit:
    """Return the circuit with the equations of its directional derivatives on top.

    `wrt` names the parameters and inputs that move (all parameters, if left out). Each gets an
    input of its shape for the direction, `dot_W`, and each variable that depends on one gets an
    equation for its tangent, `dot_h[t]`; `of` asks for those that these variables need, only. The
    prefix is `ddot_`, … where names begin with `dot_` already. Raises UnknownNameError for names
    that do not exist, GradientError for tokens; warns where a tangent asked for is zero for lack of
    dependence.
    """
    return _Tangent(circuit, wrt, of).run()


def tangent_prefix(names: Iterable[str]) -> str:
    """Return `dot_`, or `ddot_`, … whichever is the first that no name begins with.

    >>> tangent_prefix(["W", "dot_W"])
    'ddot_'
    """
    taken = list(names)
    prefix = "dot_"
    while any(name.startswith(prefix) for name in taken):
        prefix = "d" + prefix
    return prefix


def basis_directions(
    values: Mapping[str, Any], wrt: Iterable[str] | None = None, *, prefix: str = "dot_"
) -> dict[str, Any]:
    """Return one direction for every entry of some arrays: `dot_W` -> array (directions, *W.shape).

    The first axis is a batch axis. With it, the tangents of a loss are its gradient: the entries of
    the first array in row-major order, then those of the second, ….
    """
    chosen = {name: np.asarray(values[name]) for name in (values if wrt is None else wrt)}
    count = sum(array.size for array in chosen.values())
    found: dict[str, Any] = {}
    start = 0
    for name, array in chosen.items():
        flat = np.zeros((count, array.size), array.dtype)
        flat[start : start + array.size] = np.eye(array.size, dtype=int)
        found[prefix + name] = flat.reshape(count, *array.shape)
        start += array.size
    return found


class _Tangent:
    """Writes the tangent of one equation after the other."""

    def __init__(
        self, circuit: Circuit, wrt: Iterable[str] | str | None, of: Iterable[str] | str | None
    ) -> None:
        self.system: System = circuit.check()
        self.nodes = self.system.graph.nodes
        self.wrt = target_names(self.system, wrt)
        self.dependence = Dependence(self.system, "", self.wrt)
        self.rules = Rules(self.system)
        self.taken = self.system.declared.names()
        self.prefix = tangent_prefix(self.taken)
        self.of = self._asked(of)
        self.result = Circuit.of(self.system.declared)
        self.written: dict[str, list[tuple[str, str | None, Expr]]] = {}
        self.references: dict[int, Expr] = {}
        self.expected: dict[str, Shape] = {}

    def _asked(self, of: Iterable[str] | str | None) -> list[str]:
        """Return the variables whose tangents are asked for."""
        if of is None:
            return [u for u in self.system.variables if u in self.dependence.depends]
        chosen = [of] if isinstance(of, str) else list(of)
        for name in chosen:
            if name not in self.system.variables:
                raise unknown_name(name, self.system.variables)
        return chosen

    def run(self) -> Circuit:
        """Return the circuit with its tangent equations."""
        for name in self.wrt:
            kind = self._shape(name)
            index = self.system.index_of(name) if name in self.system.inputs else None
            self.result.input(self.prefix + name, *kind, index=index)
        needed = self._needed()
        boundaries: dict[At, Expr] = {}
        for unit in needed:
            name = unit if isinstance(unit, str) else unit.name
            self.written.setdefault(name, [])
            value = self._tangent(unit)
            if isinstance(unit, At):
                boundaries[unit._replace(name=self.prefix + name)] = _written(value)
            else:
                self._write(name, self.prefix + name, self.system.index_of(name), value)
        for name in [*self.system.inputs, *self.system.variables]:
            if name in self.written and name not in needed and name not in self.wrt:
                # only boundary values of it move
                zero = zeros(self._shape(name))
                self._write(name, self.prefix + name, self.system.index_of(name), zero)
        self._define(boundaries)
        self._declare_shapes()
        self.result.check()
        return self.result

    def _needed(self) -> list[Unit]:
        """Return the units whose tangents are needed, in the order of computation."""
        found: set[Unit] = set()
        pending: list[Unit] = [name for name in self.of if name in self.dependence.depends]
        while pending:
            unit = pending.pop()
            if unit not in found:
                found.add(unit)
                leaves = self.dependence.flowing(unit)
                reached = (each for leaf in leaves for each in self.dependence.reached(leaf))
                pending += [each for each in reached if each in self.dependence.depends]
        for name in self.of:
            if name not in found:
                warnings.warn(
                    f"{name} does not depend on {', '.join(self.wrt)}: its tangent is zero",
                    GradientWarning,
                    stacklevel=5,
                )
        return [unit for unit in self.dependence.units if unit in found or unit in self.of]

    def _shape(self, name: str) -> Shape:
        kind = self.system.type_of(name)
        return () if isinstance(kind, Token) else kind

    # -- one equation ---------------------------------------------------------------------------

    def _tangent(self, unit: Unit) -> Expr:
        """Return the tangent of a unit's right side."""
        root = self.dependence.root(unit)
        name = unit if isinstance(unit, str) else unit.name
        if unit not in self.dependence.depends:
            return zeros(self._shape(name))
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
        return self._filled(tangents[root], self._shape(name))

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
        return root if known and len(self._shape(name)) == 1 else None

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
        terms: list[Expr] = []
        for each in depends:
            if each.rule is None:
                operands = [self.rules.primal(arg) for arg in args]
                operands[each.position] = tangents[each.node]
                term = op(*operands, attr=attr)
            elif op.name in SYMMETRIC:
                term = _put_in(each.rule, tangents[each.node])
            else:
                term = transposed(each.rule, tangents[each.node], shape)
            terms.append(self._filled(simplified(term), shape))
        return sum(terms[1:], terms[0])

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
        self._write(stem, name, index, value)
        if index is None:
            return Expr(OPS["static"], attr=name, type=value.type)
        return read(name, 0, value.type)

    # -- results --------------------------------------------------------------------------------

    def _write(self, stem: str, name: str, index: str | None, value: Expr) -> None:
        """Note an equation, after those that belong to the variable `stem` already."""
        self.expected[name] = value.shape
        self.written[stem].append((name, index, _written(value)))

    def _define(self, boundaries: Mapping[At, Expr]) -> None:
        """Write the equations that are needed, and boundary equations where something reads them."""
        names = [*self.system.inputs, *self.system.variables]
        own = [each for name in names for each in self.written.get(name, ())]
        roots = {name: [value] for name, _, value in own}
        for key, value in boundaries.items():
            roots.setdefault(key.name, []).append(value)
        needed: set[str] = set()
        pending = [self.prefix + name for name in self.of]
        while pending:
            name = pending.pop()
            if name in roots and name not in needed:
                needed.add(name)
                pending += [name_of(leaf) or "" for leaf in topological(roots[name])]
        for name, index, value in own:
            if name in needed:
                self.result.define(name, index, value)
        kept = {key: value for key, value in boundaries.items() if key.name in needed}
        while True:
            trial = self.result.copy()
            for key, value in kept.items():
                trial.define_boundary(key.name, key.last, key.offset, value)
            unread = [key for key in unread_boundaries(trial.declared()) if key in kept]
            if not unread:
                self.result = trial
                return
            for key in unread:
                del kept[key]

    def _declare_shapes(self) -> None:
        """Declare the shapes that nothing shows."""
        declared = self.result.declared()
        types = infer_types(declared)
        for name, shape in self.expected.items():
            if types.get(name, shape) != shape:
                self.result.state(name, *shape, index=declared.index_of(name))


def transposed(rule: Expr, direction: Expr, shape: Shape) -> Expr:
    """Return the transpose of a linear function of a hole, applied to a direction.

    `rule` maps a cotangent (the hole) to that of an argument; the transpose maps the argument's
    tangent to that of the result, which has the given shape. It is found by reverse mode on the
    rule itself.
    """
    order = topological([rule])
    inside: set[int] = set()
    for expr in order:
        if expr.op is HOLE or any(id(arg) in inside for arg in expr.args):
            inside.add(id(expr))
    found: dict[int, Expr] = {id(rule): direction}
    total: Expr | None = None
    for expr in reversed(order):
        if id(expr) not in found or id(expr) not in inside:
            continue
        given = found[id(expr)]
        if expr.op is HOLE:
            total = given if total is None else total + given
            continue
        assert expr.op.vjp is not None
        parts = expr.op.vjp(given, expr, *expr.args)
        for arg, part in zip(expr.args, parts, strict=True):
            if id(arg) in inside and part is not None:
                found[id(arg)] = found[id(arg)] + part if id(arg) in found else part
    return zeros(shape) if total is None else total


def _put_in(rule: Expr, direction: Expr) -> Expr:
    """Return a linear function of a hole, applied to a direction."""
    done: dict[int, Expr] = {}
    for expr in topological([rule]):
        done[id(expr)] = (
            direction if expr.op is HOLE else rebuilt(expr, [done[id(arg)] for arg in expr.args])
        )
    return done[id(rule)]


def _written(value: Expr) -> Expr:
    """Return a tangent as it is written: simplified, sums in a row, nothing shared."""
    done: dict[int, Expr] = {}
    for expr in topological([simplified(value)]):
        args = [done[id(arg)] for arg in expr.args]
        if expr.op.name in ("add", "sub"):
            done[id(expr)] = _in_a_row(expr.op.name, *args)
        else:
            done[id(expr)] = rebuilt(expr, args)
    last = done[id(expr)]
    return tree(polished(last))


def _in_a_row(sign: str, left: Expr, right: Expr) -> Expr:
    """Return `a + b + c` for `a + (b + c)`; `left` and `right` are in a row already."""
    terms: list[tuple[str, Expr]] = []
    while right.op.name in ("add", "sub"):
        terms.append((right.op.name, right.args[1]))
        right = right.args[0]
    terms.append(("add", right))
    for each, term in reversed(terms):
        left = OPS[each if sign == "add" else _OPPOSITE[each]](left, term)
    return left


_OPPOSITE = {"add": "sub", "sub": "add"}
