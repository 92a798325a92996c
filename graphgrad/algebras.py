"""Number types: what arrays, functions and comparisons mean over floats, Fractions and others.

An algebra turns values into arrays and gives the functions that are more than + - * / and ** with
a whole exponent; everything else NumPy does by itself, on object arrays too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from graphgrad.errors import DataError, DomainError
from graphgrad.ir import Number

MAX_EXPONENT = 10_000
RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}
NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


class Algebra(Protocol):
    """What evaluation needs of a number type; `exact` ones also have the functions of the ops."""

    exact: bool

    def number(self, value: Number) -> Any:
        """Return a literal number as a scalar."""

    def array(self, name: str, value: Any) -> Any:
        """Return data as an array of scalars, or raise DataError."""

    def filled(self, shape: tuple[int, ...], value: int) -> Any:
        """Return an array of zeros or ones."""

    def met(self, name: str, operands: Sequence[Any]) -> Sequence[Any]:
        """Return the operands of an op as numbers that can be computed with each other."""


class FloatAlgebra:
    """Floating-point numbers of one NumPy dtype, real or complex."""

    exact = False

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def number(self, value: Number) -> Any:
        """Return a literal number as a scalar of the dtype."""
        return self.dtype.type(value)

    def array(self, name: str, value: Any) -> Any:
        """Return data as an array of the dtype; complex data have no real value."""
        array = np.asarray(value)
        if array.dtype.kind == "c" and self.dtype.kind == "f":
            raise DataError(
                f"{name} is complex, but {self.dtype} numbers are asked for",
                remedy="evaluate over complex, or give its real part",
            )
        return array.astype(self.dtype, copy=False)

    def filled(self, shape: tuple[int, ...], value: int) -> Any:
        """Return an array of zeros or ones."""
        return np.full(shape, value, self.dtype)

    def met(self, name: str, operands: Sequence[Any]) -> Sequence[Any]:
        """Return the operands, which are of one dtype."""
        return operands


class ObjectAlgebra:
    """Scalars of one Python type, in object arrays; functions are methods of the scalars."""

    exact = True

    def number(self, value: Number) -> Any:
        """Return a literal number as a scalar."""
        return value

    def scalar(self, name: str, value: Any) -> Any:
        """Return one entry of the data as a scalar."""
        return value

    def array(self, name: str, value: Any) -> Any:
        """Return data as an object array."""
        return self.mapped(lambda entry: self.scalar(name, entry), np.asarray(value, object))

    def filled(self, shape: tuple[int, ...], value: int) -> Any:
        """Return an array of zeros or ones."""
        result = np.empty(shape, object)
        result.fill(self.number(value))
        return result

    def met(self, name: str, operands: Sequence[Any]) -> Sequence[Any]:
        """Return the operands, which are of one type."""
        return operands

    def divided(self, value: Any, count: int) -> Any:
        """Return a value divided by a whole number."""
        return np.divide(*self.met("div", (value, self.number(count))))

    def mapped(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """Return a function applied entry by entry."""
        if all(np.ndim(array) == 0 for array in arrays):
            entries = [a[()] if isinstance(a, np.ndarray) else a for a in arrays]
            return function(*entries)
        return np.frompyfunc(function, len(arrays), 1)(*arrays)

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function on scalars by its name in the table of ops."""
        if name == "sigmoid":
            return lambda u: 1 / (1 + (-u).exp())
        if name == "softplus":
            return lambda u: (1 + u.exp()).log()
        if name == "stop_gradient":
            return lambda u: u
        if name in ORDERED:
            return ORDERED[name]
        return lambda u: getattr(u, name)()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arrays: self.mapped(self.function(name), *arrays)

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return `a` where the comparison holds, else `b`."""
        test = RELATIONS[relation]
        return self.mapped(lambda x, y, u, v: u if test(x, y) else v, left, right, a, b)

    def max(self, v: Any) -> Any:
        """Return the largest entry."""
        return max(np.ravel(v))

    def power(self, a: Any, b: Any) -> Any:
        """Return a power; the exponent may be a whole number of moderate size."""
        return self.mapped(self.scalar_power, a, b)

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power of scalars."""
        whole = int(b) if isinstance(b, int | Fraction | float) and b == int(b) else None
        if whole is not None:
            if abs(whole) > MAX_EXPONENT:
                raise DomainError(
                    f"the exponent {whole} is too large for exact numbers",
                    remedy="compute with floats: over=float",
                )
            return a**whole
        return a**b


