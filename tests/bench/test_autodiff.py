"""How long the backward pass takes to write down and to run; both are linear in τ."""

from __future__ import annotations

import pytest

import graphgrad as gg

SIZES = {"H": 8, "D": 4, "K": 3}


@pytest.mark.parametrize("tau", [100, 1_000, 10_000])
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_grad(benchmark, name, tau):
    dag = gg.cells.load(name).unfold(tau)
    backward = benchmark.pedantic(dag.grad, rounds=3, warmup_rounds=1)
    benchmark.extra_info["nodes"] = len(backward)


@pytest.mark.parametrize("tau", [10, 100, 1_000])
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_evaluate(benchmark, name, tau):
    circuit = gg.cells.load(name)
    sizes = {n: SIZES[n] for n in circuit.sizes}
    values = circuit.init(0, **sizes) | circuit.example(0, tau, **sizes)
    backward = circuit.unfold(tau).grad()
    benchmark.pedantic(backward.evaluate, (values,), rounds=3, warmup_rounds=1)


def test_second_order(benchmark):
    dag = gg.cells.load("two_step_scalar").unfold(1_000).grad()
    benchmark.pedantic(dag.grad, ("d_W",), rounds=3, warmup_rounds=1)
