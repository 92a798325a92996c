"""How people write a pass: the same product, slope, sum or loop in different words.

Templates are filled with names and subscripts, or with what `grouped` puts into parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(frozen=True)
class Layout:
    """How the arrays of a pass are laid out, and what one writes then.

    `at` is a step of an indexed array, `stack` the axis of the features, `form` what a person hands
    over for a vector or an array of a step.
    """

    at: str
    length: Sequence[str]
    stack: int
    product: Sequence[str]
    back: Sequence[str]
    outer: Sequence[str]
    total: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    vector: str = "{}"
    series: str = "{}"

    @property
    def is_batched(self) -> bool:
        """Whether there are several examples."""
        return "batch" in self.options

    @property
    def stacks_flat(self) -> bool:
        """Whether features are stacked by `hstack`."""
        return self.stack == 1 or (self.vector == "{}" and not self.is_batched)


VECTORS = Layout(
    at="{}[t]",
    length=("len({})", "{}.shape[0]"),
    stack=0,
    product=(
        "{W} @ {v}", "{W} @ {v}", "np.dot({W}, {v})", "{W}.dot({v})", "np.matmul({W}, {v})",
        "np.einsum('ij,j->i', {W}, {v})", "{v} @ {W}.T",
    ),
    back=(
        "{W}.T @ {d}", "{W}.T @ {d}", "np.dot({W}.T, {d})", "{d} @ {W}",
        "np.einsum('ij,i->j', {W}, {d})", "np.dot({d}, {W})", "{W}.T.dot({d})",
    ),
    outer=(
        "np.outer({d}, {v})", "np.outer({d}, {v})", "{d}[:, None] * {v}",
        "np.einsum('i,j->ij', {d}, {v})", "np.outer({v}, {d}).T",
        "{d}[:, None] @ {v}[None, :]", "{d}.reshape(-1, 1) * {v}.reshape(1, -1)",
    ),
    total=("{d}",),
)  # fmt: skip
COLUMNS = Layout(
    at="{}[t]",
    length=("len({})", "{}.shape[0]"),
    stack=0,
    product=(
        "{W} @ {v}", "np.dot({W}, {v})", "np.matmul({W}, {v})", "{W}.dot({v})",
        "np.einsum('ij,jk->ik', {W}, {v})", "({v}.T @ {W}.T).T",
    ),
    back=(
        "{W}.T @ {d}", "np.dot({W}.T, {d})", "np.matmul({W}.T, {d})", "({d}.T @ {W}).T",
        "np.einsum('ij,ik->jk', {W}, {d})",
    ),
    outer=(
        "{d} @ {v}.T", "np.dot({d}, {v}.T)", "{d} * {v}.T", "np.outer({d}, {v})",
        "({v} @ {d}.T).T", "np.einsum('ik,jk->ij', {d}, {v})",
    ),
    total=("{d}",),
    vector="{}[:, None]",
    series="{}[..., None]",
)  # fmt: skip
ROWS = Layout(
    at="{}[t]",
    length=("len({})", "{}.shape[0]"),
    stack=1,
    product=(
        "{v} @ {W}.T", "np.dot({v}, {W}.T)", "np.matmul({v}, {W}.T)", "({W} @ {v}.T).T",
        "np.einsum('bj,ij->bi', {v}, {W})", "{v}.dot({W}.T)",
    ),
    back=(
        "{d} @ {W}", "np.dot({d}, {W})", "np.matmul({d}, {W})", "({W}.T @ {d}.T).T",
        "np.einsum('bi,ij->bj', {d}, {W})",
    ),
    outer=(
        "{d}.T @ {v}", "np.dot({d}.T, {v})", "({v}.T @ {d}).T",
        "np.einsum('bi,bj->ij', {d}, {v})", "np.tensordot({d}, {v}, axes=([0], [0]))",
        "({d}[:, :, None] * {v}[:, None, :]).sum(axis=0)",
    ),
    total=(
        "{d}.sum(axis=0)", "np.sum({d}, axis=0)", "np.ones(len({d})) @ {d}", "{d}.sum(0)",
        "np.einsum('bi->i', {d})", "{d}.mean(axis=0) * len({d})",
    ),
    options={"batch": 2},
)  # fmt: skip
BATCH_FIRST = Layout(
    at="{}[:, t]",
    length=("{}.shape[1]",),
    stack=1,
    product=ROWS.product,
    back=ROWS.back,
    outer=ROWS.outer,
    total=ROWS.total,
    options={"batch": 2, "layout": "batch_first"},
)
BATCH_LAST = Layout(
    at="{}[:, :, t]",
    length=("{}.shape[2]", "{}.shape[-1]"),
    stack=0,
    product=COLUMNS.product,
    back=COLUMNS.back,
    outer=(
        "{d} @ {v}.T", "np.dot({d}, {v}.T)", "({v} @ {d}.T).T",
        "np.einsum('ib,jb->ij', {d}, {v})",
    ),
    total=(
        "{d}.sum(axis=1, keepdims=True)", "np.sum({d}, axis=1, keepdims=True)",
        "{d} @ np.ones(({d}.shape[1], 1))", "{d}.sum(1)[:, None]",
    ),
    options={"batch": 2, "layout": "features_first"},
    vector="{}[:, None]",
)  # fmt: skip
LAYOUTS = {
    "vectors": VECTORS, "columns": COLUMNS, "rows": ROWS, "batch_first": BATCH_FIRST,
    "batch_last": BATCH_LAST,
}  # fmt: skip

STEEP_SIGMOID = (
    "(np.exp(-{z}) / (1 + np.exp(-{z})) ** 2)", "(np.exp({z}) / (1 + np.exp({z})) ** 2)",
    "(np.exp(-{z}) / np.square(1 + np.exp(-{z})))", "(1 / (np.exp({z}) + 2 + np.exp(-{z})))",
    "(1 / (1 + np.exp(-{z})) * (1 - 1 / (1 + np.exp(-{z}))))",
    "((1 - np.tanh({z} / 2) ** 2) / 4)", "(0.25 - 0.25 * np.square(np.tanh(0.5 * {z})))",
    "((1 - np.tanh({z} / 2)) * (1 + np.tanh({z} / 2)) / 4)",
    "((1 + np.tanh({z} / 2)) / 2 * (1 - (1 + np.tanh({z} / 2)) / 2))",
)  # fmt: skip
FAMILIES = {
    "exponentials": {
        "sigmoid": (
            "1 / (1 + np.exp(-{z}))", "1.0 / (1.0 + np.exp(-{z}))", "(1 + np.exp(-{z})) ** -1",
            "np.exp({z}) / (1 + np.exp({z}))", "1 - 1 / (1 + np.exp({z}))",
            "np.reciprocal(1 + np.exp(-{z}))",
        ),
        "steep sigmoid": STEEP_SIGMOID,
        "tanh": ("np.tanh({z})",),
        "steep tanh": ("(1 - np.tanh({z}) ** 2)",),
    },
    "hyperbolic tangents": {
        "sigmoid": ("(1 + np.tanh({z} / 2)) / 2", "0.5 * np.tanh(0.5 * {z}) + 0.5"),
        "steep sigmoid": STEEP_SIGMOID,
        "tanh": ("np.tanh({z})",),
        "steep tanh": ("(1 - np.tanh({z}) ** 2)", "(1 - np.tanh({z}) * np.tanh({z}))"),
    },
}  # fmt: skip
"""Activations and, written by the argument, their slopes; one person's σ is of one family."""
BY_VALUE = {
    "sigmoid": (
        "{s} * (1 - {s})", "{s} * (1 - {s})", "({s} - {s} ** 2)", "(1 - {s}) * {s}",
        "({s} - {s} * {s})",
    ),
    "tanh": (
        "(1 - {s} ** 2)", "(1 - {s} ** 2)", "(1 - {s} * {s})", "(1 - {s}) * (1 + {s})",
        "(1 - np.square({s}))", "(1 - np.power({s}, 2))",
    ),
}  # fmt: skip
"""Slopes, written by the value."""
SQUARES = (
    "0.5 * np.sum({e} ** 2)", "np.sum({e} ** 2) / 2", "({e} ** 2).sum() / 2",
    "0.5 * np.sum({e} * {e})", "np.sum(np.square({e})) * 0.5", "0.5 * np.vdot({e}, {e})",
    "np.sum(0.5 * {e} ** 2)",
)  # fmt: skip
SOFTMAXES = (
    "np.exp({o}) / np.sum(np.exp({o}){k})",
    "np.exp({o} - np.max({o}{k})) / np.sum(np.exp({o} - np.max({o}{k})){k})",
    "np.exp({o} - np.log(np.sum(np.exp({o}){k})))",
)
ENTROPIES = (
    "-np.sum({y} * np.log({p}))", "-({y} * np.log({p})).sum()", "np.sum(-np.log({p}) * {y})",
    "np.sum({y} * np.log(1 / {p}))",
)  # fmt: skip
BACKWARDS = (
    ("for t in reversed(range(T)):", "", ""),
    ("for t in range(T - 1, -1, -1):", "", ""),
    ("for t in range(T)[::-1]:", "", ""),
    ("for j in range(T):", "t = T - 1 - j", ""),
    ("for j in range(1, T + 1):", "t = T - j", ""),
    ("for j in range(T, 0, -1):", "t = j - 1", ""),
    ("while t >= 0:", "", "t -= 1"),
    ("while t > -1:", "", "t = t - 1"),
    ("for t in list(range(T))[::-1]:", "", ""),
)
"""Loops down: their head, what the body begins with, and what it ends with."""


SUM = re.compile(r"^(?!\(.*\)$).*[-+](?![^\[]*\])")
"""A sum, or what holds one outside of parentheses around all and of subscripts."""


def grouped(text: str) -> str:
    """Return an expression that may stand anywhere, in parentheses where it must.

    >>> grouped("h[t]"), grouped("r[t] * h[t]")
    ('h[t]', '(r[t] * h[t])')
    """
    return text if re.fullmatch(r"[\w.]+(\[[^][]*\])*", text) else f"({text})"


@dataclass
class Hand:
    """One person's hand: what is drawn once, and what at every use."""

    draw: Random
    layout: Layout

    def pick(self, choices: Sequence[Any]) -> Any:
        """Return one of several ways."""
        return self.draw.choice(choices)

    def chance(self, share: float) -> bool:
        """Whether to do what a share of people does."""
        return self.draw.random() < share

    def sum_of(self, terms: Sequence[str]) -> str:
        """Return a sum in some order."""
        order = list(terms)
        self.draw.shuffle(order)
        return " + ".join(order)

    def times(self, *factors: str) -> str:
        """Return a product, entry by entry, in some order."""
        order = list(factors)
        self.draw.shuffle(order)
        return " * ".join(grouped(each) if SUM.search(each) else each for each in order)
