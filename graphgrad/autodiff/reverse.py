"""Reverse mode on an unfolded graph: the backward nodes appended to the same flat arrays."""

from __future__ import annotations

from collections.abc import Iterable

from graphgrad.autodiff.requests import cotangent_prefix, scalar_root, targets_of
from graphgrad.autodiff.sweep import Sweep
from graphgrad.dims import Token
from graphgrad.ir import OPS
from graphgrad.unfold import Dag, Series


def grad(dag: Dag, loss: str = "loss", wrt: Iterable[str] | str | None = None) -> Dag:
    """Return the graph with the backward pass of a scalar appended.

    `wrt` names parameters and inputs; all parameters, if left out. The new graph has the outputs
    `d_W` for them (`dd_` where `d_` is taken), zero where the loss does not depend on them, and the
    series `d_h` for every variable that depends on one of them or does not matter. Raises
    GradientError for a loss that is no scalar, UnknownNameError for names that do not exist.
    """
    root = scalar_root(dag, loss)
    targets = targets_of(dag, wrt)
    names = {*dag.series, *dag.outputs, *dag.param_nodes}
    prefix = cotangent_prefix(names)
    wanted = {name: one for name, one in dag.series.items() if name not in dag.system.inputs}
    wanted |= {name: dag.series[name] for name in targets if name in dag.system.inputs}
    beyond = {
        name: {
            step: node
            for step, node in one.outside.items()
            if dag.templates[dag.kinds[node]].op not in (OPS["fill"], OPS["const"])
        }
        for name, one in wanted.items()
    }
    instances = {
        name: [*one.nodes.tolist(), *beyond[name].values()] for name, one in wanted.items()
    }
    sweep = Sweep(dag)
    starts = [node for nodes in targets.values() for node in nodes.tolist()]
    reached = sweep.run(root, starts, list(instances.values()))
    unknown = [name for name, nodes in instances.items() if not reached[nodes[0]]]
    matters = sweep.flow.matters(root) if unknown else bytearray()
    outputs = dict(dag.outputs)
    series = dict(dag.series)
    for name, one in wanted.items():
        if name in unknown and any(matters[node] for node in instances[name]):
            continue  # its cotangent is not zero, and nobody asked for it
        kind = () if isinstance(one.type, Token) else one.type
        nodes = sweep.cotangents(one.nodes.tolist(), kind)
        outside = {
            step: int(sweep.cotangents([node], kind)[0]) for step, node in beyond[name].items()
        }
        series[prefix + name] = Series(prefix + name, one.index, kind, nodes, outside)
    for name in targets:
        if name in dag.param_nodes:
            shape = dag.system.params[name].shape
            outputs[prefix + name] = int(sweep.cotangents([dag.param_nodes[name]], shape)[0])
    return sweep.dag(series, outputs)
