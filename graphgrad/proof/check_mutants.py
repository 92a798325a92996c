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
from functools import reduce
from itertools import combinations

from graphgrad.dims import Token
from graphgrad.proof.check_slips import (
    diagonal,
    gates,
    own_steps,
    slips,
    sloped_again,
    slopes,
    summands,
)
from graphgrad.proof.check_steps import lag_of, neat, reads, step_of, sums, swaps, text_of
from graphgrad.system import System

CURVED = {"tanh", "sigmoid", "relu", "exp", "sin", "cos", "softplus"}


@dataclass(frozen=True)
class Mutant:
    """One changed equation: `text` in place of `right`, and what that is called."""

    cause: str
    right: str
    text: str
    rank: int
    others: tuple[tuple[str, str], ...] = ()
    """Further equations in which the same is changed, each with its new text."""

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        """All changed equations, each with its new text."""
        return (self.right, self.text), *self.others


@dataclass(frozen=True)
class Known:
    """What equations are by name: the summand of a sum over the steps, the slope of a cotangent."""

    statics: Mapping[str, ast.expr]
    slopes: Mapping[str, ast.expr]


def shapes_of(system: System) -> dict[str, tuple[object, ...]]:
    """Return the shapes of the indexed variables and inputs of a forward pass.

    Tokens are like each other only, and only those of as many kinds.
    """
    found: dict[str, tuple[object, ...]] = {}
    for name, variable in system.variables.items():
        if variable.index is not None:
            found[name] = tuple(map(str, variable.shape))
    for name, declared in system.inputs.items():
        if declared.index is not None and isinstance(declared.type, Token):
            found[name] = ("token", str(declared.type.size))
        elif declared.index is not None:
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
    known = Known(summands(equations), slopes(equations))
    for right in equations.values():
        try:
            tree = ast.parse(right)
        except SyntaxError:
            continue
        for rank, cause, text in _changes(tree, forward, near, known):
            if text not in seen:
                seen.add(text)
                found.append(Mutant(cause, right, text, rank))
    return sorted(found, key=lambda each: each.rank)


def _changes(
    tree: ast.Module,
    forward: Mapping[str, tuple[object, ...]],
    near: Mapping[str, tuple[str, ...]],
    known: Known,
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
        found = [*_local(node, left, forward), *swaps(node, left, near)]
        if isinstance(node, ast.Name):
            found += own_steps(node, left, known.statics)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            found += sloped_again(node, left, known.slopes)
        for rank, cause, new in found:
            yield rank, cause, f"{left} = {replaced(value, position, new)}"
    carried, here = _parted(value)
    if len(carried) > 1 and here:
        kept, terms = (ast.unparse(reduce(_added, part)) for part in (here, carried))
        yield (
            1,
            f"{left} lacks all that comes from the next step: {neat(terms)}",
            f"{left} = {kept}",
        )
    yield 2, f"{left} has the wrong sign", f"{left} = -({ast.unparse(value)})"
    for factor, what in (("2 * ", "times 2"), ("0.5 * ", "times 1/2")):
        yield 5, f"{left} is taken {what}", f"{left} = {factor}({ast.unparse(value)})"
    zero = "0 * (" + ast.unparse(value) + ")"
    yield 6, f"{left} is taken as zero", f"{left} = {zero}"


def _parted(value: ast.expr) -> tuple[list[ast.expr], list[ast.expr]]:
    """Return the terms of a sum that read the next step, and the others."""
    carried: list[ast.expr] = []
    here: list[ast.expr] = []
    pending = [value]
    while pending:
        term = pending.pop()
        if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Add | ast.Sub):
            right = _negated(term.right) if isinstance(term.op, ast.Sub) else term.right
            pending += [right, term.left]
        else:
            reads = (n.slice for n in ast.walk(term) if isinstance(n, ast.Subscript))
            later = any(lag_of(each)[1] > 0 for each in reads)
            (carried if later else here).append(term)
    return carried, here


def _added(a: ast.expr, b: ast.expr) -> ast.expr:
    return ast.BinOp(a, ast.Add(), b)


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
        yield from slips(node, left)
    elif isinstance(node, ast.IfExp):
        yield 3, f"the boundary case of {left} is left out", node.body
        yield 3, f"the boundary case of {left} is left out", node.orelse
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        yield from reads(node, left, forward)
        yield from gates(node, left, forward)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, args = node.func.id, node.args
        if name in ("sum", "mean") and args and isinstance(args[0], ast.GeneratorExp):
            yield from sums(node, left)
        elif name == "sum":
            yield from diagonal(node, left)
        elif name in CURVED and len(args) == 1:
            for instead in (args[0], *_values_of(left, forward)):
                yield (
                    3,
                    f"in {left}, {text_of(instead)} stands where {text_of(node)} belongs",
                    instead,
                )
        elif name == "concat":
            yield from _exchanged(node, left)
        elif name == "where" and len(args) == 3:
            if isinstance(args[0], ast.Compare):
                yield from _other_masks(node, args[0], left, forward)
            for kept in args[1:]:
                cause = f"in {left}, {text_of(kept)} stands where {text_of(node)} belongs"
                yield 1, cause, kept
        elif name == "outer" and len(args) == 2:
            turned = ast.Call(node.func, [args[1], args[0]], [])
            yield 1, f"{left} is transposed: {text_of(turned)} instead of {text_of(node)}", turned


