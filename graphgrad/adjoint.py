"""Backpropagation through time as a circuit: the adjoint recurrence in the same notation.

For each equation `u[t] = F(…)` and each read `v[t-k]` in it, the rule of F gives a contribution at
step t; then `d_v[t] = Σ contribution(u, k)[t+k]`, and parameters get sums over the steps. Within an
equation, which is a tree, the sweep is the same loop over the same rules as on an unfolded graph.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphgrad.autodiff import cotangent_prefix
from graphgrad.causality import Unit
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Affine, Compare, Condition, both, negate, within
from graphgrad.dims import Shape, Token
from graphgrad.errors import GradientError, unknown_name
from graphgrad.ir import OPS, At, Expr, choose, constant, read, reduce, topological
from graphgrad.ops.leaves import ones, zeros
from graphgrad.simplify import Memo, is_zero, simplified, total
from graphgrad.substitute import at_step, later, tree, vanishes_outside
from graphgrad.system import System, infer_types


class GradientWarning(UserWarning):
    """A gradient that is zero because nothing depends on what it is taken by."""


@dataclass(frozen=True)
class Contribution:
    """What one leaf of one equation adds to a cotangent: `value` where `condition` holds.

    `space` is the index the contribution varies with, None if it is static.
    """

    leaf: int
    condition: Condition
    value: Expr
    space: str | None
    user: Unit


def adjoint(
    circuit: Circuit,
    loss: str = "loss",
    *,
    wrt: Iterable[str] | str | None = None,
    guard: str = "smart",
) -> Circuit:
    """Return the circuit with the equations of its backward pass on top.

    The new variables are `d_h[t]` for the cotangents and `d_W` for the gradients of what `wrt`
    names (all parameters, if left out). A loss that is not one number gets an upstream cotangent,
    the input `seed_h[t]`. `guard="always"` writes the range of every contribution out, "smart"
    only where it does not vanish outside by itself. Raises GradientError for a loss that does not
    exist and for derivatives by tokens; warns where a gradient is zero for lack of dependence.
    """
    return _Adjoint(circuit, loss, wrt, guard).run()


class _Adjoint:
    """Collects contributions, equation by equation from the loss back, and writes them down."""

    def __init__(
        self, circuit: Circuit, loss: str, wrt: Iterable[str] | str | None, guard: str
    ) -> None:
        self.circuit = circuit
        self.system: System = circuit.check()
        self.nodes = self.system.graph.nodes
        self.guard = guard
        if loss not in self.system.variables:
            error = unknown_name(loss, self.system.variables)
            raise GradientError(f"there is no {loss} to differentiate", remedy=error.remedy)
        self.loss = loss
        self.wrt = _targets(self.system, wrt)
        self.prefix = cotangent_prefix(self.system.declared.names())
        self.result = circuit
        self.contributions: dict[Unit, list[Contribution]] = {}
        self.parameter_parts: dict[str, list[Contribution]] = {}
        self.constants: dict[Unit, Expr] = {}
        self.live = self._live_nodes()
        self.needed = self._needed_units()
        self.taken = set(self.system.declared.names())
        self.spaces: dict[str, str | None] = {}
        self.named_roots = {root: name for name, root in self.system.roots.items()}
        self.upstream: dict[int, Expr] = {}

    def run(self) -> Circuit:
        """Return the circuit with its backward equations."""
        self.result = Circuit.of(self.system.declared)
        self._announce()
        self._seed()
        for component in reversed(self.system.components):
            units = [unit for unit in reversed(component.units) if unit in self.needed]
            if component.recurrent:
                for unit in units:
                    self._sweep(unit, self._cotangent(unit))
                for unit in units:
                    self._define(unit)
            else:
                for unit in units:
                    merged = self._merged_softmax(unit)
                    if merged is not None:
                        self._continue(unit, *merged)
                        continue
                    self._define(unit)
                    self._sweep(unit, self._cotangent(unit))
        self._gradients()
        self._declare_shapes()
        self.result.check()
        return self.result

    def _declare_shapes(self) -> None:
        """Declare the shapes that nothing shows: d_h[t] = d_h[t+1] could be of any."""
        expected = {self.name_of(unit): self.shape_of(unit) for unit in self.needed}
        for name in self.wrt:
            kind = self.system.type_of(name)
            assert isinstance(kind, tuple)
            expected[self.prefix + name] = kind
        declared = self.result.declared()
        types = infer_types(declared)
        for name, shape in expected.items():
            if name in types and types[name] != shape:
                self.result.state(name, *shape, index=declared.index_of(name))

    # -- what depends on what -------------------------------------------------------------------

    def root(self, unit: Unit) -> int:
        return (
            self.system.roots[unit] if isinstance(unit, str) else self.system.boundary_roots[unit]
        )

    def units(self) -> list[Unit]:
        return [unit for component in self.system.components for unit in component.units]

    def reached(self, leaf: int) -> list[Unit]:
        """Return the units whose values a leaf may be: a variable, and boundaries of it."""
        op, _, attr, _ = self.nodes[leaf]
        if op.name == "static":
            return [attr]
        if op.name not in ("read", "at_step"):
            return []
        name = attr.name
        units: list[Unit] = [name] if name in self.system.variables else []
        boundaries = [key for key in self.system.boundary_roots if key.name == name]
        return units + [key for key in boundaries if self._can_reach(leaf, key)]

    def _can_reach(self, leaf: int, key: At) -> bool:
        op, _, attr, _ = self.nodes[leaf]
        if op.name == "read":
            return bool(key.offset <= -attr.lag if key.last else key.offset >= 1 - attr.lag)
        if attr.last == key.last:
            return bool(attr.offset == key.offset)
        return bool(attr.offset < 1 if attr.last else attr.offset >= 1)

    def _live_nodes(self) -> set[int]:
        """Return the nodes whose values depend differentiably on what is differentiated by."""
        live: set[int] = set()
        depends: set[Unit] = set()
        below = {unit: self.system.below(self.root(unit)) for unit in self.units()}
        changed = True
        while changed:
            changed = False
            for unit in self.units():
                for node in below[unit]:
                    if node not in live and self._is_live(node, live, depends):
                        live.add(node)
                        changed = True
                if self.root(unit) in live and unit not in depends:
                    depends.add(unit)
                    changed = True
        self.depends = depends
        return live

    def _is_live(self, node: int, live: set[int], depends: set[Unit]) -> bool:
        op, args, attr, _ = self.nodes[node]
        if args:
            return any(arg in live for k, arg in enumerate(args) if k not in op.blocked)
        if op.name in ("param", "input"):
            return attr in self.wrt
        if op.name in ("read", "at_step") and attr.name in self.wrt:
            return True
        return any(unit in depends for unit in self.reached(node))

    def _needed_units(self) -> set[Unit]:
        """Return the units on a path from what is differentiated by to the loss."""
        needed: set[Unit] = set()
        pending: list[Unit] = [self.loss] if self.loss in self.depends else []
        while pending:
            unit = pending.pop()
            if unit in needed:
                continue
            needed.add(unit)
            for node in self._flowing(unit):
                pending += [each for each in self.reached(node) if each in self.depends]
        return needed

    def _flowing(self, unit: Unit) -> list[int]:
        """Return the live leaves of an equation that a derivative can flow to from its root."""
        flows = {self.root(unit)}
        leaves: list[int] = []
        for node in reversed(self.system.below(self.root(unit))):
            if node not in flows or node not in self.live:
                continue
            op, args, _, _ = self.nodes[node]
            flows.update(arg for k, arg in enumerate(args) if k not in op.blocked)
            if not args:
                leaves.append(node)
        return leaves

    # -- names ----------------------------------------------------------------------------------

    def name_of(self, unit: Unit) -> str:
        """Return the name of a cotangent: `d_h`, `d_h_0`, `d_h_m1`, `d_g_tau1`.

        `d_h_0_`, where `h_0` names something else: in an opened circuit, an input.
        """
        if isinstance(unit, str):
            return self.prefix + unit
        name = boundary_name(self.system, unit)
        while name in self.system.variables or name in self.wrt:
            name += "_"
        return self.prefix + name

    def shape_of(self, unit: Unit) -> Shape:
        kind = self.system.type_of(unit if isinstance(unit, str) else unit.name)
        return () if isinstance(kind, Token) else kind

    def _announce(self) -> None:
        for unit in self.units():
            if unit in self.needed:
                self._take(self.name_of(unit), self._index(unit))
        self.taken.update(self.prefix + name for name in self.wrt)

    def _take(self, name: str, index: str | None) -> None:
        self.taken.add(name)
        self.spaces[name] = index

    def _index(self, unit: Unit) -> str | None:
        return self.system.variables[unit].index if isinstance(unit, str) else None

    def _cotangent(self, unit: Unit) -> Expr:
        """Return the cotangent of a unit as its own equation's sweep starts with it."""
        if unit in self.constants:
            return self.constants[unit]
        shape, name = self.shape_of(unit), self.name_of(unit)
        if isinstance(unit, str) and self.system.variables[unit].index is not None:
            return read(name, 0, shape)
        return Expr(OPS["static"], attr=name, type=shape)

    # -- the sweep of one equation --------------------------------------------------------------

    def primal(self, node: int, *, by_name: bool = True) -> Expr:
        """Return the value of a node as a fresh expression; roots are read by name."""
        if by_name and node in self.named_roots:
            unit, kind = self.named_roots[node], self.nodes[node].type
            if self.system.variables[unit].index is None:
                return Expr(OPS["static"], attr=unit, type=kind)
            if self.system.spaces[node] is not None:  # else h[t] would vary where h is constant
                return read(unit, 0, kind)
        values: dict[int, Expr] = {}
        for each in self.system.below(node):
            op, args, attr, kind = self.nodes[each]
            if op is OPS["expand"]:
                values[each] = values[args[0]]
            else:
                values[each] = Expr(op, tuple(values[arg] for arg in args), attr, kind)
        return tree(values[node])

    def _sweep(self, unit: Unit, cotangent: Expr) -> None:
        self._continue(unit, self.root(unit), ALWAYS, cotangent)

    def _continue(self, unit: Unit, start: int, condition: Condition, cotangent: Expr) -> None:
        """Carry a cotangent from a node of an equation down to its leaves."""
        if is_zero(cotangent):
            return
        # an equation with an index may have a right side without: h[t] = 2 * w
        condition, cotangent = self._crossed(self._index(unit), start, condition, cotangent)
        pending: dict[int, tuple[Condition, Expr]] = {start: (condition, cotangent)}
        found: list[Contribution] = []
        memo: Memo = {}
        cotangents = {id(cotangent): cotangent}
        for node in reversed(self.system.below(start)):
            if node not in pending or node not in self.live:
                continue
            holding, value = pending[node]
            op, args, attr, _ = self.nodes[node]
            within = attr.over if op.name == "reduce" else self.system.spaces[node]
            if not args:  # an equation that is nothing but a leaf
                found.append(Contribution(node, holding, value, self.system.spaces[node], unit))
                continue
            for arg, test, part in self._rule(node, holding, value, memo):
                test, part = self._crossed(within, arg, test, part)
                cotangents[id(part)] = part
                if self.nodes[arg].args:
                    pending[arg] = test, part
                else:
                    space = self.system.spaces[arg]
                    found.append(Contribution(arg, test, part, space, unit))
        for each in self._named(unit, set(cotangents), found):
            self._deliver(each)

    def _rule(
        self, node: int, condition: Condition, g: Expr, memo: Memo
    ) -> list[tuple[int, Condition, Expr]]:
        """Return condition and cotangent for each live argument of a node."""
        op, args, attr, _ = self.nodes[node]
        live = [k for k, arg in enumerate(args) if arg in self.live and k not in op.blocked]
        if op.name == "choose":
            sides = (attr, negate(attr))
            return [(args[k], both(condition, sides[k]), g) for k in live]
        if op.name == "reduce":
            if attr.kind == "mean":
                g = g / self._count(attr.over, attr.condition)
            return [(args[0], both(condition, attr.condition), g)]
        if op.name == "cross_entropy" and live == [0] and self.nodes[args[0]].op.name == "softmax":
            inner = self.nodes[args[0]].args[0]
            return [(inner, condition, self._softmax_slope(g, args[0], args[1]))]
        if op.name == "cross_entropy":
            self.upstream[node] = g
        assert op.vjp is not None
        value = self.primal(node, by_name=not op.takes_attr)
        parts = op.vjp(g, value, *(self.primal(arg) for arg in args))
        return [(args[k], condition, self._normalised(part, memo)) for k, part in enumerate(parts)
                if k in live and part is not None]  # fmt: skip

    def _count(self, index: str, condition: Condition) -> Expr:
        """Return the number of steps that a mean is over."""
        if condition == ALWAYS:
            return Expr(OPS["counter"], attr=self.system.indices[index].length, type=())
        return reduce("sum", index, condition, constant(1))

    def _softmax_slope(self, g: Expr, softmax: int, target: int) -> Expr:
        """Return the cotangent of o for cross entropy of softmax(o): `g * (yhat·Σy - y)`."""
        y = self.primal(target)
        return simplified(g * (self.primal(softmax) * self._normalised(OPS["sum"](y), {}) - y))

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

    def _crossed(
        self, outer: str | None, arg: int, condition: Condition, value: Expr
    ) -> tuple[Condition, Expr]:
        """Sum a cotangent over the steps of an index where it reaches a node that is static."""
        if outer is None or self.system.spaces[arg] is not None:
            return condition, value
        return ALWAYS, simplified(reduce("sum", outer, condition, value))

    def _named(
        self, unit: Unit, cotangents: set[int], found: list[Contribution]
    ) -> list[Contribution]:
        """Give a name to every cotangent expression that several contributions share."""
        uses: Counter[int] = Counter()
        order = topological(each.value for each in found)
        depends = set(cotangents)
        spaces: dict[int, str | None] = {}
        for expr in order:
            spaces[id(expr)] = self._space(expr, spaces)
            own = expr.op.name in ("read", "static", "input") and self._is_cotangent(_name_in(expr))
            if own or any(id(arg) in depends for arg in expr.args):
                depends.add(id(expr))
            for arg in expr.args:
                uses[id(arg)] += 1
        for each in found:
            uses[id(each.value)] += 1
        replaced: dict[int, Expr] = {}
        for expr in order:
            args = tuple(replaced[id(arg)] for arg in expr.args)
            same = all(a is b for a, b in zip(args, expr.args, strict=True))
            new = expr if same else Expr(expr.op, args, expr.attr, expr.type)
            shared = uses[id(expr)] > 1 and id(expr) in depends and expr.args
            if shared and expr.op.name != "neg":
                new = self._delta(unit, new, spaces[id(expr)])
            replaced[id(expr)] = new
        return [
            Contribution(each.leaf, each.condition, replaced[id(each.value)], each.space, each.user)
            for each in found
        ]

    def _space(self, expr: Expr, spaces: dict[int, str | None]) -> str | None:
        if expr.op.name == "read":
            name = expr.attr.name
            return self.spaces[name] if name in self.spaces else self.system.index_of(name)
        if expr.op.name == "reduce":
            return None
        if expr.op.name == "counter":
            return expr.attr if expr.attr in self.system.indices else None
        found = [s for s in (spaces[id(arg)] for arg in expr.args) if s is not None]
        return found[0] if found else None

    def _delta(self, unit: Unit, value: Expr, space: str | None) -> Expr:
        stem = f"delta_{unit if isinstance(unit, str) else boundary_name(self.system, unit)}"
        name, count = stem, 2
        while name in self.taken:
            name, count = f"{stem}{count}", count + 1
        self._take(name, space)
        self.result.define(name, space, tree(value))
        if space is None:
            return Expr(OPS["static"], attr=name, type=value.type)
        return read(name, 0, value.type)

    # -- from leaves to cotangents --------------------------------------------------------------

    def _deliver(self, found: Contribution) -> None:
        """Enter a contribution with the parameter, input, variable or boundary it belongs to."""
        op, _, attr, _ = self.nodes[found.leaf]
        if op.name in ("param", "input"):
            self.parameter_parts.setdefault(attr, []).append(found)
            return
        name = attr if op.name == "static" else attr.name
        if op.name != "static" and name in self.wrt:
            self.parameter_parts.setdefault(name, []).append(found)
        for unit in self.reached(found.leaf):
            if unit in self.needed:
                self.contributions.setdefault(unit, []).append(found)

    def _terms(self, unit: Unit | None, name: str, found: Sequence[Contribution]) -> list[Expr]:
        """Return the contributions to a cotangent, each at the step it belongs to."""
        terms: list[tuple[int, int, Expr]] = []
        for position, each in enumerate(found):
            if isinstance(unit, At):
                attr = self.nodes[each.leaf].attr
                position = getattr(attr, "lag", 0) * (-1 if unit.last else 1)
                terms.append((0, position, self._at_boundary(each, unit)))
                continue
            op, _, attr, _ = self.nodes[each.leaf]
            if op.name == "read":
                terms.append((1 + abs(attr.lag), position, self._moved(each, attr.lag)))
            elif op.name == "at_step":
                index = self.system.index_of(name)
                assert index is not None
                length = self.system.indices[index].length
                inside = attr.offset < 1 if attr.last else attr.offset >= 1
                if inside:
                    step = Affine.name(length) if attr.last else Affine.number(0)
                    test = Compare("==", Affine.name(index), step.plus(attr.offset))
                    value = choose(both(each.condition, test), each.value, 0)
                    terms.append((0, position, value))
            else:
                terms.append((0, position, _guarded(each.condition, each.value)))
        return [term for _, _, term in sorted(terms, key=lambda entry: entry[:2])]

    def _moved(self, found: Contribution, lag: int) -> Expr:
        """Return a contribution `lag` steps later, with the range where it exists."""
        index = found.space
        assert index is not None
        if not lag:
            return _guarded(found.condition, found.value)
        value, condition = later(found.value, found.condition, index, lag)
        condition = within(condition, index, self.system.indices[index].length)
        bare = condition == ALWAYS and self.guard == "smart"
        if bare and vanishes_outside(value, self._is_cotangent):
            return value
        length = Affine.name(self.system.indices[index].length)
        test = (
            Compare("<", Affine.name(index), length.plus(1 - lag))
            if lag > 0
            else Compare(">", Affine.name(index), Affine.number(-lag))
        )
        return choose(both(test, condition), value, 0)

    def _is_cotangent(self, name: str) -> bool:
        return name in self.spaces

    def _at_boundary(self, found: Contribution, key: At) -> Expr:
        """Return what a leaf contributes to one boundary value, as a static expression."""
        op, _, attr, _ = self.nodes[found.leaf]
        index = self.system.index_of(key.name)
        assert index is not None
        length = Affine.name(self.system.indices[index].length)
        if op.name == "at_step":
            if attr.last == key.last:
                return _guarded(found.condition, found.value)
            gap = key.offset - attr.offset if attr.last else attr.offset - key.offset
            test = Compare("==", length, Affine.number(gap))
            return choose(both(found.condition, test), found.value, 0)
        offset = key.offset + attr.lag
        step = length.plus(offset) if key.last else Affine.number(offset)
        value, condition = at_step(found.value, found.condition, index, key.last, offset, step)
        least = 1 - offset if key.last else offset
        if least > 1:
            condition = both(Compare(">=", length, Affine.number(least)), condition)
        return _guarded(condition, value)

    def _define(self, unit: Unit) -> None:
        """Write the equation of a cotangent; constants are put in where they are used instead."""
        shape = self.shape_of(unit)
        name = unit if isinstance(unit, str) else unit.name
        terms = self._terms(unit, name, self.contributions.get(unit, []))
        if unit == self.loss:
            terms.insert(0, self._seed_value())
        value = simplified(total([simplified(term) for term in terms], shape))
        if not value.args and value.op.name in ("const", "fill"):
            recurrent = any(unit in c.units and c.recurrent for c in self.system.components)
            if not recurrent:
                self.constants[unit] = value
                return
        if not value.shape and shape:
            value = value * ones(shape)
        self.result.define(self.name_of(unit), self._index(unit), tree(value))

    def _seed(self) -> None:
        """Declare the upstream cotangent of a loss that is not one number."""
        variable = self.system.variables[self.loss]
        self.seed: str | None = None
        if variable.index is not None or variable.shape:
            self.seed = f"seed_{self.loss}"
            self._take(self.seed, variable.index)
            self.result.input(self.seed, *variable.shape, index=variable.index)

    def _seed_value(self) -> Expr:
        variable = self.system.variables[self.loss]
        if self.seed is None:
            return constant(1)
        if variable.index is None:
            return Expr(OPS["input"], attr=self.seed, type=variable.shape)
        return read(self.seed, 0, variable.shape)

    def _merged_softmax(self, unit: Unit) -> tuple[int, Condition, Expr] | None:
        """Return where to go on and with what, if a cross entropy is all that reads a softmax."""
        root = self.root(unit)
        found = self.contributions.get(unit, [])
        if self.nodes[root].op.name != "softmax" or len(found) != 1 or unit == self.loss:
            return None
        if not isinstance(unit, str) or len(self.nodes[root].type) != 1:  # type: ignore[arg-type]
            return None
        (each,) = found
        op, _, attr, _ = self.nodes[each.leaf]
        if op.name == "at_step" or (op.name == "read" and attr.lag):
            return None
        entropy = next((e for e in self.upstream if self.nodes[e].args[0] == each.leaf), None)
        if entropy is None:
            return None
        slope = self._softmax_slope(self.upstream[entropy], root, self.nodes[entropy].args[1])
        return self.nodes[root].args[0], each.condition, slope

    def _gradients(self) -> None:
        """Write the gradients of what was asked for."""
        for name in self.wrt:
            kind = self.system.type_of(name)
            assert isinstance(kind, tuple)
            parts = self.parameter_parts.get(name, [])
            terms = [simplified(term) for term in self._terms(None, name, parts)]
            value = total(terms, kind)
            if is_zero(value):
                warnings.warn(
                    f"{self.loss} does not depend on {name}: its gradient is zero",
                    GradientWarning,
                    stacklevel=4,
                )
                value = zeros(kind)
            index = self.system.index_of(name) if name in self.system.inputs else None
            self.result.define(self.prefix + name, index, tree(value))


def _name_in(expr: Expr) -> str:
    return expr.attr.name if expr.op.name == "read" else str(expr.attr)


def _guarded(condition: Condition, value: Expr) -> Expr:
    return value if condition == ALWAYS else choose(condition, value, 0)


def boundary_name(system: System, key: At) -> str:
    """Return a boundary value's name: `h_0`, `h_m1`, `g_tau1`."""
    index = system.index_of(key.name)
    length = system.indices[index].length if index else ""
    where = f"{length}{key.offset}" if key.last else f"m{-key.offset}" if key.offset else "0"
    return f"{key.name}_{where}"


def _targets(system: System, wrt: Iterable[str] | str | None) -> list[str]:
    chosen = system.params if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    for name in chosen:
        if name not in system.params and name not in system.inputs:
            raise unknown_name(name, {*system.params, *system.inputs})
        if isinstance(system.type_of(name), Token):
            raise GradientError(
                f"{name} holds tokens: there is no derivative by an integer",
                remedy="differentiate by the matrix that it looks rows up in",
            )
    return list(dict.fromkeys(chosen))
