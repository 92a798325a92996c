"""Arrays of traced scalars: an ndarray subclass on which NumPy's functions work as on floats.

The entries are `Traced` objects in an object array, so views, slices, in-place updates and most
functions are NumPy's own. What NumPy would ask of a number (is it larger? is it true?) is answered
here with masks, which are scalars that are 0 or 1: `(x > 0) * g`, `np.where(x > 0, a, b)`,
`g[x <= 0] = 0` and `out[m] = np.exp(x[m])` keep both cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphgrad.proof.trace import ACTIVE, LEFT, LEFT_VALUE, Traced, lift
from graphgrad.proof.trace_entries import (
    all_known,
    boxed,
    choose,
    entrywise,
    known,
    reduced,
    same,
    spread,
    tape_of,
)
from graphgrad.proof.trace_sampled import SAMPLED, sampled
from graphgrad.proof.trace_scalars import BOOLEAN, NATIVE, SCALAR, TESTS
from graphgrad.proof.trace_tape import Tape, TraceError


class TracedArray(np.ndarray[Any, Any]):
    """An array of traced scalars."""

    selected: Any = None
    """The mask of an array `x[mask]`, which is kept at the full shape of x."""

    def __array_finalize__(self, source: Any) -> None:
        self.selected = None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return apply_function(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        mask = _mask_in(key)
        if mask is not None:
            chosen = wrap(np.array(plain(self)))
            chosen.selected = spread(plain(mask), self.shape)
            return chosen
        return wrap(plain(self)[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        mask, base = _mask_in(key), plain(self)
        if mask is not None:
            full = spread(plain(mask), self.shape)
            if isinstance(value, TracedArray) and value.selected is not None:
                if not same(value.selected, full):
                    raise TraceError(
                        "values that one mask selects are put where another one does",
                        remedy="select and put with one mask, or write np.where(mask, a, b)",
                    )
            elif np.ndim(value) and np.shape(value) != self.shape:
                raise TraceError(
                    "an array is put where a mask selects, so that its shape depends on values",
                    remedy="write np.where(mask, a, b)",
                )
            base[...] = choose(full, np.broadcast_to(lifted(value), self.shape), base)
            return
        index = _index(key)
        found = lifted(value)
        if not isinstance(base[index], np.ndarray):
            if found.size != 1:
                raise ValueError("setting an array element with a sequence.")
            base[index] = found.item()
        else:
            base[index] = found

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """Return a copy; exact numbers are not rounded, whole constants may become integers."""
        kind = np.dtype(dtype).kind
        if kind in "iu":
            return np.array([int(e) for e in self.flat], dtype).reshape(self.shape)
        if kind == "b" and all_known(self):
            return np.array([bool(known(e)) for e in self.flat], bool).reshape(self.shape)
        return self.copy()

    def clip(self, *args: Any, **options: Any) -> Any:
        """Return the clipped array."""
        return clip(self, *args, **options)

    def argmax(self, *args: Any, **options: Any) -> Any:
        """Return positions of the largest entries at the sample point."""
        return sampled(np.argmax, (self, *args), options)

    def argmin(self, *args: Any, **options: Any) -> Any:
        """Return positions of the smallest entries at the sample point."""
        return sampled(np.argmin, (self, *args), options)

    def tolist(self) -> Any:
        """Return nested lists of scalars."""
        return plain(self).tolist()

    def __repr__(self) -> str:
        return f"<traced array of shape {self.shape}>"

    __str__ = __repr__


def new_tape(**options: Any) -> Tape:
    """Return an empty tape whose scalars know their arrays."""
    return Tape(apply_ufunc, apply_function, **options)


# Conversions


def plain(value: Any) -> Any:
    """Return an array (or what becomes one) as a base-class array."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    if isinstance(value, list | tuple) and tape_of(value) is not None:
        return np.array(value, object)
    return boxed(value)


def lifted(value: Any, tape: Tape | None = None) -> Any:
    """Return an object array of traced scalars and, where no tape is known, plain numbers."""
    array = plain(value)
    home = tape or tape_of(array) or ACTIVE.get()
    if home is None:
        return array.astype(object)
    result = np.empty(array.shape, object)
    for position, entry in enumerate(array.flat):
        result.flat[position] = lift(home, entry)
    return result


