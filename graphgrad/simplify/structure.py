"""Rules for choices, sums over time, transposes and pieces of vectors."""

from __future__ import annotations

from graphgrad.conditions import ALWAYS, NEVER
from graphgrad.ir import OPS, Expr
from graphgrad.ops.leaves import zeros
from graphgrad.ops.shapes import part_sizes
from graphgrad.simplify.core import is_neg, is_zero, plain, rule, spread


@rule("transpose")
def _transpose(expr: Expr, a: Expr) -> Expr | None:
    if a.op is OPS["transpose"]:
        return a.args[0]
    if is_zero(a):
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-plain(a.args[0].T))
    if a.op is OPS["outer"]:
        return OPS["outer"](a.args[1], a.args[0])
    if a.op is OPS["reduce"]:
        return OPS["reduce"](plain(a.args[0].T), attr=a.attr)
    return None


@rule("choose")
def _choose(expr: Expr, a: Expr, b: Expr) -> Expr | None:
    if expr.attr == ALWAYS:
        return spread(a, expr.shape)
    if expr.attr == NEVER:
        return spread(b, expr.shape)
    if is_zero(a) and is_zero(b):
        return zeros(expr.shape)
    return None


@rule("reduce")
def _reduce(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return a
    if expr.attr.condition == NEVER and expr.attr.kind == "sum":
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-OPS["reduce"](a.args[0], attr=expr.attr))
    return None


@rule("where")
def _where(expr: Expr, left: Expr, right: Expr, a: Expr, b: Expr) -> Expr | None:
    return zeros(expr.shape) if is_zero(a) and is_zero(b) else None


@rule("part")
def _part(expr: Expr, a: Expr) -> Expr | None:
    if is_zero(a):
        return zeros(expr.shape)
    if is_neg(a):
        return plain(-plain(OPS["part"](a.args[0], attr=expr.attr)))
    if a.op is OPS["concat"]:
        sizes = expr.attr.sizes
        pieces = [p.shape for p in a.args]
        if not isinstance(sizes, int):
            fits = pieces == [(size,) for size in sizes]
        else:
            fits = len(pieces) == sizes and all(p == expr.shape for p in pieces)
        return a.args[int(expr.attr.position)] if fits else None
    return None


@rule("component")
def _component(expr: Expr, a: Expr) -> Expr | None:
    """A component of a piece is one of the whole, where the pieces before have known sizes."""
    if is_neg(a):
        return plain(-plain(OPS["component"](a.args[0], attr=expr.attr)))
    if a.op is not OPS["part"]:
        return None
    whole = a.args[0]
    before = part_sizes(a.attr, whole.shape[0])[: a.attr.position]
    if not all(size.known for size in before):
        return None
    return OPS["component"](whole, attr=expr.attr + sum(map(int, before)))


@rule("concat", "expand")
def _linear(expr: Expr, *args: Expr) -> Expr | None:
    return zeros(expr.shape) if all(is_zero(arg) for arg in args) else None


def polished(root: Expr) -> Expr:
    """Return an expression whose signs stand at first factors: `-a * b`, not `-(a * b)`.

    For printing; the rules need signs outermost, where they cancel.
    """
    if not is_neg(root):
        return root
    factors: list[Expr] = []
    first = root.args[0]
    while first.op.name in ("mul", "div", "matmul"):
        factors.append(first)
        first = first.args[0]
    if not factors:
        return root
    result = -first
    for product in reversed(factors):
        result = product.op(result, product.args[1])
    return result
