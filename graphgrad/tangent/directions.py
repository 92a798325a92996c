"""Directions along which a tangent is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.errors import names_given, unknown_name


def basis_directions(
    values: Mapping[str, Any], wrt: Iterable[str] | str | None = None, *, prefix: str = "dot_"
) -> dict[str, Any]:
    """Return one direction for every entry of some arrays: `dot_W` -> array (directions, *W.shape).

    The first axis is a batch axis. With it, the tangents of a loss are its gradient: the entries of
    the first array in row-major order, then those of the second, ….
    """
    wanted = list(values) if wrt is None else names_given("wrt", wrt)
    for name in wanted:
        if name not in values:
            raise unknown_name(name, values)
    chosen = {name: np.asarray(values[name]) for name in wanted}
    count = sum(array.size for array in chosen.values())
    found: dict[str, Any] = {}
    start = 0
    for name, array in chosen.items():
        flat = np.zeros((count, array.size), array.dtype)
        flat[start : start + array.size] = np.eye(array.size, dtype=int)
        found[prefix + name] = flat.reshape(count, *array.shape)
        start += array.size
    return found
