"""Backward passes in which one value is mistaken everywhere: stored at the wrong time, or unsaved.

What a forward pass keeps for its backward pass is read in several equations. Where it is the wrong
value (c for tanh(c), the new state for the old one), all of them are wrong in the same way.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping

from graphgrad.proof.check_mutants import CURVED, Mutant
from graphgrad.proof.check_slips import undivided
from graphgrad.proof.check_steps import lag_of, step_of, text_of


def quotients(
    equations: Mapping[str, str], forward: Mapping[str, str], prefix: str
) -> list[Mutant]:
    """Return the changes in which what comes through a quotient is not divided."""
    found = undivided(equations, forward, prefix)
    return [Mutant(cause, right, text, 3) for cause, right, text in found]


def everywhere(
    equations: Mapping[str, str], forward: Mapping[str, tuple[object, ...]]
) -> list[Mutant]:
    """Return the changes of one value in all backward equations that read it, if several do."""
    trees = {text: tree for text in equations.values() if (tree := _parsed(text)) is not None}
    wanted: dict[str, tuple[ast.expr, list[ast.expr]]] = {}
    for tree in trees.values():
        for node in ast.walk(tree.value):
            if isinstance(node, ast.expr):
                wanted.setdefault(ast.dump(node), (node, list(_mistaken(node, forward))))
    found = []
    for node, others in wanted.values():
        for other in others:
            changes = [
                (right, new) for right, tree in trees.items() if (new := _with(tree, node, other))
            ]
            if len(changes) > 1:
                cause = f"{text_of(other)} stands wherever {text_of(node)} belongs"
                (right, text), *more = changes
                found.append(Mutant(cause, right, text, 2, tuple(more)))
    return found


def _parsed(equation: str) -> ast.Assign | None:
    try:
        statement = ast.parse(equation).body[0]
    except SyntaxError:
        return None
    return statement if isinstance(statement, ast.Assign) else None


def _mistaken(node: ast.expr, forward: Mapping[str, tuple[object, ...]]) -> Iterator[ast.expr]:
    """Yield what is kept by mistake for a value of the forward pass."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        if node.func.id in CURVED:
            yield node.args[0]
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        index, lag = lag_of(node.slice)
        if index is not None and node.value.id in forward:
            shifts = (-lag,) if lag else (1, -1)
            for shift in shifts:
                yield ast.Subscript(node.value, step_of(index, lag + shift), ast.Load())


def _with(tree: ast.Assign, node: ast.expr, other: ast.expr) -> str | None:
    """Return an equation with an expression exchanged everywhere, None where it is not in it."""
    fresh = copy.deepcopy(tree)
    old, made = ast.dump(node), False
    for parent in ast.walk(fresh):
        for name, child in ast.iter_fields(parent):
            if isinstance(child, ast.expr) and name != "slice" and ast.dump(child) == old:
                setattr(parent, name, other)
                made = True
            elif isinstance(child, list) and parent is not fresh:
                same = [isinstance(each, ast.AST) and ast.dump(each) == old for each in child]
                made = made or any(same)
                pairs = zip(same, child, strict=True)
                setattr(parent, name, [other if equal else each for equal, each in pairs])
    return ast.unparse(fresh) if made else None
