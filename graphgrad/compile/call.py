"""What a call with data of one kind needs: checked once, then looked up by shapes and dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.algebras import FloatAlgebra, algebra_of
from graphgrad.data import (
    bind,
    check_inputs,
    check_names,
    check_positions,
    lengths_of,
    wanted_sizes,
)
from graphgrad.dims import LARGEST, Dim, Token
from graphgrad.errors import DataError, shown
from graphgrad.ir import OPS
from graphgrad.system import System
from graphgrad.unfold import check_means, checked_sizes

Run = Any
"""A program as a function: arrays, lengths, sizes and dtype in, a dict of outputs out."""


@dataclass(frozen=True)
class Call:
    """A kind of call: the program for it, and how its arrays are handed over.

    `shapes` are those in which batched inputs go in, all batch axes as one; `dtypes` are the dtypes
    that arrays are cast to (tokens are not); `batch` are the batch axes as given.
    """

    run: Run
    steps: Mapping[str, int]
    sizes: Mapping[str, int]
    dtype: Any
    shapes: Mapping[str, tuple[int, ...]]
    casts: tuple[str, ...]
    batched: frozenset[str]
    batch: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of examples."""
        return math.prod(self.batch)


def no_mapping(values: Any) -> DataError:
    """Return the error for values that do not come by name."""
    return DataError(
        f"values by name are needed, not a {type(values).__name__}",
        remedy='give a dict such as {"W": W, "x": x}; c.init(seed) makes one of the parameters',
    )


def check_reduction(batch: Any) -> None:
    """Raise DataError for anything but the two ways to reduce over a batch."""
    if not isinstance(batch, str) or batch not in ("mean", "sum"):
        raise DataError(
            f"batch={shown(batch)} is not possible",
            remedy='use "mean" or "sum"; an input of this name goes into the first dict',
        )


def check_seeds(system: System, seeds: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Raise DataError where there is no cotangent of a loss that is not one number."""
    for seed, loss in seeds.items():
        if seed in values:
            continue
        index, shape = system.variables[loss].index, system.variables[loss].shape
        axes = [system.indices[index].length] if index else []
        raise DataError(
            f"no value for the input {seed}, the cotangent of {loss}, which is not one number",
            remedy=f"give {seed} as an array ({', '.join([*axes, '*batch', *map(str, shape)])}): "
            f"what {loss} is weighed by, ones for the gradient of its sum",
        )


def check_switch(option: str, value: Any) -> None:
    """Raise DataError for an option that is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise DataError(
            f"{option}={shown(value)} is not possible",
            remedy="use True or False; an input of this name goes into the first dict",
        )


def as_arrays(values: Mapping[str, Any], *, native: bool = True) -> dict[str, Any]:
    """Return values as arrays, not copied; DataError for what is none.

    If they are to be `native`, arrays of the other byte order are copied nevertheless.
    """
    if not isinstance(values, Mapping):
        raise no_mapping(values)
    arrays = {}
    for name, value in values.items():
        if type(value) is np.ndarray and value.dtype.isnative:
            arrays[name] = value
            continue
        if isinstance(value, np.ma.MaskedArray):
            raise DataError(
                f"the value of {name} is a masked array",
                remedy="fill it; for examples of different lengths there is lengths=",
            )
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise DataError(
                f"the value of {name} is not an array: {error}",
                remedy="give numbers in rows of one length",
            ) from None
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False) if native else array
    return arrays


def signature(arrays: Mapping[str, Any], tau: Any, sizes: Mapping[str, int]) -> tuple[Any, ...]:
    """Return what calls have in common that one `Call` serves."""
    lengths = tuple(tau.items()) if isinstance(tau, Mapping) else tau
    shapes = tuple([(name, array.shape, array.dtype) for name, array in arrays.items()])
    return (lengths, tuple(sorted(sizes.items())), *shapes)


def is_token(system: System, name: str) -> bool:
    """Whether a name is that of an input of tokens."""
    return name in system.inputs and isinstance(system.inputs[name].type, Token)


