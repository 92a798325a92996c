"""graphgrad: recurrences as circuits — unfolded, differentiated, proved, drawn and compiled."""

from typing import Any

from graphgrad import cells
from graphgrad.circuit import Circuit, as_circuit
from graphgrad.doors import door
from graphgrad.errors import (
    BoundaryError,
    CausalityError,
    DataError,
    DomainError,
    FileError,
    GradientError,
    GraphgradError,
    MissingLibraryError,
    NameClashError,
    NotationError,
    ShapeError,
    UnknownAttributeError,
    UnknownNameError,
)
from graphgrad.formulas import (
    at,
    choose,
    index,
    max,
    mean,
    onehot,
    ones,
    split,
    steps,
    sum,
    t,
    tau,
    where,
    zeros,
)
from graphgrad.ops import FUNCTIONS, OPS

__version__ = "0.1.0"

_parse = door("graphgrad.notation.parse:parse")
_load = door("graphgrad.notation.parse:load")
_prove = door("graphgrad.proof.prove:prove")
_check_function = door("graphgrad.proof.check:check_function")
_slices = door("graphgrad.time_slices:slices")
_slice_mean = door("graphgrad.time_slices:slice_mean")
_basis_directions = door("graphgrad.tangent:basis_directions")
_window = door("graphgrad.truncation:window")
_chunks = door("graphgrad.truncation:chunks")
_value_and_grad = door("graphgrad.compile.functions:value_and_grad")


def parse(text: str, name: str | None = None) -> Circuit:
    """Return the circuit that a text in the notation declares; see `graphgrad.notation.parse`."""
    circuit: Circuit = _parse(text, name)
    return circuit


def load(path: Any) -> Circuit:
    """Return the circuit in a `.rec` file."""
    circuit: Circuit = _load(path)
    return circuit


def prove(circuit: Circuit, loss: str = "loss", **options: Any) -> Any:
    """Return a Proof that the backward equations are right; see `graphgrad.proof.prove.prove`.

    Options: `claims` (a person's equations, as text, Path or dict), `wrt`, `tau` (3), `sizes` (2
    each), `method`, `truncate` (`gg.window(k)`, `gg.chunks(k)`), `time_limit` (60 seconds),
    `progress`.
    """
    return _prove(as_circuit(circuit), loss, **options)


def check_function(circuit: Circuit, fn: Any, **options: Any) -> Any:
    """Return a Proof that hand-written NumPy code is right; see `graphgrad.proof.check`.

    `fn` is a function, a pair (forward, backward) or a method. Options: `arguments` and `results`
    (what it takes and returns, where names do not tell), `batch` (the number of examples) and
    `layout` (the order of axes), `loss`, `tau` (3), `sizes` (2 each), `time_limit` (60 seconds).
    """
    return _check_function(as_circuit(circuit), fn, **options)


def slices(dag: Any, values: Any, loss: str = "loss", **options: Any) -> dict[str, Any]:
    """Return what each step's use of a parameter contributes; see `graphgrad.time_slices`.

    Options: `wrt` and `over`, as of `dag.evaluate`.
    """
    result: dict[str, Any] = _slices(dag, values, loss, **options)
    return result


def slice_mean(dag: Any, values: Any, loss: str = "loss", **options: Any) -> dict[str, Any]:
    """Return the mean over time slices, which is not the gradient; see `graphgrad.time_slices`."""
    result: dict[str, Any] = _slice_mean(dag, values, loss, **options)
    return result


def basis_directions(values: Any, wrt: Any = None, **options: Any) -> dict[str, Any]:
    """Return a direction for every entry of some arrays; see `graphgrad.tangent`."""
    result: dict[str, Any] = _basis_directions(values, wrt, **options)
    return result


def window(k: int) -> Any:
    """Return the truncation to each loss's k most recent uses; see `graphgrad.truncation`."""
    return _window(k)


def chunks(k: int) -> Any:
    """Return the truncation that cuts the sequence every k steps; see `graphgrad.truncation`."""
    return _chunks(k)


def value_and_grad(circuit: Circuit, loss: str = "loss", **options: Any) -> Any:
    """Return `f(params, **inputs) -> (loss, grads)`; see `graphgrad.compile.functions`.

    Of what is not one number it is the pullback: `f(params, x=x, seed_h=seed) -> (h, grads)`.
    Options: `wrt`, `backend` ("numpy", "numba" or "jax"), `dtype`, `threads`, `truncate`
    (`gg.window(k)`, `gg.chunks(k)`), `checkpoint` (a budget in bytes, or `{"every": 1000}`).
    """
    return _value_and_grad(as_circuit(circuit), loss, **options)


def __getattr__(name: str) -> Any:
    """Return an op such as `tanh` as a function on expressions."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    raise AttributeError(f"module 'graphgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *FUNCTIONS})


__all__ = [
    "OPS",
    "BoundaryError",
    "CausalityError",
    "Circuit",
    "DataError",
    "DomainError",
    "FileError",
    "GradientError",
    "MissingLibraryError",
    "GraphgradError",
    "NameClashError",
    "NotationError",
    "ShapeError",
    "UnknownAttributeError",
    "UnknownNameError",
    "at",
    "basis_directions",
    "cells",
    "check_function",
    "chunks",
    "choose",
    "index",
    "load",
    "max",
    "mean",
    "onehot",
    "ones",
    "parse",
    "prove",
    "slice_mean",
    "slices",
    "split",
    "steps",
    "sum",
    "t",
    "tau",
    "value_and_grad",
    "where",
    "window",
    "zeros",
]
