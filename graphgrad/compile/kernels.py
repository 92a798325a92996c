"""Array functions that generated code calls, for operands with time and batch axes in front.

`rank` is the number of axes that belong to the value itself. Nothing here needs the library, so
that a generated module can carry what it calls.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np


def _on_intel() -> bool:
    try:
        with open("/proc/cpuinfo", "rb") as facts:
            return b"GenuineIntel" in facts.read(64)  # the maker is named at the beginning
    except OSError:
        return False


# Whether a float64 matrix that rows are multiplied by lies in memory column by column: OpenBLAS is
# faster so with the AVX-512 of Intel, and slower with that of AMD.
BY_COLUMNS = _on_intel()


def _one_thread() -> bool:
    given = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    if given:
        return given == "1"
    processors = getattr(os, "sched_getaffinity", None)  # not on every system
    return processors is not None and len(processors(0)) == 1


# In products of how many multiplications OpenBLAS reads matrices where they lie: it copies those of
# larger ones first, which takes long where one is narrow. With several threads these are faster.
UNPACKED = 10**6 if _one_thread() else 0


def _own(rank: int) -> tuple[int, ...]:
    return tuple(range(-rank, 0))


def from_last(*arrays: Any) -> Any:
    """Return the rows of arrays side by side, from the last ones to the first."""
    return zip(*(each[::-1] for each in arrays), strict=True)


def sigmoid(u: Any, out: Any = None) -> Any:
    """Return 1 / (1 + exp(-u)); where exp overflows, the value is 0 to the last digit."""
    work = out if out is not None and out.flags.c_contiguous else None
    small = np.exp(np.negative(u, out=work), out=work)
    one = np.array(1, small.dtype)  # a plain number would be converted every time
    return np.divide(one, np.add(small, one, out=work), out=out)


def softplus(u: Any) -> Any:
    """Return log(1 + exp(u)) without overflow."""
    return np.maximum(u, 0) + np.log1p(np.exp(-np.abs(u)))


def relu(u: Any, out: Any = None) -> Any:
    """Return max(0, u)."""
    return np.maximum(u, 0, out=out)


def softmax(u: Any) -> Any:
    """Return softmax over the last axis; only what may overflow is shifted by its largest entry."""
    small = u.size and np.max(u) < 64 and np.min(u) > -64
    weights = np.exp(u if small else u - np.max(u, axis=-1, keepdims=True))
    weights /= np.einsum("...i->...", weights)[..., None]
    return weights


def log_softmax(u: Any) -> Any:
    """Return log softmax over the last axis, without overflow."""
    shifted = u - np.max(u, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def total(u: Any, rank: int) -> Any:
    """Return the sum of the components."""
    return np.sum(u, axis=_own(rank))


def mean(u: Any, rank: int) -> Any:
    """Return the mean of the components."""
    return np.mean(u, axis=_own(rank))


def largest(u: Any, rank: int) -> Any:
    """Return the largest component."""
    return np.max(u, axis=_own(rank))


def logsumexp(u: Any) -> Any:
    """Return log Σ exp over the last axis, without overflow."""
    top = np.max(u, axis=-1, keepdims=True)
    return np.squeeze(top, -1) + np.log(np.sum(np.exp(u - top), axis=-1))


def matvec(m: Any, v: Any, out: Any = None) -> Any:
    """Return M·v for a matrix without axes in front and vectors with any: one product."""
    if v.ndim <= 2:
        return np.matmul(v, m.T, out=out)
    flat, factor = v.reshape(-1, v.shape[-1]), right_factor(m.T)
    if out is not None and out.flags.c_contiguous:
        np.matmul(flat, factor, out=out.reshape(-1, m.shape[0]))
        return out
    product = np.matmul(flat, factor).reshape(*v.shape[:-1], m.shape[0])
    if out is None:
        return product
    out[...] = product
    return out


def right_factor(m: Any) -> Any:
    """Return a matrix, or several, in the order in which BLAS multiplies rows by it fastest."""
    if BY_COLUMNS and m.dtype == np.float64:
        return transpose(np.ascontiguousarray(transpose(m)))
    return np.ascontiguousarray(m)


def part_factors(m: Any, count: int) -> Any:
    """Return right factors, one for each part of M·v."""
    return right_factor(transpose(m.reshape(count, m.shape[0] // count, m.shape[1])))


def matvec_parts(m: Any, v: Any, out: Any) -> None:
    """Put M·v for all steps into an array with an axis for its parts in front of the batch."""
    np.matmul(v[..., None, :, :], part_factors(m, out.shape[-3]), out=out)


def matvecs(m: Any, v: Any) -> Any:
    """Return M·v where the matrix has axes in front too."""
    return np.matmul(m, v[..., None])[..., 0]


def dot(u: Any, v: Any) -> Any:
    """Return u·v over the last axis."""
    return np.einsum("...i,...i->...", u, v)


def outer(u: Any, v: Any) -> Any:
    """Return the outer products of the last axes."""
    return u[..., :, None] * v[..., None, :]


def outer_sum(u: Any, v: Any) -> Any:
    """Return Σ u vᵀ over all axes in front: one product, or some that need no copies."""
    u, v = u.reshape(-1, u.shape[-1]), v.reshape(-1, v.shape[-1])
    rows = UNPACKED // max(u.shape[1] * v.shape[1], 1)
    if rows < 64:
        return u.T @ v
    result = u[:rows].T @ v[:rows]
    for start in range(rows, len(u), rows):
        result += u[start : start + rows].T @ v[start : start + rows]
    return result


def row_sum(u: Any) -> Any:
    """Return the sum of vectors over all axes in front: one product."""
    rows = u.reshape(-1, u.shape[-1])
    return np.ones(len(rows), u.dtype) @ rows


def outer_sums(u: Any, v: Any) -> Any:
    """Return Σ u vᵀ over the steps, for each example."""
    return np.matmul(np.moveaxis(u, 0, -1), np.moveaxis(v, 0, -2))


def parts(u: Any, count: int) -> Any:
    """Return vectors cut into parts of one size, with an axis for these in front of the batch."""
    count = 1 if u.shape[-1] == 1 else count  # one number for all of them
    cut = u.reshape(*u.shape[:-1], count, u.shape[-1] // count)
    return cut[:, None] if u.ndim == 1 else np.swapaxes(cut, -2, -3)


def transpose(m: Any) -> Any:
    """Return the transpose of the last two axes."""
    return np.swapaxes(m, -1, -2)


def weighted(weights: Any, values: Any) -> Any:
    """Return Σ weights · values over the last axis; weight 0 counts as 0 whatever the value."""
    none = weights == 0
    return np.sum(np.where(none, 0, weights * np.where(none, 1, values)), axis=-1)


def cross_entropy(p: Any, y: Any) -> Any:
    """Return -Σ y·log p over the last axis."""
    total = -dot(y, np.log(p))
    if np.isfinite(total).all():
        return total
    return -weighted(y, np.log(np.where(y == 0, 1, p)))


def softmax_cross_entropy(o: Any, y: Any) -> Any:
    """Return the cross entropy of softmax(o) over the last axis."""
    return logsumexp(o) * np.sum(y, axis=-1) - np.sum(o * y, axis=-1)


def sigmoid_binary_cross_entropy(o: Any, y: Any, rank: int) -> Any:
    """Return Σ softplus(o) - y·o."""
    return np.sum(softplus(o) - y * o, axis=_own(rank))


def squared_error(u: Any, v: Any, rank: int) -> Any:
    """Return ½‖u - v‖²."""
    gap = u - v
    if rank == 1:
        return gap.dtype.type(0.5) * dot(gap, gap)
    return gap.dtype.type(0.5) * np.sum(gap * gap, axis=_own(rank))


def hinge(u: Any, y: Any, rank: int) -> Any:
    """Return Σ max(0, 1 - y·u)."""
    return np.sum(np.maximum(1 - y * u, 0), axis=_own(rank))


def lookup_each(table: Any, token: Any, rank: int) -> Any:
    """Return the rows of tokens in tables, or the entries in vectors, that have axes in front."""
    places = np.ix_(*map(np.arange, table.shape[: table.ndim - rank]))
    return table[(*places, token)]


def onehot(token: Any, size: int, dtype: Any) -> Any:
    """Return the unit vectors of tokens."""
    return (np.arange(size) == np.asarray(token)[..., None]).astype(dtype)


def scatter(token: Any, rows: Any, size: int) -> Any:
    """Return Σ onehot(token) rowᵀ over all axes in front, by adding rows up."""
    result = np.zeros((size, rows.shape[-1]), rows.dtype)
    np.add.at(result, np.ravel(token), rows.reshape(-1, rows.shape[-1]))
    return result


def concat(*parts: Any) -> Any:
    """Return vectors (and scalars) joined along the last axis; axes in front are broadcast."""
    lead = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(p, (*lead, p.shape[-1])) for p in parts], axis=-1)


def select(relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return `a` where the comparison holds, else `b`."""
    test = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}
    if isinstance(a, int | float) and isinstance(b, int | float):
        a = np.result_type(left, right).type(a)
    return np.where(test[relation](left, right), a, b)
