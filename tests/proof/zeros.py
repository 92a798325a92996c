"""What the tests that decide zero share: symbols, unexpanded products, checked witnesses."""

from fractions import Fraction

import sympy
from sympy import Function, Mul, Rational, Symbol

from graphgrad.proof.zero import ZeroDecision

a, b, c, x, y, z = (Symbol(name, real=True) for name in "abcxyz")
p, q = (Symbol(name, positive=True) for name in "pq")
n = Symbol("n", integer=True)
f = Function("f")


def product(*factors):
    """A product that SymPy has not expanded."""
    return Mul(*factors, evaluate=False)


def total(terms):
    return sum(terms, sympy.S.Zero)


def certified(decision: ZeroDecision, expr: sympy.Expr) -> bool:
    """Whether SymPy's own evaluation at the witness lies in the enclosure, which excludes 0."""
    assert decision.witness is not None
    assert decision.enclosure is not None
    low, high = decision.enclosure
    assert low <= high
    assert low > 0 or high < 0
    value = sympy.N(expr.subs(decision.witness), 60)
    width = Rational(Fraction(high) - Fraction(low)) + Rational(1, 10**40)
    lowest = Rational(Fraction(low)) - width
    return bool(lowest <= value <= lowest + 3 * width)
