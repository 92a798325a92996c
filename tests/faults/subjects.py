"""Circuits whose backward equations are made wrong: the gallery, and generated ones.

All dimensions of a subject are one size, so that a transposed weight or a swapped pair of vectors
is no error of shapes. Boundaries are open: the states before the first step are not zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.dims import concrete
from tests.faults.fault import Numbers, quietly

SIZE = 2
KNOWN = 10_000
"""How many values of a loss are kept."""
Claims = Mapping[str, str]


@dataclass(frozen=True)
class Subject:
    """A circuit, and for how many steps its faults are judged.

    `positive` is for circuits of which some functions want positive parameters.
    """

    name: str
    circuit: gg.Circuit
    tau: int
    positive: bool = False

    @cached_property
    def sizes(self) -> dict[str, int]:
        """One number for every size that has no default."""
        return {name: size or SIZE for name, size in self.circuit.sizes.items()}

    @cached_property
    def opened(self) -> gg.Circuit:
        """The circuit with its boundary values as inputs."""
        return self.circuit.open()

    @cached_property
    def backward(self) -> dict[str, str]:
        """The library's backward equations: left sides with their right sides."""
        return backward(self.circuit)

    @cached_property
    def alike(self) -> dict[str, tuple[str, ...]]:
        """For each name the others of the same index and shape, cotangents included."""
        system = self.circuit.extend(text_of(self.backward)).check()
        names = [*system.variables, *system.inputs, *system.params]
        kinds: dict[Any, list[str]] = {}
        for name in names:
            index = None if name in system.params else system.index_of(name)
            kinds.setdefault((index, str(system.type_of(name))), []).append(name)
        return {
            name: tuple(other for other in group if other != name)
            for group in kinds.values()
            for name in group
        }

    def is_legal(self, claims: Claims) -> bool:
        """Whether wrong equations are equations at all: shapes fit and an order exists."""
        try:
            system = self.extended(claims).check()
        except gg.GraphgradError:
            return False
        params = [name for name in system.params if f"d_{name}" in defined(claims)]
        return all(system.variables[f"d_{n}"].shape == system.params[n].shape for n in params)

    def extended(self, claims: Claims) -> gg.Circuit:
        """Return the opened circuit with equations; the last one is kept."""
        text = text_of(claims)
        if text not in self._extended:
            self._extended.clear()
            self._extended[text] = self.opened.extend(text)
        return self._extended[text]

    @cached_property
    def _extended(self) -> dict[str, gg.Circuit]:
        return {}

    def prove(self, claims: Claims) -> Any:
        """Return the proof of claimed equations: the certificate, all methods where it fails."""
        proof = gg.prove(
            self.circuit, claims=claims, tau=self.tau, sizes=self.sizes, method="certificate"
        )
        if proof.verdict == "undecided":
            proof = gg.prove(
                self.circuit, claims=claims, tau=self.tau, sizes=self.sizes, time_limit=20
            )
        return proof

    # In floating point

    def values(self, seed: int) -> dict[str, Any]:
        """Return parameters at a usual scale and random inputs; states outside 1..τ as well."""
        if seed not in self._values:
            random = np.random.default_rng(seed)
            found: dict[str, Any] = self.circuit.example(seed, self.tau, **self.sizes)
            for name, declared in self.opened.inputs.items():
                if name not in found:
                    shape = concrete(declared.shape, self.sizes)
                    found[name] = random.uniform(-0.9, 0.9, shape)
            for name, value in self.circuit.init(seed, **self.sizes).items():
                moved = value + random.uniform(-0.3, 0.3, np.shape(value))
                found[name] = random.uniform(0.3, 0.9, np.shape(value)) if self.positive else moved
            self._values[seed] = found
        return self._values[seed]

    @cached_property
    def _values(self) -> dict[int, dict[str, Any]]:
        return {}

    @cached_property
    def _forward(self) -> Any:
        return self.opened.unfold(self.tau, **self.sizes)

    @cached_property
    def _swept(self) -> Any:
        return self._forward.grad()

    def numbers(self, claims: Claims, seed: int) -> Numbers:
        """Return the view of claimed equations in floating point."""
        values = self.values(seed)
        stated = self.extended(claims).unfold(self.tau, **self.sizes)
        names = [name for name in self.circuit.params if f"d_{name}" in defined(claims)]
        with quietly():
            claimed = stated.evaluate(values)
            true = self._swept.evaluate(values)
        return Numbers(
            lambda vector: self._loss(names, vector, values),
            flat(values[name] for name in names),
            flat(claimed[f"d_{name}"] for name in names),
            flat(true[f"d_{name}"] for name in names),
        )

    @cached_property
    def _losses(self) -> dict[Any, float]:
        """Known values of the loss: checkers ask all faults of a subject for the same ones."""
        return {}

    def _loss(self, names: list[str], vector: Any, values: Mapping[str, Any]) -> float:
        key = id(values), tuple(names), vector.tobytes()
        if key in self._losses:
            return self._losses[key]
        given, start = dict(values), 0
        for name in names:
            size = np.size(values[name])
            given[name] = vector[start : start + size].reshape(np.shape(values[name]))
            start += size
        with quietly():
            found = float(self._forward.evaluate(given, outputs="loss")["loss"])
        if len(self._losses) < KNOWN:
            self._losses[key] = found
        return found


