"""Contributions: the gradient of a shared parameter by loss step and use step.

A derivative is a sum over paths from the loss back to a use of the parameter. Each path is counted
at (s, t):

- s is the step of the first equation with an index that the path enters (for `loss = sum(L[t] …)`
  the step of L), t the last step the path passes. That is the step at which the parameter is used;
  for a use that belongs to no step (`P = softmax(A)`, `h[0] = h0`) it is the step of the equation
  that reads what was computed from it.
- A path that enters no equation with an index stays on the diagonal: `loss = sum(sum(V @ h[t]) …)`
  uses V at (t, t), and `loss = … + sum(W * W)` counts at the last step.

One reverse sweep carries all of them: a cotangent has an axis in front for the pairs (s, t) that
have reached it, and at a node that belongs to a step all t are that step.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphgrad.algebras import Algebra
from graphgrad.errors import DataError
from graphgrad.evaluate import Prepared, examples, prepared
from graphgrad.labelled import LabelledSweep, Labels, Sink, check_size, merged
from graphgrad.unfold import Dag


class Contributions(dict[str, Any]):
    """Contributions by parameter: arrays [loss step, use step, *batch, *shape].

    The steps on both axes are 1..τ; for several time indices those of one index after the other, in
    the order of `lengths`. `norms` says whether the entries are norms, not the contributions.
    """

    def __init__(self, tables: Mapping[str, Any], lengths: Mapping[str, int], norms: bool) -> None:
        super().__init__(tables)
        self.lengths = dict(lengths)
        self.norms = norms


def contributions(
    dag: Dag,
    values: Mapping[str, Any],
    loss: str = "loss",
    *,
    wrt: Iterable[str] | str | None = None,
    over: Any = None,
    norms: bool = False,
) -> Contributions:
    """Return the gradients by loss step and use step: W -> array [s, t, *batch, *W.shape].

    Their sum over s and t is the gradient, over every number type (`over` as for `evaluate`). `wrt`
    names parameters and inputs; all parameters, if left out. With `norms` the Euclidean norm of
    each contribution is returned, array [s, t, *batch], and no more than a step's contributions are
    in memory at a time. Raises DataError where the result would take more than 2 GiB.
    """
    found = prepared(dag, values, over)
    if norms and found.algebra.exact:
        raise DataError(
            "norms are square roots, which exact numbers need not have",
            remedy="leave out norms=True, or give floats",
        )
    sweep = LabelledSweep(dag, loss, wrt)
    steps = sweep.steps
    shapes = {name: () if norms else sweep.shape(name, found) for name in sweep.targets}
    entries = steps * steps * sum(map(math.prod, shapes.values())) * math.prod(found.batch)
    itemsize = found.algebra.filled((1,), 0).itemsize
    remedy = "ask for norms=True, for fewer parameters with wrt=[…]"
    check_size(entries * itemsize, "the contributions", remedy)

    def sink(name: str) -> Sink:
        if norms:
            return Norms(sweep, name)
        return Table((steps, steps, *shapes[name]), found.algebra)

    leads = {name: 2 if norms else 2 + sweep.indexed(name) for name in shapes}
    return Contributions(collected(sweep, found, sink, leads), dag.tau, norms)


def collected(
    sweep: LabelledSweep,
    values: Prepared,
    sink: Callable[[str], Sink],
    leads: Mapping[str, int],
) -> dict[str, Any]:
    """Return what the sinks hold after a sweep, the batch axes after the first `leads` axes."""
    results: dict[str, list[Any]] = {name: [] for name in leads}
    for single in examples(sweep.dag, values):
        sinks = {name: sink(name) for name in leads}
        sweep.run(single, sinks)
        for name, each in sinks.items():
            results[name].append(each.result())
    if not values.batch:
        return {name: tables[0] for name, tables in results.items()}
    found = {}
    for name, lead in leads.items():
        stacked = np.stack(results[name], axis=lead)
        shape = stacked.shape
        found[name] = stacked.reshape(shape[:lead] + values.batch + shape[lead + 1 :])
    return found


# -- where contributions are put -------------------------------------------------------------------


class Table:
    """The contributions themselves: array [s, t, …], or [t, …] with one axis of steps."""

    def __init__(self, shape: tuple[int, ...], algebra: Algebra, *, by_loss: bool = True) -> None:
        like = algebra.filled((1,), 0)
        # zeros of floats take no memory until something is added
        exact = like.dtype == object
        self.array = algebra.filled(shape, 0) if exact else np.zeros(shape, like.dtype)
        self.by_loss = by_loss

    def add(self, s: Labels, t: Labels, at: int, data: Any, user: int) -> None:
        """Add to entries of the table."""
        where: tuple[Any, ...] = (s - 1, t - 1) if self.by_loss else (t - 1,)
        if at:
            where += (at - 1,)
        self.array[where] += data

    def result(self) -> Any:
        """Return the table."""
        return self.array


class Norms:
    """The norms of contributions, each taken when all that its use step adds has come."""

    def __init__(self, sweep: LabelledSweep, name: str) -> None:
        self.squares = np.zeros((sweep.steps, sweep.steps))
        self.missing = Counter(sweep.uses[name])
        self.open: dict[tuple[int, int], list[tuple[Labels, Any]]] = {}
        self.held = 0

    def add(self, s: Labels, t: Labels, at: int, data: Any, user: int) -> None:
        """Keep what is added until its use step is complete."""
        for step in np.unique(t).tolist():
            chosen = t == step
            self.open.setdefault((step, at), []).append((s[chosen], data[chosen]))
        self.held += data.nbytes
        what = "the contributions of a parameter that is used before the steps"
        check_size(self.held, what, "leave it out of wrt=[…]")
        key = (user, at) if user else (0, 0)
        self.missing[key] -= 1
        if self.missing[0, 0]:
            return
        complete = [key] if user else list(self.open)
        for key in complete:
            if not self.missing[key]:
                self._close(key)

    def _close(self, key: tuple[int, int]) -> None:
        parts = self.open.pop(key, [])
        if parts:
            s, data = merged(parts)
            self.held -= sum(part.nbytes for _, part in parts)
            flat = data.reshape(len(data), -1)
            self.squares[s - 1, key[0] - 1] += np.einsum("ij,ij->i", flat, flat.conj()).real

    def result(self) -> Any:
        """Return the norms."""
        for key in list(self.open):
            self._close(key)
        return np.sqrt(self.squares)
