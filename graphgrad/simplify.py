"""Simplification of derived expressions: what a person would not write down is not written.

Only identities that hold for every value are used (products with ones and zeros, signs, transposed
transposes, pieces of joined vectors), so derivatives stay exact; circuits as written are never
simplified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphgrad.conditions import ALWAYS, NEVER
from graphgrad.dims import Shape
from graphgrad.ir import OPS, Expr, constant, rebuilt, topological
from graphgrad.ops.leaves import ones, zeros
from graphgrad.ops.linear import concat

Memo = dict[int, tuple[Expr, Expr]]


def simplified(root: Expr, memo: Memo | None = None) -> Expr:
    """Return an expression of equal value with fewer operations.

    All types below must be known. `memo` may be passed to keep what several roots share shared; it
    holds the originals too, so that their ids stay theirs.
    """
    done: Memo = {} if memo is None else memo
    for expr in topological([root], known=done):
        result = expr
        if expr.args:
            result = _rewritten(rebuilt(expr, [done[id(arg)][1] for arg in expr.args]))
        done[id(expr)] = expr, result
    return done[id(root)][1]


def is_zero(expr: Expr) -> bool:
    """Whether an expression is the constant 0, of any shape."""
    return (expr.op is OPS["const"] and expr.attr == 0) or (
        expr.op is OPS["fill"] and expr.attr.value == 0
    )


def is_one(expr: Expr) -> bool:
    """Whether an expression is the constant 1, of any shape."""
    return (expr.op is OPS["const"] and expr.attr == 1) or (
        expr.op is OPS["fill"] and expr.attr.value == 1
    )


def _rewritten(expr: Expr) -> Expr:
    """Apply rules at the top until none fits; the arguments are simplified already."""
    while True:
        rule = _RULES.get(expr.op.name)
        better = rule(expr, *expr.args) if rule else None
        if better is None:
            return expr
        expr = better
        if not expr.args:
            return expr


def _is_neg(expr: Expr) -> bool:
    return expr.op is OPS["neg"]


def _plain(value: Expr) -> Expr:
    """Simplify the top of a new expression once more."""
    return _rewritten(value)


def _neg(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return a
    if _is_neg(a):
        return a.args[0]
    if a.op is OPS["const"]:
        return constant(-a.attr)
    if a.op is OPS["sub"]:
        return _plain(a.args[1] - a.args[0])
    return None


def _spread(value: Expr, shape: Shape) -> Expr:
    """Return a scalar as an array of a shape, an array as it is."""
    return value if value.shape == shape else _plain(value * ones(shape))


def _add(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a):
        return _spread(b, expr.shape)
    if is_zero(b):
        return _spread(a, expr.shape)
    if _is_neg(b):
        return _plain(a - b.args[0])
    if _is_neg(a):
        return _plain(b - a.args[0])
    joined = _joined(a, b)
    if joined is not None:
        return joined
    factored = _factored(expr, a, b)
    if factored is not None:
        return factored
    if a.op is OPS["add"]:
        merged = _joined(a.args[1], b)
        if merged is not None:
            return _plain(a.args[0] + merged)
    return None


def _joined(a: Expr, b: Expr) -> Expr | None:
    """Return the sum of two joined vectors piece by piece, where one of each pair is zero."""
    if a.op is not OPS["concat"] or b.op is not OPS["concat"]:
        return None
    if [p.type for p in a.args] != [p.type for p in b.args]:
        return None
    pairs = list(zip(a.args, b.args, strict=True))
    if not all(is_zero(p) or is_zero(q) for p, q in pairs):
        return None
    return concat(*(q if is_zero(p) else p for p, q in pairs))


def _sub(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(b):
        return _spread(a, expr.shape)
    if is_zero(a):
        return _plain(-_spread(b, expr.shape))
    if _is_neg(b):
        return _plain(a + b.args[0])
    return _factored(expr, a, b)


def _factored(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    """Return `(x ± y) * g` for `x * g ± y * g`, where g is a value with a name."""
    if a.op is not OPS["mul"] or b.op is not OPS["mul"]:
        return None
    (x, g), (y, other) = a.args, b.args
    same = g.op is other.op and not g.args and g.attr == other.attr
    if not same or g.op.name not in ("read", "static") or x.shape != y.shape:
        return None
    return _plain(_plain(expr.op(x, y)) * g)


def _ones_times(expr: Expr) -> Expr | None:
    """Return s where an expression is the array s·ones, else None."""
    if expr.op is OPS["fill"] and expr.attr.value == 1:
        return constant(1)
    if expr.op is OPS["mul"]:
        s, filled = expr.args
        if filled.op is OPS["fill"] and filled.attr.value == 1 and not s.shape:
            return s
    return None


def _mul(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a) or is_zero(b):
        return zeros(expr.shape)
    if _is_neg(a):
        return _plain(-_plain(a.args[0] * b))
    if _is_neg(b):
        return _plain(-_plain(a * b.args[0]))
    if b.op is OPS["mul"] and len({a.shape, *(arg.shape for arg in b.args)}) == 1:
        return _plain(_plain(a * b.args[0]) * b.args[1])
    if a.op is OPS["const"] and b.op is OPS["const"] and {type(a.attr), type(b.attr)} == {int}:
        return constant(a.attr * b.attr)
    if a.shape and b.shape:
        for one, other in ((a, b), (b, a)):
            scale = _ones_times(one)
            if scale is not None:
                return other if is_one(scale) else _plain(scale * other)
        return None
    if is_one(a) and not a.shape:
        return b
    if is_one(b) and not b.shape:
        return a
    if a.shape and not b.shape and _ones_times(a) is not None:
        scale = _ones_times(a)
        assert scale is not None
        return _plain(_plain(b * scale) * ones(a.shape))
    if b.shape and not a.shape and b.op is OPS["mul"]:
        scale = _ones_times(b)
        if scale is not None:
            return _plain(a * scale) * ones(b.shape)
    return None


def _div(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_one(b):
        return _spread(a, expr.shape)
    if is_zero(a):
        return zeros(expr.shape)
    if _is_neg(a):
        return _plain(-_plain(a.args[0] / b))
    return None


def _transpose(expr: Expr, a: Expr) -> Expr | None:
    if a.op is OPS["transpose"]:
        return a.args[0]
    if is_zero(a):
        return zeros(expr.shape)
    if a.op is OPS["outer"]:
        return OPS["outer"](a.args[1], a.args[0])
    if a.op is OPS["reduce"]:
        return OPS["reduce"](_plain(a.args[0].T), attr=a.attr)
    return None


def _product(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if is_zero(a) or is_zero(b):
        return zeros(expr.shape)
    if _is_neg(a):
        return _plain(-_plain(expr.op(a.args[0], b)))
    if _is_neg(b):
        return _plain(-_plain(expr.op(a, b.args[0])))
    return None


def _sum(expr: Expr, a: Expr) -> Expr | None:
    if not a.shape:
        return a
    if is_zero(a):
        return constant(0)
    if _is_neg(a):
        return _plain(-_plain(OPS["sum"](a.args[0])))
    if a.op is OPS["mul"] and not a.args[0].shape:
        return _plain(a.args[0] * _plain(OPS["sum"](a.args[1])))
    if a.op is OPS["mul"] and len(a.shape) == 1 and all(arg.shape for arg in a.args):
        return OPS["matmul"](*a.args)
    return None


def _choose(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if expr.attr == ALWAYS:
        return _spread(a, expr.shape)
    if expr.attr == NEVER:
        return _spread(b, expr.shape)
    if is_zero(a) and is_zero(b):
        return zeros(expr.shape)
    return None


def _reduce(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return a
    if expr.attr.condition == NEVER and expr.attr.kind == "sum":
        return zeros(expr.shape)
    if _is_neg(a):
        return _plain(-OPS["reduce"](a.args[0], attr=expr.attr))
    return None


def _where(expr: Expr, left: Expr, right: Expr, a: Expr, b: Expr) -> Expr | None:
    return zeros(expr.shape) if is_zero(a) and is_zero(b) else None


def _part(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return zeros(expr.shape)
    if a.op is OPS["concat"]:
        sizes = expr.attr.sizes
        pieces = [p.shape for p in a.args]
        if not isinstance(sizes, int):
            if pieces == [(size,) for size in sizes]:
                return a.args[expr.attr.position]
        elif len(pieces) == sizes and all(p == expr.shape for p in pieces):
            return a.args[expr.attr.position]
    return None


def _power(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    return a if is_one(b) and not b.shape and b.op is OPS["const"] else None


def _linear(expr: Expr, *args: Expr) -> Expr | None:
    return zeros(expr.shape) if all(is_zero(arg) for arg in args) else None


_RULES: dict[str, Callable[..., Expr | None]] = {
    "neg": _neg,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "pow": _power,
    "transpose": _transpose,
    "matmul": _product,
    "outer": _product,
    "sum": _sum,
    "choose": _choose,
    "reduce": _reduce,
    "where": _where,
    "part": _part,
    "concat": _linear,
    "expand": _linear,
}


def total(terms: Sequence[Expr], shape: Shape) -> Expr:
    """Return the simplified sum of terms, zero of the given shape if there are none."""
    result: Expr | None = None
    for term in terms:
        if not is_zero(term):
            result = term if result is None else _plain(result + term)
    return zeros(shape) if result is None else result
