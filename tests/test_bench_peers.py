"""What benchmarks compare with computes the same: passes by hand, cells for tapes, layers."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

import graphgrad as gg
from tests.bench.cell_steps import CELLS
from tests.bench.grid import check_same, circuit_of

pytestmark = [pytest.mark.oracle("torch"), pytest.mark.oracle("autograd")]


@pytest.mark.parametrize("name", CELLS)
def test_peers_compute_what_we_compute(name: str) -> None:
    peers: Any = importlib.import_module("tests.bench.peers")
    cell, circuit = CELLS[name], circuit_of(name)
    sizes = {"H": 3, "D": 2, "K": 4}
    params, data = circuit.init(0, **sizes), circuit.example(1, 5, (2,), **sizes)
    wanted = gg.value_and_grad(circuit)(params, **data)
    ways = peers.by_hand(name, params, data) | peers.torch_layer(name, params, data)
    ways |= peers.torch_loop(cell, params, data) | peers.hips_autograd(cell, params, data)
    assert len(ways) == 3 + (name in peers.LAYERS)
    for way in ways.values():
        check_same(name, wanted, way.read(way.run()), 1e-12)
