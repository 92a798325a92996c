"""Pieces of code: conditions, and names that code uses itself."""

from __future__ import annotations

import numpy as np
import pytest

import graphgrad as gg
from graphgrad.compile.code import condition_code
from graphgrad.conditions import ALWAYS, NEVER, Affine, Compare, Condition, both, either, negate
from tests.compile.reference import close

LATE = Compare(">", Affine.name("t"), Affine.number(3))
SECOND = Compare("==", Affine.name("t"), Affine.number(2))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (ALWAYS, [True, True, True, True, True]),
        (NEVER, [False, False, False, False, False]),
        (LATE, [False, False, False, True, True]),
        (either(LATE, SECOND), [False, True, False, True, True]),
        (both(LATE, SECOND), [False, False, False, False, False]),
        (negate(SECOND), [True, False, True, True, True]),
    ],
)
def test_a_condition_says_for_all_steps_whether_it_holds(
    condition: Condition, holds: list[bool]
) -> None:
    """As a mask, and for one step alone."""
    code = condition_code(condition, {"t": "t"})
    steps = np.arange(1, 6)
    mask = np.broadcast_to(eval(code, {"np": np, "t": steps}), 5)
    np.testing.assert_array_equal(mask, holds)
    assert [bool(eval(code, {"np": np, "t": t})) for t in steps] == holds


USED = {
    "numpy": "B np values sizes dtype tile start stop n_H range zip from_last len int bool W_T h_t "
    "h_before t1 h_",
    "jax": "B np values sizes dtype n_H range jnp lax last now delayed advanced int forwards",
    "numba": "B b left mode n_H h_ range W_packed",
}
LENGTH = """t: steps({0})
x[t]: input(H)
W: param(H, H)
q: param(H)
h[t] = tanh(W @ h[t-1] + x[t] + q * {0}) if t > 1 else x[t]
loss = sum(h[t] @ h[t] for t in steps if t < {0}) + sum(h[{0}])
"""
VALUE = """x[t]: input(H)
W: param(H, H)
{0}: param(H)
h[t] = tanh(W @ h[t-1] + {0} * x[t]) if t > 1 else {0}
g[t] = tanh(W @ g[t+1] + h[t])
loss = sum(g[t] @ g[t] for t in steps) + sum(sum({0}) for t in steps if t > 2)
"""
NAMES = [
    pytest.param(text, name, backend, id=f"{kind}-{name}-{backend}", marks=marks)
    for backend, names in USED.items()
    for marks in [[] if backend == "numpy" else [pytest.mark.oracle(backend)]]
    for kind, text in {"length": LENGTH, "value": VALUE}.items()
    for name in names.split()
    if (kind, backend) != ("value", "numba") or name in ("b", "W_packed")
]


@pytest.mark.parametrize(("text", "name", "backend"), NAMES)
def test_names_that_code_uses_itself_are_free_for_circuits(
    text: str, name: str, backend: str
) -> None:
    circuit = gg.parse(text.format(name))
    values = circuit.init(0, H=3) | circuit.example(1, 4, H=3)
    wanted = circuit.unfold(4).grad().evaluate(values)
    found = circuit.compile(grad="loss", backend=backend)(values)
    for key, value in found.items():
        close(value, wanted[key])


SIZES = """x[t]: input(T)
n: param(N, N)
U: param(N, T)
packed: size(3)
last: param(packed, N)
h[t] = tanh(n @ h[t-1] + U @ x[t]) / N
loss = sum(mean(h[t]) + mean(last @ h[t]) + mean(x[t]) for t in steps)
"""


@pytest.mark.parametrize(
    "backend",
    ["numpy", *(pytest.param(n, marks=pytest.mark.oracle(n)) for n in ("numba", "jax"))],
)
def test_names_that_code_makes_are_not_those_of_sizes(backend: str) -> None:
    """The weights n, laid out for a batch, are not called as the sizes N and T are."""
    circuit = gg.parse(SIZES)
    values = circuit.init(0, N=3, T=2) | circuit.example(1, 4, (2,), T=2)
    wanted = circuit.unfold(4, N=3, T=2).grad().evaluate(values)
    found = circuit.compile(grad="loss", backend=backend)(values, batch="sum")
    for key, value in found.items():
        gradient = key in ("d_n", "d_U", "d_last")
        close(value, wanted[key].sum(axis=0) if gradient else wanted[key])
