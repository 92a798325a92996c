"""What a run of hand-written code leaves for the search for causes: results, values, places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from graphgrad.dims import Token
from graphgrad.proof.check_adapter import float_values, floats
from graphgrad.proof.check_case import Case
from graphgrad.proof.check_floats import values_at
from graphgrad.proof.check_judge import Comparison, decided
from graphgrad.proof.counts import CLOSE
from graphgrad.proof.trace import LEFT
from graphgrad.proof.trace_sympy import Expressions
from graphgrad.proof.zero import Field

Spot = tuple[str, int | None, tuple[int, ...]]
"""A quantity, the example (None for parameters) and an entry of it."""


@dataclass(frozen=True)
class Cause:
    """A hypothesis that fits: in words, which results it explains, and whether that is exact."""

    text: str
    explains: tuple[str, ...]
    exact: bool
    kind: str = "equation"
    changes: tuple[tuple[str, str], ...] = ()
    """Right equations, each with the changed one."""
    second: bool = False
    """Whether it explains them beside another change only."""


@dataclass
class Evidence:
    """What is known about one run: the case, its comparisons, and the tools to decide."""

    case: Case
    made: list[Comparison]
    refuted: list[Comparison]
    tape: Any
    expressions: Expressions
    field: Field
    deadline: float

    def got(self, made: Comparison) -> Any:
        """Return what the code computed, as floats at the case's point."""
        point = {p: float(self.case.number(p)) for p in leaves(self.tape)}
        flat = self.tape.evaluate([entry.node for entry in made.got.flat], point)
        return np.array(flat, float).reshape(made.got.shape)

    @cached_property
    def places(self) -> dict[Any, Spot]:
        """Where each symbol stands."""
        return placed(self.case)

    def gradients(self, made: Comparison, found: Mapping[str, list[Any]]) -> Any:
        """Return gradients by quantity and example in the arrangement of a comparison."""
        assert made.symbols is not None
        result = np.empty(made.symbols.shape, object)
        for entry in np.ndindex(*made.symbols.shape):
            place = self.places.get(made.symbols[entry])
            if place is None or place[0] not in found:
                result[entry] = None
                continue
            name, example, at = place
            parts = found[name] if example is None else [found[name][example]]
            result[entry] = sum(np.asarray(part)[at] for part in parts) * _plain(self.case.scale)
        return result if result.shape == made.want.shape else result.reshape(made.want.shape)

    @cached_property
    def data(self) -> list[dict[str, Any]]:
        """Parameters and inputs as floats, for each example."""
        return float_data(self.case)

    @cached_property
    def values(self) -> list[dict[str, Any]]:
        """The forward variables as floats, for each example."""
        return float_values(self.case)

    def right_here(self, made: Comparison) -> bool:
        """Whether a result agrees with the truth at the sample point, by floats."""
        return near(self.got(made), numbers(self.case, made.want))

    def confirmed(self, made: Comparison, wanted: Any) -> bool:
        """Whether what the code computed is exactly an array of expressions."""
        values = self.expressions.of(entry.node for entry in made.got.flat)
        for want, value in zip(np.ravel(wanted), values, strict=True):
            if want is None:
                continue
            if decided(self.field, value, sympy.sympify(want), self.deadline).verdict != "zero":
                return False
        return True


def unwritten(tape: Any, made: Comparison) -> bool:
    """Whether a result is computed from entries of `np.empty` that nothing was written to."""
    used = tape.needed(entry.node for entry in made.got.flat)
    return any(tape.payload[node] == LEFT for node in used)


def placed(case: Case) -> dict[Any, Spot]:
    """Return where each symbol of a case stands."""
    found: dict[Any, Spot] = {}
    for name, array in case.params.items():
        for place in np.ndindex(*array.shape):
            found[array[place]] = (name, None, place)
    for example, values in enumerate(case.inputs):
        for name, entries in values.items():
            array = np.asarray(entries, object)
            for place in np.ndindex(*array.shape):
                if isinstance(array[place], sympy.Symbol):
                    found[array[place]] = (name, example, place)
    return found


def float_data(case: Case) -> list[dict[str, Any]]:
    """Return parameters and inputs as floats, for each example."""
    convert = floats(case)
    found = []
    for position, values in enumerate(case.inputs):
        tokens = case.tokens[position]
        data = {n: convert(np.asarray(a, object)) for n, a in case.params.items()}
        for name, value in values.items():
            token = isinstance(case.system.inputs[name].type, Token) and name in tokens
            array = np.asarray(value, object)
            data[name] = np.asarray(value) if token else convert(array)
        found.append(data)
    return found


def _plain(scale: sympy.Rational) -> Any:
    return 1 if scale == 1 else scale if not scale.is_Float else float(scale)


def near(a: Any, b: Any) -> bool:
    """Whether two arrays of floats agree; entries that are None are left out."""
    pairs = [(x, y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True) if y is not None]
    if not pairs:
        return False
    left, right = (np.array(side, float) for side in zip(*pairs, strict=True))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return False
    size = max(float(np.max(np.abs(right))), 1e-300)
    return bool(np.max(np.abs(left - right)) <= CLOSE * size)


def numbers(case: Case, array: Any) -> Any:
    """Return expressions as floats at the sample point, NaN where there is none."""
    flat = [sympy.S.NaN if e is None else sympy.sympify(e) for e in np.ravel(array)]
    values = values_at(flat, {symbol: float(value) for symbol, value in case.point.items()})
    return np.array(values, float).reshape(np.shape(array))


def leaves(tape: Any) -> list[Any]:
    """Return what the leaves of a tape stand for."""
    return [p for op, p in zip(tape.ops, tape.payload, strict=True) if op == "leaf"]
