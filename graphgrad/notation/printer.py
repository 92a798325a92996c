"""The one printer: expressions to text of any style, with just the parentheses they need.

A style says how each op looks and how tightly it binds; the loop here asks it for every node, from
the leaves up, so that depth costs no recursion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from graphgrad.ir import Expr, topological

# How tightly the parts of an expression bind, loosest first.
CHOICE, SUM, PRODUCT, SIGN, POWER, POSTFIX, ATOM = range(7)


@dataclass(frozen=True)
class Printed:
    """The text of an expression and how tightly it binds."""

    text: str
    level: int = ATOM


class Style(Protocol):
    """How expressions look in one output language."""

    def show(self, expr: Expr, args: list[Printed]) -> Printed:
        """Return an expression's text, given its arguments' texts."""

    def parenthesised(self, text: str) -> str:
        """Return a text in parentheses."""


def fit(style: Style, printed: Printed, level: int) -> str:
    """Return a text that binds at least as tightly as `level`, in parentheses if need be."""
    return printed.text if printed.level >= level else style.parenthesised(printed.text)


def show(root: Expr, style: Style) -> Printed:
    """Return an expression in a style."""
    done: dict[int, Printed] = {}
    for expr in topological([root]):
        done[id(expr)] = style.show(expr, [done[id(arg)] for arg in expr.args])
    return done[id(root)]
