"""One entry an op: how it is written, with which operands, and what it means in NumPy alone.

The tests go through this table and through OPS; an op without a case fails a test, so that whoever
adds a primitive adds one entry here and gets all tests of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphgrad.dims import Dim

Shape = tuple[str, ...]
SIZES = {"H": 3, "K": 2}
S: Shape = ()
V: Shape = ("H",)
U: Shape = ("K",)
M: Shape = ("H", "K")
ELEMENTWISE: tuple[tuple[Shape, ...], ...] = ((S,), (V,), (M,))
BROADCAST: tuple[tuple[Shape, ...], ...] = ((S, S), (V, V), (M, M), (S, V), (V, S), (S, M), (M, S))
Random = Any


def anything(random: Random, shape: tuple[int, ...]) -> Any:
    """Numbers of both signs, none of them near zero."""
    return random.choice([-1.0, 1.0], shape) * random.uniform(0.3, 2.0, shape)


def positive(random: Random, shape: tuple[int, ...]) -> Any:
    return random.uniform(0.3, 2.0, shape)


def exponent(random: Random, shape: tuple[int, ...]) -> Any:
    return random.uniform(-2.0, 2.0, shape)


def probabilities(random: Random, shape: tuple[int, ...]) -> Any:
    weights = random.uniform(0.2, 1.0, shape)
    return weights / weights.sum()


def signs(random: Random, shape: tuple[int, ...]) -> Any:
    return random.choice([-1.0, 1.0], shape)


@dataclass(frozen=True)
class Case:
    """An op as it is written, `{0}` standing for its first operand."""

    op: str
    text: str
    shapes: tuple[tuple[Shape, ...], ...]
    meaning: Callable[..., Any]
    domains: tuple[Callable[..., Any], ...] = (anything, anything, anything, anything)
    analytic: bool = True
    rational: bool = (
        False  # piecewise polynomial of degree ≤ 2: differences over Fractions are exact
    )

    def operands(self, shapes: tuple[Shape, ...], seed: int) -> list[Any]:
        random = np.random.default_rng(seed)
        lengths = [tuple(int(Dim.of(dim).bind(SIZES)) for dim in shape) for shape in shapes]
        return [
            np.asarray(domain(random, length))
            for domain, length in zip(self.domains, lengths, strict=False)
        ]


def _softmax(u: Any) -> Any:
    return np.exp(u) / np.exp(u).sum(axis=-1, keepdims=True)


def _log_softmax(u: Any) -> Any:
    return u - np.log(np.exp(u).sum(axis=-1, keepdims=True))


def _where(left: Any, right: Any, a: Any, b: Any) -> Any:
    return np.where(left.real > right.real, a, b)


def _hinge(u: Any, y: Any) -> Any:
    margin = 1 - u * y
    return np.where(margin.real > 0, margin, 0).sum()


CASES = [
    Case("add", "{0} + {1}", BROADCAST, lambda a, b: a + b, rational=True),
    Case("sub", "{0} - {1}", BROADCAST, lambda a, b: a - b, rational=True),
    Case("mul", "{0} * {1}", BROADCAST, lambda a, b: a * b, rational=True),
    Case("div", "{0} / {1}", BROADCAST, lambda a, b: a / b),
    Case("neg", "-{0}", ELEMENTWISE, lambda a: -a, rational=True),
    Case("pow", "{0} ** {1}", BROADCAST, lambda a, b: np.exp(b * np.log(a)), (positive, exponent)),
    Case("pow", "{0} ** 2", ELEMENTWISE, lambda a: a * a, rational=True),
    Case("pow", "{0} ** 3", ELEMENTWISE, lambda a: a * a * a),
    Case("pow", "{0} ** 1", ELEMENTWISE, lambda a: a, rational=True),
    Case("pow", "{0} ** 0", ELEMENTWISE, lambda a: a * 0 + 1, rational=True),
    Case("pow", "{0} ** -1", ELEMENTWISE, lambda a: 1 / a),
    Case("pow", "{0} ** 0.5", ELEMENTWISE, lambda a: np.sqrt(a), (positive,)),
    Case("pow", "2 ** {0}", ELEMENTWISE, lambda a: np.exp(a * np.log(2.0))),
    Case("tanh", "tanh({0})", ELEMENTWISE,
         lambda u: (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u))),
    Case("sigmoid", "sigmoid({0})", ELEMENTWISE, lambda u: 1 / (1 + np.exp(-u))),
    Case("exp", "exp({0})", ELEMENTWISE, np.exp),
    Case("log", "log({0})", ELEMENTWISE, np.log, (positive,)),
    Case("sqrt", "sqrt({0})", ELEMENTWISE, lambda u: np.exp(np.log(u) / 2), (positive,)),
    Case("sin", "sin({0})", ELEMENTWISE, np.sin),
    Case("cos", "cos({0})", ELEMENTWISE, np.cos),
    Case("softplus", "softplus({0})", ELEMENTWISE, lambda u: np.log(1 + np.exp(u))),
    Case("where", "where({0} > {1}, {2}, {3})",
         ((S, S, S, S), (V, S, V, V), (V, V, S, S), (M, S, S, M), (S, S, V, S)), _where,
         analytic=False, rational=True),
    Case("relu", "relu({0})", ELEMENTWISE, lambda u: np.where(u.real > 0, u, 0), analytic=False,
         rational=True),
    Case("abs", "abs({0})", ELEMENTWISE, lambda u: np.where(u.real > 0, u, -u), analytic=False,
         rational=True),
    Case("maximum", "maximum({0}, {1})", BROADCAST, lambda a, b: np.where(a.real > b.real, a, b),
         analytic=False, rational=True),
    Case("minimum", "minimum({0}, {1})", BROADCAST, lambda a, b: np.where(a.real < b.real, a, b),
         analytic=False, rational=True),
    Case("matmul", "{0} @ {1}", ((M, U), (M, ("K", "H")), (V, V)), lambda a, b: a @ b,
         rational=True),
    Case("outer", "outer({0}, {1})", ((V, U), (V, V)), lambda a, b: a[:, None] * b, rational=True),
    Case("transpose", "({0}).T", ((M,), (("H", "H"),)), lambda a: np.swapaxes(a, 0, 1),
         rational=True),
    Case("concat", "concat({0}, {1}, {2})", ((V, U, S), (S, S, S), (U, V, V)),
         lambda *parts: np.hstack([np.ravel(part) for part in parts]), rational=True),
    Case("part", "split({0}, 3)[1]", ((("3*K",),), (("6*H+3",),)),
         lambda v: v.reshape(3, -1)[1], rational=True),
    Case("part", "split({0}, K, 1)[0]", ((("K+1",),),), lambda v: v[:2], rational=True),
    Case("component", "at({0}, 1)", ((V,), (U,)), lambda v: v[1], rational=True),
    Case("sum", "sum({0})", ELEMENTWISE, lambda v: np.ravel(v) @ np.ones(v.size), rational=True),
    Case("mean", "mean({0})", ELEMENTWISE, lambda v: np.ravel(v) @ np.ones(v.size) / v.size,
         rational=True),
    Case("max", "max({0})", ELEMENTWISE, lambda v: np.ravel(v)[np.argsort(np.ravel(v.real))[-1]],
         analytic=False, rational=True),
    Case("softmax", "softmax({0})", ((V,), (M,)), _softmax),
    Case("log_softmax", "log_softmax({0})", ((V,), (M,)), _log_softmax),
    Case("logsumexp", "logsumexp({0})", ((V,),), lambda v: np.log(np.exp(v).sum())),
    Case("cross_entropy", "cross_entropy({0}, {1})", ((V, V),), lambda p, y: -(y * np.log(p)).sum(),
         (probabilities, probabilities)),
    Case("softmax_cross_entropy", "softmax_cross_entropy({0}, {1})", ((V, V),),
         lambda o, y: -(y * _log_softmax(o)).sum(), (anything, probabilities)),
    Case("sigmoid_binary_cross_entropy", "sigmoid_binary_cross_entropy({0}, {1})",
         ((S, S), (V, V), (M, M)),
         lambda o, y: -(y * np.log(1 / (1 + np.exp(-o)))
                        + (1 - y) * np.log(1 / (1 + np.exp(o)))).sum(), (anything, positive)),
    Case("squared_error", "squared_error({0}, {1})", ((S, S), (V, V), (M, M)),
         lambda u, v: ((u - v) * (u - v)).sum() / 2, rational=True),
    Case("hinge", "hinge({0}, {1})", ((S, S), (V, V), (M, M)), _hinge, (anything, signs),
         analytic=False, rational=True),
]  # fmt: skip

# Ops that have tests of their own: leaves, structure, tokens, and what holds derivatives back.
ELSEWHERE = {
    "param", "input", "static", "read", "at_step", "const", "counter", "size", "fill", "basis",
    "choose", "reduce", "expand", "copy", "accumulate", "lookup", "onehot", "stop_gradient",
    "hole",
}  # fmt: skip
