"""Reductions over components, softmax and its relatives, and the losses.

For matrices softmax and log_softmax go by rows; sum and mean are over all entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphgrad.ir import Comparison, Expr, Op, declare
from graphgrad.ops import shapes
from graphgrad.ops.elementwise import exp, log, sigmoid, softplus_value, where
from graphgrad.ops.leaves import ones, size_of
from graphgrad.ops.linear import outer

total = declare(
    Op(
        "sum",
        1,
        shapes.any_to_scalar("sum"),
        forward=np.sum,
        vjp=lambda g, y, v: (g * ones(v.shape),),
        array_functions=(np.sum,),
    )
)


def _mean_rule(g: Expr, y: Expr, v: Expr) -> tuple[Expr]:
    for dim in v.shape:
        g = g / size_of(dim)
    return (g * ones(v.shape),)


mean = declare(
    Op(
        "mean",
        1,
        shapes.any_to_scalar("mean"),
        forward=np.mean,
        exact=lambda algebra, v: algebra.divided(np.sum(v), np.size(v)),
        vjp=_mean_rule,
        array_functions=(np.mean,),
    )
)


def _largest(v: Any) -> Any:
    return np.ravel(v)[np.argmax(np.real(v))] if np.iscomplexobj(v) else np.max(v)


def _max_rule(g: Expr, y: Expr, v: Expr) -> tuple[Expr]:
    test = Comparison(">=", v, y)
    return (g * where(test, 1, 0) / total(where(test, ones(v.shape), 0)),)


largest = declare(
    Op(
        "max",
        1,
        shapes.any_to_scalar("max"),
        forward=_largest,
        exact=lambda algebra, v: algebra.max(v),
        vjp=_max_rule,
        array_functions=(np.max,),
        latex=r"\max",
        kinks="two largest components are equal (there the cotangent is shared among them)",
    )
)


def _shifted(u: Any) -> Any:
    """Return `u` less its largest entry, by rows, so that exp cannot overflow."""
    return u - np.max(np.real(u), axis=-1, keepdims=True)


def _softmax(u: Any) -> Any:
    weights = np.exp(_shifted(u))
    return weights / np.sum(weights, axis=-1, keepdims=True)


def _log_softmax(u: Any) -> Any:
    shifted = _shifted(u)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _logsumexp(v: Any) -> Any:
    top = np.max(np.real(v))
    return top + np.log(np.sum(np.exp(v - top)))


def row_sums(m: Expr) -> Expr:
    """Return the sum of a vector, or of each row of a matrix, broadcast back to its shape."""
    if len(m.shape) == 1:
        return total(m)
    across = ones(m.shape[1:])
    return outer(m @ across, across)


def _exact_softmax(algebra: Any, u: Any) -> Any:
    weights = algebra.exp(u)
    return np.divide(weights, np.sum(weights, axis=-1, keepdims=True))


def _exact_logsumexp(algebra: Any, v: Any) -> Any:
    return algebra.log(np.sum(algebra.exp(v)))


def _exact_log_softmax(algebra: Any, u: Any) -> Any:
    return u - algebra.log(np.sum(algebra.exp(u), axis=-1, keepdims=True))


softmax = declare(
    Op(
        "softmax",
        1,
        shapes.vector_or_rows("softmax"),
        forward=_softmax,
        exact=_exact_softmax,
        vjp=lambda g, y, u: (y * (g - row_sums(g * y)),),
    )
)
log_softmax = declare(
    Op(
        "log_softmax",
        1,
        shapes.vector_or_rows("log_softmax"),
        forward=_log_softmax,
        exact=_exact_log_softmax,
        vjp=lambda g, y, u: (g - exp(y) * row_sums(g),),
    )
)
logsumexp = declare(
    Op(
        "logsumexp",
        1,
        shapes.vector_to_scalar("logsumexp"),
        forward=_logsumexp,
        exact=_exact_logsumexp,
        vjp=lambda g, y, v: (g * softmax(v),),
    )
)


def _weighted(weights: Any, values: Any) -> Any:
    """Return Σ weights · values, where a weight of 0 counts as 0 whatever its value is."""
    return np.sum(np.where(weights == 0, 0, weights * np.where(weights == 0, 1, values)))


cross_entropy = declare(
    Op(
        "cross_entropy",
        2,
        shapes.loss("cross_entropy", vectors=True),
        forward=lambda p, y: -_weighted(y, np.log(np.where(y == 0, 1, p))),
        exact=lambda algebra, p, y: -np.sum(np.multiply(y, algebra.log(p))),
        vjp=lambda g, out, p, y: (-(g * y) / p, -(g * log(p))),
        domain="p > 0 where y ≠ 0",
        doc="-Σ y·log p of probabilities p and a target y (a distribution or a token)",
    )
)
softmax_cross_entropy = declare(
    Op(
        "softmax_cross_entropy",
        2,
        shapes.loss("softmax_cross_entropy", vectors=True),
        forward=lambda o, y: _logsumexp(o) * np.sum(y) - np.sum(o * y),
        exact=lambda algebra, o, y: (
            _exact_logsumexp(algebra, o) * np.sum(y) - np.sum(np.multiply(o, y))
        ),
        vjp=lambda g, out, o, y: (
            g * (softmax(o) * total(y) - y),
            g * (logsumexp(o) - o),
        ),
        doc="cross entropy of softmax(o) against a target y (a distribution or a token)",
    )
)
sigmoid_binary_cross_entropy = declare(
    Op(
        "sigmoid_binary_cross_entropy",
        2,
        shapes.loss("sigmoid_binary_cross_entropy", vectors=False),
        forward=lambda o, y: np.sum(softplus_value(o) - y * o),
        exact=lambda algebra, o, y: np.sum(algebra.softplus(o) - np.multiply(y, o)),
        vjp=lambda g, out, o, y: (g * (sigmoid(o) - y), -(g * o)),
        doc="-Σ y·log σ(o) + (1 - y)·log(1 - σ(o)) of logits o and targets y in 0..1",
    )
)
squared_error = declare(
    Op(
        "squared_error",
        2,
        shapes.loss("squared_error", vectors=False),
        forward=lambda u, v: 0.5 * np.sum((u - v) ** 2),
        exact=lambda algebra, u, v: algebra.divided(np.sum((u - v) ** 2), 2),
        vjp=lambda g, out, u, v: (g * (u - v), -(g * (u - v))),
        doc="½‖u - v‖²",
    )
)


def _hinge_rule(g: Expr, out: Expr, u: Expr, y: Expr) -> tuple[Expr, Expr]:
    inside = Comparison("<", y * u, ones(()))
    return where(inside, -(g * y), 0), where(inside, -(g * u), 0)


hinge = declare(
    Op(
        "hinge",
        2,
        shapes.loss("hinge", vectors=False),
        forward=lambda u, y: np.sum(np.where(np.real(1 - y * u) < 0, 0, 1 - y * u)),
        exact=lambda algebra, u, y: np.sum(algebra.relu(1 - np.multiply(y, u))),
        vjp=_hinge_rule,
        kinks="y·u = 1",
        doc="Σ max(0, 1 - y·u) of outputs u and targets y = ±1",
    )
)
