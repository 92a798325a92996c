"""The tape of a run: every distinct scalar once, arguments before users, as op names and numbers.

Beside each formula stands its value at one sample point, so that code which branches can go on: `if
loss < best` takes the sample's branch and the tape notes it. Arithmetic on plain numbers is exact;
a float counts as the simple fraction, or the root of one, that it is nearest to.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from graphgrad.errors import GraphgradError

LARGEST_DENOMINATOR = 10_000
ROUNDING = 5e-16
LARGEST_TAPE = 2_000_000
SMALL = Fraction(1, 10**5)


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
    """The distinct scalars of one run by number: `ops`, `args` and `values`.

    A constant has its Fraction in `payload`, a leaf whatever it was entered with. `flips` names
    places whose branch is to be taken the other way, `clips` says whether `np.clip` is taken as
    inactive, `tiny` the places where a small constant, added for safety, is read as 0 (`small`: the
    sums with one that is not, and where they are), `rounded` the numbers that stand for a constant.
    `on_ufunc` and `on_function` do NumPy's work on arrays of scalars.
    """

    on_ufunc: Callable[..., Any]
    on_function: Callable[..., Any]
    clips: bool = True
    tiny: frozenset[str] = frozenset()
    flips: frozenset[str] = frozenset()
    rounded: Mapping[Fraction, Any] = field(default_factory=dict)
    ops: list[str] = field(default_factory=list)
    args: list[tuple[int, ...]] = field(default_factory=list)
    payload: list[Any] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    leaks: dict[str, str] = field(default_factory=dict)
    clipped: dict[str, None] = field(default_factory=dict)
    dropped: dict[str, None] = field(default_factory=dict)
    small: dict[int, set[str]] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    # Entering

    def leaf(self, payload: Any, value: float) -> int:
        """Return the scalar that stands for a symbol, with its value at the sample point."""
        return self._enter("leaf", (), payload, value)

    def constant(self, value: Any) -> int:
        """Return a plain number as a scalar."""
        number, root = exact(value)
        found = self._enter("const", (), number, float(number))
        return self.power(found, self.constant(Fraction(1, 2))) if root else found

    def _enter(self, op: str, args: tuple[int, ...], payload: Any, value: float) -> int:
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
        return number

    def apply(self, op: str, *operands: int) -> int:
        """Enter an op without any rule of its own."""
        value = compute(op, [self.values[each] for each in operands])
        return self._enter(op, operands, None, value)

    def number(self, scalar: int) -> Fraction | None:
        """Return the value of a constant, else None."""
        return self.payload[scalar] if self.ops[scalar] == "const" else None

    # Rules: constants fold, neutral elements vanish, the logistic function is recognised

    def add(self, a: int, b: int) -> int:
        """Return a + b."""
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.constant(x + y)
        if x is not None:
            a, b, y = b, a, x
        if y is None:
            return self.apply("add", a, b)
        if y == 0:
            return a
        if abs(y) <= SMALL:
            place = caller()
            if place in self.tiny:
                self.dropped[f"{float(y):g}"] = None
                return a
            self.small.setdefault(self.apply("add", a, b), set()).add(place)
        if self.ops[a] == "choose":
            mask, first, second = self.args[a]
            return self.choose(mask, self.add(first, b), self.add(second, b))
        inside = self._half_tanh(a) if y == Fraction(1, 2) else None
        return self.apply("add", a, b) if inside is None else self.sigma(inside)

    def subtract(self, a: int, b: int) -> int:
        """Return a - b."""
        if a == b:
            return self.constant(0)
        y = self.number(b)
        if y is not None:
            return self.add(a, self.constant(-y))
        return self.negative(b) if self.number(a) == 0 else self.apply("sub", a, b)

    def negative(self, a: int) -> int:
        """Return -a."""
        return self.multiply(self.constant(-1), a)

    def multiply(self, a: int, b: int) -> int:
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
        if self.ops[b] == "mul":
            first, rest = self.args[b]
            inner = self.number(first)
            if inner is not None:
                return self.multiply(self.constant(x * inner), rest)
        inside = self._one_plus("tanh", b) if x == Fraction(1, 2) else None
        if inside is not None:
            return self.sigma(self.multiply(self.constant(2), inside))
        return self.apply("mul", a, b)

    def divide(self, a: int, b: int) -> int:
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
            if self.ops[a] == "exp" and self.args[a] == (inside,):
                return self.sigma(inside)
        if self.number(a) == 0:
            return a
        if self.ops[b] == "choose":
            mask, first, second = self.args[b]
            above, below = self._cases(mask, a)
            return self.choose(mask, self.divide(above, first), self.divide(below, second))
        return self.apply("div", a, b)

    def power(self, a: int, b: int) -> int:
        """Return a to the power b."""
        x, n = self.number(a), self.number(b)
        if n is None:
            return self.apply("power", a, b)
        if n == 0 or n == 1:
            return a if n else self.constant(1)
        if x is not None:
            if n.denominator == 1:
                return self.constant(x**n)
            if n == Fraction(1, 2) and x >= 0:
                top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
                if (top**2, bottom**2) == (x.numerator, x.denominator):
                    return self.constant(Fraction(top, bottom))
        if n == -1:
            return self.divide(self.constant(1), a)
        return self.apply("power", a, b)

    def sigma(self, a: int) -> int:
        """Return the logistic function of a."""
        return self.constant(Fraction(1, 2)) if self.number(a) == 0 else self.apply("sigma", a)

    def function(self, name: str, a: int) -> int:
        """Return exp, log, tanh, sin or cos of a."""
        x = self.number(a)
        if x == 0 and name in ("exp", "cos"):
            return self.constant(1)
        if (x == 0 and name in ("tanh", "sin")) or (x == 1 and name == "log"):
            return self.constant(0)
        return self.apply(name, a)

    def absolute(self, a: int) -> int:
        """Return the absolute value of a."""
        x = self.number(a)
        return self.apply("abs", a) if x is None else self.constant(abs(x))

    # Masks: scalars that are 0 or 1

    def step(self, u: int) -> int:
        """Return 1 where u > 0, else 0; at -u it is 1 less that, off the kink."""
        x = self.number(u)
        if x is not None:
            return self.constant(int(x > 0))
        if self.ops[u] == "choose":
            mask, a, b = self.args[u]
            return self.choose(mask, self.step(a), self.step(b))
        if self.ops[u] in ("mul", "sub"):
            a, b = self.args[u]
            number = self.number(a)
            if self.ops[u] == "mul" and number is not None:
                return self.opposite(self.step(b)) if number < 0 else self.step(b)
            if self.ops[u] == "sub" and a < b:
                return self.opposite(self.step(self.subtract(b, a)))
        return self.apply("step", u)

    def opposite(self, mask: int) -> int:
        """Return 1 - mask."""
        if self.ops[mask] == "sub" and self.number(self.args[mask][0]) == 1:
            return self.args[mask][1]
        return self.subtract(self.constant(1), mask)

    def choose(self, mask: int, a: int, b: int) -> int:
        """Return a where the mask is 1, b where it is 0."""
        if self.ops[mask] == "sub" and self.number(self.args[mask][0]) == 1:
            return self.choose(self.args[mask][1], b, a)
        known = self.number(mask)
        if known is not None:
            return a if known else b
        a, b = self._cases(mask, a)[0], self._cases(mask, b)[1]
        if self.number(a) == 1 and self.number(b) == 0:
            return mask
        if self.number(a) == 0 and self.number(b) == 1:
            return self.opposite(mask)
        return a if a == b else self.apply("choose", mask, a, b)

    def _cases(self, mask: int, a: int) -> tuple[int, int]:
        """Return what a is where the mask is 1 and where it is 0."""
        if a == mask:
            return self.constant(1), self.constant(0)
        if self.ops[a] == "choose" and self.args[a][0] == mask:
            return self.args[a][1], self.args[a][2]
        return a, a

    def _one_plus(self, function: str, a: int) -> int | None:
        """Return w if a is 1 + function(w)."""
        if self.ops[a] != "add":
            return None
        first, second = self.args[a]
        if self.ops[first] == function and self.number(second) == 1:
            return self.args[first][0]
        return None

    def _half_tanh(self, a: int) -> int | None:
        """Return 2 w if a is tanh(w) / 2."""
        if self.ops[a] == "mul":
            first, second = self.args[a]
            if self.ops[second] == "tanh" and self.number(first) == Fraction(1, 2):
                return self.multiply(self.constant(2), self.args[second][0])
        return None

    # What code asks of a value

    def decide(self, question: int) -> bool:
        """Return whether a scalar is not 0 at the sample point, and note that it was asked."""
        place = caller()
        answer = bool(self.values[question]) != (place in self.flips)
        self.decisions.append(Decision(place, question, answer))
        return answer

    def leak(self, what: str) -> None:
        """Note that a scalar was turned into a plain number."""
        self.leaks.setdefault(caller(), what)

    # Reading

    def needed(self, roots: Iterable[int]) -> list[int]:
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
        module = str(frame.f_globals.get("__name__", ""))
        if module.split(".")[0] not in ("graphgrad", "numpy"):
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
}


def compute(op: str, values: list[float]) -> float:
    """Return the floating-point value of an op; NaN outside its domain."""
    try:
        result = FLOATS[op](*values)
    except (ArithmeticError, ValueError):
        return math.nan
    return result if isinstance(result, float) else math.nan
