"""What there is to draw in a circuit: items and links, before any length is chosen.

The same structure gives the circuit diagram (links with delays) and every unfolded view (links
instantiated for each step), at the level of variables or of primitive operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from graphgrad.causality import Unit, dependencies, schedule
from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Condition, both, negate
from graphgrad.declared import Declared
from graphgrad.ir import At, Expr
from graphgrad.notation.text import expression_text
from graphgrad.ops import LOSSES
from viz.label import Label, roman, symbol
from viz.scene import NodeKind

Level = Literal["variables", "operations"]
SIGNS = {
    "add": "+",
    "sub": "−",
    "mul": "⊙",
    "div": "÷",
    "neg": "−",
    "matmul": "×",
    "sum": "Σ",
    "sigmoid": "σ",
    "transpose": "⊤",
    "cross_entropy": "CE",
    "softmax_cross_entropy": "CE",
    "sigmoid_binary_cross_entropy": "BCE",
    "squared_error": "½‖·‖²",
    "lookup": "row",
    "component": "at",
    "part": "split",
}


@dataclass(frozen=True)
class Item:
    """One thing to draw: a variable, input, parameter, constant or operation.

    `index` is the time index it has an instance for at every step, None if it is static.
    """

    key: str
    label: Label
    kind: NodeKind
    index: str | None
    tooltip: str


@dataclass(frozen=True)
class Link:
    """One arrow: `head` reads `tail`.

    `lag` is the delay where both vary with time; `at` the fixed step that is read; `over` the index
    all of whose steps are read, where `condition` holds. `labels` are the parameters applied on the
    way.
    """

    tail: str
    head: str
    lag: int = 0
    at: At | None = None
    over: str | None = None
    condition: Condition = ALWAYS
    labels: tuple[str, ...] = ()
    parameter: bool = False
    bias: bool = False


@dataclass(frozen=True)
class Structure:
    """The items by key and the links, in the order of the equations."""

    declared: Declared
    items: Mapping[str, Item]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class _Context:
    """Where in an equation an expression stands; `space` is the index it may vary with."""

    head: str
    space: str | None
    condition: Condition = ALWAYS
    over: str | None = None
    labels: tuple[str, ...] = ()
    plain: bool = True


def structure(circuit: Circuit, level: Level = "variables") -> Structure:
    """Return the items and links of a circuit."""
    circuit.check()
    collector = _Collector(circuit.declared(), level)
    for name, equation in collector.declared.equations.items():
        collector.equation(name, equation.index, equation.root)
    return Structure(collector.declared, collector.items, tuple(_merged(collector.links)))


class _Collector:
    """Walks equations, without recursion, and notes items and links."""

    def __init__(self, declared: Declared, level: Level) -> None:
        self.declared = declared
        self.level = level
        self.items: dict[str, Item] = {}
        self.links: list[Link] = []
        for name, given in declared.inputs.items():
            kind: NodeKind = "target" if name in _targets(declared) else "input"
            index = f"[{given.index}]" if given.index else ""
            self.item(name, symbol(name), kind, given.index, f"{name}{index}: {given.kind}")
        for name, param in declared.params.items():
            shape = ", ".join(map(str, param.shape))
            self.item(name, symbol(name), "parameter", None, f"{name}: param({shape})")
        inner = _before_recurrences(declared)
        for name, equation in declared.equations.items():
            kind = "variable" if name in inner else "output"
            if name == "loss" or equation.root.op.name in LOSSES:
                kind = "loss"
            label = symbol("L") if name == "loss" and "L" not in declared.names() else symbol(name)
            self.item(name, label, kind, equation.index, str(equation))

    def item(self, key: str, label: Label, kind: NodeKind, index: str | None, tooltip: str) -> None:
        self.items[key] = Item(key, label, kind, index, tooltip)

    def equation(self, name: str, index: str | None, root: Expr) -> None:
        """Note what an equation reads."""
        pending = [(root, _Context(name, index))]
        count = 0
        while pending:
            expr, context = pending.pop()
            kind = expr.op.name
            if kind == "choose":
                for arg, test in zip(expr.args, (expr.attr, negate(expr.attr)), strict=True):
                    inside = replace(context, condition=both(context.condition, test))
                    pending.append((arg, inside))
            elif kind == "reduce":
                condition = both(context.condition, expr.attr.condition)
                over = expr.attr.over
                inner = replace(context, condition=condition, over=over, space=over, plain=False)
                own = (
                    index is None
                    and context.over is None
                    and self.items[context.head].index is None
                )
                if not own or (self.level == "operations" and expr is not root):
                    count += 1
                    sign = "Σ" if expr.attr.kind == "sum" else "mean"
                    key = f"{name}/Σ{count}"
                    self.operation(key, sign, None, expr)
                    self.link(context, key)
                    inner = replace(inner, head=key, condition=expr.attr.condition, labels=())
                pending.append((expr.args[0], inner))
            elif not expr.args:
                self.leaf(expr, context)
            elif self.level == "operations":
                count += 1
                key = f"{name}/{expr.op.name}{count}"
                space = context.space if self.varies(expr) else None
                sign = SIGNS.get(kind, kind.replace("_", " "))
                if kind == "mul" and not any(self.is_array(arg) for arg in expr.args):
                    sign = "×"
                self.operation(key, sign, space, expr)
                self.link(context, key)
                pending += [(arg, _Context(key, context.space)) for arg in reversed(expr.args)]
            else:
                pending += [(arg, inner) for arg, inner in self.inside(expr, context)]

    def inside(self, expr: Expr, context: _Context) -> list[tuple[Expr, _Context]]:
        """Return the operands of an operation that is not drawn, with the labels they gain."""
        plain = context.plain and expr.op.name in ("add", "sub", "tanh", "sigmoid", "relu")
        plain = plain or (context.plain and expr.op.name in ("softmax", "neg", "softplus"))
        base = replace(context, plain=plain)
        results = []
        for position, arg in enumerate(expr.args):
            own = base
            if expr.op.name in ("matmul", "mul", "lookup", "outer"):
                other = expr.args[1 - position]
                name = _applied(other)
                if name is not None and _applied(arg) is None:
                    own = replace(base, labels=(name, *context.labels))
            results.append((arg, own))
        return list(reversed(results))

    def operation(self, key: str, sign: str, index: str | None, expr: Expr) -> None:
        tooltip = expression_text(expr, self.declared)
        self.item(key, roman(sign), "operation", index, tooltip)

    def varies(self, expr: Expr) -> bool:
        """Whether an expression has a value of its own at each step."""
        pending = [expr]
        while pending:
            part = pending.pop()
            if part.op.name == "read" or (
                part.op.name == "counter" and part.attr in self.declared.indices
            ):
                return True
            if part.op.name != "reduce":
                pending.extend(part.args)
        return False

    def is_array(self, expr: Expr) -> bool:
        """Whether an operand may be an array; only plain numbers surely are not."""
        return expr.op.name not in ("const", "size", "counter")

    def leaf(self, expr: Expr, context: _Context) -> None:
        """Note that the context reads a leaf."""
        kind, attr = expr.op.name, expr.attr
        if kind == "param":
            self.link(context, attr, parameter=True, bias=context.plain)
        elif kind in ("input", "static"):
            self.link(context, attr)
        elif kind == "read":
            self.link(context, attr.name, lag=attr.lag)
        elif kind == "at_step":
            self.link(context, attr.name, at=attr)
        elif self.level == "operations":
            key = f"{context.head}/const{len(self.items)}"
            text = expression_text(expr, self.declared)
            self.item(key, roman(text), "constant", None, text)
            self.link(context, key)

    def link(
        self,
        context: _Context,
        tail: str,
        *,
        lag: int = 0,
        at: At | None = None,
        parameter: bool = False,
        bias: bool = False,
    ) -> None:
        self.links.append(
            Link(
                tail,
                context.head,
                lag,
                at,
                context.over,
                context.condition,
                context.labels,
                parameter,
                bias,
            )
        )


def _applied(expr: Expr) -> str | None:
    """Return the parameter (or static matrix) that an operand is, transposed or not."""
    base = expr.args[0] if expr.op.name == "transpose" else expr
    if base.op.name in ("param", "static", "input"):
        return f"{base.attr}⊤" if base is not expr else str(base.attr)
    return None


def _targets(declared: Declared) -> set[str]:
    """Return the inputs that are compared with outputs in a loss."""
    found: set[str] = set()
    for equation in declared.equations.values():
        pending = [equation.root]
        while pending:
            expr = pending.pop()
            pending.extend(expr.args)
            if expr.op.name in LOSSES:
                target = expr.args[1]
                if target.op.name in ("read", "at_step"):
                    found.add(target.attr.name)
                elif target.op.name == "input":
                    found.add(target.attr)
    return found & set(declared.inputs)


def _before_recurrences(declared: Declared) -> set[Unit]:
    """Return the variables in recurrences, and those that recurrences depend on."""
    inner: set[Unit] = {u for c in schedule(declared) if c.recurrent for u in c.units}
    reads = [(d.user, d.used) for d in dependencies(declared)]
    boundaries = [(key.name, key) for key in declared.boundaries]
    size = -1
    while size != len(inner):
        size = len(inner)
        inner |= {used for user, used in (*reads, *boundaries) if user in inner}
    return inner


def _merged(links: list[Link]) -> list[Link]:
    """Return the links with parallel ones of the same kind made one, labels joined."""
    found: dict[Link, list[str]] = {}
    for link in links:
        labels = found.setdefault(replace(link, labels=(), bias=False), [])
        labels += [label for label in link.labels if label not in labels]
    biases = {replace(link, labels=(), bias=False) for link in links if not link.bias}
    return [
        replace(link, labels=tuple(labels), bias=link.parameter and link not in biases)
        for link, labels in found.items()
    ]
