"""The unavoidable matrix products of a network and its gradient, by the best BLAS in the process.

Nothing else is computed: no function, no sum, no copy. Products of a recurrence are done step by
step, all others at once. For each product the faster of NumPy's BLAS and PyTorch's counts. How long
as many multiplications take in a product of large matrices is told as well: the processor's peak.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from tests.bench.cell_steps import Cell

LARGE = 1024
"""Rows and columns of the matrices whose product is as fast as products get."""


class Floor:
    """The products of one case; `round()` times each by each library, `milliseconds()` sums up.

    `peak()` is the time of as many multiplications at the rate of a product of large matrices.
    """

    def __init__(self, cell: Cell, params: Any, data: Any) -> None:
        import torch

        steps, examples, _ = data["x"].shape
        rng = np.random.default_rng(0)
        self.products: list[dict[str, Callable[[], None]]] = []
        self.multiplications = 0
        for name, matrix in cell.join(params).items():
            if matrix.ndim != 2:
                continue
            rows, columns = matrix.shape
            below = rng.standard_normal((steps, examples, columns)).astype(matrix.dtype)
            above = rng.standard_normal((steps, examples, rows)).astype(matrix.dtype)
            arrays = below, above, np.empty_like(below), np.empty_like(above), matrix
            both = {"numpy": (np.matmul, arrays), "torch": (torch.mm, _tensors(torch, arrays))}
            for kind in _kinds(cell, name):
                made = {by: kind(product, *given) for by, (product, given) in both.items()}
                self.products.append(made)
                self.multiplications += steps * examples * rows * columns
        a, b, out = rng.standard_normal((3, LARGE, LARGE)).astype(data["x"].dtype)
        ta, tb, tout = _tensors(torch, (a, b, out))
        self.products.append(
            {
                "numpy": lambda: np.matmul(a, b, out=out),
                "torch": lambda: torch.mm(ta, tb, out=tout),
            }
        )
        self.seconds: list[dict[str, list[float]]] = [
            {by: [] for by in made} for made in self.products
        ]

    def round(self) -> None:
        """Time every product once more."""
        for made, seconds in zip(self.products, self.seconds, strict=True):
            for by, run in made.items():
                run()
                started = time.perf_counter()
                run()
                seconds[by].append(time.perf_counter() - started)

    def milliseconds(self) -> float:
        """Return the sum over the products of the best library's median."""
        return 1e3 * sum(map(_best, self.seconds[:-1]))

    def peak(self) -> float:
        """Return the milliseconds of as many multiplications in a product of large matrices."""
        return 1e3 * _best(self.seconds[-1]) / LARGE**3 * self.multiplications


def _best(seconds: dict[str, list[float]]) -> float:
    return min(map(median, seconds.values()))


def _kinds(cell: Cell, name: str) -> list[Any]:
    """Return which products a matrix needs: inputs have no cotangent."""
    if name in cell.inside:
        return [_step_by_step, _step_by_step_back, _gradient]
    return [_at_once, _gradient] if name in cell.inputs else [_at_once, _at_once_back, _gradient]


def _tensors(torch: Any, arrays: Any) -> Any:
    return [torch.from_numpy(np.array(each)) for each in arrays]


def _flat(array: Any) -> Any:
    return array.reshape(-1, array.shape[-1])


def _step_by_step(product: Any, below: Any, above: Any, d_below: Any, d_above: Any, m: Any) -> Any:
    """Return the products of a recurrence; that with the first state, zero, is none."""

    def run() -> None:
        turned = m.T
        for t in range(1, len(below)):
            product(below[t], turned, out=d_above[t])

    return run


def _step_by_step_back(
    product: Any, below: Any, above: Any, d_below: Any, d_above: Any, m: Any
) -> Any:
    def run() -> None:
        for t in range(1, len(below)):
            product(above[t], m, out=d_below[t])

    return run


def _at_once(product: Any, below: Any, above: Any, d_below: Any, d_above: Any, m: Any) -> Any:
    return lambda: product(_flat(below), m.T, out=_flat(d_above))


def _at_once_back(product: Any, below: Any, above: Any, d_below: Any, d_above: Any, m: Any) -> Any:
    return lambda: product(_flat(above), m, out=_flat(d_below))


def _gradient(product: Any, below: Any, above: Any, d_below: Any, d_above: Any, m: Any) -> Any:
    out = m.copy() if isinstance(m, np.ndarray) else m.clone()
    return lambda: product(_flat(above).T, _flat(below), out=out)
