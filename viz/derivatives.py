"""Local derivatives, as short formulas beside the arrows of the backward view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from graphgrad.circuit import Circuit
from graphgrad.conditions import holds
from graphgrad.ir import Expr, topological
from graphgrad.notation.names import symbol
from graphgrad.notation.naming import Names
from graphgrad.ops import FUNCTIONS
from graphgrad.simplify import is_one
from viz.flow_back import Primal
from viz.items import Structure
from viz.label import Label, Run, roman
from viz.numbers import Number, Numbers, parted, without
from viz.operations import SIGNS
from viz.scene import Node

LONGEST = 18
"""The most letters and signs that are written beside an arrow."""
DEEPEST = 6
OF_COMPONENTS = ("sum", "mean", "max")
MAX_NODES = 24


class Factor(NamedTuple):
    """A factor of a term, as it stands `shift` steps after the term itself."""

    value: Expr
    shift: int


class Term(NamedTuple):
    """One term of a cotangent: factors applied to the cotangent `source`, `lag` steps away.

    `source` is None where the loss itself is differentiated; `divided` are the divisors.
    """

    factors: tuple[Factor, ...]
    divided: tuple[Factor, ...]
    source: str | None
    lag: int
    negative: bool


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
        self._names, self._lengths = names, lengths
        self._values = {index.length: lengths[name] for name, index in adjoint.indices.items()}
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
        if len(found) != 1:  # a sum of several would be too long
            return None
        (term,) = found
        return self._label(term, start if own is None else own - term.lag, own)

    def _from_the_loss(self, of: str, source: str) -> list[Term]:
        """Return the derivatives of what has no equation for its cotangent, a number times 1."""
        if of not in self._sources:
            reads = self._numbers.between.get((source, of), ())
            return [_term(read.number, read.lag) for read in reads if read.number is not None]
        behind = self._numbers.behind.get(source, ())
        terms = self._known.get((of, None, False), [])
        found = [_divided(term, number) for term in terms for number in behind]
        return [term for term in found if term is not None]

    # -- terms ----------------------------------------------------------------------------------

    def _terms(self, root: Expr) -> Iterator[Term]:
        """Yield the terms of a cotangent's equation that are products with one cotangent."""
        pending: list[tuple[Expr, bool, tuple[Factor, ...]]] = [(root, False, ())]
        while pending:
            expr, negative, divided = pending.pop()
            kind = expr.op.name
            if kind in ("add", "sub") and self._inside(expr):
                pending.append((expr.args[0], negative, divided))
                pending.append((expr.args[1], negative != (kind == "sub"), divided))
            elif kind == "choose":
                pending += [(arg, negative, divided) for arg in expr.args if arg.op.name != "const"]
            elif kind == "reduce":
                pending.append((expr.args[0], negative, divided))
            elif kind == "neg":
                pending.append((expr.args[0], not negative, divided))
            elif kind == "div" and not self._inside(expr.args[1]):
                pending.append((expr.args[0], negative, (*divided, Factor(expr.args[1], 0))))
            else:
                term = self._product(expr, negative, divided)
                if term is not None:
                    yield term

    def _product(self, expr: Expr, negative: bool, divided: tuple[Factor, ...]) -> Term | None:
        """Return a product of factors and one cotangent, cotangents in equations replaced."""
        factors: list[Factor] = []
        lag = 0
        for _ in range(MAX_NODES):
            kind = expr.op.name
            if kind in ("read", "static"):
                name = expr.attr.name if kind == "read" else expr.attr
                if name in self._primals:
                    return Term(tuple(factors), divided, name, lag - _lag(expr), negative)
                if name in self._cotangents:
                    lag -= _lag(expr)
                    expr = self._roots[name]
                    continue
            if kind == "neg":
                negative, expr = not negative, expr.args[0]
            elif kind == "reduce":
                expr = expr.args[0]
            elif not self._inside(expr):
                number, rest = parted(expr)
                every = [*number.factors, *([] if is_one(rest) else [rest])]
                factors += [Factor(each, lag) for each in every]
                below = tuple(Factor(each, lag) for each in number.divided)
                minus = negative != number.negative
                return Term(tuple(factors), (*divided, *below), None, lag, minus)
            elif kind == "div":
                if self._inside(expr.args[1]):
                    return None
                divided = (*divided, Factor(expr.args[1], lag))
                expr = expr.args[0]
            elif kind in ("mul", "matmul"):
                holds = [self._inside(arg) for arg in expr.args]
                if all(holds):
                    return None
                factors.append(Factor(expr.args[holds.index(False)], lag))
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
        binding = 2 if len(every) > 1 or term.negative else 0

        def shown(each: Factor, outer: int) -> Label | None:
            here = None if step is None else step + each.shift
            return self._formula(each.value, outer, here, own)

        above = [shown(each, binding) for each in term.factors]
        below = [shown(each, 3) for each in term.divided]
        if any(part is None for part in (*above, *below)):
            return None
        found = _product([part for part in above if part is not None] or [roman("1")])
        for part in below:
            assert part is not None
            found = found + roman("/") + part
        if len(found.text) > LONGEST:
            return None
        return roman("−") + found if term.negative else found

    def _formula(
        self, expr: Expr, outer: int, here: int | None, own: int | None, depth: int = 0
    ) -> Label | None:
        """Return a formula that stands at step `here`; `outer` is how tightly its context binds.

        Times are written where they are not `own`, the step of the value.
        """
        kind = expr.op.name
        if depth > DEEPEST:
            return None
        if kind == "const":
            return roman(f"{expr.attr:g}".replace("-", "−"))
        if kind == "size" or (kind == "counter" and expr.attr in self._values):
            return Label(symbol(str(expr.attr)).runs())
        if kind == "counter":
            return None if here is None else roman(str(here))
        if kind == "reduce":
            return self._counted(expr)
        if kind in ("param", "input", "static"):
            return Label(self._names[expr.attr].runs())
        if kind in ("read", "at_step"):
            time = _time(expr, here)
            marked = "" if time in ("", str(own)) else f"({time})"
            return Label(self._names[expr.attr.name].runs(sup=marked))
        binding = {"add": 1, "sub": 1, "neg": 1, "mul": 2, "matmul": 2, "pow": 3, "transpose": 3}
        own_binding = binding.get(kind, 4)
        parts = [
            self._formula(
                arg,
                own_binding + ((kind == "sub" and position == 1) or kind == "pow"),
                here,
                own,
                depth + 1,
            )
            for position, arg in enumerate(expr.args)
        ]
        if any(part is None for part in parts):
            return None
        given = [part for part in parts if part is not None]
        found = _composed(kind, given)
        if found is not None and own_binding < outer:
            return roman("(") + found + roman(")")
        return found

    def _counted(self, expr: Expr) -> Label | None:
        """Return the number of steps that a sum of ones is over."""
        _, over, test = expr.attr
        if expr.attr.kind != "sum" or not is_one(expr.args[0]):
            return None
        steps = range(1, self._lengths[over] + 1)
        return roman(str(sum(bool(holds(test, self._values | {over: step})) for step in steps)))


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


