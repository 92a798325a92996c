"""Numbers by which a loss multiplies what it reads, such as 1/τ behind a mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from graphgrad.conditions import ALWAYS, Condition
from graphgrad.ir import OPS, Expr, constant, reduce, topological
from graphgrad.simplify import is_one
from viz.items import Structure

NUMBERS = ("const", "counter", "size")


class Number(NamedTuple):
    """Factors over divisors, of literals, lengths, sizes and counts of steps."""

    factors: tuple[Expr, ...] = ()
    divided: tuple[Expr, ...] = ()
    negative: bool = False

    def times(self, other: Number) -> Number:
        """Return the product."""
        return Number(
            self.factors + other.factors,
            self.divided + other.divided,
            self.negative != other.negative,
        )


ONE = Number()


class Read(NamedTuple):
    """A value that an equation reads `lag` steps back.

    `number` is what the value is multiplied by, None where the equation is not linear in it.
    """

    name: str
    lag: int
    number: Number | None


class Numbers:
    """The numbers between a loss and the values that it reads, directly or through others.

    - `between`: by head and tail, what a head multiplies each use of a tail by.
    - `behind`: by name, the products of what stands between the loss and a value, as far as they
      are not part of the derivative of a function; through values not in `ends` alone.
    """

    def __init__(self, parts: Structure, ends: Collection[str]) -> None:
        self._parts = parts
        self._terms = {
            id(item.expr): item.key
            for item in parts.items.values()
            if item.implied and item.expr is not None
        }
        self.between: defaultdict[tuple[str, str], list[Read]] = defaultdict(list)
        self.behind: defaultdict[str, list[Number]] = defaultdict(list)
        self.behind[parts.loss].append(Number())
        pending = [parts.loss]
        reads: dict[str, list[Read]] = {}
        while pending:
            head = pending.pop()
            if head not in reads:
                reads[head] = list(self._reads(head))
                for each in reads[head]:
                    self.between[head, each.name].append(each)
            for each in reads[head]:
                if each.name in ends:
                    continue
                for number in self.behind[head]:
                    whole = number if each.number is None else number.times(each.number)
                    known = [_key(other) for other in self.behind[each.name]]
                    if _key(whole) not in known:
                        self.behind[each.name].append(whole)
                        pending.append(each.name)

    def _reads(self, head: str) -> Iterator[Read]:
        """Yield what the equation of a value, or a term of the loss, reads."""
        item, equations = self._parts.items.get(head), self._parts.declared.equations
        if item is not None and item.implied and item.expr is not None:
            root = item.expr
        elif head in equations:
            root = equations[head].root
        else:
            return
        pending: list[tuple[Expr, Number | None]] = [(root, Number())]
        while pending:
            expr, number = pending.pop()
            kind = expr.op.name
            if expr is not root and id(expr) in self._terms:
                yield Read(self._terms[id(expr)], 0, number)
            elif kind == "read":
                yield Read(expr.attr.name, expr.attr.lag, number)
            elif kind == "at_step":
                yield Read(expr.attr.name, 0, number)
            elif kind == "static":
                yield Read(expr.attr, 0, number)
            else:
                pending += [
                    (arg, self._through(expr, position, number))
                    for position, arg in enumerate(expr.args)
                ]

    def _through(self, expr: Expr, position: int, number: Number | None) -> Number | None:
        """Return what an argument is multiplied by; None where the expression is not linear."""
        kind, others = expr.op.name, expr.args[:position] + expr.args[position + 1 :]
        if number is None or kind in ("add", "choose"):
            return number
        if kind in ("sub", "neg"):
            return number.times(Number(negative=kind == "neg" or position == 1))
        if kind == "reduce":
            over = expr.attr.over
            mean = Number(divided=(self._steps(over, expr.attr.condition),))
            return number.times(mean) if expr.attr.kind == "mean" else number
        if kind == "mul" and is_number(others[0]):
            return number.times(Number((others[0],)))
        if kind == "div" and position == 0 and is_number(others[0]):
            return number.times(Number((), (others[0],)))
        return None

    def _steps(self, over: str, condition: Condition) -> Expr:
        """Return the number of steps that a mean is over."""
        if condition != ALWAYS:
            return reduce("sum", over, condition, constant(1))
        length = self._parts.declared.indices[over].length
        return Expr(OPS["counter"], attr=length, type=())


def is_number(expr: Expr) -> bool:
    """Whether an expression is made of literals, lengths and sizes."""
    return all(each.op.name in NUMBERS for each in topological([expr]) if not each.args)


def parted(expr: Expr) -> tuple[Number, Expr]:
    """Return the number that an expression is multiplied by, and what is left of the expression."""
    number = Number()
    while True:
        kind, first = expr.op.name, expr.args[0] if expr.args else expr
        if kind == "const" and expr.attr < 0:
            return number.times(Number(negative=True)), constant(-expr.attr)
        if kind == "neg":
            number, expr = number.times(Number(negative=True)), first
        elif kind == "div" and is_number(expr.args[1]):
            number, expr = number.times(Number((), (expr.args[1],))), first
        elif kind == "mul" and any(map(is_number, expr.args)):
            place = 0 if is_number(first) else 1
            inner, rest = parted(expr.args[place])
            given = inner if is_one(rest) else inner.times(Number((rest,)))
            number, expr = number.times(given), expr.args[1 - place]
        else:
            return number, expr


def in_print(number: Number) -> tuple[bool, tuple[str, ...], tuple[str, ...]] | None:
    """Return whether a number is negative, and what it is made of over what it is divided by.

    Literals become one; None where a part is neither a literal nor a name.

    >>> in_print(Number((constant(2),), (constant(6),)))
    (False, (), ('3',))
    """
    value, decimal = Fraction(-1 if number.negative else 1), False
    names: tuple[list[str], list[str]] = [], []
    pending = [(each, 1) for each in number.divided] + [(each, 0) for each in number.factors]
    while pending:
        expr, below = pending.pop()
        kind = expr.op.name
        if kind in ("mul", "div"):
            pending += [(expr.args[1], below ^ (kind == "div")), (expr.args[0], below)]
        elif kind in ("counter", "size"):
            names[below].append(str(expr.attr))
        elif kind != "const" or not expr.attr:
            return None
        else:
            literal = Fraction(str(expr.attr))
            value = value / literal if below else value * literal
            decimal = decimal or literal.denominator > 1
    shown = abs(value)
    texts = str(shown.numerator), str(shown.denominator)
    if decimal and Fraction(str(float(shown))) == shown:
        texts = f"{float(shown):.15g}", "1"
    first, second = ([text] if text != "1" else [] for text in texts)
    return value < 0, (*first, *names[0]), (*second, *names[1])


def without(factors: Sequence[Expr], number: Sequence[Expr]) -> list[int] | None:
    """Return the places of the factors left when others are taken out; None where one is not there.

    >>> without((constant(2), constant(3)), (constant(2),))
    [1]
    """
    left = list(range(len(factors)))
    for each in number:
        place = next((k for k in left if _text(factors[k]) == _text(each)), None)
        if place is None:
            return None
        left.remove(place)
    return left


def _key(number: Number) -> Hashable:
    """What equal numbers have in common."""
    above, below = sorted(map(_text, number.factors)), sorted(map(_text, number.divided))
    return tuple(above), tuple(below), number.negative


def _text(expr: Expr) -> str:
    return repr([(each.op.name, each.attr) for each in topological([expr])])
