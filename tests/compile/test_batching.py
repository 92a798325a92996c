"""How far sums over the examples go: what a gradient does with a computed parameter."""

from __future__ import annotations

import pytest

import graphgrad as gg
from tests.compile.reference import accurate, expectation, over_examples

NETWORK = """
x[t]: input(D)
S: param(H, H)
U: param(H, D)
{equations}
h[t] = tanh(W @ h[t-1] + U @ x[t])
loss = sum(h[t] @ h[t] for t in steps)
"""
COMPUTED = {
    "antisymmetric": "W = S - S.T",
    "normalized": "g: param()\nW = g * S / sqrt(sum(S * S))",
    "symmetric product": "W = S @ S.T / 4",
    "two stages": "A = exp(S) / 4\nW = A - A.T",
    "rows sum to 1": "W = softmax(S)",
}

SIZES = {"H": 3, "D": 2}


def network(equations: str) -> gg.Circuit:
    return gg.parse(NETWORK.format(equations=equations))


def batched(circuit: gg.Circuit, *outputs: str) -> set[str]:
    """The static values that are computed for each example."""
    schedule = circuit.compile("loss", *outputs, grad="loss").schedule_for(circuit.inputs)
    return {n for n, s in schedule.statements.items() if s.batched and not s.index}


@pytest.mark.parametrize("equations", COMPUTED.values(), ids=COMPUTED)
def test_a_computed_parameter_has_one_cotangent_for_all_examples(equations: str) -> None:
    assert batched(network(equations)) == {"loss"}


@pytest.mark.parametrize("equations", COMPUTED.values(), ids=COMPUTED)
def test_gradients(equations: str) -> None:
    gradients_are_right(equations, "numpy")


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=pytest.mark.oracle(name)) for name in ("jax", "numba")]
)
def test_gradients_by_other_back_ends(backend: str) -> None:
    gradients_are_right(COMPUTED["normalized"], backend)


def gradients_are_right(equations: str, backend: str) -> None:
    circuit = network(equations)
    values = circuit.init(0, **SIZES) | circuit.example(1, 5, (4,), **SIZES)
    found = circuit.compile("loss", grad="loss", backend=backend)(values, batch="sum")
    expected = expectation(circuit, values, 5, "float64")
    for name in (f"d_{p}" for p in circuit.params):
        accurate(found[name], over_examples(expected[name], found[name], (4,), gradient=True))


def test_what_is_asked_for_is_there_for_each_example() -> None:
    """The cotangent of W is an output here, a power of it there: neither may be summed before."""
    adjoint = network("W = S - S.T").adjoint()
    asked = adjoint.compile("d_S", "d_W")
    values = adjoint.init(0, **SIZES) | adjoint.example(1, 5, (4,), **SIZES)
    assert asked(values)["d_W"].shape == (4, 3, 3)
    squared = adjoint.extend("q = sum(d_W * d_W)")
    assert "d_W" in {
        name
        for name, made in squared.compile("q", grad="q").schedule_for(["x"]).statements.items()
        if made.batched
    }
