"""Pieces of generated code: values with their axes, names, integer expressions and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphgrad.compile import kernels
from graphgrad.conditions import Affine, Compare, Condition, Modulo, Negation
from graphgrad.declared import unused_name
from graphgrad.dims import Dim

TIME, BATCH = "T", "B"
KERNELS = {name: function for name, function in vars(kernels).items() if callable(function)}
_HELPERS = {
    "np",
    "B",
    "t",
    "values",
    "lengths",
    "sizes",
    "dtype",
    "range",
    "reversed",
    "len",
    "zip",
}
_HELPERS |= {"tile", "start", "stop", "max", "min", "int", "bool"}
_HELPERS |= {"jnp", "lax", "last", "now", "at", "delayed", "advanced", "padded"}  # with JAX
_HELPERS |= KERNELS.keys()
_GENERATED = re.compile(r"n_.+|t\d+|.*_")
SUM, PRODUCT, SIGN, POWER, ATOM = range(5)
LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT, "**": POWER}


@dataclass(frozen=True)
class Value:
    """A piece of code and the axes of what it stands for: `lead` in front, then `rank` own ones.

    `level` says how tightly the code binds.
    """

    code: str
    lead: str
    rank: int
    level: int = ATOM

    def aligned(self, lead: str, rank: int) -> Value:
        """Return the value so that it broadcasts against values with these axes."""
        axes = [":" if axis in self.lead else "None" for axis in lead]
        if rank:
            axes += [":"] * rank if self.rank else ["None"] * rank
        while axes and axes[0] == "None":
            axes.pop(0)
        if "None" not in axes or not (self.lead or self.rank):
            return self
        return Value(f"{self.at(ATOM)}[{', '.join(axes)}]", lead, rank)

    def to(self, lead: str, rank: int) -> str:
        """Return the aligned value's code."""
        return self.aligned(lead, rank).code

    def at(self, level: int) -> str:
        """Return the code, in parentheses if it binds less tightly than `level`."""
        return self.code if self.level >= level else f"({self.code})"

    @property
    def grouped(self) -> str:
        """The code, ready to be indexed or called upon."""
        return self.at(ATOM)


class Writer:
    """Source that is being written: its lines, the present indentation, the names that it has."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = 1
        self.taken: set[str] = set()

    def write(self, line: str) -> None:
        """Append a line at the present indentation."""
        self.lines.append("    " * self.indent + line)

    def fresh(self, name: str) -> str:
        """Return a name that nothing has, made from this one."""
        name = unused_name(name, self.taken)
        self.taken.add(name)
        return name


def joined(values: Sequence[Value]) -> str:
    """Return the leading axes of the result of broadcasting."""
    return "".join(axis for axis in (TIME, BATCH) if any(axis in v.lead for v in values))


def plus(name: str, offset: int) -> str:
    """Return `name + offset` as code."""
    if not offset:
        return name
    return f"{name} + {offset}" if offset > 0 else f"{name} - {-offset}"


def var(name: str) -> str:
    """Return the Python name of a variable of the circuit, or of a length; no helper has such one.

    >>> var("h"), var("np"), var("h_"), var("n_D")
    ('h', 'np_', 'h__', 'n_D_')
    """
    return f"{name}_" if name in _HELPERS or _GENERATED.fullmatch(name) else name


def size_code(name: str) -> str:
    """Return the Python name of a size."""
    return f"n_{name}"


def taken_names(sizes: Iterable[str]) -> set[str]:
    """Return the names that code with these sizes has already: `n_T` is no transpose of n."""
    return _HELPERS | {size_code(name) for name in sizes}


def dim_code(dim: Dim) -> str:
    """Return a dimension as code."""
    return str(Dim(tuple((size_code(n), c) for n, c in dim.terms), dim.constant))


def affine_code(value: Affine, names: Mapping[str, str]) -> str:
    """Return an integer expression as code."""
    parts = [str(value.constant)] if value.constant or not value.terms else []
    for atom, coefficient in value.terms:
        own = var(atom) if isinstance(atom, str) else modulo_code(atom, names)
        code = names.get(atom, own) if isinstance(atom, str) else own
        parts.append(code if coefficient == 1 else f"{coefficient} * {code}")
    return " + ".join(parts)


def modulo_code(atom: Modulo, names: Mapping[str, str]) -> str:
    """Return a remainder as code."""
    return f"(({affine_code(atom.inner, names)}) % {atom.modulus})"


def condition_code(condition: Condition, names: Mapping[str, str]) -> str:
    """Return a condition as code that works for one step and for an array of steps."""
    if isinstance(condition, Compare):
        left, right = affine_code(condition.left, names), affine_code(condition.right, names)
        return f"({left} {condition.relation} {right})"
    if isinstance(condition, Negation):
        return f"np.logical_not({condition_code(condition.part, names)})"
    if not condition.parts:
        return str(condition.word == "and")
    join = " & " if condition.word == "and" else " | "
    return "(" + join.join(condition_code(part, names) for part in condition.parts) + ")"
