"""Ops applied along one more axis give what they give one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from graphgrad.lifting import ELEMENTWISE, RULES, lifted
from graphgrad.ops import OPS

COUNT = 3
M, V, SCALAR = (4, 2), (4,), ()
# name, detail, shapes of the operands
CASES: list[tuple[str, Any, list[tuple[int, ...]]]] = [
    *((name, None, shapes) for name in ("add", "sub", "mul", "div")
      for shapes in ([M, M], [V, V], [SCALAR, M], [V, SCALAR], [SCALAR, SCALAR])),
    *(("neg", None, [shape]) for shape in (M, V, SCALAR)),
    ("copy", None, [M]),
    ("accumulate", None, [V, V, V]),
    *(("where", ">", shapes) for shapes in ([V, V, V, SCALAR], [SCALAR, V, V, V], [SCALAR] * 4)),
    *(("sum", None, [shape]) for shape in (M, V, SCALAR)),
    *(("mean", None, [shape]) for shape in (M, V, SCALAR)),
    *(("matmul", None, shapes) for shapes in ([M, (2,)], [M, (2, 5)], [V, V])),
    ("outer", None, [V, (2,)]),
    ("transpose", None, [M]),
    ("concat", None, [V, SCALAR, (2,)]),
    ("part", slice(1, 3), [V]),
    ("component", 2, [V]),
    ("relu", None, [V]),
    ("max", None, [M]),
]  # fmt: skip


def one_by_one(name: str, detail: Any) -> Any:
    forward = OPS[name].forward
    assert forward is not None
    if OPS[name].takes_attr:
        return lambda step, *operands: forward(detail, *operands)
    return lambda step, *operands: forward(*operands)


def numbers(shape: tuple[int, ...], exact: bool, source: np.random.Generator) -> Any:
    array = source.integers(1, 9, shape)
    if not exact:
        return array / 4
    result = np.empty(shape, object)
    for position in np.ndindex(*shape):
        result[position] = Fraction(int(array[position]), 4)
    return result


@pytest.mark.parametrize(
    ("name", "detail", "shapes", "exact"),
    # mean and relu have a meaning of their own over exact numbers
    [(*each, exact) for each in CASES for exact in {False, each[0] not in ("mean", "relu")}],
)
def test_along_an_axis_as_one_by_one(
    name: str, detail: Any, shapes: list[tuple[int, ...]], exact: bool
) -> None:
    kernel, source = one_by_one(name, detail), np.random.default_rng(0)
    for which in range(1, 2 ** len(shapes)):
        many = [bool(which >> k & 1) for k in range(len(shapes))]
        operands = [
            numbers((COUNT, *shape) if m else shape, exact, source)
            for shape, m in zip(shapes, many, strict=True)
        ]
        # scalars stand alone, as they do in the interpreter
        operands = [x if np.ndim(x) else x[()] for x in operands]
        found = lifted(name, detail, kernel, operands, many)
        for k in range(COUNT):
            single = [x[k] if m else x for x, m in zip(operands, many, strict=True)]
            expected = np.asarray(kernel(0, *single))
            assert np.shape(found[k]) == expected.shape
            assert np.all(found[k] == expected) if exact else np.allclose(found[k], expected)


@pytest.mark.parametrize("which", [(True, False), (True, True)])
def test_lookup(which: tuple[bool, bool]) -> None:
    table = np.arange(24.0).reshape(3, 4, 2)
    row = np.array([0.0, 0.5, 0.5, 0.0])
    kernel = one_by_one("lookup", None)
    found = lifted("lookup", None, kernel, [table, np.int64(2)], (True, False))
    np.testing.assert_array_equal(found, table[:, 2])
    rows = np.stack([row, row, row[::-1]]) if which[1] else row
    found = lifted("lookup", None, kernel, [table, rows], which)
    expected = [kernel(0, table[k], rows[k] if which[1] else rows) for k in range(3)]
    np.testing.assert_allclose(found, expected)


def test_expand_makes_arrays_of_scalars() -> None:
    base = np.ones((2, 2))
    found = lifted("expand", (2, 2), lambda step, u: base * u, [np.array([1.0, 2.0])], [True])
    np.testing.assert_array_equal(found, [np.ones((2, 2)), 2 * np.ones((2, 2))])


def test_every_rule_has_a_case() -> None:
    covered = {name for name, _, _ in CASES} | {"lookup"}
    assert {*ELEMENTWISE, *RULES} <= covered
