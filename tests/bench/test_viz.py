"""How long pictures of the gallery take, from the circuit to the SVG.

The measure, on one core: LSTM, τ = 50 under 1 s, τ = 1000 under 5 s, growth linear; folded, with
τ = 10⁶, under 0.5 s.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import graphgrad as gg
import viz
from viz.drawing import Drawing


def svg(draw: Callable[..., Drawing], *args: object, **options: object) -> str:
    """The picture as text, with nothing kept from the call before."""
    return draw(*args, **options).svg


@pytest.mark.parametrize("level", ["variables", "operations"])
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_circuit(benchmark, name, level):
    benchmark(svg, viz.circuit, gg.cells.load(name), level=level)


@pytest.mark.parametrize("tau", [3, 50, 1000])
def test_unfolded(benchmark, tau):
    circuit = gg.cells.load("lstm")
    rounds = 1 if tau == 1000 else 5
    benchmark.pedantic(
        svg, (viz.unfolded, circuit, tau), {"fold": (tau, 0)}, rounds=rounds, warmup_rounds=1
    )


@pytest.mark.parametrize("tau", [50, 10**6])
def test_folded(benchmark, tau):
    benchmark(svg, viz.unfolded, gg.cells.load("lstm"), tau)


@pytest.mark.parametrize("tau", [3, 50, 1000])
def test_backward(benchmark, tau):
    circuit = gg.cells.load("lstm")
    benchmark.pedantic(
        svg, (viz.backward, circuit, tau), {"fold": (tau, 0)}, rounds=1, warmup_rounds=tau < 1000
    )


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_files(benchmark, ending):
    circuit = gg.cells.load("lstm")
    benchmark.pedantic(lambda: viz.unfolded(circuit, 3).to_bytes(ending), rounds=3, warmup_rounds=1)
