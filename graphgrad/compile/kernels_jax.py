"""Array functions that generated JAX code calls, for operands with time and batch axes in front.

The counterpart of `kernels.py`. Lengths are known when JAX traces, so `at` and `padded` are decided
then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


def sigmoid(u: Any) -> Any:
    """Return 1 / (1 + exp(-u)) without overflow."""
    return jax.nn.sigmoid(u)


def softplus(u: Any) -> Any:
    """Return log(1 + exp(u)) without overflow."""
    return jnp.logaddexp(u, 0)


def relu(u: Any) -> Any:
    """Return max(0, u)."""
    return jnp.maximum(u, 0)


def softmax(u: Any) -> Any:
    """Return softmax over the last axis, without overflow."""
    return jax.nn.softmax(u, axis=-1)


def log_softmax(u: Any) -> Any:
    """Return log softmax over the last axis, without overflow."""
    return jax.nn.log_softmax(u, axis=-1)


def logsumexp(u: Any) -> Any:
    """Return log Σ exp over the last axis, without overflow."""
    return jax.nn.logsumexp(u, axis=-1)


def _own(rank: int) -> tuple[int, ...]:
    return tuple(range(-rank, 0))


def total(u: Any, rank: int) -> Any:
    """Return the sum of the components."""
    return jnp.sum(u, axis=_own(rank))


def mean(u: Any, rank: int) -> Any:
    """Return the mean of the components."""
    return jnp.mean(u, axis=_own(rank))


def largest(u: Any, rank: int) -> Any:
    """Return the largest component."""
    return jnp.max(u, axis=_own(rank))


def matvec(m: Any, v: Any) -> Any:
    """Return M·v for a matrix without axes in front and vectors with any: one product."""
    return v @ m.T


def matvecs(m: Any, v: Any) -> Any:
    """Return M·v where the matrix has axes in front, too."""
    return jnp.einsum("...ij,...j->...i", m, v)


def dot(u: Any, v: Any) -> Any:
    """Return u·v over the last axis."""
    return jnp.einsum("...i,...i->...", u, v)


def outer(u: Any, v: Any) -> Any:
    """Return the outer products of the last axes."""
    return u[..., :, None] * v[..., None, :]


def outer_sum(u: Any, v: Any) -> Any:
    """Return Σ u vᵀ over all axes in front: one product."""
    return u.reshape(-1, u.shape[-1]).T @ v.reshape(-1, v.shape[-1])


def row_sum(u: Any) -> Any:
    """Return the sum of vectors over all axes in front."""
    return u.reshape(-1, u.shape[-1]).sum(axis=0)


def outer_sums(u: Any, v: Any) -> Any:
    """Return Σ u vᵀ over the steps, for each example."""
    return jnp.einsum("tbi,tbj->bij", u, v)


def transpose(m: Any) -> Any:
    """Return the transpose of the last two axes."""
    return jnp.swapaxes(m, -1, -2)


def cross_entropy(p: Any, y: Any) -> Any:
    """Return -Σ y·log p over the last axis; weight 0 counts as 0 whatever p is."""
    return -jnp.sum(jnp.where(y == 0, 0, y * jnp.log(jnp.where(y == 0, 1, p))), axis=-1)


def softmax_cross_entropy(o: Any, y: Any) -> Any:
    """Return the cross entropy of softmax(o) over the last axis."""
    return logsumexp(o) * jnp.sum(y, axis=-1) - jnp.sum(o * y, axis=-1)


def sigmoid_binary_cross_entropy(o: Any, y: Any, rank: int) -> Any:
    """Return Σ softplus(o) - y·o."""
    return total(softplus(o) - y * o, rank)


def squared_error(u: Any, v: Any, rank: int) -> Any:
    """Return ½‖u - v‖²."""
    gap = u - v
    return 0.5 * total(gap * gap, rank)


def hinge(u: Any, y: Any, rank: int) -> Any:
    """Return Σ max(0, 1 - y·u)."""
    return total(jnp.maximum(1 - y * u, 0), rank)


def lookup_each(table: Any, token: Any, rank: int) -> Any:
    """Return the rows of tokens in tables, or the entries in vectors, that have axes in front."""
    places = jnp.ix_(*map(jnp.arange, table.shape[: table.ndim - rank]))
    return table[(*places, token)]


def onehot(token: Any, size: int, dtype: Any) -> Any:
    """Return the unit vectors of tokens."""
    return jax.nn.one_hot(token, size, dtype=dtype)


def scatter(token: Any, rows: Any, size: int) -> Any:
    """Return Σ onehot(token) rowᵀ over all axes in front, by adding rows up."""
    width = rows.shape[-1]
    return jnp.zeros((size, width), rows.dtype).at[token.ravel()].add(rows.reshape(-1, width))


def concat(*parts: Any) -> Any:
    """Return vectors joined along the last axis; axes in front are broadcast."""
    lead = jnp.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return jnp.concatenate([jnp.broadcast_to(p, (*lead, p.shape[-1])) for p in parts], axis=-1)


def select(relation: str, left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return `a` where the comparison holds, else `b`."""
    test = {">": jnp.greater, ">=": jnp.greater_equal, "<": jnp.less, "<=": jnp.less_equal}
    if isinstance(a, int | float) and isinstance(b, int | float):
        a = jnp.asarray(a, jnp.result_type(left, right))
    return jnp.where(test[relation](left, right), a, b)


def delayed(rows: Any, first: Any) -> Any:
    """Return the row of k steps ago for each step; `first` are the k rows before step 1."""
    return jnp.concatenate([first, rows])[: len(rows)]


def advanced(rows: Any, last: Any) -> Any:
    """Return the row of k steps ahead for each step; `last` are the k rows after the last step."""
    return jnp.concatenate([rows, last])[len(last) :]


def at(rows: Any, step: int, margins: Mapping[int, Any]) -> Any:
    """Return the row of a step (1 is the first), in a margin a boundary value or zeros."""
    if 1 <= step <= len(rows):
        return rows[step - 1]
    return margins.get(step, jnp.zeros_like(rows[0]))


def padded(rows: Any, before: int, after: int) -> Any:
    """Return the rows with the first and the last one repeated."""
    widths = [(before, after)] + [(0, 0)] * (rows.ndim - 1)
    return jnp.pad(rows, widths, mode="edge")


def all_tokens(given: Any, size: int) -> Any:
    """Return whether an array holds nothing but tokens below a size."""
    if given.dtype.kind not in "iu":
        return False
    token = given.astype(int)  # bytes cannot be compared with more than 255
    return ((token >= 0) & (token < size)).all()


def all_distributions(rows: Any) -> Any:
    """Return whether rows have no entry below 0 and the sum 1, as their numbers are rounded."""
    off = abs(rows.astype(float).sum(axis=-1) - 1)
    rounded = 1e-5 if rows.dtype.itemsize > 2 else 2**-7  # bfloat16 has eight bits
    return (rows >= 0).all() & (off <= rounded).all()