ORDERED: dict[str, Callable[..., Any]] = {
    "relu": lambda u: u if u > 0 else 0 * u,
    "abs": lambda u: -u if u < 0 else u,
    "maximum": lambda a, b: a if a >= b else b,
    "minimum": lambda a, b: a if a <= b else b,
}


class FractionAlgebra(ObjectAlgebra):
    """Rational numbers; literals such as 0.1 are the decimal fraction they show."""

    def number(self, value: Number) -> Fraction:
        """Return a literal as the fraction it shows."""
        return Fraction(str(value))

    def scalar(self, name: str, value: Any) -> Any:
        """Return an entry as a fraction; a float is refused, for it is not what it shows."""
        if isinstance(value, float | np.floating):
            raise DataError(
                f"{name} holds the float {value!r} among exact numbers",
                remedy="give whole numbers or fractions.Fraction, or evaluate over floats",
            )
        if isinstance(value, np.integer):
            value = int(value)
        return Fraction(value)

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function whose values at fractions are fractions."""
        if name in ORDERED or name == "stop_gradient":
            return super().function(name)
        raise DomainError(
            f"{name} of a fraction is not a fraction",
            remedy="evaluate over floats, or over='sympy' for an exact symbolic value",
        )

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power with a whole exponent."""
        if b != int(b):
            raise DomainError(
                f"{a} to the power {b} is not a fraction", remedy="evaluate over floats"
            )
        if b < 0 and a == 0:
            raise DomainError("division by zero", remedy="use other values")
        return super().scalar_power(a, b)


NEEDED = {"sigmoid": "exp", "softplus": "exp"}
UNMIXED = {"pow", "lookup"}
"""Ops that take numbers of two kinds: an exponent or a token stays what it is."""


