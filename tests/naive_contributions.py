"""A second opinion on contributions: dual numbers whose parts say by which steps they came.

A part of a number is labelled with the parameter's entry and with (s, t). Going up from the use to
the loss, t is the first step passed and stays, s is the last equation with an index and is
overwritten. This is forward mode by recursion on the equations; the library's is a reverse sweep on
the unfolded graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.conditions import holds
from graphgrad.ir import Expr, topological
from tests.naive import Dual, Naive

Label = tuple[int | None, int | None]


class NaiveContributions(Naive):
    """The loss with what each parameter entry adds to it, by (s, t)."""

    def __init__(self, *given: Any, wrt: list[str]) -> None:
        super().__init__(*given)
        self.wrt = wrt
        self.first: dict[str, int] = {}
        total = 0
        for index in self.declared.indices:
            self.first[index], total = total, total + self.steps[index]
        self.total = total

    def table(self, loss: str, name: str) -> Any:
        """The contributions to one parameter: array [s, t, *shape]."""
        shape = np.shape(self.data[name])
        table = np.zeros((self.total, self.total, *shape), object)
        for (which, *position, label), part in getattr(self.value(loss), "parts", {}).items():
            if which == name:
                s, t = label
                t = self.total if t is None else t
                table[((s or t) - 1, t - 1, *position)] += part
        return table

    def _value(self, name: str, step: int | None) -> Any:
        value = super()._value(name, step)
        index = self.declared.index_of(name)
        inside = index is not None and step is not None and 1 <= step <= self.steps[index]
        if name in self.declared.equations and inside:
            own = self._own(index, step)
            return self._labelled(value, lambda label: (own, label[1] or own))
        return value

    def _own(self, index: Any, step: Any) -> int:
        return int(self.first[index] + step)

    def _labelled(self, value: Any, rule: Any) -> Any:
        def one(number: Any) -> Any:
            if not isinstance(number, Dual):
                return number
            parts: dict[Any, Any] = {}
            for (*entry, label), part in number.parts.items():
                key = (*entry, rule(label))
                parts[key] = parts.get(key, 0) + part
            return Dual(number.value, parts)

        if isinstance(value, np.ndarray):
            return np.frompyfunc(one, 1, 1)(value) if value.ndim else one(value[()])
        return one(value)

    def _expr(self, expr: Expr, at: Mapping[str, int]) -> Any:
        name, attr = expr.op.name, expr.attr
        if name == "param" and attr in self.wrt:
            array = np.asarray(self.data[attr], object)
            result = np.empty(array.shape, object)
            for position in np.ndindex(*array.shape):
                key = (attr, *position, (None, None))
                result[position] = Dual(array[position], {key: Fraction(1)})
            return result if array.ndim else result[()]
        if name == "reduce":
            return self._reduced(expr)
        return super()._expr(expr, dict(at))

    def _reduced(self, expr: Expr) -> Any:
        """A sum or mean, whose body passes a step where it computes something at that step."""
        attr = expr.attr
        plain = Expr(expr.op, (expr.args[0],), attr)
        terms = []
        for step in range(1, self.steps[attr.over] + 1):
            if not holds(attr.condition, {attr.over: step} | self.lengths):
                continue
            at, body = {attr.over: step}, plain.args[0]
            shape = self._shape(body)
            while body.op.name == "choose":
                body = body.args[0 if holds(body.attr, at | self.lengths) else 1]
            value = self._expr(body, at)
            if body.op.name != "read" and self._varies(body):
                own = self._own(attr.over, step)
                value = self._labelled(value, lambda label, own=own: (label[0], label[1] or own))
            terms.append(value if np.shape(value) else self._fitted(value, shape))
        if not terms:
            return super()._expr(plain, {})
        total = sum(terms[1:], terms[0])
        return total / Fraction(len(terms)) if attr.kind == "mean" else total

    def _varies(self, body: Expr) -> bool:
        inner: set[int] = set()
        for expr in reversed(topological([body])):
            if expr.op.name == "reduce" or id(expr) in inner:
                inner.update(id(arg) for arg in expr.args)
            if id(expr) in inner:
                continue
            if expr.op.name == "read":
                return True
            if expr.op.name == "counter" and expr.attr in self.declared.indices:
                return True
            if expr.op.name == "choose":
                return True
        return False
