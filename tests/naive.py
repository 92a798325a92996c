"""A second opinion: circuits evaluated straight from their equations, by recursion.

`Naive` follows the definition and nothing else: the value of (variable, step) is its equation with
every read resolved to the instance inside 1..τ, else to the boundary equation, else to zero. It
knows no order of computation, no templates and no flat arrays. `Dual` numbers give derivatives
in forward mode, exactly over Fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.algebras import FractionAlgebra
from graphgrad.circuit import Circuit
from graphgrad.conditions import holds
from graphgrad.dims import Dim, Token
from graphgrad.ir import At, Expr


class EmptyMean(Exception):
    """A mean over no step, which has no value."""


class Dual:
    """`value + Σ parts[k]·ε_k` with ε_i·ε_j = 0."""

    __slots__ = ("parts", "value")

    def __init__(self, value: Any, parts: Mapping[Any, Any] | None = None) -> None:
        self.value = value
        self.parts = dict(parts or {})

    @staticmethod
    def of(value: Any) -> Dual:
        return value if isinstance(value, Dual) else Dual(value)

    def _scaled(self, factor: Any) -> dict[Any, Any]:
        return {k: part * factor for k, part in self.parts.items()}

    @staticmethod
    def _merged(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> dict[Any, Any]:
        merged = dict(a)
        for k, part in b.items():
            merged[k] = merged.get(k, 0) + part
        return merged

    def __add__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Dual.of(other)
        return Dual(self.value + other.value, self._merged(self.parts, other.parts))

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, self._scaled(-1))

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else self + -Dual.of(other)

    def __rsub__(self, other: Any) -> Any:
        return Dual.of(other) + -self

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Dual.of(other)
        parts = self._merged(self._scaled(other.value), other._scaled(self.value))
        return Dual(self.value * other.value, parts)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = Dual.of(other)
        quotient = self.value / Fraction(other.value)
        top = self._merged(self.parts, other._scaled(-quotient))
        return Dual(quotient, {k: part / other.value for k, part in top.items()})

    def __rtruediv__(self, other: Any) -> Any:
        return Dual.of(other) / self

    def __pow__(self, exponent: Any) -> Dual:
        n = int(exponent)
        assert n == exponent
        slope = n * self.value ** (n - 1) if n else 0
        return Dual(self.value**n, self._scaled(slope))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == Dual.of(other).value)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < Dual.of(other).value)

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= Dual.of(other).value)

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > Dual.of(other).value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= Dual.of(other).value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Dual({self.value}, {self.parts})"


def plain(value: Any) -> Any:
    """The value without its derivative."""
    return value.value if isinstance(value, Dual) else value


def lifted(name: str, value: Any) -> Any:
    """An array with each entry (name, *position) made a Dual with a part of its own."""
    array = np.asarray(value, object)
    result = np.empty(array.shape, object)
    for position in np.ndindex(*array.shape):
        result[position] = Dual(array[position], {(name, *position): Fraction(1)})
    return result


class DualAlgebra(FractionAlgebra):
    """Dual numbers over Fractions, for the library's own interpreter."""

    def scalar(self, name: str, value: Any) -> Any:
        return value if isinstance(value, Dual) else super().scalar(name, value)

    def function(self, name: str) -> Any:
        return (lambda u: plain(u)) if name == "stop_gradient" else super().function(name)


def entrywise(function: Any) -> Any:
    def apply(*arrays: Any) -> Any:
        arrays = tuple(np.asarray(a, object) for a in arrays)
        return np.frompyfunc(function, len(arrays), 1)(*arrays)

    return apply


def _sum(v: Any) -> Any:
    total: Any = Fraction(0)
    for entry in np.asarray(v, object).flat:
        total = total + entry
    return total


def _concat(*parts: Any) -> Any:
    return np.concatenate([np.asarray(part, object).reshape(-1) for part in parts])


