"""Expressions as short formulas beside arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphgrad.conditions import holds
from graphgrad.ir import Expr
from graphgrad.notation.names import symbol
from graphgrad.notation.naming import Names
from graphgrad.ops import FUNCTIONS
from graphgrad.simplify import is_one
from viz.label import Label, Run, roman
from viz.operations import SIGNS

DEEPEST = 6
OF_COMPONENTS = ("sum", "mean", "max")


class Formulas:
    """Writes expressions of one circuit; `lengths` are the steps that it is unfolded for.

    A name without a time is at the step of the value that is differentiated, or static.
    """

    def __init__(self, names: Names, lengths: Mapping[str, int], values: dict[str, int]) -> None:
        self._names, self._lengths, self._values = names, lengths, values

    def of(
        self, expr: Expr, outer: int, here: int | None, own: int | None, depth: int = 0
    ) -> Label | None:
        """Return an expression that stands at step `here`, None where it would not be short.

        `outer` is how tightly its context binds. Times are written where they are not `own`, the
        step of the value.
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
            self.of(
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


def _composed(kind: str, parts: Sequence[Label]) -> Label | None:
    """Return an operation on formulas that are bracketed already."""
    if kind in ("add", "sub"):
        return parts[0] + roman(" + " if kind == "add" else " − ") + parts[1]
    if kind == "neg":
        return roman("−") + parts[0]
    if kind in ("mul", "matmul"):
        return product(parts)
    if kind == "transpose":
        return parts[0] + Label((Run("⊤", level=1),))
    if kind == "pow":
        base = parts[0]
        if any(run.level > 0 for run in base.runs):
            base = roman("(") + base + roman(")")
        return base + Label((Run(parts[1].text, level=1),))
    if kind == "onehot":
        return roman("1") + Label(tuple(run._replace(level=-1) for run in parts[0].runs))
    if kind == "lookup":
        return parts[0] + Label(tuple(run._replace(level=-1) for run in parts[1].runs))
    if len(parts) == 1 and (kind in FUNCTIONS or kind in OF_COMPONENTS):
        return roman(SIGNS.get(kind, kind)) + roman("(") + parts[0] + roman(")")
    return None


def _time(expr: Expr, here: int | None) -> str:
    """Return the step that a value is read at by what stands at step `here`, empty if unknown."""
    if expr.op.name == "read":
        return "" if here is None else str(here - expr.attr.lag)
    step: str = expr.attr.step("τ")
    return step


def product(parts: Sequence[Label]) -> Label:
    """Return factors side by side, with a dot before a number."""
    found = parts[0] if parts else roman("")
    for part in parts[1:]:
        found = found + roman("·") + part if part.text[:1].isdigit() else found + part
    return found
