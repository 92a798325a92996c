"""The sweep of one equation: a cotangent carried from its root down to its leaves.

An equation is a tree, so each inner node has one cotangent. While the sweep goes on, every such
cotangent that is more than a name or a number is a *hole*; in the end holes with one use are put in
where they are used, and those with several get an equation of their own, `delta_h[t] = …`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from graphgrad.adjoint.live import Dependence
from graphgrad.adjoint.names import Names, guarded, parts_of
from graphgrad.adjoint.rules import Rules
from graphgrad.causality import Unit
from graphgrad.conditions import ALWAYS, Affine, Compare, Condition, both, names_in
from graphgrad.ir import OPS, Expr, read, reduce, topological
from graphgrad.simplify import is_neg, is_zero, ones_times, simplified
from graphgrad.substitute import at_step, tree


@dataclass(frozen=True)
class Contribution:
    """What one leaf of one equation adds to a cotangent: `value` where `condition` holds.

    `space` is the index the leaf varies with, None if it is static.
    """

    leaf: int
    condition: Condition
    value: Expr
    space: str | None


@dataclass(frozen=True)
class Shared:
    """A cotangent with several uses: `name[index] = value` where `condition` holds, else zero."""

    name: str
    index: str | None
    condition: Condition
    value: Expr


@dataclass(frozen=True)
class Hole:
    """The cotangent of an inner node until it is known how often it is used."""

    stand_in: Expr
    node: int
    space: str | None
    condition: Condition
    value: Expr


class EquationSweep:
    """Carries cotangents down one equation at a time and finds out what to name."""

    def __init__(self, dependence: Dependence, rules: Rules, names: Names) -> None:
        self.dependence = dependence
        self.rules = rules
        self.names = names
        self.system = dependence.system
        self.nodes = dependence.nodes
        self.merged: Mapping[int, int] = {}
        self.holes: list[Hole] = []

    def run(
        self,
        unit: Unit,
        start: int,
        condition: Condition,
        cotangent: Expr,
        stem: str,
        *,
        leaves: Iterable[int] | None = None,
    ) -> tuple[list[Contribution], list[Shared]]:
        """Return the contributions of an equation's leaves, and the cotangents they share.

        The sweep starts at the node `start` of the equation; `leaves` are those that count (all, if
        left out); `stem` is what shared cotangents are named after.
        """
        if is_zero(cotangent):
            return [], []
        live = self.dependence.live
        if leaves is not None:
            live = self.dependence.toward(unit, set(leaves))
        index = self.dependence.index(unit)
        # an equation with an index may have a right side without: h[t] = 2 * w
        pending = {start: self._crossed(index, start, condition, cotangent)}
        found: list[Contribution] = []
        self.holes = []
        for node in reversed(self.system.below(start)):
            if node not in pending or node not in live:
                continue
            test, value = pending[node]
            op, args, attr, _ = self.nodes[node]
            if not args:  # an equation that is nothing but a leaf
                found.append(Contribution(node, test, value, self.system.spaces[node]))
                continue
            value = self._held(node, test, value)
            within = attr.over if op.name == "reduce" else self.system.spaces[node]
            for arg, here, part in self._parts(node, test, value, live):
                if not self.nodes[arg].args:
                    here, part = self._crossed(within, arg, here, part)
                    found.append(Contribution(arg, here, part, self.system.spaces[arg]))
                elif not is_zero(part):
                    pending[arg] = self._crossed(within, arg, here, part)
        return self._settled(unit, start, found, stem)

    def _parts(
        self, node: int, condition: Condition, g: Expr, live: set[int]
    ) -> list[tuple[int, Condition, Expr]]:
        op, args, _, _ = self.nodes[node]
        positions = [k for k, arg in enumerate(args) if arg in live and k not in op.blocked]
        if args[0] not in self.merged or 0 not in positions:
            return self.rules.apply(node, condition, g, positions)
        slope = self.rules.softmax_slope(g, self.merged[args[0]], args[1])
        others = self.rules.apply(node, condition, g, positions[1:]) if positions[1:] else []
        return [(args[0], condition, slope), *others]

    def _crossed(
        self, outer: str | None, arg: int, condition: Condition, value: Expr
    ) -> tuple[Condition, Expr]:
        """Sum a cotangent over the steps of an index where it reaches a node that is static."""
        if outer is None or self.system.spaces[arg] is not None:
            return condition, value
        if not any(_name(leaf).startswith("\0") for leaf in topological([value])):
            return ALWAYS, simplified(self._pinned(outer, condition, value))
        return ALWAYS, simplified(reduce("sum", outer, condition, value))

    def _pinned(self, index: str, condition: Condition, value: Expr) -> Expr:
        """Return a sum over the steps where a condition holds: one value, where it holds at one."""
        length = self.system.indices[index].length
        for part in parts_of(condition):
            if not isinstance(part, Compare) or part.relation != "==":
                continue
            if part.left != Affine.name(index):
                continue
            last = part.right == Affine.name(length)
            if not last and part.right != Affine.number(1):
                continue
            rest = both(*(each for each in parts_of(condition) if each != part))
            fixed, test = at_step(tree(value), rest, index, last, 0 if last else 1, part.right)
            return guarded(test, fixed)
        return reduce("sum", index, condition, value)

    # -- holes ----------------------------------------------------------------------------------

    def _held(self, node: int, condition: Condition, value: Expr) -> Expr:
        """Return a cotangent, or a stand-in for it that can be counted."""
        if _is_cheap(value):
            return value
        if is_neg(value):
            return OPS["neg"](self._held(node, condition, value.args[0]))
        space = self._space_of(value)
        if space is None:
            varying = names_in(condition) & set(self.system.indices)
            space = next(iter(varying), None)
        name = f"\0{len(self.holes)}"
        if space is None:
            stand_in = Expr(OPS["static"], attr=name, type=value.type)
        else:
            stand_in = read(name, 0, value.type)
        self.names.spaces[name] = space
        self.holes.append(Hole(stand_in, node, space, condition, value))
        return stand_in

    def _space_of(self, value: Expr) -> str | None:
        return self.names.space_of(value)

    def _settled(
        self, unit: Unit, start: int, found: list[Contribution], stem: str
    ) -> tuple[list[Contribution], list[Shared]]:
        """Put in the holes with one use, name those with several."""
        uses = [0] * len(self.holes)
        for each in found:
            _count(each.value, uses, 1)
        for position in range(len(self.holes) - 1, -1, -1):
            if uses[position]:
                _count(self.holes[position].value, uses, 1)
        put_in: dict[str, Expr] = {}
        shared: list[Shared] = []
        for position, hole in enumerate(self.holes):
            del self.names.spaces[f"\0{position}"]
            if not uses[position]:
                continue
            value = self._resolved(hole.value, put_in)
            if uses[position] > 1 and not _is_cheap(value):
                name = self._name(unit, start, hole.node, stem)
                value, condition = value, self.names.relaxed(hole.condition, value)
                shared.append(Shared(name, hole.space, condition, value))
                self.names.enter(name, hole.space, hole.condition)
                value = self.names.reference(name, value)
            put_in[f"\0{position}"] = value
        settled = []
        for each in found:
            value = self._resolved(each.value, put_in)
            condition = self.names.relaxed(each.condition, value)
            settled.append(replace(each, condition=condition, value=value))
        return settled, shared

    def _resolved(self, value: Expr, put_in: Mapping[str, Expr]) -> Expr:
        """Return an expression with holes put in, conditions of sums no longer than need be."""
        done: dict[int, Expr] = {}
        for expr in topological([value]):
            name = _name(expr)
            if name.startswith("\0"):
                done[id(expr)] = put_in[name]
                continue
            args = tuple(done[id(arg)] for arg in expr.args)
            new = expr
            if any(a is not b for a, b in zip(args, expr.args, strict=True)):
                new = Expr(expr.op, args, expr.attr, expr.type)
            if expr.op.name == "reduce" and expr.attr.kind == "sum":
                new = self._pinned(expr.attr.over, expr.attr.condition, args[0])
                if new.op.name == "reduce":
                    condition = self.names.relaxed(expr.attr.condition, args[0])
                    new = reduce("sum", expr.attr.over, condition, args[0])
            done[id(expr)] = new
        return simplified(done[id(value)])

    def _name(self, unit: Unit, start: int, node: int, stem: str) -> str:
        """Return a name for the cotangent of an inner node.

        `delta_h` for what stands in the function of an equation, `delta_Vh` for a short term such
        as `V @ h[t]`, else numbers.
        """
        root = self.dependence.root(unit)
        inside = node in self.nodes[root].args and len(self.nodes[root].args) == 1
        candidates = [f"delta_{stem}"]
        if not inside and node != start:
            leaves = [
                _name(self._leaf(n)) for n in self.system.below(node) if not self.nodes[n].args
            ]
            names = list(dict.fromkeys(name for name in leaves if name))
            short = "".join(names)
            if len(names) <= 2 and 1 < len(short) <= 3 and all(leaves):
                candidates.insert(0, f"delta_{short}")
        for name in candidates:
            if name not in self.names.taken:
                return name
        count = 2
        while f"delta_{stem}{count}" in self.names.taken:
            count += 1
        return f"delta_{stem}{count}"

    def _leaf(self, node: int) -> Expr:
        op, _, attr, kind = self.nodes[node]
        return Expr(op, (), attr, kind)


def _name(expr: Expr) -> str:
    """Return the name that a leaf carries, nothing for other expressions."""
    if expr.op.name in ("read", "at_step"):
        return str(expr.attr.name)
    return expr.attr if expr.op.name in ("static", "param", "input") else ""


def _count(value: Expr, uses: list[int], times: int) -> None:
    """Add how often holes occur in an expression, written out."""
    occurrences: dict[int, int] = {id(value): times}
    for expr in reversed(topological([value])):
        here = occurrences[id(expr)]
        if _name(expr).startswith("\0"):
            uses[int(_name(expr)[1:])] += here
        for arg in expr.args:
            occurrences[id(arg)] = occurrences.get(id(arg), 0) + here


_NUMBERS = ("const", "counter", "size", "param", "input")


def _is_cheap(value: Expr) -> bool:
    """Whether an expression is written out rather than named: a name or a plain number."""
    if not value.args:
        return True
    if value.op.name in ("neg", "transpose") and not value.args[0].args:
        return True
    longest = 2
    scale = ones_times(value) if value.shape else None
    if scale is not None:  # it goes on as a number: a matrix of equal ones is no name worth
        value, longest = scale, 4
    order = topological([value])
    inner = [expr for expr in order if expr.args]
    plain = all(expr.args or expr.op.name in _NUMBERS for expr in order)
    return (
        plain
        and len(inner) <= longest
        and not value.shape
        and all(expr.op.name in ("add", "sub", "mul", "div", "neg") for expr in inner)
    )
