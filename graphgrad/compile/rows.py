"""What of a section is done together: sweeps over rows, and products of all rows between them.

A row is what one example has at one step. The statements of a section are put on *levels*: on each
level first come sweeps over the rows, one for each set of leading axes, then the products that need
all rows. Within a sweep, statements have *phases*: a vector that waits for a sum over components
comes one phase after it. Vectors of one length in one phase share a loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from graphgrad.compile.schedule import Boundary, Operand, Statement
from graphgrad.dims import Shape

VIEWS = {"slice", "component", "rows"}
COMPONENT_SUMS = {"sum", "mean", "max"}
ACCUMULATIONS = {"reduce", "batch_sum", "scatter_sum"}
WHOLE = {"product", "outer_sum"}  # ops that need all rows of their operands
ENTRYWISE = {"outer", "transpose", "stack", "matmul", "softmax", "log_softmax", "concat"}
ENTRYWISE |= {"matmul_transposed", "outer_sum_each"}
ANY_STEP = {"at_step", "outer_sum_each"}  # ops that read other steps than the one they stand at
COSTLY = {"exp", "log", "log1p", "pow", "sigmoid", "sin", "cos", "softplus", "sqrt", "tanh"}
FEW = 3  # costly functions after which those that wait for others come in another loop

Work = Statement | Boundary


def operands(each: Work) -> tuple[Operand, ...]:
    """Return the values that a statement or a boundary reads."""
    if isinstance(each, Statement):
        return each.reads
    return (each.value,) if isinstance(each.value, Operand) else ()


class Axes(NamedTuple):
    """The leading axes of a sweep: the steps of an index, if any, and the examples."""

    steps: str | None
    batched: bool


@dataclass
class Sweep:
    """Statements done row by row, in order."""

    axes: Axes
    work: list[Work] = field(default_factory=list)


@dataclass
class Level:
    """Sweeps over rows, then products."""

    sweeps: dict[Axes, Sweep] = field(default_factory=dict)
    products: list[Statement] = field(default_factory=list)


@dataclass
class Section:
    """A straight piece of a program: either outside loops, or the body of one.

    `phase` and `group` say where in its sweep a statement is done; the group is the shape of the
    vectors its loop runs over, () for single numbers.
    """

    work: Sequence[Work]
    inside: str | None
    levels: list[Level] = field(default_factory=list)
    level: dict[str, int] = field(default_factory=dict)
    phase: dict[str, int] = field(default_factory=dict)
    group: dict[str, Shape] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)  # they wait for a costly function of their phase
    costly: Counter[tuple[int, Axes]] = field(default_factory=Counter)  # functions on a level
    later: dict[tuple[int, Axes], int] = field(default_factory=dict)  # the phase of those that wait


def axes_of(statement: Statement, shapes: Shapes) -> Axes:
    """Return over which rows a statement is done: those of its operand, if it sums over them."""
    if statement.op in ACCUMULATIONS:
        over = statement.attr.over if statement.op != "batch_sum" else statement.index
        batched = any(shapes.batched(each) for each in statement.reads)
        return Axes(over, batched)
    if statement.op == "outer_sum_each":
        return Axes(None, True)
    return Axes(statement.index, statement.batched)


class Shapes:
    """What is known of values by name."""

    def __init__(self, types: Mapping[str, object]) -> None:
        self.types = types

    def batched(self, operand: Operand) -> bool:
        """Whether a value differs from example to example."""
        return bool(self.types[operand.name].batched)  # type: ignore[attr-defined]

    def shape(self, name: str) -> Shape:
        """Return a value's own axes."""
        found: Shape = self.types[name].shape  # type: ignore[attr-defined]
        return found


def work_group(statement: Statement, shapes: Shapes) -> Shape:
    """Return the shape of the vectors over which a statement's loop runs."""
    if statement.op in COMPONENT_SUMS:
        (operand,) = statement.reads
        return shapes.shape(operand.name)
    if statement.op == "scatter_sum":
        return statement.shape[1:]
    return statement.shape


