"""Every exception of the library: what is wrong, where (line and caret), and the remedy."""

from __future__ import annotations

import difflib
import linecache
import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Place:
    """A stretch of source text: `line` counts from 1, `column` and `end` from 0."""

    line: int
    column: int
    end: int
    text: str
    source: str | None = None

    def __str__(self) -> str:
        where = f"{self.source}:" if self.source else "line "
        return f"{where}{self.line}:{self.column + 1}"

    def pointer(self) -> str:
        """Return the source line with carets under the stretch.

        >>> print(Place(1, 5, 8, "h[t] = foo").pointer())
            h[t] = foo
                 ^^^
        """
        shown, column = self.text, self.column
        end = min(max(self.end, column + 1), len(shown) + 1)
        if len(shown) > 120:
            start = max(0, column - 40)
            shown = ("…" if start else "") + shown[start : start + 100] + "…"
            column, end = column - start + bool(start), min(end - start + bool(start), 102)
        carets = "".join(" " if char != "\t" else "\t" for char in shown[:column])
        return f"    {shown}\n    {carets}{'^' * max(1, end - column)}"


class GraphgradError(Exception):
    """The base of every exception the library raises.

    `message` says what is wrong, `place` where in the source text, `remedy` what to do about it.
    """

    def __init__(
        self, message: str, *, place: Place | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.message if self.place is None else f"{self.place}: {self.message}"]
        if self.place is not None:
            lines.append(self.place.pointer())
        if self.remedy is not None:
            lines.append(f"Remedy: {self.remedy}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.place, self.remedy))

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the caller's own lines, and none of the library's.

        `traceback.print_exception(error)` prints all of them.
        """
        return [*_callers(self.__traceback__), f"{type(self).__name__}: {self}"]

    def at(self, place: Place | None) -> GraphgradError:
        """Return the same error with a place, unless it has one already."""
        if self.place is None:
            self.place = place
        return self


_NOT_THE_CALLER = ("graphgrad", "viz", "IPython", "ipykernel")


def _callers(trace: TracebackType | None) -> Iterator[str]:
    """Return the lines of a traceback that whoever calls the library has written."""
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_THE_CALLER:
            continue
        # a cell has a file name, but no file
        where = code.co_filename if os.path.exists(code.co_filename) else "cell"
        inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
        text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
        yield f"{where}, line {line}{inside}\n    {text}"


def _rebuild(
    kind: type[GraphgradError], message: str, place: Place | None, remedy: str | None
) -> GraphgradError:
    return kind(message, place=place, remedy=remedy)


class NotationError(GraphgradError):
    """The text is not in the notation."""


class UnknownNameError(GraphgradError):
    """A name that nothing declares."""


class UnknownAttributeError(UnknownNameError, AttributeError):
    """An attribute or method that expressions do not have."""


class NameClashError(GraphgradError):
    """A name that is declared twice, or reserved."""


class ShapeError(GraphgradError):
    """Operands whose shapes do not fit, or a shape that cannot be found out."""


class CausalityError(GraphgradError):
    """Equations that no order of time steps can compute."""


class BoundaryError(GraphgradError):
    """A boundary equation that is misplaced, missing or never used."""


class DataError(GraphgradError):
    """Values that do not fit the circuit: shape, length, token range, missing or unknown name."""


class DomainError(GraphgradError):
    """An operation outside the domain where it has a value, or over numbers that cannot hold it."""


class GradientError(GraphgradError):
    """A gradient that does not exist or cannot be asked for."""


class MissingLibraryError(GraphgradError, ImportError):
    """A library that only some functions need is not installed."""


class FileError(GraphgradError):
    """A file that cannot be read or written."""


def shown(value: object) -> str:
    """Return a value as text for a message, cut where it is long.

    >>> shown("elman"), shown("long" * 99)
    ("'elman'", "'longlonglonglonglonglonglonglonglonglon…")
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:40].rstrip()}…"


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a misspelt one, or None.

    >>> nearest("sigmiod", ["tanh", "sigmoid"])
    'sigmoid'
    """
    if not isinstance(name, str):
        return None
    names = list(known)
    lowered = {each.lower(): each for each in names}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close[0] if close else None


def unknown_name(
    name: object, known: Iterable[str], *, place: Place | None = None
) -> UnknownNameError:
    """Return the error for a name that nothing declares, with the nearest declared one."""
    names = sorted(set(known))
    guess = nearest(name, names)
    remedy = f"did you mean {guess}?" if guess else f"declared are: {', '.join(names) or 'none'}"
    return UnknownNameError(f"{name} is not declared", place=place, remedy=remedy)


def names_given(option: str, given: Any) -> list[str]:
    """Return the names that an option gives, one or several; DataError for what is none."""
    try:
        names = [given] if isinstance(given, str) else list(given)
    except TypeError:  # not iterable, or an array without axes
        names = [given]
    if not all(isinstance(name, str) for name in names):
        raise DataError(
            f"{option}={given!r} names no variables", remedy=f'write for example {option}=["h"]'
        )
    return names
