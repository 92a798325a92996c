"""Circuits from circuits: open boundaries."""

from __future__ import annotations

from graphgrad.adjoint import boundary_name
from graphgrad.circuit import Circuit
from graphgrad.declared import unused_name
from graphgrad.dims import Token
from graphgrad.ir import OPS, Expr


def opened(circuit: Circuit) -> Circuit:
    """Return the circuit with an input in place of every boundary value that is implicitly zero.

    `h[0]` becomes the static input `h_0`, `h[-1]` becomes `h_m1`, `g[tau+1]` becomes `g_tau1`: what
    a proof quantifies over, and what a stream is continued from. Inputs of the circuit keep their
    zero boundaries.
    """
    system = circuit.check()
    result = Circuit.of(system.declared)
    reads = (node.attr for node in system.graph.nodes if node.op is OPS["read"])
    keys = {key for read in reads for key in read.outside()}
    for key in sorted(keys):
        if key in system.boundary_roots or key.name not in system.variables:
            continue
        shape = system.type_of(key.name)
        assert not isinstance(shape, Token)
        name = unused_name(boundary_name(system, key), result.declared().names())
        result.input(name, *shape)
        result.define_boundary(
            key.name, key.last, key.offset, Expr(OPS["input"], attr=name, type=shape)
        )
    return result
