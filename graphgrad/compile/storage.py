"""Which values are kept for all steps, with which margins, and which stand inside others."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from graphgrad.compile.lower import Draft
from graphgrad.compile.schedule import (
    Array,
    Block,
    Boundary,
    Home,
    Leaf,
    Loop,
    Operand,
    Schedule,
    Slice,
    Statement,
)
from graphgrad.dims import Dim


def stored(draft: Draft, blocks: Sequence[Block]) -> Schedule:
    """Return the schedule of ordered blocks, with the storage of its values."""
    statements = {each.name: each for each in _statements(blocks)}
    body_of = _bodies(blocks)
    ahead = {each.name for block in blocks if isinstance(block, Loop) for each in block.prelude}
    homes = _homes(draft, statements, body_of, ahead)
    kept = _kept(draft, blocks, body_of)
    before, after = _margins(blocks)
    groups: dict[str, list[str]] = {}
    for name in (*draft.leaves, *statements):
        groups.setdefault(_root(name, homes), []).append(name)
    arrays: dict[str, Array] = {}
    for group in groups.values():
        if any(name in kept for name in group):
            margin = Array(
                max(before.get(name, 0) for name in group),
                max(after.get(name, 0) for name in group),
            )
            arrays |= dict.fromkeys(group, margin)
    return Schedule(
        draft.system,
        draft.outputs,
        draft.summed,
        draft.batched,
        draft.leaves,
        tuple(blocks),
        arrays,
        homes,
        statements,
    )


def _statements(blocks: Iterable[Block]) -> Iterable[Statement]:
    for block in blocks:
        if isinstance(block, Loop):
            yield from block.prelude
            yield from block.statements
        elif isinstance(block, Statement):
            yield block


def _bodies(blocks: Sequence[Block]) -> dict[str, tuple[int, int]]:
    """Return for each statement of a loop which loop and which body of it it stands in.

    A prelude counts as part of the first body: nothing outside the loop reads it.
    """
    found: dict[str, tuple[int, int]] = {}
    for number, block in enumerate(blocks):
        if isinstance(block, Loop):
            found |= {each.name: (number, 0) for each in block.prelude}
            for position, body in enumerate(block.bodies):
                found |= {each.name: (number, position) for each in body.statements}
    return found


def _root(name: str, homes: Mapping[str, Home]) -> str:
    while name in homes:
        name = homes[name].name
    return name


def _kept(
    draft: Draft, blocks: Sequence[Block], body_of: Mapping[str, tuple[int, int]]
) -> set[str]:
    """Return the indexed values of which all steps are needed."""
    kept = {name for name, leaf in draft.leaves.items() if leaf.index is not None}
    kept |= {name for name in draft.outputs if draft.type_of(name).index is not None}
    for block in blocks:
        if isinstance(block, Boundary):
            kept.add(block.name)
    for statement in _statements(blocks):
        if statement.index is not None and statement.name not in body_of:
            kept.add(statement.name)
        for operand in statement.reads:
            used = body_of.get(operand.name)
            if used is not None and (operand.lag or body_of.get(statement.name) != used):
                kept.add(operand.name)
    return kept


def _margins(blocks: Sequence[Block]) -> tuple[dict[str, int], dict[str, int]]:
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for statement in _statements(blocks):
        for name, lag in statement.reads:
            before[name] = max(before.get(name, 0), lag)
            after[name] = max(after.get(name, 0), -lag)
    for block in blocks:
        if isinstance(block, Boundary):
            name = block.name
            if block.last:
                after[name] = max(after.get(name, 0), block.offset)
            else:
                before[name] = max(before.get(name, 0), 1 - block.offset)
    return before, after


def _homes(
    draft: Draft,
    statements: Mapping[str, Statement],
    body_of: Mapping[str, tuple[int, int]],
    ahead: Container[str],
) -> dict[str, Home]:
    """Return which values stand in which others: slices, and operands of a concat.

    What is computed ahead of a loop stands by itself: its array is that of a piece of the sequence.
    """
    homes: dict[str, Home] = {}
    bound = {boundary.name for boundary in draft.boundaries}
    for name, statement in statements.items():
        if statement.op != "slice" or name in bound:
            continue
        (whole,) = statement.reads
        if whole.name in bound:  # its margins are not those of its pieces
            continue
        source = draft.type_of(whole.name)
        same = (source.index, source.batched) == (statement.index, statement.batched)
        if not whole.lag and same and statement.index and not isinstance(source, Leaf):
            piece: Slice = statement.attr
            homes[name] = Home(whole.name, piece.start, piece.stop)
    for name, statement in statements.items():
        if statement.op != "concat" or name in bound or not _free(statement, statements, homes):
            continue
        if any(operand.name in bound or operand.name in ahead for operand in statement.reads):
            continue
        together = {body_of.get(each.name) for each in (*statement.reads, Operand(name))}
        if len(together) == 1:
            start = Dim.of(0)
            for operand in statement.reads:
                stop = start + statements[operand.name].shape[0]
                homes[operand.name] = Home(name, start, stop)
                start = stop
    return homes


def _free(
    statement: Statement, statements: Mapping[str, Statement], homes: Mapping[str, Home]
) -> bool:
    """Whether all operands of a concat can be computed in its place."""
    seen: set[str] = set()
    for operand in statement.operands:
        if not isinstance(operand, Operand) or operand.lag or operand.name in seen:
            return False
        made = statements.get(operand.name)
        if made is None or made.op == "slice" or operand.name in homes or made.index is None:
            return False
        same = (made.index, made.batched) == (statement.index, statement.batched)
        if not same or len(made.shape) != 1:
            return False
        seen.add(operand.name)
    return True
