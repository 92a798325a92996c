"""Work on joined vectors taken apart again, where every piece is used by itself.

A schedule joins what products share (the four gates of an LSTM), and elementwise work with it. In
registers the pieces are better done side by side: `slice(sigmoid(z))` becomes `sigmoid(slice(z))`,
and a slice of memory costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from graphgrad.compile.rows import Work, operands
from graphgrad.compile.schedule import Leaf, Operand, Slice, Statement
from graphgrad.ir import Number


def unjoined(
    work: Sequence[Work],
    shared: Collection[str],
    elementwise: Callable[[Statement], bool],
    kinds: Mapping[str, Statement | Leaf],
) -> list[Work]:
    """Return the work with elementwise statements that only slices read done slice by slice.

    `shared` values are read elsewhere too, or at other steps; `elementwise` says which statements
    may be taken apart. `kinds` are all values by name.
    """
    slots: list[list[Work]] = [[each] for each in work]
    readers: dict[str, list[tuple[int, Work]]] = {}
    kept = set(shared)
    slices = {e.name: e for e in work if isinstance(e, Statement) and e.op == "slice"}
    for position, each in enumerate(work):
        for operand in operands(each):
            readers.setdefault(operand.name, []).append((position, each))
    for position in range(len(work) - 1, -1, -1):
        for each in list(slots[position]):
            if not isinstance(each, Statement) or len(each.shape) != 1 or each.name in kept:
                continue
            found = readers.get(each.name, [])
            if each.op == "slice" and not found:
                slots[position].remove(each)
                for operand in each.reads:
                    readers[operand.name] = [r for r in readers[operand.name] if r[1] is not each]
            if not found or not elementwise(each):
                continue
            if not all(isinstance(r, Statement) and r.op == "slice" for _, r in found):
                continue
            for slot, reader in found:
                assert isinstance(reader, Statement)
                pieces = _piece(each, reader, slices, kinds)
                place = slots[slot].index(reader)
                slots[slot][place : place + 1] = pieces
                for piece in pieces:
                    for operand in piece.reads:
                        readers.setdefault(operand.name, []).append((slot, piece))
                        if operand.lag:
                            kept.add(operand.name)
            for operand in each.reads:
                readers[operand.name] = [r for r in readers[operand.name] if r[1] is not each]
            slots[position].remove(each)
    return [each for slot in slots for each in slot]


def _piece(
    whole: Statement,
    piece: Statement,
    slices: Mapping[str, Statement],
    kinds: Mapping[str, Statement | Leaf],
) -> tuple[Statement, ...]:
    """Return slices of the operands, and the statement that computes one slice from them."""
    made: list[Statement] = []
    operands: list[Operand | Number] = []
    for position, operand in enumerate(whole.operands):
        if not isinstance(operand, Operand) or not kinds[operand.name].shape:
            operands.append(operand)
            continue
        name = f"{piece.name}_{position}_"
        cut: Slice = piece.attr
        inner = slices.get(operand.name)
        if inner is not None and not operand.lag:
            start = inner.attr.start
            cut = Slice(start + cut.start, start + cut.stop)
            (operand,) = inner.reads
        kind = kinds[operand.name]  # what is the same for all rows is cut before any row is begun
        made.append(
            replace(
                piece, name=name, operands=(operand,), attr=cut,
                index=kind.index, batched=kind.batched,
            )
        )  # fmt: skip
        operands.append(Operand(name))
    made.append(replace(whole, name=piece.name, operands=tuple(operands), shape=piece.shape))
    return tuple(made)
