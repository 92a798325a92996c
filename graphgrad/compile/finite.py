"""Where NaN or infinity first appears in a computation: the variable, the step, the example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graphgrad.causality import Component
from graphgrad.errors import DataError, GraphgradError
from graphgrad.system import System


def all_finite(values: Mapping[str, Any]) -> bool:
    """Whether no value holds NaN or infinity."""
    return all(np.isfinite(value).all() for value in values.values())


def check_given(system: System, arrays: Mapping[str, Any]) -> None:
    """Raise DataError for a parameter or input that is not finite."""
    for name, array in arrays.items():
        place = _first(array) if array.dtype.kind == "f" else None
        if place is not None:
            kind = "parameter" if name in system.params else "input"
            raise DataError(
                f"the {kind} {name}{list(place)} is {array[place]}",
                remedy="give finite numbers",
            )


def report(system: System, values: Mapping[str, Any]) -> None:
    """Raise GraphgradError for the variable and the step that are not finite first.

    `values` holds every variable; in a recurrence the order is that of its sweep.
    """
    for component in system.components:
        found = sorted(_places(system, component, values))
        if found:
            _, _, name, step, value = found[0]
            where = name if step is None else f"{name}[{step}]"
            raise GraphgradError(
                f"{where} is {value}: the first value that is not finite",
                remedy="look at what it is computed from; divisions, logarithms, exponentials and "
                "growing states are the usual causes",
            )


def _places(
    system: System, component: Component, values: Mapping[str, Any]
) -> Iterator[tuple[int, int, str, int | None, float]]:
    """Yield for each unit of a component when it is first not finite: sweep time, rank, name."""
    for rank, (unit, offset) in enumerate(zip(component.units, component.offsets, strict=True)):
        if not isinstance(unit, str) or unit not in values:
            continue
        array = np.asarray(values[unit])
        bad = ~np.isfinite(array)
        if not bad.any():
            continue
        if system.index_of(unit) is None:
            yield 0, rank, unit, None, float(array[bad][0])
            continue
        steps = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
        row = int(steps[0] if component.direction >= 0 else steps[-1])
        time = component.direction * (row + offset)
        yield time, rank, unit, row + 1, float(array[row][bad[row]].ravel()[0])


def _first(array: Any) -> tuple[int, ...] | None:
    """Return the position of the first entry that is not finite."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return None
    return tuple(int(k) for k in np.argwhere(bad)[0])
