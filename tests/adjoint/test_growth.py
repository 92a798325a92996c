"""What an adjoint costs: equations for equations, and steps for steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.ir import topological
from tests.adjoint.square import quietly


def stacked(layers: int) -> gg.Circuit:
    """A deep network: each layer reads the one below and itself."""
    lines = ["x[t]: input(H)", "h0[t] = x[t]"]
    for k in range(1, layers + 1):
        lines += [f"W{k}: param(H, H)", f"U{k}: param(H, H)"]
        lines.append(f"h{k}[t] = tanh(W{k} @ h{k}[t-1] + U{k} @ h{k - 1}[t])")
    return gg.parse("\n".join([*lines, f"loss = sum(sum(h{layers}[t]) for t in steps)"]))


def entangled(width: int) -> gg.Circuit:
    """One component of many variables, each reading three others at different lags."""
    lines = ["w: param()"]
    for k in range(width):
        reads = f"v{(k + 1) % width}[t-1] * v{(k + 2) % width}[t-2] + v{(k + 5) % width}[t-3]"
        lines += [f"v{k}[0] = w", f"v{k}[t] = w * ({reads})"]
    return gg.parse("\n".join([*lines, "loss = sum(v0[t] for t in steps)"]))


def chained(length: int) -> gg.Circuit:
    """Static equations and boundary values, each used twice."""
    lines = ["w: param()", "p0 = w"]
    for k in range(1, length + 1):
        lines += [f"p{k} = p{k - 1} * sin(p{k - 1})", f"g{k}[tau+1] = p{k}"]
        lines.append(f"g{k}[t] = w * g{k}[t+1] + (p{k} if t % 2 == 0 else 0)")
    total = " + ".join(f"g{k}[1]" for k in range(1, length + 1))
    return gg.parse("\n".join([*lines, f"loss = {total}"]))


def size(circuit: gg.Circuit) -> tuple[int, int]:
    """The number of equations, and of symbols in all of them."""
    roots = [equation.root for equation in circuit.equations.values()]
    roots += [boundary.root for boundary in circuit.boundaries.values()]
    return len(circuit.equations), len(topological(roots))


@pytest.mark.parametrize("family", [stacked, entangled, chained])
@pytest.mark.parametrize("order", [1, 2])
def test_equations_grow_with_those_of_the_circuit(
    family: Callable[[int], gg.Circuit], order: int
) -> None:
    """Linear: equal steps in n give equal steps in equations and in symbols."""
    sizes = []
    for n in (8, 16, 24):
        circuit = quietly(family(n))
        if order == 2:
            target = next(f"d_{name}" for name in circuit.params)
            shaped = circuit.variables[target].shape
            circuit = circuit.extend(f"probe = {f'sum({target})' if shaped else target}")
            circuit = quietly(circuit, "probe")
        sizes.append(size(circuit))
    for one, two, three in zip(*sizes, strict=True):
        assert three - two == two - one > 0


@pytest.mark.parametrize("name", gg.cells.names())
def test_a_cell_has_about_as_many_backward_equations(name: str) -> None:
    circuit = gg.cells.load(name)
    if "loss" not in circuit.equations:
        return
    own = len(circuit.equations) + len(circuit.boundaries)
    added = len(circuit.adjoint().equations) - len(circuit.equations)
    assert added <= 2 * own + len(circuit.params)


def test_a_hundred_thousand_steps() -> None:
    """Sweeps in both directions, boundary values, and the gradient worked out by hand."""
    tau, w, r = 100_000, 0.9, 0.5
    circuit = gg.parse(
        "w: param()\nr: param()\nx[t]: input()\nh[0] = r\nh[t] = w * h[t-1] + x[t]\n"
        "loss = mean(h[t-2] * x[t] for t in steps)"
    )
    x = np.cos(np.arange(tau))
    found = circuit.adjoint().unfold(tau).evaluate({"w": w, "r": r, "x": x})
    slopes = np.zeros((tau + 2, 3))  # of h[t] by w and by r, beside h[t]; h[-1] = 0, h[0] = r
    slopes[1] = r, 0, 1
    for t in range(2, tau + 2):
        h, by_w, by_r = slopes[t - 1]
        slopes[t] = w * h + x[t - 2], h + w * by_w, w * by_r
    loss, d_w, d_r = x @ slopes[:tau] / tau
    assert found["loss"] == pytest.approx(loss, rel=1e-12)
    assert found["d_w"] == pytest.approx(d_w, rel=1e-12)
    assert found["d_r"] == pytest.approx(d_r, rel=1e-12)
