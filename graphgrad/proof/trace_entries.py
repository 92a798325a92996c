"""What NumPy's arithmetic does with the entries of object arrays, where they are traced scalars.

Arguments are arrays of NumPy's own class, their entries lifted or plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad.proof.trace import ACTIVE, Traced, lift
from graphgrad.proof.trace_scalars import NATIVE, SCALAR, select
from graphgrad.proof.trace_tape import Tape, TraceError


def tape_of(*values: Any) -> Tape | None:
    """Return the tape of the first traced scalar among arrays and nested sequences of them."""
    pending = list(reversed(values))
    while pending:
        value = pending.pop()
        if isinstance(value, Traced):
            return value.tape
        if isinstance(value, np.ndarray):
            if value.dtype == object and value.size:
                pending.append(value.flat[0])
        elif isinstance(value, list | tuple):
            pending.extend(reversed(value))
    return None


def boxed(value: Any) -> Any:
    """Return an array, or one entry as an array without axes."""
    if isinstance(value, Traced):
        result = np.empty((), object)
        result[()] = value
        return result
    return np.asarray(value)


def known(entry: Any) -> Any:
    """Return the number that an entry is, whatever the data are; None for one that varies."""
    return entry.known if isinstance(entry, Traced) else entry


def all_known(array: Any) -> bool:
    """Whether no entry varies."""
    return all(known(entry) is not None for entry in array.flat)


def spread(mask: Any, shape: tuple[int, ...]) -> Any:
    """Return a mask of the first axes at a full shape."""
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape)


def same(left: Any, right: Any) -> bool:
    """Whether two masks are one."""
    pairs = zip(left.flat, right.flat, strict=True)
    return left.shape == right.shape and all(a.node == b.node for a, b in pairs)


def choose(mask: Any, a: Any, b: Any) -> Any:
    """Return a where the mask is 1 and b where it is 0, entry by entry."""

    def one(m: Any, x: Any, y: Any) -> Any:
        tape = tape_of(m, x, y) or ACTIVE.get()
        if tape is None:
            return x if m else y
        return select(lift(tape, m), lift(tape, x), lift(tape, y))

    return np.frompyfunc(one, 3, 1)(mask, a, b)


def entrywise(ufunc: np.ufunc) -> Callable[..., Any]:
    """Return a function on object arrays of traced scalars."""
    name = ufunc.__name__
    if name in NATIVE:
        return ufunc
    if name not in SCALAR:
        raise TraceError(
            f"np.{name} is not followed", remedy=f"followed are {', '.join(sorted(SCALAR))}"
        )
    rule = SCALAR[name]
    found: Callable[..., Any] = np.frompyfunc(rule, ufunc.nin, 1)
    return found


def reduced(
    ufunc: np.ufunc, array: Any, mask: Any = None, axis: Any = 0, keepdims: bool = False
) -> Any:
    """Return a reduction of what a mask selects, or of everything, one axis after the other."""
    name = ufunc.__name__
    if mask is not None:
        if name != "add":
            raise TraceError(
                f"np.{name} over what a mask selects is not followed",
                remedy=f"write np.{name}.reduce(np.where(mask, a, b)), with b the neutral element",
            )
        array = array * mask
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    function: Any = ufunc if name in ("add", "multiply") else entrywise(ufunc)
    for each in sorted((a % array.ndim for a in axes), reverse=True):
        array = boxed(function.reduce(array, axis=each, keepdims=keepdims))
    return array
