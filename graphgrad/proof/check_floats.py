"""Floating-point values of SymPy expressions, each distinct part computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import sympy

from graphgrad.proof import functions
from graphgrad.proof.nodes import Nodes


def values_at(expressions: Sequence[Any], point: Mapping[Any, float]) -> list[float]:
    """Return the values at a point; NaN outside a domain."""
    nodes = Nodes()
    roots = [nodes.intern(each) for each in expressions]
    values: list[float] = []
    for head, args in zip(nodes.heads, nodes.args, strict=True):
        try:
            values.append(_value(head, [values[arg] for arg in args], point))
        except (ArithmeticError, ValueError):
            values.append(math.nan)
    return [values[root] for root in roots]


def _value(head: Any, args: list[float], point: Mapping[Any, float]) -> float:
    if args:
        result = RULES[head](*args)
        return result if isinstance(result, float) else math.nan
    return point[head] if isinstance(head, sympy.Symbol) else float(head)


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


RULES: dict[Any, Callable[..., Any]] = {
    sympy.Add: lambda *args: float(sum(args)),
    sympy.Mul: lambda *args: reduce(lambda a, b: a * b, args),
    sympy.Pow: lambda a, b: a**b,
    sympy.exp: math.exp,
    sympy.log: math.log,
    sympy.tanh: math.tanh,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    functions.sigma: _sigma,
    functions.softplus: lambda u: max(u, 0.0) + math.log1p(math.exp(-abs(u))),
    functions.step: lambda u: float(u > 0),
    functions.relu: lambda u: max(u, 0.0),
    functions.absolute: abs,
    functions.sign: _sign,
    functions.maximum: max,
    functions.minimum: min,
    functions.stop: lambda u: u,
    functions.where: lambda u, a, b: a if u > 0 else b,
}
