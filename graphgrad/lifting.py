"""Ops applied to many operands at once: each operand marked so has one axis in front of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ELEMENTWISE = {"add", "sub", "mul", "div", "neg", "where", "copy", "accumulate"}


def lifted(
    name: str,
    detail: Any,
    kernel: Callable[..., Any],
    operands: Sequence[Any],
    many: Sequence[bool],
) -> Any:
    """Return the results of an op for all operands, along one axis in front.

    `kernel(step, *operands)` computes it for one, `detail` is the op's attribute in plain numbers.
    Ops without a rule of their own are applied one by one.
    """
    if name in ELEMENTWISE:
        rank = max(np.ndim(each) - own for each, own in zip(operands, many, strict=True))
        return kernel(0, *_aligned(operands, many, rank))
    if name == "expand":
        return kernel(0, *_aligned(operands, many, len(detail)))
    rule = RULES.get(name)
    if rule is not None:
        return rule(
            detail,
            *(
                each if m else np.asarray(each)[None]
                for each, m in zip(operands, many, strict=True)
            ),
        )
    count = next(len(each) for each, m in zip(operands, many, strict=True) if m)
    singles = (
        [each[k] if m else each for each, m in zip(operands, many, strict=True)]
        for k in range(count)
    )
    return _stacked([kernel(0, *single) for single in singles])


def _aligned(operands: Sequence[Any], many: Sequence[bool], rank: int) -> list[Any]:
    """Return operands with axes of length 1 where scalars meet arrays."""
    return [
        each.reshape(len(each), *(1,) * (rank + 1 - each.ndim), *each.shape[1:]) if m else each
        for each, m in zip(operands, many, strict=True)
    ]


def _stacked(results: list[Any]) -> Any:
    if np.ndim(results[0]) or isinstance(results[0], np.generic | float | complex):
        return np.stack(results)
    stacked = np.empty(len(results), object)
    stacked[:] = results
    return stacked


def _matmul(detail: Any, a: Any, b: Any) -> Any:
    if a.ndim == 3 and b.ndim == 2:
        return (b @ a[0].T) if len(a) == 1 else np.matmul(a, b[..., None])[..., 0]
    if a.ndim == 2:
        return np.sum(a * b, axis=1)
    return np.matmul(a, b)


def _concat(detail: Any, *parts: Any) -> Any:
    count = max(len(part) for part in parts)
    vectors = [part if part.ndim == 2 else part[:, None] for part in parts]
    return np.concatenate([np.broadcast_to(v, (count, v.shape[1])) for v in vectors], axis=1)


def _lookup(detail: Any, table: Any, token: Any) -> Any:
    if token.ndim == 2:  # a token given as a row of weights mixes the rows
        return _matmul(detail, np.swapaxes(table, 1, 2) if table.ndim == 3 else table, token)
    return table[:, token[0]]


RULES: dict[str, Callable[..., Any]] = {
    "sum": lambda detail, u: np.sum(u.reshape(len(u), -1), axis=1),
    "mean": lambda detail, u: np.sum(u.reshape(len(u), -1), axis=1) / u[0].size,
    "matmul": _matmul,
    "outer": lambda detail, a, b: a[:, :, None] * b[:, None, :],
    "transpose": lambda detail, m: np.swapaxes(m, 1, 2),
    "concat": _concat,
    "part": lambda detail, u: u[:, detail],
    "component": lambda detail, u: u[:, detail],
    "lookup": _lookup,
}
