"""Derivatives without reverse mode (dual numbers, imaginary steps) and where they are taken."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.unfold import Dag
from tests.naive import Dual

STEP = 1e-30
LENGTHS = {"H": 3, "D": 2, "K": 2, "N": 3, "M": 4, "G": 2, "I": 2}


def parts(value: Dual, name: str, like: Any) -> Any:
    """The derivatives of a dual number by the entries of one array."""
    found = np.empty(np.shape(like), object)
    for position in np.ndindex(*found.shape):
        found[position] = value.parts.get((name, *position), Fraction(0))
    return found


def moved(values: dict[str, Any], name: str, position: tuple[int, ...], by: Any, kind: Any) -> Any:
    """The values with one entry moved, all of them as numbers of a kind (tokens aside)."""
    result = {
        n: v if np.asarray(v).dtype.kind in "iu" else np.asarray(v, kind) for n, v in values.items()
    }
    result[name] = result[name].copy()
    result[name][position] += by
    return result


def complex_step(dag: Dag, values: dict[str, Any], name: str, output: str = "loss") -> Any:
    """The derivative of an output by every entry of a value, with an imaginary step."""
    found = np.empty(np.shape(values[name]))
    for position in np.ndindex(*found.shape):
        point = moved(values, name, position, 1j * STEP, complex)
        found[position] = np.imag(dag.evaluate(point, outputs=[output])[output]) / STEP
    return found


def gallery(name: str, tau: int = 4, seed: int = 5) -> tuple[gg.Circuit, Dag, dict[str, Any]]:
    """A cell of the gallery, all its boundary values made inputs, at random non-zero values."""
    circuit = gg.cells.load(name).open()
    sizes = {n: LENGTHS[n] for n in circuit.sizes}
    values = circuit.init(seed, **sizes) | circuit.example(seed, tau, **sizes)
    for parameter in circuit.params:
        values[parameter] = values[parameter] * 0.8 + 0.05
    if name == "hinge":
        values["y"] = np.sign(values["y"])
    assert all(np.all(v != 0) for v in values.values() if v.dtype.kind == "f")
    return circuit, circuit.unfold(tau, **sizes), values