def _operators(node: ast.BinOp, left: str) -> Iterator[tuple[int, str, ast.expr]]:
    a, b = node.left, node.right
    for new in _slopes(node):
        yield 2, f"in {left}, {text_of(new)} stands where {text_of(node)} belongs", new
    if isinstance(node.op, ast.Add | ast.Sub):
        if not isinstance(a, ast.Constant):
            yield 0, f"{left} lacks the term {text_of(b)}", a
        minus = isinstance(node.op, ast.Sub)
        if not isinstance(a, ast.Constant):
            yield (
                0,
                f"{left} lacks the term {text_of(a)}",
                ast.UnaryOp(ast.USub(), b) if minus else b,
            )
        flipped = ast.BinOp(a, ast.Add() if minus else ast.Sub(), b)
        yield 1, f"in {left} the term {text_of(b)} has the wrong sign", flipped
        if not isinstance(a, ast.Constant) and not _is_sum(a):
            turned = ast.BinOp(_negated(a), node.op, b)
            yield 1, f"in {left} the term {text_of(a)} has the wrong sign", turned
        for term in (a, b):
            if not isinstance(term, ast.Constant) and not _is_sum(term):
                twice = ast.BinOp(node, ast.Sub() if minus and term is b else ast.Add(), term)
                yield 4, f"{left} counts the term {text_of(term)} twice", twice
        if minus and not isinstance(a, ast.Constant):
            turned = ast.BinOp(b, ast.Sub(), a)
            yield 1, f"in {left}, {text_of(turned)} stands where {text_of(node)} belongs", turned
    elif isinstance(node.op, ast.Mult | ast.Div):
        divided = isinstance(node.op, ast.Div)
        yield 1, f"{left} lacks the division by {text_of(b)}" if divided else _lacking(left, b), a
        if not divided:
            yield 1, _lacking(left, a), b
    elif isinstance(node.op, ast.Pow):
        yield 2, f"in {left}, {text_of(a)} stands where {text_of(node)} belongs", a
    elif isinstance(node.op, ast.MatMult) and isinstance(a, ast.Attribute) and a.attr == "T":
        plain = ast.BinOp(a.value, ast.MatMult(), b)
        yield 1, f"{left} multiplies by {text_of(a.value)} instead of {text_of(a)}", plain
    elif isinstance(node.op, ast.MatMult) and isinstance(a, ast.Name):
        turned = ast.BinOp(ast.Attribute(a, "T"), ast.MatMult(), b)
        yield 1, f"{left} multiplies by {text_of(turned.left)} instead of {text_of(a)}", turned
    if isinstance(node.op, ast.MatMult):
        yield 2, _lacking(left, a), b
        apart = ast.BinOp(a, ast.Mult(), b)
        yield 4, f"in {left}, {text_of(apart)} stands where {text_of(node)} belongs", apart


def _is_sum(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _negated(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    return ast.UnaryOp(ast.USub(), node)


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


def _values_of(left: str, forward: Mapping[str, tuple[object, ...]]) -> Iterator[ast.expr]:
    """Yield the read of h[t] for a cotangent of h: d_h[t], delta_h[t]."""
    cotangent, bracket, step = left.partition("[")
    variable = cotangent.partition("_")[2]
    if bracket and variable in forward:
        yield ast.parse(f"{variable}[{step}", mode="eval").body


def _other_masks(
    node: ast.Call, test: ast.Compare, left: str, forward: Mapping[str, tuple[object, ...]]
) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield a mask by the value itself, at the same step or the one before."""
    for read in _values_of(left, forward):
        assert isinstance(read, ast.Subscript)
        index, lag = lag_of(read.slice)
        for step in (lag - 1, lag) if index is not None else ():
            value = ast.Subscript(read.value, step_of(str(index), step), ast.Load())
            other = ast.Compare(value, test.ops, test.comparators)
            cause = f"in {left} the mask is {text_of(other)} in place of {text_of(test)}"
            yield 1, cause, ast.Call(node.func, [other, *node.args[1:]], [])


def _exchanged(node: ast.Call, left: str) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield a concatenation with two parts in each other's place, such as gates."""
    for i, j in combinations(range(len(node.args)), 2):
        parts = [*node.args]
        parts[i], parts[j] = parts[j], parts[i]
        cause = (
            f"in {left}, {text_of(node.args[i])} and {text_of(node.args[j])} have changed places"
        )
        yield 3, cause, ast.Call(node.func, parts, [])


def _lacking(left: str, factor: ast.expr) -> str:
    text = text_of(factor)
    if text.startswith("sum("):
        return (
            f"{left} takes {text} as 1: softmax followed by cross entropy has the cotangent "
            "prediction - target only where the targets sum to 1"
        )
    return f"{left} lacks the factor {text}"
