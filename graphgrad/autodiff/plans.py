"""The plan of a node: its derivative rule, worked out once for all nodes of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphgrad.dims import Token
from graphgrad.errors import GradientError
from graphgrad.ir import OPS, Expr, Op, Type, declare, topological
from graphgrad.simplify import Memo, simplified
from graphgrad.unfold import Template


def _hole_type(attr: Any) -> Type:
    raise AssertionError("holes carry their types")


HOLE = declare(Op("hole", 0, _hole_type, doc="a value to be put in, in a plan"))


@dataclass(frozen=True)
class Plan:
    """How the cotangent of one kind of node reaches its arguments.

    Values are numbered: 0 the cotangent, 1 the node itself, then its arguments, then `static`
    leaves, then the results of `steps`. `results[k]` is the value that is argument k's cotangent,
    None where nothing flows.
    """

    static: tuple[Template, ...]
    steps: tuple[tuple[Template, tuple[int, ...]], ...]
    results: tuple[int | None, ...]


def local_vjp(op: Op, attr: Any, kind: Type, operands: Sequence[Expr]) -> list[Expr | None]:
    """Return the simplified cotangents of an op's arguments, in terms of holes.

    Hole 0 is the cotangent, hole 1 the value; the operands are holes 2, 3, … or constants.
    """
    if op.vjp is None:
        raise GradientError(
            f"{op.name} has no derivative rule", remedy="give its entry in graphgrad/ops a vjp"
        )
    shape = () if isinstance(kind, Token) else kind
    cotangent = Expr(HOLE, attr=0, type=shape)
    # the value carries the op's own attribute, which rules may ask for
    value = _Value(HOLE, attr=attr, type=kind)
    memo: Memo = {}
    found = op.vjp(cotangent, value, *operands)
    return [None if each is None else simplified(each, memo) for each in found]


class _Value(Expr):
    """The hole for a node's own value; its attribute is that of the node."""

    __slots__ = ()


def plan_of(template: Template, args: Sequence[Template], active: Sequence[bool]) -> Plan:
    """Return the plan for one kind of node; only cotangents of active arguments are computed.

    Arguments that are constants are shown to the rule: u ** 0 and u ** 2 have rules of their own.
    """
    operands = [
        Expr(each.op, attr=each.attr, type=each.type)
        if each.op is OPS["const"]
        else Expr(HOLE, attr=k + 2, type=each.type)
        for k, each in enumerate(args)
    ]
    cotangents = [
        each if alive else None
        for each, alive in zip(local_vjp(*template, operands), active, strict=True)
    ]
    order = topological(each for each in cotangents if each is not None)
    number = {id(operand): k + 2 for k, operand in enumerate(operands)}
    static: list[Template] = []
    for expr in order:
        if id(expr) in number:
            continue
        if expr.op is HOLE:
            number[id(expr)] = 1 if isinstance(expr, _Value) else expr.attr
        elif not expr.args:
            number[id(expr)] = 2 + len(args) + len(static)
            static.append(Template(expr.op, expr.attr, _known(expr)))
    steps: list[tuple[Template, tuple[int, ...]]] = []
    for expr in order:
        if expr.args:
            number[id(expr)] = 2 + len(args) + len(static) + len(steps)
            template = Template(expr.op, expr.attr, _known(expr))
            steps.append((template, tuple(number[id(arg)] for arg in expr.args)))
    results = tuple(None if each is None else number[id(each)] for each in cotangents)
    return Plan(tuple(static), tuple(steps), results)


def _known(expr: Expr) -> Type:
    assert expr.type is not None
    return expr.type
