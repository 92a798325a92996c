"""Dimensions: integer-linear expressions in named sizes, such as H, 4*H or H+K."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeGuard

from graphgrad.errors import ShapeError

LARGEST = 2**31 - 1


def is_whole(value: Any) -> TypeGuard[int]:
    """Return whether a value is a whole number, of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class Dim:
    """One axis length: `constant + Σ coefficient · name`, terms sorted by name.

    >>> Dim.of("H") * 4 + 2
    Dim(4*H+2)
    >>> (Dim.of("H") * 4).divided(4)
    Dim(H)
    >>> (Dim.of("H") + 1).bind({"H": 3})
    Dim(4)
    """

    terms: tuple[tuple[str, int], ...]
    constant: int

    @staticmethod
    def of(value: Dim | int | str) -> Dim:
        """Return the dimension for a number, a name, or text such as `4*H+K`."""
        if isinstance(value, Dim):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0:
                raise ShapeError("a dimension cannot be negative", remedy="use a size ≥ 0")
            return Dim._make({}, value)
        if isinstance(value, str):
            return parse_dim(value)
        raise ShapeError(
            f"{value!r} is not a dimension", remedy='use a number or a name such as "H" or "4*H"'
        )

    @staticmethod
    def _make(terms: Mapping[str, int], constant: int) -> Dim:
        if max(map(abs, (constant, *terms.values()))) > LARGEST:
            raise ShapeError("this size is too large", remedy=f"use numbers up to {LARGEST}")
        return Dim(tuple(sorted((n, k) for n, k in terms.items() if k)), constant)

    def __add__(self, other: Dim | int) -> Dim:
        other = Dim((), other) if isinstance(other, int) else other
        terms = dict(self.terms)
        for name, coefficient in other.terms:
            terms[name] = terms.get(name, 0) + coefficient
        return Dim._make(terms, self.constant + other.constant)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + (other * -1)

    def __mul__(self, factor: int) -> Dim:
        return Dim._make({n: k * factor for n, k in self.terms}, self.constant * factor)

    def divided(self, parts: int) -> Dim | None:
        """Return the length of one of `parts` equal parts, or None where it is not whole."""
        numbers = [self.constant, *(k for _, k in self.terms)]
        if parts < 1 or any(number % parts for number in numbers):
            return None
        return Dim._make({n: k // parts for n, k in self.terms}, self.constant // parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The size names that occur."""
        return tuple(name for name, _ in self.terms)

    @property
    def known(self) -> bool:
        """Whether the length is a plain number."""
        return not self.terms

    def bind(self, sizes: Mapping[str, int]) -> Dim:
        """Return the dimension with the given sizes put in."""
        total, rest = self.constant, {}
        for name, coefficient in self.terms:
            if name in sizes:
                total += coefficient * sizes[name]
            else:
                rest[name] = coefficient
        return Dim._make(rest, total)

    def __int__(self) -> int:
        if self.terms:
            raise ShapeError(
                f"the size {self} has no number yet",
                remedy=f"give {', '.join(f'{n}=…' for n in self.names)}, or data that show it",
            )
        return self.constant

    def __str__(self) -> str:
        text = ""
        for name, coefficient in self.terms:
            sign = "-" if coefficient < 0 else "+" if text else ""
            text += sign + (name if abs(coefficient) == 1 else f"{abs(coefficient)}*{name}")
        if self.constant or not text:
            text += f"{self.constant:+d}" if text else str(self.constant)
        return text

    __repr__ = lambda self: f"Dim({self})"  # noqa: E731


Shape = tuple[Dim, ...]


def shape_text(shape: Shape) -> str:
    """Return a shape as it is written in messages: `(H, D)`, or `scalar`."""
    return f"({', '.join(map(str, shape))})" if shape else "scalar"


def bind_shape(shape: Shape, sizes: Mapping[str, int]) -> Shape:
    """Return a shape with the given sizes put in."""
    return tuple(dim.bind(sizes) for dim in shape)


def concrete(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return a shape in plain numbers; ShapeError names the sizes that are missing."""
    lengths = tuple(int(dim.bind(sizes)) for dim in shape)
    for dim, length in zip(shape, lengths, strict=True):
        if length < 1:
            raise ShapeError(f"the size {dim} comes out as {length}", remedy="give larger sizes")
    return lengths


def parse_dim(text: str) -> Dim:
    """Return the dimension that a short text such as `4*H+K` stands for."""
    if len(text) > 200:
        raise ShapeError("a dimension this long is not plausible", remedy="write H, 4*H or H+K")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ShapeError(f"{text!r} is not a dimension", remedy="write H, 4*H or H+K") from None
    return dim_of_ast(tree)


def _whole(tree: ast.expr) -> int | None:
    """Return the whole number that a syntax tree is, with its sign."""
    match tree:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
    return None


def dim_of_ast(tree: ast.expr) -> Dim:
    """Return the dimension of a syntax tree made of names, whole numbers, +, - and *."""
    terms: dict[str, int] = {}
    constant = 0
    pending: list[tuple[ast.expr, int]] = [(tree, 1)]
    while pending:
        node, factor = pending.pop()
        match node:
            case ast.Name(id=name):
                terms[name] = terms.get(name, 0) + factor
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                constant += factor * value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                pending.append((operand, -factor))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                pending += [(right, factor), (left, factor)]
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                pending += [(right, -factor), (left, factor)]
            case ast.BinOp(left=left, op=ast.Mult(), right=right) if _whole(left) is not None:
                pending.append((right, factor * (_whole(left) or 0)))
            case ast.BinOp(left=left, op=ast.Mult(), right=right) if _whole(right) is not None:
                pending.append((left, factor * (_whole(right) or 0)))
            case _:
                raise ShapeError(
                    "this is not a dimension",
                    remedy="write a whole number, a name, or a sum such as 4*H or H+K",
                )
    return Dim._make(terms, constant)


@dataclass(frozen=True)
class Token:
    """The type of a token: an integer in 0..size-1, which is not a number to compute with."""

    size: Dim

    def __str__(self) -> str:
        return f"token({self.size})"
