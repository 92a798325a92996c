"""Traced scalars: a run of ordinary code on them writes down which formulas it computes.

A `Traced` is a number on a `Tape`; its operators and methods (`tanh`, `exp`, …, which NumPy calls
on the entries of object arrays) enter further ones. A comparison is a mask, a scalar that is 0 or
1; only where code must have an answer (`if loss < best`) is it decided by the sample's value.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import sympy

from graphgrad.proof.trace_tape import Tape, TraceError

ACTIVE: ContextVar[Tape | None] = ContextVar("graphgrad_tape", default=None)
"""The tape of the trace that is running in this thread."""
LEFT = sympy.Symbol("left_by_np_empty", real=True)
"""What stands in an array of `np.empty` before anything is written there: any number."""
LEFT_VALUE = Fraction(-89, 64)

UFUNCS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
}
COMPARE: dict[str, Any] = {
    ufunc.__name__: ufunc
    for ufunc in (np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal)
}


def lift(tape: Tape, value: Any) -> Traced:
    """Return a scalar of a tape for a scalar or a plain number; TypeError for anything else."""
    if isinstance(value, Traced):
        return value
    if isinstance(value, np.ndarray) and value.size == 1:
        return lift(tape, value.item())
    if isinstance(value, bool | np.bool_):
        return Traced(tape, tape.constant(int(value)))
    if isinstance(value, int | float | Fraction | np.integer | np.floating):
        return Traced(tape, tape.constant(value))
    raise TypeError(f"{type(value).__name__} is not a number")


class Traced:
    """One scalar on a tape: a number as code sees it."""

    __slots__ = ("node", "tape")

    def __init__(self, tape: Tape, node: int) -> None:
        self.tape = tape
        self.node = node

    @property
    def value(self) -> float:
        """The value at the sample point."""
        return self.tape.values[self.node]

    @property
    def known(self) -> Fraction | None:
        """The value of a constant, else None."""
        return self.tape.number(self.node)

    def _binary(self, rule: str, other: Any, *, swapped: bool = False) -> Any:
        if isinstance(other, np.ndarray | list | tuple):
            ufunc = UFUNCS[rule]
            return ufunc(other, self) if swapped else ufunc(self, other)
        try:
            a, b = self.node, lift(self.tape, other).node
        except TypeError:
            return NotImplemented
        return Traced(self.tape, getattr(self.tape, rule)(*((b, a) if swapped else (a, b))))

    def __add__(self, other: Any) -> Any:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._binary("add", other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._binary("subtract", other)

    def __rsub__(self, other: Any) -> Any:
        return self._binary("subtract", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._binary("multiply", other)

    def __rmul__(self, other: Any) -> Any:
        return self._binary("multiply", other, swapped=True)

    def __truediv__(self, other: Any) -> Any:
        return self._binary("divide", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary("divide", other, swapped=True)

    def __pow__(self, other: Any) -> Any:
        return self._binary("power", other)

    def __rpow__(self, other: Any) -> Any:
        return self._binary("power", other, swapped=True)

    def __neg__(self) -> Traced:
        return Traced(self.tape, self.tape.negative(self.node))

    def __pos__(self) -> Traced:
        return self

    def __abs__(self) -> Traced:
        return Traced(self.tape, self.tape.absolute(self.node))

    def _refused(self, *others: Any) -> NoReturn:
        raise TraceError(
            "a traced number was rounded or cut to an integer",
            remedy="such an operation has no derivative; leave it out of the function",
        )

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __round__ = _refused
    __floor__ = __ceil__ = __divmod__ = _refused

    # Comparisons are masks: scalars 0 and 1 that can be asked

    def _exceeds(self, larger: Any, smaller: Any) -> Any:
        try:
            gap = lift(self.tape, larger) - lift(self.tape, smaller)
        except TypeError:
            return NotImplemented
        return Traced(self.tape, self.tape.step(gap.node))

    def __gt__(self, other: Any) -> Any:
        return COMPARE["greater"](self, other) if np.ndim(other) else self._exceeds(self, other)

    def __lt__(self, other: Any) -> Any:
        return COMPARE["less"](self, other) if np.ndim(other) else self._exceeds(other, self)

    def __ge__(self, other: Any) -> Any:
        if np.ndim(other):
            return COMPARE["greater_equal"](self, other)
        below = self._exceeds(other, self)
        return below if below is NotImplemented else ~below

    def __le__(self, other: Any) -> Any:
        if np.ndim(other):
            return COMPARE["less_equal"](self, other)
        above = self._exceeds(self, other)
        return above if above is NotImplemented else ~above

    def __eq__(self, other: Any) -> Any:
        if np.ndim(other):
            return COMPARE["equal"](self, other)
        try:
            return lift(self.tape, other).node == self.node
        except TypeError:
            return False

    def __ne__(self, other: Any) -> Any:
        return COMPARE["not_equal"](self, other) if np.ndim(other) else not self == other

    def __hash__(self) -> int:
        return hash(self.node)

    def __invert__(self) -> Traced:
        return Traced(self.tape, self.tape.opposite(self.node))

    def __and__(self, other: Any) -> Any:
        return self * other

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self + other - self * other

    __ror__ = __or__

    def __bool__(self) -> bool:
        return self.tape.decide(self.node) if self.known is None else bool(self.known)

    # Plain numbers

    def __float__(self) -> float:
        if self.known is None:
            self.tape.leak("was turned into a plain float")
        return self.value

    def __int__(self) -> int:
        if self.known is None:
            self.tape.leak("was cut to an integer")
        return int(self.value if self.known is None else self.known)

    def __index__(self) -> int:
        if self.known is None or self.known.denominator != 1:
            raise TypeError("a traced number is no index")
        return int(self.known)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __repr__(self) -> str:
        return f"<traced {self.value:.6g}>"

    # What NumPy calls on the entries of object arrays

    def function(self, name: str) -> Traced:
        """Return exp, log, tanh, sin or cos of the number."""
        return Traced(self.tape, self.tape.function(name, self.node))

    def exp(self) -> Traced:
        """Return the exponential."""
        return self.function("exp")

    def log(self) -> Traced:
        """Return the natural logarithm."""
        return self.function("log")

    def tanh(self) -> Traced:
        """Return the hyperbolic tangent."""
        return self.function("tanh")

    def sqrt(self) -> Any:
        """Return the square root."""
        return self ** Fraction(1, 2)

    def sigma(self) -> Traced:
        """Return the logistic function."""
        return Traced(self.tape, self.tape.sigma(self.node))

    def conjugate(self) -> Traced:
        """Return the number itself: it is real."""
        return self

    # What code asks of a NumPy scalar

    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1
    dtype = np.dtype(object)

    @property
    def T(self) -> Traced:
        """The number itself."""
        return self

    def item(self, *args: Any, **options: Any) -> Traced:
        """Return the number itself, as all methods of arrays with one entry do."""
        return self

    copy = squeeze = sum = mean = ravel = flatten = max = min = item

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """Return the number itself: exact numbers are not rounded."""
        return int(self) if np.dtype(dtype).kind in "iu" else self

    def reshape(self, *shape: Any) -> Any:
        """Return an array of that shape with the number in it."""
        whole: Any = self
        return np.reshape(whole, shape[0] if len(shape) == 1 else shape)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return self.tape.on_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return self.tape.on_function(function, args, kwargs)
