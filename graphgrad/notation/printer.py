"""The one printer: expressions in any style, with just the parentheses they need.

A style says how each op looks and how tightly it binds; the loop here asks it for every node, from
the leaves up, so that depth costs no recursion. Styles make text, or boxes of mathematics.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from graphgrad.ir import Expr, topological

# How tightly the parts of an expression bind, loosest first.
CHOICE, SUM, PRODUCT, SIGN, POWER, POSTFIX, ATOM = range(7)

Output = TypeVar("Output")


@dataclass(frozen=True)
class Shown(Generic[Output]):
    """An expression as it is shown, and how tightly it binds."""

    text: Output
    level: int = ATOM


Printed = Shown[str]


class Style(Protocol[Output]):
    """How expressions look in one output language."""

    def show(self, expr: Expr, args: list[Shown[Output]]) -> Shown[Output]:
        """Return an expression's text, given its arguments' texts."""

    def parenthesised(self, text: Output) -> Output:
        """Return a text in parentheses."""


def fit(style: Style[Output], printed: Shown[Output], level: int) -> Output:
    """Return a text that binds at least as tightly as `level`, in parentheses if need be."""
    return printed.text if printed.level >= level else style.parenthesised(printed.text)


def show(root: Expr, style: Style[Output]) -> Shown[Output]:
    """Return an expression in a style."""
    done: dict[int, Shown[Output]] = {}
    order = topological([root])
    users = Counter(id(arg) for expr in order for arg in expr.args)
    for expr in order:
        done[id(expr)] = style.show(expr, [done[id(arg)] for arg in expr.args])
        for arg in expr.args:
            users[id(arg)] -= 1
            if not users[id(arg)]:
                # in a deep expression, all parts together are much longer than the whole
                done.pop(id(arg), None)
    return done[id(root)]
