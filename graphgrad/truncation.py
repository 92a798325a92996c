"""Truncations of backpropagation through time: what of the gradient is kept.

Let `G[s, t]` be what the loss at step s contributes to a gradient through the use at step t
(`dag.contributions`). The gradient is the sum of all G[s, t]; a truncation is the sum over some:

    window(k)   Σ G[s, t] over |s - t| < k             each loss counts its k most recent uses
    chunks(k)   Σ G[s, t] over ⌈s / k⌉ = ⌈t / k⌉       the sequence is cut every k steps

`window(k).of(contributions)` sums that mask; `c.adjoint(truncate=window(k))` is the circuit that
computes the same in one sweep. Across two time indices there is no distance: pairs of steps of
different indices are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphgrad.conditions import ALWAYS, LARGEST, NEVER, Affine, Compare, Condition
from graphgrad.contributions import Contributions
from graphgrad.dims import is_whole
from graphgrad.errors import DataError

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Truncation:
    """A truncation by a number of steps; the kinds differ in which pairs of steps they keep."""

    k: int

    @property
    def limit(self) -> int | None:
        """The number of ages kept, None where ages do not matter."""
        raise NotImplementedError

    def kept(self, index: str, lag: int) -> Condition:
        """Return at which steps of a reader a cotangent goes on to what is read `lag` ago."""
        raise NotImplementedError

    def pairs(self, s: Any, t: Any) -> Any:
        """Return which pairs of steps of one index are kept."""
        raise NotImplementedError

    def mask(self, tau: int | Mapping[str, int]) -> Bools:
        """Return which (loss step, use step) are kept, as an array of bool; steps as in `lengths`.

        >>> window(2).mask(3).astype(int)
        array([[1, 1, 0],
               [1, 1, 1],
               [0, 1, 1]])
        >>> chunks(2).mask(3).astype(int)
        array([[1, 1, 0],
               [1, 1, 0],
               [0, 0, 1]])
        """
        lengths = list(tau.values()) if isinstance(tau, Mapping) else [tau]
        mask = np.ones((sum(lengths),) * 2, bool)
        start = 0
        for length in lengths:
            steps = np.arange(1, length + 1)
            own = slice(start, start + length)
            mask[own, own] = self.pairs(steps[:, None], steps[None, :])
            start += length
        return mask

    def of(self, contributions: Contributions) -> dict[str, Any]:
        """Return the truncated gradients: for each parameter the sum of what is kept."""
        if not isinstance(contributions, Contributions) or contributions.norms:
            raise DataError(
                f"{self} is taken of contributions, not of {type(contributions).__name__}"
                + (" that are norms" if isinstance(contributions, Contributions) else ""),
                remedy=f"write {self}.of(dag.contributions(values))",
            )
        mask = self.mask(contributions.lengths)
        return {name: table[mask].sum(axis=0) for name, table in contributions.items()}

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()}({self.k})"


class Window(_Truncation):
    """Each loss counts its k most recent uses: |s - t| < k."""

    @property
    def limit(self) -> int | None:
        """The number of ages kept."""
        return self.k

    def kept(self, index: str, lag: int) -> Condition:
        """Return that every step goes on: ages are what counts."""
        return ALWAYS

    def pairs(self, s: Any, t: Any) -> Any:
        """Return which pairs of steps are less than k apart."""
        return np.abs(s - t) < self.k


class Chunks(_Truncation):
    """The sequence is cut every k steps, states carried forward: s and t in the same chunk."""

    @property
    def limit(self) -> int | None:
        """Nothing: ages do not matter."""
        return None

    def kept(self, index: str, lag: int) -> Condition:
        """Return at which steps of a reader what is read `lag` ago is in the same chunk."""
        if abs(lag) >= self.k:
            return NEVER
        if not lag:
            return ALWAYS
        place = Affine.name(index).plus(-1).modulo(self.k)
        if lag > 0:
            return Compare(">=", place, Affine.number(lag))
        return Compare("<", place, Affine.number(self.k + lag))

    def pairs(self, s: Any, t: Any) -> Any:
        """Return which pairs of steps are in the same chunk."""
        return (s - 1) // self.k == (t - 1) // self.k


def window(k: int) -> Window:
    """Return the truncation in which each loss counts its k most recent uses, t … t-k+1.

    `window(k).of(dag.contributions(values))` sums what is kept; `c.adjoint(truncate=window(k))` is
    a circuit with k copies of the cotangents that travel through time. k = 1 stays within a step;
    k ≥ τ is the whole gradient. Raises DataError unless k is a whole number ≥ 1.
    """
    return Window(_checked("window", k))


def chunks(k: int) -> Chunks:
    """Return the truncation that cuts the sequence every k steps and carries the state forward.

    This is what training on stretches of k steps computes: the chunks are 1..k, k+1..2k, …, and no
    cotangent crosses from one to another. `c.adjoint(truncate=chunks(k))` costs what the whole
    adjoint costs. k ≥ τ is the whole gradient. Raises DataError unless k is a whole number ≥ 1.
    """
    return Chunks(_checked("chunks", k))


def _checked(name: str, k: Any) -> int:
    if not is_whole(k) or not 1 <= k <= LARGEST:
        raise DataError(
            f"{name}({k!r}): a truncation keeps a whole number of steps from 1 to {LARGEST:,}",
            remedy=f"write {name}(1), {name}(2), …",
        )
    return int(k)