def section(
    work: Sequence[Work],
    inside: str | None,
    shapes: Shapes,
    reads: Mapping[str, Sequence[Operand]],
    private: Collection[str],
) -> Section:
    """Return a section with everything in its place.

    `reads` gives for each statement what it reads, through values that have no place of their own;
    `private` values are read nowhere else.
    """
    made = Section(work, inside)
    statements = {each.name: each for each in work if isinstance(each, Statement)}
    margins = _levels(made, statements, reads)
    _as_late_as_possible(made, reads, private)
    for each in work:
        if isinstance(each, Boundary):
            axes = Axes(None, shapes.batched(Operand(each.name)))
            _level(made, margins[each]).sweeps.setdefault(axes, Sweep(axes)).work.append(each)
            continue
        level, axes = made.level[each.name], axes_of(each, shapes)
        made.axes[each.name], made.group[each.name] = axes, work_group(each, shapes)
        made.phase[each.name] = _phase(made, each, statements, reads[each.name])
        if each.op in WHOLE:
            _level(made, level).products.append(each)
        else:
            _level(made, level).sweeps.setdefault(axes, Sweep(axes)).work.append(each)
    return made


def _level(made: Section, level: int) -> Level:
    while len(made.levels) <= level:
        made.levels.append(Level())
    return made.levels[level]


def _levels(
    made: Section, statements: Mapping[str, Statement], reads: Mapping[str, Sequence[Operand]]
) -> dict[Boundary, int]:
    """Find the first level on which each statement can be done; return those of boundaries.

    Outside loops, what waits for more than one sum over components after another is done on the
    next level. A processor begins with later rows while it waits for the sums of a row, but only
    with as many as the work on a row is short.
    """
    boundaries: dict[Boundary, int] = {}
    waits: dict[str, int] = {}
    margins: dict[str, int] = {}
    for each in made.work:
        if isinstance(each, Boundary):
            value = each.value
            known = isinstance(value, Operand) and value.name in made.level
            level = made.level[value.name] + 1 if known else 0  # type: ignore[union-attr]
            boundaries[each] = level
            margins[each.name] = max(margins.get(each.name, 0), level + 1)
            continue
        level = waiting = 0
        for operand in reads[each.name]:
            elsewhere = bool(operand.lag) or each.op in ANY_STEP
            if elsewhere:
                level = max(level, margins.get(operand.name, 0))
            if operand.name not in made.level or (made.inside and operand.lag):
                continue
            used = statements[operand.name]
            wait = elsewhere or used.op in WHOLE | ACCUMULATIONS
            before = made.level[used.name] + (wait and each.op not in WHOLE)
            sums = 0 if wait else waits[used.name] + (used.op in COMPONENT_SUMS)
            level, waiting = max((level, waiting), (before, sums))
        if waiting > 1 and not made.inside:
            level, waiting = level + 1, 0
        made.level[each.name], waits[each.name] = level, waiting
    return boundaries


def _as_late_as_possible(
    made: Section, reads: Mapping[str, Sequence[Operand]], private: Collection[str]
) -> None:
    """Move statements to the level of their first use: they need no memory there.

    These are the elementwise ones, and sums over components of what is known before.
    """
    first: dict[str, int] = {}
    for each in reversed(made.work):
        if isinstance(each, Boundary):
            if isinstance(each.value, Operand):
                first[each.value.name] = 0
            continue
        fixed = each.op in VIEWS | WHOLE | ACCUMULATIONS | ENTRYWISE or each.name not in private
        sums = each.op in COMPONENT_SUMS and any(o.name in made.level for o in reads[each.name])
        fixed = fixed or (sums and not made.inside)
        if not fixed and each.name in first:
            made.level[each.name] = max(made.level[each.name], first[each.name])
        for operand in reads[each.name]:
            level = made.level[each.name]
            first[operand.name] = min(first.get(operand.name, level), level)


def _phase(
    made: Section,
    each: Statement,
    statements: Mapping[str, Statement],
    reads: Sequence[Operand],
) -> int:
    """Return the phase of a statement within its sweep.

    After a few costly functions, those that wait for others come in a loop of their own, once in a
    sweep: a processor would not get as far as the next vectors meanwhile.
    """
    phase, slow = 0, -1
    for operand in reads:
        used = statements.get(operand.name)
        if used is None or operand.name not in made.phase or (made.inside and operand.lag):
            continue
        if made.level[used.name] != made.level[each.name] or used.op in WHOLE:
            continue
        if made.axes[used.name] != made.axes[each.name]:
            continue
        wait = used.op in COMPONENT_SUMS | ENTRYWISE or each.op in VIEWS
        wait = wait or made.group[used.name] not in ((), made.group[each.name])
        phase = max(phase, made.phase[used.name] + wait)
        if used.name in made.slow:
            slow = max(slow, made.phase[used.name])
    costly, place = each.op in COSTLY, (made.level[each.name], made.axes[each.name])
    if costly and slow == phase and each.shape and made.costly[place] >= FEW:
        phase = max(phase, made.later.setdefault(place, phase + 1))
    if costly or slow == phase:
        made.slow.add(each.name)
    made.costly[place] += costly
    return phase
