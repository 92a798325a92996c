"""The schedule: what a compiled circuit computes, in which order, for any back end to write down.

A schedule is plain, immutable data. Back ends walk over `blocks` and write one piece of code each:

- A `Statement` is one typed value in static single assignment. Outside a loop it stands for all
  steps of its index at once (or for one value, if `index` is None); in a loop for the present step.
  `index` and `batched` are its leading axes, time first, then the batch; `shape` are its own axes.
  An operand `Operand(name, lag)` is the value `lag` steps ago: outside a loop that is the array
  shifted by `lag` rows, inside a loop the row of step `t - lag`. Numbers stand for themselves.
- A `Loop` sweeps over the steps of one index, forwards (direction 1) or backwards (-1). Its bodies
  run one after the other; the body with offset d runs step `k - d` in sweep time k (0-based, up to
  `length - 1 + span`), if that step exists. Almost every loop has one body with offset 0.
  Its `prelude` are elementwise statements that depend on no sweep of it and that nothing but its
  bodies reads, at lag 0: they may be computed for all steps beforehand, for some steps at a time,
  or at each step.
- A `Boundary` puts a static value into a margin of a time array, before anything reads it there.

`arrays` says for which indexed values all steps are kept, and with how many rows of margin in front
of step 1 and behind the last step; margins hold zeros unless a `Boundary` fills them. Values of a
loop without an entry in `arrays` live for one step only and are read at lag 0 in the same body.
`homes` are values that are a slice of the last axis of another value's array: pieces of a joint
product (`slice`), or operands of a `concat` computed in place. A back end may ignore homes: every
`slice` and `concat` is a statement of its own.

Ops are those of the table `OPS`, under their names there (`choose` selects: both operands have been
computed; `at_step`, attr `At`, reads its operand at a fixed step, zero where there is none), and:

| op | operands | attr | value |
|---|---|---|---|
| copy | a | | a, broadcast over the axes of the statement (steps, examples) |
| slice | a | Slice | entries start..stop of the last axis |
| rows | a | Slice | rows start..stop of a matrix |
| stack | matrices | | the matrices, one below the other |
| reduce | a | Sum | sum or mean over the steps where the condition holds |
| outer_sum | u, v | Sum | Σ u vᵀ over those steps |
| scatter_sum | token, v | Sum | Σ onehot(token) vᵀ over those steps |
| batch_sum | a | | the sum over the examples |
| batch_times | a | | a times the number of examples |

A `Sum` with `batch` also sums over the examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphgrad.conditions import Condition
from graphgrad.dims import Dim, Shape
from graphgrad.ir import Number
from graphgrad.system import System


class Operand(NamedTuple):
    """The value of a parameter, input or statement, `lag` steps ago."""

    name: str
    lag: int = 0


class Slice(NamedTuple):
    """Attribute of `slice` and `rows`: entries start..stop of one axis."""

    start: Dim
    stop: Dim


class Sum(NamedTuple):
    """Attribute of reductions over the steps of an index, and over the examples with `batch`."""

    kind: str
    over: str
    condition: Condition
    batch: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """One value: an op applied to operands, with its leading axes and its own shape.

    A token is an integer with shape (); its size does not matter once the data are checked.
    """

    name: str
    op: str
    operands: tuple[Operand | Number, ...]
    attr: Any
    index: str | None
    batched: bool
    shape: Shape
    token: bool = False

    @property
    def reads(self) -> tuple[Operand, ...]:
        """The operands that are values, not numbers."""
        return tuple(each for each in self.operands if isinstance(each, Operand))


@dataclass(frozen=True, slots=True)
class Boundary:
    """`name[offset] = value`, or `name[length + offset] = value` if `last`."""

    name: str
    last: bool
    offset: int
    value: Operand | Number


@dataclass(frozen=True, slots=True)
class Body:
    """The part of a loop that is at step `k - offset` in sweep time k."""

    offset: int
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A sweep over the steps of an index."""

    index: str
    direction: int
    bodies: tuple[Body, ...]
    prelude: tuple[Statement, ...] = ()

    @property
    def span(self) -> int:
        """The sweep times beyond the number of steps."""
        return max(body.offset for body in self.bodies)

    @property
    def statements(self) -> Iterator[Statement]:
        """All statements of the bodies, in order."""
        for body in self.bodies:
            yield from body.statements


Block = Statement | Boundary | Loop


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parameter or input: a value that is given."""

    name: str
    param: bool
    index: str | None
    batched: bool
    shape: Shape
    token: bool


class Array(NamedTuple):
    """The rows a time array has beside one for each step."""

    before: int
    after: int


class Home(NamedTuple):
    """Where in another value's array a value stands: start..stop of its last axis."""

    name: str
    start: Dim
    stop: Dim


@dataclass(frozen=True)
class Schedule:
    """A program: blocks in order, the storage of its values, and the names it returns.

    `summed` are outputs that are summed over the examples already (the gradients by parameters);
    `batched` says whether any input has a batch axis.
    """

    system: System
    outputs: tuple[str, ...]
    summed: frozenset[str]
    batched: bool
    leaves: Mapping[str, Leaf]
    blocks: tuple[Block, ...]
    arrays: Mapping[str, Array]
    homes: Mapping[str, Home]
    statements: Mapping[str, Statement] = field(repr=False)

    def type_of(self, name: str) -> Statement | Leaf:
        """Return what is known of a value: its index, batch axis and shape."""
        return self.statements[name] if name in self.statements else self.leaves[name]

    def array(self, name: str) -> Array:
        """Return the margins of a time array, none where there is no entry."""
        return self.arrays.get(name, Array(0, 0))

    def __str__(self) -> str:
        """Return the program as text, for reading and for snapshots."""
        lines: list[str] = []
        for block in self.blocks:
            if isinstance(block, Statement):
                lines.append(_line(block))
            elif isinstance(block, Boundary):
                end = "tau" if block.last else ""
                lines.append(f"{block.name}[{end}{block.offset:+d}] = {_operand(block.value)}")
            else:
                word = "forwards" if block.direction > 0 else "backwards"
                lines.append(f"loop over {block.index} {word}:")
                lines += [f"    (all steps) {_line(each)}" for each in block.prelude]
                for body in block.bodies:
                    shift = f"[{-body.offset:+d}] " if block.span else ""
                    lines += [f"    {shift}{_line(each)}" for each in body.statements]
        lines.append("return " + ", ".join(self.outputs))
        return "\n".join(lines)


def in_place(statement: Statement, homes: Mapping[str, Home]) -> bool:
    """Whether a statement joins what is computed in its place, each operand in its own piece.

    A number has no place: a concat of nothing but numbers is computed as any other value is.
    """
    if statement.op != "concat":
        return False
    found = [isinstance(e, Operand) and homes.get(e.name) for e in statement.operands]
    return all(home and home.name == statement.name for home in found)


def _line(statement: Statement) -> str:
    axes = [statement.index] if statement.index else []
    axes += ["batch"] if statement.batched else []
    axes += [str(dim) for dim in statement.shape]
    attr = "" if statement.attr is None else f" {{{_attr(statement.attr)}}}"
    given = ", ".join(map(_operand, statement.operands))
    return f"{statement.name}: ({', '.join(axes)}) = {statement.op}{attr}({given})"


def _attr(attr: Any) -> str:
    parts = attr if isinstance(attr, tuple) else (attr,)
    return ", ".join(map(str, parts))


def _operand(operand: Operand | Number) -> str:
    if not isinstance(operand, Operand):
        return repr(operand)
    return f"{operand.name}[{-operand.lag:+d}]" if operand.lag else operand.name
