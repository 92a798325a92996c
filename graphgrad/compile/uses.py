"""Who reads what in the pieces of a schedule, and what needs no memory: the ground of placement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from graphgrad.compile.division import Piece
from graphgrad.compile.rows import (
    ANY_STEP,
    ENTRYWISE,
    VIEWS,
    WHOLE,
    Section,
    Shapes,
    Work,
    operands,
    section,
)
from graphgrad.compile.schedule import Boundary, Operand, Schedule, Statement


class Uses:
    """The values of the pieces, their readers, and the sections their work is arranged in.

    `home` is the piece and the body a value is made in (-1: ahead of a loop's bodies); `homes` are
    parts of a joined vector that can be computed in place; `matrices` are only ever packed.
    """

    def __init__(self, schedule: Schedule, pieces: Sequence[Piece]) -> None:
        self.schedule = schedule
        self.pieces = pieces
        self.types: dict[str, Any] = dict(schedule.leaves)
        self.made: dict[str, Statement] = {}
        self.home: dict[str, tuple[int, int]] = {}
        for position, piece in enumerate(pieces):
            bodies: list[Sequence[Work]] = [piece.ahead, *(work for work, _ in piece.parts)]
            for number, work in enumerate(bodies, -1):
                for each in work:
                    if isinstance(each, Statement):
                        self.types[each.name] = self.made[each.name] = each
                        self.home[each.name] = position, number
        self.homes = {
            name: home
            for name, home in schedule.homes.items()
            if name in self.made and self.made[name].op not in VIEWS and home.name in self.made
            and self.made[home.name].op == "concat"
        }  # fmt: skip
        self.shapes = Shapes(self.types)
        self.users = self._users()
        self.matrices = self._only_matrices()
        self._drop_inlined()
        reads = self._reads()
        private = {name for name, each in self.made.items() if self.private(each)}
        self.sections = [
            [
                section(work, piece.loop.index if piece.loop else None, self.shapes, reads, private)
                for work, _ in piece.parts
            ]
            for piece in pieces
        ]

    def _users(self) -> dict[str, list[tuple[Work, Operand]]]:
        users: dict[str, list[tuple[Work, Operand]]] = {}
        for piece in self.pieces:
            for each in chain[Work](piece.ahead, *(work for work, _ in piece.parts)):
                for operand in operands(each):
                    users.setdefault(operand.name, []).append((each, operand))
        return users

    def _only_matrices(self) -> set[str]:
        """Return the transposes and stacks that are only packed, and stand nowhere themselves."""
        found: set[str] = set()
        for name in reversed(list(self.made)):
            each = self.made[name]
            if each.op not in ("transpose", "stack", "copy") or name in self.schedule.outputs:
                continue
            if each.index is not None or each.batched or len(each.shape) != 2:
                continue
            if not isinstance(each.operands[0], Operand):
                continue
            if self.shapes.shape(each.operands[0].name) != each.shape and each.op == "copy":
                continue
            uses = self.users.get(name, [])
            if all(
                isinstance(user, Statement)
                and ((user.op == "product" and user.operands[1] != operand) or user.name in found)
                for user, operand in uses
            ):
                found.add(name)
        return found

    def _drop_inlined(self) -> None:
        """Leave out of the work what has no place of its own: tokens and packed matrices."""
        for piece in self.pieces:
            for work, _ in piece.parts:
                work[:] = [e for e in work if isinstance(e, Boundary) or not self.inlined(e.name)]

    def inlined(self, name: str) -> bool:
        """Whether a value stands nowhere: a token, or a matrix that is only packed."""
        return name in self.made and (self.made[name].token or name in self.matrices)

    def _reads(self) -> Mapping[str, list[Operand]]:
        """Return what each statement reads, through tokens and packed matrices."""
        found: dict[str, list[Operand]] = {}
        for name, each in self.made.items():
            reads: list[Operand] = []
            pending = list(each.reads)
            while pending:
                operand = pending.pop()
                if self.inlined(operand.name):
                    pending.extend(
                        Operand(inner.name, inner.lag + operand.lag)
                        for inner in self.made[operand.name].reads
                    )
                else:
                    reads.append(operand)
            found[name] = reads
        return found

    def private(self, each: Statement) -> bool:
        """Whether a value is read nowhere but at the same step in its own section."""
        if each.name in self.schedule.outputs:
            return False
        return all(
            isinstance(user, Statement)
            and self.home.get(user.name) == self.home[each.name]
            and not operand.lag
            and user.op not in ANY_STEP
            for user, operand in self.all_uses(each.name)
        )

    def all_uses(self, name: str) -> Iterator[tuple[Work, Operand]]:
        """Yield who reads a value, through tokens and packed matrices."""
        pending = [(user, operand) for user, operand in self.users.get(name, [])]
        while pending:
            user, operand = pending.pop()
            if isinstance(user, Statement) and self.inlined(user.name):
                pending.extend(
                    (outer, Operand(name, operand.lag + used.lag))
                    for outer, used in self.users.get(user.name, [])
                )
            else:
                yield user, operand

    def section(self, name: str) -> Section:
        """Return the section in which a value is made."""
        position, number = self.home[name]
        return self.sections[position][number]

    def one_loop(self, each: Statement) -> bool:
        """Whether all that read a product read it once, in one loop over its components."""
        own = self.section(each.name)
        places = set()
        for user, operand in self.all_uses(each.name):
            if not isinstance(user, Statement) or operand.lag or user.op == "at_step":
                return False
            if self.home[user.name] != self.home[each.name] or user.op in VIEWS | WHOLE | ENTRYWISE:
                return False
            places.add((own.level[user.name], own.axes[user.name], own.phase[user.name]))
            if own.group[user.name] != each.shape or own.axes[user.name] != own.axes[each.name]:
                return False
        return len(places) == 1

    def in_register(self, each: Statement, user: Work, operand: Operand) -> bool:
        """Whether a use of a value needs no memory: same sweep, same loop over components."""
        if isinstance(user, Boundary):
            return False
        if self.home[user.name] != self.home[each.name] or operand.lag:
            return False
        if user.op in VIEWS | WHOLE | ENTRYWISE | {"at_step"} or each.op in VIEWS:
            return False
        if user.op == "lookup" and user.operands[0] == operand:
            return False
        home = self.homes.get(each.name)
        if user.op == "concat" and home is not None and home.name == user.name:
            return True
        own = self.section(each.name)
        if own.level[each.name] != own.level[user.name]:
            return False
        if own.axes[each.name] != own.axes[user.name]:
            return False
        if not each.shape:
            return True
        same = own.phase[each.name] == own.phase[user.name]
        return same and own.group[each.name] == own.group[user.name]
