"""The intermediate representation: ops, expressions that carry operators, and flat graphs.

An `Expr` is what formulas are written with: an immutable tree (or DAG) of ops. A `Graph` is the
same thing flat: nodes in a tuple, arguments before users, so that every pass is one loop.
`system.py` turns the first into the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from graphgrad.conditions import Affine, Condition
from graphgrad.dims import Dim, Shape, Token, shape_text
from graphgrad.errors import GraphgradError, NotationError, Place, ShapeError

Type = Shape | Token
Number = int | float


class Read(NamedTuple):
    """Attribute of `read`: the value `lag` steps ago of an indexed variable or input."""

    name: str
    lag: int


class At(NamedTuple):
    """Attribute of `at_step`: the value at step `offset`, or `length + offset` if `last`."""

    name: str
    last: bool
    offset: int

    def meets(self, boundary: At) -> bool:
        """Whether this step is that boundary value at some length ≥ 1.

        `h[tau-1]` is `h[0]` at length 1, `h[3]` is `h[tau+1]` at length 2.
        """
        if self.name != boundary.name:
            return False
        if self.last == boundary.last:
            return self.offset == boundary.offset
        ahead = boundary.offset - self.offset if self.last else self.offset - boundary.offset
        return ahead >= 1


class Fill(NamedTuple):
    """Attribute of `fill`: an array of zeros or ones."""

    value: int
    shape: Shape


class Basis(NamedTuple):
    """Attribute of `basis`: the unit vector `onehot(position, size)`."""

    position: int
    size: Dim


class Part(NamedTuple):
    """Attribute of `part`: piece `position` of a vector cut into pieces of the given sizes.

    `sizes` is a whole number for that many equal pieces.
    """

    sizes: int | Shape
    position: int


class Reduction(NamedTuple):
    """Attribute of `reduce`: sum or mean of the body over the steps where the condition holds."""

    kind: str
    over: str
    condition: Condition


@dataclass(frozen=True, eq=False)
class Op:
    """One primitive: everything the library knows about it, in one record of the table OPS.

    `shape(attr, *types)` gives the type of the result or raises ShapeError; `forward(*arrays)` (or
    `forward(attr, *arrays)` with `takes_attr`) computes it with NumPy, for complex numbers as the
    analytic continuation of the real function; `exact(algebra, *arrays)` does so over exact
    scalars, where `forward` does not serve; `vjp(g, out, *args)` gives the cotangents of the
    arguments, None where there is none; no derivative passes through the argument positions in
    `blocked`. `infix` and `latex` are for printing. `domain` and `kinks` say where there is no
    value or no derivative.
    """

    name: str
    arity: int | None
    shape: Callable[..., Type]
    forward: Callable[..., Any] | None = None
    vjp: Callable[..., tuple[Expr | None, ...]] | None = None
    exact: Callable[..., Any] | None = None
    takes_attr: bool = False
    blocked: tuple[int, ...] = ()
    ufunc: np.ufunc | None = None
    array_functions: tuple[Callable[..., Any], ...] = ()
    latex: str | None = None
    infix: str | None = None
    domain: str = ""
    kinks: str = ""
    doc: str = ""

    def __call__(self, *args: Any, attr: Any = None, place: Place | None = None) -> Expr:
        """Return the op applied to expressions and numbers, its type worked out if theirs are."""
        if self.arity is not None and len(args) != self.arity:
            raise NotationError(
                f"{self.name} takes {self.arity} argument{'s' * (self.arity != 1)}, "
                f"not {len(args)}",
                place=place,
                remedy=f"write {self.name}({', '.join('uvwxyz'[: self.arity])})",
            )
        operands = tuple(lift(arg) for arg in args)
        types = [operand.type for operand in operands]
        try:
            known = None if any(each is None for each in types) else self.shape(attr, *types)
        except GraphgradError as error:
            raise error.at(place) from None
        return Expr(self, operands, attr, known, place)

    def __reduce__(self) -> tuple[object, ...]:
        return (find_op, (self.name,))

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, Op] = {}
_UFUNCS: dict[np.ufunc, Op] = {}
_ARRAY_FUNCTIONS: dict[Callable[..., Any], Op] = {}


def declare(op: Op) -> Op:
    """Enter an op in the table."""
    if op.name in OPS:
        raise GraphgradError(f"the op {op.name} is declared twice")
    OPS[op.name] = op
    if op.ufunc is not None:
        _UFUNCS[op.ufunc] = op
    for function in op.array_functions:
        _ARRAY_FUNCTIONS[function] = op
    return op


def find_op(name: str) -> Op:
    """Return the op of that name."""
    return OPS[name]


class Expr:
    """An expression: an op applied to expressions; NumPy's operators and functions build more.

    `type` is the shape (or token type) where it is known already, else None. Expressions compare by
    identity; using one twice means sharing it.
    """

    __slots__ = ("args", "attr", "op", "place", "type")
    __array_priority__ = 1000

    def __init__(
        self,
        op: Op,
        args: tuple[Expr, ...] = (),
        attr: Any = None,
        type: Type | None = None,
        place: Place | None = None,
    ) -> None:
        self.op = op
        self.args = args
        self.attr = attr
        self.type = type
        self.place = place

    @property
    def shape(self) -> Shape:
        """The shape; ShapeError where it is not known or the value is a token."""
        if self.type is None:
            raise ShapeError("the shape of this expression is not known yet")
        if isinstance(self.type, Token):
            raise ShapeError("a token has no shape", remedy="use E[x[t]] or onehot(x[t])")
        return self.type

    def __add__(self, other: Any) -> Expr:
        return OPS["add"](self, other)

    def __radd__(self, other: Any) -> Expr:
        return OPS["add"](other, self)

    def __sub__(self, other: Any) -> Expr:
        return OPS["sub"](self, other)

    def __rsub__(self, other: Any) -> Expr:
        return OPS["sub"](other, self)

    def __mul__(self, other: Any) -> Expr:
        return OPS["mul"](self, other)

    def __rmul__(self, other: Any) -> Expr:
        return OPS["mul"](other, self)

    def __truediv__(self, other: Any) -> Expr:
        return OPS["div"](self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return OPS["div"](other, self)

    def __pow__(self, other: Any) -> Expr:
        return OPS["pow"](self, other)

    def __rpow__(self, other: Any) -> Expr:
        return OPS["pow"](other, self)

    def __matmul__(self, other: Any) -> Expr:
        return OPS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Expr:
        return OPS["matmul"](other, self)

    def __neg__(self) -> Expr:
        return constant(-self.attr) if self.op is OPS["const"] else OPS["neg"](self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return OPS["abs"](self)

    @property
    def T(self) -> Expr:
        """The transpose."""
        return OPS["transpose"](self)

    def __getitem__(self, token: Any) -> Expr:
        if isinstance(token, Expr):
            return OPS["lookup"](self, token)
        raise NotationError(
            f"[{token!r}] picks nothing here",
            remedy="E[x[t]] looks up a row by a token, at(v, 0) picks a component; "
            "only indexed variables and inputs take [t]",
        )

    def __gt__(self, other: Any) -> Comparison:
        return Comparison(">", self, lift(other))

    def __ge__(self, other: Any) -> Comparison:
        return Comparison(">=", self, lift(other))

    def __lt__(self, other: Any) -> Comparison:
        return Comparison("<", self, lift(other))

    def __le__(self, other: Any) -> Comparison:
        return Comparison("<=", self, lift(other))

    def __bool__(self) -> NoReturn:
        raise NotationError(
            "an expression is neither true nor false: it has no value yet",
            remedy="choose by value with where(u > 0, a, b), by time with choose(t == tau, a, b)",
        )

    def __iter__(self) -> NoReturn:
        raise NotationError(
            "an expression cannot be iterated over",
            remedy="use sum(v) for the components, sum(e, over=t) for the steps, at(v, 0) for one",
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Expr:
        op = _UFUNCS.get(ufunc)
        if op is None or method != "__call__" or kwargs:
            raise NotationError(
                f"np.{ufunc.__name__} has no meaning on expressions"
                + (" with these options" if op else ""),
                remedy=f"covered are: {', '.join(sorted(f.__name__ for f in _UFUNCS))}",
            )
        return op(*inputs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Expr:
        op = _ARRAY_FUNCTIONS.get(function)
        if op is None or kwargs:
            names = sorted(f.__name__ for f in _ARRAY_FUNCTIONS)
            raise NotationError(
                f"np.{function.__name__} has no meaning on expressions"
                + (" with these options" if op else ""),
                remedy=f"covered are: {', '.join(names)}",
            )
        if op.arity is None and len(args) == 1 and isinstance(args[0], list | tuple):
            args = args[0]
        return op(*args)

    def __repr__(self) -> str:
        attr = "" if self.attr is None else f" {self.attr}"
        kind = "?" if self.type is None else type_text(self.type)
        return f"<{self.op.name}{attr}: {kind}>"


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison of values, which has a meaning only inside `where`."""

    relation: str
    left: Expr
    right: Expr

    def __bool__(self) -> NoReturn:
        raise NotationError(
            "a comparison of values stands only inside where(u > 0, a, b)",
            remedy="for a choice by time write choose(t > 3, a, b)",
        )

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Expr:
        if function is np.where and len(args) == 3 and not kwargs:
            return OPS["where"](self.left, self.right, *args[1:], attr=self.relation)
        return self._refused()

    def _refused(self, *others: Any) -> NoReturn:
        raise NotationError(
            "a comparison of values stands only inside where(u > 0, a, b)",
            remedy="write where(u > 0, 1, 0) for an indicator",
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refused
    __truediv__ = __rtruediv__ = __and__ = __rand__ = __or__ = __ror__ = __invert__ = _refused


def type_text(kind: Type) -> str:
    """Return a shape or token type as it is written in messages."""
    return str(kind) if isinstance(kind, Token) else shape_text(kind)


def constant(value: Number) -> Expr:
    """Return a plain number as an expression."""
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise NotationError("this number is too large, or none", remedy="use finite numbers")
    return Expr(OPS["const"], attr=value, type=())


def lift(value: Any) -> Expr:
    """Return a value as an expression: expressions as they are, numbers as constants."""
    if isinstance(value, Expr):
        return value
    if hasattr(value, "__graphgrad_expr__"):
        result: Expr = value.__graphgrad_expr__()
        return result
    if isinstance(value, bool | np.bool_):
        raise NotationError("a truth value is not a number", remedy="write 1 or 0")
    if isinstance(value, np.integer | np.floating):
        return constant(value.item())  # np.float64 is a float too, but prints otherwise
    if isinstance(value, int | float):
        return constant(value)
    if isinstance(value, Comparison):
        raise NotationError(
            "a comparison of values stands only inside where(u > 0, a, b)",
            remedy="write where(u > 0, 1, 0) for an indicator",
        )
    if isinstance(value, np.ndarray):
        raise NotationError(
            "an array cannot stand in a formula",
            remedy="declare a parameter or a static input and give the array as its value",
        )
    raise NotationError(
        f"{type(value).__name__} is not an expression", remedy="use numbers and expressions"
    )


class Node(NamedTuple):
    """One node of a flat graph; `args` are positions of earlier nodes."""

    op: Op
    args: tuple[int, ...]
    attr: Any
    type: Type


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, with the place each was written at."""

    nodes: tuple[Node, ...]
    places: tuple[Place | None, ...]

    def __len__(self) -> int:
        return len(self.nodes)


def topological(roots: Iterable[Expr], known: Any = ()) -> list[Expr]:
    """Return the expressions below the roots, arguments before users, each once.

    Expressions whose `id` is in `known` are left out, with everything below them.
    """
    order: list[Expr] = []
    seen: set[int] = set()
    pending: list[tuple[Expr, bool]] = [(root, False) for root in reversed(list(roots))]
    while pending:
        expr, done = pending.pop()
        if done:
            order.append(expr)
            continue
        if id(expr) in seen or id(expr) in known:
            continue
        seen.add(id(expr))
        pending.append((expr, True))
        pending.extend((arg, False) for arg in reversed(expr.args))
    return order


def rebuilt(expr: Expr, args: Sequence[Expr]) -> Expr:
    """Return the same op on other arguments, its type worked out anew."""
    if all(new is old for new, old in zip(args, expr.args, strict=True)):
        return expr
    return expr.op(*args, attr=expr.attr, place=expr.place)


def read(name: str, lag: int, kind: Type | None = None, place: Place | None = None) -> Expr:
    """Return the value `lag` steps ago of an indexed variable or input."""
    return Expr(OPS["read"], attr=Read(name, lag), type=kind, place=place)


def choose(condition: Condition, chosen: Any, otherwise: Any, place: Place | None = None) -> Expr:
    """Return `chosen if condition else otherwise`, decided by the index alone."""
    return OPS["choose"](chosen, otherwise, attr=condition, place=place)


def reduce(
    kind: str, index: str, condition: Condition, body: Any, place: Place | None = None
) -> Expr:
    """Return the sum or mean of the body over the steps of an index where a condition holds."""
    return OPS["reduce"](body, attr=Reduction(kind, index, condition), place=place)


def number(value: Affine) -> Expr:
    """Return an integer expression in indices and lengths as a number to compute with."""
    total: Expr | None = None
    for atom, coefficient in value.terms:
        if not isinstance(atom, str):
            raise NotationError("% stands only in conditions", remedy="compute the number outside")
        term = Expr(OPS["counter"], attr=atom, type=())
        if abs(coefficient) != 1:
            term = abs(coefficient) * term
        if total is None:
            total = -term if coefficient < 0 else term
        else:
            total = total - term if coefficient < 0 else total + term
    if total is None:
        return constant(value.constant)
    if value.constant:
        return total + value.constant if value.constant > 0 else total - -value.constant
    return total
