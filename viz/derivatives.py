"""Local derivatives, as short formulas beside the arrows of the backward view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from graphgrad.circuit import Circuit
from graphgrad.conditions import Condition, holds, names_in, negate
from graphgrad.ir import Expr, topological
from graphgrad.notation.naming import Names
from graphgrad.simplify import is_one, is_zero
from viz.flow_back import Primal
from viz.formulas import Formulas, product
from viz.items import Structure
from viz.label import Label, roman
from viz.numbers import NUMBERS, Number, Numbers, in_print, parted, without
from viz.scene import Node

LONGEST = 18
"""The most letters and signs that are written beside an arrow."""
MAX_NODES = 24


class Factor(NamedTuple):
    """A factor of a term, as it stands `shift` steps after the term itself."""

    value: Expr
    shift: int


class Test(NamedTuple):
    """A condition of a term, as it stands `shift` steps after the term itself."""

    condition: Condition
    shift: int


class Term(NamedTuple):
    """One term of a cotangent: factors applied to the cotangent `source`, `lag` steps away.

    `source` is None where the loss itself is differentiated; `divided` are the divisors; `tests`
    are the conditions without which the term is zero.
    """

    factors: tuple[Factor, ...]
    divided: tuple[Factor, ...]
    source: str | None
    lag: int
    negative: bool
    tests: tuple[Test, ...] = ()


class Derivatives:
    """The local derivatives that the equations of an adjoint contain.

    A name without a time is at the step of the value that is differentiated, or static.
    """

    def __init__(
        self,
        adjoint: Circuit,
        primals: Mapping[str, Primal],
        names: Names,
        parts: Structure,
        lengths: Mapping[str, int],
    ) -> None:
        self._lengths = lengths
        self._values = {index.length: lengths[name] for name, index in adjoint.indices.items()}
        self._formulas = Formulas(names, lengths, self._values)
        self._primals = primals
        self._roots = {name: e.root for name, e in adjoint.equations.items()}
        self._cotangents = {n for n in adjoint.equations if n in primals or n.startswith("delta")}
        self._known: dict[tuple[str, str | None, bool], list[Term]] = {}
        for name, (of, at) in primals.items():
            if at is None:
                for term in self._terms(self._roots[name]):
                    source, there = (None, None) if term.source is None else primals[term.source]
                    key = of, source, there is not None
                    self._known.setdefault(key, []).append(term)
        self._scalars = {
            name
            for group in (adjoint.params, adjoint.inputs, adjoint.variables)
            for name, each in group.items()
            if getattr(each, "shape", None) == ()
        }
        self._sources = {of for of, at in primals.values() if at is None}
        self._numbers = Numbers(parts, self._sources)

    def of(self, tail: Node, head: Node) -> Label | None:
        """Return the derivative of `head` by `tail`, None where it is not one short formula."""
        if tail.kind == "parameter":
            return None
        of, source = dict(tail.data)["name"], dict(head.data)["name"]
        start, own = _step(tail), _step(head)
        boundary = head.kind == "boundary"
        found = self._known.get((of, source, boundary), [])
        if not found and source not in self._sources:
            found = self._from_the_loss(of, source)
        if start is not None and own is not None and not boundary:
            found = [term for term in found if term.lag == own - start]
        steps = [start if own is None else own - term.lag for term in found]
        found = [term for term, k in zip(found, steps, strict=True) if self._is_there(term, k)]
        if len(found) != 1:  # a sum of several would be too long
            return None
        (term,) = found
        return self._label(term, start if own is None else own - term.lag, own)

    def _is_there(self, term: Term, step: int | None) -> bool:
        """Whether a term that stands in the equation of step `step` is not zero by a condition.

        Where the step is not known, it is taken to be there.
        """
        for test in term.tests:
            values = self._values
            if step is not None:
                values = values | dict.fromkeys(self._lengths, step + test.shift)
            if names_in(test.condition) <= values.keys() and not holds(test.condition, values):
                return False
        return True

    def _from_the_loss(self, of: str, source: str) -> list[Term]:
        """Return the derivatives of what has no equation for its cotangent, a number times 1."""
        if of not in self._sources:
            reads = self._numbers.between.get((source, of), ())
            return [_term(read.number, read.lag) for read in reads if read.number is not None]
        behind = self._numbers.behind.get(source, ())
        lags = {read.lag for read in self._numbers.between.get((source, of), ())}
        if len(lags) > 1:  # the equation does not say which of its terms is of which step
            return []
        terms = self._known.get((of, None, False), [])
        found = [_divided(term, number) for term in terms for number in behind]
        return [term._replace(lag=sum(lags)) for term in found if term is not None]

    # -- terms ----------------------------------------------------------------------------------

    def _terms(self, root: Expr) -> Iterator[Term]:
        """Yield the terms of a cotangent's equation that are products with one cotangent."""
        pending: list[tuple[Expr, Term]] = [(root, Term((), (), None, 0, False))]
        while pending:
            expr, term = pending.pop()
            kind = expr.op.name
            if kind in ("add", "sub") and self._inside(expr):
                other = term._replace(negative=term.negative != (kind == "sub"))
                pending += [(expr.args[0], term), (expr.args[1], other)]
            elif kind == "choose":
                pending += [(arg, _if(term, test, 0)) for arg, test in _branches(expr)]
            elif kind == "reduce":
                pending.append((expr.args[0], _if(term, expr.attr.condition, 0)))
            elif kind == "neg":
                pending.append((expr.args[0], term._replace(negative=not term.negative)))
            elif kind == "div" and not self._inside(expr.args[1]):
                divided = (*term.divided, Factor(expr.args[1], 0))
                pending.append((expr.args[0], term._replace(divided=divided)))
            else:
                found = self._product(expr, term)
                if found is not None:
                    yield found

    def _product(self, expr: Expr, term: Term) -> Term | None:
        """Return a product of factors and one cotangent, cotangents in equations replaced."""
        factors: list[Factor] = []
        lag = 0
        for _ in range(MAX_NODES):
            kind = expr.op.name
            if kind in ("read", "static"):
                name = expr.attr.name if kind == "read" else expr.attr
                if name in self._primals:
                    lag -= _lag(expr)
                    return term._replace(factors=tuple(factors), source=name, lag=lag)
                if name in self._cotangents:
                    lag -= _lag(expr)
                    expr = self._roots[name]
                    continue
            if kind == "neg":
                term, expr = term._replace(negative=not term.negative), expr.args[0]
            elif kind == "choose":
                branches = _branches(expr)
                if len(branches) != 1:
                    return None
                expr, test = branches[0]
                term = _if(term, test, lag)
            elif kind == "reduce":
                term, expr = _if(term, expr.attr.condition, lag), expr.args[0]
            elif not self._inside(expr):
                term = _times(term, factors, expr, lag)
                return term._replace(factors=tuple(factors), lag=lag)
            elif kind == "div":
                if self._inside(expr.args[1]):
                    return None
                term = term._replace(divided=(*term.divided, Factor(expr.args[1], lag)))
                expr = expr.args[0]
            elif kind in ("mul", "matmul"):
                holds = [self._inside(arg) for arg in expr.args]
                if all(holds):
                    return None
                term = _times(term, factors, expr.args[holds.index(False)], lag)
                expr = expr.args[holds.index(True)]
            else:
                return None
        return None

    def _inside(self, expr: Expr) -> bool:
        """Whether an expression contains a cotangent."""
        return any(
            (e.attr.name if e.op.name == "read" else e.attr) in self._cotangents
            for e in topological([expr])
            if e.op.name in ("read", "static")
        )

    # -- formulas -------------------------------------------------------------------------------

    def _label(self, term: Term, step: int | None, own: int | None) -> Label | None:
        """Return a term that stands in the equation of step `step`, for a value at step `own`."""
        every = [*term.factors, *term.divided]
        if not every:
            return roman("−1") if term.negative else None
        if len(topological([each.value for each in every])) > MAX_NODES:
            return None
        (first, above), (second, below) = map(_literals, (term.factors, term.divided))
        found = in_print(Number(first, second, term.negative))
        if found is None:
            return None
        negative, (*top,), (*bottom,) = found
        above.sort(key=lambda each: not self._is_scalar(each.value))
        binding = 2 if len(top) + len(bottom) + len(above) + len(below) > 1 or negative else 0

        def shown(each: Factor, outer: int) -> Label | None:
            here = None if step is None else step + each.shift
            return self._formulas.of(each.value, outer, here, own)

        over = [*map(roman, top), *(shown(each, binding) for each in above)]
        several = len(below) + len(bottom) > 1
        under = [*map(roman, bottom), *(shown(each, 2 if several else 3) for each in below)]
        if any(part is None for part in (*over, *under)):
            return None
        label = product([part for part in over if part is not None] or [roman("1")])
        divisor = product([part for part in under if part is not None])
        if under:
            label = label + (
                roman("/(") + divisor + roman(")") if several else roman("/") + divisor
            )
        if len(label.text) > LONGEST:
            return None
        return roman("−") + label if negative else label

    def _is_scalar(self, expr: Expr) -> bool:
        """Whether an expression is made of numbers alone, so that it can be written first."""
        leaves = [each for each in topological([expr]) if not each.args]
        names = (e.attr.name if e.op.name in ("read", "at_step") else e.attr for e in leaves)
        return all(
            each.op.name in NUMBERS or name in self._scalars
            for each, name in zip(leaves, names, strict=True)
        )


