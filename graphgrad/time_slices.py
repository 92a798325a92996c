"""Gradients by time slice: what each step's use of a shared parameter contributes.

The gradient of a shared parameter is the *sum* over its uses. Some texts report the *mean* over the
time slices instead; it is available here under its own name, and it is not the gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from graphgrad.autodiff import cotangent_prefix
from graphgrad.errors import GradientError, unknown_name
from graphgrad.ir import OPS
from graphgrad.unfold import STATIC, Dag


def slices(
    dag: Dag, values: Mapping[str, Any], loss: str = "loss", *, wrt: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return what each use of a parameter contributes to its gradient: W -> array [step, *W.shape].

    The sum over the first axis is the gradient. Raises GradientError for a parameter that is used
    outside the steps too, since such a use belongs to no slice.
    """
    names = list(dag.param_nodes) if wrt is None else list(wrt)
    for name in names:
        if name not in dag.param_nodes:
            raise unknown_name(name, dag.param_nodes)
    if len(dag.tau) > 1:
        raise GradientError("time slices need a circuit with one time index")
    (steps,) = dag.tau.values()
    prefix = cotangent_prefix({*dag.series, *dag.outputs, *dag.param_nodes})
    swept = dag.grad(loss, wrt=names)
    parts: dict[str, list[int]] = {}
    for name in names:
        node = swept.outputs[prefix + name]
        total = swept[node].op == "accumulate"
        parts[name] = swept.arguments(node) if total else [node]
    wanted = {f"{name}/{part}": part for name in names for part in parts[name]}
    shown = replace(swept, outputs=wanted)
    found = shown.evaluate(values, outputs=wanted)
    result = {}
    for name in names:
        arrays = [found[f"{name}/{part}"] for part in parts[name]]
        table = np.zeros((steps, *np.shape(arrays[0])), np.result_type(*arrays))
        for part, array in zip(parts[name], arrays, strict=True):
            time = swept.times[part]
            if time != STATIC:
                table[time - 1] = table[time - 1] + array
            elif not _is_zero(swept, part):
                raise GradientError(
                    f"{name} is used outside the steps too, which is part of no time slice",
                    remedy="ask for other parameters with wrt=[…]",
                )
        result[name] = table
    return result


def slice_mean(
    dag: Dag, values: Mapping[str, Any], loss: str = "loss", *, wrt: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return the mean over the time slices of what a parameter's uses contribute.

    This is the gradient divided by the number of steps, and not the gradient.
    """
    return {name: np.mean(t, axis=0) for name, t in slices(dag, values, loss, wrt=wrt).items()}


def _is_zero(dag: Dag, node: int) -> bool:
    template = dag.templates[int(dag.kinds[node])]
    return (template.op is OPS["fill"] and template.attr.value == 0) or (
        template.op is OPS["const"] and template.attr == 0
    )
