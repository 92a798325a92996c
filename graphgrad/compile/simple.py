"""Statements in simpler ops: softmax, losses and their like as elementwise work, sums and maxima.

What is left is elementwise, a sum or a maximum over the components, or about structure. Softmax and
log_softmax of a matrix go by rows and stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

from graphgrad.compile.schedule import Operand, Statement
from graphgrad.dims import Shape
from graphgrad.ir import Number

Given = Operand | Number


class Softmax(NamedTuple):
    """The parts of a softmax: z ≤ 0, e^z and Σ e^z; it is e^z / Σ e^z, its log z - log Σ e^z."""

    shifted: Operand
    weights: Operand
    total: Given


def simplified(
    statement: Statement, shape_of: Any, softmaxes: dict[str, Softmax]
) -> list[Statement]:
    """Return statements that compute the same; new ones are named after the one they are part of.

    `shape_of` gives the shape of a name. `softmaxes` are those computed shortly before, by name; if
    the statement is another one, it is added.
    """
    return _Steps(statement, shape_of, softmaxes).steps()


class _Steps:
    """The simpler statements for one."""

    def __init__(self, statement: Statement, shape_of: Any, softmaxes: dict[str, Softmax]) -> None:
        self.statement = statement
        self.shape_of = shape_of
        self.softmaxes = softmaxes
        self.found: list[Statement] = []

    def steps(self) -> list[Statement]:
        statement = self.statement
        given = statement.operands
        shapes = [self._shape(each) for each in given]
        own = next((shape for shape in shapes if shape), ())
        match statement.op:
            case "softmax" if len(statement.shape) == 1:
                made = self.softmaxes[statement.name] = self._softmax(given[0], own)
                self._last("div", made.weights, made.total)
            case "log_softmax" if len(statement.shape) == 1:
                made = self._softmax(given[0], own)
                self._last("sub", made.shifted, self._add("log", (), made.total))
            case "logsumexp":
                top = self._add("max", (), given[0])
                total = self._total(self._add("exp", own, self._add("sub", own, given[0], top)))
                self._last("add", top, self._add("log", (), total))
            case "cross_entropy":
                p, y = given
                known = self._known_softmax(p)
                if known is None:
                    safe = self._add("where", own, y, 0, 1, p, attr="==")
                    self._last("neg", self._weighted(y, self._add("log", own, safe), own))
                else:
                    logs = self._add("where", own, known.weights, 0, -inf, known.shifted, attr="==")
                    log_total = self._add("log", (), known.total)
                    scaled = self._add("mul", (), log_total, self._total(y))
                    self._last("sub", scaled, self._weighted(y, logs, own))
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

    def _weighted(self, y: Given, values: Given, own: Shape) -> Given:
        """Return Σ y · values, where a y of 0 counts as 0 whatever the value is."""
        term = self._add("mul", own, y, values)
        return self._total(self._add("where", own, y, 0, 0, term, attr="=="))

    def _known_softmax(self, p: Given) -> Softmax | None:
        if isinstance(p, Operand) and not p.lag:
            return self.softmaxes.get(p.name)
        return None

    def _softmax(self, u: Given, own: Shape) -> Softmax:
        shifted = self._add("sub", own, u, self._add("max", (), u))
        weights = self._add("exp", own, shifted)
        return Softmax(shifted, weights, self._total(weights))
