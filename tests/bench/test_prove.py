"""How long proofs take: certificates, induction over τ, a probabilistic proof; what is to be held.

Run with `make bench`. Parsing and imports are left out, deriving the backward passes is part of a
proof. On two shared cores the medians are to be below: 0.1 s for small certificates, 1 s for LSTM
and Elman at n = 8, τ = 20, 10 s for the other large ones, 1 s for induction, 2 s at random points.
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
    return proof


@pytest.mark.parametrize("name", PROVABLE)
def test_small_certificate(benchmark, name):
    circuit = gg.cells.load(name)
    benchmark.pedantic(prove, (circuit, 3, 6, "certificate"), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize(("name", "n", "tau"), LARGE)
def test_large_certificate(benchmark, name, n, tau):
    benchmark.pedantic(prove, (gg.cells.load(name), n, tau, "certificate"), rounds=1)


@pytest.mark.parametrize("name", PROVABLE)
def test_induction(benchmark, name):
    circuit = gg.cells.load(name)
    benchmark.pedantic(prove, (circuit, 8, 3, "induction"), rounds=3, warmup_rounds=1)


def test_probabilistic(benchmark):
    arguments = (gg.cells.load("lstm"), 32, 30, "probabilistic")
    proof = benchmark.pedantic(prove, arguments, rounds=3, warmup_rounds=1)
    assert min(claim.error for claim in proof.claims) > 60
