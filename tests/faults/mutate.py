"""Faults in Python code: every small change of a function's syntax tree, with what it is called.

The same operators serve hand-written backward passes and the library's own modules. A change is
found once and applied to a copy of the tree, which keeps its line numbers.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Functions = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True)
class Mutation:
    """One change: of the node at `position` in the walk of a tree, to the nodes `new`.

    A statement may become none or several; an expression becomes one.
    """

    cause: str
    function: str
    line: int
    text: str
    position: int
    new: tuple[ast.AST, ...]

    def applied(self, tree: ast.Module) -> ast.Module:
        """Return a changed copy of the tree."""
        fresh = copy.deepcopy(tree)
        target = list(ast.walk(fresh))[self.position]
        new = [ast.copy_location(copy.deepcopy(each), target) for each in self.new]
        for parent in ast.walk(fresh):
            for name, child in ast.iter_fields(parent):
                if child is target:
                    setattr(parent, name, new[0])
                elif isinstance(child, list) and any(each is target for each in child):
                    spread = [n for each in child for n in (new if each is target else [each])]
                    if not spread and isinstance(target, ast.stmt):
                        spread = [ast.copy_location(ast.Pass(), target)]
                    setattr(parent, name, spread)
        return ast.fix_missing_locations(fresh)


def mutations(tree: ast.Module, within: Callable[[str], bool]) -> list[Mutation]:
    """Return the changes inside the functions whose qualified names `within` accepts."""
    place = functions_in(tree)
    assigned = _assigned(tree, place)
    silent = _silent(tree)
    found = []
    for position, node in enumerate(ast.walk(tree)):
        function = place.get(id(node), "")
        if not function or id(node) in silent or not within(function):
            continue
        for cause, new in _changes(node, assigned.get(function, [])):
            text = f"{_shown(node)} → {'; '.join(map(_shown, new)) or 'nothing'}"
            line = getattr(node, "lineno", 0)
            found.append(Mutation(cause, function, line, text, position, tuple(new)))
    return found


def _shown(node: ast.AST) -> str:
    text = ast.unparse(ast.fix_missing_locations(node)).replace("\n", " ")
    return text if len(text) <= 70 else f"{text[:67]}…"


def functions_in(tree: ast.Module) -> dict[int, str]:
    """Return the qualified name of the function that each node stands in."""
    place: dict[int, str] = {}
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, inside = pending.pop()
        for child in ast.iter_child_nodes(node):
            name = inside
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{inside}.{child.name}" if inside else child.name
            elif isinstance(child, ast.Lambda):
                name = f"{inside}.<lambda>" if inside else "<lambda>"
            if name and not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
                place[id(child)] = name
            pending.append((child, name))
    return place


def _assigned(tree: ast.Module, place: dict[int, str]) -> dict[str, list[str]]:
    """Return the names that each function assigns, and its arguments, in order."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        name = node.arg if isinstance(node, ast.arg) else ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        names = found.setdefault(place.get(id(node), ""), [])
        if name and name not in names and name != "self":
            names.append(name)
    return found


