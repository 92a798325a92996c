"""Numbers of a run that are exact constants of the circuit, rounded: log 2π as code has it.

`np.log(2 * np.pi)` is computed in floats before it meets a traced scalar, while the circuit has the
logarithm itself. The two differ in the last digit of a float, which is rounding and no fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import sympy

from graphgrad.proof.check_judge import Comparison
from graphgrad.proof.trace_tape import LARGEST_DENOMINATOR, ROUNDING, Tape

DIGITS = 40
LARGEST_FACTOR = 1_000
"""Multiples of a constant have no larger numerator or denominator."""
MOST = 20
"""So many constants of the truth, and numbers of the run, are compared at most."""


def rounded_constants(tape: Tape, made: Iterable[Comparison]) -> dict[Fraction, sympy.Expr]:
    """Return which numbers of a run are constants of the truth, or simple multiples, rounded."""
    odd = [
        tape.payload[node]
        for node, op in enumerate(tape.ops)
        if op == "const" and tape.payload[node].denominator > LARGEST_DENOMINATOR
    ]
    found: dict[Fraction, sympy.Expr] = {}
    constants = list(_constants(made))[:MOST] if odd else []
    for number in odd[:MOST]:
        for constant, value in constants:
            factor = Fraction(number / value).limit_denominator(LARGEST_FACTOR)
            near = abs(factor * value - number) <= 2 * Fraction(ROUNDING) * abs(number)
            if near and 0 < abs(factor.numerator) <= LARGEST_FACTOR:
                found[number] = sympy.Rational(*factor.as_integer_ratio()) * constant
                break
    return found


def rounded_text(number: Fraction, constant: sympy.Expr) -> str:
    """Return how a number is read: `1.8379 is read as log(6.28319), rounded`."""
    short = {each: sympy.Symbol(f"{float(each):g}") for each in constant.atoms(sympy.Rational)
             if abs(each.q) > LARGEST_FACTOR}  # fmt: skip
    return f"{float(number)!r} is read as {constant.xreplace(short)}, of which it is the rounding"


def _constants(made: Iterable[Comparison]) -> Iterator[tuple[sympy.Expr, Fraction]]:
    """Yield the functions of numbers in the truths, with their values."""
    known: dict[sympy.Expr, bool] = {}
    pending = [sympy.sympify(each) for one in made for each in one.want.flat if each is not None]
    while pending:
        expr = pending[-1]
        missing = [] if expr in known else [each for each in expr.args if each not in known]
        if missing:
            pending += missing
            continue
        pending.pop()
        if expr in known:
            continue
        known[expr] = not expr.is_Symbol and all(known[each] for each in expr.args)
        if not known[expr] or expr.is_Rational or expr.is_Add or expr.is_Mul:
            continue
        value = sympy.N(expr, DIGITS)
        if value.is_Float and value:
            yield expr, Fraction(str(value))