def prepared(
    system: System,
    arrays: Mapping[str, Any],
    tau: Any,
    sizes: Mapping[str, int],
    dtype: Any,
    program: Callable[[frozenset[str]], Run],
) -> Call:
    """Return the call for arrays like these, or raise DataError."""
    check_names(system, arrays)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise DataError(
                f"the value of {name} holds {array.dtype}, not real numbers",
                remedy="give arrays of floats, or of integers",
            )
    numbers = [name for name in arrays if not is_token(system, name)]
    if dtype is None:
        algebra = algebra_of([arrays[name] for name in numbers])
        assert isinstance(algebra, FloatAlgebra)
        dtype = algebra.dtype
    dtype = np.dtype(dtype)
    steps = lengths_of(system, arrays, tau)
    check_means(system, steps)
    given = checked_sizes(system, sizes)
    bound = bind(system, steps, {name: given[name] for name in sizes}, arrays)
    check_inputs(system, bound.sizes, arrays)
    full = all_sizes(system, bound.sizes)
    check_positions(system, full)
    batched = frozenset(batched_inputs(system, arrays))
    count = int(np.prod(bound.batch)) if bound.batch else 1
    shapes = {}
    for name in batched:
        lead, axes = _lead(system, name), len(bound.batch)
        if axes != 1:
            shape = arrays[name].shape
            shapes[name] = (*shape[:lead], count, *shape[lead + axes :])
    casts = tuple(name for name in numbers if arrays[name].dtype != dtype)
    return Call(
        program(batched),
        steps,
        {**full, "": count},
        dtype.type,
        shapes,
        casts,
        batched,
        bound.batch,
    )


def all_sizes(system: System, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return a number for every size, the default where nothing shows one; DataError without.

    A size that only tokens are below is not computed with; it is so large that any token fits.
    """
    kinds = [node.type for node in system.graph.nodes]
    shapes = [kind for kind in kinds if not isinstance(kind, Token)]
    shapes += [(Dim.of(node.attr),) for node in system.graph.nodes if node.op is OPS["size"]]
    return dict.fromkeys(system.declared.sizes, LARGEST // 2) | wanted_sizes(system, sizes, shapes)


def handed_over(system: System, call: Call, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays as the program takes them; DataError for impossible tokens and targets."""
    for name, declared in system.inputs.items():
        if isinstance(declared.type, Token) or declared.kind == "distribution":
            _check(system, call, name, arrays[name])
    given = dict(arrays)
    for name in call.casts:
        given[name] = given[name].astype(call.dtype)
    for name, shape in call.shapes.items():
        given[name] = given[name].reshape(shape)
    return given


def _check(system: System, call: Call, name: str, array: Any) -> None:
    """Raise DataError for a token out of range, or for a distribution that is none."""
    kind = system.inputs[name].type
    if isinstance(kind, Token):
        size = kind.size.bind(call.sizes)
        fine = array.min() >= 0 and (not size.known or array.max() < int(size))
    else:
        rows = array.reshape(-1, array.shape[-1])
        totals = rows @ np.ones(array.shape[-1], array.dtype)
        close = 1 - 1e-6 < totals.min() <= totals.max() < 1 + 1e-6
        fine = close and array.min() >= 0
    if not fine:
        check_inputs(system, call.sizes, {name: array})


def _lead(system: System, name: str) -> int:
    return 0 if system.inputs[name].index is None else 1


def batched_inputs(system: System, arrays: Mapping[str, Any]) -> set[str]:
    """Return the inputs that have batch axes."""
    found = set()
    for name in system.inputs:
        if batch_axes(system, name, arrays[name]):
            found.add(name)
    return found


def examples(system: System, arrays: Mapping[str, Any]) -> int:
    """Return the number of examples that arrays hold."""
    for name in batched_inputs(system, arrays):
        return math.prod(batch_axes(system, name, arrays[name]))
    return 1


def batch_axes(system: System, name: str, array: Any) -> tuple[int, ...]:
    """Return the batch axes of an input."""
    shape: tuple[int, ...] = np.shape(array)
    kind = system.inputs[name].type
    own = 0 if isinstance(kind, Token) else len(kind)
    return shape[_lead(system, name) : max(0, len(shape) - own)]
