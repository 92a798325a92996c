"""Where values of a loop are written: in place of an operand that nothing needs any more.

The homes of a schedule are fixed. Beyond them a value may take the place of an operand whose last
reader it is, so that a chain such as product, sum, tanh works on one row of one array.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from graphgrad.compile.schedule import (
    Array,
    Boundary,
    Leaf,
    Loop,
    Operand,
    Schedule,
    Statement,
    in_place,
)
from graphgrad.dims import Dim
from graphgrad.ir import OPS

IN_PLACE = {name for name, op in OPS.items() if op.ufunc is not None} - {"matmul"}
IN_PLACE |= {"sigmoid", "relu"}
WRITES = IN_PLACE | {"matmul", "copy"}
ALIASES = {"at_step", "choose", "component", "expand", "lookup", "rows", "transpose"}
"""Ops whose value may stand in the memory of an operand: it is copied before it is changed."""
TILE = 2**16  # numbers that are computed ahead of a sweep at once, so that they stay in the cache


@dataclass(frozen=True)
class Place:
    """A piece of the last axis of an array (all of it where `start` is None)."""

    root: str
    start: Dim | None = None
    stop: Dim | None = None


class Places:
    """The place of every value of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.same: dict[str, str] = {}  # a value that stands exactly where another one stands
        self.readers = _readers(schedule)
        self.pieces: dict[str, list[str]] = {}
        for name, home in schedule.homes.items():
            self.pieces.setdefault(home.name, []).append(name)
        bound = {block.name for block in schedule.blocks if isinstance(block, Boundary)}
        self.fixed = {*schedule.outputs, *bound}
        loops = [block for block in schedule.blocks if isinstance(block, Loop)]
        self.prelude = {each.name for loop in loops for each in loop.prelude}
        self.looped = {each.name for loop in loops for each in loop.statements}
        for loop in loops:
            self._share(loop)
        self.shared = {*self.same.values()}
        self.arrays = self._arrays()
        self.rings = self._rings(loops)
        self.names: dict[Place, str] = {}  # one of the values in each place
        self.labels = self._labels()

    def joins(self, statement: Statement) -> bool:
        """Whether a statement needs no code: what it joins is computed in its place."""
        return in_place(statement, self.schedule.homes)

    def inlined_ahead(self, name: str) -> bool:
        """Whether only another value of the prelude reads a value of it."""
        readers = self.readers[name]
        return len(readers) == 1 and readers[0][0] in self.prelude

    def label(self, place: Place) -> str:
        """Return the name to show for a place: that of a variable there, if there is one."""
        return self.labels.get(place, self.names[place])

    def _labels(self) -> dict[Place, str]:
        """Return the last variable that stands in each place."""
        variables = self.schedule.system.variables
        labels: dict[Place, str] = {}
        for name in self.schedule.statements:
            place = self.of(name)
            self.names.setdefault(place, name)
            if name in variables:
                labels[place] = name
        for name in self.schedule.leaves:
            self.names[Place(name)] = name
        system = self.schedule.system
        taken = {*system.declared.names(), *self.schedule.leaves, *self.schedule.statements}
        taken |= {index.length for index in system.indices.values()}
        for root in dict.fromkeys(place.root for place in labels if place.start is not None):
            joint = self._joint_name(root, labels)
            if Place(root) not in labels and joint and joint not in taken:
                labels[Place(root)] = joint
                taken.add(joint)
        return labels

    def _joint_name(self, root: str, labels: Mapping[Place, str]) -> str:
        """Return a name made of those of the variables that fill an array side by side."""
        ends = {p.start: (p.stop, name) for p, name in labels.items() if p.root == root}
        at: Dim | None = Dim.of(0)
        parts: list[str] = []
        while at in ends:
            at, part = ends.pop(at)
            parts.append(part)
        stem = "".join(parts[0].rpartition("_")[:2]) if parts else ""
        if not all(part.startswith(stem) for part in parts):
            stem = ""
        rest = [part[len(stem) :] for part in parts]
        joint = stem + ("" if all(len(part) == 1 for part in rest) else "_").join(rest)
        whole = len(parts) > 1 and at == self.schedule.type_of(root).shape[-1]
        return joint if whole and joint.isidentifier() and len(joint) <= 24 else ""

    def of(self, name: str) -> Place:
        """Return where a value stands."""
        start: Dim | None = None
        stop: Dim | None = None
        while True:
            if name in self.same:
                name = self.same[name]
            elif name in self.schedule.homes:
                home = self.schedule.homes[name]
                begin = home.start
                start, stop = (
                    (begin, home.stop)
                    if start is None or stop is None
                    else (begin + start, begin + stop)
                )
                name = home.name
            else:
                return Place(name, start, stop)

    def _share(self, loop: Loop) -> None:
        position = {each.name: k for k, each in enumerate(loop.statements)}
        for body in loop.bodies:
            own = {each.name for each in body.statements}
            for statement in body.statements:
                if statement.op not in IN_PLACE or not (statement.batched or statement.shape):
                    continue
                for operand in statement.reads:
                    if self._takes(statement, operand, position, own):
                        break

    def _takes(
        self, user: Statement, operand: Operand, position: Mapping[str, int], own: set[str]
    ) -> bool:
        """Let a statement and an operand share one place, if that does no harm."""
        used = self.schedule.type_of(operand.name)
        if operand.lag or isinstance(used, Leaf) or user.token or used.token:
            return False
        if (used.index, used.batched, used.shape) != (user.index, user.batched, user.shape):
            return False
        inner = used.name in own
        if not inner and used.name in position:
            return False  # of another body
        if used.name in self.prelude:
            return False
        if not self._last_reader(used.name, user, position, own):
            return False
        free = user.name not in self.schedule.homes and user.name not in self.same
        if free:
            if used.op == "slice" and not self._whole_is_done(used, own):
                return False
            self.same[user.name] = used.name
            return True
        loose = used.name not in self.schedule.homes and used.name not in self.pieces
        if inner and loose and used.name not in self.same and used.name not in self.schedule.arrays:
            self.same[used.name] = user.name
            return True
        return False

    def _last_reader(
        self, name: str, user: Statement, position: Mapping[str, int], own: set[str]
    ) -> bool:
        """Whether nothing reads a value, what stands in it or what it stands in, after `user`."""
        homes, whole = self.schedule.homes, name
        pending = [name]
        while whole in homes and self.schedule.statements[whole].op != "slice":
            whole = homes[whole].name
            if not self._is_done(whole, user, position, own):
                return False
        while pending:
            name = pending.pop()
            if not self._is_done(name, user, position, own):
                return False
            pending += self.pieces.get(name, ())
        return True

    def _is_done(
        self, name: str, user: Statement, position: Mapping[str, int], own: set[str]
    ) -> bool:
        """Whether nothing reads a value after `user` does, at this step or any other."""
        return name not in self.fixed and all(
            reader in own and not lag and position[reader] <= position[user.name]
            for reader, lag in self.readers.get(name, ())
        )

    def _whole_is_done(self, piece: Statement, own: set[str]) -> bool:
        """Whether a piece may be overwritten: what it is cut from is read only through pieces."""
        home = self.schedule.homes.get(piece.name)
        if home is None or piece.attr.start != home.start or home.name in self.fixed:
            return False
        if home.name in self.schedule.homes or home.name in self.same.values():
            return False
        siblings = [
            self.schedule.statements[reader]
            for reader, _ in self.readers.get(home.name, ())
            if reader in self.schedule.statements
        ]
        if any(each.op != "slice" for each in siblings):
            return False
        near = home.name in own and all(each.name in own for each in siblings)
        if not near and (home.name in self.looped or piece.name in self.looped):
            return False
        stops = {each.attr.start: each.attr.stop for each in siblings}
        at, seen = Dim.of(0), 0
        while at in stops and seen < len(siblings):
            at, seen = stops[at], seen + 1
        whole = self.schedule.type_of(home.name).shape[-1]
        return len(stops) == len(siblings) == seen and at == whole

    def _rings(self, loops: Sequence[Loop]) -> dict[str, int]:
        """Return the arrays of which a loop needs only the last few rows, and how many."""
        rings: dict[str, int] = {}
        groups: dict[str, set[str]] = {}
        for name in self.schedule.statements:
            groups.setdefault(self.of(name).root, set()).add(name)
        for loop in loops:
            for body in loop.bodies:
                own = {each.name: number for number, each in enumerate(body.statements)}
                for number, statement in enumerate(body.statements):
                    root = self.of(statement.name).root
                    if root not in self.arrays or root in rings or not groups[root] <= own.keys():
                        continue
                    early = {name for name, at in own.items() if at < number}
                    rows = [self._rows_needed(name, own, early, loop) for name in groups[root]]
                    if None not in rows:
                        rings[root] = max(each or 0 for each in rows)
        return rings

    def _rows_needed(
        self, name: str, own: Container[str], early: Container[str], loop: Loop
    ) -> int | None:
        """Return how many rows of a value are in use at a time, None if all are.

        What is read only by `early` operations, which are done before anything is written into the
        rows, may stand where it is written.
        """
        if name in self.fixed:
            return None
        rows, value = 1, self.schedule.statements[name]
        for reader, lag in self.readers.get(name, ()):
            if reader in own and lag * loop.direction >= 0:
                row = bool(value.batched or value.shape)
                done = row and reader in early and self.schedule.statements[reader].op in WRITES
                rows = max(rows, abs(lag) + (not done))
                continue
            user = self.schedule.statements.get(reader)
            last = loop.direction > 0
            if user is None or user.op != "at_step":
                return None
            if (user.attr.last, user.attr.offset) != (last, 0 if last else 1):
                return None
        return rows

    def _arrays(self) -> dict[str, Array]:
        """Return the arrays over all steps, margins of what shares them included."""
        arrays: dict[str, Array] = {}
        for name, margin in self.schedule.arrays.items():
            root = self.of(name).root
            old = arrays.get(root, Array(0, 0))
            arrays[root] = Array(max(old.before, margin.before), max(old.after, margin.after))
        return arrays


def _readers(schedule: Schedule) -> dict[str, list[tuple[str, int]]]:
    """Return who reads a value, with the lag."""
    readers: dict[str, list[tuple[str, int]]] = {}
    for statement in schedule.statements.values():
        for name, lag in statement.reads:
            readers.setdefault(name, []).append((statement.name, lag))
    for block in schedule.blocks:
        if isinstance(block, Boundary) and isinstance(block.value, Operand):
            readers.setdefault(block.value.name, []).append(("", 0))
    return readers
