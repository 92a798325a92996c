"""The arguments of `prove` and `check_function`: what is of a wrong type is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graphgrad.dims import is_whole
from graphgrad.errors import GraphgradError, shown


class Kind(NamedTuple):
    """Whether a value fits, and what to give instead of one that does not."""

    fits: Callable[[Any], bool]
    remedy: str


def _is_names(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    several = isinstance(names, Sequence) and len(names) > 0
    return several and all(isinstance(name, str) for name in names)


def _is_count(value: Any) -> bool:
    return is_whole(value) and value > 0


def _is_seconds(value: Any) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and bool(value >= 0)


def _is_statement(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


KINDS = {
    "loss": Kind(_is_names, 'give names of variables: loss="loss", or loss=("h", "c")'),
    "claims": Kind(
        lambda value: isinstance(value, str | Path | Mapping),
        'give a text such as "d_W = …", a Path, or a dict of right sides',
    ),
    "sizes": Kind(lambda value: isinstance(value, Mapping), 'give a dict: sizes={"H": 2}'),
    "time_limit": Kind(_is_seconds, "give a number of seconds: time_limit=60"),
    "batch": Kind(_is_count, "give the number of examples, or leave it out"),
    "arguments": Kind(_is_statement, 'give a dict of names: arguments={"Wx": "U.T"}'),
    "results": Kind(
        lambda value: isinstance(value, Mapping | Sequence),
        'give names in order, results=["d_W", "d_U"], or a dict: results={"dWx": "d_U.T"}',
    ),
}


def check_types(error: type[GraphgradError], **given: Any) -> None:
    """Raise an error for the first argument that is of a wrong type; None stands for a default.

    >>> check_types(GraphgradError, sizes={"H": 2}, claims=None)
    >>> check_types(GraphgradError, sizes=3)
    Traceback (most recent call last):
        ...
    graphgrad.errors.GraphgradError: sizes=3 is not possible
    Remedy: give a dict: sizes={"H": 2}
    """
    for name, value in given.items():
        kind = KINDS[name]
        if value is not None and not kind.fits(value):
            raise error(f"{name}={shown(value)} is not possible", remedy=kind.remedy)
