"""The number of steps of each index and the sizes, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphgrad.dims import is_whole
from graphgrad.errors import DataError, unknown_name
from graphgrad.system import System

MAX_NODES = 2**31 - 1


def is_length(value: Any) -> bool:
    """Return whether a value is a number of steps that is possible in some circuit."""
    return is_whole(value) and 1 <= value < MAX_NODES


def checked_lengths(system: System, tau: Any) -> dict[str, int]:
    """Return the number of steps per index; DataError for anything but whole numbers ≥ 1."""
    indices = list(system.indices)
    if isinstance(tau, Mapping):
        by_length = {index.length: name for name, index in system.indices.items()}
        lengths = {by_length.get(str(name), str(name)): value for name, value in tau.items()}
        for name in lengths:
            if name not in indices:
                error = unknown_name(name, indices)
                error.message = f"{name} is not a time index"
                raise error
        missing = [name for name in indices if name not in lengths]
        if missing:
            raise DataError(
                f"the number of steps of {', '.join(missing)} is not given",
                remedy=f"give tau={{{', '.join(f'{name!r}: 3' for name in indices)}}}",
            )
    else:
        lengths = dict.fromkeys(indices, tau)
    for name, value in lengths.items():
        if not is_length(value):
            raise DataError(
                f"the number of steps {system.indices[name].length} = {value!r} is not possible",
                remedy=f"use a whole number from 1 to {MAX_NODES - 1}",
            )
    return {name: int(lengths[name]) for name in indices}


def checked_sizes(system: System, sizes: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes given, with the defaults of those left out."""
    known = system.declared.sizes
    result = {name: default for name, default in known.items() if default is not None}
    for name, value in sizes.items():
        if name in system.inputs or name in system.params:
            raise DataError(
                f"{name} is no size: its values come by name with all others",
                remedy=f'write the values as one dict, {{"{name}": …}}',
            )
        if name not in known:
            raise unknown_name(name, known)
        if not is_whole(value) or value < 1:
            raise DataError(f"the size {name} = {value!r} is not possible", remedy="use an int ≥ 1")
        result[name] = int(value)
    return result
