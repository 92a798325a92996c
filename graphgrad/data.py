"""Values for a circuit: checked against it, sizes and lengths read off them, or made at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.declared import Input
from graphgrad.dims import Dim, Shape, Token, concrete, is_whole
from graphgrad.errors import DataError, Place, unknown_name
from graphgrad.ir import OPS
from graphgrad.system import System
from graphgrad.unfold import checked_lengths, checked_sizes

TOLERANCE = 1e-6
BLOCK = 2**12
"""How many numbers of an input are checked at a time: a mapped file may be larger than memory."""


@dataclass(frozen=True)
class Bound:
    """Sizes and batch shape that the values of a circuit show."""

    sizes: dict[str, int]
    batch: tuple[int, ...]


def check_names(system: System, values: Mapping[str, Any], *, complete: bool = True) -> None:
    """Raise for values that belong to nothing, and (if `complete`) for values that are missing."""
    known = {*system.params, *system.inputs}
    for name in map(str, values):
        if name not in known:
            raise DataError(
                f"{name} is neither a parameter nor an input",
                remedy=unknown_name(name, known).remedy,
            )
    missing = [name for name in (*system.params, *system.inputs) if name not in values]
    if complete and missing:
        name = missing[0]
        kind = "parameter" if name in system.params else "input"
        raise DataError(
            f"no value for {', '.join(missing)}"
            if len(missing) > 1
            else f"no value for the {kind} {name}",
            remedy=f"give {', '.join(repr(m) + ': …' for m in missing)} among the values; "
            "c.init(seed) and c.example(seed, tau) make random ones",
        )


def lengths_of(system: System, values: Mapping[str, Any], tau: Any) -> dict[str, int]:
    """Return the number of steps of each index: the data's, and `tau` where no input has it.

    Raises DataError where neither says it. That all inputs are there, with the steps found, is
    checked by `check_names` and `bind`.
    """
    found: dict[str, Any] = {}
    for name, declared in system.inputs.items():
        if declared.index is not None and np.ndim(values.get(name, 0)):
            found.setdefault(declared.index, len(values[name]))
    missing = [index for index in system.indices if index not in found]
    if tau is None and missing:
        raise DataError(
            f"the number of steps of {', '.join(missing)} does not show in the data",
            remedy="give tau=…",
        )
    if tau is not None and not isinstance(tau, Mapping):
        tau = dict.fromkeys(missing or system.indices, tau)
    return checked_lengths(system, {**found, **(tau or {})})


def bind(
    system: System,
    lengths: Mapping[str, int],
    sizes: Mapping[str, int],
    arrays: Mapping[str, Any],
) -> Bound:
    """Return sizes and batch shape read off the arrays.

    Indexed inputs have axes (steps, *batch, *shape), static ones (*batch, *shape) or (*shape),
    parameters (*shape). Raises DataError with both shapes where something does not fit.
    """
    found = dict(sizes)
    origin = dict.fromkeys(sizes, "the size given")
    batch: tuple[int, ...] | None = None
    source = ""
    for name, array in arrays.items():
        declared = system.inputs.get(name)
        kind = declared.type if declared else system.params[name].shape
        own: Shape = () if isinstance(kind, Token) else kind
        actual = np.shape(array)
        lead = 1 if declared is not None and declared.index is not None else 0
        extra = len(actual) - lead - len(own)
        wanted = _wanted(system, name, own)
        if extra < 0 or (extra and declared is None):
            remedy = "arrays have time first, then batch axes, then those of the declaration"
            if extra == -1 and len(own) == 1 and lead == len(actual):
                remedy += f"; if {own[0]} is 1, give {name}[:, None]"
            raise DataError(f"{name} has shape {actual}, not {wanted}", remedy=remedy)
        if lead:
            assert declared is not None
            assert declared.index is not None
            steps = lengths[declared.index]
            if actual[0] != steps:
                length = system.indices[declared.index].length
                raise DataError(
                    f"{name} has {actual[0]} steps, but {length} = {steps}",
                    remedy=f"arrays have time first: {wanted}",
                )
        for dim, axis in zip(own, actual[lead + extra :], strict=True):
            _bind_dim(dim, axis, found, origin, name, actual, wanted)
        if extra:
            own_batch = actual[lead : lead + extra]
            if 0 in own_batch:
                raise DataError(
                    f"{name} has no example: its shape is {actual}",
                    remedy="give at least one example",
                )
            if batch is not None and batch != own_batch:
                raise DataError(
                    f"{name} has batch axes {own_batch}, {source} has {batch}",
                    remedy="all inputs with batch axes need the same ones",
                )
            batch, source = own_batch, name
    batch = batch or ()
    for name, array in arrays.items():
        declared = system.inputs.get(name)
        if batch and declared is not None and declared.index is not None:
            own = () if isinstance(declared.type, Token) else declared.type
            if np.ndim(array) == 1 + len(own):
                raise DataError(
                    f"{name} has no batch axes, {source} has {batch}",
                    remedy="give every indexed input the same batch axes",
                )
    return Bound(found, batch)


def _wanted(system: System, name: str, own: Shape) -> str:
    parts = [str(dim) for dim in own]
    index = system.index_of(name) if name in system.inputs else None
    if name in system.inputs:
        parts = ["*batch", *parts]
    if index is not None:
        parts = [system.indices[index].length, *parts]
    return f"({', '.join(parts)})"


def _bind_dim(
    dim: Dim,
    axis: int,
    found: dict[str, int],
    origin: dict[str, str],
    name: str,
    actual: tuple[int, ...],
    wanted: str,
) -> None:
    rest = dim.bind(found)
    if rest.known:
        if int(rest) != axis:
            because = ", ".join(f"{n} = {found[n]} from {origin[n]}" for n in dim.names)
            raise DataError(
                f"{name} has shape {actual}, not {wanted}"
                + (f" with {because}" if because else f": {dim} is not {axis}"),
                remedy="give arrays whose sizes agree",
            )
        return
    if len(rest.terms) == 1:
        (unknown, coefficient), missing = rest.terms[0], axis - rest.constant
        if missing % coefficient or missing // coefficient < 1:
            raise DataError(
                f"{name} has shape {actual}, not {wanted}: {dim} cannot be {axis}",
                remedy="give arrays whose sizes agree",
            )
        found[unknown] = missing // coefficient
        origin[unknown] = name


def check_inputs(system: System, sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> None:
    """Raise for tokens out of range and for distributions that are none."""
    for name, array in arrays.items():
        declared = system.inputs.get(name)
        if declared is None:
            continue
        if isinstance(declared.type, Token):
            size = declared.type.size.bind(sizes)
            for start, part in _blocks(array, declared.index is not None):
                _check_tokens(name, part, size, start)
        elif declared.kind == "distribution":
            for _, part in _blocks(array, declared.index is not None):
                _check_distribution(name, part)


def _blocks(array: Any, indexed: bool) -> Iterator[tuple[int, Any]]:
    """Yield an array, some steps at a time, each time after the number of those before."""
    if not indexed:
        yield 0, np.asarray(array)
        return
    array = array if hasattr(array, "shape") else np.asarray(array)  # rows may be made on demand
    rows = max(1, BLOCK * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        yield start, np.asarray(array[start : start + rows])


def check_positions(system: System, sizes: Mapping[str, int]) -> None:
    """Raise for a component or a constant token that lies outside, now that sizes have numbers."""
    for position, length, place in positions(system):
        if (bound := length.bind(sizes)).known and position >= int(bound):
            raise DataError(
                f"there is no component {position}: {length} = {bound}",
                place=place,
                remedy=f"components and tokens are counted from 0 to {bound + -1}",
            )


def positions(system: System) -> Iterator[tuple[int, Dim, Place | None]]:
    """Yield the components and tokens that a circuit names, of how many, and where it does."""
    for node, place in zip(system.graph.nodes, system.graph.places, strict=True):
        if node.op is OPS["component"]:
            (length,) = system.graph.nodes[node.args[0]].type  # type: ignore[misc]
            yield node.attr, length, place
        elif node.op is OPS["basis"]:
            position, length = node.attr
            yield position, length, place
        elif node.op is OPS["const"] and isinstance(node.type, Token):
            yield node.attr, node.type.size, place


def _check_tokens(name: str, array: Any, size: Dim, start: int) -> None:
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{name} holds tokens, not {array.dtype} numbers", remedy="give an array of integers"
        )
    outside = (array < 0) | (array >= int(size) if size.known else False)
    if outside.any():
        where = [int(k) for k in np.argwhere(outside)[0]]
        value = array[tuple(where)]
        if where:
            where[0] += start
        raise DataError(
            f"{name}{where} = {value} is not a token below {size}",
            remedy=f"tokens are the integers 0..{size + -1}",
        )


def _check_distribution(name: str, array: Any) -> None:
    if array.dtype == object:
        exact = np.sum(array, axis=-1) != 1
        if np.any(exact):
            raise DataError(
                f"{name} is declared a distribution, but its entries do not sum to 1",
                remedy=f"normalise it, or declare {name} as an input",
            )
        return
    real = np.real(array)
    if (real < 0).any() or not np.allclose(np.sum(real, axis=-1), 1, rtol=0, atol=TOLERANCE * 10):
        raise DataError(
            f"{name} is declared a distribution, but its entries are not ≥ 0 with sum 1",
            remedy=f"normalise it, or declare {name} as an input",
        )


def wanted_sizes(
    system: System, sizes: Mapping[str, Any], shapes: Iterable[Shape] | None = None
) -> dict[str, int]:
    """Return the sizes given and the defaults; DataError names those without either.

    Only the dimensions of `shapes` need a number, all declared ones if it is left out.
    """
    result = checked_sizes(system, sizes)
    used = system.declared.sizes if shapes is None else _names_in(shapes)
    missing = [name for name in system.declared.sizes if name in used and name not in result]
    if missing:
        raise DataError(
            f"the size{'s' * (len(missing) > 1)} {', '.join(missing)} "
            f"ha{'ve' if len(missing) > 1 else 's'} no number",
            remedy=f"give {', '.join(f'{name}=4' for name in missing)}, or declare "
            f"{missing[0]}: size(4)",
        )
    return result


def _names_in(shapes: Iterable[Shape]) -> set[str]:
    return {name for shape in shapes for dim in shape for name in dim.names}


def initial_parameters(circuit: Circuit, seed: int, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return random parameters: matrices with variance 1/columns, vectors and scalars ±0.5."""
    system = circuit.check()
    bound = wanted_sizes(system, sizes, [param.shape for param in system.params.values()])
    random = np.random.default_rng(_checked_seed(seed))
    values: dict[str, Any] = {}
    for name, param in system.params.items():
        shape = concrete(param.shape, bound)
        if len(shape) == 2:
            values[name] = random.standard_normal(shape) / np.sqrt(max(1, shape[1]))
        else:
            values[name] = random.uniform(-0.5, 0.5, shape)
            values[name] = np.asarray(values[name])
    return values


