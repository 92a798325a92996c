"""Numbers modulo a prime with a tangent: both sides of an identity as straight-line programs.

A function's value at an argument is drawn at random the first time that argument is met, and looked
up afterwards. So atoms are independent variables, as they are in a certificate; what holds for
independent atoms holds for the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from graphgrad.algebras import ObjectAlgebra
from graphgrad.ir import Number
from graphgrad.proof.poly import UndecidableError


class UnluckyError(UndecidableError):
    """A random point at which something has no value; another point is drawn."""


class Table:
    """The prime, the source of randomness, and the values of functions drawn so far."""

    def __init__(self, prime: int, draw: Random) -> None:
        self.prime = prime
        self.random = draw
        self.atoms: dict[tuple[object, ...], int] = {}
        self.choices: dict[int, dict[int, int]] = {}
        """value of a maximum: the choice of each entry"""

    def draw(self) -> int:
        """Return a random number."""
        return self.random.randrange(self.prime)

    def atom(self, name: str, *args: int) -> int:
        """Return a function's value at arguments."""
        key = (name, *args)
        if key not in self.atoms:
            self.atoms[key] = self.draw()
        return self.atoms[key]

    def inverse(self, value: int) -> int:
        """Return 1/value, or give the point up."""
        if value % self.prime == 0:
            raise UnluckyError("a denominator vanishes at the random point")
        return pow(value, -1, self.prime)

    def lifted(self, number: Any) -> int:
        """Return a rational number modulo the prime."""
        fraction = number if isinstance(number, Fraction) else Fraction(str(number))
        return fraction.numerator * self.inverse(fraction.denominator) % self.prime


class Residue:
    """A number modulo the prime, and its derivative in the random direction."""

    __slots__ = ("table", "tangent", "value")

    def __init__(self, table: Table, value: int, tangent: int = 0) -> None:
        self.table = table
        self.value = value
        self.tangent = tangent

    def _lifted(self, other: Any) -> Residue:
        return (
            other if isinstance(other, Residue) else Residue(self.table, self.table.lifted(other))
        )

    def __add__(self, other: Any) -> Residue:
        b, p = self._lifted(other), self.table.prime
        return Residue(self.table, (self.value + b.value) % p, (self.tangent + b.tangent) % p)

    __radd__ = __add__

    def __neg__(self) -> Residue:
        p = self.table.prime
        return Residue(self.table, -self.value % p, -self.tangent % p)

    def __sub__(self, other: Any) -> Residue:
        b, p = self._lifted(other), self.table.prime
        return Residue(self.table, (self.value - b.value) % p, (self.tangent - b.tangent) % p)

    def __rsub__(self, other: Any) -> Residue:
        return self._lifted(other) - self

    def __mul__(self, other: Any) -> Residue:
        b, p = self._lifted(other), self.table.prime
        tangent = 0
        if self.tangent or b.tangent:
            tangent = (self.value * b.tangent + self.tangent * b.value) % p
        return Residue(self.table, self.value * b.value % p, tangent)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Residue:
        b, p = self._lifted(other), self.table.prime
        inverse = self.table.inverse(b.value)
        value = self.value * inverse % p
        return Residue(self.table, value, (self.tangent - value * b.tangent) * inverse % p)

    def __rtruediv__(self, other: Any) -> Residue:
        return self._lifted(other) / self

    def __pow__(self, exponent: Any) -> Residue:
        return power(self, self._lifted(exponent))


def power(a: Residue, b: Residue) -> Residue:
    """Return a power: whole exponents up to 64 by products, others as an atom."""
    table, p = a.table, a.table.prime
    n = b.value if b.value <= 64 else b.value - p
    if b.tangent == 0 and abs(n) <= 64:
        base = a if n >= 0 else 1 / a
        out = Residue(table, 1)
        for _ in range(abs(n)):
            out = out * base
        return out
    value = _known_power(table, a.value, b.value)
    slope = table.atom("log", a.value)
    lower = value * table.inverse(a.value)
    return Residue(table, value, (b.value * lower * a.tangent + value * slope * b.tangent) % p)


def _known_power(table: Table, base: int, exponent: int) -> int:
    """Return an atom for a power, linked to those whose exponents differ by 1."""
    p, atoms = table.prime, table.atoms
    key = ("power", base, exponent)
    if key not in atoms:
        below, above = ("power", base, (exponent - 1) % p), ("power", base, (exponent + 1) % p)
        if below in atoms:
            atoms[key] = atoms[below] * base % p
        elif above in atoms:
            atoms[key] = atoms[above] * table.inverse(base) % p
    return table.atom(*key)


