"""The square: unfold(adjoint(c)) against grad(unfold(c)), in every cotangent and gradient.

Both roads start from one circuit and share the rules of the op table, but not the sweep: `dag.grad`
walks the flat arrays of the unfolded graph, the adjoint never sees them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np

import graphgrad as gg
from graphgrad.adjoint import GradientWarning, boundary_name
from graphgrad.adjoint.build import Adjoint
from graphgrad.adjoint.copies import Copy
from graphgrad.algebras import ObjectAlgebra
from graphgrad.autodiff import cotangent_prefix
from graphgrad.causality import Unit
from graphgrad.ir import At
from graphgrad.substitute import tree
from graphgrad.unfold import Dag

SIZES = {"H": 3, "D": 2, "K": 2, "N": 3, "M": 4, "G": 2, "I": 2}
"""Sizes for the cells of the gallery, no two neighbours of a product alike."""
DIGITS = 50


def quietly(circuit: gg.Circuit, *args: Any, **options: Any) -> gg.Circuit:
    """The adjoint, without the warning that a gradient is zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientWarning)
        return circuit.adjoint(*args, **options)


def closed(circuit: gg.Circuit) -> bool:
    """Whether the text of a circuit gives the circuit back."""
    return bool(gg.parse(str(circuit), circuit.name) == circuit)


@dataclass(frozen=True)
class Square:
    """Both roads from a circuit to its gradients, unfolded; `names` are the cotangents of both.

    `silent` are cotangents that only the unfolded graph has because nothing of them reaches the
    loss: they have to be zero. `merged` are those that the adjoint skips: a softmax read by a cross
    entropy alone.
    """

    across: Dag
    backward: Dag
    names: tuple[str, ...]
    silent: tuple[str, ...]
    merged: tuple[str, ...]

    def values(self, data: Mapping[str, Any], over: Any = None) -> tuple[dict[str, Any], ...]:
        """The numbers that the two roads arrive at."""
        return self.across.evaluate(data, over=over), self.backward.evaluate(data, over=over)

    def check_exactly(self, data: Mapping[str, Any]) -> None:
        """Raise unless every cotangent and gradient is equal, over Fractions."""
        found, expected = self.values(data)
        for name in self.names:
            one, other = np.asarray(found[name], object), np.asarray(expected[name], object)
            assert one.shape == other.shape, name
            assert np.all(one == other), name
        for name in self.silent:
            assert not np.asarray(expected[name], object).any(), name

    def check_closely(self, data: Mapping[str, Any], within: float = 1e-12) -> bool:
        """Raise unless all agree entry by entry to a relative 1e-12; whether float64 showed it.

        Where float64 loses digits on one of the two roads (sums that nearly cancel), the same
        comparison with 50 digits decides; there a sum that cancels is a zero with 35 of them.
        """
        with np.errstate(all="ignore"):
            found, expected = self.values(data)
        if all(np.all(_close(found[n], expected[n], within)) for n in self.names):
            return True
        with mpmath.workdps(DIGITS):
            exact = {n: v if _is_token(v) else _digits(v) for n, v in data.items()}
            found, expected = self.values(exact, MPMATH)
            largest = max(abs(u) for n in self.names for u in np.ravel(expected[n]))
            for name in self.names:
                zero = largest * mpmath.mpf(10) ** (15 - DIGITS)
                assert np.all(_close(found[name], expected[name], within, zero)), name
        return False


def square(
    circuit: gg.Circuit,
    steps: Any,
    *,
    wrt: Iterable[str] | None = None,
    guard: str = "smart",
    **sizes: int,
) -> Square:
    """Both roads for one circuit and one number of steps."""
    targets = list(circuit.params) if wrt is None else list(wrt)
    backward = circuit.unfold(steps, **sizes).grad(wrt=targets)
    backward = replace(backward, outputs=backward.outputs | _boundaries(circuit, backward))
    builder = Whole(circuit, targets, guard)
    across = builder.run().unfold(steps, **sizes)
    here = {*across.series, *across.outputs}
    there = {n for n in (*backward.series, *backward.outputs) if n.startswith(builder.prefix)}
    merged = {builder.prefix + name for name in builder.merged_names()} - here
    # reverse mode keeps the boundary values of a variable with it, whether they depend on anything
    # that was asked for or not
    apart = {builder.name_of(Copy(unit)) for unit in builder.constant_units()}
    gradients = {builder.prefix + name for name in targets}
    assert gradients <= here, "every gradient that was asked for is there"
    return Square(
        across,
        backward,
        tuple(sorted(here & there)),
        tuple(sorted(there - here - merged - apart)),
        tuple(sorted(merged)),
    )


class Whole(Adjoint):
    """The adjoint with cotangents that are plain numbers written out, not put in where used."""

    def __init__(self, circuit: gg.Circuit, wrt: list[str], guard: str) -> None:
        super().__init__(circuit, "loss", wrt, None, guard)

    def run(self) -> gg.Circuit:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GradientWarning)
            result = super().run()
        for copy, value in self.constants.items():
            result.define(self.name_of(copy), self.dependence.index(copy.unit), tree(value))
            result.state(
                self.name_of(copy),
                *self.shape_of(copy.unit),
                index=self.dependence.index(copy.unit),
            )
        return result

    def constant_units(self) -> list[Unit]:
        """The variables and boundary values that depend on nothing that was asked for."""
        return [u for u in self.dependence.units if u not in self.dependence.depends]

    def merged_names(self) -> set[str]:
        """The variables whose cotangent is merged with that of a cross entropy."""
        roots = set(self.sweeper.merged.values())
        return {name for name, root in self.system.roots.items() if root in roots}


def _boundaries(circuit: gg.Circuit, backward: Dag) -> dict[str, int]:
    """The nodes of the cotangents of boundary values, by the names the adjoint gives them."""
    system = circuit.check()
    prefix = cotangent_prefix(system.declared.names())
    found = {}
    for key in system.boundary_roots:
        one = backward.series.get(prefix + key.name)
        node = None if one is None else one.outside.get(_step(key, backward))
        if node is not None:
            found[prefix + boundary_name(system, key)] = node
    return found


def _step(key: At, dag: Dag) -> int:
    index = dag.system.index_of(key.name)
    assert index is not None
    return key.offset + (dag.tau[index] if key.last else 0)


# -- numbers ---------------------------------------------------------------------------------------


def _close(one: Any, other: Any, within: float, zero: Any = 0.0) -> Any:
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    lost = ~_finite(one) & ~_finite(other)
    with np.errstate(all="ignore"):
        return lost | (abs(one - other) <= within * abs(other) + zero)


def _finite(array: Any) -> Any:
    if array.dtype == object:
        return np.vectorize(mpmath.isfinite, otypes=[bool])(array) if array.size else array == array
    return np.isfinite(array)


def _is_token(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iu"


def _digits(value: Any) -> Any:
    return np.vectorize(mpmath.mpf, otypes=[object])(value)


class _Mpmath(ObjectAlgebra):
    """Numbers of many digits; their functions are those of mpmath."""

    def number(self, value: Any) -> Any:
        return mpmath.mpf(str(value))

    own = ("relu", "abs", "maximum", "minimum", "stop_gradient")

    def function(self, name: str) -> Any:
        return super().function(name) if name in self.own else getattr(mpmath, name)


MPMATH = _Mpmath()