def example_inputs(
    circuit: Circuit,
    seed: int,
    tau: int | Mapping[str, int],
    batch: int | tuple[int, ...],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    """Return valid random inputs: normal numbers, tokens in range, distributions."""
    system = circuit.check()
    shapes = [
        (declared.type.size,) if isinstance(declared.type, Token) else declared.type
        for declared in system.inputs.values()
    ]
    bound = wanted_sizes(system, sizes, shapes)
    lengths = checked_lengths(system, tau)
    axes = _checked_axes(batch)
    random = np.random.default_rng([_checked_seed(seed), 1])
    return {
        name: _example(declared, lengths, axes, bound, random)
        for name, declared in system.inputs.items()
    }


def _checked_seed(seed: Any) -> int:
    if not is_whole(seed) or seed < 0:
        raise DataError(f"seed={seed!r} is not possible", remedy="use a whole number, 0 or more")
    return int(seed)


def _checked_axes(batch: Any) -> tuple[int, ...]:
    """Return the lengths of the batch axes; a number is that of a single one."""
    axes = (batch,) if is_whole(batch) else batch
    if not isinstance(axes, tuple | list) or not all(is_whole(n) and n >= 0 for n in axes):
        raise DataError(
            f"batch={batch!r} is not possible", remedy="write batch=(8,) for eight examples"
        )
    return tuple(map(int, axes))


def _example(
    declared: Input,
    lengths: Mapping[str, int],
    batch: tuple[int, ...],
    sizes: Mapping[str, int],
    random: np.random.Generator,
) -> Any:
    lead = (lengths[declared.index],) if declared.index is not None else ()
    if isinstance(declared.type, Token):
        (size,) = concrete((declared.type.size,), sizes)
        return random.integers(size, size=lead + batch)
    shape = lead + batch + concrete(declared.type, sizes)
    if declared.kind == "distribution":
        weights = random.exponential(size=shape) + 0.05
        return weights / weights.sum(axis=-1, keepdims=True)
    return np.asarray(random.standard_normal(shape))
