"""Ops and expressions: what formulas are written with.

An expression applies an op to expressions, and an op applied to anything is an expression; the
operators of Python and the functions of NumPy look their ops up in the table. So these belong
together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from graphgrad.dims import Shape, Token, shape_text
from graphgrad.errors import (
    GraphgradError,
    NotationError,
    Place,
    ShapeError,
    UnknownAttributeError,
)

Type = Shape | Token
Number = int | float


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
        raise GraphgradError(f"the op {op.name} is declared twice", remedy="choose another name")
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
            raise ShapeError(
                "the shape of this expression is not known yet",
                remedy='ask the circuit: c.params["W"].shape, c.variables["h"].shape',
            )
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

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse methods such as `h[t].tanh()` of other libraries, with what is written here."""
        remedy = "functions are written tanh(u), sum(u), …; the only attributes are .T and .shape"
        if name in OPS:
            remedy = f"write {name}(u)"
        elif name in ("t", "transpose"):
            remedy = "the transpose is written u.T"
        raise UnknownAttributeError(f"an expression has no attribute {name}", remedy=remedy)

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


def rebuilt(expr: Expr, args: Sequence[Expr]) -> Expr:
    """Return the same op on other arguments, its type worked out anew."""
    if all(new is old for new, old in zip(args, expr.args, strict=True)):
        return expr
    return expr.op(*args, attr=expr.attr, place=expr.place)
