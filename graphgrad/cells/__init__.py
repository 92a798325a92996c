"""The gallery: recurrences from the literature, one `.rec` file each."""

from __future__ import annotations

from pathlib import Path

from graphgrad.circuit import Circuit
from graphgrad.doors import door
from graphgrad.errors import unknown_name

FOLDER = Path(__file__).parent
_load = door("graphgrad.notation.parse:load")


def names() -> list[str]:
    """Return the names of the gallery's circuits, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.rec"))


def path(name: str) -> Path:
    """Return the file of a circuit of the gallery; UnknownNameError suggests the nearest name."""
    if name not in names():
        error = unknown_name(name, names())
        error.message = f"{name} is not in the gallery"
        raise error
    return FOLDER / f"{name}.rec"


def load(name: str) -> Circuit:
    """Return a circuit of the gallery."""
    circuit: Circuit = _load(path(name))
    return circuit
