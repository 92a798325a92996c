"""Linear algebra and structure: products, transposes, cutting and joining vectors, look-ups."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.dims import Dim
from graphgrad.ir import OPS, Expr, Op, Part, declare
from graphgrad.ops import shapes
from graphgrad.ops.leaves import basis, zeros


def _matmul_rule(g: Expr, y: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    if len(a.shape) == 1:
        return g * b, g * a
    if len(b.shape) == 1:
        return outer(g, b), a.T @ g
    return g @ b.T, a.T @ g


matmul = declare(
    Op(
        "matmul",
        2,
        shapes.matmul,
        forward=lambda a, b: a @ b,
        vjp=_matmul_rule,
        ufunc=np.matmul,
        array_functions=(np.dot,),
        infix="@",
    )
)
outer = declare(
    Op(
        "outer",
        2,
        shapes.outer,
        forward=lambda a, b: np.multiply(a[:, None], b[None, :]),
        vjp=lambda g, y, a, b: (g @ b, g.T @ a),
        array_functions=(np.outer,),
    )
)
transpose = declare(
    Op(
        "transpose",
        1,
        shapes.transpose,
        forward=np.transpose,
        vjp=lambda g, y, a: (g.T,),
        array_functions=(np.transpose,),
    )
)


def _concat_rule(g: Expr, y: Expr, *parts: Expr) -> tuple[Expr, ...]:
    sizes = tuple(part.shape[0] if part.shape else Dim.of(1) for part in parts)
    pieces = [OPS["part"](g, attr=Part(sizes, position)) for position in range(len(parts))]
    return tuple(
        piece if part.shape else OPS["component"](piece, attr=0)
        for part, piece in zip(parts, pieces, strict=True)
    )


concat = declare(
    Op(
        "concat",
        None,
        shapes.concat,
        forward=lambda *parts: np.concatenate([np.atleast_1d(part) for part in parts]),
        vjp=_concat_rule,
        array_functions=(np.concatenate, np.hstack),
    )
)


def _part_rule(g: Expr, y: Expr, whole: Expr) -> tuple[Expr]:
    attr: Part = y.attr
    sizes = shapes.part_sizes(attr, whole.shape[0])
    pieces = [g if k == attr.position else zeros((size,)) for k, size in enumerate(sizes)]
    return (concat(*pieces),)


declare(
    Op(
        "part",
        1,
        shapes.part,
        vjp=_part_rule,
        takes_attr=True,
        forward=lambda where, u: u[where],
        doc="one piece of a split vector",
    )
)
declare(
    Op(
        "component",
        1,
        shapes.component,
        forward=lambda attr, u: u[attr],
        vjp=lambda g, y, u: (g * basis(y.attr, u.shape[0]),),
        takes_attr=True,
        doc="one component of a vector, written at(v, 0)",
    )
)


def _lookup(table: Any, token: Any) -> Any:
    """Return the row of a token; a token given as a row of weights mixes the rows."""
    return table.T @ token if np.ndim(token) else table[token]


def _lookup_rule(g: Expr, y: Expr, table: Expr, token: Expr) -> tuple[Expr, None]:
    row = onehot(token)
    return (outer(row, g) if g.shape else row * g), None


def _unit_row(length: int, token: Any) -> Any:
    """Return the unit vector of a token; a token given as a row of weights is that row."""
    if np.ndim(token):
        return token
    row = np.zeros(length)
    row[token] = 1
    return row


def _exact_unit_row(algebra: Any, length: int, token: Any) -> Any:
    if np.ndim(token):
        return token
    row = algebra.filled((length,), 0)
    row[token] = algebra.filled((1,), 1)[0]
    return row


lookup = declare(Op("lookup", 2, shapes.lookup, forward=_lookup, vjp=_lookup_rule, blocked=(1,)))
onehot = declare(
    Op(
        "onehot",
        1,
        shapes.onehot,
        forward=_unit_row,
        exact=_exact_unit_row,
        vjp=lambda g, y, token: (None,),
        takes_attr=True,
        blocked=(0,),
        doc="the unit vector of a token",
    )
)
