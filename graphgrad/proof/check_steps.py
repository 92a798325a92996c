"""Mistaken steps and variables: reads of another step, value or cotangent, sums cut short."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping

DOUBLED = re.compile(r"\b(?:sum|mean)\(\(")


def reads(
    node: ast.Subscript, left: str, forward: Mapping[str, tuple[object, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield reads of another step, of the last one, or of another variable."""
    assert isinstance(node.value, ast.Name)
    name, text = node.value.id, text_of(node.slice)
    index, lag = lag_of(node.slice)
    if index is None:
        return
    if lag:
        mirrored = ast.Subscript(node.value, step_of(index, -lag), ast.Load())
        yield 2, f"{left} reads {text_of(mirrored)} where {text_of(node)} belongs", mirrored
    if name in forward:
        last = ast.Subscript(node.value, ast.Name("tau", ast.Load()), ast.Load())
        if index == "t":
            yield (
                4,
                f"{left} reads {text_of(last)}, that of the last step, for {text_of(node)}",
                last,
            )
        for shift in (1, -1):
            moved = ast.Subscript(node.value, step_of(index, lag + shift), ast.Load())
            yield 1, f"{left} reads {text_of(moved)} where {text_of(node)} belongs", moved
        for other, shape in forward.items():
            if other != name and shape == forward[name]:
                swapped = ast.Subscript(ast.Name(other, ast.Load()), node.slice, ast.Load())
                cause = f"{left} reads {text_of(swapped)} where {text_of(node)} belongs"
                yield (4 if lag == 0 else 5), cause, swapped
                if lag:
                    here = ast.Subscript(ast.Name(other, ast.Load()), step_of(index, 0), ast.Load())
                    yield 5, f"{left} reads {text_of(here)} where {text_of(node)} belongs", here
    elif text != index:
        moved = ast.Subscript(node.value, step_of(index, 0), ast.Load())
        yield 2, f"{left} reads {text_of(moved)} where {text_of(node)} belongs", moved


def swaps(
    node: ast.AST, left: str, near: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield reads of another cotangent, such as that before the slope in place of that behind."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        for other in near.get(node.value.id, ()):
            swapped = ast.Subscript(ast.Name(other, ast.Load()), node.slice, ast.Load())
            if text_of(swapped) != left:
                yield 5, f"{left} reads {text_of(swapped)} where {text_of(node)} belongs", swapped


def sums(node: ast.Call, left: str) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield sums over fewer steps, averages for sums, and the length for a sum of masks."""
    generator = node.args[0]
    assert isinstance(generator, ast.GeneratorExp)
    index = text_of(generator.generators[0].target)
    limits = (
        (f"{index} > 1", f"{left} leaves out the first step"),
        (f"{index} < tau", f"{left} leaves out the last step"),
        (f"{index} > 2", f"{left} leaves out the first two steps"),
        (f"{index} < tau - 1", f"{left} leaves out the last two steps"),
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
        if index == "t" and isinstance(generator.elt, ast.Subscript):  # a masked mean
            steps = ast.Name("tau", ast.Load())
            yield 3, f"in {left}, tau stands where {text_of(node)} belongs", steps


def lag_of(node: ast.expr) -> tuple[str | None, int]:
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


def step_of(index: str, lag: int) -> ast.expr:
    """Return the step that lies so many steps later: t-1 of ("t", -1)."""
    name = ast.Name(index, ast.Load())
    if lag == 0:
        return name
    return ast.BinOp(name, ast.Add() if lag > 0 else ast.Sub(), ast.Constant(abs(lag)))


def text_of(node: ast.AST) -> str:
    """Return a part of an equation as it is quoted."""
    return neat(ast.unparse(node))


def neat(text: str) -> str:
    """Return an equation as the notation prints it.

    >>> neat("d_W = sum((outer(d_a[t], h[t - 1]) for t in steps))")
    'd_W = sum(outer(d_a[t], h[t-1]) for t in steps)'
    >>> neat("d_w = sum((a[t] for t in steps)) + sum((b[t] * (1 - h[t]) for t in steps))")
    'd_w = sum(a[t] for t in steps) + sum(b[t] * (1 - h[t]) for t in steps)'
    """
    for sign in "+-":
        text = re.sub(rf"\[(\w+) \{sign} (\d+)\]", rf"[\1{sign}\2]", text)
    start = 0
    while (found := DOUBLED.search(text, start)) is not None:
        start = found.end() - 1
        end = _closing(text, start)
        if text[end + 1 : end + 2] == ")":
            text = text[:start] + text[start + 1 : end] + text[end + 1 :]
    return text.replace(" ** ", "**")


def _closing(text: str, start: int) -> int:
    """Return where the bracket that opens at a place is closed."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)
