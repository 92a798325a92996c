"""What a tape computed, as SymPy expressions: shared, nothing expanded, nothing evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy

from graphgrad.proof import functions
from graphgrad.proof.trace_tape import Tape


class Expressions:
    """The expressions of a tape's scalars; each is made once."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._made: dict[int, sympy.Expr] = {}

    def of(self, nodes: Iterable[int]) -> list[sympy.Expr]:
        """Return the expressions of some scalars."""
        wanted = list(nodes)
        for node in self.tape.needed(wanted):
            if node not in self._made:
                self._made[node] = self._make(node)
        return [self._made[node] for node in wanted]

    def _make(self, node: int) -> sympy.Expr:
        op, payload = self.tape.ops[node], self.tape.payload[node]
        if op == "const" and payload in self.tape.rounded:
            return self.tape.rounded[payload]
        if op == "const":
            return sympy.Rational(payload.numerator, payload.denominator)
        if op == "leaf":
            return payload
        args = [self._made[arg] for arg in self.tape.args[node]]
        if op == "choose":
            return self._choice(node, *args)
        return RULES[op](*args)

    def _choice(self, node: int, mask: Any, a: Any, b: Any) -> sympy.Expr:
        condition = self.tape.args[node][0]
        if self.tape.ops[condition] == "step":
            gap = self._made[self.tape.args[condition][0]]
            return functions.where(gap, a, b, evaluate=False)
        return _add(b, _multiply(mask, _subtract(a, b)))


def _add(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    return sympy.Add(a, b, evaluate=False)


def _multiply(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    return sympy.Mul(a, b, evaluate=False)


def _subtract(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    return _add(a, _multiply(sympy.S.NegativeOne, b))


def _power(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    return sympy.Pow(a, b, evaluate=False)


RULES: dict[str, Any] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": lambda a, b: _multiply(a, _power(b, sympy.S.NegativeOne)),
    "power": _power,
    "exp": lambda u: sympy.exp(u, evaluate=False),
    "log": lambda u: sympy.log(u, evaluate=False),
    "tanh": lambda u: sympy.tanh(u, evaluate=False),
    "sin": lambda u: sympy.sin(u, evaluate=False),
    "cos": lambda u: sympy.cos(u, evaluate=False),
    "sigma": lambda u: functions.sigma(u, evaluate=False),
    "abs": lambda u: functions.absolute(u, evaluate=False),
    "step": lambda u: functions.step(u, evaluate=False),
}