def _composed(kind: str, parts: Sequence[Label]) -> Label | None:
    """Return an operation on formulas that are bracketed already."""
    if kind in ("add", "sub"):
        return parts[0] + roman(" + " if kind == "add" else " − ") + parts[1]
    if kind == "neg":
        return roman("−") + parts[0]
    if kind in ("mul", "matmul"):
        return _product(parts)
    if kind == "transpose":
        return parts[0] + Label((Run("⊤", level=1),))
    if kind == "pow":
        base = parts[0]
        if any(run.level > 0 for run in base.runs):
            base = roman("(") + base + roman(")")
        return base + Label((Run(parts[1].text, level=1),))
    if kind == "lookup":
        return parts[0] + Label(tuple(run._replace(level=-1) for run in parts[1].runs))
    if len(parts) == 1 and (kind in FUNCTIONS or kind in OF_COMPONENTS):
        return roman(SIGNS.get(kind, kind)) + roman("(") + parts[0] + roman(")")
    return None


def _step(node: Node) -> int | None:
    """Return the step that a node belongs to; a static one is only drawn near some step."""
    return node.time if "time" in dict(node.data) else None


def _time(expr: Expr, here: int | None) -> str:
    """Return the step that a value is read at by what stands at step `here`, empty if unknown."""
    if expr.op.name == "read":
        return "" if here is None else str(here - expr.attr.lag)
    if not expr.attr.last:
        return str(expr.attr.offset)
    return f"τ{expr.attr.offset:+d}" if expr.attr.offset else "τ"


def _product(parts: Sequence[Label]) -> Label:
    """Return factors side by side, with a dot before a number."""
    found = parts[0]
    for part in parts[1:]:
        found = found + roman("·") + part if part.text[:1].isdigit() else found + part
    return found


def _lag(expr: Expr) -> int:
    return int(expr.attr.lag) if expr.op.name == "read" else 0
