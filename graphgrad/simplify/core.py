"""The loop of simplification and the table of its rules, which the other modules fill."""

from __future__ import annotations

from collections.abc import Callable

from graphgrad.dims import Shape
from graphgrad.ir import OPS, Expr, rebuilt, topological
from graphgrad.ops.leaves import ones

Memo = dict[int, tuple[Expr, Expr]]
Rule = Callable[..., Expr | None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function as the rule of these ops: called with an expression and its arguments.

    It returns an expression of equal value, or None where it has nothing better.
    """

    def entered(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return entered


def simplified(root: Expr, memo: Memo | None = None) -> Expr:
    """Return an expression of equal value with fewer operations.

    All types below must be known. `memo` may be passed to keep what several roots share shared; it
    holds the originals too, so that their ids stay theirs.
    """
    done: Memo = {} if memo is None else memo
    for expr in topological([root], known=done):
        result = expr
        if expr.args:
            result = plain(rebuilt(expr, [done[id(arg)][1] for arg in expr.args]))
        done[id(expr)] = expr, result
    return done[id(root)][1]


def plain(expr: Expr) -> Expr:
    """Apply rules at the top until none fits; the arguments are simplified already."""
    while expr.args:
        found = RULES.get(expr.op.name)
        better = found(expr, *expr.args) if found else None
        if better is None:
            return expr
        expr = better
    return expr


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


def is_neg(expr: Expr) -> bool:
    """Whether an expression is the negative of another."""
    return expr.op is OPS["neg"]


def spread(value: Expr, shape: Shape) -> Expr:
    """Return a scalar as an array of a shape, an array as it is."""
    return value if value.shape == shape else plain(value * ones(shape))


def same(a: Expr, b: Expr) -> bool:
    """Whether two expressions are written alike; large ones are not compared."""
    if a is b:
        return True
    pending = [(a, b)]
    for _ in range(40):
        if not pending:
            return True
        x, y = pending.pop()
        if x is y:
            continue
        alike = x.op is y.op and x.attr == y.attr and type(x.attr) is type(y.attr)
        if not alike or len(x.args) != len(y.args):
            return False
        pending += zip(x.args, y.args, strict=True)
    return False
