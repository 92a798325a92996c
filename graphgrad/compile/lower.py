"""From a system to statements: equal expressions shared, gradients summed over the batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphgrad.compile.batching import Batching
from graphgrad.compile.schedule import Boundary, Leaf, Operand, Slice, Statement, Sum
from graphgrad.dims import Dim, Shape, Token
from graphgrad.ir import OPS, At, Fill, Number, Part, Type
from graphgrad.ops.shapes import part_sizes
from graphgrad.system import System


@dataclass(frozen=True)
class Draft:
    """Statements by name, in no particular order, and what surrounds them."""

    system: System
    outputs: tuple[str, ...]
    summed: frozenset[str]
    batched: bool
    leaves: Mapping[str, Leaf]
    statements: Mapping[str, Statement]
    boundaries: tuple[Boundary, ...]

    def type_of(self, name: str) -> Statement | Leaf:
        """Return what is known of a value."""
        return self.statements[name] if name in self.statements else self.leaves[name]

    @property
    def fixed(self) -> set[str]:
        """The values that must keep their name and place: outputs, and those with a boundary."""
        return {*self.outputs, *(boundary.name for boundary in self.boundaries)}

    def readers(self) -> dict[str, list[Operand]]:
        """Return who reads each value, as operands: the reader with the lag."""
        found: dict[str, list[Operand]] = {}
        for statement in self.statements.values():
            for name, lag in statement.reads:
                found.setdefault(name, []).append(Operand(statement.name, lag))
        for boundary in self.boundaries:
            if isinstance(boundary.value, Operand):
                found.setdefault(boundary.value.name, []).append(Operand(boundary.name, 0))
        return found

    def made(
        self, name: str, op: str, operands: Sequence[Operand | Number], attr: Any = None
    ) -> Statement:
        """Return an elementwise statement, typed by its operands."""
        types = [self.type_of(each.name) for each in operands if isinstance(each, Operand)]
        index = next((each.index for each in types if each.index), None)
        shape = max((each.shape for each in types), key=len)
        batched = any(each.batched for each in types)
        return Statement(name, op, tuple(operands), attr, index, batched, shape)

    def fresh(self) -> Iterator[str]:
        """Yield names that nothing has yet."""
        return _fresh({*self.statements, *self.leaves, *self.system.declared.names()})


def _fresh(taken: set[str]) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        if f"v{number}" not in taken:
            yield f"v{number}"


def lower(
    system: System,
    outputs: Sequence[str],
    summed: Iterable[str],
    batched: Iterable[str],
    spread: Iterable[str] = (),
) -> Draft:
    """Return the statements that the outputs need.

    `batched` names the inputs with a batch axis; the outputs in `summed` are summed over it, those
    in `spread` have it also where all examples have the same value.
    """
    lowering = _Lowering(system, frozenset(summed), frozenset(batched), frozenset(spread))
    lowering.follow(outputs)
    return Draft(
        system,
        tuple(outputs),
        lowering.asked,
        bool(lowering.batching.inputs),
        lowering.leaves,
        lowering.statements,
        tuple(lowering.boundaries),
    )


class _Lowering:
    def __init__(
        self,
        system: System,
        summed: frozenset[str],
        batched: frozenset[str],
        spread: frozenset[str],
    ) -> None:
        self.system = system
        self.nodes = system.graph.nodes
        self.batching = Batching(system, batched, spread)
        self.asked, self.summed = summed, summed
        self.leaves = {name: self._leaf(name) for name in (*system.params, *system.inputs)}
        self.statements: dict[str, Statement] = {}
        self.boundaries: list[Boundary] = []
        self.known: dict[tuple[Any, ...], str] = {}
        self.names = _fresh(set(system.declared.names()))

    def _leaf(self, name: str) -> Leaf:
        kind, token = _own(self.system.type_of(name))
        index = self.system.index_of(name) if name in self.system.inputs else None
        param = name in self.system.params
        return Leaf(name, param, index, not param and self.batching.has[name], kind, token)

    # -- statements ------------------------------------------------------------------------------

    def follow(self, outputs: Iterable[str]) -> None:
        """Lower the outputs and everything they read."""
        pending = [*outputs]
        order = {unit: k for k, unit in enumerate(self._units())}
        live: set[str] = set()
        while pending:
            name = pending.pop()
            if name in live:
                continue
            live.add(name)
            for root in self._roots_of(name):
                pending += self.batching.names_read(self.batching.below(root))
        units = sorted((u for u in order if _name(u) in live), key=order.__getitem__)
        self.summed = self.asked | self.batching.early_sums(self.asked, units) - {*outputs}
        for unit in units:
            if isinstance(unit, At):
                value = self._expression(self.system.boundary_roots[unit])
                self.boundaries.append(Boundary(unit.name, unit.last, unit.offset, value))
            elif unit in self.summed and self.batching.inputs:
                self._gradient(unit)
            else:
                self._expression(self.system.roots[unit], unit)

    def _units(self) -> list[str | At]:
        return [unit for component in self.system.components for unit in component.units]

    def _roots_of(self, name: str) -> list[int]:
        roots = [root for key, root in self.system.boundary_roots.items() if key.name == name]
        return roots + ([self.system.roots[name]] if name in self.system.roots else [])

    def _expression(self, root: int, variable: str | None = None) -> Operand | Number:
        """Lower an expression; its value gets the name of the variable, if one is given."""
        values: dict[int, Operand | Number] = {}
        for node in self.batching.below(root):
            given = [values[arg] for arg in self.nodes[node].args]
            name = variable if node == root else None
            values[node] = self._node(node, given, name)
        if variable is not None and values[root] != Operand(variable):
            self.statements[variable] = self._typed(variable, "copy", (values[root],), None)
            return Operand(variable)
        return values[root]

    def _node(
        self, node: int, given: Sequence[Operand | Number], variable: str | None
    ) -> Operand | Number:
        op, args, attr, kind = self.nodes[node]
        match op.name:
            case "const":
                number: Number = attr
                return number
            case "param" | "input" | "static":
                return Operand(attr)
            case "read":
                return Operand(attr.name, attr.lag)
            case "stop_gradient":
                return given[0]
            case "at_step":
                outside = attr.offset > 0 if attr.last else attr.offset < 1
                if outside and attr.name in self.system.variables:
                    return self._outside(node)
                given = [Operand(attr.name)]
            case "reduce":
                return self._reduction(node, given, variable, batch=False)
        shape, token = _own(kind)
        if op.name == "part":
            (whole,) = _own(self.nodes[args[0]].type)[0]
            return self._add("slice", given, _piece(attr, whole), node, shape, token, variable)
        return self._add(op.name, given, attr, node, shape, token, variable)

    def _outside(self, node: int) -> Operand | Number:
        """Return a value before the first or behind the last step: it needs no step of its own."""
        key = self.nodes[node].attr
        shape, _ = _own(self.nodes[node].type)
        for boundary in self.boundaries:
            if At(boundary.name, boundary.last, boundary.offset) == key:
                return boundary.value
        if not shape:
            return 0
        return self._add("fill", [], Fill(0, shape), node, shape, False, None)

    def _add(
        self,
        op: str,
        given: Sequence[Operand | Number],
        attr: Any,
        node: int,
        shape: Shape,
        token: bool,
        variable: str | None,
        *,
        batched: bool | None = None,
    ) -> Operand:
        """Return the value of an op, new or known."""
        operands = tuple(given)
        key = (op, tuple(map(repr, operands)), attr, type(attr), shape)
        if key in self.known:
            return Operand(self.known[key])
        if batched is None:
            batched = any(self._batched(each) for each in operands)
        index = self.system.spaces[node]
        fits = variable is not None and (
            (index, batched, shape)
            == (
                self.system.index_of(variable),
                self._variable_batched(variable),
                self._shape(variable),
            )
        )
        name = variable if fits and variable is not None else next(self.names)
        self.statements[name] = Statement(name, op, operands, attr, index, batched, shape, token)
        self.known[key] = name
        return Operand(name)

    def _batched(self, operand: Operand | Number) -> bool:
        if not isinstance(operand, Operand):
            return False
        if operand.name in self.system.variables:
            return self._variable_batched(operand.name)
        if operand.name in self.statements:
            return self.statements[operand.name].batched
        return self.leaves[operand.name].batched

    def _variable_batched(self, name: str) -> bool:
        return self.batching.has[name] and name not in self.summed

    def _shape(self, name: str) -> Shape:
        return _own(self.system.type_of(name))[0]

    def _typed(
        self, name: str, op: str, operands: tuple[Operand | Number, ...], attr: Any
    ) -> Statement:
        """Return a statement with the type of a variable."""
        shape, token = _own(self.system.type_of(name))
        index = self.system.index_of(name)
        return Statement(
            name, op, operands, attr, index, self._variable_batched(name), shape, token
        )

    # -- sums over steps and examples --------------------------------------------------------------

    def _reduction(
        self, node: int, given: Sequence[Operand | Number], variable: str | None, *, batch: bool
    ) -> Operand:
        """Return a reduction; a sum of outer products is one product."""
        _, _, attr, kind = self.nodes[node]
        shape, _ = _own(kind)
        total = Sum(attr.kind, attr.over, attr.condition, batch)
        op, operands = "reduce", tuple(given)
        source = self._outer_of(given[0])
        if attr.kind == "sum" and source is not None:
            u, v = source.operands
            leads = [self._lead(each) for each in (u, v)]
            whole = all(index == attr.over for index, _ in leads)
            if whole and leads[0][1] == leads[1][1]:
                op, operands = "outer_sum", (u, v)
                made = self.statements.get(u.name) if isinstance(u, Operand) else None
                if (
                    made is not None
                    and made.op == "onehot"
                    and not (isinstance(u, Operand) and u.lag)
                ):
                    op, operands = "scatter_sum", (made.operands[0], v)
        if batch and not any(self._batched(each) for each in operands):
            single = self._add(op, operands, total._replace(batch=False), node, shape, False, None)
            return self._add("batch_times", [single], None, node, shape, False, variable)
        batched = False if batch else None
        return self._add(op, operands, total, node, shape, False, variable, batched=batched)

    def _outer_of(self, operand: Operand | Number) -> Statement | None:
        if not isinstance(operand, Operand) or operand.lag:
            return None
        made = self.statements.get(operand.name)
        return made if made is not None and made.op == "outer" else None

    def _lead(self, operand: Operand | Number) -> tuple[str | None, bool]:
        if not isinstance(operand, Operand):
            return None, False
        if operand.name in self.statements:
            return self.statements[operand.name].index, self._batched(operand)
        return self.system.index_of(operand.name), self._batched(operand)

    def _gradient(self, variable: str) -> None:
        """Lower a variable summed over the batch: the sum goes inside linear operations."""
        root = self.system.roots[variable]
        linear = self.batching.linear(root)
        values: dict[int, Operand | Number] = {}
        sums: dict[int, Operand | Number] = {}
        for node in self.batching.below(root):
            op, args, attr, kind = self.nodes[node]
            if node in linear.plain:
                values[node] = self._node(node, [values[arg] for arg in args], None)
            if node not in linear.inside:
                continue
            shape, token = _own(kind)
            name = variable if node == root else None
            if over := linear.inside[node]:
                given = [sums[arg] if arg in over else values[arg] for arg in args]
                sums[node] = self._add(op.name, given, attr, node, shape, token, name)
            elif op is OPS["reduce"]:
                sums[node] = self._reduction(node, [values[arg] for arg in args], name, batch=True)
            elif op is OPS["static"] and attr in self.summed:
                sums[node] = Operand(attr)
            else:
                value = values.get(node)
                if value is None:
                    value = self._node(node, [values[arg] for arg in args], None)
                word = "batch_sum" if self._batched(value) else "batch_times"
                sums[node] = self._add(word, [value], None, node, shape, token, name, batched=False)
        if sums[root] != Operand(variable):
            self.statements[variable] = self._typed(variable, "copy", (sums[root],), None)


def _piece(attr: Part, whole: Dim) -> Slice:
    """Return where in a vector a piece of a split stands."""
    sizes = part_sizes(attr, whole)
    start = Dim.of(0)
    for size in sizes[: attr.position]:
        start = start + size
    return Slice(start, start + sizes[attr.position])


def _own(kind: Type) -> tuple[Shape, bool]:
    """Return the shape of one instance, and whether it is a token."""
    return ((), True) if isinstance(kind, Token) else (kind, False)


def _name(unit: str | At) -> str:
    return unit.name if isinstance(unit, At) else unit
