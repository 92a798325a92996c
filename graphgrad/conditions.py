"""Integer expressions in time indices, and the conditions made of them.

Conditions decide by the index alone: `t == tau`, `t > 3 and t % 2 == 0`. They are small immutable
trees that can be evaluated for one step or for an array of steps, shifted in time and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np

from graphgrad.errors import NotationError

LARGEST = 10**9  # of a number in a time: products with steps then fit into 64 bits
COMPARE: dict[str, Any] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@dataclass(frozen=True)
class Modulo:
    """The remainder `inner % modulus`, an atom of integer expressions."""

    inner: Affine
    modulus: int

    def __str__(self) -> str:
        inner = str(self.inner)
        return f"{inner if self.inner.is_name else f'({inner})'} % {self.modulus}"


Atom = str | Modulo


@dataclass(frozen=True)
class Affine:
    """`constant + Σ coefficient · atom`; an atom is an index or length name, or a remainder.

    >>> str(Affine.name("t").plus(-1))
    't - 1'
    """

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    @staticmethod
    def name(name: str) -> Affine:
        """Return the expression that is one index or length."""
        return Affine(((name, 1),))

    @staticmethod
    def number(value: int) -> Affine:
        """Return the expression that is a plain number."""
        return Affine((), value)

    def plus(self, other: Affine | int, factor: int = 1) -> Affine:
        """Return `self + factor · other`."""
        other = Affine((), other) if isinstance(other, int) else other
        terms = dict(self.terms)
        for atom, coefficient in other.terms:
            terms[atom] = terms.get(atom, 0) + factor * coefficient
        kept = tuple(sorted(((a, k) for a, k in terms.items() if k), key=lambda p: str(p[0])))
        constant = self.constant + factor * other.constant
        if abs(constant) > LARGEST or sum(abs(k) for _, k in kept) > LARGEST:
            raise NotationError(
                "this number is too large for a time", remedy="use numbers up to 1000000000"
            )
        return Affine(kept, constant)

    def times(self, factor: int) -> Affine:
        """Return the expression multiplied by a number."""
        return Affine((), 0).plus(self, factor)

    def modulo(self, modulus: int) -> Affine:
        """Return the remainder of division by a positive number."""
        if modulus > LARGEST:
            raise NotationError(
                "this modulus is too large for a time", remedy="use numbers up to 1000000000"
            )
        return Affine(((Modulo(self, modulus), 1),))

    @property
    def is_name(self) -> bool:
        """Whether this is one bare name."""
        return len(self.terms) == 1 and not self.constant and self.terms[0][1] == 1

    @property
    def names(self) -> set[str]:
        """The index and length names that occur."""
        found: set[str] = set()
        for atom, _ in self.terms:
            found |= atom.inner.names if isinstance(atom, Modulo) else {atom}
        return found

    @property
    def moduli(self) -> set[int]:
        """The moduli that occur."""
        found: set[int] = set()
        for atom, _ in self.terms:
            if isinstance(atom, Modulo):
                found |= {atom.modulus} | atom.inner.moduli
        return found

    def substitute(self, values: Mapping[str, Affine]) -> Affine:
        """Return the expression with names replaced by expressions."""
        result = Affine((), self.constant)
        for atom, coefficient in self.terms:
            if isinstance(atom, Modulo):
                inner = atom.inner.substitute(values)
                value = (
                    Affine.number(inner.constant % atom.modulus)
                    if not inner.terms
                    else inner.modulo(atom.modulus)
                )
            else:
                value = values.get(atom, Affine.name(atom))
            result = result.plus(value, coefficient)
        return result

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return the number, or the array of numbers, at given index and length values."""
        total: Any = self.constant
        for atom, coefficient in self.terms:
            if isinstance(atom, Modulo):
                value = atom.inner.evaluate(values) % atom.modulus
            else:
                value = values[atom]
            total = total + coefficient * value
        return total

    def __str__(self) -> str:
        text = ""
        for atom, coefficient in self.terms:
            shown = str(atom)
            if abs(coefficient) != 1:
                shown = f"{abs(coefficient)}*{shown if isinstance(atom, str) else f'({shown})'}"
            elif isinstance(atom, Modulo) and text and coefficient < 0:
                shown = f"({shown})"
            if text:
                text += f" - {shown}" if coefficient < 0 else f" + {shown}"
            else:
                text = f"-{shown}" if coefficient < 0 else shown
                if isinstance(atom, Modulo) and coefficient < 0:
                    text = f"-({atom})" if abs(coefficient) == 1 else text
        if self.constant and text:
            text += f" {'-' if self.constant < 0 else '+'} {abs(self.constant)}"
        return text or str(self.constant)


class _Logic:
    """What all conditions share: `&`, `|`, `~`, and no truth value of their own."""

    def __and__(self, other: Condition) -> Condition:
        return both(cast("Condition", self), other)

    def __or__(self, other: Condition) -> Condition:
        return either(cast("Condition", self), other)

    def __invert__(self) -> Condition:
        return negate(cast("Condition", self))

    def __bool__(self) -> NoReturn:
        raise NotationError(
            "a condition on the time index has no truth value of its own",
            remedy="combine conditions with &, | and ~; choose with choose(t == tau, a, b)",
        )


@dataclass(frozen=True)
class Compare(_Logic):
    """`left relation right`, with a relation from COMPARE."""

    relation: str
    left: Affine
    right: Affine

    def __str__(self) -> str:
        return f"{self.left} {self.relation} {self.right}"


