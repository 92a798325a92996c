"""Functions whose result depends on values: they are given those at the sample point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad.proof.trace import ACTIVE, Traced
from graphgrad.proof.trace_entries import tape_of

SAMPLED = {np.argmax, np.argmin, np.argsort, np.sort, np.unique, np.any, np.all, np.nonzero}
SAMPLED |= {np.count_nonzero, np.allclose, np.isclose, np.array_equal, np.flatnonzero, np.argwhere}
SAMPLED |= {np.array2string, np.array_repr, np.array_str, np.median, np.percentile, np.histogram}


def sampled(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    """Return a function of the values at the sample point, and note that they were asked for."""
    tape = tape_of(*args) or ACTIVE.get()
    if tape is not None and _varies(args):
        tape.leak(f"was looked at by np.{function.__name__}")
    return function(*(_floats(arg) for arg in args), **kwargs)


def _varies(value: Any) -> bool:
    """Whether a number in nested sequences and arrays depends on the data."""
    if isinstance(value, Traced):
        return value.known is None
    if isinstance(value, np.ndarray):
        return value.dtype == object and any(_varies(each) for each in value.flat)
    return isinstance(value, list | tuple) and any(_varies(each) for each in value)


def _floats(value: Any) -> Any:
    if isinstance(value, Traced):
        return value.value
    if isinstance(value, np.ndarray) and value.dtype == object:
        flat = [e.value if isinstance(e, Traced) else float(e) for e in value.flat]
        return np.array(flat).reshape(value.shape)
    if isinstance(value, list | tuple):
        return type(value)(_floats(each) for each in value)
    return value