class OwnAlgebra(ObjectAlgebra):
    """Numbers of a type that the library has never seen; all that is known is one of them.

    A literal is the fraction it shows until it meets a number of the type: 1/3 is a third there,
    not the float next to it, and the exponent 2 stays a whole number.
    """

    def __init__(self, example: Any) -> None:
        self.example = example

    def number(self, value: Number) -> Fraction:
        """Return a literal as the fraction it shows."""
        return Fraction(str(value))

    def scalar(self, name: str, value: Any) -> Any:
        """Return one entry of the data as a number of the type."""
        return self.typed(int(value) if isinstance(value, np.integer) else value)

    def filled(self, shape: tuple[int, ...], value: int) -> Any:
        """Return an array of zeros or ones of the type."""
        result = np.empty(shape, object)
        result.fill(self.typed(value))
        return result

    def typed(self, value: Any) -> Any:
        """Return a scalar as a number of the type; fractions are divided there."""
        if not isinstance(value, int | Fraction):
            return value
        zero = self.example * 0
        if value.denominator == 1:
            return zero + value.numerator
        try:
            return (zero + value.numerator) / (zero + value.denominator)
        except (TypeError, ArithmeticError, ValueError):
            raise DomainError(
                f"{value} is no number of the type {type(self.example).__name__}",
                remedy="evaluate over Fraction, or over a type that divides",
            ) from None

    def result(self, value: Any) -> Any:
        """Return a value, one scalar or an array, as numbers of the type."""
        return self.mapped(self.typed, value) if _is_literal(value) else value

    def met(self, name: str, operands: Sequence[Any]) -> Sequence[Any]:
        """Return operands with literals as numbers of the type, if one of them is of it."""
        literal = [_is_literal(each) for each in operands]
        if name in UNMIXED or all(literal) or not any(literal):
            return operands
        return [self.result(each) for each in operands]

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function on scalars; of a literal it is a number of the type."""
        if name == "stop_gradient":
            return super().function(name)
        if name in CHOICES:
            return CHOICES[name]
        needed = NEEDED.get(name, name)
        if not callable(getattr(self.example, needed, None)):
            raise DomainError(
                f"numbers of the type {type(self.example).__name__} have no method {needed}",
                remedy="evaluate over floats, or give an algebra that has the function",
            )
        own = super().function(name)
        return lambda u: own(self.typed(u))

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return `a` where the comparison holds, else `b`."""
        return self.mapped(lambda x, y, u, v: u if _holds(relation, x, y) else v, left, right, a, b)

    def max(self, v: Any) -> Any:
        """Return the largest entry."""
        largest, *rest = np.ravel(v)
        for entry in rest:
            largest = largest if _holds(">=", largest, entry) else entry
        return largest

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power; many types take only plain exponents, others only their own."""
        if isinstance(b, Fraction) and b.denominator == 1:
            return super().scalar_power(a, int(b))
        base = self.typed(a)
        if isinstance(b, Fraction) and Fraction(float(b)) == b:
            try:
                return base ** float(b)
            except TypeError:
                pass
        return base ** self.typed(b)


def _holds(relation: str, x: Any, y: Any) -> bool:
    """Return whether a comparison holds; of intervals that overlap neither it nor its negation."""
    if x is y:
        return relation in (">=", "<=")
    if RELATIONS[relation](x, y):
        return True
    if not RELATIONS[NEGATED[relation]](x, y):
        raise DomainError(
            f"whether {x} {relation} {y} is not known",
            remedy="give numbers that are further apart, or narrower intervals",
        )
    return False


CHOICES: dict[str, Callable[..., Any]] = {
    "relu": lambda u: u if _holds(">", u, 0) else 0 * u,
    "abs": lambda u: -u if _holds("<", u, 0) else u,
    "maximum": lambda a, b: a if _holds(">=", a, b) else b,
    "minimum": lambda a, b: a if _holds("<=", a, b) else b,
}
"""The functions of `ORDERED` for numbers of which two may be neither equal nor ordered."""


def _is_literal(value: Any) -> bool:
    """Return whether a scalar, or every entry of an array, is a literal and not of a type."""
    first = next(value.flat) if isinstance(value, np.ndarray) else value
    return isinstance(first, int | Fraction)


def algebra_of(values: list[Any]) -> Algebra | str:
    """Return the algebra that data of mixed entries call for, or "sympy"."""
    entries = [entry for value in values for entry in _object_entries(value)]
    if entries:
        kinds = {type(entry) for entry in entries}
        if any(kind.__module__.split(".")[0] == "sympy" for kind in kinds):
            return "sympy"
        if kinds <= {Fraction, int, np.int64}:
            return FractionAlgebra()
        return OwnAlgebra(_example(entries))
    arrays = [np.asarray(value) for value in values if not isinstance(value, int | float)]
    dtypes = {array.dtype.newbyteorder("=") for array in arrays}
    floating = {dtype for dtype in dtypes if dtype.kind in "fc"}
    if any(dtype.kind == "c" for dtype in floating):
        return FloatAlgebra(np.result_type(*floating))
    if len(floating) > 1:
        raise DataError(
            f"the values mix {' and '.join(sorted(str(d) for d in floating))}",
            remedy="give all parameters and inputs in one dtype, or name it: "
            "gg.value_and_grad(c, dtype='float32'); nothing is cast silently",
        )
    return FloatAlgebra(next(iter(floating), np.dtype(np.float64)))


def flat(value: Any) -> list[Any]:
    """Return the entries of a value in order."""
    return list(np.ravel(value)) if isinstance(value, np.ndarray) else [value]


def _example(entries: list[Any]) -> Any:
    """Return an entry that shows the type of the data, as far as possible a finite one."""
    own = [each for each in entries if not isinstance(each, int | float | Fraction | np.number)]
    with np.errstate(all="ignore"):
        return next((each for each in own if each * 0 == 0), (own or entries)[0])


def _object_entries(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return []
    if isinstance(value, int | float | complex | np.generic):
        return []
    array = np.asarray(value)
    return list(array.flat) if array.dtype == object else []
