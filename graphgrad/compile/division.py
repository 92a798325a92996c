"""How a schedule is divided for sweeps: straight pieces and loops, in simple statements.

Elementwise work that one loop alone reads moves into it, products are computed a little ahead in
its course, and joined vectors are taken apart where every part is used by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from graphgrad.compile.rows import (
    ACCUMULATIONS,
    COMPONENT_SUMS,
    ENTRYWISE,
    VIEWS,
    WHOLE,
    Work,
    operands,
)
from graphgrad.compile.schedule import Boundary, Loop, Operand, Schedule, Statement
from graphgrad.compile.simple import Softmax, simplified
from graphgrad.compile.unjoin import unjoined


@dataclass
class Piece:
    """A loop, or what stands between two loops: lists of work with the offsets of their bodies.

    `ahead` are products that the loop computes for some steps at a time.
    """

    loop: Loop | None
    parts: list[tuple[list[Work], int]]
    ahead: list[Statement] = field(default_factory=list)


def divided(schedule: Schedule) -> list[Piece]:
    """Return the pieces of a schedule, in order."""
    divider = _Divider(schedule)
    pieces = divider.unjoined(divider.sunk(divider.pieces()))
    divider.give_margins(pieces)
    divider.take_along(pieces)
    return pieces


class _Divider:
    """The steps of `divided`."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.bound = {b.name for b in schedule.blocks if isinstance(b, Boundary)}
        self.turned = self._turned()

    def _turned(self) -> set[str]:
        """Return the transposed matrices, one a row, of which only products with vectors are read.

        These read the matrix as it stands.
        """
        place: dict[str, tuple[int, int]] = {}
        for number, block in enumerate(self.schedule.blocks):
            if isinstance(block, Loop):
                for part, body in enumerate(block.bodies):
                    place |= dict.fromkeys((each.name for each in body.statements), (number, part))
        found = {
            each.name
            for each in self.schedule.statements.values()
            if each.op == "transpose"
            and (each.batched or each.index)
            and each.name not in self.bound
            and each.name not in self.schedule.outputs
        }
        for each in (*self.schedule.statements.values(), *self.schedule.blocks):
            if isinstance(each, Loop):
                continue
            for position, operand in enumerate(operands(each)):
                product = isinstance(each, Statement) and each.op == "matmul" and not position
                if product and isinstance(each, Statement):
                    same = place.get(operand.name) in (None, place.get(each.name))
                    if same and not operand.lag and len(each.shape) == 1:
                        continue
                found.discard(operand.name)
        return found

    def pieces(self) -> list[Piece]:
        """Return the straight pieces and the loops, in simple statements."""
        types: dict[str, Any] = {**self.schedule.leaves, **self.schedule.statements}

        def simple(work: Iterable[Work], near: dict[str, Softmax]) -> list[Work]:
            found: list[Work] = []
            for each in work:
                if isinstance(each, Boundary):
                    found.append(each)
                    continue
                if each.name in self.turned:
                    continue
                each = self._as_it_stands(each)
                for one in simplified(each, lambda name: types[name].shape, near):
                    types[one.name] = one
                    found.extend(self._copied(_whole(one, types), types))
            return found

        pieces: list[Piece] = []
        near: dict[str, Softmax] = {}  # of the piece between two loops
        for block in self.schedule.blocks:
            single = isinstance(block, Loop) and len(block.bodies) == 1
            if isinstance(block, Loop) and single:
                work = simple([*block.prelude, *block.bodies[0].statements], {})
                pieces.append(Piece(block, [(work, 0)]))
                continue
            if not pieces or pieces[-1].loop is not None:
                pieces.append(Piece(None, [([], 0)]))
                near = {}
            before = block.prelude if isinstance(block, Loop) else [block]
            pieces[-1].parts[0][0].extend(simple(before, near))
            if isinstance(block, Loop):
                parts = [(simple(body.statements, {}), body.offset) for body in block.bodies]
                pieces.append(Piece(block, parts))
        return pieces

    def _as_it_stands(self, each: Statement) -> Statement:
        """Return a product of a transposed matrix and a vector as one of the matrix itself."""
        if each.op != "matmul" or each.reads[0].name not in self.turned:
            return each
        (matrix,) = self.schedule.statements[each.reads[0].name].reads
        return replace(each, op="matmul_transposed", operands=(matrix, *each.operands[1:]))

    def _copied(self, each: Statement, types: dict[str, Any]) -> list[Statement]:
        """Return a statement, as view and copy where a view of given data would be handed out."""
        if each.op not in VIEWS or each.name not in self.schedule.outputs:
            return [each]
        base: Any = each
        while isinstance(base, Statement) and base.op in VIEWS:
            base = types[base.reads[0].name]
        if isinstance(base, Statement):
            return [each]
        view, copy = _view_and_copy(each)
        types[view.name] = view
        return [view, copy]

    def sunk(self, pieces: list[Piece]) -> list[Piece]:
        """Move what is done entry by entry into the loop that alone needs it."""
        places: dict[str, set[tuple[int, bool]]] = {}
        for position, piece in enumerate(pieces):
            for each in chain.from_iterable(work for work, _ in piece.parts):
                for operand in operands(each):
                    fixed = not isinstance(each, Statement) or bool(operand.lag)
                    fixed = fixed or len(piece.parts) > 1
                    fixed = fixed or (isinstance(each, Statement) and each.op == "at_step")
                    places.setdefault(operand.name, set()).add((position, fixed))
        for position in range(len(pieces) - 1, -1, -1):
            if pieces[position].loop is not None:
                continue
            work = pieces[position].parts[0][0]
            stay: list[Work] = []
            sunk: dict[int, list[Work]] = {}
            for operand in chain.from_iterable(map(operands, work)):
                places[operand.name] -= {(position, False), (position, True)}
            for each in reversed(work):
                found = places.get(each.name, set())
                target = next(iter(found))[0] if len(found) == 1 else position
                loop = pieces[target].loop
                if (
                    isinstance(each, Statement)
                    and self._can_sink(each)
                    and loop is not None
                    and loop.index == each.index
                    and not next(iter(found))[1]
                ):
                    sunk.setdefault(target, []).append(each)
                    now = target
                else:
                    stay.append(each)
                    now = position
                for operand in operands(each):
                    places[operand.name].add((now, now == position or bool(operand.lag)))
            work[:] = reversed(stay)
            for target, moved in sunk.items():
                pieces[target].parts[0][0][:0] = reversed(moved)
        return pieces

    def _can_sink(self, each: Statement) -> bool:
        if each.name in self.schedule.outputs or each.index is None or each.token:
            return False
        if each.name in self.bound:
            return False
        return each.op in ("slice", "outer") or elementwise(each)

    def unjoined(self, pieces: list[Piece]) -> list[Piece]:
        """Take joined vectors apart where every piece is used by itself."""
        types: dict[str, Any] = dict(self.schedule.leaves)
        shared = set(self.schedule.outputs)
        home: dict[str, tuple[int, int]] = {}
        for position, piece in enumerate(pieces):
            for number, (work, _) in enumerate(piece.parts):
                for each in work:
                    if isinstance(each, Statement):
                        types[each.name] = each
                        home[each.name] = position, number
                    else:
                        shared.add(each.name)
        for position, piece in enumerate(pieces):
            for number, (work, _) in enumerate(piece.parts):
                for each in work:
                    for operand in operands(each):
                        if operand.lag or home.get(operand.name) != (position, number):
                            shared.add(operand.name)
        for piece in pieces:
            for work, _ in piece.parts:
                work[:] = unjoined(work, shared, elementwise, types)
                for each in work:
                    if isinstance(each, Statement):
                        types[each.name] = each
        return pieces

    def give_margins(self, pieces: list[Piece]) -> None:
        """Copy views of which other steps are read than there are: what they look at has others."""
        for piece in pieces:
            for work, _ in piece.parts:
                work[:] = chain.from_iterable(
                    _view_and_copy(each)
                    if isinstance(each, Statement)
                    and each.op in VIEWS
                    and any(self.schedule.array(each.name))
                    else [each]
                    for each in work
                )

    def take_along(self, pieces: list[Piece]) -> None:
        """Move products into the loop that alone reads them: computed for some steps ahead."""
        readers: dict[str, set[int | None]] = {}
        for position, piece in enumerate(pieces):
            for work, _ in piece.parts:
                for each in work:
                    near = isinstance(each, Statement) and each.op != "at_step"
                    for operand in operands(each):
                        found = position if near and not operand.lag else None
                        readers.setdefault(operand.name, set()).add(found)
        for piece in pieces:
            if piece.loop is not None:
                continue
            work = piece.parts[0][0]
            for each in list(work):
                if not isinstance(each, Statement) or each.op != "product":
                    continue
                if each.name in self.schedule.outputs or each.name in self.bound:
                    continue
                reader, *others = readers.get(each.name, {None})
                if reader is None or others:
                    continue
                loop = pieces[reader].loop
                if loop is not None and loop.index == each.index and not loop.span:
                    work.remove(each)
                    pieces[reader].ahead.append(each)


def elementwise(each: Statement) -> bool:
    """Whether a statement computes the entries of its value one by one."""
    other = VIEWS | COMPONENT_SUMS | ACCUMULATIONS | WHOLE | ENTRYWISE
    other |= {"lookup", "at_step", "onehot", "basis", "fill", "expand", "batch_times"}
    return each.op not in other and not each.token


def _view_and_copy(each: Statement) -> list[Statement]:
    """Return a view as one that nobody knows, and a copy of it that has its name."""
    view = replace(each, name=f"{each.name}_0_")
    return [view, replace(each, op="copy", operands=(Operand(view.name),), attr=None)]


def _whole(each: Statement, types: Mapping[str, Any]) -> Statement:
    """Return a statement with the op that says whether it is done for all rows at once."""
    if each.op == "matmul" and len(each.shape) == 1:
        matrix, vector = each.operands
        assert isinstance(matrix, Operand)
        fixed = types[matrix.name]
        if fixed.index is None and not fixed.batched and isinstance(vector, Operand):
            return replace(each, op="product")
    if each.op == "outer_sum" and each.batched:
        return replace(each, op="outer_sum_each")
    return each
