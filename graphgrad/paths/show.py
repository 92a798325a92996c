"""Sums over paths as text, LaTeX and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphgrad.notation.boxes import Box, number, operator, row, scripted
from graphgrad.notation.equations import Line
from graphgrad.notation.mathml import lines_mathml
from graphgrad.notation.naming import Names
from graphgrad.notation.structures import fraction
from graphgrad.paths.reduced import Point, Reduced
from graphgrad.paths.values import PathValues
from graphgrad.unfold import Dag

_SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")
WIDTH = 88
"""The most characters of a line of text."""
FACTORS = 9
"""The most factors in a line of mathematics."""


class Factor(NamedTuple):
    """The derivative of one instance by another, with what lies between composed."""

    of: Point
    by: Point


@dataclass(frozen=True)
class Term:
    """One path, from the loss (or the term of it at one step) to what is differentiated by.

    `str` gives `∂L₂/∂h₂ ∂h₂/∂h₁ ∂h₁/∂W`.
    """

    paths: Paths
    nodes: tuple[int, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """The instances on the way."""
        return tuple(self.paths.reduced.points[node] for node in self.nodes)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The local derivatives whose product the term is."""
        points = self.points
        return tuple(map(Factor, points, points[1:]))

    def __str__(self) -> str:
        return " ".join(map(self.paths.factor_text, self.factors)) or "1"

    def latex(self) -> str:
        """Return the product in LaTeX."""
        return self.paths.product(self).latex


class Paths(Sequence[Term]):
    """A gradient as a sum over paths: a sequence of terms that can be printed and evaluated.

    Terms with an earlier loss come first, and among them those that reach further back.
    """

    def __init__(self, dag: Dag, reduced: Reduced, found: Sequence[tuple[int, ...]]) -> None:
        self.dag = dag
        self.reduced = reduced
        self.names = Names(dag.system.declared, subscripts=True)
        self.whole = Factor(reduced.points[reduced.root], reduced.points[reduced.target])
        self._indirect = {reduced.points[node] for node in reduced.indirect()}
        # the derivative of a sum by its terms is 1, which nobody writes
        units = reduced.units()
        shown = [path[1:] if len(path) > 1 and path[1] in units else path for path in found]
        self.terms = tuple(Term(self, path) for path in shown)

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, position: Any) -> Any:
        return self.terms[position]

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    # -- numbers --------------------------------------------------------------------------------

    def evaluate(self, values: Mapping[str, Any], over: Any = None) -> list[Any]:
        """Return the value of each term: the product of its local derivatives.

        Their sum is the gradient. `values` and `over` are those of `dag.evaluate`.
        """
        return PathValues(self.reduced).products([term.nodes for term in self], values, over)

    def jacobians(self, values: Mapping[str, Any], over: Any = None) -> dict[Factor, Any]:
        """Return the value of each factor that occurs, with the axes of both: `(*of, *by)`."""
        pairs = {
            factor: pair
            for term in self
            for factor, pair in zip(
                term.factors, zip(term.nodes, term.nodes[1:], strict=False), strict=True
            )
        }
        found = PathValues(self.reduced).jacobians(list(pairs.values()), values, over)
        return {factor: found[pair] for factor, pair in pairs.items()}

    # -- text -----------------------------------------------------------------------------------

    def point_text(self, point: Point) -> str:
        """Return an instance as text: `h₂`, or `h1[2]` where the name has a subscript itself."""
        symbol = self.names[point.name]
        if symbol.sub or symbol.per is not None:
            return point.name if point.step is None else f"{point.name}[{point.step}]"
        return str(symbol) + ("" if point.step is None else _subscript(point.step))

    def _direct(self, factor: Factor) -> bool:
        """Whether a factor is a part of a derivative that has its name, or all of the gradient."""
        return factor == self.whole or (factor.of == self.whole.of and factor.by in self._indirect)

    def factor_text(self, factor: Factor) -> str:
        """Return a local derivative as text: `∂h₂/∂h₁`.

        The derivative of the loss by direct use alone is `∂⁺L/∂W` where ∂L/∂W means more.
        """
        direct = "⁺" if self._direct(factor) else ""
        return f"∂{direct}{self.point_text(factor.of)}/∂{self.point_text(factor.by)}"

    def __str__(self) -> str:
        left = f"∂{self.point_text(self.whole.of)}/∂{self.point_text(self.whole.by)} = "
        lines = [left]
        for position, term in enumerate(self):
            text = f"{'+ ' * bool(position)}{term}"
            if position and len(lines[-1]) + 1 + len(text) > WIDTH:
                lines.append(" " * (len(left) - 2) + text)
            else:
                lines[-1] += " " * bool(position) + text
        return "\n".join(lines) if self.terms else left + "0"

    def __repr__(self) -> str:
        return f"<Paths ∂{self.whole.of.name}/∂{self.whole.by.name}: {len(self)} terms>"

    # -- LaTeX ----------------------------------------------------------------------------------

    def _point(self, point: Point) -> Box:
        symbol = self.names[point.name]
        return symbol.box() if point.step is None else symbol.box(number(_minus(point.step)))

    def _fraction(self, factor: Factor, *, direct: bool) -> Box:
        sign = operator("∂", tight=True)
        above = scripted(sign, None, operator("+", tight=True)) if direct else sign
        return fraction(row(above, self._point(factor.of)), row(sign, self._point(factor.by)))

    def product(self, term: Term) -> Box:
        """Return a term as a box of mathematics."""
        found = [self._fraction(f, direct=self._direct(f)) for f in term.factors]
        return row(*found) if found else number("1")

    def latex(self) -> str:
        """Return the sum as an `align*` environment, for documents that load amsmath."""
        lines = [f"{self._fraction(self.whole, direct=False).latex} &= "]
        for terms in self._lines():
            if terms.start:
                lines.append(r"&\quad {} ")
            for position in terms:
                lines[-1] += f"{'+ ' * bool(position)}{self.product(self[position]).latex} "
        if not self.terms:
            lines[-1] += "0"
        body = " \\\\\n".join(f"  {line.rstrip()}" for line in lines)
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}\n"

    def mathml(self) -> str:
        """Return the sum as MathML, which browsers display by themselves."""
        left: Box | None = self._fraction(self.whole, direct=False)
        lines: list[Line] = []
        for terms in self._lines():
            parts: list[Box] = []
            for position in terms:
                parts += [operator("+", leading=not parts)] * bool(position)
                parts.append(self.product(self[position]))
            lines.append(Line(None if lines else left, row(*parts)))
        return lines_mathml(lines or [Line(left, number("0"))], str(self))

    def _lines(self) -> Iterator[range]:
        """Return which terms stand in each line of mathematics."""
        start = factors = 0
        for position, term in enumerate(self):
            factors += len(term.factors)
            if position and factors > FACTORS:
                yield range(start, position)
                start, factors = position, len(term.factors)
        if self.terms:
            yield range(start, len(self))

    def _repr_latex_(self) -> str:
        return self.latex()

    def _repr_html_(self) -> str:
        return self.mathml()


def _subscript(step: int) -> str:
    return str(step).translate(_SUBSCRIPTS)


def _minus(step: int) -> str:
    return str(step).replace("-", "−")
