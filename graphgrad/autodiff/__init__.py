"""Reverse mode on an unfolded graph: the backward nodes appended to the same flat arrays.

One loop walks the nodes backwards (`sweep`). The rule of each kind of node is turned into a small
plan once (`plans`: its VJP written in graph nodes, simplified), and every instance of the kind is
one application of the plan. Cotangents with several contributions become one `accumulate` node, so
that the gradient of a parameter visibly collects what its uses contribute. `requests` looks up what
is differentiated by what, here and for every other kind of derivative.
"""

from graphgrad.autodiff.plans import HOLE, Plan, local_vjp, plan_of
from graphgrad.autodiff.requests import (
    cotangent_prefix,
    is_one_number,
    scalar_root,
    target_names,
    targets_of,
    total_of,
    unknown_loss,
)
from graphgrad.autodiff.reverse import grad
from graphgrad.autodiff.sweep import Flow, Sweep

__all__ = [
    "HOLE",
    "Flow",
    "Plan",
    "Sweep",
    "cotangent_prefix",
    "grad",
    "is_one_number",
    "local_vjp",
    "plan_of",
    "scalar_root",
    "target_names",
    "targets_of",
    "total_of",
    "unknown_loss",
]
