"""What commands read and write: circuits, files, lengths, progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphgrad import cells, files
from graphgrad.circuit import Circuit
from graphgrad.doors import door
from graphgrad.errors import FileError, GraphgradError, nearest

_load = door("graphgrad.notation.parse:load")
_parse = door("graphgrad.notation.parse:parse")
_format = door("viz.drawing:format_of")


class UsageError(GraphgradError):
    """Options that do not go together, or that are wrong whatever the file."""


@contextmanager
def usage() -> Iterator[None]:
    """Make an error about the value of an option, whatever the file, one of usage."""
    try:
        yield
    except GraphgradError as error:
        raise UsageError(error.message, remedy=error.remedy) from None


def read_circuit(name: str) -> Circuit:
    """Return the circuit in a file, from standard input (`-`), or of the gallery."""
    circuit: Circuit
    if not name:
        raise FileError("the file has no name", remedy="name a .rec file or one of the gallery")
    if name == "-":
        circuit = _parse(read_text(name), "stdin")
    elif name in cells.names() and not Path(name).is_file():
        circuit = cells.load(name)
    else:
        guess = nearest(name, cells.names())
        try:
            circuit = _load(name)
        except FileError as error:
            if name and Path(f"{name}.rec").is_file():
                error.remedy = f"did you mean {name}.rec?"
            elif guess is not None and not Path(name).exists():
                error.remedy = f"did you mean {guess}, of the gallery?"
            raise
    return circuit


def read_text(path: str) -> str:
    """Return what a file holds, or standard input (`-`)."""
    if path != "-":
        return files.read_text(path)
    if sys.stdin is None:
        raise FileError("standard input is closed", remedy="give it a text, or name a file")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise FileError("standard input is not UTF-8 text", remedy="save it as UTF-8") from None
    except OSError as error:
        raise FileError(
            f"standard input cannot be read: {error.strerror}", remedy="give it a text"
        ) from None


def make_folder(path: Path) -> None:
    """Make a folder; FileError where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{path} cannot be made: {reason}", remedy="name another folder") from None


def picture_style(options: argparse.Namespace) -> dict[str, str]:
    """Return how a picture is to be drawn.

    UsageError where none is asked for but its looks, or one in a format that is none.
    """
    looks = {name: getattr(options, name) for name in ("level", "style")}
    for name, value in looks.items():
        if value and options.out is None:
            raise UsageError(
                f"--{name} is about a picture", remedy="name the picture: --out elman.svg"
            )
    if options.out is not None:
        with usage():
            _format(options.out)
    return {"level": looks["level"] or "variables", "style": looks["style"] or "colour"}


def save(drawing: Any, path: str) -> None:
    """Write a drawing and say so."""
    drawing.save(path)
    print(f"wrote {path}", file=sys.stderr)


def lengths_for(circuit: Circuit, tau: Mapping[str, int]) -> Any:
    """Return the lengths asked for: one number for a single index."""
    if set(tau) == {""}:
        return tau[""]
    return dict.fromkeys(circuit.indices, tau.get("", 3)) | {k: n for k, n in tau.items() if k}


def counted(number: int, what: str) -> str:
    """Return a number of things: `1 node`, `2 nodes`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show what is going on while it goes on, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield
