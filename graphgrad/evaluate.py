"""The reference interpreter: an unfolded graph over any number type, one node after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from graphgrad.algebras import Algebra, FloatAlgebra, FractionAlgebra, OwnAlgebra, algebra_of
from graphgrad.data import bind, check_inputs, check_names, check_positions
from graphgrad.dims import Dim, Token, concrete
from graphgrad.doors import door
from graphgrad.errors import (
    DataError,
    DomainError,
    GraphgradError,
    names_given,
    shown,
    unknown_name,
)
from graphgrad.ir import OPS, Part
from graphgrad.unfold import Dag, Template

_sympy_algebra = door("graphgrad.proof.algebra:SympyAlgebra")


def evaluate(
    dag: Dag,
    values: Mapping[str, Any],
    over: Any = None,
    *,
    outputs: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return the value of every output and variable of an unfolded graph.

    `values` holds parameters and inputs by name: indexed inputs have axes (steps, *batch, *shape),
    static ones (*batch, *shape) or without batch. Results of indexed variables are stacked the same
    way; every result carries the batch axes. `over` is the number type: float, complex,
    "float32", Fraction, "sympy" (what is not given becomes a symbol: `W_01`, `x_1`), an algebra, or
    None to go by the data. `outputs` names what is wanted; everything, if left out.
    """
    found = prepared(dag, values, over)
    wanted = _wanted(dag, outputs)
    results = (_run_batch if found.batch else run)(dag, found, wanted)
    if isinstance(found.algebra, OwnAlgebra):
        return {name: found.algebra.result(value) for name, value in results.items()}
    return results


@dataclass(frozen=True)
class Prepared:
    """Checked values as arrays over a number type, with the sizes and batch axes they show."""

    arrays: Mapping[str, Any]
    sizes: Mapping[str, int]
    batch: tuple[int, ...]
    algebra: Algebra


def prepared(dag: Dag, values: Mapping[str, Any], over: Any) -> Prepared:
    """Return values checked against a graph, as arrays over the number type asked for."""
    if not isinstance(values, Mapping):
        raise DataError(
            f"{shown(values)} are no values by name", remedy='give a dict: {"W": …, "x": …}'
        )
    for name, value in values.items():
        _check_numbers(name, value)
    algebra = _algebra(values, over)
    symbolic = hasattr(type(algebra), "symbols")  # object algebras answer to any name
    system = dag.system
    check_names(system, values, complete=not symbolic)
    arrays = {}
    for name, value in values.items():
        is_token = name in system.inputs and isinstance(system.inputs[name].type, Token)
        try:
            array = np.asarray(value) if is_token else algebra.array(name, value)
        except GraphgradError:
            raise
        except (ValueError, TypeError) as error:
            raise DataError(
                f"the value of {name} is not an array of numbers: {error}",
                remedy="give a NumPy array, or nested lists of numbers",
            ) from None
        if isinstance(array, np.ndarray) and array.dtype.kind not in "fciuO":
            raise DataError(
                f"the value of {name} holds {array.dtype}, not numbers",
                remedy="give a NumPy array, or nested lists of numbers",
            )
        arrays[name] = array
    bound = bind(system, dag.tau, dag.sizes, arrays)
    check_positions(system, bound.sizes)
    if not algebra.exact or not symbolic:
        check_inputs(system, bound.sizes, arrays)
    if symbolic:
        arrays |= algebra.symbols(system, dag.tau, bound.sizes, arrays)  # type: ignore[attr-defined]
    return Prepared(arrays, bound.sizes, bound.batch, algebra)


