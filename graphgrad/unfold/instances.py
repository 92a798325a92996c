"""Instances: nodes are numbered as they are added, and written into flat arrays in the end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphgrad.errors import DataError
from graphgrad.unfold.dag import STATIC, Ints, Template
from graphgrad.unfold.lengths import MAX_NODES


class FlatArrays(NamedTuple):
    """Kinds, times and arguments of all nodes; see `Dag`."""

    kinds: Ints
    times: Ints
    starts: Ints
    args: Ints


def too_large() -> DataError:
    """Return the error for a graph with too many nodes."""
    return DataError(
        f"the unfolded graph would have more than {MAX_NODES:,} nodes",
        remedy="use fewer steps; compiled functions need no unfolded graph",
    )


class Instances:
    """Collects instances of templates, many at a time."""

    def __init__(self) -> None:
        self.templates: list[Template] = []
        self.spaces: list[str | None] = []
        self.count = 0
        self.pieces: list[tuple[int, Ints, Any, list[Ints]]] = []
        self.ragged: list[tuple[int, Ints]] = []

    def template(self, template: Template, space: str | None) -> int:
        """Enter a template and return its number."""
        self.templates.append(template)
        self.spaces.append(space)
        return len(self.templates) - 1

    def one(self, template: Template, args: list[int] | None = None) -> int:
        """Add one static instance and return its number."""
        columns = [np.array([arg], np.int32) for arg in args or []]
        return int(self.many(template, np.array([STATIC], np.int32), columns)[0])

    def many(
        self, template: Template, times: Ints, args: list[Ints], space: str | None = None
    ) -> Ints:
        """Add one instance a time, numbered in a row, and return the numbers."""
        numbers = np.arange(self.count, self.count + len(times), dtype=np.int32)
        self.advance(len(times))
        self.pieces.append((self.template(template, space), numbers, times, args))
        return numbers

    def advance(self, count: int) -> None:
        """Count instances; DataError if there are too many."""
        self.count += count
        if self.count > MAX_NODES:
            raise too_large()

    def numbered(
        self, template: Template, numbers: Ints, times: Any, args: list[Ints], space: str
    ) -> None:
        """Add instances whose numbers are known already."""
        self.pieces.append((self.template(template, space), numbers, times, args))

    def total(self, template: Template, terms: Ints) -> int:
        """Add one static instance with any number of arguments and return its number."""
        number = self.one(template)
        self.ragged.append((number, terms.astype(np.int32)))
        return number

    def arrays(self) -> FlatArrays:
        """Return everything that was added in flat arrays."""
        count = self.count
        kinds = np.empty(count, np.int32)
        times = np.full(count, STATIC, np.int32)
        arity = np.zeros(count + 1, np.int32)
        for template, numbers, when, columns in self.pieces:
            kinds[numbers] = template
            times[numbers] = when
            arity[numbers + 1] = len(columns)
        for number, terms in self.ragged:
            arity[number + 1] = len(terms)
        ends = np.cumsum(arity, dtype=np.int64)
        if ends[-1] > MAX_NODES:
            raise DataError("the unfolded graph would have too many edges", remedy="fewer steps")
        starts: Ints = ends.astype(np.int32)
        args = np.empty(starts[-1], np.int32)
        for _, numbers, _, columns in self.pieces:
            for position, column in enumerate(columns):
                args[starts[numbers] + position] = column
        for number, terms in self.ragged:
            args[starts[number] : starts[number + 1]] = terms
        return FlatArrays(kinds, times, starts, args)
