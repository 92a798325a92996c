"""Backward equations as they are printed and gradients node by node, as they were looked at.

What a change of the library does to them is seen here, also where values stay as they are. Four
snapshots: the gallery, the circuits of `tests/adjoint/test_nasty.py`, truncations, and how many
nodes of each op the gradients of unfolded graphs have.
"""

import os
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import graphgrad as gg
from tests.adjoint.test_nasty import NASTY
from tests.faults.subjects import backward, text_of

FOLDER = Path(__file__).parent / "snapshots"
NAMES = [name for name in gg.cells.names() if gg.cells.load(name).params]
TRUNCATED = ("elman", "gru", "lstm", "many_to_many_lag", "skip_connections", "deep_rnn",
             "output_recurrence", "sequence_to_one", "state_space", "one_to_many")  # fmt: skip


def truncated(name, truncation):
    """Return the backward equations of a truncation."""
    circuit = gg.cells.load(name)
    own = set(str(circuit).splitlines())
    adjoint = str(circuit.adjoint(truncate=truncation))
    return "\n".join(line for line in adjoint.splitlines() if line and line not in own)


def nasty(name):
    """Return the backward equations of a hard circuit, by the inputs too."""
    circuit = gg.parse(NASTY[name])
    inputs = [each for each in circuit.inputs if "token" not in str(circuit.inputs[each])]
    own = set(str(circuit).splitlines())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adjoint = str(circuit.adjoint(wrt=[*circuit.params, *inputs]))
    return "\n".join(line for line in adjoint.splitlines() if line and line not in own)


def counted(name):
    """Return how many nodes of each op a gradient has: by all parameters, by the first one."""
    circuit = gg.cells.load(name)
    sizes = {size: number or 2 for size, number in circuit.sizes.items()}
    lines = []
    for wrt in (None, next(iter(circuit.params))):
        dag = circuit.unfold(3, **sizes).grad(wrt=wrt)
        found = Counter(dag.templates[kind].op.name for kind in dag.kinds.tolist())
        lines.append(", ".join(f"{op} {count}" for op, count in sorted(found.items())))
    return "\n".join(lines)


CASES = {
    "adjoints": {n: partial(lambda n: text_of(backward(gg.cells.load(n))), n) for n in NAMES},
    "nasty": {name: partial(nasty, name) for name in NASTY},
    "windows": {name: partial(truncated, name, gg.window(2)) for name in TRUNCATED},
    "chunks": {name: partial(truncated, name, gg.chunks(2)) for name in TRUNCATED},
    "nodes": {name: partial(counted, name) for name in NAMES},
}
EACH = [(file, name) for file, cases in CASES.items() for name in cases]


def stored(file):
    """Return the texts of a snapshot by name."""
    blocks = (FOLDER / f"{file}.txt").read_text(encoding="utf-8").split("\n\n")
    return dict(block.strip().split("\n", 1) for block in blocks)


@pytest.mark.parametrize("file", CASES)
def test_the_snapshot_has_every_circuit(file):
    """GRAPHGRAD_UPDATE_SNAPSHOTS=1 writes them anew, to be read."""
    if os.environ.get("GRAPHGRAD_UPDATE_SNAPSHOTS"):
        blocks = (f"# {name}\n{make()}" for name, make in CASES[file].items())
        (FOLDER / f"{file}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    assert list(stored(file)) == [f"# {name}" for name in CASES[file]]


@pytest.mark.parametrize(("file", "name"), EACH)
def test_what_is_printed_is_as_before(file, name):
    assert CASES[file][name]() == stored(file)[f"# {name}"]