def _check_numbers(name: str, value: Any) -> None:
    """Raise for a value that is no array, or holds something that is certainly no number."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(
            f"the value of {name} is no array: its rows differ in length",
            remedy="give nested lists of equal lengths, or an array",
        ) from None
    strange = str(array.dtype) if array.dtype.kind not in "iufcO" else None
    if array.dtype == object:
        plain = (type(None), bool, str, bytes, Mapping, list, tuple, set)
        strange = next(
            (type(each).__name__ for each in array.flat if isinstance(each, plain)), None
        )
    if strange is not None:
        raise DataError(
            f"the value of {name} holds {strange}, not numbers",
            remedy="give a NumPy array, or nested lists of numbers",
        )


def _algebra(values: Mapping[str, Any], over: Any) -> Algebra:
    if over is None:
        found = algebra_of(list(values.values()))
    elif over in (Fraction, "fraction", "Fraction"):
        found = FractionAlgebra()
    elif (isinstance(over, str) and over == "sympy") or hasattr(over, "number"):
        found = over
    else:
        try:
            dtype = np.dtype(over)
        except TypeError:
            raise DataError(
                f"over={over!r} is not a number type",
                remedy='use float, complex, "float32", Fraction, "sympy", or an algebra',
            ) from None
        if dtype.kind not in "fc":
            raise DataError(
                f"over={over!r} is not a type of real or complex numbers",
                remedy='use float, complex, "float32", Fraction, "sympy", or an algebra',
            )
        found = FloatAlgebra(dtype)
    if isinstance(found, str):
        symbolic: Algebra = _sympy_algebra()
        return symbolic
    return found


def _wanted(dag: Dag, outputs: Iterable[str] | None) -> dict[str, Any]:
    """Return the nodes to keep by name: a number for a static result, an array for a series."""
    known: dict[str, Any] = {
        name: series.nodes if series.index is not None else int(series.nodes[0])
        for name, series in dag.series.items()
        if name not in dag.system.inputs
    }
    known |= dag.outputs
    if outputs is None:
        return known
    chosen = names_given("outputs", outputs)
    for name in chosen:
        if name not in known:
            raise unknown_name(name, known)
    return {name: known[name] for name in chosen}


def examples(dag: Dag, values: Prepared) -> Iterator[Prepared]:
    """Yield the values of each example of a batch by themselves."""
    for example in np.ndindex(*values.batch):
        single = {}
        for name, array in values.arrays.items():
            declared = dag.system.inputs.get(name)
            single[name] = array
            if declared is None:
                continue
            own = 0 if isinstance(declared.type, Token) else len(declared.type)
            lead = 0 if declared.index is None else 1
            if np.ndim(array) > own + lead:
                single[name] = array[(slice(None),) * lead + example]
        yield Prepared(single, values.sizes, (), values.algebra)


def _run_batch(dag: Dag, values: Prepared, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate each example by itself and stack the results."""
    collected: dict[str, list[Any]] = {name: [] for name in wanted}
    for single in examples(dag, values):
        for name, value in run(dag, single, wanted).items():
            collected[name].append(value)
    results = {}
    for name, each in collected.items():
        lead = 1 if isinstance(wanted[name], np.ndarray) else 0
        stacked = np.stack([np.asarray(value) for value in each])
        shaped = stacked.reshape(values.batch + stacked.shape[1:])
        results[name] = np.moveaxis(shaped, len(values.batch), 0) if lead else shaped
    return results


def run(dag: Dag, values: Prepared, wanted: Mapping[Any, Any]) -> dict[Any, Any]:
    """Compute all nodes that the wanted ones need; each value is freed after its last use."""
    needed = _needed(dag, wanted)
    last = np.zeros(len(dag), np.int64)
    users = np.repeat(np.arange(len(dag)), np.diff(dag.starts))
    active = needed[users]
    np.maximum.at(last, dag.args[active], users[active])
    for nodes in wanted.values():
        last[nodes] = len(dag)
    kernels = [
        kernel_of(dag, t, values.arrays, values.sizes, values.algebra) for t in dag.templates
    ]
    kinds, starts = dag.kinds.tolist(), dag.starts.tolist()
    args, times, lasts = dag.args.tolist(), dag.times.tolist(), last.tolist()
    store: list[Any] = [None] * len(dag)
    with np.errstate(all="ignore"):
        for node in np.flatnonzero(needed).tolist():
            operands = args[starts[node] : starts[node + 1]]
            kernel = kernels[kinds[node]]
            store[node] = kernel(times[node], *[store[arg] for arg in operands])
            for arg in operands:
                if lasts[arg] <= node:
                    store[arg] = None
    return {name: _collect(store, nodes) for name, nodes in wanted.items()}


def _collect(store: list[Any], nodes: Any) -> Any:
    if not isinstance(nodes, np.ndarray):
        return store[nodes]
    values = [store[node] for node in nodes.tolist()]
    if np.ndim(values[0]) or not _is_object(values[0]):
        return np.stack([np.asarray(value) for value in values])
    stacked = np.empty(len(values), object)
    stacked[:] = values
    return stacked


def _is_object(value: Any) -> bool:
    return not isinstance(value, np.generic | np.ndarray | int | float | complex)


def _needed(dag: Dag, wanted: Mapping[Any, Any]) -> Any:
    """Return which nodes the wanted ones depend on."""
    needed = np.zeros(len(dag), bool)
    for nodes in wanted.values():
        needed[nodes] = True
    if needed.all():
        return needed
    marks = bytearray(needed.tobytes())
    starts, args = dag.starts.tolist(), dag.args.tolist()
    for node in range(len(dag) - 1, -1, -1):
        if marks[node]:
            for arg in args[starts[node] : starts[node + 1]]:
                marks[arg] = 1
    return np.frombuffer(marks, bool)