# What each op means, over numbers that have only + - * / ** and comparisons.
MEANING: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "pow": lambda a, b: entrywise(lambda u, n: u ** int(plain(n)))(a, b),
    "matmul": lambda a, b: np.dot(a, b),
    "outer": lambda a, b: np.array([[u * v for v in b] for u in a], object),
    "transpose": lambda a: a.T,
    "concat": _concat,
    "sum": _sum,
    "mean": lambda v: _sum(v) / Fraction(int(np.size(v))),
    "max": lambda v: max(np.asarray(v, object).flat),
    "squared_error": lambda u, v: _sum((u - v) * (u - v)) / Fraction(2),
    "relu": entrywise(lambda u: u if u > 0 else 0 * u),
    "abs": entrywise(lambda u: u if u > 0 else -u if u < 0 else 0 * u),
    "maximum": entrywise(lambda a, b: a if a >= b else b),
    "minimum": entrywise(lambda a, b: a if a <= b else b),
    "stop_gradient": entrywise(plain),
}
RELATIONS: dict[str, Any] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


class Naive:
    """The values of a circuit by definition; `steps` gives the number of steps per index."""

    def __init__(
        self,
        circuit: Circuit,
        steps: Mapping[str, int],
        sizes: Mapping[str, int],
        values: Mapping[str, Any],
    ) -> None:
        self.circuit = circuit
        self.declared = circuit.declared()
        self.shapes = {name: v.shape for name, v in circuit.variables.items()}
        self.steps = dict(steps)
        self.sizes = dict(sizes)
        self.data = values
        self.known: dict[tuple[str, int | None], Any] = {}
        self.lengths = {i.length: steps[n] for n, i in self.declared.indices.items()}

    def value(self, name: str, step: int | None = None) -> Any:
        """The value of a variable at a step (any whole number), or of a static one."""
        key = name, step
        if key not in self.known:
            self.known[key] = self._value(name, step)
        return self.known[key]

    def stacked(self, name: str) -> Any:
        """All steps of a variable as one array, or its value if it is static."""
        index = self.declared.equations[name].index
        if index is None:
            return np.asarray(self.value(name), object)
        rows = [np.asarray(self.value(name, k), object) for k in range(1, self.steps[index] + 1)]
        return np.stack(rows)

    def _value(self, name: str, step: int | None) -> Any:
        equations, inputs = self.declared.equations, self.declared.inputs
        index = self.declared.index_of(name)
        shape = self.shapes[name] if name in equations else inputs[name].type
        if step is None:
            if name in inputs:
                return self.data[name]
            return self._fitted(self._expr(equations[name].root, {}), shape)
        assert index is not None
        last = self.steps[index]
        if 1 <= step <= last:
            if name in inputs:
                return self.data[name][step - 1]
            return self._fitted(self._expr(equations[name].root, {index: step}), shape)
        key = At(name, True, step - last) if step > last else At(name, False, step)
        if key in self.declared.boundaries:
            return self._fitted(self._expr(self.declared.boundaries[key].root, {}), shape)
        assert not isinstance(shape, Token)
        return self._fitted(Fraction(0), shape)

    def _fitted(self, value: Any, shape: Any) -> Any:
        """A scalar where an array is meant stands for an array of it."""
        if isinstance(shape, Token) or np.shape(value):
            return value
        lengths = tuple(int(dim.bind(self.sizes)) for dim in shape)
        if not lengths:
            return value
        filled = np.empty(lengths, object)
        filled.fill(value)
        return filled

    def _expr(self, expr: Expr, at: dict[str, int]) -> Any:
        attr = expr.attr
        match expr.op.name:
            case "const":
                return Fraction(str(attr))
            case "param" | "input":
                value = self.data[attr]
                return value[()] if isinstance(value, np.ndarray) and not value.ndim else value
            case "static":
                return self.value(attr)
            case "read":
                index = self.declared.index_of(attr.name)
                assert index is not None
                return self.value(attr.name, at[index] - attr.lag)
            case "at_step":
                index = self.declared.index_of(attr.name)
                assert index is not None
                return self.value(attr.name, attr.offset + attr.last * self.steps[index])
            case "counter":
                return Fraction((at | self.lengths)[attr])
            case "size":
                return Fraction(self.sizes[attr])
            case "fill":
                return self._fitted(Fraction(attr.value), attr.shape)
            case "basis":
                unit = self._fitted(Fraction(0), (attr.size,))
                unit[attr.position] = Fraction(1)
                return unit
            case "choose":
                chosen = bool(holds(attr, at | self.lengths))
                return self._joined(expr, 0 if chosen else 1, at)
            case "reduce":
                terms = [
                    self._expr(expr.args[0], {attr.over: step})
                    for step in range(1, self.steps[attr.over] + 1)
                    if holds(attr.condition, {attr.over: step} | self.lengths)
                ]
                if attr.kind == "mean":
                    if not terms:
                        raise EmptyMean
                    return sum(terms[1:], terms[0]) / Fraction(len(terms))
                if not terms:
                    return self._fitted(Fraction(0), self._shape(expr.args[0]))
                return sum(terms[1:], terms[0])
            case "lookup":
                return self._expr(expr.args[0], at)[int(self._expr(expr.args[1], at))]
            case "onehot":
                kind = expr.args[0].attr.name
                unit = self._fitted(Fraction(0), (self.declared.inputs[kind].type.size,))
                unit[int(self._expr(expr.args[0], at))] = Fraction(1)
                return unit
            case "component":
                return self._expr(expr.args[0], at)[attr]
            case "part":
                whole = self._expr(expr.args[0], at)
                if isinstance(attr.sizes, int):
                    return np.split(whole, attr.sizes)[attr.position]
                ends = np.cumsum([int(dim.bind(self.sizes)) for dim in attr.sizes])
                return np.split(whole, ends[:-1])[attr.position]
            case "where":
                left, right, a, b = (self._expr(arg, at) for arg in expr.args)
                relation = RELATIONS[attr]
                return entrywise(lambda p, q, u, v: u if relation(p, q) else v)(left, right, a, b)
        return MEANING[expr.op.name](*(self._expr(arg, at) for arg in expr.args))

    def _joined(self, expr: Expr, branch: int, at: dict[str, int]) -> Any:
        """The chosen branch of a choice, in the shape the choice has."""
        value = self._expr(expr.args[branch], at)
        return value if np.shape(value) else self._fitted(value, self._shape(expr))

    def _shape(self, expr: Expr) -> Any:
        """The shape of an expression, found by asking each part for its own."""
        attr, args = expr.attr, expr.args
        match expr.op.name:
            case "const" | "counter" | "size" | "sum" | "mean" | "max" | "squared_error":
                return ()
            case "component":
                return ()
            case "param":
                return self.declared.params[attr].shape
            case "input":
                return self.declared.inputs[attr].shape
            case "static":
                return (
                    self.shapes[attr] if attr in self.shapes else self.declared.inputs[attr].shape
                )
            case "read" | "at_step":
                name = attr.name
                return (
                    self.shapes[name] if name in self.shapes else self.declared.inputs[name].shape
                )
            case "fill":
                return attr.shape
            case "basis":
                return (attr.size,)
            case "transpose":
                return self._shape(args[0])[::-1]
            case "outer":
                return self._shape(args[0]) + self._shape(args[1])
            case "matmul":
                return self._shape(args[0])[:-1] + self._shape(args[1])[1:]
            case "part":
                return (attr.sizes[attr.position],)
            case "lookup":
                return self._shape(args[0])[1:]
            case "concat":
                lengths = [self._shape(arg) or (Dim.of(1),) for arg in args]
                return (sum((length for (length,) in lengths), Dim.of(0)),)
            case "onehot":
                return (self.declared.inputs[args[0].attr.name].type.size,)
        return next((s for s in map(self._shape, args) if s), ())