def flat(arrays: Any) -> Any:
    """Return all entries in one vector of float64."""
    parts = [np.ravel(np.asarray(array, float)) for array in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


def backward(circuit: gg.Circuit) -> dict[str, str]:
    """Return the library's backward equations, left sides with their right sides."""
    with quietly():
        adjoint = str(circuit.adjoint())
    own = set(str(circuit).splitlines())
    lines = [line for line in adjoint.splitlines() if line not in own]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def defined(claims: Claims) -> set[str]:
    """Return the names on the left sides; one may define several, `d_u, d_v = split(…)`."""
    return {name for left in claims for name in left.split(", ")}


def text_of(claims: Claims) -> str:
    """Return equations as text."""
    return "\n".join(f"{left} = {right}" for left, right in claims.items())


def square(circuit: gg.Circuit) -> gg.Circuit:
    """Return the circuit with one size for all dimensions."""
    text = str(circuit)
    for name in circuit.sizes:
        text = re.sub(rf"^{name}: size\(.*\n", "", text, flags=re.M)
        text = re.sub(rf"\b{name}\b(?=[^\n]*\))(?<!\[)", "Nn", text)
    return gg.parse(text, circuit.name)


def gallery() -> list[Subject]:
    """Return every circuit of the gallery that has a parameter and a loss."""
    found = []
    for name in gg.cells.names():
        circuit = gg.cells.load(name)
        if circuit.params:
            found.append(Subject(name, square(circuit), 4 if name in LONGER else 3))
    return found


LONGER = {"skip_connections", "feedforward_taps", "autoregressive", "many_to_many_lag", "truncated"}
"""Circuits with delays of several steps."""


# -- generated circuits ----------------------------------------------------------------------------


def generated(seed: int) -> Subject:
    """Return a circuit drawn from a seed: one or two layers of some cell, an output, a loss.

    >>> print(generated(3).circuit.name)
    generated-3
    """
    draw = Random(f"circuit {seed}")
    lines = ["x[t]: input(N)"]
    params: list[str] = []

    def param(name: str, axes: int) -> str:
        params.append(f"{name}: param({', '.join(['N'] * axes)})")
        return name

    equations, below, longest = [], "x[t]", 1
    for layer in range(1, draw.choice((1, 1, 1, 2)) + 1):
        h, lag = f"h{layer}", draw.choice((1, 1, 1, 2))
        longest = max(longest, lag)
        equations += _layer(draw, param, h, below, lag)
        below = f"{h}[t]"
    loss, target = _loss(draw, param, below)
    lines += [target, *params, "", *equations, *loss]
    circuit = gg.parse("\n".join(lines), f"generated-{seed}")
    return Subject(circuit.name, circuit, 3 if longest == 1 else 4)


def _affine(draw: Random, param: Any, mark: str, h: str, below: str, lag: int) -> str:
    """Return W @ h[t-k] + U @ x[t] and perhaps a bias, in some order."""
    terms = [f"{param(f'W{mark}', 2)} @ {h}[t-{lag}]", f"{param(f'U{mark}', 2)} @ {below}"]
    if draw.random() < 0.6:
        terms.append(param(f"b{mark}", 1))
    if draw.random() < 0.2:
        terms.append(f"{param(f'r{mark}', 1)} * {h}[t-1]")
    draw.shuffle(terms)
    return " + ".join(terms)


def _layer(draw: Random, param: Any, h: str, below: str, lag: int) -> list[str]:
    """Return the equations of one layer."""
    mark = h[1:]
    bent = draw.choice(("tanh", "tanh", "sigmoid", "sin", "softplus", "relu"))
    kind = draw.choice(("plain", "plain", "named", "gated", "leaky", "cell", "residual"))
    inner = _affine(draw, param, mark, h, below, lag)
    if kind == "named":
        return [f"a{mark}[t] = {inner}", f"{h}[t] = {bent}(a{mark}[t])"]
    if kind == "gated":
        gate = _affine(draw, param, f"z{mark}", h, below, 1)
        return [
            f"z{mark}[t] = sigmoid({gate})",
            f"n{mark}[t] = {bent}({inner})",
            f"{h}[t] = (1 - z{mark}[t]) * n{mark}[t] + z{mark}[t] * {h}[t-1]",
        ]
    if kind == "leaky":
        leak = param(f"k{mark}", 0)
        return [f"{h}[t] = (1 - {leak}) * {h}[t-1] + {leak} * {bent}({inner})"]
    if kind == "cell":
        gate = _affine(draw, param, f"o{mark}", h, below, 1)
        return [
            f"c{mark}[t] = {param(f'q{mark}', 1)} * c{mark}[t-1] + {bent}({inner})",
            f"o{mark}[t] = sigmoid({gate})",
            f"{h}[t] = o{mark}[t] * tanh(c{mark}[t])",
        ]
    if kind == "residual":
        return [f"{h}[t] = {h}[t-1] + 0.5 * {bent}({inner})"]
    return [f"{h}[t] = {bent}({inner})"]


def _loss(draw: Random, param: Any, top: str) -> tuple[list[str], str]:
    """Return the equations of output and loss, and the declaration of the target."""
    output = f"{param('V', 2)} @ {top}" + (f" + {param('c', 1)}" if draw.random() < 0.5 else "")
    kind = draw.choice(("square", "square", "mean", "softmax", "last", "late", "direct"))
    distribution = kind == "softmax"
    target = f"y[t]: {'distribution' if distribution else 'input'}(N)"
    if kind == "softmax":
        return [
            f"p[t] = softmax({output})",
            "loss = sum(cross_entropy(p[t], y[t]) for t in steps)",
        ], target
    error = "squared_error(o[t], y[t])"
    first = [f"o[t] = {output}"]
    if kind == "mean":
        return [*first, f"loss = mean({error} for t in steps)"], target
    if kind == "last":
        return [*first, "loss = squared_error(o[tau], y[tau])"], target
    if kind == "late":
        return [*first, f"loss = sum({error} for t in steps if t > 1)"], target
    if kind == "direct":
        return [*first, "loss = sum(sum(o[t] * y[t]) for t in steps)"], target
    return [*first, f"loss = sum({error} for t in steps)"], target
