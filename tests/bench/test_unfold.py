"""How long unfolding takes: an LSTM of 100,000 steps in under 2 s, under 100 bytes a node."""

from __future__ import annotations

import pickle

import pytest

import graphgrad as gg


@pytest.mark.parametrize("tau", [100, 10_000, 100_000])
@pytest.mark.parametrize("name", ["elman", "lstm", "bidirectional", "hidden_markov_model"])
def test_unfold(benchmark, name, tau):
    circuit = gg.cells.load(name)
    circuit.check()
    dag = benchmark.pedantic(circuit.unfold, (tau,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["nodes"] = len(dag)
    benchmark.extra_info["bytes a node"] = dag.nbytes / len(dag)


def test_parse(benchmark):
    text = gg.cells.path("lstm").read_text(encoding="utf-8")
    benchmark(gg.parse, text)


def test_check(benchmark):
    text = gg.cells.path("lstm").read_text(encoding="utf-8")

    def fresh() -> None:
        circuit = gg.parse(text)
        circuit._touch()
        circuit.check()

    benchmark(fresh)


def test_print(benchmark):
    benchmark(str, gg.cells.load("lstm"))


def test_pickle(benchmark):
    dag = gg.cells.load("lstm").unfold(10_000)
    benchmark.pedantic(lambda: pickle.loads(pickle.dumps(dag)), rounds=5)
