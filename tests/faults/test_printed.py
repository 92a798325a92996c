"""The backward equations of the gallery, as they are printed, compared with what was looked at."""

import os
from pathlib import Path

import pytest

import graphgrad as gg
from tests.faults.subjects import backward, text_of

SNAPSHOT = Path(__file__).parent / "snapshots" / "adjoints.txt"
NAMES = [name for name in gg.cells.names() if gg.cells.load(name).params]


def stored():
    """Return the equations of each circuit by its name."""
    blocks = SNAPSHOT.read_text(encoding="utf-8").split("\n\n")
    return dict(block.strip().split("\n", 1) for block in blocks)


def test_the_snapshot_has_every_circuit():
    found = {f"# {name}": text_of(backward(gg.cells.load(name))) for name in NAMES}
    if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
        text = "\n\n".join(f"{name}\n{equations}" for name, equations in found.items())
        SNAPSHOT.write_text(text + "\n", encoding="utf-8")
    assert list(stored()) == list(found)


@pytest.mark.parametrize("name", NAMES)
def test_backward_equations_are_printed_as_before(name):
    assert text_of(backward(gg.cells.load(name))) == stored()[f"# {name}"]
