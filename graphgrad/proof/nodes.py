"""Expressions as a flat table of distinct nodes, arguments first, built without recursion."""

from __future__ import annotations

from collections.abc import Container

import sympy
from sympy.core.basic import Basic


class Nodes:
    """Distinct sub-expressions by number; structurally equal ones share a number.

    Nodes are found by object identity first and by (function, argument numbers) second, so that
    no comparison ever descends into an expression.
    """

    def __init__(self) -> None:
        self.heads: list[Basic | type[Basic]] = []
        """A leaf's own object, or the function of an inner node."""
        self.args: list[tuple[int, ...]] = []
        self._by_identity: dict[int, int] = {}
        self._by_structure: dict[tuple[object, ...], int] = {}
        self._alive: list[Basic] = []

    def intern(self, expr: Basic) -> int:
        """The number of an expression, after entering all its parts."""
        known = self._by_identity
        stack = [expr]
        while stack:
            top = stack[-1]
            if id(top) in known:
                stack.pop()
                continue
            missing = [arg for arg in top.args if id(arg) not in known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            args = tuple(known[id(arg)] for arg in top.args)
            known[id(top)] = self._enter(top.func if args else top, args)
            self._alive.append(top)
        return known[id(expr)]

    def subtract(self, left: int, right: int) -> int:
        """The node left - right."""
        minus = self._enter(sympy.Mul, (self.intern(sympy.S.NegativeOne), right))
        return self._enter(sympy.Add, (left, minus))

    def pending(self, root: int, done: Container[int]) -> list[int]:
        """Every node that the root needs and that is not done, in order of evaluation."""
        found: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in found and node not in done:
                found.add(node)
                stack.extend(self.args[node])
        return sorted(found)

    def symbols(self, root: int) -> list[int]:
        """The numbers of the symbols below a node."""
        reached = self.pending(root, ())
        return [node for node in reached if isinstance(self.heads[node], sympy.Symbol)]

    def logistic(self, node: int) -> set[int]:
        """Which exp or tanh a node shows to be a part of sigma: 1 + exp(u), or tanh(u/2).

        It is a matter of speed what is found here, and not of truth.
        """
        head, args = self.heads[node], self.args[node]
        if head is sympy.Add and sympy.S.One in map(self.heads.__getitem__, args):
            return {arg for arg in args if self.heads[arg] is sympy.exp}
        if head is sympy.tanh and self._is_half(args[0]):
            return {node}
        return set()

    def _is_half(self, node: int) -> bool:
        """Whether a node, or every term of a sum, has a factor like 1/2."""
        terms = self.args[node] if self.heads[node] is sympy.Add else (node,)
        return all(
            self.heads[term] is sympy.Mul and any(map(self._is_even_part, self.args[term]))
            for term in terms
        )

    def _is_even_part(self, node: int) -> bool:
        if self.heads[node] is sympy.Pow:
            base, exponent = (self.heads[arg] for arg in self.args[node])
            return (
                isinstance(base, sympy.Rational)
                and exponent is sympy.S.NegativeOne
                and (base.p % 2 == 0)
            )
        number = self.heads[node]
        return isinstance(number, sympy.Rational) and number.q % 2 == 0

    def _enter(self, head: Basic | type[Basic], args: tuple[int, ...]) -> int:
        key = (type(head), head, *args)
        if key not in self._by_structure:
            self._by_structure[key] = len(self.heads)
            self.heads.append(head)
            self.args.append(args)
        return self._by_structure[key]
