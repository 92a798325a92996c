"""Probabilistic proofs: Schwartz–Zippel modulo a random prime, for sizes beyond a certificate.

Everything is evaluated once at a random point: data are random numbers modulo a random 127-bit
prime, each function has a random value at each argument. The true derivative of the loss in a
random direction is carried along with the forward pass; the claimed gradient is the backward pass
at the same point, times the direction. If both sides are the same function they agree. If they are
not, their difference is a polynomial that is not zero, and it vanishes at the random point with a
probability of at most ε, which has three parts:

* degree / prime (Schwartz 1980, Zippel 1979): the point is a zero of the polynomial;
* the prime divides all its coefficients: a number of b bits has at most b/126 such prime factors,
  and there are more than 2**117 primes to draw from;
* two arguments that differ as functions are equal at the point, so that two independent values were
  taken for one: the first two parts again, for each pair.

Degrees and coefficients are bounded by `shadow.py`. The bound is about the draw, whatever the
circuit; an attacker who knows the draw beforehand could fool it, so it is taken from the system's
own source of randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import log2, prod
from random import Random, SystemRandom
from typing import Any

import numpy as np
import sympy

from graphgrad.algebras import flat
from graphgrad.dims import Token, concrete
from graphgrad.evaluate import kernel_of
from graphgrad.proof.certificate import BackwardPass
from graphgrad.proof.clock import Clock
from graphgrad.proof.degrees import ZERO, Shadow
from graphgrad.proof.poly import UndecidableError
from graphgrad.proof.residues import Residue, ResidueAlgebra, Table, UnluckyError
from graphgrad.proof.shadow import Pair, Shadows

PRIME_BITS = 127
ATTEMPTS = 20
LOG_PRIMES = 117
"""log2 of a lower bound of the number of 127-bit primes that are 3 modulo 4."""


@dataclass(frozen=True)
class Outcome:
    """What one random point shows: gradients that agree, and log2 of the error bound."""

    agreeing: frozenset[str]
    log_error: float


def probed(
    passes: BackwardPass,
    clock: Clock,
    draw: Random | None = None,
    agree: Callable[[Point, Iterable[str]], bool] = lambda point, names: point.agrees(names),
    runs: int = 1,
) -> Outcome:
    """Return which gradients agree at a random point.

    All parameters are tested together by one direction; only where that fails, each by its own.
    `agree` compares in place of `Point.agrees`, in so many `runs`.
    """
    source = SystemRandom() if draw is None else draw
    names = list(passes.gradients)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            point = Point(passes, source, clock)
            together = agree(point, names)
            agreeing = names if together else [name for name in names if agree(point, [name])]
            tests = attempt * (1 + len(names)) * runs
            return Outcome(frozenset(agreeing), point.log_error() + log2(tests))
        except UnluckyError:
            continue
    raise UndecidableError("no random point was found at which everything has a value")


class Point:
    """Both passes at one random point; the tangent is recomputed for each direction."""

    def __init__(self, passes: BackwardPass, source: Random, clock: Clock) -> None:
        self.passes = passes
        self.clock = clock
        self.prime = _prime(source)
        self.table = Table(self.prime, source)
        self.algebra = ResidueAlgebra(self.table)
        dag = passes.dag
        self.arrays = self._data()
        self.kernels = [
            kernel_of(dag, t, self.arrays, dag.sizes, self.algebra) for t in dag.templates
        ]
        self.forward = passes.forward()
        self.values: list[Any] = [None] * len(dag)
        self.claimed: dict[str, list[int]] | None = None

    def agrees(self, names: Iterable[str]) -> bool:
        """Whether claimed and true derivative agree in a random direction of these names."""
        direction = self.direct(names)
        truth = self.run()
        return (self.along(direction) - truth) % self.prime == 0

    def direct(self, names: Iterable[str]) -> dict[str, list[int]]:
        """Let parameters and inputs move in a random direction; the others stand still."""
        wanted = set(names)
        direction: dict[str, list[int]] = {}
        for name in self.passes.gradients:
            entries = flat(self.arrays[name])
            drawn = [self.table.draw() if name in wanted else 0 for _ in entries]
            direction[name] = drawn
            for entry, slope in zip(entries, drawn, strict=True):
                entry.tangent = slope
        return direction

    def along(self, direction: Mapping[str, list[int]]) -> int:
        """Return the claimed derivative in a direction."""
        assert self.claimed is not None
        return sum(
            value * slope
            for name, slopes in direction.items()
            for value, slope in zip(self.claimed[name], slopes, strict=True)
        )

    def _data(self) -> dict[str, Any]:
        system, dag = self.passes.dag.system, self.passes.dag
        found: dict[str, Any] = {}
        for name, param in system.params.items():
            found[name] = self._array(concrete(param.shape, dag.sizes), unit=False)
        for name, declared in system.inputs.items():
            token = isinstance(declared.type, Token)
            dims = (declared.type.size,) if isinstance(declared.type, Token) else declared.type
            shape = concrete(dims, dag.sizes)
            lead = () if declared.index is None else (dag.tau[declared.index],)
            found[name] = self._array(
                (*lead, *shape), unit=token or declared.kind == "distribution"
            )
        return found

    def _array(self, shape: tuple[int, ...], *, unit: bool) -> Any:
        result = np.empty(shape, object)
        for position in np.ndindex(*shape):
            result[position] = Residue(self.table, self.table.draw())
        if unit:
            for row in np.ndindex(*shape[:-1]):
                total = sum(entry.value for entry in result[row][:-1])
                result[(*row, -1)] = Residue(self.table, (1 - total) % self.prime)
        return result if shape else result[()]

    def run(self, passes_edge: Callable[[int, int], bool] | None = None) -> int:
        """Return the tangent of the loss, modulo the prime; the first time, compute both passes.

        `passes_edge` says of an argument and its user whether a tangent goes that way.
        """
        dag, passes = self.passes.dag, self.passes
        starts, args = dag.starts.tolist(), dag.args.tolist()
        kinds, times = dag.kinds.tolist(), dag.times.tolist()
        store = self.values
        first = self.claimed is None
        for node in range(len(dag)):
            if not (first or self.forward[node]):
                continue
            self.clock.count(node, len(dag), "nodes at a random point")
            arguments = args[starts[node] : starts[node + 1]]
            operands = [store[arg] for arg in arguments]
            if passes_edge is not None and self.forward[node]:
                operands = [
                    value if passes_edge(arg, node) else _without_tangent(value)
                    for arg, value in zip(arguments, operands, strict=True)
                ]
            name = dag.templates[kinds[node]].op.name
            if name == "matmul":
                store[node] = self._matmul(*operands, tangent=bool(self.forward[node]))
            elif name == "lookup" and np.ndim(operands[1]):
                table, token = operands
                tangent = bool(self.forward[node])
                store[node] = self._matmul(table.T, token, tangent=tangent)
            elif name == "outer" and not self.forward[node]:
                u, v = (_values(operand) for operand in operands)
                store[node] = self._residues(np.multiply.outer(u, v) % self.prime)
            elif name == "accumulate" and not self.forward[node]:
                store[node] = self._residues(sum(map(_values, operands)) % self.prime)
            else:
                store[node] = self.kernels[kinds[node]](times[node], *operands)
        if first:
            self.claimed = {
                name: [entry.value for node in nodes for entry in flat(store[node])]
                for name, nodes in passes.gradients.items()
            }
        return self._loss(store) % self.prime

    def _loss(self, store: list[Any]) -> int:
        """Return the tangent of the loss, or of its product with the upstream cotangent."""
        passes = self.passes
        index = passes.dag.system.index_of(passes.loss)
        length = passes.dag.tau[index] if index else 0
        total = 0
        for (name, step), node in passes.values.items():
            if name != passes.loss or (step is not None and not 1 <= step <= length):
                continue
            entries = flat(store[node])
            upstream = [1] * len(entries)
            if passes.seed is not None:
                given = self.arrays[passes.seed]
                upstream = [e.value for e in flat(given if step is None else given[step - 1])]
            total += sum(e.tangent * seed for e, seed in zip(entries, upstream, strict=True))
        return total

    def _matmul(self, a: Any, b: Any, *, tangent: bool) -> Any:
        """Return a product, reduced once for each entry."""
        u, v = _values(a), _values(b)
        value: Any = u @ v % self.prime
        slope: Any = value * 0
        if tangent:
            slope = (_tangents(a) @ v + u @ _tangents(b)) % self.prime
        return self._residues(value, slope)

    def _residues(self, value: Any, slope: Any = 0) -> Any:
        """Return numbers, or an array of numbers, with their tangents."""
        table = self.table
        if not isinstance(value, np.ndarray):
            return Residue(table, value, slope)
        make = np.frompyfunc(lambda x, y: Residue(table, x, y), 2, 1)
        return make(value, slope)

    def log_error(self) -> float:
        """Return log2 of a bound of the probability that a wrong gradient agrees."""
        shadows, dag = Shadows(self.passes.dag), self.passes.dag
        pairs: list[Pair] = []
        starts, args = dag.starts.tolist(), dag.args.tolist()
        for node in range(len(dag)):
            operands = args[starts[node] : starts[node + 1]]
            if not operands:
                attr = dag.templates[int(dag.kinds[node])].attr
                pairs.append(shadows.leaf(node, varies=attr in self.passes.gradients))
                continue
            given = [pairs[arg] for arg in operands]
            if not self.forward[node]:
                given = [(value, ZERO) for value, _ in given]
            pairs.append(shadows.node(node, given, operands))
        bounds = shadows.bounds
        sides: list[Shadow] = []
        for (name, _), node in self.passes.values.items():
            if name == self.passes.loss:
                sides.append(bounds.product(pairs[node][1], Shadow(1)))
        for nodes in self.passes.gradients.values():
            for node in nodes:
                entries = prod(np.shape(self.values[node])) if self.values[node] is not None else 1
                sides.append(bounds.sum([bounds.product(pairs[node][0], Shadow(1))], entries))
        return _log_error(shadows, bounds.sum(sides))


def _without_tangent(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        result = np.empty(value.shape, object)
        for position in np.ndindex(*value.shape):
            result[position] = _without_tangent(value[position])
        return result
    return Residue(value.table, value.value) if isinstance(value, Residue) else value


def _log_error(shadows: Shadows, difference: Shadow) -> float:
    bounds = shadows.bounds
    degree, bits = bounds.total(difference)
    pairs = 4 * (bounds.atoms + 1) ** 2
    zeros = degree + pairs * 2 * bounds.largest
    divisible = (bits + pairs * 2 * bounds.widest) / (PRIME_BITS - 1)
    return float(
        np.logaddexp2(log2(zeros + 1) - (PRIME_BITS - 1), log2(divisible + 1) - LOG_PRIMES)
    )


def _prime(source: Random) -> int:
    """Return a random 127-bit prime p with p % 4 == 3, at which roots are powers."""
    while True:
        candidate = source.getrandbits(PRIME_BITS - 1) | 1 << (PRIME_BITS - 1) | 3
        if sympy.isprime(candidate):
            return candidate


_values: Any = np.frompyfunc(lambda entry: entry.value, 1, 1)
_tangents: Any = np.frompyfunc(lambda entry: entry.tangent, 1, 1)
