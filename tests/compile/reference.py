"""What the tests of compiled functions share: sizes, lengths, references and how close to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import graphgrad as gg

ULPS = 128
"""How far a result may be off: units in the last place of its largest entry.

Most are off by less than 10; where summands of a gradient cancel, some digits are lost.
"""
STREAMS = ["elman", "lstm", "gru", "two_step_scalar", "deep_rnn", "lstm_peephole", "graves"]
STREAMS += ["autoregressive"]  # which has a condition on the step
HIGHER = {"float32": np.float64, "float64": np.longdouble}


def lengths(circuit: gg.Circuit, tau: int) -> Any:
    """A number of steps for each index, different ones where there are two."""
    return tau if len(circuit.indices) == 1 else {"s": tau, "t": 7 - tau}


def sizes(circuit: gg.Circuit) -> dict[str, int]:
    """Small sizes, those of neighbours different."""
    return {name: 2 + position % 2 for position, name in enumerate(circuit.sizes)}


def data(name: str, tau: int, batch: tuple[int, ...] = (3,)) -> tuple[gg.Circuit, Any, Any]:
    """Return a circuit of the gallery, parameters and inputs for it."""
    circuit = gg.cells.load(name)
    steps: Any = tau if len(circuit.indices) == 1 else {"s": tau, "t": tau}
    chosen = sizes(circuit)
    return circuit, circuit.init(0, **chosen), circuit.example(1, steps, batch, **chosen)


def close(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Assert that arrays differ by at most a fraction of the largest entry."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.max(np.abs(expected), initial=1e-300)
    assert np.max(np.abs(actual - expected), initial=0.0) <= tolerance * scale


def accurate(actual: Any, expected: Any) -> None:
    """Assert that an array is within ULPS of an expectation of higher precision."""
    actual = np.asarray(actual)
    assert actual.dtype.itemsize < np.asarray(expected).dtype.itemsize
    close(actual, expected, ULPS * float(np.finfo(actual.dtype).eps))


def cast(values: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Return the values as numbers of a dtype, tokens as they are."""
    return {
        name: np.asarray(value)
        if np.asarray(value).dtype.kind in "iu"
        else np.asarray(value, dtype)
        for name, value in values.items()
    }


def expectation(
    circuit: gg.Circuit, values: Mapping[str, Any], tau: Any, dtype: str
) -> dict[str, Any]:
    """What the interpreter makes of values of a dtype, in the next higher precision.

    Gradients stand for each example.
    """
    dag = circuit.unfold(tau)
    differentiable = "loss" in circuit.equations and circuit.params
    found: dict[str, Any] = (dag.grad() if differentiable else dag).evaluate(
        cast(values, HIGHER[dtype])
    )
    return found


def weighed(circuit: gg.Circuit, name: str) -> gg.Circuit:
    """The circuit with the number `weighed`: the sum of `seed_h[t]`, an input, times `h[t]`."""
    variable = circuit.variables[name]
    at = "" if variable.index is None else f"[{variable.index}]"
    product = f"seed_{name}{at} * {name}{at}"
    product = f"sum({product})" if variable.shape else product
    product = f"sum({product} for {variable.index} in steps)" if at else product
    shape = ", ".join(map(str, variable.shape))
    return circuit.extend(f"seed_{name}{at}: input({shape})\nweighed = {product}")


def over_examples(wanted: Any, actual: Any, batch: tuple[int, ...], *, gradient: bool) -> Any:
    """Return an expected array as compiled functions give it: gradients summed over the batch."""
    if gradient and batch:
        return wanted.reshape(-1, *wanted.shape[len(batch) :]).sum(axis=0)
    if np.ndim(actual) < np.ndim(wanted):  # the same for every example
        return wanted[(0,) * len(batch)]
    return wanted
