"""How much memory a program takes for a number of steps: an upper bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graphgrad.compile.places import TILE, Places
from graphgrad.compile.rooms import ROWS_AHEAD
from graphgrad.compile.schedule import Leaf, Schedule, Statement
from graphgrad.dims import concrete

ROOM = 1024
"""Bytes of a Numba program's array beside its numbers: the object, room to begin and end in."""
BUFFERS = 2**17
"""Bytes in which NumPy's functions convert and align what they are given, some at a time."""


class Need(NamedTuple):
    """Bytes: once, for each step, for each step computed ahead of a loop, and at most for those."""

    fixed: int
    step: int
    ahead: int
    tile: int

    def of(self, steps: int) -> int:
        """Return the bytes for a number of steps."""
        return self.fixed + steps * self.step + min(steps * self.ahead, self.tile)


def bytes_of(
    schedule: Schedule, count: int, sizes: Mapping[str, int], itemsize: int, backend: str
) -> Need:
    """Return the bytes of a program's arrays for `count` examples.

    Every value outside a loop counts as an array, although some are parts of one expression: an
    upper bound that leaves room for what NumPy's functions allocate. Matrices count once more for
    each product, which may read a copy in another order.
    """
    places = Places(schedule)
    fixed = step = ahead = largest = 0
    seen: set[str] = set()
    for name, leaf in schedule.leaves.items():
        array = schedule.array(name)
        if leaf.index is not None and (array.before or array.after):
            step += _numbers(leaf, count, sizes) * itemsize
    for name, each in schedule.statements.items():
        for read in each.reads if each.op == "matmul" else ():
            factor = schedule.type_of(read.name)
            if factor.index is None and not factor.batched and len(factor.shape) == 2:
                fixed += _numbers(factor, count, sizes) * itemsize
        root = places.of(name).root
        if root in seen:
            continue
        seen.add(root)
        value = schedule.type_of(root)
        size = _numbers(value, count, sizes) * itemsize
        if name in places.prelude:
            largest = max(largest, size)
            if not places.inlined_ahead(name):
                ahead += size
        elif value.index is None or root in places.rings:
            fixed += size
        elif root in places.arrays or name not in places.looped:
            step += size
        else:
            fixed += size
    if backend == "numba":  # takes as many rows for fewer steps
        steps_ahead = 1 + (ROWS_AHEAD - 1) // count
        return Need(fixed + ROOM * len(seen) + steps_ahead * ahead, step, 0, 0)
    on_the_way = 2 * largest  # in the expressions of what is named
    return Need(fixed + BUFFERS, step, ahead + on_the_way, 2 * TILE * itemsize)


def _numbers(value: Statement | Leaf, count: int, sizes: Mapping[str, int]) -> int:
    total = count if value.batched else 1
    for axis in concrete(value.shape, sizes):
        total *= axis
    return total