def _branches(expr: Expr) -> list[tuple[Expr, Condition]]:
    """Return the arguments of a choice that are not zero, and when each is chosen."""
    both_ways = zip(expr.args, (expr.attr, negate(expr.attr)), strict=True)
    return [(arg, test) for arg, test in both_ways if not is_zero(arg)]


def _if(term: Term, condition: Condition, shift: int) -> Term:
    """Return a term that is zero without a condition."""
    return term._replace(tests=(*term.tests, Test(condition, shift)))


def _times(term: Term, factors: list[Factor], expr: Expr, shift: int) -> Term:
    """Add a factor, its number apart; return the term with the divisor and sign of the number."""
    number, rest = parted(expr)
    factors += [Factor(each, shift) for each in number.factors]
    factors += [] if is_one(rest) and not rest.args else [Factor(rest, shift)]
    divided = (*term.divided, *(Factor(each, shift) for each in number.divided))
    return term._replace(divided=divided, negative=term.negative != number.negative)


def _literals(factors: Sequence[Factor]) -> tuple[tuple[Expr, ...], list[Factor]]:
    """Return the factors that are literals, which become one, and the others."""
    plain = [
        all(each.op.name in ("const", "mul", "div") for each in topological([factor.value]))
        for factor in factors
    ]
    pairs = list(zip(factors, plain, strict=True))
    return tuple(f.value for f, one in pairs if one), [f for f, one in pairs if not one]


def _term(number: Number, lag: int) -> Term:
    """Return a number as a derivative."""
    above, below = (tuple(Factor(each, 0) for each in part) for part in number[:2])
    return Term(above, below, None, lag, number.negative)


def _divided(term: Term, number: Number) -> Term | None:
    """Return a term without a number that it contains, None if it does not."""
    above = without([each.value for each in term.factors], number.factors)
    below = without([each.value for each in term.divided], number.divided)
    if above is None or below is None:
        return None
    return term._replace(
        factors=tuple(term.factors[k] for k in above),
        divided=tuple(term.divided[k] for k in below),
        negative=term.negative != number.negative,
    )


def _step(node: Node) -> int | None:
    """Return the step that a node belongs to; a static one is only drawn near some step."""
    return node.time if "time" in dict(node.data) else None


def _lag(expr: Expr) -> int:
    return int(expr.attr.lag) if expr.op.name == "read" else 0
