"""Statements in simpler ops: softmax, losses and their like as elementwise work, sums and maxima.

What is left is elementwise, a sum or a maximum over the components, or about structure. Softmax and
log_softmax of a matrix go by rows and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from graphgrad.compile.schedule import Operand, Statement
from graphgrad.dims import Shape
from graphgrad.ir import Number

Given = Operand | Number


def simplified(statements: Iterable[Statement], shape_of: Any) -> Iterator[Statement]:
    """Yield statements that compute the same; new ones are named after the one they are part of.

    `shape_of` gives the shape of a name.
    """
    for statement in statements:
        yield from _Steps(statement, shape_of).steps()


class _Steps:
    """The simpler statements for one."""

    def __init__(self, statement: Statement, shape_of: Any) -> None:
        self.statement = statement
        self.shape_of = shape_of
        self.found: list[Statement] = []

    def steps(self) -> list[Statement]:
        statement = self.statement
        given = statement.operands
        shapes = [self._shape(each) for each in given]
        own = next((shape for shape in shapes if shape), ())
        match statement.op:
            case "softmax" if len(statement.shape) == 1:
                weights, total = self._weights(given[0], own)
                self._last("div", weights, total)
            case "log_softmax" if len(statement.shape) == 1:
                shifted, total = self._shifted_total(given[0], own)
                self._last("sub", shifted, self._add("log", (), total))
            case "logsumexp":
                top = self._add("max", (), given[0])
                total = self._total(self._add("exp", own, self._add("sub", own, given[0], top)))
                self._last("add", top, self._add("log", (), total))
            case "cross_entropy":
                p, y = given
                safe = self._add("where", own, y, 0, 1, p, attr="==")
                term = self._add("mul", own, y, self._add("log", own, safe))
                self._last("neg", self._total(self._add("where", own, y, 0, 0, term, attr="==")))
            case "softmax_cross_entropy":
                o, y = given
                top = self._add("max", (), o)
                total = self._total(self._add("exp", own, self._add("sub", own, o, top)))
                log_total = self._add("add", (), top, self._add("log", (), total))
                scaled = self._add("mul", (), log_total, self._total(y))
                self._last("sub", scaled, self._total(self._add("mul", own, o, y)))
            case "sigmoid_binary_cross_entropy":
                o, y = given
                product = self._add("mul", own, y, o)
                term = self._add("sub", own, self._add("softplus", own, o), product)
                self._last_total(term, own)
            case "squared_error":
                gap = self._add("sub", own, *given)
                total = self._total(self._add("mul", own, gap, gap), own)
                self._last("mul", 0.5, total)
            case "hinge":
                u, y = given
                inside = self._add("sub", own, 1, self._add("mul", own, y, u))
                self._last_total(self._add("relu", own, inside), own)
            case "matmul" if len(shapes[0]) == 1:
                self._last_total(self._add("mul", own, *given), own)
            case "sum" | "mean" | "max" if not own:
                self._last("copy", given[0])
            case _:
                self.found.append(statement)
        return self.found

    def _shape(self, given: Given) -> Shape:
        shape: Shape = self.shape_of(given.name) if isinstance(given, Operand) else ()
        return shape

    def _add(self, op: str, shape: Shape, *given: Given, attr: Any = None) -> Operand:
        base = self.statement
        name = f"{base.name}_{len(self.found)}_"
        self.found.append(Statement(name, op, given, attr, base.index, base.batched, shape))
        return Operand(name)

    def _last(self, op: str, *given: Given) -> None:
        self.found.append(replace(self.statement, op=op, operands=given, attr=None))

    def _total(self, given: Given, shape: Shape | None = None) -> Given:
        if shape == ():
            return given
        return self._add("sum", (), given)

    def _last_total(self, given: Given, shape: Shape) -> None:
        self._last("sum" if shape else "copy", given)

    def _shifted_total(self, u: Given, own: Shape) -> tuple[Operand, Given]:
        shifted = self._add("sub", own, u, self._add("max", (), u))
        return shifted, self._total(self._add("exp", own, shifted))

    def _weights(self, u: Given, own: Shape) -> tuple[Operand, Given]:
        shifted = self._add("sub", own, u, self._add("max", (), u))
        weights = self._add("exp", own, shifted)
        return weights, self._total(weights)
