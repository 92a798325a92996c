"""Run a function under a trace: arrays that it allocates itself take traced scalars, too.

While a trace runs, `np.zeros`, `np.empty`, `np.array` and their like return traced arrays where
they would return floats, and `math.exp` and its like work on traced scalars. The wrappers look at a
context variable and at who calls, so other threads and libraries get NumPy as it is; they are
installed when the first trace begins and removed when the last one ends, whatever happens in
between. Compiled modules, such as those of `np.random`, leave no frame that says who calls, and
write into the memory of what they allocate: meanwhile their `np` is a copy without wrappers. Names
that a module took out of NumPy or math (`from numpy import zeros`) are replaced in the modules of
the function and of what it calls.
"""

from __future__ import annotations

import math
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from importlib.machinery import ExtensionFileLoader
from typing import Any

import numpy as np

from graphgrad.proof.trace import ACTIVE, LEFT, LEFT_VALUE, Traced
from graphgrad.proof.trace_array import TracedArray, lifted, plain, wrap
from graphgrad.proof.trace_tape import Tape

Function = Callable[..., Any]
FLOATS: ContextVar[bool] = ContextVar("graphgrad_floats", default=False)
"""Whether a run on floats is watched, in which `np.empty` leaves the number that traces see."""
LARGEST_SEARCH = 2_000


def _is_float(dtype: Any) -> bool:
    """Whether an array of that dtype would hold floating-point numbers."""
    return dtype is None or np.dtype(dtype).kind in "fO"


