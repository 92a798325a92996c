"""Times and conditions on the time index, from syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from graphgrad.circuit import Circuit
from graphgrad.conditions import Affine, Compare, Condition, both, either, negate
from graphgrad.errors import GraphgradError, NotationError, Place
from graphgrad.notation.reader import MAX_DEPTH, Statement

Scope = frozenset[str]
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
SEVERAL = (
    "a value has one time index",
    "write h[t-1]; a component of it is at(h[t-1], 0), and sum(… for s in steps) is over an index",
)
"""What is wrong with h[s, t], and what to write instead."""


class IndexReader:
    """Reads whole-number expressions in the indices and lengths, and conditions made of them."""

    def __init__(self, circuit: Circuit, statement: Statement) -> None:
        self.circuit = circuit
        self.statement = statement

    def place(self, node: ast.AST) -> Place:
        """Return the place of a syntax tree."""
        return self.statement.place(node)

    def error(self, node: ast.AST, message: str, remedy: str | None = None) -> NotationError:
        """Return a notation error at a syntax tree."""
        return NotationError(message, place=self.place(node), remedy=remedy)

    def condition(self, tree: ast.expr, scope: Scope) -> Condition:
        """Return the condition of a syntax tree."""
        self._bounded(tree)
        try:
            return self._condition(tree, scope)
        except GraphgradError as error:
            raise error.at(self.place(tree)) from None

    def _bounded(self, tree: ast.expr) -> None:
        """Raise for a tree too deep for recursion; bounded reading is short and clear."""
        pending: list[tuple[ast.AST, int]] = [(tree, 0)]
        while pending:
            node, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise self.error(
                    tree, f"this is nested more than {MAX_DEPTH} levels deep", "write it shorter"
                )
            pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))

    def _condition(self, tree: ast.expr, scope: Scope) -> Condition:
        match tree:
            case ast.BoolOp(op=word, values=parts):
                conditions = [self._condition(part, scope) for part in parts]
                if isinstance(word, ast.And):
                    return both(*conditions)
                return either(*conditions)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negate(self._condition(operand, scope))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                known = self._known(scope)
                sides = [self._affine(side, known) for side in (left, *comparators)]
                if any(type(op) not in COMPARISONS for op in ops):
                    raise self.error(
                        tree, "conditions compare with ==, !=, <, <=, > and >=", "write t == tau"
                    )
                tests = [
                    Compare(COMPARISONS[type(op)], first, second)
                    for op, first, second in zip(ops, sides, sides[1:], strict=False)
                ]
                return both(*tests)
        raise self.error(
            tree,
            "a condition compares whole-number expressions in the time index",
            "write t == tau, t > 3, t % 2 == 0 and t < tau",
        )

    def affine(self, tree: ast.expr, scope: Iterable[str], *, allow_all: bool = False) -> Affine:
        """Return the integer expression of a syntax tree in the indices in scope and lengths."""
        self._bounded(tree)
        try:
            return self._affine(tree, self._known(self.circuit.indices if allow_all else scope))
        except GraphgradError as error:
            raise error.at(self.place(tree)) from None

    def _known(self, scope: Iterable[str]) -> set[str]:
        return {*scope, *(index.length for index in self.circuit.indices.values())}

    def _affine(self, tree: ast.expr, known: set[str]) -> Affine:
        match tree:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return Affine.number(0).plus(value)
            case ast.Name(id=name) if name in known:
                return Affine.name(name)
            case ast.Name(id=name):
                raise self.error(
                    tree,
                    f"{name} is not a time index or length here",
                    f"known here are: {', '.join(sorted(known))}",
                )
            case ast.Tuple():
                raise self.error(tree, *SEVERAL)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._affine(operand, known).times(-1)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                first = self._affine(left, known)
                second = self._affine(right, known)
                return first.plus(second, 1 if isinstance(op, ast.Add) else -1)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                first = self._affine(left, known)
                second = self._affine(right, known)
                if first.terms and second.terms:
                    raise self.error(tree, "times are multiplied by numbers only", "write 2*t")
                return (
                    second.times(first.constant) if second.terms else first.times(second.constant)
                )
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                inner = self._affine(left, known)
                modulus = self._affine(right, known)
                if modulus.terms or modulus.constant < 1:
                    raise self.error(right, "the modulus must be a whole number ≥ 1", "write t % 2")
                if not inner.terms:
                    return Affine.number(inner.constant % modulus.constant)
                return inner.modulo(modulus.constant)
        raise self.error(
            tree,
            "this is not a whole-number expression in the time index",
            "use t, tau, whole numbers, +, -, * and %; choose by a value with where(u > 0, a, b)",
        )
