"""Reading equations: which items and links they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Condition, both, negate
from graphgrad.declared import spaces_of
from graphgrad.errors import GraphgradError
from graphgrad.ir import At, Expr, Type, topological
from graphgrad.notation.naming import Names
from graphgrad.notation.text import expression_text
from graphgrad.ops import LOSSES
from graphgrad.system import System, leaf_type
from viz.items import TRANSPOSED, Item, Level, Link, Product, Role, Structure, term_label
from viz.kinds import before_recurrences, targets
from viz.label import Label, roman
from viz.numbers import ONE, Number, in_print, parted
from viz.operations import SIGNS, sign, typed
from viz.scene import NodeKind

LINEAR = ("mul", "div", "concat", "part", "component", "sum", "mean", "expand")
"""Ops through which a factor reaches a value, if not one after the other with inner factors."""
LEAVES_WITH_NAMES = ("param", "input", "static", "read", "at_step")


def structure(
    circuit: Circuit, level: Level = "variables", *, terms: bool = False, loss: str = "loss"
) -> Structure:
    """Return the items and links of a circuit.

    With `terms`, each term of a sum of losses is an item of its own, as in textbooks, where the
    text has no name for it (only at the level of variables; operations have them anyway).
    """
    reader = _Reader(circuit.check(), level, terms=terms, loss=loss)
    for name, equation in reader.declared.equations.items():
        reader.equation(name, equation.root)
    for key, boundary in reader.declared.boundaries.items():
        reader.boundary(key, boundary.root)
    links = tuple(_merged(reader.links, reader.items))
    return Structure(reader.declared, reader.names, reader.items, links, level, loss)


@dataclass(frozen=True)
class _Context:
    """Where in an equation an expression stands.

    `number` goes with `labels`; `inner` is its part from where these are `parted` from others.
    """

    head: str
    condition: Condition = ALWAYS
    over: str | None = None
    labels: tuple[str, ...] = ()
    number: Number = ONE
    inner: Number = ONE
    parted: bool = False
    role: Role = "source"
    blocked: bool = False
    sign: str = ""

    def times(self, number: Number) -> _Context:
        """Return the context of what is multiplied by a number."""
        return replace(self, number=self.number.times(number), inner=self.inner.times(number))


class _Reader:
    """Walks equations, without recursion, and notes items and links."""

    def __init__(self, system: System, level: Level, *, terms: bool, loss: str) -> None:
        self.system, self.level, self.terms, self.loss = system, level, terms, loss
        self.declared = system.declared
        self.names = Names(self.declared, loss=loss)
        self.items: dict[str, Item] = {}
        self.links: list[Link] = []
        self._spaces: Mapping[int, str | None] = {}
        self._types: Mapping[int, Type | None] = {}
        self._prefix = ""
        self._boundary: At | None = None
        self._count = 0
        self._constants = {
            name
            for name, equation in self.declared.equations.items()
            if equation.index is None and not _named_leaves(equation.root)
        }
        self._declare()

    def _declare(self) -> None:
        declared = self.declared
        compared = targets(declared)
        for name, given in declared.inputs.items():
            index = f"[{given.index}]" if given.index else ""
            shape = f"({', '.join(map(str, given.shape))})" if given.kind != "token" else ""
            kind: NodeKind = "target" if name in compared else "input"
            self._item(
                name, self._label(name), kind, given.index, f"{name}{index}: {given.kind}{shape}"
            )
        for name, param in declared.params.items():
            text = f"{name}: param({', '.join(map(str, param.shape))})"
            self._item(name, self._label(name), "parameter", None, text)
        inner = before_recurrences(declared)
        for name, equation in declared.equations.items():
            kind = "variable" if name in inner or name in self._constants else "output"
            if name == self.loss or equation.root.op.name in LOSSES:
                kind = "loss"
            self._item(name, self._label(name), kind, equation.index, str(equation))

    def _label(self, name: str) -> Label:
        return Label(self.names[name].runs())

    def _item(
        self,
        key: str,
        label: Label,
        kind: NodeKind,
        index: str | None,
        tooltip: str,
        *,
        implied: bool = False,
        expr: Expr | None = None,
    ) -> None:
        self.items[key] = Item(key, label, kind, index, tooltip, implied, self._boundary, expr)

    # -- equations ------------------------------------------------------------------------------

    def equation(self, name: str, root: Expr) -> None:
        """Note what an equation reads."""
        self._prefix = name
        self._walk(root, _Context(name))

    def boundary(self, key: At, root: Expr) -> None:
        """Note what a boundary equation reads."""
        self._boundary = key
        self._prefix = boundary_key(key)
        self._item(
            self._prefix, self._label(key.name), "boundary", None,
            f"{self._prefix} = {expression_text(root, self.declared)}",
        )  # fmt: skip
        if _named_leaves(root):  # a plain number needs no node
            self._walk(root, _Context(self._prefix))
        self._boundary = None

    def _walk(self, root: Expr, context: _Context) -> None:
        order = topological([root])
        self._spaces = spaces_of(order, self.declared.index_of, self.declared.indices)
        if self.level == "operations":
            self._types = self._typed(order)
        self._count = 0
        pending = [(root, context)]
        while pending:
            expr, context = pending.pop()
            kind = expr.op.name
            if kind == "choose":
                for arg, test in zip(expr.args, (expr.attr, negate(expr.attr)), strict=True):
                    inside = replace(context, condition=both(context.condition, test))
                    pending.append((arg, inside))
            elif kind == "reduce":
                pending.append((expr.args[0], self._reduction(expr, context)))
            elif not expr.args:
                self._leaf(expr, context)
            elif self.level == "operations":
                pending += self._operation(expr, context)
            else:
                pending += self._operands(expr, context)

    def _reduction(self, expr: Expr, context: _Context) -> _Context:
        """Return the context of the body of a sum or mean over time."""
        over, test = expr.attr.over, expr.attr.condition
        head = self.items[context.head]
        if self.level == "operations" or head.index is not None or context.over is not None:
            key = self._new_key("Σ")
            text = expression_text(expr, self.declared)
            label = roman("Σ" if expr.attr.kind == "sum" else "mean")
            self._item(key, label, "operation", None, text, expr=expr)
            self._link(context, key)
            return _Context(key, test, over)
        inside = replace(context, over=over, condition=both(context.condition, test))
        if not (self.terms and self.level == "variables" and head.kind == "loss"):
            return inside
        if len(_named_leaves(expr.args[0])) < 2:
            return inside
        key = self._new_key("term")
        text = expression_text(expr.args[0], self.declared)
        label = term_label(head.label, self.items)
        self._item(key, label, "loss", over, text, implied=True, expr=expr.args[0])
        self._link(inside, key)
        return _Context(key, inside.condition)

    def _operation(self, expr: Expr, context: _Context) -> list[tuple[Expr, _Context]]:
        """Note an operation; return its operands."""
        text = expression_text(expr, self.declared)
        space = self._spaces[id(expr)]
        key = self._new_key(expr.op.name)
        self._link(context, key)
        numbers = [self._is_number(arg) for arg in expr.args]
        if all(numbers):
            self._item(key, typed(text), "constant", space, text)
            return []
        scalar = expr.op.name == "mul" and any(self._types[id(a)] == () for a in expr.args)
        given = [
            expression_text(arg, self.declared) if number else None
            for arg, number in zip(expr.args, numbers, strict=True)
        ]
        label = sign(expr.op.name, given, scalar=scalar)
        self._item(key, label, "operation", space, text, expr=expr)
        # An operation that does not vary with time exists once, whenever its value is wanted.
        inside = _Context(key, context.condition if space is not None else ALWAYS)
        second = SIGNS[expr.op.name] if expr.op.name in ("sub", "div") and not any(numbers) else ""
        operands = [
            (arg, replace(inside, blocked=position in expr.op.blocked, sign=second * position))
            for position, arg in enumerate(expr.args)
            if not numbers[position]
        ]
        return operands[::-1]

    def _is_number(self, expr: Expr) -> bool:
        """Whether an expression is made of numbers alone, the same at each step."""
        return self._spaces[id(expr)] is None and not _named_leaves(expr)

    def _operands(self, expr: Expr, context: _Context) -> list[tuple[Expr, _Context]]:
        """Return the operands of an operation that is not drawn, with the labels they gain.

        Factors stand beside the arrow of a value as far as they multiply it one after the other.
        What is in between, as in A @ (u[t] * (B @ h[t])), parts the inner ones from the others.
        """
        kind = expr.op.name
        number, rest = _numbered(expr) if kind in ("mul", "div") else (ONE, expr)
        if rest is not expr:
            return [(rest, replace(context.times(number), role="source"))]
        role: Role = "source"
        if kind in ("add", "sub"):
            role = "bias"
        elif kind in ("neg", "transpose"):
            role = context.role
        outside = replace(context, role=role)
        if kind in LINEAR:
            inner = context.inner if context.parted else ONE
            outside = replace(outside, parted=True, inner=inner)
        elif kind not in ("add", "sub", "neg"):
            outside = _unlabelled(outside)
        minus = {"sub": (False, True), "neg": (True,)}.get(kind, (False,) * len(expr.args))
        inside = [
            (
                arg,
                replace(
                    outside.times(Number(negative=each)),
                    blocked=outside.blocked or position in expr.op.blocked,
                ),
            )
            for position, (arg, each) in enumerate(zip(expr.args, minus, strict=True))
        ]
        if kind == "div":
            inside[1] = (expr.args[1], _unlabelled(outside))
        if kind in ("matmul", "mul", "lookup"):
            ranks = [self._factor(arg) for arg in expr.args]
            if ranks[0] != ranks[1]:
                best = ranks.index(min(ranks))
                inside = self._applied(kind, best, expr.args[best], expr.args[1 - best], context)
        return list(reversed(inside))

    def _applied(
        self, kind: str, position: int, factor: Expr, other: Expr, context: _Context
    ) -> list[tuple[Expr, _Context]]:
        """Return a factor that stands beside an arrow, and what it is applied to."""
        goes_on = kind == "mul" or (kind == "matmul" and position == 0)
        goes_on = goes_on and not context.parted
        own, base = _numbered(factor)
        number = context.number if goes_on or not context.labels else context.inner
        applied = replace(
            context,
            role="source",
            labels=(*(context.labels if goes_on else ()), _factor_text(base)),
            number=number.times(own),
            parted=False,
        )
        return [(base, replace(context, role="applied")), (other, applied)]

    def _factor(self, expr: Expr) -> tuple[int, int]:
        """Rank how well an operand can stand beside the arrow of the other; the lowest does."""
        expr = _numbered(expr)[1]
        base = expr.args[0] if expr.op.name == "transpose" else expr
        kind, never = base.op.name, (9, 0)
        if kind == "param":
            return (0, -len(self.declared.params[base.attr].shape))
        if kind == "static" and base.attr in self._constants:
            return (1, 0)
        if kind == "input":
            axes = len(self.declared.inputs[base.attr].shape)
            return (2, -axes) if axes != 1 else never
        return never

    def _leaf(self, expr: Expr, context: _Context) -> None:
        """Note that the context reads a leaf."""
        kind, attr = expr.op.name, expr.attr
        if kind in ("param", "input", "static"):
            self._link(context, attr)
        elif kind == "read":
            self._link(context, attr.name, lag=attr.lag)
        elif kind == "at_step":
            self._link(context, attr.name, at=attr)
        elif self.level == "operations":
            key, text = self._new_key("number"), expression_text(expr, self.declared)
            self._item(key, typed(text), "constant", self._spaces[id(expr)], text)
            self._link(context, key)

    def _link(self, context: _Context, tail: str, lag: int = 0, at: At | None = None) -> None:
        found = in_print(context.number)
        product = Product(context.labels, *found) if found is not None else Product(())
        labels = (product,) if product.factors and context.role != "applied" else ()
        self.links.append(
            Link(
                tail, context.head, lag, at, context.over, context.condition, labels, context.role,
                context.blocked, context.sign,
            )
        )  # fmt: skip

    def _new_key(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}/{kind}{self._count}"

    def _typed(self, order: list[Expr]) -> dict[int, Type | None]:
        """Return the types of expressions by id, None where a step is implied."""
        shapes = {name: variable.shape for name, variable in self.system.variables.items()}
        types: dict[int, Type | None] = {}
        for expr in order:
            operands = [types[id(arg)] for arg in expr.args]
            try:
                if not expr.args:
                    types[id(expr)] = leaf_type(expr, self.declared, shapes)
                elif expr.op.name in ("choose", "reduce"):
                    types[id(expr)] = operands[0]
                else:
                    known = [each for each in operands if each is not None]
                    whole = len(known) == len(operands)
                    types[id(expr)] = expr.op.shape(expr.attr, *known) if whole else None
            except GraphgradError:
                types[id(expr)] = None
        return types


def boundary_key(key: At) -> str:
    """Return the key of the item that a boundary equation defines."""
    return f"{key.name}[{key.step('tau')}]"


def _numbered(expr: Expr) -> tuple[Number, Expr]:
    """Return the number that an expression is multiplied by, if it can be printed, and the rest."""
    number, rest = parted(expr)
    return (number, rest) if in_print(number) is not None else (ONE, expr)


def _unlabelled(context: _Context) -> _Context:
    """Return the context of what is not multiplied by the factors outside, as in a function."""
    return replace(context, labels=(), number=ONE, inner=ONE, parted=False)


def _factor_text(expr: Expr) -> str:
    return f"{expr.args[0].attr}{TRANSPOSED}" if expr.op.name == "transpose" else str(expr.attr)


def _named_leaves(root: Expr) -> list[Expr]:
    """Return the leaves of an expression that stand for values with names, each once."""
    return [expr for expr in topological([root]) if expr.op.name in LEAVES_WITH_NAMES]


def _merged(links: list[Link], items: Mapping[str, Item]) -> list[Link]:
    """Return the links with equal ones made one, their labels collected.

    A factor that no label has is unwritten. A link is open if one of them is.
    """
    fed = {link.head for link in links if items[link.tail].kind != "parameter"}
    written = {
        (link.head, name.removesuffix(TRANSPOSED))
        for link in links
        for product in link.labels
        for name in product.factors
    }
    found: dict[Link, list[Link]] = {}
    for link in links:
        if link.role == "bias" and link.head not in fed:
            link = replace(link, role="source")
        elif link.role == "applied" and (link.head, link.tail) not in written:
            link = replace(link, role="unwritten")
        ends = replace(link, labels=(), role="source", blocked=False)
        found.setdefault(ends, []).append(link)
    result = []
    for key, same in found.items():
        labels = tuple(dict.fromkeys(label for link in same for label in link.labels))
        role = "source" if any(link.role == "source" for link in same) else same[0].role
        blocked = all(link.blocked for link in same)
        result.append(replace(key, labels=labels, role=role, blocked=blocked))
    return result


__all__ = ["Item", "Level", "Link", "Role", "Structure", "structure"]
