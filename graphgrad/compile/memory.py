"""How much memory a program takes: a fixed part, and one that grows with the number of steps."""

from __future__ import annotations

from collections.abc import Mapping

from graphgrad.compile.places import Places
from graphgrad.compile.schedule import Leaf, Schedule, Statement
from graphgrad.dims import concrete


def bytes_of(
    schedule: Schedule, count: int, sizes: Mapping[str, int], itemsize: int
) -> tuple[int, int]:
    """Return the bytes of a program's arrays, once and for each step, for `count` examples.

    Every value outside a loop counts as an array, although some are parts of one expression: an
    upper bound that leaves room for what NumPy's functions allocate.
    """
    places = Places(schedule)
    fixed = step = 0
    seen: set[str] = set()
    for name, leaf in schedule.leaves.items():
        array = schedule.array(name)
        if leaf.index is not None and (array.before or array.after):
            step += _numbers(leaf, count, sizes) * itemsize
    for name in schedule.statements:
        root = places.of(name).root
        if root in seen:
            continue
        seen.add(root)
        value = schedule.type_of(root)
        size = _numbers(value, count, sizes) * itemsize
        if value.index is not None and root in places.arrays and root not in places.rings:
            step += size
        else:
            fixed += size
    return fixed, step


def _numbers(value: Statement | Leaf, count: int, sizes: Mapping[str, int]) -> int:
    total = count if value.batched else 1
    for axis in concrete(value.shape, sizes):
        total *= axis
    return total
