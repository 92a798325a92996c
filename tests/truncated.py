"""What holds for the contributions and truncations of every circuit, checked exactly."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.adjoint import GradientWarning
from graphgrad.algebras import FractionAlgebra
from graphgrad.contributions import Contributions
from graphgrad.unfold import Dag

ONE_SWEEP = ("paths run both ways in time", "a cotangent leaves the steps and enters them again")


class StandIn(FractionAlgebra):
    """Fractions, with other functions in place of exp, tanh, …: small, positive, all different.

    The backward equations are made of the values of these functions, whatever the functions are. So
    two ways to the same equations agree exactly, and no fraction grows long.
    """

    def function(self, name: str) -> Any:
        salt = sum(map(ord, name))
        if name in ("relu", "abs", "maximum", "minimum", "stop_gradient"):
            return super().function(name)
        return lambda u: Fraction(1 + (round(7 * u) + salt) % 5, 3)


def quietly(circuit: gg.Circuit, **options: Any) -> gg.Circuit:
    """The adjoint, without the warning that a gradient is zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        return circuit.adjoint(**options)


def same(one: Any, other: Any) -> bool:
    """Whether two arrays of exact numbers are equal."""
    a, b = np.asarray(one, object), np.asarray(other, object)
    return a.shape == b.shape and bool(np.all(a == b))


def contributions_keep(
    dag: Dag, values: Mapping[str, Any], over: Any = None, wrt: list[str] | None = None
) -> Contributions:
    """Check that contributions sum to the gradient and to the slices; return them."""
    found = dag.contributions(values, wrt=wrt, over=over)
    gradients = dag.grad(wrt=wrt).evaluate(values, over)
    slices = gg.slices(dag, values, wrt=wrt, over=over)
    for name, table in found.items():
        assert same(table.sum(axis=(0, 1)), gradients[f"d_{name}"]), name
        assert same(table.sum(axis=0), slices[name]), name
    tau = max(dag.tau.values())
    for whole in (gg.window(tau), gg.chunks(tau)):
        for name, sums in whole.of(found).items():
            assert same(sums, gradients[f"d_{name}"]), name
    return found


def truncations_keep(
    circuit: gg.Circuit,
    dag: Dag,
    values: Mapping[str, Any],
    k: int,
    *,
    over: Any = None,
    wrt: list[str] | None = None,
) -> Counter[str]:
    """Check that truncated circuits are closed and equal the masks, where they are one sweep."""
    counts: Counter[str] = Counter()
    found = contributions_keep(dag, values, over, wrt)
    for truncation in (gg.window(k), gg.chunks(k)):
        expected = truncation.of(found)
        try:
            adjoint = quietly(circuit, truncate=truncation, wrt=wrt)
        except gg.GradientError as error:
            if not error.message.startswith(ONE_SWEEP) or f"{truncation}.of(" not in str(error):
                raise
            counts["mask only"] += 1
            continue
        assert gg.parse(str(adjoint), circuit.name) == adjoint
        names = [f"d_{name}" for name in expected]
        gradients = adjoint.unfold(dag.tau, **dag.sizes).evaluate(values, over, outputs=names)
        for name, sums in expected.items():
            assert same(gradients[f"d_{name}"], sums), (str(truncation), name)
            counts["cut"] += not same(sums, found[name].sum(axis=(0, 1)))
        counts["equal"] += 1
    return counts
