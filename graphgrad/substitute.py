"""Expressions at other steps: shifted in time, taken at a fixed step; and what they do outside."""

from __future__ import annotations

from collections.abc import Callable

from graphgrad.conditions import Affine, Condition, shift, substitute
from graphgrad.dims import Token
from graphgrad.ir import OPS, At, Expr, number, read, topological


def tree(root: Expr) -> Expr:
    """Return a copy of an expression in which nothing has two users."""
    order = topological([root])
    # how often each expression occurs when everything is written out; then that many copies
    occurrences = {id(expr): 0 for expr in order}
    occurrences[id(root)] = 1
    for expr in reversed(order):
        for arg in expr.args:
            occurrences[id(arg)] += occurrences[id(expr)]
    copies: dict[int, list[Expr]] = {}
    for expr in order:
        copies[id(expr)] = [
            Expr(expr.op, tuple(copies[id(a)].pop() for a in expr.args), expr.attr, expr.type)
            for _ in range(occurrences[id(expr)])
        ]
    return copies[id(root)][0]


def later(root: Expr, condition: Condition, index: str, steps: int) -> tuple[Expr, Condition]:
    """Return an expression and its condition as they stand `steps` later: t becomes t + steps."""

    def moved(expr: Expr) -> Expr:
        if expr.op.name == "read":
            return read(expr.attr.name, expr.attr.lag - steps, expr.type)
        return number(Affine.name(index).plus(steps))

    return (
        _replaced(root, index, moved, lambda c: shift(c, index, steps)),
        shift(condition, index, steps),
    )


def at_step(
    root: Expr, condition: Condition, index: str, last: bool, offset: int, step: Affine
) -> tuple[Expr, Condition]:
    """Return an expression and its condition at one fixed step, as static ones."""

    def fixed(expr: Expr) -> Expr:
        if expr.op.name == "read":
            attr = At(expr.attr.name, last, offset - expr.attr.lag)
            return Expr(OPS["at_step"], attr=attr, type=expr.type)
        return number(step)

    values = {index: step}
    return (
        _replaced(root, index, fixed, lambda c: substitute(c, values)),
        substitute(condition, values),
    )


def _replaced(
    root: Expr,
    index: str,
    leaf: Callable[[Expr], Expr],
    condition: Callable[[Condition], Condition],
) -> Expr:
    """Rebuild an expression with its indexed leaves replaced, bodies of reductions aside."""
    bound = _bound_in_reductions(root)
    done: dict[int, Expr] = {}
    for expr in topological([root]):
        args = tuple(done[id(arg)] for arg in expr.args)
        if id(expr) in bound:
            done[id(expr)] = expr
        elif expr.op.name == "read" or (expr.op.name == "counter" and expr.attr == index):
            done[id(expr)] = leaf(expr)
        elif expr.op.name == "choose":
            done[id(expr)] = Expr(expr.op, args, condition(expr.attr), expr.type)
        elif any(a is not b for a, b in zip(args, expr.args, strict=True)):
            done[id(expr)] = Expr(expr.op, args, expr.attr, expr.type)
        else:
            done[id(expr)] = expr
    return done[id(root)]


def _bound_in_reductions(root: Expr) -> set[int]:
    """Return the ids of expressions that stand inside a reduction, whose index is its own."""
    bound: set[int] = set()
    for expr in reversed(topological([root])):
        if expr.op.name == "reduce" or id(expr) in bound:
            bound.update(id(arg) for arg in expr.args)
    return bound


_LINEAR = {"neg", "transpose", "sum", "part", "component", "concat", "add", "sub"}


def vanishes_outside(root: Expr, is_cotangent: Callable[[str], bool]) -> bool:
    """Whether an expression is zero wherever its cotangents are read outside 1..τ.

    It must have a cotangent as a factor, and nothing in it may be undefined outside: no division,
    logarithm or negative power of anything indexed, and no token.
    """
    bound = _bound_in_reductions(root)
    zero: dict[int, bool] = {}
    varies: dict[int, bool] = {}
    for expr in topological([root]):
        name, args = expr.op.name, expr.args
        varies[id(expr)] = name == "read" or (
            name not in ("reduce",) and any(varies[id(arg)] for arg in args)
        )
        if id(expr) in bound:
            zero[id(expr)] = False
            continue
        if isinstance(expr.type, Token) and name == "read":
            return False
        if _undefined(expr, varies):
            return False
        if name == "read":
            zero[id(expr)] = is_cotangent(expr.attr.name)
        elif name in ("const", "fill"):
            zero[id(expr)] = (expr.attr if name == "const" else expr.attr.value) == 0
        elif name in ("mul", "matmul", "outer"):
            zero[id(expr)] = any(zero[id(arg)] for arg in args)
        elif name == "div":
            zero[id(expr)] = zero[id(args[0])]
        elif name in _LINEAR or name == "choose":
            zero[id(expr)] = all(zero[id(arg)] for arg in args)
        elif name == "where":
            zero[id(expr)] = zero[id(args[2])] and zero[id(args[3])]
        else:
            zero[id(expr)] = False
    return zero[id(root)]


def _undefined(expr: Expr, varies: dict[int, bool]) -> bool:
    """Whether an op may have no value at zeros in place of indexed values."""
    name, args = expr.op.name, expr.args
    if name == "div":
        return varies[id(args[1])]
    if name in ("log", "sqrt", "cross_entropy"):
        return varies[id(args[0])]
    if name == "pow" and varies[id(args[0])]:
        exponent = args[1]
        return exponent.op is not OPS["const"] or exponent.attr < 0
    return name == "pow" and varies[id(args[1])]
