"""Time indices and sequence lengths, as they are written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.conditions import Affine, Compare, Condition
from graphgrad.dims import is_whole
from graphgrad.doors import door
from graphgrad.errors import NotationError

_as_number = door("graphgrad.ir:number")


class Time:
    """A time index or a sequence length, as it is written in Python: `t - 1`, `t > 3`, `1 / tau`.

    Comparisons give conditions, `+` and `-` with whole numbers give other times, and anything else
    makes it a number to compute with.
    """

    __array_priority__ = 1000

    def __init__(self, affine: Affine) -> None:
        self.affine = affine

    def _other(self, value: Any) -> Affine | None:
        if isinstance(value, Time):
            return value.affine
        if is_whole(value):
            return Affine.number(int(value))
        return None

    def _compare(self, relation: str, value: Any) -> Condition:
        other = self._other(value)
        if other is None:
            raise NotationError(
                f"a time index is compared with whole numbers and other indices, not {value!r}",
                remedy="write t == tau or t > 3",
            )
        return Compare(relation, self.affine, other)

    def __eq__(self, other: object) -> Any:
        return self._compare("==", other)

    def __ne__(self, other: object) -> Any:
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Condition:
        return self._compare(">=", other)

    def __hash__(self) -> int:
        return hash(self.affine)

    def __graphgrad_expr__(self) -> Any:
        return _as_number(self.affine)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _as_number(self.affine).__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __add__(self, other: Any) -> Any:
        value = self._other(other)
        if value is None:
            return _as_number(self.affine) + other
        return Time(self.affine.plus(value))

    def __radd__(self, other: Any) -> Any:
        value = self._other(other)
        if value is None:
            return other + _as_number(self.affine)
        return Time(value.plus(self.affine))

    def __sub__(self, other: Any) -> Any:
        value = self._other(other)
        if value is None:
            return _as_number(self.affine) - other
        return Time(self.affine.plus(value, -1))

    def __rsub__(self, other: Any) -> Any:
        value = self._other(other)
        if value is None:
            return other - _as_number(self.affine)
        return Time(value.plus(self.affine, -1))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and not isinstance(other, bool):
            return Time(self.affine.times(other))
        return _as_number(self.affine) * other

    def __rmul__(self, other: Any) -> Any:
        if isinstance(other, int) and not isinstance(other, bool):
            return Time(self.affine.times(other))
        return other * _as_number(self.affine)

    def __truediv__(self, other: Any) -> Any:
        return _as_number(self.affine) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / _as_number(self.affine)

    def __pow__(self, other: Any) -> Any:
        return _as_number(self.affine) ** other

    def __rpow__(self, other: Any) -> Any:
        return other ** _as_number(self.affine)

    def __neg__(self) -> Time:
        return Time(self.affine.times(-1))

    def __mod__(self, modulus: int) -> Time:
        if isinstance(modulus, bool) or not isinstance(modulus, int) or modulus < 1:
            raise NotationError(
                f"% {modulus!r}: the modulus must be a whole number ≥ 1", remedy="write t % 2"
            )
        return Time(self.affine.modulo(modulus))

    def __repr__(self) -> str:
        return str(self.affine)
