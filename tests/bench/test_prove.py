"""How long proofs take: certificates at several sizes, and one probabilistic proof; no assertions.

Run with `make bench`. Parsing is left out, deriving the backward passes is part of a proof.
"""

from __future__ import annotations

import pytest

import graphgrad as gg

PROVABLE = [name for name in gg.cells.names() if gg.cells.load(name).params]
LARGE = [
    ("lstm", 8, 20),
    ("elman", 8, 20),
    ("elman", 32, 50),
    ("lstm", 16, 50),
    ("lstm", 2, 1000),
]


def prove(circuit, n, tau, method):
    sizes = dict.fromkeys(circuit.sizes, n)
    proof = gg.prove(circuit, method=method, tau=tau, sizes=sizes, time_limit=120)
    assert proof.ok, proof


@pytest.mark.parametrize("name", PROVABLE)
def test_small_certificate(benchmark, name):
    circuit = gg.cells.load(name)
    benchmark.pedantic(prove, (circuit, 3, 6, "certificate"), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize(("name", "n", "tau"), LARGE)
def test_large_certificate(benchmark, name, n, tau):
    benchmark.pedantic(prove, (gg.cells.load(name), n, tau, "certificate"), rounds=1)


def test_probabilistic(benchmark):
    benchmark.pedantic(prove, (gg.cells.load("lstm"), 32, 30, "probabilistic"), rounds=1)
