"""Reverse rules turned round: the transpose of a linear function of a hole; sums in a row."""

from __future__ import annotations

from graphgrad.autodiff import HOLE
from graphgrad.dims import Shape
from graphgrad.ir import OPS, Expr, rebuilt, topological
from graphgrad.ops.leaves import zeros
from graphgrad.simplify import polished, simplified
from graphgrad.substitute import tree


def transposed(rule: Expr, direction: Expr, shape: Shape) -> Expr:
    """Return the transpose of a linear function of a hole, applied to a direction.

    `rule` maps a cotangent (the hole) to that of an argument; the transpose maps the argument's
    tangent to that of the result, which has the given shape. It is found by reverse mode on the
    rule itself.
    """
    order = topological([rule])
    inside: set[int] = set()
    for expr in order:
        if expr.op is HOLE or any(id(arg) in inside for arg in expr.args):
            inside.add(id(expr))
    found: dict[int, Expr] = {id(rule): direction}
    total: Expr | None = None
    for expr in reversed(order):
        if id(expr) not in found or id(expr) not in inside:
            continue
        given = found[id(expr)]
        if expr.op is HOLE:
            total = given if total is None else total + given
            continue
        assert expr.op.vjp is not None
        parts = expr.op.vjp(given, expr, *expr.args)
        for arg, part in zip(expr.args, parts, strict=True):
            if id(arg) in inside and part is not None:
                found[id(arg)] = found[id(arg)] + part if id(arg) in found else part
    return zeros(shape) if total is None else total


def put_in(rule: Expr, direction: Expr) -> Expr:
    """Return a linear function of a hole, applied to a direction."""
    done: dict[int, Expr] = {}
    for expr in topological([rule]):
        done[id(expr)] = (
            direction if expr.op is HOLE else rebuilt(expr, [done[id(arg)] for arg in expr.args])
        )
    return done[id(rule)]


def written(value: Expr) -> Expr:
    """Return a tangent as it is written: simplified, sums in a row, nothing shared."""
    done: dict[int, Expr] = {}
    for expr in topological([simplified(value)]):
        args = [done[id(arg)] for arg in expr.args]
        if expr.op.name in ("add", "sub"):
            done[id(expr)] = _in_a_row(expr.op.name, *args)
        else:
            done[id(expr)] = rebuilt(expr, args)
    last = done[id(expr)]
    return tree(polished(last))


def _in_a_row(sign: str, left: Expr, right: Expr) -> Expr:
    """Return `a + b + c` for `a + (b + c)`; `left` and `right` are in a row already."""
    terms: list[tuple[str, Expr]] = []
    while right.op.name in ("add", "sub"):
        terms.append((right.op.name, right.args[1]))
        right = right.args[0]
    terms.append(("add", right))
    for each, term in reversed(terms):
        left = OPS[each if sign == "add" else _OPPOSITE[each]](left, term)
    return left


_OPPOSITE = {"add": "sub", "sub": "add"}
