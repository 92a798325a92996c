"""Losses, softmax and their like in simpler statements: the same values, none lost at the edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from graphgrad.compile.schedule import Operand, Statement
from graphgrad.compile.simple import Softmax, simplified
from graphgrad.dims import Dim, Shape
from graphgrad.ir import OPS

VECTOR = (Dim.of("K"),)
RNG = np.random.default_rng(0)
TARGET = np.array([0.0, 0.25, 0.75, 0.0, 0.0])
LOGITS = RNG.normal(size=5) * 4
OPERANDS: Mapping[str, tuple[Any, ...]] = {
    "softmax": (LOGITS,),
    "log_softmax": (LOGITS,),
    "logsumexp": (LOGITS + 800,),
    "cross_entropy": (np.array([0.0, 0.2, 0.5, 0.3, 0.0]), TARGET),
    "softmax_cross_entropy": (LOGITS, TARGET),
    "sigmoid_binary_cross_entropy": (LOGITS, TARGET),
    "squared_error": (LOGITS, TARGET),
    "hinge": (LOGITS, np.sign(RNG.normal(size=5))),
    "matmul": (LOGITS, TARGET),
}
SINGLE = {"sigmoid_binary_cross_entropy", "squared_error", "hinge"}


def values_of(steps: list[Statement], values: dict[str, Any]) -> dict[str, Any]:
    """Compute statements one after the other."""
    for each in steps:
        given = [values[o.name] if isinstance(o, Operand) else o for o in each.operands]
        if each.op == "copy":
            value = given[0]
        elif each.op == "where":
            assert each.attr == "=="
            value = np.where(given[0] == given[1], *given[2:])
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                value = OPS[each.op].forward(*given)
        values[each.name] = value
        assert np.shape(values[each.name]) == (5,) * len(each.shape), each
    return values


def made(
    op: str,
    *names: str,
    shape: Shape = VECTOR,
    known: dict[str, Softmax] | None = None,
    lag: int = 0,
) -> list[Statement]:
    """Return the simple statements for one of operands of this shape; a softmax is called p."""
    operands = tuple(Operand(name, lag) for name in names)
    name, own = ("p", shape) if "softmax" in (op, op[4:]) else ("L", ())
    statement = Statement(name, op, operands, None, "t", False, own)
    return simplified(statement, lambda name: shape, {} if known is None else known)


@pytest.mark.parametrize("op", OPERANDS)
def test_simple_statements_compute_the_same(op: str) -> None:
    given = dict(zip("ab", OPERANDS[op], strict=False))
    steps = made(op, *given)
    assert all(each.op != op for each in steps)
    wanted = OPS[op].forward(*given.values())
    np.testing.assert_allclose(values_of(steps, given)[steps[-1].name], wanted, rtol=1e-14)


@pytest.mark.parametrize("op", sorted(SINGLE))
def test_of_single_numbers_too(op: str) -> None:
    steps = made(op, "a", "b", shape=())
    values = values_of(steps, {"a": 0.3, "b": 0.8})
    assert values["L"] == pytest.approx(OPS[op].forward(0.3, 0.8), rel=1e-15)
    assert not {"sum", "mean"} & {each.op for each in steps}


EDGES: Mapping[str, Any] = {
    "any": LOGITS,
    "nothing is left of a weight that counts": np.array([0.0, -2.0, -800.0, 1.0, 3.0]),
    "nothing is left of one that does not": np.array([0.0, -2.0, 3.0, -800.0, 1.0]),
    "-inf": np.array([0.0, -2.0, 3.0, -np.inf, 1.0]),
    "NaN": np.array([0.0, np.nan, 3.0, 1.0, 1.0]),
    "large": np.array([900.0, 901.0, 899.0, 900.0, 7.0]),
}


@pytest.mark.parametrize("logits", EDGES.values(), ids=EDGES)
def test_cross_entropy_of_a_softmax_takes_one_logarithm_for_all_entries(logits: Any) -> None:
    known: dict[str, Softmax] = {}
    steps = made("softmax", "a", known=known) + made("cross_entropy", "p", "y", known=known)
    values = values_of(steps, {"a": logits, "y": TARGET})
    with np.errstate(divide="ignore"):
        wanted = OPS["cross_entropy"].forward(values["p"], TARGET)
    np.testing.assert_allclose(values["L"], wanted, rtol=1e-14)
    assert [each.shape for each in steps if each.op == "log"] == [()]


def test_not_of_the_softmax_of_another_step() -> None:
    known: dict[str, Softmax] = {}
    made("softmax", "a", known=known)
    steps = made("cross_entropy", "p", "y", known=known, lag=1)
    assert [each.shape for each in steps if each.op == "log"] == [VECTOR]
