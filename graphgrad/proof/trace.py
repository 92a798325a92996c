"""Traced scalars: a run of ordinary code on them writes down which formulas it computes.

A `Tape` holds every distinct scalar of a run once, arguments before users, as op names and numbers.
A `Traced` is a number on a tape; its operators and methods (`tanh`, `exp`, …, which NumPy calls on
object arrays) enter further ones. Beside each formula stands its value at one sample point, so that
code which branches can go on: `if loss < best` takes the sample's branch and the tape notes it.
Arithmetic on plain numbers is exact; a float counts as the simple fraction or root it is nearest to.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from graphgrad.errors import GraphgradError

PACKAGE = str(Path(__file__).resolve().parent.parent)
NUMPY = str(Path(np.__file__).parent)
LARGEST_DENOMINATOR = 10_000
ROUNDING = 5e-16
LARGEST_TAPE = 2_000_000


class TraceError(GraphgradError):
    """Code that cannot be run on traced scalars."""


@dataclass(frozen=True)
class Decision:
    """A branch taken by the sample's value: where, what was asked, and the answer."""

    place: str
    question: int
    answer: bool


@dataclass
class Tape:
    """The distinct scalars of one run: `ops`, `args` (numbers of earlier ones) and `values`.

    A constant has its Fraction in `payload`, a leaf whatever it was entered with. `flips` names
    places whose branch is to be taken the other way, `clips` says whether `np.clip` is taken as
    inactive, `tiny` up to which size a constant added for safety is read as 0 (`small`: there was
    one that is not). `on_ufunc` and `on_function` do NumPy's work on arrays of scalars.
    """

    on_ufunc: Callable[..., Any]
    on_function: Callable[..., Any]
    clips: bool = True
    tiny: Fraction = Fraction(0)
    flips: frozenset[str] = frozenset()
    ops: list[str] = field(default_factory=list)
    args: list[tuple[int, ...]] = field(default_factory=list)
    payload: list[Any] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    leaks: dict[str, str] = field(default_factory=dict)
    clipped: dict[str, None] = field(default_factory=dict)
    dropped: dict[str, None] = field(default_factory=dict)
    small: bool = False
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    # Entering

    def leaf(self, payload: Any, value: float) -> Traced:
        """Return the scalar that stands for a symbol, with its value at the sample point."""
        return self._enter("leaf", (), payload, value)

    def constant(self, value: Any) -> Traced:
        """Return a plain number as a scalar."""
        number, root = exact(value)
        found = self._enter("const", (), number, float(number))
        return self.power(found, Fraction(1, 2)) if root else found

    def lift(self, value: Any) -> Traced:
        """Return a scalar of this tape for a scalar or a plain number; TypeError for others."""
        if isinstance(value, Traced):
            return value
        if isinstance(value, np.ndarray) and value.size == 1:
            return self.lift(value.item())
        if isinstance(value, bool | np.bool_):
            return self.constant(int(value))
        if isinstance(value, int | float | Fraction | np.integer | np.floating):
            return self.constant(value)
        raise TypeError(f"{type(value).__name__} is not a number")

    def _enter(self, op: str, args: tuple[int, ...], payload: Any, value: float) -> Traced:
        key = (op, args, payload)
        number = self._known.get(key)
        if number is None:
            number = len(self.ops)
            if number >= LARGEST_TAPE:
                raise TraceError(
                    f"the run computes more than {LARGEST_TAPE:,} scalars",
                    remedy="check it at a smaller tau and smaller sizes",
                )
            self._known[key] = number
            self.ops.append(op)
            self.args.append(args)
            self.payload.append(payload)
            self.values.append(value)
        return Traced(self, number)

    def apply(self, op: str, *operands: Traced) -> Traced:
        """Enter an op without any rule of its own."""
        values = [self.values[each.node] for each in operands]
        return self._enter(op, tuple(each.node for each in operands), None, compute(op, values))

    def number(self, scalar: Traced) -> Fraction | None:
        """Return the value of a constant, else None."""
        return self.payload[scalar.node] if self.ops[scalar.node] == "const" else None

    # Rules: constants fold, neutral elements vanish, the logistic function is recognised

    def add(self, a: Traced, b: Traced) -> Traced:
        """Return a + b."""
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.constant(x + y)
        if x is not None and y is None:
            a, b, x, y = b, a, y, x
        if y == 0:
            return a
        if y is not None and 0 < abs(y) <= self.tiny:
            self.dropped[f"{float(y):g}"] = None
            return a
        if y is not None and abs(y) < Fraction(1, 10**5):
            self.small = True
        if y is not None and self.ops[a.node] == "choose":
            mask, first, second = self._parts(a)
            return self.choose(mask, self.add(first, b), self.add(second, b))
        if y == Fraction(1, 2) and self._half_tanh(a):
            return self.sigma(self._half_tanh(a))
        return self.apply("add", a, b)

    def subtract(self, a: Traced, b: Traced) -> Traced:
        """Return a - b."""
        if a.node == b.node:
            return self.constant(0)
        y = self.number(b)
        if y is not None:
            return self.add(a, self.constant(-y))
        if self.number(a) == 0:
            return self.negative(b)
        return self.apply("sub", a, b)

    def negative(self, a: Traced) -> Traced:
        """Return -a."""
        return self.multiply(self.constant(-1), a)

    def multiply(self, a: Traced, b: Traced) -> Traced:
        """Return a * b; constants are gathered in front."""
        x, y = self.number(a), self.number(b)
        if x is None and y is not None:
            a, b, x, y = b, a, y, x
        if x is None:
            return self.apply("mul", a, b)
        if y is not None:
            return self.constant(x * y)
        if x == 0 or x == 1:
            return b if x else a
        if self.ops[b.node] == "mul":
            first, rest = (Traced(self, node) for node in self.args[b.node])
            inner = self.number(first)
            if inner is not None:
                return self.multiply(self.constant(x * inner), rest)
        if x == Fraction(1, 2):
            inside = self._one_plus("tanh", b)
            if inside is not None:
                return self.sigma(self.multiply(self.constant(2), inside))
        return self.apply("mul", a, b)

    def divide(self, a: Traced, b: Traced) -> Traced:
        """Return a / b."""
        y = self.number(b)
        if y is not None:
            if y == 0:
                raise ZeroDivisionError("division by zero")
            return self.multiply(self.constant(1 / y), a)
        inside = self._one_plus("exp", b)
        if inside is not None:
            if self.number(a) == 1:
                return self.sigma(self.negative(inside))
            if self.ops[a.node] == "exp" and self.args[a.node] == (inside.node,):
                return self.sigma(inside)
        if self.number(a) == 0:
            return a
        if self.ops[b.node] == "choose":
            mask, first, second = self._parts(b)
            above, below = self._cases(mask, a)
            return self.choose(mask, self.divide(above, first), self.divide(below, second))
        return self.apply("div", a, b)

    def power(self, a: Traced, exponent: Any) -> Traced:
        """Return a to a power."""
        b = self.lift(exponent)
        x, n = self.number(a), self.number(b)
        if n is None:
            return self.apply("power", a, b)
        if n == 0 or n == 1:
            return a if n else self.constant(1)
        if x is not None:
            if n.denominator == 1:
                return self.constant(x**n)
            if n == Fraction(1, 2) and x >= 0:
                roots = math.isqrt(x.numerator), math.isqrt(x.denominator)
                if (roots[0] ** 2, roots[1] ** 2) == (x.numerator, x.denominator):
                    return self.constant(Fraction(*roots))
        if n == -1:
            return self.divide(self.constant(1), a)
        return self.apply("power", a, b)

    def sigma(self, a: Traced) -> Traced:
        """Return the logistic function of a."""
        return self.constant(Fraction(1, 2)) if self.number(a) == 0 else self.apply("sigma", a)

    def function(self, name: str, a: Traced) -> Traced:
        """Return exp, log, tanh, sin or cos of a."""
        x = self.number(a)
        if x == 0 and name in ("exp", "cos"):
            return self.constant(1)
        if (x == 0 and name in ("tanh", "sin")) or (x == 1 and name == "log"):
            return self.constant(0)
        return self.apply(name, a)

    def step(self, u: Traced) -> Traced:
        """Return 1 where u > 0, else 0; at -u it is 1 less that, off the kink."""
        x = self.number(u)
        if x is not None:
            return self.constant(int(x > 0))
        if self.ops[u.node] in ("mul", "sub"):
            a, b = self._parts(u)
            number = self.number(a)
            if self.ops[u.node] == "mul" and number is not None:
                return ~self.step(b) if number < 0 else self.step(b)
            if self.ops[u.node] == "sub" and a.node < b.node:
                return ~self.step(self.subtract(b, a))
        return self.apply("step", u)

    def choose(self, mask: Traced, a: Traced, b: Traced) -> Traced:
        """Return a where the mask is 1, b where it is 0."""
        if self.ops[mask.node] == "sub" and self.payload[self.args[mask.node][0]] == 1:
            return self.choose(self._parts(mask)[1], b, a)
        known = self.number(mask)
        if known is not None:
            return a if known else b
        a, b = self._cases(mask, a)[0], self._cases(mask, b)[1]
        return a if a.node == b.node else self.apply("choose", mask, a, b)

    def _cases(self, mask: Traced, a: Traced) -> tuple[Traced, Traced]:
        """Return what a is where the mask is 1 and where it is 0."""
        if self.ops[a.node] == "choose" and self.args[a.node][0] == mask.node:
            _, first, second = self._parts(a)
            return first, second
        return a, a

    def _parts(self, a: Traced) -> list[Traced]:
        return [Traced(self, node) for node in self.args[a.node]]

    def _one_plus(self, function: str, a: Traced) -> Traced | None:
        """Return w if a is 1 + function(w)."""
        if self.ops[a.node] != "add":
            return None
        first, second = self.args[a.node]
        if self.ops[first] == function and self.payload[second] == 1:
            return Traced(self, self.args[first][0])
        return None

    def _half_tanh(self, a: Traced) -> Any:
        """Return 2 w if a is tanh(w) / 2."""
        if self.ops[a.node] == "mul":
            first, second = self.args[a.node]
            if self.ops[second] == "tanh" and self.payload[first] == Fraction(1, 2):
                return self.multiply(self.constant(2), Traced(self, self.args[second][0]))
        return None

    # What code asks of a value

    def decide(self, question: Traced) -> bool:
        """Return whether a scalar is not 0 at the sample point, and note that it was asked."""
        place = caller()
        answer = bool(self.values[question.node]) != (place in self.flips)
        self.decisions.append(Decision(place, question.node, answer))
        return answer

    def leak(self, what: str) -> None:
        """Note that a scalar was turned into a plain number."""
        self.leaks.setdefault(caller(), what)

    # Reading

    def needed(self, roots: list[int]) -> list[int]:
        """Return the scalars that the roots are computed from, in order."""
        found: set[int] = set()
        pending = list(roots)
        while pending:
            node = pending.pop()
            if node not in found:
                found.add(node)
                pending.extend(self.args[node])
        return sorted(found)

    def evaluate(self, roots: list[int], point: Mapping[Any, float]) -> list[float]:
        """Return floating-point values of scalars; `point` gives those of the leaves' payloads."""
        values: dict[int, float] = {}
        for node in self.needed(roots):
            op = self.ops[node]
            if op == "leaf":
                values[node] = point[self.payload[node]]
            elif op == "const":
                values[node] = self.values[node]
            else:
                values[node] = compute(op, [values[arg] for arg in self.args[node]])
        return [values[root] for root in roots]


