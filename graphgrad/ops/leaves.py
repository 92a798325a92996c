"""Leaves and structural ops: parameters, inputs, constants, reads, choices, reductions over time.

Reads, choices and reductions disappear when a circuit is unfolded; `copy` and `accumulate` appear
there: a variable that only repeats another, and a sum over steps or over users.
"""

from __future__ import annotations

from typing import Any

from graphgrad.dims import Dim, Shape
from graphgrad.errors import GraphgradError
from graphgrad.ir import OPS, Basis, Expr, Fill, Op, Type, declare, lift
from graphgrad.ops import shapes


def _declared(attr: Any) -> Type:
    raise GraphgradError(
        "the type of this leaf comes from its declaration",
        remedy='declare it: c.param("W", "H"), c.input("x", "D", index=t), c.var("h")',
    )


def _scalar(attr: Any) -> Shape:
    return ()


declare(Op("param", 0, _declared, doc="a parameter"))
declare(Op("input", 0, _declared, doc="a static input"))
declare(Op("static", 0, _declared, doc="the value of a static variable"))
declare(Op("read", 0, _declared, doc="the value some steps ago of a variable or input"))
declare(Op("at_step", 0, _declared, doc="the value at a fixed step of a variable or input"))
declare(Op("const", 0, _scalar, doc="a number"))
declare(Op("counter", 0, _scalar, doc="an index or a length, as a number"))
declare(Op("size", 0, _scalar, doc="the size of a dimension, as a number"))
declare(Op("fill", 0, lambda attr: attr.shape, doc="an array of zeros or ones"))
declare(Op("basis", 0, lambda attr: (attr.size,), doc="a constant unit vector"))

choose = declare(Op("choose", 2, shapes.branches, doc="a choice by the index alone"))
reduce = declare(Op("reduce", 1, shapes.same, doc="a sum or mean over steps"))
expand = declare(
    Op(
        "expand",
        1,
        shapes.expand,
        vjp=lambda g, y, u: (OPS["sum"](g),),
        doc="a scalar where an array is meant: in a boundary equation, in a branch of a choice",
    )
)
copy = declare(
    Op(
        "copy",
        1,
        shapes.same,
        forward=lambda u: u,
        vjp=lambda g, y, u: (g,),
        doc="a variable that repeats another value",
    )
)
accumulate = declare(
    Op(
        "accumulate",
        None,
        shapes.elementwise("+"),
        forward=lambda *terms: _total(terms),
        vjp=lambda g, y, *terms: (g,) * len(terms),
        latex=r"\sum",
        infix="Σ",
        doc="the sum of any number of values",
    )
)


def _total(terms: tuple[Any, ...]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def zeros(shape: Shape) -> Expr:
    """Return an array of zeros, or the number 0."""
    return filled(0, shape)


def ones(shape: Shape) -> Expr:
    """Return an array of ones, or the number 1."""
    return filled(1, shape)


def filled(value: int, shape: Shape) -> Expr:
    """Return an array filled with 0 or 1, or that number itself for a scalar."""
    return OPS["fill"](attr=Fill(value, shape)) if shape else OPS["const"](attr=value)


def basis(position: int, size: Dim) -> Expr:
    """Return the constant unit vector `onehot(position, size)`."""
    return OPS["basis"](attr=Basis(position, size))


def size_of(dim: Dim) -> Expr:
    """Return the length of an axis as a number to compute with."""
    total: Expr | None = None
    for name, coefficient in dim.terms:
        term = OPS["size"](attr=name)
        term = coefficient * term if coefficient != 1 else term
        total = term if total is None else total + term
    if total is None:
        return lift(dim.constant)
    return total + dim.constant if dim.constant else total