def wrap(value: Any, tape: Tape | None = None) -> Any:
    """Return results of NumPy with traced entries as TracedArray or Traced, others unchanged."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        home = tape or tape_of(value) or ACTIVE.get()
        if home is None:
            return value
        if value.ndim == 0:
            return lift(home, value.item())
        if not all(type(entry) is Traced for entry in value.flat):
            value = lifted(value, home)
        return value.view(TracedArray)
    if isinstance(value, list):
        return [wrap(each, tape) for each in value]
    if type(value) is tuple:
        return tuple(wrap(each, tape) for each in value)
    return value


# Masks


def _mask_in(key: Any) -> Any:
    """Return the symbolic mask that an index is, else None."""
    if isinstance(key, Traced) or not isinstance(key, TracedArray):
        return None
    return None if all_known(key) else key


def _index(key: Any) -> Any:
    """Return an index with constant traced entries as plain integers or truth values."""
    if isinstance(key, tuple):
        return tuple(_index(part) for part in key)
    if isinstance(key, Traced):
        return int(key)
    if isinstance(key, TracedArray):
        numbers = np.array([int(known(entry)) for entry in key.flat], int)
        return numbers.reshape(key.shape)
    return key


# ufuncs


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: Any) -> Any:
    """Return what a ufunc does on traced arrays."""
    name = ufunc.__name__
    outs = options.pop("out", None)
    where = options.pop("where", True)
    for ignored in ("dtype", "casting", "order", "subok", "signature"):
        options.pop(ignored, None)
    tape = tape_of(*inputs) or tape_of(*(outs or ())) or ACTIVE.get()
    if name in TESTS:
        return np.full(np.shape(inputs[0]), TESTS[name])[()]
    if method == "at":
        _at(ufunc, tape, *inputs)
        return None
    selected = next(
        (s for s in (getattr(each, "selected", None) for each in inputs) if s is not None), None
    )
    operands = [
        each if i and method == "reduceat" else lifted(each, tape) for i, each in enumerate(inputs)
    ]
    if method == "__call__":
        result = entrywise(ufunc)(*operands)
        if where is not True:
            base = lifted(outs[0], tape) if outs else lifted(np.full(np.shape(result), 0), tape)
            result = choose(plain(where), plain(result), base)
    elif method == "reduce":
        initial = options.pop("initial", None)
        mask = selected if selected is not None or where is True else where
        if mask is not None:
            mask = lifted(mask, tape)
        result = reduced(ufunc, operands[0], mask, **options)
        if initial is not None and initial is not np._NoValue:
            result = entrywise(ufunc)(result, lifted(initial, tape))
        selected = None
    elif method in ("outer", "accumulate") and name in NATIVE:
        result = getattr(ufunc, method)(*operands, **options)
    else:
        raise TraceError(
            f"np.{name}.{method} is not followed", remedy=f"call np.{name} itself, in a loop"
        )
    if name in BOOLEAN and all_known(plain(result)):
        result = np.asarray(result).astype(bool)[()]
    if outs:
        return _write(outs[0], result)
    answer = wrap(result if isinstance(result, np.ndarray) else plain(result), tape)
    if selected is not None and isinstance(answer, TracedArray):
        answer.selected = selected
    return answer


def _write(out: Any, result: Any) -> Any:
    if not isinstance(out, TracedArray):
        if isinstance(out, np.ndarray) and out.dtype != object:
            raise TraceError(
                "traced numbers are added to an array of floats that was made before the run",
                remedy="make the array inside the function",
            )
        out[...] = plain(result)
        return out
    selected = out.selected
    plain(out)[...] = lifted(result)
    out.selected = selected
    return out


def _at(ufunc: np.ufunc, tape: Tape | None, target: Any, index: Any, *values: Any) -> None:
    if not isinstance(target, TracedArray) or ufunc.__name__ not in NATIVE:
        raise TraceError(
            f"np.{ufunc.__name__}.at is followed only for sums into traced arrays",
            remedy="make the array inside the function, and put values into it in a loop",
        )
    ufunc.at(plain(target), _index(index), *(lifted(value, tape) for value in values))


# Functions of arrays


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **options: Any) -> Any:
    """Return a array clipped: itself where the tape takes clips as inactive, else with kinks."""
    low = options.get("min", a_min)
    high = options.get("max", a_max)
    tape = tape_of(a, low, high) or ACTIVE.get()
    result = lifted(a, tape)
    one_sided = low is None or high is None or high == np.inf or low == -np.inf
    if tape is not None and tape.clips and not one_sided and _inactive(result, low, high, tape):
        tape.clipped[f"[{_shown(low)}, {_shown(high)}]"] = None
    else:
        if low is not None and low != -np.inf:
            result = np.frompyfunc(SCALAR["maximum"], 2, 1)(result, lifted(low, tape))
        if high is not None and high != np.inf:
            result = np.frompyfunc(SCALAR["minimum"], 2, 1)(result, lifted(high, tape))
    if out is not None:
        return _write(out[0] if isinstance(out, tuple) else out, result)
    return wrap(np.array(result), tape)


def _inactive(values: Any, low: Any, high: Any, tape: Tape) -> bool:
    """Whether limits may be meant to cut nothing: they are around 0, or around the sampled values.

    A clip to [0, 5] makes gradients zero that are negative.
    """
    limits = np.broadcast(values, lifted(low, tape), lifted(high, tape))
    cut = ((each.value, low.value, high.value) for each, low, high in limits)
    return all(low < 0 < high or low < value < high for value, low, high in cut)


def _shown(bound: Any) -> str:
    return f"{float(bound):g}" if np.ndim(bound) == 0 else "…"


def _where(condition: Any, *branches: Any) -> Any:
    if not branches:
        return sampled(np.where, (condition,), {})
    shape = np.broadcast_shapes(*(np.shape(each) for each in (condition, *branches)))
    parts = [np.broadcast_to(lifted(each), shape) for each in (condition, *branches)]
    return wrap(choose(*parts)) if shape else choose(*parts)


def _filled_like(value: Any) -> Callable[..., Any]:
    def filled(prototype: Any, *args: Any, **options: Any) -> Any:
        shape = options.get("shape") or np.shape(prototype)
        dtype = options.get("dtype", args[0] if args else None)
        if dtype is not None and np.dtype(dtype).kind in "iub":
            return np.full(shape, value, dtype)
        return wrap(np.full(shape, value, object))

    return filled


def _empty_like(prototype: Any, *args: Any, **options: Any) -> Any:
    result, tape = _filled_like(0)(prototype, *args, **options), ACTIVE.get()
    if tape is not None and isinstance(result, TracedArray):
        result.fill(Traced(tape, tape.leaf(LEFT, float(LEFT_VALUE))))
    return result


def _full_like(prototype: Any, fill: Any, *args: Any, **options: Any) -> Any:
    result = np.empty(np.shape(prototype), object)
    result[...] = lifted(fill)
    return wrap(result)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    if ord not in (None, 2, "fro") or (ord == 2 and np.ndim(x) == 2 and axis is None):
        raise TraceError(
            "np.linalg.norm is followed for the Euclidean norm only",
            remedy="write other norms with np.abs, np.sum and np.max",
        )
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _extreme(ufunc: Any) -> Callable[..., Any]:
    """Return the function of NumPy that reduces by a ufunc: np.max, np.min."""

    def extreme(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **_: Any) -> Any:
        return ufunc.reduce(wrap(lifted(a)), axis=axis, keepdims=keepdims is True)

    return extreme


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.where: _where,
    np.clip: clip,
    np.zeros_like: _filled_like(0),
    np.empty_like: _empty_like,
    np.ones_like: _filled_like(1),
    np.full_like: _full_like,
    np.linalg.norm: _norm,
    np.nan_to_num: lambda x, *args, **options: wrap(lifted(x)),
    np.max: _extreme(np.maximum),
    np.amax: _extreme(np.maximum),
    np.min: _extreme(np.minimum),
    np.amin: _extreme(np.minimum),
    np.copy: lambda a, *args, **options: wrap(np.array(lifted(a))),
}


def apply_function(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return what a function of NumPy does on traced arrays."""
    if function in FUNCTIONS:
        return FUNCTIONS[function](*args, **kwargs)
    if function in SAMPLED:
        return sampled(function, args, kwargs)
    tape = tape_of(*args, *kwargs.values()) or ACTIVE.get()
    arguments = [_lowered(arg, tape) for arg in args]
    options = {name: _lowered(value, tape) for name, value in kwargs.items()}
    out = options.pop("out", None)
    options.pop("dtype", None)
    implementation = getattr(function, "_implementation", function)
    result = implementation(*arguments, **options)
    if out is not None:
        return _write(kwargs["out"], result)
    return wrap(result, tape)


def _lowered(value: Any, tape: Tape | None) -> Any:
    """Return an argument with traced arrays and scalars as arrays that NumPy may work on."""
    if isinstance(value, Traced):
        return plain(value)
    if isinstance(value, list | tuple):
        parts = [_lowered(each, tape) for each in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value
