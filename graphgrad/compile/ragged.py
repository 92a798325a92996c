"""Ragged batches: all examples in one call, or those of equal length; results padded with zeros."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from graphgrad.compile.call import batch_axes, batched_inputs
from graphgrad.compile.finite import all_finite
from graphgrad.compile.masked import Masked, beside, pays, repeated, with_masks
from graphgrad.compile.on_demand import OnDemand
from graphgrad.errors import DataError
from graphgrad.system import System

Run = Callable[[Mapping[str, Any], int], dict[str, Any]]
"""Computes examples of one length from values, of which some are on demand, and their length."""


def ragged(
    system: System,
    arrays: Mapping[str, Any],
    lengths: Any,
    gradients: Collection[str],
    run: Run,
    masks: Callable[[], tuple[Masked, Run] | None],
) -> dict[str, Any]:
    """Return the results for examples of these lengths, gradients summed over them.

    `run` computes examples of one length, gradients summed over them; `masks` gives the circuit in
    which only the steps of each example count, and what computes it, if there is one.
    """
    lengths = checked_examples(system, arrays, lengths)
    made = masks() if pays(lengths) else None
    if made is not None:
        results = together(made[0], system, arrays, lengths, gradients, made[1])
        if all_finite(results):  # behind the end of an example something may overflow
            return results
        del results
    try:
        return by_length(system, arrays, lengths, gradients, run)
    except DataError:  # it names a place in a part, where the data have another
        run(repeated(system, arrays, lengths), int(lengths.max()))
        raise


def check_no_tau(tau: Any) -> None:
    """Raise DataError where lengths are given, and a length for all examples as well."""
    if tau is not None:
        raise DataError(
            "tau= and lengths= are both given", remedy="leave out tau=: lengths= says it all"
        )


def checked_examples(system: System, arrays: Mapping[str, Any], lengths: Any) -> Any:
    """Return the lengths of examples as an array; DataError where they do not fit the data."""
    if len(system.indices) > 1:
        raise DataError(
            "lengths= needs a circuit with one time index",
            remedy="run examples of equal length together",
        )
    batched = batched_inputs(system, arrays)
    try:
        lengths = np.asarray(lengths)
    except ValueError:  # rows of different lengths
        lengths = np.empty(0)
    if not lengths.ndim or lengths.dtype.kind not in "iu" or not batched or not lengths.size:
        raise DataError(
            "lengths= has one whole number for each example of a batch",
            remedy="give data with axes (steps, *batch, …), and lengths with the axes of the batch",
        )
    _check(system, arrays, lengths, batched)
    return lengths.astype(np.int64)


def by_length(
    system: System,
    arrays: Mapping[str, Any],
    lengths: Any,
    gradients: Collection[str],
    run: Run,
) -> dict[str, Any]:
    """Return the results of one call of `run` for each length.

    No example sees the length of another: each gets what it gets alone.
    """
    batched = batched_inputs(system, arrays)
    collected: dict[str, Any] = {}
    for length in np.unique(lengths).tolist():
        chosen = np.nonzero(lengths == length)
        part = {
            name: _part(system, name, array, length, chosen if name in batched else None)
            for name, array in arrays.items()
        }
        _collect(system, collected, run(part, length), gradients, chosen, lengths)
    return collected


def together(
    made: Masked,
    system: System,
    arrays: Mapping[str, Any],
    lengths: Any,
    gradients: Collection[str],
    run: Run,
) -> dict[str, Any]:
    """Return the same results, from one call of `run` for the masked circuit."""
    collected: dict[str, Any] = {}
    results = run(with_masks(made, system, arrays, lengths), int(lengths.max()))
    everyone = np.ix_(*map(np.arange, lengths.shape))
    _collect(system, collected, results, gradients, everyone, lengths)
    shown = [n for n in collected if n not in gradients and system.index_of(n) is not None]
    if shown:
        outside = beside(np.arange(lengths.max()), lengths) >= lengths
        for name in shown:
            collected[name][outside] = 0
    return collected


def _check(
    system: System, arrays: Mapping[str, Any], lengths: Any, batched: Collection[str]
) -> None:
    """Raise DataError where lengths and data do not fit."""
    if lengths.min() < 1:
        raise DataError(
            f"a length of {lengths.min()} is not possible", remedy="an example has 1 step or more"
        )
    for name in batched:
        axes = batch_axes(system, name, arrays[name])
        if axes != lengths.shape:
            raise DataError(
                f"{name} has batch axes {axes}, lengths= has {lengths.shape}",
                remedy="give one length for each example, in the same axes",
            )
    for name, declared in system.inputs.items():
        if declared.index is not None and name not in batched:
            raise DataError(
                f"{name} has no batch axes: its shape is {arrays[name].shape}",
                remedy="give every indexed input axes (steps, *batch, …)",
            )
        if declared.index is not None and lengths.max() > len(arrays[name]):
            raise DataError(
                f"a length of {lengths.max()} does not fit {name}'s {len(arrays[name])} steps",
                remedy="lengths are between 1 and the number of steps of the data",
            )


def _part(system: System, name: str, array: Any, length: int, chosen: Any) -> Any:
    """Return the steps and examples of one value that one length needs."""
    declared = system.inputs.get(name)
    indexed = declared is not None and declared.index is not None
    if chosen is None:
        return array[:length] if indexed else array
    if not indexed:
        return array[chosen]
    shape = (length, len(chosen[0]), *array.shape[1 + len(chosen) :])
    return OnDemand(shape, array.dtype, lambda steps: array[steps[:, None], *chosen])


def _collect(
    system: System,
    collected: dict[str, Any],
    results: Mapping[str, Any],
    gradients: Collection[str],
    chosen: Any,
    lengths: Any,
) -> None:
    """Put results of the examples at these places where they belong; add gradients up."""
    axes = np.broadcast(*chosen).ndim
    for name, value in results.items():
        if name in gradients:
            collected[name] = collected[name] + value if name in collected else value
            continue
        own = len(system.variables[name].shape)
        indexed = system.index_of(name) is not None
        if np.ndim(value) == own + indexed:  # the same for every example of this length
            value = np.expand_dims(value, tuple(range(indexed, indexed + axes)))
        steps = [int(lengths.max())] if indexed else []
        shape = (*steps, *lengths.shape, *value.shape[axes + indexed :])
        target = collected.setdefault(name, np.zeros(shape, value.dtype))
        if indexed:
            target[: len(value), *chosen] = value
        else:
            target[chosen] = value
