"""How long contributions take beside one gradient: all pairs of 200 steps, 64 units."""

from __future__ import annotations

import pytest

import graphgrad as gg

TAU, UNITS = 200, 64


@pytest.fixture(params=["elman", "lstm", "gru"])
def unfolded(request):
    circuit = gg.cells.load(request.param)
    sizes = dict.fromkeys(circuit.sizes, UNITS)
    values = circuit.init(0, **sizes) | circuit.example(0, TAU, **sizes)
    return circuit.unfold(TAU), values


def test_gradient(benchmark, unfolded):
    dag, values = unfolded
    swept = dag.grad()
    benchmark.pedantic(swept.evaluate, (values,), rounds=3, warmup_rounds=1)


def test_slices(benchmark, unfolded):
    dag, values = unfolded
    benchmark.pedantic(gg.slices, (dag, values), rounds=3, warmup_rounds=1)


def test_norms_of_contributions(benchmark, unfolded):
    dag, values = unfolded
    benchmark.pedantic(
        dag.contributions, (values,), {"norms": True}, rounds=3, warmup_rounds=1
    )  # fmt: skip


@pytest.mark.parametrize("k", [1, 8, 64])
@pytest.mark.parametrize("kind", [gg.window, gg.chunks])
def test_truncated_adjoint(benchmark, kind, k):
    circuit = gg.cells.load("lstm")
    adjoint = benchmark(circuit.adjoint, truncate=kind(k))
    benchmark.extra_info["equations"] = len(adjoint.equations) - len(circuit.equations)
