"""The array functions of generated NumPy code: large numbers, empty arrays, both precisions."""

from __future__ import annotations

import numpy as np
import pytest

from graphgrad.compile import kernels
from tests.compile.reference import close


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.1, 60.0, 70.0, 1e4])
def test_softmax_is_exact_for_numbers_of_any_size(size: float, dtype: type) -> None:
    u = (size * np.random.default_rng(0).uniform(-1, 1, (5, 3, 7))).astype(dtype)
    shifted = u.astype(np.longdouble) - u.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    found = kernels.softmax(u)
    assert found.dtype == dtype
    expected = weights / weights.sum(axis=-1, keepdims=True)
    assert np.all(
        np.abs(found - expected) <= 8 * max(1, size) * np.finfo(dtype).eps * expected + 1e-37
    )


def test_softmax_of_extremes() -> None:
    close(kernels.softmax(np.array([[-np.inf, 0.0], [800.0, 0.0]])), [[0, 1], [1, 0]], 0)
    assert np.isnan(kernels.softmax(np.array([np.nan, 0.0]))).all()
    assert kernels.softmax(np.zeros((0, 3))).shape == (0, 3)


def test_rows_of_any_layout_are_summed() -> None:
    u = np.random.default_rng(0).standard_normal((4, 3, 6))
    close(kernels.row_sum(u[..., 1:5]), u[..., 1:5].sum(axis=(0, 1)))
    close(kernels.row_sum(u[::2]), u[::2].sum(axis=(0, 1)))


@pytest.mark.parametrize("unpacked", [0, 64 * 15, 64 * 15 + 14, 10**6])
@pytest.mark.parametrize("rows", [0, 1, 64, 65, 128, 131, 1000])
def test_outer_products_are_summed_in_blocks(
    rows: int, unpacked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "UNPACKED", unpacked)
    rng = np.random.default_rng(rows)
    u, v = rng.standard_normal((rows, 1, 8)), rng.standard_normal((rows, 1, 5))
    close(kernels.outer_sum(u, v), np.einsum("abi,abj->ij", u, v))
    close(kernels.outer_sum(u[..., :3], v), np.einsum("abi,abj->ij", u[..., :3], v))


@pytest.mark.parametrize("by_columns", [False, True])
def test_the_right_factor_is_the_same_matrix(
    by_columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "BY_COLUMNS", by_columns)
    m = np.arange(6.0).reshape(2, 3)
    double = "F_CONTIGUOUS" if by_columns else "C_CONTIGUOUS"
    for dtype, order in ((np.float32, "C_CONTIGUOUS"), (np.float64, double)):
        made = kernels.right_factor(m.astype(dtype).T)
        np.testing.assert_array_equal(made, m.T)
        assert made.flags[order]


def test_parts_stand_before_the_batch() -> None:
    u = np.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    cut = kernels.parts(u, 4)
    assert cut.shape == (2, 4, 3, 2)
    for part in range(4):
        np.testing.assert_array_equal(cut[:, part], u[..., 2 * part : 2 * part + 2])
    cut[...] = 0  # a view, of pieces of an array too
    assert not u.any()
    assert np.shares_memory(kernels.parts(u[..., 2:], 3), u)
    assert kernels.parts(u[0, 0], 4).shape == (4, 1, 2)
    assert kernels.parts(np.zeros((2, 1, 1)), 4).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_in_any_place(dtype: type) -> None:
    u = np.random.default_rng(0).uniform(-30, 30, (5, 8)).astype(dtype)
    expected = 1 / (1 + np.exp(-u.astype(np.longdouble)))
    whole, piece = u.copy(), np.zeros((5, 8), dtype)
    for found, wanted in (
        (kernels.sigmoid(u), expected),
        (kernels.sigmoid(whole, out=whole), expected),
        (kernels.sigmoid(u[:, 2:5], out=piece[:, 2:5]), expected[:, 2:5]),
    ):
        assert found.dtype == dtype
        assert np.all(np.abs(found - wanted) <= 8 * np.finfo(dtype).eps * wanted)
    np.testing.assert_array_equal(piece[:, 2:5], whole[:, 2:5])
    assert not piece[:, [0, 1, 5, 6, 7]].any()
    close(kernels.sigmoid(dtype(0.5)), 1 / (1 + np.exp(-0.5)), 1e-6)
