"""Gradients by time slice: what each step's use of a shared parameter contributes.

The gradient of a shared parameter is the *sum* over its uses. Some texts report the *mean* over the
time slices instead; it is available here under its own name, and it is not the gradient. A slice is
the sum over the loss steps of the contributions with that use step (`graphgrad.contributions`); it
is computed without them, in time linear in the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.contributions import Table, collected
from graphgrad.errors import DataError, shown
from graphgrad.evaluate import prepared
from graphgrad.labelled import LabelledSweep
from graphgrad.unfold import Dag


def slices(
    dag: Dag,
    values: Mapping[str, Any],
    loss: str = "loss",
    *,
    wrt: Iterable[str] | str | None = None,
    over: Any = None,
) -> dict[str, Any]:
    """Return what each step's use contributes to the gradient: W -> array [t, *batch, *W.shape].

    The sum over the first axis is the gradient. Where a use outside the steps is counted, and what
    the axis is for several time indices, is as for `dag.contributions`.
    """
    if not isinstance(dag, Dag):
        raise DataError(f"{shown(dag)} is no unfolded graph", remedy="give c.unfold(3)")
    found = prepared(dag, values, over)
    sweep = LabelledSweep(dag, loss, wrt, by_loss=False)
    shapes = {name: sweep.shape(name, found) for name in sweep.targets}

    def sink(name: str) -> Table:
        return Table((sweep.steps, *shapes[name]), found.algebra, by_loss=False)

    return collected(sweep, found, sink, {name: 1 + sweep.indexed(name) for name in shapes})


def slice_mean(
    dag: Dag, values: Mapping[str, Any], loss: str = "loss", **options: Any
) -> dict[str, Any]:
    """Return the mean over the time slices of what a parameter's uses contribute.

    This is the gradient divided by the number of steps, and not the gradient. The options are those
    of `slices`.
    """
    return {
        name: np.mean(each, axis=0) for name, each in slices(dag, values, loss, **options).items()
    }