@dataclass(frozen=True)
class Junction(_Logic):
    """Several conditions joined by `and` or by `or`."""

    word: str
    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return f" {self.word} ".join(
            f"({part})" if isinstance(part, Junction) and part.word != self.word else str(part)
            for part in self.parts
        )


@dataclass(frozen=True)
class Negation(_Logic):
    """`not part`."""

    part: Condition

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, Junction) else f"not {self.part}"


Condition = Compare | Junction | Negation
ALWAYS: Condition = Junction("and", ())
NEVER: Condition = Junction("or", ())


def both(*parts: Condition) -> Condition:
    """Return the conjunction, flattened, without repetitions."""
    return _joined("and", parts, NEVER)


def either(*parts: Condition) -> Condition:
    """Return the disjunction, flattened, without repetitions."""
    return _joined("or", parts, ALWAYS)


def _joined(word: str, parts: Iterable[Condition], decisive: Condition) -> Condition:
    """Return parts joined by a word, `decisive` where a part is that."""
    flat: list[Condition] = []
    for part in parts:
        if part == decisive:
            return decisive
        inner = part.parts if isinstance(part, Junction) and part.word == word else (part,)
        flat += [each for each in inner if each not in flat]
    return flat[0] if len(flat) == 1 else Junction(word, tuple(flat))


def negate(condition: Condition) -> Condition:
    """Return the condition that holds exactly where the given one does not."""
    if isinstance(condition, Compare):
        return Compare(NEGATED[condition.relation], condition.left, condition.right)
    if isinstance(condition, Negation):
        return condition.part
    if condition == ALWAYS:
        return NEVER
    if condition == NEVER:
        return ALWAYS
    return Negation(condition)


def _leaves(condition: Condition) -> list[Compare]:
    found: list[Compare] = []
    pending: list[Condition] = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, Compare):
            found.append(part)
        elif isinstance(part, Negation):
            pending.append(part.part)
        else:
            pending.extend(reversed(part.parts))
    return found


def names_in(condition: Condition) -> set[str]:
    """Return the index and length names that occur in a condition."""
    return set().union(*(leaf.left.names | leaf.right.names for leaf in _leaves(condition)))


def comparisons(condition: Condition) -> list[Compare]:
    """Return the comparisons that occur in a condition, left to right."""
    return _leaves(condition)


def substitute(condition: Condition, values: Mapping[str, Affine]) -> Condition:
    """Return the condition with names replaced by expressions, decided where that decides it."""
    return _compared_anew(condition, lambda side: side.substitute(values))


def shift(condition: Condition, index: str, steps: int) -> Condition:
    """Return the condition as it stands `steps` later: `t` becomes `t + steps`.

    A comparison of the bare index with something keeps the index bare: `t > 1` shifted by 1 is
    `t > 0`.
    """
    moved = {index: Affine.name(index).plus(steps)}
    return _compared_anew(condition, lambda side: side.substitute(moved), index)


def _compared_anew(
    condition: Condition, side: Callable[[Affine], Affine], bare: str = ""
) -> Condition:
    """Return the condition with both sides of each comparison replaced, `bare` kept by itself."""
    if isinstance(condition, Negation):
        return negate(_compared_anew(condition.part, side, bare))
    if isinstance(condition, Junction):
        join = both if condition.word == "and" else either
        return join(*(_compared_anew(part, side, bare) for part in condition.parts))
    left, right = side(condition.left), side(condition.right)
    gap = left.plus(right, -1)
    if not gap.terms:
        return ALWAYS if COMPARE[condition.relation](gap.constant, 0) else NEVER
    if left.plus(-left.constant).is_name and left.terms[0][0] == bare:
        left, right = left.plus(-left.constant), right.plus(-left.constant)
    return Compare(condition.relation, left, right)


def within(condition: Condition, index: str, length: str) -> Condition:
    """Return the condition without what is always so for steps 1..length of an index.

    That a step is not the first or the last is said by the order: `t > 1`, `t < tau`.

    >>> t = Affine.name("t")
    >>> str(within(both(Compare(">", t, Affine.number(0)), Compare("<", t, Affine.name("tau"))),
    ...     "t", "tau"))
    't < tau'
    """
    if isinstance(condition, Junction) and condition.word == "and":
        parts = [within(part, index, length) for part in condition.parts]
        return NEVER if NEVER in parts else both(*(part for part in parts if part != ALWAYS))
    if not isinstance(condition, Compare) or condition.left != Affine.name(index):
        return condition
    relation, right = condition.relation, condition.right
    below_first = not right.terms and right.constant < 1
    above_last = right.plus(-right.constant) == Affine.name(length) and right.constant > 0
    if below_first or above_last:
        true = relation in ("!=", ">", ">=") if below_first else relation in ("!=", "<", "<=")
        return ALWAYS if true else NEVER
    first, last = right == Affine.number(1), right == Affine.name(length)
    if (relation == ">=" and first) or (relation == "<=" and last):
        return ALWAYS
    if relation == "!=" and (first or last):
        return Compare(">" if first else "<", condition.left, right)
    return condition


def holds(condition: Condition, values: Mapping[str, Any]) -> Any:
    """Return whether a condition holds: a bool, or an array of bool where a value is an array."""
    if isinstance(condition, Compare):
        return COMPARE[condition.relation](
            condition.left.evaluate(values), condition.right.evaluate(values)
        )
    if isinstance(condition, Negation):
        return np.logical_not(holds(condition.part, values))
    result: Any = condition.word == "and"
    join = np.logical_and if condition.word == "and" else np.logical_or
    for part in condition.parts:
        result = join(result, holds(part, values))
    return result
