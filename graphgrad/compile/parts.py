"""Joint vectors cut into parts of one size: gates that are computed together.

Where the gates of an example stand side by side, an operation on one of them goes along short
pieces of memory, which takes NumPy longer than one long piece. So an array of gates has
an axis for the parts in front of the batch, if all that is done with several parts at once is
elementwise; so have the products that are only added to them. Cotangents of gates have to stand
side by side, since products read all of them: a step works on a bench of parts, and puts them in
their row at its end (`benches`).
"""

from __future__ import annotations

from graphgrad.compile.places import IN_PLACE, WRITES, Place, Places
from graphgrad.compile.schedule import Body, Operand, Schedule, Statement
from graphgrad.dims import Dim

MOST = 32  # parts of one vector that are looked for


class Parts:
    """The arrays of a program that are cut into parts: their roots, and into how many each."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.schedule = places.schedule
        self.groups: dict[str, list[str]] = {}
        for name in self.schedule.statements:
            self.groups.setdefault(places.of(name).root, []).append(name)
        self.counts = {root: self._count(root) for root in self.groups if root in places.arrays}
        self.roots: set[str] = set()
        for _ in range(2):  # the second time, those that are read by the first
            self.roots = {root for root, count in self.counts.items() if count and self._fits(root)}
        self.products = {name: count for name in places.looped if (count := self._product(name))}

    def of(self, name: str) -> int:
        """Return how many parts a value has in an array that is cut into parts, else 1."""
        if self.places.of(name).root not in self.roots:
            return self.products.get(name, 1)
        return self._parts(name)

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the number of the first part of a place, and the one behind its last."""
        count = self.counts[place.root]
        if place.start is None or place.stop is None:
            return 0, count
        ends = _ends(self.schedule.type_of(place.root).shape[0], count)
        return ends.index(place.start), ends.index(place.stop)

    def benches(self, body: Body) -> dict[str, int]:
        """Return the joint vectors that a step makes part by part, and of how many parts each."""
        own = {each.name for each in body.statements}
        found: dict[str, int] = {}
        for statement in body.statements:
            name = statement.name
            count = self.counts.get(name, 0)
            joins = self.places.joins(statement)
            if not joins or not count or self.places.of(name) != Place(name):
                continue
            group = self.groups[name]
            joint = {each for each in group if self._parts(each) > 1}
            at_once = any(
                reader in own and not lag and reader not in group
                for each in joint
                for reader, lag in self.places.readers.get(each, ())
            )
            made = {each for each in group if not self._piece(each)}
            whole = any(self.schedule.statements[each].op != "concat" for each in joint & made)
            if made <= own and not at_once and not whole:
                found[name] = count
        return found

    def _count(self, root: str) -> int:
        """Return into how many parts of one size all pieces of an array divide it, 0 if none."""
        whole = self.schedule.type_of(root)
        if not whole.batched or whole.index is None or len(whole.shape) != 1:
            return 0
        places = [self.places.of(name) for name in self.groups[root]]
        ends = {end for each in places for end in (each.start, each.stop) if end is not None}
        if not ends:
            return 0
        return next((n for n in range(2, MOST + 1) if ends <= {*_ends(whole.shape[0], n)}), 0)

    def _parts(self, name: str) -> int:
        first, last = self.bounds(self.places.of(name))
        return last - first

    def _product(self, name: str) -> int:
        """Return into how many parts a buffer is cut: as many as all have that read it, else 0."""
        places, statements = self.places, self.schedule.statements
        apart = places.of(name) == Place(name) and name not in places.arrays
        if not apart or not is_product(self.schedule, statements[name]):
            return 0
        counts = set()
        for reader, lag in places.readers.get(name, ()):
            user, there = statements.get(reader), places.of(reader)
            if user is None or user.op not in IN_PLACE or lag or there.root not in self.roots:
                return 0
            counts.add(self._parts(reader))
        return counts.pop() if len(counts) == 1 and counts != {1} else 0

    def _piece(self, name: str) -> bool:
        """Whether a value is only a view of a piece of its array."""
        return self.schedule.statements[name].op == "slice" and name in self.schedule.homes

    def _fits(self, root: str) -> bool:
        """Whether all that makes or reads several parts at once can do so part by part."""
        several = [name for name in self.groups[root] if self._parts(name) > 1]
        return not self.places.fixed.intersection(several) and all(
            self._made(self.schedule.statements[name]) and self._read(name) for name in several
        )

    def _made(self, statement: Statement) -> bool:
        """Whether a value of several parts is a piece, lifted, a product, or elementwise."""
        name, places = statement.name, self.places
        if self._piece(name):
            return True
        if name not in places.looped:
            return name not in places.prelude and statement.op != "concat"
        if is_product(self.schedule, statement):
            return True
        return statement.op in IN_PLACE and all(
            places.of(each.name) == places.of(name) or self._alike(each, statement)
            for each in statement.reads
        )

    def _alike(self, operand: Operand, user: Statement) -> bool:
        """Whether an operand is a value of the loop with the same axes, in an array of its own."""
        if operand.name not in self.places.looped:
            return False
        used, root = self.schedule.statements[operand.name], self.places.of(operand.name).root
        stands = used.op in WRITES or used.name in self.schedule.homes or root in self.places.arrays
        return (
            stands
            and root != self.places.of(user.name).root
            and (used.batched, used.shape) == (user.batched, user.shape)
        )

    def _read(self, name: str) -> bool:
        """Whether all that reads a value is a piece of it, or elementwise with the same parts."""
        place = self.places.of(name)
        for reader, lag in self.places.readers.get(name, ()):
            user, there = self.schedule.statements.get(reader), self.places.of(reader)
            if user is None:
                return False
            if there.root == place.root and self._piece(reader):
                continue
            other = there.root != place.root and there.root in self.roots and user.op in IN_PLACE
            alike = there == place or (other and self._parts(reader) == self._parts(name))
            if lag or reader not in self.places.looped or not alike:
                return False
        return True


def is_product(schedule: Schedule, statement: Statement) -> bool:
    """Whether a statement is a matrix times a vector, the matrix the same for all."""
    if statement.op != "matmul" or len(statement.reads) != 2:
        return False
    matrix, vector = (schedule.type_of(each.name) for each in statement.reads)
    plain = matrix.index is None and not matrix.batched
    return plain and len(matrix.shape) == 2 and len(vector.shape) == 1


def _ends(whole: Dim, count: int) -> list[Dim]:
    """Return where each of so many equal parts begins, and where the last one ends."""
    size = whole.divided(count)
    return [] if size is None else [size * k for k in range(count + 1)]
