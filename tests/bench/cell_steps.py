"""The cells of the grid, each written once for every tape and tracer, with its weights joined.

A person who works with PyTorch or JAX keeps the four matrices of an LSTM in one. `Cell.joined` says
which parameters of the circuit stand in it, one below the other, so that results can be compared.
Functions come in a namespace `f`, whose `scan` is a loop or whatever the library has for one.
This file needs NumPy only: the process with PyTensor reads it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
Step = Callable[[Arrays, Any, Any, SimpleNamespace], tuple[Any, Any]]


@dataclass(frozen=True)
class Cell:
    """A recurrent network: its step, its loss from all outputs, and how its weights are joined.

    `passes` are the runs over time, each with the names that its weights have and whether it goes
    backwards. Of the matrices, `inside` are multiplied at every step, `inputs` with the inputs,
    the others with the outputs.
    """

    joined: Mapping[str, tuple[str, ...]]
    start: Callable[[Arrays, Any, SimpleNamespace], tuple[Any, ...]]
    step: Step
    total: Callable[..., Any]
    inside: tuple[str, ...]
    passes: tuple[tuple[Mapping[str, str], bool], ...] = (({}, False),)
    inputs: tuple[str, ...] = ("U",)
    file: str = ""

    def join(self, params: Arrays) -> dict[str, Any]:
        """Return the parameters of the circuit with joined weights."""
        used = {name for names in self.joined.values() for name in names}
        own = {name: value for name, value in params.items() if name not in used}
        rows = {
            name: np.concatenate([params[part] for part in parts])
            for name, parts in self.joined.items()
        }
        return own | rows

    def apart(self, grads: Arrays) -> dict[str, Any]:
        """Return gradients by the parameters of the circuit from those by joined weights."""
        found: dict[str, Any] = {}
        for name, value in grads.items():
            parts = self.joined.get(name)
            array = np.asarray(value)
            found |= (
                {name: array}
                if parts is None
                else dict(zip(parts, np.split(array, len(parts)), strict=True))
            )
        return found


def loss(cell: Cell, p: Arrays, x: Any, y: Any, f: SimpleNamespace, *, hoisted: bool) -> Any:
    """Return the loss; input products stand before the scans or in them, the rest after them."""
    outputs = []
    for names, backwards in cell.passes:
        own = {**p, **{name: p[given] for name, given in names.items()}}

        def step(state: Any, now: Any, own: Arrays = own) -> tuple[Any, Any]:
            before = now if hoisted else now @ own["U"].T + own["b"]
            return cell.step(own, state, before, f)

        given = x @ own["U"].T + own["b"] if hoisted else x
        outputs.append(f.scan(step, cell.start(own, x, f), given, backwards))
    return cell.total(p, *outputs, y, f) / x.shape[1]


def one_state(p: Arrays, x: Any, f: SimpleNamespace) -> tuple[Any, ...]:
    return (f.zeros(x.shape[1], p["W"].shape[1]),)


def two_states(p: Arrays, x: Any, f: SimpleNamespace) -> tuple[Any, ...]:
    return one_state(p, x, f) * 2


def learned_state(p: Arrays, x: Any, f: SimpleNamespace) -> tuple[Any, ...]:
    return (one_state(p, x, f)[0] + p["h0"],)


def elman(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    h = f.tanh(before + state[0] @ p["W"].T)
    return (h,), h


def from_output(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    o = p["c"] + f.tanh(before + state[0] @ p["W"].T) @ p["V"].T
    return (o,), o


def lstm(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    h, c = state
    z = before + h @ p["W"].T
    size = p["W"].shape[1]
    gates = f.sigmoid(z[:, : 3 * size])
    c = gates[:, size : 2 * size] * c + gates[:, :size] * f.tanh(z[:, 3 * size :])
    h = gates[:, 2 * size :] * f.tanh(c)
    return (h, c), h


def lstm_peephole(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    h, c = state
    z = before + h @ p["W"].T
    size = p["W"].shape[1]
    i = f.sigmoid(z[:, :size] + p["p_i"] * c)
    k = f.sigmoid(z[:, size : 2 * size] + p["p_f"] * c)
    c = k * c + i * f.tanh(z[:, 3 * size :])
    h = f.sigmoid(z[:, 2 * size : 3 * size] + p["p_o"] * c) * f.tanh(c)
    return (h, c), h


def gru(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    (h,) = state
    size = p["W"].shape[1]
    gates = f.sigmoid(before[:, : 2 * size] + h @ p["G"].T)
    new = f.tanh(before[:, 2 * size :] + (gates[:, :size] * h) @ p["W"].T)
    h = new + gates[:, size:] * (h - new)
    return (h,), h


def gru_reset_after(p: Arrays, state: Any, before: Any, f: SimpleNamespace) -> tuple[Any, Any]:
    (h,) = state
    size = p["W"].shape[1]
    own = h @ p["W"].T
    gates = f.sigmoid(before[:, : 2 * size] + own[:, : 2 * size])
    new = f.tanh(before[:, 2 * size :] + gates[:, :size] * (own[:, 2 * size :] + p["d"]))
    h = new + gates[:, size:] * (h - new)
    return (h,), h


def cross_entropy(o: Any, y: Any, f: SimpleNamespace) -> Any:
    return -(y * f.log_softmax(o)).sum()


def half_squares(o: Any, y: Any, f: SimpleNamespace) -> Any:
    return 0.5 * ((o - y) ** 2).sum()


def gates(letter: str, names: str) -> tuple[str, ...]:
    return tuple(f"{letter}_{name}" for name in names)


LSTM = {letter: gates(letter, "ifog") for letter in "WUb"}
CELLS = {
    "elman": Cell(
        {}, one_state, elman,
        lambda p, h, y, f: cross_entropy(h @ p["V"].T + p["c"], y, f), ("W",),
    ),
    "lstm": Cell(
        LSTM, two_states, lstm,
        lambda p, h, y, f: cross_entropy(h @ p["V"].T + p["b_y"], y, f), ("W",),
    ),
    "gru": Cell(
        {"U": ("U_r", "U_z", "U"), "b": ("b_r", "b_z", "b"), "G": ("W_r", "W_z")},
        learned_state, gru, lambda p, h, y, f: half_squares(h @ p["V"].T, y, f), ("G", "W"),
    ),
    "gru_reset_after": Cell(
        {letter: (f"{letter}_r", f"{letter}_z", letter) for letter in "WUb"},
        one_state, gru_reset_after, lambda p, h, y, f: half_squares(h @ p["V"].T, y, f), ("W",),
        file="gru_reset_after.rec",
    ),
    "lstm_peephole": Cell(
        {letter: gates(letter, "ifoc") for letter in "WUb"}, two_states, lstm_peephole,
        lambda p, h, y, f: half_squares(h @ p["V"].T, y, f), ("W",),
    ),
    "output_recurrence": Cell(
        {}, one_state, from_output, lambda p, o, y, f: cross_entropy(o, y, f), ("W", "V"),
    ),
    "lstm_bidirectional": Cell(
        LSTM | {letter: gates(letter, "ifog") for letter in "RSr"}, two_states, lstm,
        lambda p, h, g, y, f: cross_entropy(h @ p["V"].T + g @ p["Q"].T + p["b_y"], y, f),
        ("W", "R"), (({}, False), ({"W": "R", "U": "S", "b": "r"}, True)), ("U", "S"),
        file="lstm_bidirectional.rec",
    ),
}  # fmt: skip
