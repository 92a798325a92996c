"""Rational points at which two sides are compared, and points as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from graphgrad.dims import Token, concrete
from graphgrad.system import System

Values = Mapping[str, Any]
"""Arrays of fractions by name; tokens are integers."""
SCALES = (Fraction(1, 13), Fraction(1, 5), Fraction(1, 50), Fraction(1, 2))
PLAIN = 12
"""Points of so many seeds have one scale throughout; others have one for each array."""
WIDE = (*SCALES, Fraction(2))


def sample(
    system: System, lengths: Mapping[str, int], sizes: Mapping[str, int], seed: int
) -> dict[str, Any]:
    """Return small non-zero rationals for every parameter and input; tokens are integers.

    Even seeds mix signs, odd ones are positive throughout.
    """
    draw = Random(seed)

    def array(shape: tuple[int, ...]) -> Any:
        scale = SCALES[seed // 2 % 4] if seed < PLAIN else draw.choice(WIDE)
        result = np.empty(shape, object)
        for position in np.ndindex(*shape):
            sign = draw.choice((-1, 1)) if seed % 2 == 0 else 1
            result[position] = sign * draw.randint(2, 12) * scale
        return result

    found: dict[str, Any] = {
        name: array(concrete(param.shape, sizes)) for name, param in system.params.items()
    }
    for name, declared in system.inputs.items():
        lead = () if declared.index is None else (lengths[declared.index],)
        if isinstance(declared.type, Token):
            (count,) = concrete((declared.type.size,), sizes)
            tokens = [draw.randrange(count) for _ in range(lead[0] if lead else 1)]
            found[name] = np.array(tokens) if lead else tokens[0]
            continue
        values = array((*lead, *concrete(declared.type, sizes)))
        if declared.kind == "distribution":
            values = np.abs(values)
            values = values / np.sum(values, axis=-1, keepdims=True)
        found[name] = values
    return found


def is_real(value: Any) -> bool:
    """Whether a value is made of fractions, and not of tokens."""
    return bool(np.asarray(value).dtype == object)


def middle(a: Values, b: Values) -> dict[str, Any]:
    """Return the point half-way between two; tokens are those of the first."""
    return {
        name: (value + b[name]) * Fraction(1, 2) if is_real(value) else value
        for name, value in a.items()
    }


def rounded(values: Values, largest: int, keep: Callable[[str], bool]) -> dict[str, Any]:
    """Return a point near by with smaller denominators, except of what to keep."""
    found = {}
    for name, value in values.items():
        if not is_real(value) or keep(name):
            found[name] = value
            continue
        near = np.frompyfunc(lambda entry: entry.limit_denominator(largest), 1, 1)
        found[name] = near(value)
    return found


def as_data(values: Values) -> dict[str, Any]:
    """Return a point as plain data: nested lists of rationals as text, tokens as integers."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype == object:
            text = np.empty(array.shape, object)
            for position in np.ndindex(*array.shape):
                text[position] = str(array[position])
            found[name] = text.tolist()
        else:
            found[name] = array.tolist()
    return found