class ResidueAlgebra(ObjectAlgebra):
    """Residues as a number type."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def number(self, value: Number) -> Residue:
        """Return a literal as the fraction it shows."""
        return Residue(self.table, self.table.lifted(value))

    def scalar(self, name: str, value: Any) -> Residue:
        """Return an entry of the data."""
        return self.number(value)

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function on residues."""
        rule = FUNCTIONS[name]
        return lambda *args: rule(self.table, *args)

    def scalar_power(self, a: Any, b: Any) -> Any:
        """Return a power."""
        return power(a, b)

    def where(self, relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
        """Return s*a + (1 - s)*b with one number s for each comparison."""

        def chosen(x: Residue, y: Residue, u: Residue, v: Residue) -> Residue:
            table = self.table
            known = table.choices.get(y.value, {}).get(x.value) if relation == ">=" else None
            test = known
            if test is None:
                test = step(table, (x.value - y.value) % table.prime)
                if relation in ("<", "<="):
                    test = (1 - test) % table.prime
            return Residue(table, test) * u + Residue(table, (1 - test) % table.prime) * v

        return self.mapped(chosen, left, right, a, b)

    def max(self, v: Any) -> Residue:
        """Return Σ e_i*v_i with Σ e_i = 1."""
        table, entries = self.table, list(np.ravel(v))
        values = tuple(entry.value for entry in entries)
        choices = [table.atom("choice", k, *values) for k in range(len(entries) - 1)]
        choices.append((1 - sum(choices)) % table.prime)
        total = Residue(table, 0)
        for choice, entry in zip(choices, entries, strict=True):
            total = total + Residue(table, choice) * entry
        table.choices.setdefault(total.value, {}).update(zip(values, choices, strict=True))
        return total


def oriented(table: Table, value: int) -> tuple[int, bool]:
    """Return of u and -u the one that stands for both, and whether the sign was changed."""
    return (table.prime - value, True) if value > table.prime // 2 else (value, False)


def step(table: Table, value: int) -> int:
    """Return a number that stands for 1 where u > 0, else 0."""
    u, flipped = oriented(table, value)
    found = table.atom("step", u)
    return (1 - found) % table.prime if flipped else found


def _tanh(table: Table, u: Residue) -> Residue:
    key, flipped = oriented(table, u.value)
    y = 0 if key == 0 else table.atom("tanh", key)
    y = -y % table.prime if flipped else y
    return Residue(table, y, (1 - y * y) * u.tangent % table.prime)


def _sigma(table: Table, value: int) -> int:
    key, flipped = oriented(table, value)
    y = table.atom("sigmoid", key)
    return (1 - y) % table.prime if flipped else y


def _sigmoid(table: Table, u: Residue) -> Residue:
    y = _sigma(table, u.value)
    return Residue(table, y, y * (1 - y) * u.tangent % table.prime)


def _exp(table: Table, u: Residue) -> Residue:
    key, flipped = oriented(table, u.value)
    y = 1 if key == 0 else table.atom("exp", key)
    y = table.inverse(y) if flipped else y
    return Residue(table, y, y * u.tangent % table.prime)


def _sqrt(table: Table, u: Residue) -> Residue:
    p = table.prime
    y = pow(u.value, (p + 1) // 4, p)
    if y * y % p != u.value:
        raise UnluckyError("a root has no value at the random point")
    return Residue(table, y, u.tangent * table.inverse(2 * y) % p)


def _softplus(table: Table, u: Residue) -> Residue:
    key, flipped = oriented(table, u.value)
    y = table.atom("softplus", key)
    y = (y + u.value) % table.prime if flipped else y
    return Residue(table, y, _sigma(table, u.value) * u.tangent % table.prime)


def _log(table: Table, u: Residue) -> Residue:
    slope = table.inverse(u.value) * u.tangent % table.prime
    return Residue(table, table.atom("log", u.value), slope)


def _cosine(table: Table, value: int) -> int:
    return table.atom("cos", oriented(table, value)[0])


def _sine(table: Table, value: int) -> int:
    key, flipped = oriented(table, value)
    y = table.atom("sin", key)
    return -y % table.prime if flipped else y


def _relu(table: Table, u: Residue) -> Residue:
    return Residue(table, step(table, u.value)) * u


def _extremum(table: Table, a: Residue, b: Residue, flip: bool) -> Residue:
    test = step(table, (a.value - b.value) % table.prime)
    test = (1 - test) % table.prime if flip else test
    return Residue(table, test) * a + Residue(table, (1 - test) % table.prime) * b


FUNCTIONS: dict[str, Callable[..., Residue]] = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "softplus": _softplus,
    "sin": lambda t, u: Residue(t, _sine(t, u.value), _cosine(t, u.value) * u.tangent % t.prime),
    "cos": lambda t, u: Residue(t, _cosine(t, u.value), -_sine(t, u.value) * u.tangent % t.prime),
    "relu": _relu,
    "abs": lambda t, u: Residue(t, (2 * step(t, u.value) - 1) % t.prime) * u,
    "maximum": lambda t, a, b: _extremum(t, a, b, False),
    "minimum": lambda t, a, b: _extremum(t, a, b, True),
    "stop_gradient": lambda t, u: Residue(t, u.value),
}
