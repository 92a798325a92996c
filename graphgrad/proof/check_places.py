"""What code reads without taking it as an argument: attributes, global names and closures.

The classic character model keeps its weights in global names; a class keeps them in attributes; a
training script defines the loss inside a function. For a run such arrays are replaced, and put back
afterwards. Numbers such as `hidden_size` say for which sizes the code is written.
"""

from __future__ import annotations

import copy
import dis
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from graphgrad.dims import Shape, concrete, is_whole
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_case import normalised
from graphgrad.proof.trace_patch import own_code

LARGEST_PINNED = 4
"""The largest size that code may insist on and still be checked exactly at."""
MOST_MATRICES = 10
_SIZE_WORDS = ("size", "dim", "hidden", "units", "vocab", "width", "features", "neurons", "classes")


@dataclass(frozen=True)
class Slot:
    """One name outside a function, by which it reads a value."""

    value: Any
    put: Callable[[Any], None]
    get: Callable[[], Any]


def is_floats(value: Any) -> bool:
    """Whether a value is an array of floating-point numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def attributes_of(owner: Any) -> dict[str, Any]:
    """Return the arrays of floats that an object holds, in itself or in dicts, by path."""
    return _arrays(getattr(owner, "__dict__", {}))


def _arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if is_floats(value):
            found[name] = value
        elif isinstance(value, dict):
            found |= {f"{name}.{key}": each for key, each in value.items() if is_floats(each)}
    return found


def numbers_of(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the positive whole numbers among values, by name."""
    return {name: int(value) for name, value in values.items() if is_whole(value) and value > 0}


def copied(owner: Any, attributes: Mapping[str, Any]) -> Any:
    """Return a copy of an object, its dicts and lists copied, with attributes replaced."""
    result = copy.copy(owner)
    for name, value in list(vars(result).items()):
        if isinstance(value, dict | list | np.ndarray):
            setattr(result, name, value.copy())
    for path, value in attributes.items():
        name, _, key = path.partition(".")
        if key:
            getattr(result, name)[key] = value
        else:
            setattr(result, name, value)
    return result


# Global names and closures


def slots_of(functions: Iterable[Any]) -> dict[str, Slot]:
    """Return what functions, and those of the same person's that they call, read from outside."""
    found: dict[str, Slot] = {}
    seen: set[int] = set()
    pending = list(functions)
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, types.MethodType):
            pending += [value.__func__, type(value.__self__)]
        elif isinstance(value, type) and own_code({"__name__": value.__module__}):
            pending += [each for each in vars(value).values() if callable(each)]
        elif isinstance(value, types.FunctionType) and own_code(value.__globals__):
            for name, slot in _slots(value):
                if isinstance(slot.value, types.FunctionType | types.MethodType | type):
                    pending.append(slot.value)
                else:
                    found.setdefault(name, slot)
    return found


def _slots(function: types.FunctionType) -> Iterator[tuple[str, Slot]]:
    """Yield the global names and the variables of enclosing functions that a function reads."""
    space = function.__globals__
    for name in _global_names(function.__code__):
        if name in space:
            yield name, _global_slot(space, name)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
        yield name, _cell_slot(cell, value)


def _global_names(code: types.CodeType) -> list[str]:
    names: dict[str, None] = {}
    pending = [code]
    while pending:
        current = pending.pop()
        for step in dis.get_instructions(current):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"):
                names[str(step.argval)] = None
        pending += [each for each in current.co_consts if isinstance(each, types.CodeType)]
    return list(names)


def _global_slot(space: dict[str, Any], name: str) -> Slot:
    def put(value: Any) -> None:
        space[name] = value

    return Slot(space[name], put, lambda: space[name])


def _cell_slot(cell: types.CellType, value: Any) -> Slot:
    def put(new: Any) -> None:
        cell.cell_contents = new

    return Slot(value, put, lambda: cell.cell_contents)


@contextmanager
def replaced(slots: Mapping[str, Slot], values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Replace values outside functions by path; yields a dict that holds, afterwards, what changed.

    Every array is a copy while the code runs, so that nothing of the caller's is changed.
    """
    changed: dict[str, Any] = {}
    put: dict[str, Any] = {}
    try:
        for name, slot in slots.items():
            new = slot.value
            if name in values:
                new = values[name]
            elif isinstance(new, dict):
                inner = {key: values.get(f"{name}.{key}", each) for key, each in new.items()}
                new = {k: each.copy() if is_floats(each) else each for k, each in inner.items()}
            elif is_floats(new):
                new = new.copy()
            if new is not slot.value:
                put[name] = new
                slot.put(new)
        yield changed
    finally:
        for name, new in put.items():
            last = slots[name].get()
            if last is not new or name not in values:
                changed[name] = last
            slots[name].put(slots[name].value)


def slot_arrays(slots: Mapping[str, Slot]) -> dict[str, Any]:
    """Return the arrays of floats outside functions, by path."""
    return _arrays({name: slot.value for name, slot in slots.items()})


# Sizes


def shown_sizes(shapes: Mapping[str, Shape], arrays: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes that the shapes of arrays show, each as declared or transposed.

    Empty where nothing or not everything fits.
    """
    known = [(shapes[name], _squeezed(arrays[name])) for name in shapes]
    known = [(shape, actual) for shape, actual in known if len(shape) == len(actual)]
    free = [k for k, (shape, _) in enumerate(known) if len(shape) == 2][:MOST_MATRICES]
    for turns in sorted(product((False, True), repeat=len(free)), key=sum):
        turned = {k for k, turn in zip(free, turns, strict=True) if turn}
        sizes: dict[str, int] = {}
        pairs = [
            (dim, length)
            for k, (shape, actual) in enumerate(known)
            for dim, length in zip(shape, actual[::-1] if k in turned else actual, strict=True)
        ]
        for dim, length in pairs:
            if len(dim.terms) == 1 and not dim.constant and length % dim.terms[0][1] == 0:
                sizes.setdefault(dim.terms[0][0], length // dim.terms[0][1])
        try:
            if all(concrete((dim,), sizes) == (length,) for dim, length in pairs):
                return sizes
        except GraphgradError:  # a size that shows nowhere
            continue
    return {}


def _squeezed(array: Any) -> tuple[int, ...]:
    shape = np.shape(array)
    return tuple(n for n in shape if n > 1) if len(shape) > 1 and 1 in shape else shape


def fixed_sizes(sizes: Mapping[str, int], numbers: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes that the code insists on by a number, if they are small enough."""
    fixed = {name: size for name, size in sizes.items() if size in numbers.values()}
    return fixed if all(size <= LARGEST_PINNED for size in fixed.values()) else {}


def size_names(sizes: Mapping[str, int], numbers: Mapping[str, int]) -> dict[str, str]:
    """Return which numbers stand for which size: `hidden_size` for H, by name and value."""
    found = {}
    for path, value in numbers.items():
        short = normalised(path.rpartition(".")[2])
        equal = [name for name, size in sizes.items() if size == value]
        if len(equal) == 1 and any(word in short for word in _SIZE_WORDS):
            found[path] = equal[0]
    return found
