"""Derivatives by SymPy, one distinct subexpression at a time.

`sympy.diff` walks an expression as a tree, which takes seconds on a fully substituted loss although
it has few distinct parts. Here SymPy's own rules are asked once for each distinct part, and the
chain rule adds up; the result is the derivative of the whole expression.
"""

from __future__ import annotations

import sympy


class Derivatives:
    """The derivatives of one expression by any of its symbols."""

    def __init__(self, expr: sympy.Expr) -> None:
        self.expr = expr
        self.order = _distinct(expr)
        self._partials: dict[sympy.Basic, list[tuple[sympy.Basic, sympy.Expr]]] = {}

    def by(self, symbol: sympy.Symbol) -> sympy.Expr:
        """Return the derivative by one symbol."""
        slopes: dict[sympy.Basic, sympy.Expr] = {symbol: sympy.S.One}
        for part in self.order:
            if part in slopes or not part.args:
                continue
            terms = [
                partial if slopes[arg] is sympy.S.One else _product(partial, slopes[arg])
                for arg, partial in self.partials(part)
                if arg in slopes and partial is not sympy.S.Zero
            ]
            if terms:
                slopes[part] = sympy.Add(*terms, evaluate=False) if terms[1:] else terms[0]
        return slopes.get(self.expr, sympy.S.Zero)

    def partials(self, part: sympy.Basic) -> list[tuple[sympy.Basic, sympy.Expr]]:
        """Return each distinct argument of a part with SymPy's partial derivative by it."""
        if part not in self._partials:
            varying = dict.fromkeys(arg for arg in part.args if not arg.is_number)
            stand_ins = {arg: sympy.Dummy(real=True) for arg in varying}
            outer = part.func(*(stand_ins.get(arg, arg) for arg in part.args))
            back = {dummy: arg for arg, dummy in stand_ins.items()}
            self._partials[part] = [
                (arg, sympy.diff(outer, dummy).xreplace(back)) for arg, dummy in stand_ins.items()
            ]
        return self._partials[part]


def _product(left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    """Return a product as it stands; SymPy would walk both factors as trees to tidy it up."""
    return right if left is sympy.S.One else sympy.Mul(left, right, evaluate=False)


def _distinct(expr: sympy.Basic) -> list[sympy.Basic]:
    """Return the distinct subexpressions, arguments before users."""
    order: list[sympy.Basic] = []
    seen: set[sympy.Basic] = set()
    pending: list[tuple[sympy.Basic, bool]] = [(expr, False)]
    while pending:
        part, done = pending.pop()
        if done:
            order.append(part)
        elif part not in seen:
            seen.add(part)
            pending.append((part, True))
            pending.extend((arg, False) for arg in reversed(part.args))
    return order
