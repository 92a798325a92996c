"""Whether the unit-by-unit form has the value of the matrix form, for the whole gallery."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from graphgrad import cells
from graphgrad.conditions import holds
from graphgrad.dims import Dim
from graphgrad.ir import Expr
from graphgrad.notation.equations import Page, typed
from graphgrad.notation.letters import Unit
from graphgrad.notation.parse import parse
from graphgrad.notation.units import component


class Evaluation:
    """A naive evaluator of unit-by-unit expressions: recursion, loops and dictionaries."""

    def __init__(self, page: Page, values: dict[str, Any], sizes: dict[str, int], tau: int):
        self.page, self.values, self.sizes, self.tau = page, values, sizes, tau

    def position(self, unit: Unit, env: dict[Any, int]) -> int:
        own = env[unit.letter, unit.primes] if unit.letter else 0
        return own + int(unit.offset.bind(self.sizes))

    def array(self, leaf: Expr, env: dict[Any, int]) -> Any:
        kind, attr = leaf.op.name, leaf.attr
        if kind in ("param", "input", "static"):
            return self.values[attr]
        if kind == "concat":
            return np.concatenate([np.atleast_1d(self.array(arg, env)) for arg in leaf.args])
        step = env["t"] - attr.lag if kind == "read" else attr.offset + self.tau * attr.last
        series = self.values[attr.name]
        if 1 <= step <= self.tau:
            return series[step - 1]
        declared = self.page.declared
        for key, boundary in declared.boundaries.items():
            if key.name == attr.name and step == key.offset + self.tau * key.last:
                return np.broadcast_to(self.boundary(boundary.root), np.shape(series[0]))
        return np.zeros_like(series[0])

    def boundary(self, root: Expr) -> Any:
        whole = typed(root, self.page.declared, self.page.types)
        shape = [int(dim.bind(self.sizes)) for dim in whole.shape]
        letters = self.page.letters
        units: tuple[Unit, ...] = ()
        for dim in whole.shape:
            units += (letters.fresh(dim, units),)
        found = np.zeros(shape)
        for where in np.ndindex(*shape):
            env = {(u.letter, u.primes): k for u, k in zip(units, where, strict=True)}
            found[where] = self.scalar(component(whole, units, letters), env)
        return found

    def lengths(self, unit: Unit) -> int:
        for text, letter in self.page.letters._letters.items():
            if letter == unit.letter:
                return int(Dim.of(text).bind(self.sizes))
        raise AssertionError(unit)

    def scalar(self, root: Expr, env: dict[Any, int]) -> Any:
        name, attr, args = root.op.name, root.attr, root.args
        if name == "entry":
            tokens = iter(args[1:])
            where = [
                int(self.scalar(next(tokens), env)) if u is None else self.position(u, env)
                for u in attr.indices
            ]
            return self.array(args[0], env)[tuple(where)]
        if name == "equal":
            tokens = iter(args)
            sides = [
                int(self.scalar(next(tokens), env)) if u is None else self.position(u, env)
                for u in attr
            ]
            return float(sides[0] == sides[1])
        if name in ("sum_over", "max_over"):
            ranges = [range(self.lengths(u)) for u in attr]
            terms = [
                self.scalar(
                    args[0],
                    env | {(u.letter, u.primes): k for u, k in zip(attr, where, strict=True)},
                )
                for where in np.ndindex(*map(len, ranges))
            ]
            return math.fsum(terms) if name == "sum_over" else max(terms)
        if name == "reduce":
            steps = [
                t
                for t in range(1, self.tau + 1)
                if holds(attr.condition, {"t": t, "tau": self.tau})
            ]
            total = math.fsum(self.scalar(args[0], env | {"t": t}) for t in steps)
            return total / len(steps) if attr.kind == "mean" else total
        if name == "choose":
            chosen = holds(attr, {"t": env.get("t", 0), "tau": self.tau})
            return self.scalar(args[0 if chosen else 1], env)
        if name == "const":
            return attr
        if name == "size":
            return self.sizes[attr]
        if name == "counter":
            return self.tau if attr == "tau" else env[attr]
        if not args:
            return self.array(root, env)
        parts = [self.scalar(arg, env) for arg in args]
        forward = root.op.forward
        assert forward is not None
        return forward(attr, *parts) if root.op.takes_attr else forward(*parts)


ONE_INDEX = [n for n in cells.names() if list(cells.load(n).indices) == ["t"]]
MIXED = """
x[t]: token(N)
u[t]: input(H)
E: param(N, H)
S: param(H, H)
B: param(N, 2*H+1)
z[t] = split(B @ concat(u[t], S @ u[t], 0.5), 2, N-2)[1]
e[t] = E.T @ onehot(x[t]) - E[x[t]] * mean(S) + outer(u[t], u[t]) @ at(E, 0)
loss = sum(max(e[t]) + logsumexp(z[t]) + hinge(u[t], e[t]) for t in steps)
""".replace("at(E, 0)", "(E.T @ onehot(1, N))")


@pytest.mark.parametrize("name", [*ONE_INDEX, "mixed"])
def test_units_have_the_value_of_matrices(name: str) -> None:
    circuit = parse(MIXED, name) if name == "mixed" else cells.load(name)
    tau = 4
    sizes = {size: 3 + k for k, size in enumerate(circuit.sizes)}
    values = circuit.init(1, **sizes) | circuit.example(2, tau=tau, **sizes)
    found = circuit.unfold(tau, **sizes).evaluate(values)
    page = Page(circuit.declared(), units=True)
    evaluation = Evaluation(page, {**values, **found}, sizes, tau)
    for equation in circuit.equations.values():
        whole = typed(equation.root, page.declared, page.types)
        units: tuple[Unit, ...] = ()
        for dim in page.types[equation.name]:
            units += (page.letters.fresh(dim, units),)
        scalar = component(whole, units, page.letters)
        for step in range(1, tau + 1) if equation.index else [None]:
            value = np.asarray(found[equation.name])
            value = value if step is None else value[step - 1]
            for where in np.ndindex(value.shape):
                env: dict[Any, int] = {} if step is None else {"t": step}
                env |= {(u.letter, u.primes): k for u, k in zip(units, where, strict=True)}
                assert evaluation.scalar(scalar, env) == pytest.approx(value[where], rel=1e-12)
