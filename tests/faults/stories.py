"""Two wrong backward passes that standard checkers were seen to accept, measured again.

Both are long recurrences with weights below 1, in which what is wrong has almost vanished: a
checker that allows a small absolute error cannot see it. The proof has no tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import graphgrad as gg
from tests.faults.fault import Numbers
from tests.faults.subjects import Subject

STEPS = 40


@dataclass(frozen=True)
class Story:
    """A wrong backward pass: the circuit, the equations, and the weights it was checked at."""

    title: str
    subject: Subject
    claims: dict[str, str]
    weights: dict[str, Any]

    def numbers(self) -> Numbers:
        """Return the view in floating point, at these weights and standard normal inputs."""
        values = self.subject.values(0)
        random = np.random.default_rng(0)
        for name, value in values.items():
            values[name] = self.weights.get(name, random.normal(size=np.shape(value)))
        return self.subject.numbers(self.claims, 0)

    def proof(self) -> Any:
        """Return the proof for all steps."""
        return gg.prove(
            self.subject.circuit,
            claims=self.claims,
            tau=self.subject.tau,
            sizes=self.subject.sizes,
            method="certificate",
        )


def flipped() -> Story:
    """A learned initial state: on its way back through 40 steps the gradient changes its sign."""
    circuit = gg.parse(
        """
x[t]: input()
y: input()
w: input()
u: input()
s: param()

h[0] = s
h[t] = tanh(w * h[t-1] + u * x[t])
loss = squared_error(h[tau], y)
""",
        "initial_state",
    )
    claims = {
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "h[t] - y if t == tau else -(w * d_a[t+1])",
        "d_s": "w * d_a[1]",
    }
    return Story(
        f"sign of the recurrent path flipped, {STEPS} steps, recurrent weight 0.6",
        Subject(circuit.name, circuit, STEPS),
        claims,
        {"w": np.array(0.6), "u": np.array(0.5)},
    )


def cut() -> Story:
    """A network of 8 units whose gradient goes back through 10 steps only."""
    circuit = gg.parse(
        """
H: size(8)
x[t]: input(H)
y: input(H)
W: param(H, H)
U: param(H, H)

h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = squared_error(h[tau], y)
""",
        "last_state",
    )
    claims = {
        "d_a[t]": "(1 - h[t]**2) * d_h[t]",
        "d_h[t]": "h[t] - y if t == tau else W.T @ d_a[t+1] if t > tau - 10 else 0 * h[t]",
        "d_W": "sum(outer(d_a[t], h[t-1]) for t in steps)",
        "d_U": "sum(outer(d_a[t], x[t]) for t in steps)",
    }
    weights = np.random.default_rng(1).normal(size=(8, 8))
    return Story(
        f"truncated after 10 of {STEPS} steps, spectral norm 0.7",
        Subject(circuit.name, circuit, STEPS),
        claims,
        {"W": 0.7 * weights / np.linalg.norm(weights, 2), "U": np.eye(8)},
    )


def right(numbers: Numbers) -> Numbers:
    """Return the same with the right gradient, which every checker has to accept."""
    return replace(numbers, claimed=numbers.true)
