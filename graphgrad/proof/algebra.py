"""SymPy as a number type: what is not given becomes a real symbol such as `W_01` or `x_1`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from graphgrad.algebras import ObjectAlgebra
from graphgrad.dims import Token, concrete
from graphgrad.errors import DataError
from graphgrad.ir import Number
from graphgrad.proof import functions
from graphgrad.system import System

_OWN_NAMES = {"sigmoid": "sigma", "abs": "absolute", "stop_gradient": "stop"}


class SympyAlgebra(ObjectAlgebra):
    """SymPy expressions over real symbols; literals are the decimal fractions they show."""

    def number(self, value: Number) -> sympy.Expr:
        """Return a literal as a rational number."""
        return sympy.Rational(str(value))

    def scalar(self, name: str, value: Any) -> sympy.Expr:
        """Return an entry of the data as an expression; floats are what they show."""
        if isinstance(value, sympy.Expr):
            return value
        if isinstance(value, Fraction):
            return sympy.Rational(value.numerator, value.denominator)
        if isinstance(value, int | float | np.integer | np.floating):
            return sympy.Rational(str(value))
        raise DataError(
            f"{name} holds {type(value).__name__}, which is no number or SymPy expression",
            remedy="give numbers, fractions or SymPy expressions",
        )

    def function(self, name: str) -> Callable[..., Any]:
        """Return the SymPy function of an op."""
        own = getattr(functions, _OWN_NAMES.get(name, name), None)
        found: Callable[..., Any] = own if own is not None else getattr(sympy, name)
        return found

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return `a` where the comparison holds, else `b`."""
        if relation in ("<", ">="):
            left, right = right, left
        if relation in ("<=", ">="):  # neither is more than the other: it holds
            a, b = b, a
        return self.mapped(lambda x, y, u, v: functions.where(x - y, u, v), left, right, a, b)

    def max(self, v: Any) -> Any:
        """Return the largest entry as nested maxima of two."""
        largest, *rest = np.ravel(v)
        for entry in rest:
            largest = functions.maximum(largest, entry)
        return largest

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power."""
        return a**b

    def symbols(
        self,
        system: System,
        lengths: Mapping[str, int],
        sizes: Mapping[str, int],
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return arrays of symbols for the parameters and inputs that are not given.

        The last entry of a distribution is 1 less the others. A token becomes a row of weights with
        sum 1, which stands for every token at once.
        """
        missing = [name for name in system.declared.sizes if name not in sizes]
        if missing:
            raise DataError(
                f"the size {', '.join(missing)} has no number",
                remedy=f"unfold with {', '.join(f'{name}=2' for name in missing)}",
            )
        found: dict[str, Any] = {}
        for name, param in system.params.items():
            if name not in given:
                found[name] = _array(name, concrete(param.shape, sizes))
        for name, declared in system.inputs.items():
            if name in given:
                continue
            token = isinstance(declared.type, Token)
            dims = (declared.type.size,) if isinstance(declared.type, Token) else declared.type
            shape = concrete(dims, sizes)
            unit = token or declared.kind == "distribution"
            if declared.index is None:
                found[name] = _array(name, shape, sums_to_one=unit)
            else:
                steps = [
                    _array(f"{name}_{step}", shape, sums_to_one=unit, separate=True)
                    for step in range(1, lengths[declared.index] + 1)
                ]
                found[name] = _stack(steps)
        return found


def _stack(steps: list[Any]) -> Any:
    result = np.empty((len(steps), *np.shape(steps[0])), object)
    for position, step in enumerate(steps):
        result[position] = step
    return result


def _array(
    name: str, shape: tuple[int, ...], *, sums_to_one: bool = False, separate: bool = False
) -> Any:
    if not shape:
        return sympy.Symbol(name, real=True)
    mark = "_" if separate or max(shape) > 10 else ""
    result = np.empty(shape, object)
    for position in np.ndindex(*shape):
        suffix = mark.join(map(str, position))
        result[position] = sympy.Symbol(f"{name}_{suffix}", real=True)
    if sums_to_one:
        result[-1] = 1 - sum(result[:-1])
    return result
