"""The command `grad`: backward and forward equations, sums over paths."""

from __future__ import annotations

import argparse
import json
import re

from graphgrad.circuit import Circuit
from graphgrad.cli.inputs import UsageError, lengths_for, picture_style, read_circuit, save
from graphgrad.doors import door

_backward = door("viz:backward")


def grad(options: argparse.Namespace) -> int:
    """Print the equations of a gradient or of forward mode, and draw the backward view."""
    style = picture_style(options)
    if options.derivatives and options.out is None:
        raise UsageError("--derivatives is about a picture", remedy="name it: --out backward.svg")
    if options.through is not None and options.paths is None:
        raise UsageError("--through is about paths", remedy="write --paths W --through h,L")
    circuit = read_circuit(options.file)
    if options.out is not None:
        drawing = _backward(
            circuit,
            lengths_for(circuit, options.tau),
            loss=options.loss,
            wrt=options.wrt,
            derivatives=options.derivatives,
            **style,
        )
        save(drawing, options.out)
    if options.paths is not None:
        return _paths(circuit, options)
    if options.tangent:
        derived = circuit.tangent(options.wrt)
    else:
        derived = circuit.adjoint(options.loss, wrt=options.wrt)
    found = [
        equation for name, equation in derived.equations.items() if name not in circuit.equations
    ]
    if options.latex:
        print(derived.latex(only=[equation.name for equation in found]), end="")
    elif options.json:
        print(json.dumps({"ok": True, "equations": [str(equation) for equation in found]}))
    elif options.whole:
        print(str(derived), end="")
    else:
        for line in equation_lines(circuit, derived):
            print(line)
    return 0


def _paths(circuit: Circuit, options: argparse.Namespace) -> int:
    """Print gradients as sums over paths."""
    dag = circuit.unfold(lengths_for(circuit, options.tau), **options.sizes)
    names = options.paths or options.wrt or list(circuit.params)
    through = None if options.through is None else [n for n in options.through.split(",") if n]
    found = [dag.paths(_instance(name), options.loss, through=through) for name in names]
    if options.json:
        data = [
            {"wrt": name, "text": str(paths), "terms": [term.points for term in paths]}
            for name, paths in zip(names, found, strict=True)
        ]
        print(json.dumps({"ok": True, "paths": data}, ensure_ascii=False))
        return 0
    for paths in found:
        print(paths.latex() if options.latex else paths, end="" if options.latex else "\n")
    return 0


def _instance(text: str) -> str | tuple[str, int]:
    """Return `h[1]` as a name with a step, any other name as it is."""
    found = re.fullmatch(r"(.+)\[(-?\d+)\]", text)
    return (found[1], int(found[2])) if found else text


def equation_lines(circuit: Circuit, derived: Circuit) -> list[str]:
    """Return the lines of a derived circuit's text that the circuit's own text does not have."""
    own = set(str(circuit).splitlines())
    return [line for line in str(derived).splitlines() if line and line not in own]
