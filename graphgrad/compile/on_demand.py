"""Arrays of steps whose rows are made when they are read: data as they are needed, not copied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OnDemand:
    """An array, time first, of which `rows(steps)` are the rows with these numbers, from 0.

    It is read by slices of steps, each of which is a new array.
    """

    shape: tuple[int, ...]
    dtype: Any
    rows: Callable[[Any], Any]

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def outline(self) -> Any:
        """An array of the same shape and type, which takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, steps: slice) -> Any:
        return self.rows(np.arange(*steps.indices(len(self))))


def materialized(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as arrays, all of their rows."""
    return {name: v[:] if isinstance(v, OnDemand) else v for name, v in values.items()}


def outlines(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays of the same shapes and types, the values themselves where they are arrays."""
    return {name: v.outline if isinstance(v, OnDemand) else v for name, v in values.items()}
