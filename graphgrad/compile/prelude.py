"""Elementwise statements that only one loop reads move to it, to be computed while they are hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphgrad.compile.lower import Draft
from graphgrad.compile.schedule import Block, Boundary, Loop, Operand, Statement
from graphgrad.ir import OPS

ELEMENTWISE = {name for name, op in OPS.items() if op.ufunc is not None} - {"matmul"}
ELEMENTWISE |= {"sigmoid", "softplus", "relu", "where"}


def with_preludes(draft: Draft, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with such statements moved into the preludes of their loops."""
    readers = _readers(blocks)
    loop_of = {
        each.name: number
        for number, block in enumerate(blocks)
        if isinstance(block, Loop) and not block.span
        for each in block.statements
    }
    moved: dict[str, int] = {}
    for block in reversed(blocks):
        if isinstance(block, Statement) and block.name not in draft.outputs:
            targets = {
                None if lag else loop_of.get(reader, moved.get(reader))
                for reader, lag in readers.get(block.name, ())
            }
            target = targets.pop() if len(targets) == 1 else None
            if target is not None and _fits(block, blocks[target], draft, readers):
                moved[block.name] = target
    result: list[Block] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Loop):
            own = [
                each
                for each in blocks
                if isinstance(each, Statement) and moved.get(each.name) == number
            ]
            result.append(replace(block, prelude=tuple(own)))
        elif isinstance(block, Boundary) or block.name not in moved:
            result.append(block)
    return tuple(result)


def _fits(
    statement: Statement, loop: Block, draft: Draft, readers: dict[str, list[tuple[str, int]]]
) -> bool:
    """Whether a statement is elementwise and not better computed in place of an operand."""
    assert isinstance(loop, Loop)
    if statement.op not in ELEMENTWISE or statement.index != loop.index or statement.token:
        return False
    return not any(
        operand.name in draft.statements
        and draft.statements[operand.name].op == "matmul"
        and len(readers[operand.name]) == 1
        for operand in statement.reads
    )


def _readers(blocks: Sequence[Block]) -> dict[str, list[tuple[str, int]]]:
    readers: dict[str, list[tuple[str, int]]] = {}
    for block in blocks:
        if isinstance(block, Boundary):
            if isinstance(block.value, Operand):
                readers.setdefault(block.value.name, []).append(("", 0))
            continue
        for statement in block.statements if isinstance(block, Loop) else (block,):
            for name, lag in statement.reads:
                readers.setdefault(name, []).append((statement.name, lag))
    return readers
