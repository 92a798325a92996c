"""Whether the unit-by-unit form has the value of the matrix form, for the whole gallery."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphgrad import cells
from graphgrad.circuit import Circuit
from graphgrad.conditions import holds
from graphgrad.dims import Dim
from graphgrad.errors import DomainError
from graphgrad.ir import At, Expr
from graphgrad.notation.equations import Page, typed
from graphgrad.notation.letters import Unit
from graphgrad.notation.parse import parse
from graphgrad.notation.units import component
from tests.drawn import SIZES, Drawn
from tests.strategies import circuits

Env = dict[Any, int]


class Evaluation:
    """A naive evaluator of unit-by-unit expressions: recursion, loops and dictionaries.

    An environment binds indices of components (letter and primes) and of time (by name).
    """

    def __init__(
        self, page: Page, values: dict[str, Any], sizes: dict[str, int], steps: dict[str, int]
    ) -> None:
        self.page, self.values, self.sizes, self.steps = page, values, sizes, steps
        indices = page.declared.indices.values()
        self.lengths = {index.length: steps[index.name] for index in indices}

    def components(self, root: Expr, env: Env) -> Any:
        """The value of an array expression, each component by its own formula."""
        whole = typed(root, self.page.declared, self.page.types)
        units: tuple[Unit, ...] = ()
        for dim in whole.shape:
            units += (self.page.letters.fresh(dim, units),)
        formula = component(whole, units, self.page.letters)
        found = np.zeros([int(dim.bind(self.sizes)) for dim in whole.shape])
        for where in np.ndindex(*found.shape):
            found[where] = self.scalar(formula, env | bound(units, where))
        return found

    def position(self, unit: Unit, env: Env) -> int:
        own = env[unit.letter, unit.primes] if unit.letter else 0
        return own + int(unit.offset.bind(self.sizes))

    def range(self, unit: Unit) -> int:
        letters = self.page.letters._letters
        dim = next(text for text, letter in letters.items() if letter == unit.letter)
        return int(Dim.of(dim).bind(self.sizes))

    def array(self, leaf: Expr, env: Env) -> Any:
        kind, attr = leaf.op.name, leaf.attr
        if kind in ("param", "input", "static"):
            return self.values[attr]
        if kind == "concat":
            return np.concatenate([np.atleast_1d(self.components(arg, env)) for arg in leaf.args])
        index = self.page.declared.index_of(attr.name)
        length = self.steps[index]
        step = env[index] - attr.lag if kind == "read" else attr.offset + length * attr.last
        series = self.values[attr.name]
        if 1 <= step <= length:
            return series[step - 1]
        for key in (At(attr.name, False, step), At(attr.name, True, step - length)):
            boundary = self.page.declared.boundaries.get(key)
            if boundary is not None:
                return np.broadcast_to(self.components(boundary.root, {}), np.shape(series[0]))
        return np.zeros_like(series[0])

    def scalar(self, root: Expr, env: Env) -> Any:
        name, attr, args = root.op.name, root.attr, root.args
        if name in ("entry", "equal"):
            tokens = iter(args[1:] if name == "entry" else args)
            places = tuple(
                int(self.scalar(next(tokens), env)) if unit is None else self.position(unit, env)
                for unit in (attr.indices if name == "entry" else attr)
            )
            if name == "equal":
                return float(places[0] == places[1])
            return self.array(args[0], env)[places]
        if name in ("sum_over", "max_over"):
            terms = [
                self.scalar(args[0], env | bound(attr, where))
                for where in np.ndindex(*map(self.range, attr))
            ]
            return math.fsum(terms) if name == "sum_over" else max(terms)
        if name == "reduce":
            envs = [env | {attr.over: t} for t in range(1, self.steps[attr.over] + 1)]
            terms = [
                self.scalar(args[0], each)
                for each in envs
                if holds(attr.condition, each | self.lengths)
            ]
            return math.fsum(terms) / (len(terms) if attr.kind == "mean" else 1)
        if name == "choose":
            return self.scalar(args[0 if holds(attr, env | self.lengths) else 1], env)
        if name in ("const", "size", "counter"):
            known: dict[Any, Any] = {"const": {attr: attr}, "size": self.sizes}
            return known.get(name, env | self.lengths)[attr]
        if not args:
            return self.array(root, env)
        forward = root.op.forward
        assert forward is not None
        parts = [self.scalar(arg, env) for arg in args]
        return forward(attr, *parts) if root.op.takes_attr else forward(*parts)


def bound(units: tuple[Unit, ...], where: tuple[int, ...]) -> Env:
    return {(unit.letter, unit.primes): k for unit, k in zip(units, where, strict=True)}


def compare(
    circuit: Circuit, values: dict[str, Any], sizes: dict[str, int], steps: dict[str, int]
) -> None:
    """Compare every equation's unit-by-unit value with the interpreter's."""
    found = circuit.unfold(steps, **sizes).evaluate(values)
    page = Page(circuit.declared(), units=True)
    evaluation = Evaluation(page, {**values, **found}, sizes, steps)
    for equation in circuit.equations.values():
        index, value = equation.index, np.asarray(found[equation.name])
        envs: list[Env] = [{}] if index is None else [{index: k + 1} for k in range(steps[index])]
        for step, env in enumerate(envs):
            expected = value if index is None else value[step]
            shown = evaluation.components(equation.root, env)
            assert np.broadcast_to(shown, expected.shape) == pytest.approx(expected, rel=1e-9)


MIXED = """
x[t]: token(N)
u[t]: input(H)
E: param(N, H)
S: param(H, H)
B: param(N, 2*H+1)
z[t] = split(B @ concat(u[t], S @ u[t], 0.5), 2, N-2)[1]
e[t] = E.T @ onehot(x[t]) - E[x[t]] * mean(S) + outer(u[t], u[t]) @ (E.T @ onehot(1, N))
loss = sum(max(e[t]) + logsumexp(z[t]) + hinge(u[t], e[t]) for t in steps)
"""


@pytest.mark.parametrize("name", [*cells.names(), "mixed"])
def test_gallery(name: str) -> None:
    circuit = parse(MIXED, name) if name == "mixed" else cells.load(name)
    sizes = {size: 3 + k for k, size in enumerate(circuit.sizes)}
    steps = {index: 4 - k for k, index in enumerate(circuit.indices)}
    values = circuit.init(1, **sizes) | circuit.example(2, tau=steps, **sizes)
    compare(circuit, values, sizes, steps)


@given(circuits("smooth"), st.integers(0, 3))
def test_random_circuits(drawn: Drawn, seed: int) -> None:
    circuit = parse(drawn.text())
    try:
        circuit.unfold(drawn.steps)
    except DomainError:
        assume(False)
    values = {name: np.asarray(value) for name, value in drawn.values(seed).items()}
    floats = {n: v.astype(float) if v.dtype == object else v for n, v in values.items()}
    compare(circuit, floats, SIZES, drawn.steps)