def _silent(tree: ast.Module) -> set[int]:
    """Return the nodes that say nothing: docstrings, annotations, messages of errors, asserts."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef):
            parts += [node.returns, *node.decorator_list]
            parts += [node.body[0]] if ast.get_docstring(node) is not None else []
        elif isinstance(node, ast.arg | ast.AnnAssign):
            parts.append(node.annotation)
        elif isinstance(node, ast.Assert | ast.ImportFrom | ast.Import):
            parts.append(node)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts.append(node.exc)
        elif isinstance(node, ast.JoinedStr):
            parts.append(node)
        for part in parts:
            if part is not None:
                found |= {id(inner) for inner in ast.walk(part)}
    return found


Change = tuple[str, Sequence[ast.AST]]


def _changes(node: ast.AST, names: list[str]) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        yield from _statement(node)
    elif isinstance(node, ast.BinOp):
        yield from _binary(node)
    elif isinstance(node, ast.UnaryOp):
        yield ("sign" if isinstance(node.op, ast.USub) else "boundary"), [node.operand]
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARED.get(type(node.ops[0]), ()):
            yield "boundary", [ast.Compare(node.left, [op()], node.comparators)]
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boundary", [ast.BoolOp(other, node.values)]
        for each in node.values:
            rest = [value for value in node.values if value is not each]
            yield "boundary", [rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)]
    elif isinstance(node, ast.IfExp):
        yield "boundary", [node.body]
        yield "boundary", [node.orelse]
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", [node.value]
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield from _subscript(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        start = names.index(node.id)
        for shift in (1, 2):
            other = names[(start + shift) % len(names)]
            if other != node.id:
                yield "wrong variable", [ast.Name(other, ast.Load())]
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "boundary", [ast.comprehension(node.target, node.iter, [], 0)]


COMPARED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip


def _statement(node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.AugAssign):
        yield "accumulation", [ast.Assign([_load(node.target, ast.Store())], node.value)]
        if isinstance(node.op, ast.Add | ast.Sub):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            yield "sign", [ast.AugAssign(node.target, other, node.value)]
            yield "counted twice", [node, node]
            yield "missing term", []
        else:
            yield "factor", []
    elif isinstance(node, ast.Assign | ast.Expr | ast.Delete):
        yield "missing term", []
    elif isinstance(node, ast.If):
        yield "boundary", [ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)]
        yield "boundary", node.body
        yield "boundary", node.orelse
    elif isinstance(node, ast.For):
        first = ast.Subscript(_listed(node.iter), _slice(1, None), ast.Load())
        last = ast.Subscript(_listed(node.iter), _slice(None, -1), ast.Load())
        turned = ast.Subscript(_listed(node.iter), _slice(None, None, -1), ast.Load())
        recent = ast.Subscript(_listed(node.iter), _slice(None, 2), ast.Load())
        for cause, steps in (
            ("boundary", first), ("boundary", last), ("order", turned), ("truncation", recent)
        ):  # fmt: skip
            yield cause, [ast.For(node.target, steps, node.body, node.orelse)]
        yield from _reordered(node)
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        parts = node.value.elts
        for k in range(len(parts) - 1):
            swapped = [*parts[:k], parts[k + 1], parts[k], *parts[k + 2 :]]
            yield "wrong variable", [ast.Return(ast.Tuple(swapped, ast.Load()))]
    elif isinstance(node, ast.Continue | ast.Break):
        yield "boundary", []


def _reordered(node: ast.For) -> Iterator[Change]:
    """Exchange neighbours in the body of a loop."""
    for k in range(len(node.body) - 1):
        body = [*node.body[:k], node.body[k + 1], node.body[k], *node.body[k + 2 :]]
        yield "order", [ast.For(node.target, node.iter, body, node.orelse)]


def _listed(iterable: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("list", ast.Load()), [iterable], [])


def _slice(lower: int | None, upper: int | None, step: int | None = None) -> ast.Slice:
    parts = [None if k is None else ast.Constant(k) for k in (lower, upper, step)]
    return ast.Slice(*parts)


def _load(node: ast.expr, context: ast.expr_context) -> ast.expr:
    fresh = copy.deepcopy(node)
    fresh.ctx = context  # type: ignore[attr-defined]
    return fresh


def _binary(node: ast.BinOp) -> Iterator[Change]:
    a, b = node.left, node.right
    if isinstance(node.op, ast.Add | ast.Sub):
        minus = isinstance(node.op, ast.Sub)
        yield "sign", [ast.BinOp(a, ast.Add() if minus else ast.Sub(), b)]
        yield "missing term", [a]
        yield "missing term", [ast.UnaryOp(ast.USub(), b) if minus else b]
        if isinstance(a, ast.Constant) and isinstance(b, ast.BinOp | ast.Subscript | ast.Name):
            inner = b.left if isinstance(b, ast.BinOp) else b
            yield "wrong derivative", [ast.BinOp(inner, ast.Mult(), ast.BinOp(a, ast.Sub(), inner))]
    elif isinstance(node.op, ast.Mult):
        yield "factor", [a]
        yield "factor", [b]
        yield "rounded constant", [ast.BinOp(ast.Constant(1.000001), ast.Mult(), node)]
    elif isinstance(node.op, ast.Div):
        yield "factor", [a]
        yield "factor", [ast.BinOp(a, ast.Mult(), b)]
        yield (
            "rounded constant",
            [ast.BinOp(a, ast.Div(), ast.BinOp(b, ast.Add(), ast.Constant(1e-6)))],
        )
    elif isinstance(node.op, ast.MatMult):
        yield "transpose", [ast.BinOp(ast.Attribute(a, "T", ast.Load()), ast.MatMult(), b)]
        yield "transpose", [ast.BinOp(a, ast.MatMult(), ast.Attribute(b, "T", ast.Load()))]
        yield "transpose", [ast.BinOp(b, ast.MatMult(), a)]
    elif isinstance(node.op, ast.Pow):
        yield "wrong derivative", [a]
        yield "wrong derivative", [ast.BinOp(a, ast.Pow(), ast.BinOp(b, ast.Add(), ONE))]
    elif isinstance(node.op, ast.BitAnd | ast.BitOr):
        other = ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd()
        yield "boundary", [ast.BinOp(a, other, b)]
        yield "missing term", [a]


ONE = ast.Constant(1)


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", [ast.Constant(not value)]
    elif isinstance(value, int):
        yield "constant", [ast.Constant(value + 1)]
        yield "constant", [ast.Constant(value - 1)]
    elif isinstance(value, float):
        yield "constant", [ast.Constant(2 * value)]
        yield "rounded constant", [ast.Constant(value * (1 + 1e-6))]
    elif value is None:
        yield "constant", [ast.Constant(0)]


def _subscript(node: ast.Subscript) -> Iterator[Change]:
    if isinstance(node.slice, ast.Name):
        for op in (ast.Sub(), ast.Add()):
            yield (
                "wrong step",
                [ast.Subscript(node.value, ast.BinOp(node.slice, op, ONE), node.ctx)],
            )
    elif (
        isinstance(node.slice, ast.BinOp)
        and isinstance(node.slice.left, ast.Name)
        and isinstance(node.slice.right, ast.Constant)
    ):
        yield "wrong step", [ast.Subscript(node.value, node.slice.left, node.ctx)]


def _call(node: ast.Call) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    plain = not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args)
    if name in ("outer", "dot", "matmul", "subtract", "divide") and len(node.args) == 2 and plain:
        yield "transpose", [ast.Call(node.func, node.args[::-1], [])]
    if name in ("sum", "mean") and isinstance(node.func, ast.Attribute):
        other = "mean" if name == "sum" else "sum"
        function = ast.Attribute(node.func.value, other, ast.Load())
        yield "average", [ast.Call(function, node.args, node.keywords)]
    if name == "zeros_like" and isinstance(node.func, ast.Attribute):
        function = ast.Attribute(node.func.value, "ones_like", ast.Load())
        yield "accumulation", [ast.Call(function, node.args, node.keywords)]
    if name == "range" and len(node.args) > 1:
        yield "boundary", [ast.Call(node.func, node.args[1:], [])]
    elif name == "range":
        less = ast.BinOp(node.args[0], ast.Sub(), ONE)
        yield "boundary", [ast.Call(node.func, [less], [])]
    if (
        len(node.args) == 1
        and plain
        and name not in ("len", "range", "list", "tuple", "zeros_like")
    ):
        cause = "order" if name == "reversed" else "wrong derivative"
        yield cause, [node.args[0]]
    elif len(node.args) > 1 and plain:
        for k in range(min(len(node.args), 3)):
            yield "wrong variable", [node.args[k]]
