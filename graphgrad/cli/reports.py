"""The command `report`: everything, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from graphgrad.cli.gradients import equation_lines
from graphgrad.cli.inputs import lengths_for, make_folder, read_circuit, waiting
from graphgrad.doors import door

_prove = door("graphgrad.proof.prove:prove")
_circuit = door("viz:circuit")
_unfolded = door("viz:unfolded")
_report = door("viz:report")
FORMATS = ("svg", "png", "pdf")


def report(options: argparse.Namespace) -> int:
    """Write the report and the pictures, and print equations and proof."""
    circuit = read_circuit(options.file)
    style = options.style or "colour"
    tau = lengths_for(circuit, options.tau)
    out = Path(options.out)
    make_folder(out)
    proof = None
    has_gradient = options.loss in circuit.equations and circuit.params
    if has_gradient:
        print(f"Backpropagation through time of {circuit.name}:\n")
        for line in equation_lines(circuit, circuit.adjoint(options.loss)):
            print(f"  {line}")
        print()
        with waiting("proving the gradient"):
            proof = _prove(
                circuit,
                options.loss,
                tau=tau,
                sizes=options.sizes,
                time_limit=options.time_limit,
            )
        print(proof)
    else:
        print(f"{circuit.name} has no {options.loss} with parameters: nothing to differentiate")
    print()
    written = []
    with waiting("drawing"):
        for kind, drawing in (
            ("circuit", _circuit(circuit, style=style)),
            ("unfolded", _unfolded(circuit, tau, style=style)),
        ):
            for suffix in FORMATS:
                path = out / f"{circuit.name}-{kind}.{suffix}"
                drawing.save(path)
                written.append(path)
        page = out / f"{circuit.name}.html"
        _report(circuit, tau=tau, sizes=options.sizes, loss=options.loss, proof=proof).save(page)
        written.insert(0, page)
    for path in written:
        print(f"wrote {path}")
    return 0 if proof is None or proof.ok else 1
