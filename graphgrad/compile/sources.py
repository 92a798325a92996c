"""Pieces of Numba source: names, conditions, and where values stand in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphgrad.compile.code import dim_code, plus
from graphgrad.conditions import Affine, Compare, Condition, Modulo, Negation
from graphgrad.dims import Dim

VECTOR_FUNCTIONS = frozenset(
    name
    for line in (
        "absolute across_max across_sum choose cos distributions divide exp if_equal if_greater",
        "if_greater_equal if_less if_less_equal kept lanes load log log1p maximum minimum number",
        "outer_sum pack padded panels power product put read relu restore room row row_sum",
        "set_flush_to_zero shaped sigmoid sin softplus spread sqrt store tanh times tokens unit",
        "write",
    )
    for name in line.split()
)
_RESERVED = {
    *VECTOR_FUNCTIONS,
    "np",
    "njit",
    "B",
    "t",
    "b",
    "j",
    "i",
    "k",
    "s",
    "e",
    "top",
    "left",
    "look",
    "real",
    "mode",
    "near",
    "ahead",
    "turn",
}
_RESERVED |= {"range", "reversed", "min", "max", "len", "compiled", "vector", "value_and_grad"}
FUNCTIONS = {"abs": "absolute"}
RELATIONS = {
    "==": "if_equal",
    ">": "if_greater",
    ">=": "if_greater_equal",
    "<": "if_less",
    "<=": "if_less_equal",
}
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def array_name(name: str) -> str:
    """Return the Python name of a value's array, or of a length."""
    return f"{name}_" if name in _RESERVED or name.endswith("_") or name[:2] == "n_" else name


def condition_code(condition: Condition, names: Mapping[str, str]) -> str:
    """Return a condition on the present step as code."""
    if isinstance(condition, Compare):
        left, right = (_affine(each, names) for each in (condition.left, condition.right))
        return f"{left} {condition.relation} {right}"
    if isinstance(condition, Negation):
        return f"not ({condition_code(condition.part, names)})"
    if not condition.parts:
        return "True" if condition.word == "and" else "False"
    return f" {condition.word} ".join(f"({condition_code(p, names)})" for p in condition.parts)


def _affine(value: Affine, names: Mapping[str, str]) -> str:
    parts = [str(value.constant)] if value.constant or not value.terms else []
    for atom, coefficient in value.terms:
        if isinstance(atom, Modulo):
            code = f"(({_affine(atom.inner, names)}) % {atom.modulus})"
        else:
            code = names.get(atom) or array_name(atom)
        parts.append(code if coefficient == 1 else f"{coefficient} * {code}")
    return " + ".join(parts)


@dataclass(frozen=True)
class Memory:
    """Where a value stands: an array, its axes in front, where in its last axis it begins.

    `before` is the row of step 0 (time arrays); `stride` how many numbers a row has.
    """

    array: str
    timed: bool
    batched: bool
    before: int
    rank: int
    start: Dim
    stride: str
    shift: str = ""  # rows of a matrix: the number of the first entry
    ahead: bool = False  # only the steps just ahead are kept

    def row(self, lag: int) -> str:
        """Return the row of the step `lag` steps ago, as code."""
        if not self.timed:
            return "0"
        return "near" if self.ahead else plus("t", self.before - lag)

    def index(self, row: str, entry: str) -> str:
        """Return the index of an entry, at a row of the time axis, as code."""
        parts = [row] * self.timed + ["b"] * self.batched
        begin = self._begin()
        entry = f"{begin} + {entry}" if begin and entry != "0" else begin or entry
        if self.rank:
            parts += ["0"] * (self.rank - 1) + [entry]
        return ", ".join(parts) or "0"

    def first(self, row: str) -> str:
        """Return the number of the first entry at a row of the time axis, as code."""
        parts = []
        if self.timed and row != "0":
            rows = f"{row} * B" if self.batched else row
            row_code = f"({row}) * B" if self.batched and " " in row else rows
            row_code = f"({row_code})" if not self.batched and " " in row else row_code
            parts.append(f"{row_code} * {self.stride}")
        return " + ".join([*parts, self._begin()] if self._begin() else parts) or "0"

    def _begin(self) -> str:
        """Return the number of the first entry of a row in its array's row, as code."""
        parts = [dim_code(self.start)] if self.start != Dim.of(0) else []
        return " + ".join([*parts, self.shift] if self.shift else parts)


def factor(dim: Dim) -> str:
    """Return a size as code that can be multiplied."""
    code = dim_code(dim)
    return code if code.isidentifier() or code.isdigit() else f"({code})"


def wrapped(line: str, width: int = 100) -> list[str]:
    """Return a line of code as lines of at most `width` characters, broken at commas."""
    if len(line) <= width or "(" not in line:
        return [line]
    lead = line[: len(line) - len(line.lstrip())] + "    "
    lines: list[str] = []
    rest = line
    while len(rest) > width:
        cut = rest.rfind(", ", len(lead) + 1, width)
        depth = rest[: cut + 1].count("(") - rest[: cut + 1].count(")")
        if cut < 0 or (not lines and depth <= 0):
            break
        lines.append(rest[: cut + 1])
        rest = lead + rest[cut + 2 :]
    return [*lines, rest]
