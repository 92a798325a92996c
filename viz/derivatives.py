"""Local derivatives, as short formulas beside the arrows of the backward view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from graphgrad.circuit import Circuit
from graphgrad.ir import Expr, topological
from graphgrad.notation.naming import Names
from viz.flow_back import Primal
from viz.label import Label, Run, roman
from viz.operations import SIGNS
from viz.scene import Node

LONGEST = 14
"""The most letters and signs that are written beside an arrow."""
DEEPEST = 6
MAX_NODES = 24


class Term(NamedTuple):
    """One term of a cotangent: factors applied to the cotangent `source`, `lag` steps away.

    `source` is None where the loss itself is differentiated.
    """

    factors: tuple[Expr, ...]
    source: str | None
    lag: int
    negative: bool


class Derivatives:
    """The local derivatives that the equations of an adjoint contain."""

    def __init__(self, adjoint: Circuit, primals: Mapping[str, Primal], names: Names) -> None:
        self._names = names
        self._primals = primals
        self._roots = {name: e.root for name, e in adjoint.equations.items()}
        self._cotangents = {n for n in adjoint.equations if n in primals or n.startswith("delta")}
        self._known: dict[tuple[str, str | None, int], list[Label | None]] = {}
        for name, (of, at) in primals.items():
            if at is not None:
                continue
            for term in self._terms(self._roots[name]):
                source = term.source if term.source is None else primals[term.source][0]
                key = (of, source, term.lag)
                self._known.setdefault(key, []).append(self._label(term))

    def of(self, tail: Node, head: Node) -> Label | None:
        """Return the derivative of `head` by `tail`, None where it is not one short formula."""
        lag = head.time - tail.time if head.time is not None and tail.time is not None else 0
        of, source = dict(tail.data)["name"], dict(head.data)["name"]
        if tail.kind in ("boundary", "parameter") or (tail.time is None and head.time is not None):
            return None
        key = (of, source, lag) if (of, source, lag) in self._known else (of, None, 0)
        if key[1] is None and source in self._sources():
            return None
        found = self._known.get(key, [])
        return found[0] if len(found) == 1 else None  # a sum of several would be too long

    def _sources(self) -> set[str]:
        return {of for of, at in self._primals.values() if at is None}

    # -- terms ----------------------------------------------------------------------------------

    def _terms(self, root: Expr) -> Iterator[Term]:
        """Yield the terms of a cotangent's equation that are products with one cotangent."""
        pending = [(root, False)]
        while pending:
            expr, negative = pending.pop()
            kind = expr.op.name
            if kind in ("add", "sub") and self._inside(expr):
                pending.append((expr.args[0], negative))
                pending.append((expr.args[1], negative != (kind == "sub")))
            elif kind == "choose":
                pending += [(arg, negative) for arg in expr.args if arg.op.name != "const"]
            elif kind == "reduce":
                pending.append((expr.args[0], negative))
            else:
                term = self._product(expr, negative)
                if term is not None:
                    yield term

    def _product(self, expr: Expr, negative: bool) -> Term | None:
        """Return a product of factors and one cotangent, cotangents in equations replaced."""
        factors: list[Expr] = []
        lag = 0
        for _ in range(MAX_NODES):
            kind = expr.op.name
            if kind in ("read", "static"):
                name = expr.attr.name if kind == "read" else expr.attr
                if name in self._primals:
                    return Term(tuple(factors), name, lag - _lag(expr), negative)
                if name in self._cotangents:
                    lag -= _lag(expr)
                    expr = self._roots[name]
                    continue
            if not self._inside(expr):
                return Term((*factors, expr), None, lag, negative)
            if kind == "neg":
                negative, expr = not negative, expr.args[0]
            elif kind in ("mul", "matmul"):
                holds = [self._inside(arg) for arg in expr.args]
                if all(holds):
                    return None
                factors.append(expr.args[holds.index(False)])
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

    def _label(self, term: Term) -> Label | None:
        if not term.factors or len(topological(term.factors)) > MAX_NODES:
            return None
        parts = [
            self._formula(factor, 2 if len(term.factors) > 1 else 0) for factor in term.factors
        ]
        found = _row([part for part in parts if part is not None])
        if any(part is None for part in parts) or len(found.text) > LONGEST:
            return None
        return roman("−") + found if term.negative else found

    def _formula(self, expr: Expr, outer: int, depth: int = 0) -> Label | None:
        """Return a formula without times; `outer` is how tightly what is around it binds."""
        kind = expr.op.name
        if depth > DEEPEST:
            return None
        if kind == "const":
            return roman(f"{expr.attr:g}".replace("-", "−"))
        if kind in ("param", "input", "static"):
            return Label(self._names[expr.attr].runs())
        if kind in ("read", "at_step"):
            return Label(self._names[expr.attr.name].runs())
        binding = {"add": 1, "sub": 1, "neg": 1, "mul": 2, "matmul": 2, "pow": 3, "transpose": 3}
        own = binding.get(kind, 4)
        parts = [
            self._formula(
                arg, own + ((kind == "sub" and position == 1) or kind == "pow"), depth + 1
            )
            for position, arg in enumerate(expr.args)
        ]
        if any(part is None for part in parts):
            return None
        given = [part for part in parts if part is not None]
        found = _composed(kind, given)
        if found is not None and own < outer:
            return roman("(") + found + roman(")")
        return found


def _composed(kind: str, parts: Sequence[Label]) -> Label | None:
    """Return an operation on formulas that are bracketed already."""
    if kind in ("add", "sub"):
        return parts[0] + roman(" + " if kind == "add" else " − ") + parts[1]
    if kind == "neg":
        return roman("−") + parts[0]
    if kind in ("mul", "matmul"):
        return _row(parts)
    if kind == "transpose":
        return parts[0] + Label((Run("⊤", level=1),))
    if kind == "pow":
        return parts[0] + Label((Run(parts[1].text, level=1),))
    if len(parts) == 1:
        return roman(SIGNS.get(kind, kind)) + roman("(") + parts[0] + roman(")")
    return None


def _row(parts: Sequence[Label]) -> Label:
    return Label(tuple(run for part in parts for run in part.runs))


def _lag(expr: Expr) -> int:
    return int(expr.attr.lag) if expr.op.name == "read" else 0
