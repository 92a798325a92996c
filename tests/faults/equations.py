"""Faults in backward equations: every small change of a right side, as people make them.

A right side is Python syntax, so that a change is a change of its syntax tree. `changes` yields
all of them in a fixed order; whether the result is a circuit at all is asked elsewhere.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping

from graphgrad.proof.check_mutants import replaced

TINY = 1e-6
"""A relative error of the size that a rounded constant makes."""


def changes(
    left: str, right: str, alike: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Yield the cause and the new right side of every change of an equation.

    `alike` gives for each name the others with the same index and shape.
    """
    tree = ast.parse(right, mode="eval").body
    nodes = list(ast.walk(tree))
    steps = {
        id(inner) for n in nodes if isinstance(n, ast.Subscript) for inner in ast.walk(n.slice)
    }
    steps |= {
        id(inner)
        for n in nodes
        if isinstance(n, ast.Call) and _name(n.func) in ("split", "at", "onehot", "zeros", "ones")
        for arg in n.args[-1:]
        for inner in ast.walk(arg)
    }
    for position, node in enumerate(nodes):
        if id(node) in steps:
            continue
        for cause, new in _at(node, alike):
            yield cause, replaced(tree, position, new)
    for cause, form in _whole("[" in left):
        yield cause, form.format(f"({right})")


def _whole(indexed: bool) -> Iterator[tuple[str, str]]:
    yield "sign", "-{}"
    yield "factor", "2 * {}"
    yield "factor", "0.5 * {}"
    yield "rounded constant", f"{1 + TINY} * {{}}"
    yield "missing term", "0 * {}"
    yield "average", "{} / tau"
    if indexed:
        yield "boundary", "{} if t > 1 else 0"
        yield "boundary", "{} if t < tau else 0"
        yield "truncation", "{} if t > tau - 2 else 0"
        yield "truncation", "{} if t % 2 == 1 else 0"


