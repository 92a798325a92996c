"""The code that is made of circuits, as committed: what one reads is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphgrad as gg
from graphgrad.compile import emit_jax, emit_numba
from graphgrad.compile.emit_numpy import emit_numpy
from graphgrad.compile.masked import masked
from graphgrad.compile.streams import streamed
from tests.snapshots import same_as_snapshot

SNAPSHOTS = Path(__file__).with_name("snapshots")
CELLS = (
    "elman",
    "lstm",
    "lstm_peephole",
    "gru",
    "output_recurrence",
    "bidirectional",
    "encoder_decoder",
    "skip_connections",
    "hidden_markov_model",
    "variable_length",
)


def page(circuit: gg.Circuit, *, batch: bool = True) -> str:
    """What every back end makes of the loss and its gradients."""
    compiled = circuit.compile("loss", grad="loss")
    schedule = compiled.schedule_for(circuit.inputs if batch else ())
    sources = {
        "NumPy": emit_numpy(schedule, "compiled").source,
        "Numba": emit_numba.emit(schedule).source,
        "JAX": emit_jax.emit(schedule),
    }
    return "\n".join(f"# {name}\n\n{source.strip()}\n" for name, source in sources.items())


def same_as_committed(found: str, name: str) -> None:
    same_as_snapshot(found, SNAPSHOTS / f"{name}.txt")


@pytest.mark.parametrize("name", CELLS)
def test_batches(name: str) -> None:
    same_as_committed(page(gg.cells.load(name)), name)


def test_one_example() -> None:
    same_as_committed(page(gg.cells.load("lstm"), batch=False), "one-example")


def test_ragged_batches() -> None:
    made = masked(gg.cells.load("gru"))
    assert made is not None
    same_as_committed(page(made.circuit), "ragged")


def test_pieces_of_a_stream() -> None:
    same_as_committed(page(streamed(gg.cells.load("elman")).circuit), "stream")


def test_every_page_belongs_to_a_test() -> None:
    pages = {path.stem for path in SNAPSHOTS.iterdir()}
    assert pages == {*CELLS, "one-example", "ragged", "stream"}