class Traced:
    """One scalar on a tape."""

    __slots__ = ("node", "tape")

    def __init__(self, tape: Tape, node: int) -> None:
        self.tape = tape
        self.node = node

    @property
    def value(self) -> float:
        """The value at the sample point."""
        return self.tape.values[self.node]

    def _binary(self, rule: Callable[..., Any], ufunc: Any, other: Any, swapped: bool) -> Any:
        if isinstance(other, np.ndarray | list | tuple):
            return ufunc(other, self) if swapped else ufunc(self, other)
        try:
            operand = self.tape.lift(other)
        except TypeError:
            return NotImplemented
        return rule(operand, self) if swapped else rule(self, operand)

    def __add__(self, other: Any) -> Any:
        return self._binary(self.tape.add, np.add, other, False)

    def __radd__(self, other: Any) -> Any:
        return self._binary(self.tape.add, np.add, other, True)

    def __sub__(self, other: Any) -> Any:
        return self._binary(self.tape.subtract, np.subtract, other, False)

    def __rsub__(self, other: Any) -> Any:
        return self._binary(self.tape.subtract, np.subtract, other, True)

    def __mul__(self, other: Any) -> Any:
        return self._binary(self.tape.multiply, np.multiply, other, False)

    def __rmul__(self, other: Any) -> Any:
        return self._binary(self.tape.multiply, np.multiply, other, True)

    def __truediv__(self, other: Any) -> Any:
        return self._binary(self.tape.divide, np.divide, other, False)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(self.tape.divide, np.divide, other, True)

    def __pow__(self, other: Any) -> Any:
        return self._binary(self.tape.power, np.power, other, False)

    def __rpow__(self, other: Any) -> Any:
        return self._binary(self.tape.power, np.power, other, True)

    def __neg__(self) -> Traced:
        return self.tape.negative(self)

    def __pos__(self) -> Traced:
        return self

    def __abs__(self) -> Traced:
        known = self.tape.number(self)
        return self.tape.apply("abs", self) if known is None else self.tape.constant(abs(known))

    def _refused(self, *others: Any) -> NoReturn:
        raise TraceError(
            "a traced number was rounded or cut to an integer",
            remedy="such an operation has no derivative; leave it out of the function",
        )

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __round__ = _refused
    __floor__ = __ceil__ = __divmod__ = _refused

    # Comparisons are masks: numbers 0 and 1 that can be asked

    def _compared(self, greater: Any, less: Any) -> Any:
        try:
            gap = self.tape.subtract(self.tape.lift(greater), self.tape.lift(less))
        except TypeError:
            return NotImplemented
        return self.tape.step(gap)

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other) if np.ndim(other) else self._compared(self, other)

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other) if np.ndim(other) else self._compared(other, self)

    def __ge__(self, other: Any) -> Any:
        if np.ndim(other):
            return np.greater_equal(self, other)
        opposite = self._compared(other, self)
        return opposite if opposite is NotImplemented else 1 - opposite

    def __le__(self, other: Any) -> Any:
        if np.ndim(other):
            return np.less_equal(self, other)
        opposite = self._compared(self, other)
        return opposite if opposite is NotImplemented else 1 - opposite

    def __eq__(self, other: object) -> Any:
        if np.ndim(other):  # type: ignore[arg-type]
            return np.equal(self, other)  # type: ignore[call-overload]
        try:
            operand = self.tape.lift(other)
        except TypeError:
            return False
        return operand.node == self.node

    def __ne__(self, other: object) -> Any:
        if np.ndim(other):  # type: ignore[arg-type]
            return np.not_equal(self, other)  # type: ignore[call-overload]
        return not self == other

    def __hash__(self) -> int:
        return hash(self.node)

    def __invert__(self) -> Traced:
        return self.tape.subtract(self.tape.constant(1), self)

    def __and__(self, other: Any) -> Any:
        return self * other

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self + other - self * other

    __ror__ = __or__

    def __bool__(self) -> bool:
        known = self.tape.number(self)
        return self.tape.decide(self) if known is None else bool(known)

    # Plain numbers

    def __float__(self) -> float:
        if self.tape.number(self) is None:
            self.tape.leak("was turned into a plain float")
        return self.value

    def __int__(self) -> int:
        known = self.tape.number(self)
        if known is None:
            self.tape.leak("was cut to an integer")
        return int(self.value if known is None else known)

    def __index__(self) -> int:
        known = self.tape.number(self)
        if known is None or known.denominator != 1:
            raise TypeError("a traced number is no index")
        return int(known)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __repr__(self) -> str:
        return f"<traced {self.value:.6g}>"

    # What NumPy calls on the entries of object arrays

    def exp(self) -> Traced:
        """Return the exponential."""
        return self.tape.function("exp", self)

    def log(self) -> Traced:
        """Return the natural logarithm."""
        return self.tape.function("log", self)

    def tanh(self) -> Traced:
        """Return the hyperbolic tangent."""
        return self.tape.function("tanh", self)

    def sin(self) -> Traced:
        """Return the sine."""
        return self.tape.function("sin", self)

    def cos(self) -> Traced:
        """Return the cosine."""
        return self.tape.function("cos", self)

    def sqrt(self) -> Traced:
        """Return the square root."""
        return self.tape.power(self, Fraction(1, 2))

    def sigma(self) -> Traced:
        """Return the logistic function."""
        return self.tape.sigma(self)

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

    def item(self) -> Traced:
        """Return the number itself."""
        return self

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """Return the number itself: exact numbers are not rounded."""
        return int(self) if np.dtype(dtype).kind in "iu" else self

    copy = squeeze = sum = mean = ravel = flatten = (
        lambda self, *args, **options: self  # noqa: E731
    )

    def reshape(self, *shape: Any) -> Any:
        """Return an array of that shape with the number in it."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[call-overload]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return self.tape.on_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return self.tape.on_function(function, args, kwargs)


ACTIVE: ContextVar[Tape | None] = ContextVar("graphgrad_tape", default=None)
"""The tape of the trace that is running in this thread."""


def exact(value: Any) -> tuple[Fraction, bool]:
    """Return a plain number as a fraction, and whether its root is meant.

    >>> exact(1 / 3), exact(0.1), exact(2**0.5)
    ((Fraction(1, 3), False), (Fraction(1, 10), False), (Fraction(2, 1), True))
    """
    if isinstance(value, int | Fraction | np.integer):
        return Fraction(int(value) if isinstance(value, np.integer) else value), False
    single = isinstance(value, np.float32 | np.float16)
    number = float(str(value)) if single else float(value)
    if not math.isfinite(number):
        raise TraceError(f"the function computes with {number}", remedy="use finite numbers")
    for candidate, root in ((number, False), (number * number, number > 0)):
        simple = Fraction(candidate).limit_denominator(LARGEST_DENOMINATOR)
        back = math.sqrt(simple) if root else float(simple)
        if simple and abs(back - number) <= ROUNDING * abs(number):
            return simple, root
    return Fraction(repr(number)), False


def caller() -> str:
    """Return file and line of the code outside this package and NumPy that is running."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        path = frame.f_code.co_filename
        if not path.startswith((PACKAGE, NUMPY, "<frozen", "<__array_function__")):
            break
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


FLOATS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "abs": abs,
    "sigma": _sigma,
    "step": lambda u: float(u > 0),
    "choose": lambda mask, a, b: a if mask else b,
    "maximum": max,
    "minimum": min,
}


def compute(op: str, values: list[float]) -> float:
    """Return the floating-point value of an op; NaN outside its domain."""
    try:
        result = FLOATS[op](*values)
    except (ArithmeticError, ValueError):
        return math.nan
    return result if isinstance(result, float) else math.nan