def _at(node: ast.AST, alike: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the changes at one node."""
    if isinstance(node, ast.BinOp):
        yield from _binary(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "constant", ast.Constant(node.value + 1)
        if node.value not in (0, 1):
            yield "constant", ast.Constant(node.value - 1)
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        yield from _read(node, alike)
    elif isinstance(node, ast.Name):
        for other in alike.get(node.id, ())[:2]:
            yield "wrong variable", ast.Name(other)
    elif isinstance(node, ast.IfExp):
        yield from _choice(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)


def _binary(node: ast.BinOp) -> Iterator[tuple[str, ast.expr]]:
    a, b = node.left, node.right
    if isinstance(node.op, ast.Add | ast.Sub):
        minus = isinstance(node.op, ast.Sub)
        yield "missing term", a
        yield "missing term", ast.UnaryOp(ast.USub(), b) if minus else b
        yield "sign", ast.BinOp(a, ast.Add() if minus else ast.Sub(), b)
        yield "counted twice", ast.BinOp(node, node.op, b)
        if isinstance(a, ast.Constant) and isinstance(b, ast.BinOp) and isinstance(b.op, ast.Pow):
            yield "wrong derivative", ast.BinOp(b.left, ast.Mult(), ast.BinOp(a, ast.Sub(), b.left))
        elif isinstance(a, ast.Constant) and isinstance(b, ast.Subscript):
            yield "wrong derivative", ast.BinOp(a, ast.Sub(), ast.BinOp(b, ast.Pow(), _number(2)))
    elif isinstance(node.op, ast.Mult):
        yield "factor", a
        yield "factor", b
        yield "factor", ast.BinOp(node, ast.Mult(), b)
        yield "rounded constant", ast.BinOp(_number(1 + TINY), ast.Mult(), node)
    elif isinstance(node.op, ast.Div):
        yield "factor", a
        yield "factor", ast.BinOp(a, ast.Mult(), b)
        yield "rounded constant", ast.BinOp(a, ast.Div(), ast.BinOp(b, ast.Add(), _number(TINY)))
    elif isinstance(node.op, ast.Pow):
        yield "wrong derivative", a
        if isinstance(b, ast.Constant):
            yield "wrong derivative", ast.BinOp(a, ast.Pow(), _number(b.value + 1))
    elif isinstance(node.op, ast.MatMult):
        turned = isinstance(a, ast.Attribute) and a.attr == "T"
        plain = a.value if turned else ast.Attribute(a, "T")
        yield "transpose", ast.BinOp(plain, ast.MatMult(), b)
        yield "truncation", _where(node, "t % 2 == 0")
        yield "boundary", _where(node, "t < tau - 1")


def _read(
    node: ast.Subscript, alike: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, ast.expr]]:
    assert isinstance(node.value, ast.Name)
    text = ast.unparse(node.slice).replace(" ", "")
    base, lag = _lag(text)
    fixed = base in ("", "tau", "m", "n")
    for shift in (-1, 1):
        where = _step(base, lag + shift)
        if where is not None:
            new = ast.Subscript(node.value, ast.parse(where, mode="eval").body)
            yield "boundary" if fixed else "wrong step", new
    if not fixed and abs(lag) == 1:
        new = ast.Subscript(node.value, ast.parse(_step(base, -lag) or "t", mode="eval").body)
        yield "wrong step", new
    for other in alike.get(node.value.id, ())[:3]:
        yield "wrong variable", ast.Subscript(ast.Name(other), node.slice)


def _choice(node: ast.IfExp) -> Iterator[tuple[str, ast.expr]]:
    yield "boundary", node.body
    yield "boundary", node.orelse
    test = node.test
    if isinstance(test, ast.Compare):
        for shift in (-1, 1):
            moved = ast.BinOp(test.comparators[0], ast.Add(), _number(shift))
            yield "boundary", ast.IfExp(_compared(test, moved), node.body, node.orelse)
    yield "boundary", ast.IfExp(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)


def _compared(test: ast.Compare, right: ast.expr) -> ast.Compare:
    return ast.Compare(test.left, test.ops, [right])


def _call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name, args = _name(node.func), node.args
    if name == "outer":
        yield "transpose", ast.Call(node.func, args[::-1], [])
        yield "wrong variable", ast.Call(node.func, [args[0], args[0]], [])
    elif name in ("sum", "mean") and args and isinstance(args[0], ast.GeneratorExp):
        index = ast.unparse(args[0].generators[0].target)
        other = "mean" if name == "sum" else "sum"
        yield "average", ast.Call(ast.Name(other), args, [])
        for cause, condition in (
            ("boundary", "{} > 1"), ("boundary", "{} < tau"),
            ("accumulation", "{} == tau"), ("accumulation", "{} == 1"),
            ("truncation", "{} > tau - 2"), ("truncation", "{} <= 2"),
            ("truncation", "{} % 2 == 0"),
        ):  # fmt: skip
            yield cause, _limited(node, condition.format(index))
    elif name == "sum" and len(args) == 1:
        yield "average", ast.Call(ast.Name("mean"), args, [])
    elif name in ("tanh", "sigmoid", "exp", "cos", "sin", "log", "softmax", "relu"):
        yield "wrong derivative", args[0]
    elif name == "where" and len(args) == 3:
        yield "sign", ast.Call(node.func, [args[0], args[2], args[1]], [])


def _limited(node: ast.Call, condition: str) -> ast.Call:
    """Return a sum over the steps with one more condition."""
    generator = copy.deepcopy(node.args[0])
    assert isinstance(generator, ast.GeneratorExp)
    clause = generator.generators[0]
    test = ast.parse(condition, mode="eval").body
    clause.ifs = [ast.BoolOp(ast.And(), [*clause.ifs, test])] if clause.ifs else [test]
    return ast.Call(node.func, [generator], [])


def _where(node: ast.expr, condition: str) -> ast.expr:
    return ast.IfExp(ast.parse(condition, mode="eval").body, node, ast.Constant(0))


def _lag(text: str) -> tuple[str, int]:
    """Return the base of a step and what is added to it: `t-1` is ("t", -1), `3` is ("", 3)."""
    for sign in ("-", "+"):
        base, found, number = text.partition(sign)
        if found and base:
            return base, int(sign + number)
    return ("", int(text)) if text.lstrip("-").isdigit() else (text, 0)


def _step(base: str, lag: int) -> str | None:
    if not base:
        return str(lag)
    return f"{base}{lag:+d}" if lag else base


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _number(value: float) -> ast.Constant:
    return ast.Constant(value)
