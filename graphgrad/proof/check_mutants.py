"""Backward passes as people get them wrong: the adjoint equations with one change, in words.

The equations are Python syntax, so a change is a change of the syntax tree: a term left out, a
sign, a factor, a transpose, a step off by one, a sum cut short, one variable in place of another.
If code returns what a changed pass gives, the change is the likely cause.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphgrad.dims import Token
from graphgrad.system import System

CURVED = {"tanh", "sigmoid", "relu", "exp", "sin", "cos", "softplus"}


@dataclass(frozen=True)
class Mutant:
    """One changed equation: `text` in place of `right`, and what that is called."""

    cause: str
    right: str
    text: str
    rank: int


def shapes_of(system: System) -> dict[str, tuple[object, ...]]:
    """Return the shapes of the indexed variables and inputs of a forward pass."""
    found: dict[str, tuple[object, ...]] = {}
    for name, variable in system.variables.items():
        if variable.index is not None:
            found[name] = tuple(map(str, variable.shape))
    for name, declared in system.inputs.items():
        if declared.index is not None and not isinstance(declared.type, Token):
            found[name] = tuple(map(str, declared.shape))
    return found


def neighbours(equations: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the cotangents that one is taken for: those that it is computed from, or they from it.

    >>> neighbours({"d_h": "d_h[t] = 2 * y[t]", "d_a": "d_a[t] = (1 - h[t]**2) * d_h[t]"})
    {'d_h': ('d_a',), 'd_a': ('d_h',)}
    """
    indexed = {name for name, text in equations.items() if text.startswith(f"{name}[")}
    found: dict[str, dict[str, None]] = {name: {} for name in equations if name in indexed}
    for name in found:
        for other in re.findall(r"\w+", equations[name].partition(" = ")[2]):
            if other in indexed and other != name:
                found[name][other] = found[other][name] = None
    return {name: tuple(others) for name, others in found.items()}


def mutants(
    equations: Mapping[str, str],
    forward: Mapping[str, tuple[object, ...]],
    near: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Mutant]:
    """Return the changes of the backward equations, likely ones first.

    `equations` are the backward equations by name as text, `forward` the shapes of the indexed
    variables and inputs of the forward pass, `near` the neighbours of cotangents.
    """
    near = neighbours(equations) if near is None else near
    found: list[Mutant] = []
    seen: set[str] = set(equations.values())
    for right in equations.values():
        try:
            tree = ast.parse(right)
        except SyntaxError:
            continue
        for rank, cause, text in _changes(tree, forward, near):
            if text not in seen:
                seen.add(text)
                found.append(Mutant(cause, right, text, rank))
    return sorted(found, key=lambda each: each.rank)


def _changes(
    tree: ast.Module,
    forward: Mapping[str, tuple[object, ...]],
    near: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[int, str, str]]:
    statement = tree.body[0]
    if not isinstance(statement, ast.Assign):
        return
    left = ast.unparse(statement.targets[0])
    value = statement.value
    steps = {
        id(inner)
        for node in ast.walk(value)
        if isinstance(node, ast.Subscript)
        for inner in ast.walk(node.slice)
    }
    for position, node in enumerate(ast.walk(value)):
        if id(node) in steps:
            continue
        for rank, cause, new in (*_local(node, left, forward), *_swaps(node, left, near)):
            yield rank, cause, f"{left} = {replaced(value, position, new)}"
    yield 2, f"{left} has the wrong sign", f"{left} = -({ast.unparse(value)})"
    zero = "0 * (" + ast.unparse(value) + ")"
    yield 6, f"{left} is taken as zero", f"{left} = {zero}"


def replaced(tree: ast.expr, position: int, new: ast.expr) -> str:
    """Return the text of an expression with the node at a position of the walk replaced."""
    fresh = ast.Expression(copy.deepcopy(tree))
    target = next(n for k, n in enumerate(ast.walk(fresh.body)) if k == position)
    if target is fresh.body:
        return ast.unparse(new)
    for parent in ast.walk(fresh):
        for name, child in ast.iter_fields(parent):
            if child is target:
                setattr(parent, name, new)
            elif isinstance(child, list) and any(each is target for each in child):
                setattr(parent, name, [new if each is target else each for each in child])
    return ast.unparse(fresh)


