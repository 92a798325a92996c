"""What a circuit declares: an immutable snapshot of its inputs, parameters and equations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphgrad.conditions import Condition, names_in
from graphgrad.dims import Shape, Token
from graphgrad.doors import door
from graphgrad.errors import NotationError, Place
from graphgrad.ir import OPS, At, Expr, Type, read, topological

_equation_text = door("graphgrad.notation.text:equation_text")


@dataclass(frozen=True)
class Index:
    """A time index and the name of its length: `t: steps(tau)`."""

    name: str
    length: str


@dataclass(frozen=True)
class Param:
    """A parameter: one shared node whatever the number of steps."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Input:
    """An input: `kind` is input, token or distribution; `index` is None for a static one."""

    name: str
    kind: str
    type: Type
    index: str | None

    @property
    def shape(self) -> Shape:
        """The shape of one step; `()` for a token."""
        return () if isinstance(self.type, Token) else self.type


@dataclass(frozen=True)
class Equation:
    """One equation: `name[index] = root`, or `name = root` where index is None."""

    name: str
    index: str | None
    root: Expr = field(compare=False)
    place: Place | None = field(default=None, compare=False)

    def __str__(self) -> str:
        text: str = _equation_text(self)
        return text

    def __repr__(self) -> str:
        return f"<Equation {self}>"


@dataclass(frozen=True)
class Boundary:
    """A boundary equation: the value at step `offset` ≤ 0, or at `length + offset` if `last`."""

    name: str
    last: bool
    offset: int
    root: Expr = field(compare=False)
    place: Place | None = field(default=None, compare=False)

    @property
    def key(self) -> At:
        """The instance it defines."""
        return At(self.name, self.last, self.offset)


@dataclass(frozen=True)
class Variable:
    """A variable as passes see it: name, index (None if static) and shape."""

    name: str
    index: str | None
    shape: Shape


@dataclass(frozen=True)
class Declared:
    """An immutable snapshot of a circuit; in its equations only leaves are shared."""

    name: str
    title: str
    indices: Mapping[str, Index]
    sizes: Mapping[str, int | None]
    params: Mapping[str, Param]
    inputs: Mapping[str, Input]
    states: Mapping[str, Shape]
    equations: Mapping[str, Equation]
    boundaries: Mapping[At, Boundary]

    def index_of(self, name: str) -> str | None:
        """Return the index of a variable or input, None where it is static."""
        if name in self.equations:
            return self.equations[name].index
        return self.inputs[name].index if name in self.inputs else None

    def names(self) -> set[str]:
        """Return every name in use."""
        names = {*self.sizes, *self.params, *self.inputs, *self.equations}
        return names.union(*((index.name, index.length) for index in self.indices.values()))


def with_names(declared: Declared, reserved: frozenset[str]) -> Declared:
    """Return the snapshot in which every inner expression with two users has a name of its own.

    An expression that is the right side of an equation takes that variable's name, others become
    new variables `v1`, `v2`, … before the equation that first uses them.
    """
    roots = [*(e.root for e in declared.equations.values())]
    roots += [b.root for b in declared.boundaries.values()]
    order = topological(roots)
    users = Counter(id(arg) for expr in order for arg in expr.args if arg.args)
    users.update(id(root) for root in roots if root.args)
    shared = [expr for expr in order if users[id(expr)] > 1]
    if not shared:
        return declared
    names = _names_of(
        shared, spaces_of(order, declared.index_of, declared.indices), declared, reserved
    )
    rewritten: dict[int, Expr] = {}

    def reference(expr: Expr) -> Expr:
        if id(expr) not in names:
            return rewritten[id(expr)]
        name, index = names[id(expr)]
        return Expr(OPS["static"], attr=name) if index is None else read(name, 0)

    for expr in order:
        args = tuple(map(reference, expr.args))
        rewritten[id(expr)] = Expr(expr.op, args, expr.attr, None, expr.place) if args else expr
    equations: dict[str, Equation] = {}

    def introduce(root: Expr) -> None:
        for expr in topological([root]):
            name, index = names.get(id(expr), ("", None))
            if name and name not in declared.equations and name not in equations:
                equations[name] = Equation(name, index, rewritten[id(expr)], expr.place)

    for equation in declared.equations.values():
        introduce(equation.root)
        owns = names.get(id(equation.root), (equation.name,))[0] == equation.name
        root = rewritten[id(equation.root)] if owns else reference(equation.root)
        equations[equation.name] = replace(equation, root=root)
    for boundary in declared.boundaries.values():
        introduce(boundary.root)
    boundaries = {k: replace(b, root=reference(b.root)) for k, b in declared.boundaries.items()}
    return replace(declared, equations=equations, boundaries=boundaries)


