"""Attributes: what an op carries beside its arguments, one record for each op that has several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphgrad.conditions import Condition
from graphgrad.dims import Dim, Shape


class Read(NamedTuple):
    """Attribute of `read`: the value `lag` steps ago of an indexed variable or input."""

    name: str
    lag: int

    def step(self, index: str) -> str:
        """Return the step in words of an index: `t`, `t-1`, `t+2`."""
        return f"{index}{-self.lag:+d}" if self.lag else index

    def outside(self) -> Iterator[At]:
        """Yield the instances before the first and behind the last step that it reaches.

        They may be more than anyone can count: a lag is any whole number.
        """
        for offset in range(1 - self.lag, 1):
            yield At(self.name, False, offset)
        for offset in range(1, 1 - self.lag):
            yield At(self.name, True, offset)


class At(NamedTuple):
    """Attribute of `at_step`: the value at step `offset`, or `length + offset` if `last`."""

    name: str
    last: bool
    offset: int

    def step(self, length: str) -> str:
        """Return the step in words of a length: `0`, `-1`, `tau`, `tau+1`."""
        if not self.last:
            return str(self.offset)
        return f"{length}{self.offset:+d}" if self.offset else length

    def meets(self, boundary: At) -> bool:
        """Whether this step is that boundary value at some length ≥ 1.

        `h[tau-1]` is `h[0]` at length 1, `h[3]` is `h[tau+1]` at length 2.
        """
        if self.name != boundary.name:
            return False
        if self.last == boundary.last:
            return self.offset == boundary.offset
        ahead = boundary.offset - self.offset if self.last else self.offset - boundary.offset
        return ahead >= 1


class Fill(NamedTuple):
    """Attribute of `fill`: an array of zeros or ones."""

    value: int
    shape: Shape


class Basis(NamedTuple):
    """Attribute of `basis`: the unit vector `onehot(position, size)`."""

    position: int
    size: Dim


class Part(NamedTuple):
    """Attribute of `part`: piece `position` of a vector cut into pieces of the given sizes.

    `sizes` is a whole number for that many equal pieces.
    """

    sizes: int | Shape
    position: int


class Reduction(NamedTuple):
    """Attribute of `reduce`: sum or mean of the body over the steps where the condition holds."""

    kind: str
    over: str
    condition: Condition