def _filled(original: Function, fill: int | None) -> Function:
    """Return a maker of arrays of one number, or of what is left in memory."""

    def allocate(shape: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
        tape = ACTIVE.get()
        if not _is_float(dtype):
            return original(shape, dtype, *args, **options)
        if fill is None and tape is not None:
            left = Traced(tape, tape.leaf(LEFT, float(LEFT_VALUE)))
            return wrap(ORIGINAL["full"](_shape(shape), left, object))
        return wrap(ORIGINAL["full"](_shape(shape), fill or 0, object))

    return allocate


def _shape(shape: Any) -> Any:
    sides = shape if isinstance(shape, tuple | list) else [shape]
    return tuple(int(side) for side in sides)


def _full(original: Function) -> Function:
    def allocate(shape: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Any:
        whole = isinstance(fill_value, int | np.integer | np.bool_)
        if (dtype is None and whole) or not _is_float(dtype):
            return original(shape, fill_value, dtype, **options)
        result = ORIGINAL["empty"](_shape(shape), object)
        result[...] = lifted(fill_value)
        return wrap(result)

    return allocate


def _converted(original: Function) -> Function:
    def convert(value: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
        array = plain(value)
        if array.dtype != object and (array.dtype.kind != "f" or not _is_float(dtype)):
            return original(value, dtype, *args, **options)
        if array.dtype.kind == "f":
            return wrap(array.astype(object))
        if not all(isinstance(entry, _NUMBERS) for entry in array.flat):
            return original(value, dtype, *args, **options)
        same = isinstance(value, TracedArray) and original is not ORIGINAL["array"]
        result = value if same else wrap(array.copy())
        if not _is_float(dtype):
            return result.astype(dtype)
        ndmin = options.get("ndmin", 0)
        shape = np.shape(result)
        return (
            result if len(shape) >= ndmin else result.reshape((1,) * (ndmin - len(shape)) + shape)
        )

    return convert


_NUMBERS = (Traced, int, float, np.integer, np.floating)


def _eye(original: Function) -> Function:
    def allocate(*args: Any, **options: Any) -> Any:
        array = original(*args, **options)
        return wrap(array.astype(object)) if array.dtype.kind == "f" else array

    return allocate


def _scalar(original: Function) -> Function:
    """Return a function of math that calls the scalar's own."""

    def call(value: Any, *args: Any) -> Any:
        if isinstance(value, Traced | TracedArray):
            return getattr(np, original.__name__)(value, *args)
        return original(value, *args)

    return call


MAKERS: dict[str, Callable[[Function], Function]] = {
    "zeros": lambda original: _filled(original, 0),
    "empty": lambda original: _filled(original, None),
    "ones": lambda original: _filled(original, 1),
    "full": _full,
    "eye": _eye,
    "identity": _eye,
    "array": _converted,
    "asarray": _converted,
    "asanyarray": _converted,
    "ascontiguousarray": _converted,
    "asfortranarray": _converted,
}
LIKE = {"zeros_like": "zeros", "ones_like": "ones", "empty_like": "empty"}
ORIGINAL: dict[str, Function] = {name: getattr(np, name) for name in (*MAKERS, *LIKE)}
MATH = ("exp", "log", "tanh", "sqrt", "sin", "cos", "log1p", "expm1", "log2", "log10", "fabs")


def _like(original: Function) -> Function:
    """Return zeros_like and its kin, which make traced arrays like arrays of floats, too."""
    name = LIKE[original.__name__]
    make = MAKERS[name](ORIGINAL[name])

    def allocate(prototype: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
        kind = plain(prototype).dtype if dtype is None else np.dtype(dtype)
        if kind.kind not in "fO":
            return original(prototype, dtype, *args, **options)
        return make(options.get("shape") or np.shape(prototype))

    return allocate


def _dispatching(original: Function, make: Callable[[Function], Function]) -> Function:
    """Return a function that is the original outside a trace."""
    inside = make(original)

    def call(*args: Any, **options: Any) -> Any:
        by = str(sys._getframe(1).f_globals.get("__name__", "")).split(".")[0]
        if by in _LIBRARIES or (ACTIVE.get() is None and not FLOATS.get()):
            return original(*args, **options)
        if ACTIVE.get() is not None:
            return inside(*args, **options)
        result = original(*args, **options)
        if original.__name__.startswith("empty") and result.dtype.kind == "f":
            result.fill(float(LEFT_VALUE))
        return result

    call.__name__ = getattr(original, "__name__", "function")
    return call


REPLACED: list[tuple[types.ModuleType, str, Function, Function]] = [
    *((np, name, ORIGINAL[name], _dispatching(ORIGINAL[name], MAKERS[name])) for name in MAKERS),
    *((np, name, ORIGINAL[name], _dispatching(ORIGINAL[name], _like)) for name in LIKE),
    *((math, n, getattr(math, n), _dispatching(getattr(math, n), _scalar)) for n in MATH),
]
_lock = threading.Lock()
_running = 0
_UNTOUCHED = types.ModuleType("numpy", np.__doc__)
"""NumPy as it was before any trace."""
vars(_UNTOUCHED).update(vars(np))
_spared: list[tuple[dict[str, Any], str]] = []
"""The compiled modules that have it, with the name that they know NumPy by."""


def tracing(tape: Tape, *functions: Any) -> AbstractContextManager[None]:
    """Record what runs in this thread on a tape; `functions` are what will be called."""
    return _replacing(ACTIVE, tape, functions)


def on_floats(*functions: Any) -> AbstractContextManager[None]:
    """Let functions run on floats, where what nobody has written is the same number each time."""
    return _replacing(FLOATS, True, functions)


@contextmanager
def _replacing(variable: ContextVar[Any], value: Any, functions: tuple[Any, ...]) -> Iterator[None]:
    modules = _namespaces(functions)
    by_original = {id(original): new for _, _, original, new in REPLACED}
    taken = [
        (space, name, original)
        for space in modules
        for name, original in list(space.items())
        if id(original) in by_original
    ]
    _install(1)
    token = variable.set(value)
    try:
        for space, name, original in taken:
            space[name] = by_original[id(original)]
        with np.errstate(all="ignore"):
            yield
    finally:
        variable.reset(token)
        for space, name, original in taken:
            space[name] = original
        _install(-1)


def _install(change: int) -> None:
    """Count the traces that run; the first replaces the functions, the last restores them."""
    global _running
    with _lock:
        before, _running = _running, _running + change
        if before == 0 or _running == 0:
            for module, name, original, new in REPLACED:
                setattr(module, name, new if _running else original)
            _spare_compiled()


def _spare_compiled() -> None:
    """Give compiled modules NumPy without wrappers while traces run, and their own afterwards."""
    while _spared:
        space, name = _spared.pop()
        space[name] = np
    for module in list(sys.modules.values()) if _running else ():
        if isinstance(getattr(module, "__loader__", None), ExtensionFileLoader):
            space = vars(module)
            for name in ("np", "numpy"):
                if space.get(name) is np:
                    space[name] = _UNTOUCHED
                    _spared.append((space, name))


def _namespaces(functions: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return the global names of the functions and of the Python code that they can reach."""
    found: dict[int, dict[str, Any]] = {}
    seen: set[int] = set()
    pending = list(functions)
    while pending and len(seen) < LARGEST_SEARCH:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, types.MethodType):
            pending += [value.__func__, type(value.__self__)]
        elif isinstance(value, types.FunctionType):
            space = value.__globals__
            if own_code(space) and id(space) not in found:
                found[id(space)] = space
                pending += list(space.values())
            pending += [
                cell.cell_contents for cell in value.__closure__ or () if _filled_cell(cell)
            ]
        elif isinstance(value, type) and value.__module__ not in ("builtins", "numpy"):
            pending += list(vars(value).values())
        elif isinstance(value, types.ModuleType) and own_code(vars(value)):
            pending += [each for each in vars(value).values() if callable(each)]
    return list(found.values())


def _filled_cell(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def own_code(space: dict[str, Any]) -> bool:
    """Whether global names belong to a person's code, not to a library or to this package."""
    name, path = str(space.get("__name__", "")), str(space.get("__file__") or "")
    root = name.split(".")[0]
    return "site-packages" not in path and root not in _LIBRARIES


_LIBRARIES = {"numpy", "graphgrad", "sympy"} | set(sys.stdlib_module_names) - {"__main__"}
