"""Right passes in other words: small changes of a function's syntax tree that change no value.

Each is an identity for the arrays it is meant for. Some hold for matrices and not for lists, so
what is rewritten is run on floats, and dropped where a number differs.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from random import Random

from tests.faults.mutate import Mutation, functions_in

Rewritten = tuple[str, list[ast.AST]]
STAND_INS = "abce"


def rewritten(source: str, draw: Random, count: int) -> str:
    """Return a source with that many rewrites, drawn one after the other."""
    tree = ast.parse(source)
    for number in range(count):
        found = list(rewrites(tree, f"part{number}"))
        kinds = sorted({each.cause for each in found})
        kind = draw.choice(kinds)
        tree = draw.choice([each for each in found if each.cause == kind]).applied(tree)
        tree = ast.parse(ast.unparse(tree))
    return ast.unparse(tree)


def rewrites(tree: ast.Module, fresh: str) -> Iterator[Mutation]:
    """Yield every rewrite inside functions; `fresh` is a name that is not taken."""
    place = functions_in(tree)
    for position, node in enumerate(ast.walk(tree)):
        if id(node) not in place:
            continue
        for kind, new in _at(node, fresh):
            yield Mutation(kind, place[id(node)], 0, kind, position, tuple(new))


def _at(node: ast.AST, fresh: str) -> Iterator[Rewritten]:
    if isinstance(node, ast.expr):
        for kind, pattern, forms in PATTERNS:
            parts = matched(pattern, node)
            if parts is not None:
                for form in forms:
                    yield kind, [filled(form, parts)]
    elif isinstance(node, ast.stmt):
        yield from _statement(node, fresh)


def _statement(node: ast.stmt, fresh: str) -> Iterator[Rewritten]:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        target = copy.deepcopy(node.target)
        target.ctx = ast.Load()
        for pair in ((target, node.value), (node.value, target)):
            yield (
                "sum in place",
                [ast.Assign([node.target], ast.BinOp(pair[0], ast.Add(), pair[1]))],
            )
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) and node.value is not None:
        for part in parts_of(node.value):
            yield (
                "named part",
                [_named(fresh, part), _with(node, part, ast.Name(fresh, ast.Load()))],
            )
    if isinstance(node, ast.For):
        yield from _loop(node)
        yield from _neighbours(node)


def _named(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def parts_of(value: ast.expr) -> Iterator[ast.expr]:
    """Yield the parts of an expression that are computed once, whatever happens."""
    pending: list[ast.AST] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Lambda | ast.IfExp | ast.BoolOp | ast.GeneratorExp | ast.ListComp):
            continue
        if isinstance(node, ast.DictComp | ast.SetComp):
            continue
        if isinstance(node, ast.BinOp | ast.Call) and node is not value:
            yield node
        pending += ast.iter_child_nodes(node)


def _with(node: ast.stmt, part: ast.expr, new: ast.expr) -> ast.stmt:
    """Return a statement with one part replaced."""

    class Exchange(ast.NodeTransformer):
        def visit(self, each: ast.AST) -> ast.AST:
            return new if each is kept else self.generic_visit(each)

    twin = copy.deepcopy(node)
    kept = list(ast.walk(twin))[list(map(id, ast.walk(node))).index(id(part))]
    return Exchange().visit(twin)


def _loop(node: ast.For) -> Iterator[Rewritten]:
    """Write a loop over steps as one with `while`."""
    jumps = any(isinstance(each, ast.Continue | ast.Break) for each in ast.walk(node))
    if jumps or node.orelse or not isinstance(node.target, ast.Name):
        return
    t = node.target.id
    for pattern, first, test, last in (
        ("range(a)", "0", "{t} < {a}", "{t} += 1"),
        ("reversed(range(a))", "{a} - 1", "{t} >= 0", "{t} -= 1"),
        ("range(a - 1, -1, -1)", "{a} - 1", "{t} >= 0", "{t} -= 1"),
    ):
        parts = matched(ast.parse(pattern, mode="eval").body, node.iter)
        if parts is not None:
            words = {"t": t, "a": f"({ast.unparse(parts['a'])})"}
            begin = ast.parse(f"{t} = {first.format(**words)}").body
            end = ast.parse(last.format(**words)).body
            condition = ast.parse(test.format(**words), mode="eval").body
            yield "while", [*begin, ast.While(condition, [*node.body, *end], [])]


def _neighbours(node: ast.For) -> Iterator[Rewritten]:
    """Exchange neighbours in a loop that do not touch what the other writes."""
    for k in range(len(node.body) - 1):
        one, other = node.body[k], node.body[k + 1]
        if not all(isinstance(each, ast.Assign | ast.AugAssign) for each in (one, other)):
            continue
        writes = [_written(each) for each in (one, other)]
        names = [{n.id for n in ast.walk(each) if isinstance(n, ast.Name)} for each in (one, other)]
        if writes[0] & names[1] or writes[1] & names[0]:
            continue
        body = [*node.body[:k], other, one, *node.body[k + 2 :]]
        yield "exchanged lines", [ast.For(node.target, node.iter, body, [])]


def _written(node: ast.stmt) -> set[str]:
    """Return the names whose values a statement may change; calls may change what they get."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
    found = {n.id for each in targets for n in ast.walk(each) if isinstance(n, ast.Name)}
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "np"):
            found |= {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
    return found


# -- patterns --------------------------------------------------------------------------------------

WORDS: list[tuple[str, str, tuple[str, ...]]] = [
    ("order of a sum", "a + b", ("b + a",)),
    ("order of a sum", "a + b + c", ("a + (b + c)", "a + c + b")),
    ("difference", "a - b", ("-b + a", "a + -b", "-(b - a)")),
    ("order of a product", "a * b", ("b * a", "np.multiply(a, b)")),
    ("order of a product", "a * b * c", ("a * (b * c)", "a * c * b")),
    ("distributed", "a * (b + c)", ("a * b + a * c",)),
    ("distributed", "a * (b - c)", ("a * b - a * c",)),
    ("distributed", "(b + c) * a", ("b * a + c * a",)),
    ("distributed", "(b - c) * a", ("b * a - c * a",)),
    ("distributed", "a @ (b + c)", ("a @ b + a @ c",)),
    ("collected", "a * b + a * c", ("a * (b + c)",)),
    ("collected", "a @ b + a @ c", ("a @ (b + c)",)),
    ("square", "a ** 2", ("a * a", "np.square(a)", "np.power(a, 2)")),
    ("square", "np.square(a)", ("a * a", "a ** 2")),
    ("slope", "1 - a ** 2", ("(1 - a) * (1 + a)", "1 - a * a", "-(a ** 2 - 1)")),
    ("slope", "1 - a * a", ("(1 - a) * (1 + a)", "1 - a ** 2")),
    ("product", "a @ b", ("np.dot(a, b)", "np.matmul(a, b)", "(b.T @ a.T).T", "a.dot(b)")),
    ("product", "np.dot(a, b)", ("a @ b", "np.matmul(a, b)", "np.dot(b.T, a.T).T", "a.dot(b)")),
    ("product", "np.matmul(a, b)", ("a @ b", "np.dot(a, b)")),
    ("outer product", "np.outer(a, b)", (
        "np.outer(b, a).T", "np.einsum('i,j->ij', np.ravel(a), np.ravel(b))",
        "np.ravel(a)[:, None] * np.ravel(b)",
    )),
    ("transpose", "a.T", ("np.transpose(a)", "a.transpose()")),
    ("half", "0.5 * a", ("a / 2", "a * 0.5")),
    ("half", "a / 2", ("0.5 * a", "a * 0.5")),
    ("half", "0.5 * np.sum(a ** 2)", ("np.sum(a * a) / 2", "np.sum(0.5 * a ** 2)")),
    ("sum", "np.sum(a)", ("a.sum()",)),
    ("sum", "a.sum()", ("np.sum(a)",)),
    ("sum over axes", "np.sum(a, axis=0)", (
        "a.sum(axis=0)", "np.ones(len(a)) @ a", "np.einsum('ij->j', a)", "a.T.sum(axis=1)",
    )),
    ("sum over axes", "a.sum(axis=0)", ("np.sum(a, axis=0)", "np.ones(len(a)) @ a", "a.sum(0)")),
    ("zeros", "np.zeros_like(a)", ("np.zeros(np.shape(a))", "0 * a", "np.full_like(a, 0)")),
    ("zeros", "np.zeros(a.shape)", ("np.zeros_like(a)",)),
    ("sigmoid", "1 / (1 + np.exp(-a))", (
        "np.exp(a) / (1 + np.exp(a))", "1 - 1 / (1 + np.exp(a))", "(1 + np.tanh(a / 2)) / 2",
        "(1 + np.exp(-a)) ** -1", "0.5 + 0.5 * np.tanh(0.5 * a)",
    )),
    ("sigmoid", "1.0 / (1.0 + np.exp(-a))", (
        "np.exp(a) / (np.exp(a) + 1)", "0.5 * (np.tanh(a / 2) + 1)", "1 / (1 + np.exp(-a))",
    )),
    ("sigmoid", "(1 + np.tanh(a / 2)) / 2", ("1 / (1 + np.exp(-a))",)),
    ("softmax", "np.exp(a) / np.sum(np.exp(a))", (
        "np.exp(a - np.max(a)) / np.sum(np.exp(a - np.max(a)))",
        "np.exp(a - np.log(np.sum(np.exp(a))))",
    )),
    ("steps down", "reversed(range(a))", ("range(a - 1, -1, -1)", "range(a)[::-1]")),
    ("steps down", "range(a - 1, -1, -1)", ("reversed(range(a))", "range(a)[::-1]")),
    ("stacked", "np.hstack(a)", ("np.concatenate(a, axis=-1)",)),
    ("stacked", "np.vstack(a)", ("np.concatenate(a, axis=0)",)),
]  # fmt: skip
"""Kinds of rewrites: what is found, and what may stand instead; a, b, c stand for anything."""
PATTERNS = [
    (kind, ast.parse(pattern, mode="eval").body, [ast.parse(f, mode="eval").body for f in forms])
    for kind, pattern, forms in WORDS
]


def matched(pattern: ast.AST, node: ast.AST) -> dict[str, ast.expr] | None:
    """Return what the stand-ins of a pattern are in a node; None where it does not fit."""
    found: dict[str, ast.expr] = {}
    pending = [(pattern, node)]
    while pending:
        left, right = pending.pop()
        if isinstance(left, ast.Name) and left.id in STAND_INS and isinstance(right, ast.expr):
            if left.id in found and ast.unparse(found[left.id]) != ast.unparse(right):
                return None
            found[left.id] = right
            continue
        if type(left) is not type(right):
            return None
        for name in left._fields:
            one, other = getattr(left, name, None), getattr(right, name, None)
            if isinstance(one, ast.AST) and isinstance(other, ast.AST):
                pending.append((one, other))
            elif isinstance(one, list) and isinstance(other, list):
                if len(one) != len(other):
                    return None
                pending += zip(one, other, strict=True)
            elif one != other:
                return None
    return found


def filled(form: ast.expr, parts: dict[str, ast.expr]) -> ast.expr:
    """Return a form with the parts put in."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(parts[node.id]) if node.id in STAND_INS else node

    return Fill().visit(copy.deepcopy(form))