def _local(
    node: ast.AST, left: str, forward: Mapping[str, tuple[object, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield the changes at one node, with how likely they are (0 first) and in words."""
    if isinstance(node, ast.BinOp):
        yield from _operators(node, left)
    elif isinstance(node, ast.IfExp):
        yield 3, f"the boundary case of {left} is left out", node.body
        yield 3, f"the boundary case of {left} is left out", node.orelse
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        yield from _reads(node, left, forward)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, args = node.func.id, node.args
        if name in ("sum", "mean") and args and isinstance(args[0], ast.GeneratorExp):
            yield from _sums(node, left)
        elif name in CURVED and len(args) == 1:
            yield 3, f"in {left}, {_text(args[0])} stands where {_text(node)} belongs", args[0]
        elif name == "where" and len(args) == 3:
            for kept in args[1:]:
                cause = f"in {left}, {_text(kept)} stands where {_text(node)} belongs"
                yield 1, cause, kept
        elif name == "outer" and len(args) == 2:
            turned = ast.Call(node.func, [args[1], args[0]], [])
            yield 1, f"{left} is transposed: {_text(turned)} instead of {_text(node)}", turned


def _operators(node: ast.BinOp, left: str) -> Iterator[tuple[int, str, ast.expr]]:
    a, b = node.left, node.right
    for new in _slopes(node):
        yield 2, f"in {left}, {_text(new)} stands where {_text(node)} belongs", new
    if isinstance(node.op, ast.Add | ast.Sub):
        if not isinstance(a, ast.Constant):
            yield 0, f"{left} lacks the term {_text(b)}", a
        minus = isinstance(node.op, ast.Sub)
        if not isinstance(a, ast.Constant):
            yield 0, f"{left} lacks the term {_text(a)}", ast.UnaryOp(ast.USub(), b) if minus else b
        flipped = ast.BinOp(a, ast.Add() if minus else ast.Sub(), b)
        yield 1, f"in {left} the term {_text(b)} has the wrong sign", flipped
        if minus and not isinstance(a, ast.Constant):
            turned = ast.BinOp(b, ast.Sub(), a)
            yield 1, f"in {left}, {_text(turned)} stands where {_text(node)} belongs", turned
    elif isinstance(node.op, ast.Mult | ast.Div):
        divided = isinstance(node.op, ast.Div)
        yield 1, f"{left} lacks the division by {_text(b)}" if divided else _lacking(left, b), a
        if not divided:
            yield 1, _lacking(left, a), b
    elif isinstance(node.op, ast.Pow):
        yield 2, f"in {left}, {_text(a)} stands where {_text(node)} belongs", a
    elif isinstance(node.op, ast.MatMult) and isinstance(a, ast.Attribute) and a.attr == "T":
        plain = ast.BinOp(a.value, ast.MatMult(), b)
        yield 1, f"{left} multiplies by {_text(a.value)} instead of {_text(a)}", plain
    elif isinstance(node.op, ast.MatMult) and isinstance(a, ast.Name):
        turned = ast.BinOp(ast.Attribute(a, "T"), ast.MatMult(), b)
        yield 1, f"{left} multiplies by {_text(turned.left)} instead of {_text(a)}", turned
    if isinstance(node.op, ast.MatMult):
        yield 2, _lacking(left, a), b


def _slopes(node: ast.BinOp) -> Iterator[ast.expr]:
    """Yield what is written for the slopes 1 - v**2 of tanh and v * (1 - v) of sigmoid."""
    match node:
        case ast.BinOp(
            left=ast.Constant(value=1),
            op=ast.Sub(),
            right=ast.BinOp(left=v, op=ast.Pow(), right=ast.Constant(value=2)),
        ):
            less = ast.BinOp(ast.Constant(1), ast.Sub(), v)
            yield ast.BinOp(less, ast.Pow(), ast.Constant(2))
            yield ast.BinOp(v, ast.Mult(), less)
        case ast.BinOp(
            left=v,
            op=ast.Mult(),
            right=ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=other),
        ) if ast.dump(v) == ast.dump(other):
            square = ast.BinOp(v, ast.Pow(), ast.Constant(2))
            yield ast.BinOp(ast.Constant(1), ast.Sub(), square)


def _lacking(left: str, factor: ast.expr) -> str:
    text = _text(factor)
    if text.startswith("sum("):
        return (
            f"{left} takes {text} as 1: softmax followed by cross entropy has the cotangent "
            "prediction - target only where the targets sum to 1"
        )
    return f"{left} lacks the factor {text}"


def _reads(
    node: ast.Subscript, left: str, forward: Mapping[str, tuple[object, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    assert isinstance(node.value, ast.Name)
    name, text = node.value.id, _text(node.slice)
    index, lag = _lag(node.slice)
    if index is None:
        return
    if lag:
        mirrored = ast.Subscript(node.value, _step(index, -lag), ast.Load())
        yield 2, f"{left} reads {_text(mirrored)} where {_text(node)} belongs", mirrored
    if name in forward:
        for shift in (1, -1):
            moved = ast.Subscript(node.value, _step(index, lag + shift), ast.Load())
            yield 1, f"{left} reads {_text(moved)} where {_text(node)} belongs", moved
        for other, shape in forward.items():
            if other != name and shape == forward[name]:
                swapped = ast.Subscript(ast.Name(other, ast.Load()), node.slice, ast.Load())
                cause = f"{left} reads {_text(swapped)} where {_text(node)} belongs"
                yield (4 if lag == 0 else 5), cause, swapped
                if lag:
                    here = ast.Subscript(ast.Name(other, ast.Load()), _step(index, 0), ast.Load())
                    yield 5, f"{left} reads {_text(here)} where {_text(node)} belongs", here
    elif text != index:
        moved = ast.Subscript(node.value, _step(index, 0), ast.Load())
        yield 2, f"{left} reads {_text(moved)} where {_text(node)} belongs", moved


def _swaps(
    node: ast.AST, left: str, near: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield reads of another cotangent, such as that before the slope in place of that behind."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        for other in near.get(node.value.id, ()):
            swapped = ast.Subscript(ast.Name(other, ast.Load()), node.slice, ast.Load())
            if other != left.partition("[")[0]:
                yield 5, f"{left} reads {_text(swapped)} where {_text(node)} belongs", swapped


def _sums(node: ast.Call, left: str) -> Iterator[tuple[int, str, ast.expr]]:
    generator = node.args[0]
    assert isinstance(generator, ast.GeneratorExp)
    index = _text(generator.generators[0].target)
    limits = (
        (f"{index} > 1", f"{left} leaves out the first step"),
        (f"{index} < tau", f"{left} leaves out the last step"),
        (f"{index} == tau", f"{left} counts the last step only: the sum over the steps is missing"),
        (f"{index} == 1", f"{left} counts the first step only: the sum over the steps is missing"),
    )
    for condition, cause in limits:
        cut = copy.deepcopy(generator)
        test = ast.parse(condition, mode="eval").body
        old = cut.generators[0].ifs
        cut.generators[0].ifs = [ast.BoolOp(ast.And(), [*old, test])] if old else [test]
        yield 0, cause, ast.Call(node.func, [cut], [])
    if isinstance(node.func, ast.Name):
        other = "mean" if node.func.id == "sum" else "sum"
        what = "averages over the steps" if other == "mean" else "sums over the steps"
        made = ast.Call(ast.Name(other, ast.Load()), [generator], [])
        yield 0, f"{left} {what}, where the {node.func.id} belongs", made


def _lag(node: ast.expr) -> tuple[str | None, int]:
    """Return the index and how many steps later a read is: t-1 is ("t", -1)."""
    if isinstance(node, ast.Name):
        return (None, 0) if node.id == "tau" else (node.id, 0)
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.left, ast.Name)
        and isinstance(node.right, ast.Constant)
        and isinstance(node.right.value, int)
        and node.left.id != "tau"
    ):
        sign = -1 if isinstance(node.op, ast.Sub) else 1
        return node.left.id, sign * node.right.value
    return None, 0


def _step(index: str, lag: int) -> ast.expr:
    name = ast.Name(index, ast.Load())
    if lag == 0:
        return name
    return ast.BinOp(name, ast.Add() if lag > 0 else ast.Sub(), ast.Constant(abs(lag)))


def _text(node: ast.AST) -> str:
    text = ast.unparse(node).replace(" ** ", "**")
    for sign in ("-", "+"):
        text = text.replace(f"[t {sign} ", f"[t{sign}")
    return text


def split_by_use(text: str, name: str, step: int) -> str | None:
    """Return `name = …` with every sum over time in an equation cut down to one step."""
    statement = ast.parse(text).body[0]
    if not isinstance(statement, ast.Assign):
        return None
    value, cut = copy.deepcopy(statement.value), False
    for node in ast.walk(value):
        if isinstance(node, ast.GeneratorExp):
            clause = node.generators[0]
            test = ast.parse(f"{_text(clause.target)} == {step}", mode="eval").body
            clause.ifs = [ast.BoolOp(ast.And(), [*clause.ifs, test])] if clause.ifs else [test]
            cut = True
    return f"{name} = {ast.unparse(value)}" if cut else None


def weighted(text: str, weight: str) -> str | None:
    """Return a loss equation with a weight for each step in its sums over time."""
    statement = ast.parse(text).body[0]
    if not isinstance(statement, ast.Assign):
        return None
    value, found = copy.deepcopy(statement.value), False
    for node in ast.walk(value):
        if isinstance(node, ast.GeneratorExp):
            index = _text(node.generators[0].target)
            factor = ast.parse(f"{weight}[{index}]", mode="eval").body
            node.elt = ast.BinOp(factor, ast.Mult(), node.elt)
            found = True
    return f"{ast.unparse(statement.targets[0])} = {ast.unparse(value)}" if found else None
