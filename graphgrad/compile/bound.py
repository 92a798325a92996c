"""A Numba program bound to sizes: called with arrays, alone or divided among threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from graphgrad.compile.workers import workers

Room = tuple[tuple[Any, ...], tuple[Any, ...]]
"""Arrays that a program works in, and those of its results."""

Join = int | Literal["sum", "first"]
"""How results of parts of a batch become one: along an axis, added up, or they are all the same."""


_PLAIN = frozenset({np.ndarray})


@dataclass(frozen=True)
class Code:
    """What a module holds: the program, what allocates results and work, and how both are named.

    `pick` gets the arrays from a dict; `single` are the places of single numbers among them, which
    the program takes with an axis.
    """

    compiled: Any
    results: Callable[..., tuple[Any, ...]]
    work: Callable[..., tuple[Any, ...]]
    view: Callable[..., dict[str, Any]]
    arrays: Sequence[str]
    single: Sequence[int]

    @cached_property
    def pick(self) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
        """The function that gets the arrays from a dict, in order."""
        names = self.arrays
        if len(names) > 1:
            return itemgetter(*names)
        return lambda values: [values[name] for name in names]


class Bound:
    """A compiled program with its sizes: it is called with arrays, and allocates the results.

    Every call has its own room to work in, which later calls use again.
    """

    def __init__(self, code: Code, numbers: tuple[int, ...], real: Any) -> None:
        self.numbers = numbers
        self.real = real
        self._code = code
        self._allocate, self._work, self._view = code.results, code.work, code.view
        self._sizes = (*numbers, real)
        self._free: list[Any] = []

    def __call__(self, arrays: Sequence[Any], entry: Any, look: bool) -> dict[str, Any] | None:
        """Return the outputs by name; None where the arrays have other shapes.

        `entry` is machine code, for types that are known, or Numba's dispatcher, which finds the
        code for the types it is given, or raises TypeError. If the program is to look what the
        arrays hold, the result is None for impossible tokens and targets as well.
        """
        arguments, room = self.prepared(arrays, look)
        fits = entry(*arguments)
        found = self.results(room)
        return found if fits else None

    def prepared(self, arrays: Sequence[Any], look: bool) -> tuple[tuple[Any, ...], Room]:
        """Return what machine code is called with, and the arrays of ours among it.

        Nobody else works in these until `results` is called with them.
        """
        sizes = self._sizes
        try:
            work = self._free.pop()
        except IndexError:
            work = self._work(*sizes)
        results = self._allocate(*sizes)
        return (*sizes, look, *arrays, *work, *results), (work, results)

    def results(self, room: Room) -> dict[str, Any]:
        """Return the outputs by name, and give the arrays to work in back."""
        work, results = room
        self._free.append(work)
        return self._view(*self.numbers, *results)

    def again(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the outputs for values like those of the last call; None where they are unlike.

        Every parameter and input has to be there, in the type and with the shape that the program
        takes: it looks at them itself, which takes no time.
        """
        return _again(self, self._code, values)

    def release(self) -> None:
        """Let go of the arrays to work in that no call is using."""
        self._free.clear()

    def example(self, arrays: Sequence[Any]) -> tuple[Bound, Sequence[Any]]:
        """Return a bound program and arrays of the types that its machine code is for."""
        return self, arrays

    def types(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the types of all arguments, as Numba names them."""
        from numba import typeof

        least = (*(1 for _ in self.numbers), self.real)
        made = [*self._work(*least), *self._allocate(*least)]
        return tuple(typeof(each) for each in (*least, True, *arrays, *made))


class Divided:
    """A compiled program that runs parts of a batch side by side, the first where it is called.

    Sums over examples are added in the order of the parts, so results are the same every time.
    """

    def __init__(
        self, code: Code, numbers: tuple[int, ...], real: Any, parts: int,
        axes: Sequence[int | None], joins: Mapping[str, Join],
    ) -> None:  # fmt: skip
        self.numbers = numbers
        self.real = real
        self._code = code
        self._axes = axes
        self._joins = [(name, join) for name, join in joins.items() if join != "first"]
        *others, self._count = numbers
        bounds = [self._count * part // parts for part in range(parts + 1)]
        self._bounds = list(itertools.pairwise(bounds))
        sizes = [high - low for low, high in self._bounds]
        alike = {size: Bound(code, (*others, size), real) for size in sizes}
        self._parts = [alike[size] for size in sizes]

    def __call__(self, arrays: Sequence[Any], entry: Any, look: bool) -> dict[str, Any] | None:
        """Return the outputs by name, as `Bound` does."""
        if not all(map(self._fits, arrays, self._axes)):
            return None
        prepared = [
            part.prepared(self._slices(k, arrays), look) for k, part in enumerate(self._parts)
        ]
        calls, rooms = zip(*prepared, strict=True)
        # From here on each thread is in machine code: none waits for another's Python, after which
        # the scheduler might wake it on the processor of that other one.
        others = [
            worker.start(entry, *call)
            for worker, call in zip(workers(len(calls) - 1), calls[1:], strict=True)
        ]
        fits = [entry(*calls[0])]
        fits += [result() for result in others]
        each = [part.results(room) for part, room in zip(self._parts, rooms, strict=True)]
        return self._joined(each) if all(fits) else None

    def again(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the outputs for values like those of the last call, as `Bound` does."""
        return _again(self, self._code, values)

    def release(self) -> None:
        """Let go of the arrays to work in that no call is using."""
        for part in self._parts:
            part.release()

    def example(self, arrays: Sequence[Any]) -> tuple[Bound, Sequence[Any]]:
        """Return a bound program and arrays of the types that its machine code is for."""
        return self._parts[0], self._slices(0, arrays)

    def _fits(self, array: Any, axis: int | None) -> bool:
        return axis is None or (
            isinstance(array, np.ndarray) and array.shape[axis : axis + 1] == (self._count,)
        )

    def _slices(self, k: int, arrays: Sequence[Any]) -> list[Any]:
        part = slice(*self._bounds[k])
        return [
            array if axis is None
            else np.ascontiguousarray(array[:, part] if axis else array[part])
            for array, axis in zip(arrays, self._axes, strict=True)
        ]  # fmt: skip

    def _joined(self, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
        first, *rest = parts
        joined = dict(first)
        for name, join in self._joins:
            if join == "sum":
                for part in rest:
                    joined[name] = joined[name] + part[name]
            else:
                joined[name] = np.concatenate([part[name] for part in parts], axis=join)
        return joined


def _again(bound: Bound | Divided, code: Code, values: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        if len(values) != len(code.arrays):
            return None
        arrays = code.pick(values)
        if code.single:
            arrays = list(arrays)
            for k in code.single:
                if arrays[k].ndim:
                    return None
                arrays[k] = arrays[k].reshape(1)
        if not _PLAIN.issuperset(map(type, arrays)):  # masked arrays would lose their masks
            return None
        return bound(arrays, code.compiled, True)
    except (KeyError, AttributeError, TypeError):  # another name; no machine code for a type
        return None
    except RuntimeError as error:  # nor is any made, though it was while this thread waited for it
        if "compilation disabled" not in str(error):
            raise
        return None
