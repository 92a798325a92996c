"""Commands that look at a circuit: check, show, unfold, code, cells."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graphgrad import cells
from graphgrad.cli.inputs import counted, lengths_for, picture_style, read_circuit, save
from graphgrad.dims import Token, shape_text
from graphgrad.doors import door
from graphgrad.errors import GradientError
from graphgrad.ir import OPS, Expr

if TYPE_CHECKING:
    from graphgrad.circuit import Circuit
    from graphgrad.unfold import Dag, View

LOSS = "loss"
"""What is differentiated where nothing is named."""
_expression = door("graphgrad.notation.text:expression_text")
_module = door("graphgrad.compile.standalone:module_source")
_numba_module = door("graphgrad.compile.standalone_numba:numba_module_source")
_jax_module = door("graphgrad.compile.standalone_jax:jax_module_source")
_circuit = door("viz:circuit")
_unfolded = door("viz:unfolded")


def check(options: argparse.Namespace) -> int:
    """Print shapes and the order of computation."""
    circuit = read_circuit(options.file)
    system = circuit.check()
    sweeps: list[dict[str, Any]] = [
        {
            "variables": [unit for unit in component.units if isinstance(unit, str)],
            "sweep": {1: "forward", -1: "backward", 0: "once"}[component.direction],
            "recurrent": component.recurrent,
        }
        for component in system.components
        if any(isinstance(unit, str) for unit in component.units)
    ]
    if options.json:
        shapes = {v.name: [str(dim) for dim in v.shape] for v in system.variables.values()}
        print(json.dumps({"ok": True, "name": circuit.name, "shapes": shapes, "order": sweeps}))
        return 0
    print(f"{circuit.name} is a circuit: {counted(len(system.variables), 'equation')}")
    for variable in system.variables.values():
        shown = variable.name if variable.index is None else f"{variable.name}[{variable.index}]"
        print(f"  {shown}: {shape_text(variable.shape)}")
    print("computed in this order:")
    for sweep in sweeps:
        kind = f"{sweep['sweep']}, recurrent" if sweep["recurrent"] else sweep["sweep"]
        print(f"  {', '.join(sweep['variables'])}  ({kind})")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print a circuit, and draw it."""
    style = picture_style(options)
    circuit = read_circuit(options.file)
    if options.out is not None:
        save(_circuit(circuit, **style), options.out)
    print(circuit.latex() if options.latex else str(circuit), end="")
    return 0


def unfold(options: argparse.Namespace) -> int:
    """Print the nodes of an unfolded circuit, and draw it."""
    style = picture_style(options)
    circuit = read_circuit(options.file)
    dag = circuit.unfold(lengths_for(circuit, options.tau), **options.sizes)
    if options.out is not None:
        save(_unfolded(circuit, lengths_for(circuit, options.tau), **style), options.out)
    if options.json:
        nodes = [
            {"id": v.id, "op": v.op, "name": v.name, "time": v.time, "args": [a.id for a in v.args]}
            for v in dag.nodes
        ]
        print(json.dumps({"ok": True, "nodes": nodes, "params": list(dag.params)}))
        return 0
    lengths = ", ".join(f"{circuit.indices[i].length} = {n}" for i, n in dag.tau.items())
    print(
        f"{circuit.name} unfolded for {lengths}: {counted(len(dag), 'node')}, "
        f"{counted(len(dag.args), 'edge')}"
    )
    if len(dag) <= options.limit:
        for line in _node_lines(dag):
            print(line)
    else:
        print(f"(--limit {len(dag)} lists them)")
    return 0


def _node_lines(dag: Dag) -> Iterator[str]:
    """Yield a line for each node: `#16  h[1] = tanh(a[1])`."""
    declared = dag.system.declared
    names = {view.id: _node_name(view) for view in dag.nodes}
    width = max(map(len, names.values()))
    for view in dag.nodes:
        kind = view.template.type
        given = [names[arg.id] or f"#{arg.id}" for arg in view.args]
        if view.op in ("param", "input"):
            value = f"{view.op} {kind if isinstance(kind, Token) else shape_text(kind)}"
        elif view.op in ("accumulate", "copy"):
            value = " + ".join(given)
        else:
            args = tuple(
                Expr(OPS["static"], attr=name, type=arg.template.type)
                for name, arg in zip(given, view.args, strict=True)
            )
            value = _expression(Expr(OPS[view.op], args, view.attr, kind), declared)
        sign = "=" if names[view.id] else " "
        yield f"  #{view.id:<4} {names[view.id]:{width}} {sign} {value}"


def _node_name(view: View) -> str:
    name = view.name or ""
    return f"{name}[{view.time}]" if view.op == "input" and view.time is not None else name


def code(options: argparse.Namespace) -> int:
    """Print a module that stands alone."""
    module = {"numba": _numba_module, "jax": _jax_module}.get(options.backend, _module)
    circuit = read_circuit(options.file)
    if options.loss is None and LOSS not in circuit.variables:
        raise _no_loss(circuit)
    print(module(circuit, options.loss or LOSS), end="")
    return 0


def _no_loss(circuit: Circuit) -> GradientError:
    """Return the error for a circuit without a loss, which names all that could be asked for."""
    choices, seed = [], ""
    for name, variable in circuit.variables.items():
        written = name if variable.index is None else f"{name}[{variable.index}]"
        choices.append(f"--loss {name} for {written}, {shape_text(variable.shape)}")
        if variable.index or variable.shape:
            seed = (
                ". What is no single number is weighed by its cotangent, which the module takes "
                f"with the inputs, as seed_{name}"
            )
    return GradientError(
        f"{circuit.name} has no variable called {LOSS}: say what the gradients are of",
        remedy=f"write {'; or '.join(choices)}{seed}",
    )


def list_cells(options: argparse.Namespace) -> int:
    """List the gallery, or print a circuit of it."""
    if options.name:
        text = cells.path(options.name).read_text(encoding="utf-8")
        if options.json:
            data = {"ok": True, "name": options.name, "text": text}
            print(json.dumps(data, ensure_ascii=False, indent=2))
        else:
            print(text, end="")
        return 0
    titles = {name: cells.load(name).title for name in cells.names()}
    if options.json:
        print(json.dumps({"ok": True, "cells": titles}, ensure_ascii=False, indent=2))
        return 0
    width = max(map(len, titles))
    for name, title in titles.items():
        print(f"{name:{width}}  {title}")
    return 0