def kernel_of(
    dag: Dag,
    template: Template,
    arrays: Mapping[str, Any],
    sizes: Mapping[str, int],
    algebra: Algebra,
) -> Callable[..., Any]:
    """Return the function `(step, *operands) -> value` of a template."""
    op, attr, _ = template
    name = op.name
    if name in ("param", "input"):
        value = arrays[attr]
        declared = dag.system.inputs.get(attr)
        if declared is not None and declared.index is not None:
            return lambda step: value[step - 1]
        scalar = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
        return lambda step: scalar
    if not op.arity and not op.forward and name != "concat":
        return _leaf_kernel(dag, template, sizes, algebra)
    if name == "expand":
        shape = concrete(attr, sizes)
        base = algebra.filled(shape, 1)
        return lambda step, u: np.multiply(*algebra.met(name, (base, u)))
    detail = bound_attribute(template, sizes)
    if op is OPS["onehot"]:
        return _unit_kernel(algebra, detail)
    if algebra.exact and op.exact is not None:
        exact = op.exact
        run = lambda *operands: exact(algebra, *operands)  # noqa: E731
        if op.takes_attr:
            run = lambda *operands: exact(algebra, detail, *operands)  # noqa: E731
        return _guarded(run, name, algebra)
    forward = op.forward
    assert forward is not None
    if op.takes_attr:
        return lambda step, *operands: forward(detail, *operands)
    if algebra.exact:
        return _guarded(forward, name, algebra)
    return lambda step, *operands: forward(*operands)


def _unit_kernel(algebra: Algebra, length: int) -> Callable[..., Any]:
    """Return the kernel of onehot, whose numbers are those of the algebra."""
    zero, one = algebra.filled((length,), 0), algebra.filled((1,), 1)[0]

    def kernel(step: int, token: Any) -> Any:
        if np.ndim(token):  # a token given as a row of weights is that row
            return token
        row = zero.copy()
        row[token] = one
        return row

    return kernel


def _guarded(run: Callable[..., Any], name: str, algebra: Algebra) -> Callable[..., Any]:
    """Return a kernel on operands of one type; what they cannot do is a DomainError."""

    def kernel(step: int, *operands: Any) -> Any:
        try:
            return run(*algebra.met(name, operands))
        except ZeroDivisionError:
            raise DomainError(f"{name} divides by zero", remedy="use other values") from None
        except Exception as error:  # a type that the library has never seen may raise anything
            if not isinstance(algebra, OwnAlgebra) or isinstance(error, GraphgradError):
                raise
            raise DomainError(
                f"{name} is not possible for the numbers given: {error}",
                remedy="evaluate over Fraction or floats, or use other values",
            ) from None

    return kernel


def _leaf_kernel(
    dag: Dag, template: Template, sizes: Mapping[str, int], algebra: Algebra
) -> Callable[..., Any]:
    op, attr, kind = template
    if op is OPS["const"]:
        value = attr if isinstance(kind, Token) else algebra.number(attr)
    elif op is OPS["fill"]:
        value = algebra.filled(concrete(attr.shape, sizes), attr.value)
    elif op is OPS["basis"]:
        value = algebra.filled(concrete((attr.size,), sizes), 0)
        value[attr.position] = algebra.filled((1,), 1)[0]
    elif op is OPS["size"]:
        value = algebra.number(concrete((Dim.of(attr),), sizes)[0])
    else:
        lengths = {i.length: dag.tau[n] for n, i in dag.system.indices.items()}
        if attr not in lengths:
            return lambda step: algebra.number(step)
        value = algebra.number(lengths[attr])
    return lambda step: value


def bound_attribute(template: Template, sizes: Mapping[str, int]) -> Any:
    """Return the attribute of an op in plain numbers: a slice for a part, a length for onehot."""
    op, attr, kind = template
    if op is OPS["part"]:
        return part_slice(attr, concrete(kind, sizes)[0], sizes)  # type: ignore[arg-type]
    if op is OPS["onehot"]:
        return concrete(kind, sizes)[0]  # type: ignore[arg-type]
    return attr


def part_slice(attr: Part, length: int, sizes: Mapping[str, int]) -> slice:
    """Return the slice of a vector that a part of the given length is."""
    if isinstance(attr.sizes, int):
        start = attr.position * length
    else:
        start = sum(concrete(attr.sizes[: attr.position], sizes))
    return slice(start, start + length)