def _names_of(
    shared: Sequence[Expr],
    spaces: Mapping[int, str | None],
    declared: Declared,
    reserved: frozenset[str],
) -> dict[int, tuple[str, str | None]]:
    """Return name and index for each shared expression, by id."""
    owners = {id(e.root): e for e in reversed(list(declared.equations.values()))}
    taken = reserved | declared.names()
    names: dict[int, tuple[str, str | None]] = {}
    for expr in shared:
        owner, space = owners.get(id(expr)), spaces[id(expr)]
        if owner is None or owner.index != space:
            name = fresh_name("v", taken)
            taken = taken | {name}
        else:
            name = owner.name
        names[id(expr)] = name, space
    return names


def unused_name(wish: str, taken: Container[str]) -> str:
    """Return a name as it is wished for, with underscores behind it where it is taken.

    >>> unused_name("h_0", {"h_0", "h_0_"}), unused_name("h_1", {"h_0"})
    ('h_0__', 'h_1')
    """
    while wish in taken:
        wish += "_"
    return wish


def fresh_name(stem: str, taken: set[str] | frozenset[str]) -> str:
    """Return `stem1`, `stem2`, … whichever is the first not taken."""
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def spaces_of(
    order: Sequence[Expr],
    index_of: Callable[[str], str | None],
    indices: Mapping[str, Index],
) -> dict[int, str | None]:
    """Return the space of each expression by id: the index it varies with, None if static.

    `order` has arguments before users. An expression that varies with two indices is an error.
    """
    spaces: dict[int, str | None] = {}
    for expr in order:
        if expr.op.name == "read":
            space = index_of(expr.attr.name)
        elif expr.op.name == "counter":
            space = expr.attr if expr.attr in indices else None
        elif expr.op.name == "reduce":
            space = None
            inner = spaces[id(expr.args[0])]
            if inner is not None and inner != expr.attr.over:
                raise NotationError(
                    f"a sum over {expr.attr.over} has a body that varies with {inner}",
                    place=expr.place,
                    remedy="a reduction is over its own index only",
                )
        else:
            found = {s for s in (spaces[id(arg)] for arg in expr.args) if s is not None}
            if expr.op.name == "choose":
                found |= condition_indices(expr.attr, indices)
            if len(found) > 1:
                raise NotationError(
                    f"one expression varies with both {' and '.join(sorted(found))}",
                    place=expr.place,
                    remedy="pass values between index sets through static variables",
                )
            space = next(iter(found), None)
        spaces[id(expr)] = space
    return spaces


def condition_indices(condition: Condition, indices: Mapping[str, Index]) -> set[str]:
    """Return the time indices that a condition depends on."""
    return names_in(condition) & set(indices)


def tree_key(root: Expr) -> tuple[Any, ...]:
    """Return a value that is equal for equal expressions, however much of them is shared."""
    numbers: dict[tuple[Any, ...], int] = {}
    number: dict[int, int] = {}
    for expr in topological([root]):
        args = tuple(number[id(arg)] for arg in expr.args)
        key = (expr.op.name, expr.attr, type(expr.attr), args)
        number[id(expr)] = numbers.setdefault(key, len(numbers))
    return tuple(numbers)
