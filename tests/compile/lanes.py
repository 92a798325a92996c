"""Numba programs run by Python: vectors of a few numbers, and every access to memory checked.

Machine code takes seconds to compile, and reads and writes wherever it is told. Here the functions
of `graphgrad.compile.vector.fast` are those of NumPy, what stands beyond the numbers that are
wanted is NaN, and so is what a call leaves in its work. Numba need not be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphgrad.compile import emit_numba, kernels, rooms, run_numba
from graphgrad.compile.sources import VECTOR_FUNCTIONS

AHEAD = "1 + 2 // B"
"""Products are computed for so many steps at a time: fewer than short sequences have."""
Index = tuple[int, ...]
ONE = {name: getattr(np, name) for name in ("tanh", "exp", "log", "log1p", "sqrt", "sin", "cos")}
ONE |= {"absolute": np.absolute, "sigmoid": kernels.sigmoid}
ONE |= {"softplus": kernels.softplus, "relu": kernels.relu}
TWO = {"power": np.power, "maximum": np.maximum, "minimum": np.minimum}
FOUR = {"if_equal": np.equal, "if_greater": np.greater, "if_greater_equal": np.greater_equal}
FOUR |= {"if_less": np.less, "if_less_equal": np.less_equal}


@contextmanager
def by_python(width: int) -> Iterator[None]:
    """Have Python run the programs of the Numba back end, with vectors of this many numbers."""

    def module(source: str) -> SimpleNamespace:
        space = {"np": np, "njit": lambda **_: lambda function: function}
        space |= {name: getattr(Lanes(width), name) for name in VECTOR_FUNCTIONS}
        exec(compile(source, "<program>", "exec"), space)
        made = SimpleNamespace(**{name: space[name] for name in ("results", "work")})
        made.compiled = lambda *given: _called(space, given)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_numba, "require_numba", lambda: None)
        patch.setattr(run_numba, "module_source", lambda source: source)
        patch.setattr(run_numba, "_module", module)
        patch.setattr(run_numba.NumbaFunction, "_entry", lambda made, *_: made.module.compiled)
        for place in (rooms, emit_numba):
            patch.setattr(place, "STEPS_AHEAD", AHEAD)
        yield


def _called(space: Any, given: tuple[Any, ...]) -> bool:
    """Call a program, first with NaN for all numbers: it leaves them in its work."""
    first = next(k for k, each in enumerate(given) if isinstance(each, np.ndarray)) + 2
    sizes, real = given[: first - 1], given[first - 2]
    results, work = space["results"](*sizes), space["work"](*sizes)
    last = len(given) - len(results) - len(work)
    arrays, work = given[first:last], given[last : len(given) - len(results)]
    for each in arrays:
        if each.dtype not in (real.dtype, np.int64) or not each.flags.c_contiguous:
            raise TypeError("machine code is for arrays of one type")
    unknown = [np.full_like(each, np.nan) if each.dtype == real.dtype else each for each in arrays]
    with np.errstate(all="ignore"):
        space["compiled"](*sizes, False, *unknown, *work, *results)
        fits: bool = space["compiled"](*given)
    return fits


class Roomy(np.ndarray[Any, Any]):
    """An array with room behind it; `whole` are its numbers and those behind them."""

    whole: Any = None


class Packed:
    """A matrix whose columns are put together from others, filled up to whole panels."""

    def __init__(self, columns: int, depth: int, width: int, dtype: Any) -> None:
        self.columns, self.depth = columns, depth
        self.numbers = np.zeros((depth, -(-columns // (2 * width)) * 2 * width), dtype)
        self.known = np.zeros((depth, columns), bool)


def numbers_of(array: Any) -> Any:
    """Return the numbers of an array one after the other."""
    assert array.flags.c_contiguous
    return array.reshape(array.size)


def rows_of(array: Any, start: int, stride: int, count: int, width: int) -> Any:
    """Return rows of an array, to be read or written."""
    flat = numbers_of(array)
    if not count:
        return np.zeros((0, width), array.dtype)
    assert count == 1 or stride >= width, "rows overlap"
    assert 0 <= start <= flat.size - (count - 1) * stride - width, "rows are not in the array"
    step = flat.itemsize
    return np.lib.stride_tricks.as_strided(flat[start:], (count, width), (stride * step, step))


def place(array: Any, index: Index, wanted: int = 1) -> int:
    """Return where an entry stands; from there on so many numbers are in the array."""
    assert len(index) == array.ndim, f"{index} of {array.shape}"
    assert all(0 <= i < size for i, size in zip(index[:-1], array.shape, strict=False)), index
    first = 0
    for i, size in zip(index, array.shape, strict=True):
        first = first * size + i
    assert 0 <= first <= array.size - wanted, f"{wanted} from {index} on, of {array.shape}"
    return first


class Lanes:
    """The functions that programs call, for vectors of `width` numbers."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in ONE or name in TWO:
            function = {**ONE, **TWO}[name]
            return lambda *given: function(*self._vectors(*given))
        test = FOUR[name]

        def choice(left: Any, right: Any, a: Any, b: Any) -> Any:
            left, right, a, b = self._vectors(left, right, a, b)
            return np.where(test(left, right), a, b)

        return choice

    def _vectors(self, *given: Any) -> list[Any]:
        (dtype,) = {each.dtype for each in given if isinstance(each, np.ndarray)}
        return [self._vector(each, dtype) for each in given]

    def _vector(self, value: Any, dtype: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return np.full(self.width, value, dtype)
        assert value.shape == (self.width,)
        assert value.dtype == dtype
        return value

    # -- vectors -----------------------------------------------------------------------------------

    def lanes(self, like: Any) -> int:
        return self.width

    def number(self, like: Any, value: Any) -> Any:
        return self._vector(value, like.dtype)

    def unit(self, like: Any, position: int) -> Any:
        return (np.arange(self.width) == position).astype(like.dtype)

    def kept(self, x: Any, left: int, other: float) -> Any:
        return np.where(np.arange(self.width) < left, *self._vectors(x, other))

    def choose(self, condition: bool, chosen: Any, otherwise: Any) -> Any:
        return self._vectors(chosen, otherwise)[0 if condition else 1]

    def across_sum(self, x: Any) -> Any:
        return self._vector(x.sum(), x.dtype)

    def across_max(self, x: Any) -> Any:
        return self._vector(x.max(), x.dtype)

    # -- memory ------------------------------------------------------------------------------------

    def room(self, shape: tuple[int, ...], like: Any) -> Any:
        size = int(np.prod(shape))
        whole = np.append(np.zeros(size, like.dtype), np.full(self.width, np.nan, like.dtype))
        made = whole[:size].reshape(shape).view(Roomy)
        made.whole = whole
        return made

    def row(self, shape: tuple[int, ...], like: Any) -> Any:
        return self.room(shape, like)

    def load(self, array: Any, index: Index, left: int) -> Any:
        count = min(max(left, 0), self.width)
        first = place(array, index, count)
        found = np.zeros(self.width, array.dtype)
        found[:count] = numbers_of(array)[first : first + count]
        return found

    def read(self, array: Any, index: Index) -> Any:
        first = place(array, index)
        return array.whole[first : first + self.width].copy()

    def store(self, array: Any, index: Index, left: int, value: Any) -> None:
        count = min(left, self.width)
        first = place(array, index, count)
        numbers_of(array)[first : first + count] = self._vector(value, array.dtype)[:count]

    def write(self, array: Any, index: Index, value: Any) -> None:
        first = place(array, index)
        array.whole[first : first + self.width] = self._vector(value, array.dtype)

    def put(self, array: Any, index: Index, value: Any) -> None:
        numbers_of(array)[place(array, index)] = self._vector(value, array.dtype)[0]

    def spread(self, array: Any, index: Index) -> Any:
        return self._vector(numbers_of(array)[place(array, index)], array.dtype)

    def padded(self, x: Any, before: int, after: int) -> Any:
        return np.pad(x, [(before, after)] + [(0, 0)] * (x.ndim - 1))

    def divide(self, array: Any, count: int) -> None:
        array /= count

    # -- products ----------------------------------------------------------------------------------

    def panels(self, columns: int, depth: int, like: Any) -> Packed:
        return Packed(columns, depth, self.width, like.dtype)

    def pack(
        self, packed: Packed, depth: int, column: int, row: int, m: Any, start: int,
        shape: tuple[int, int], transposed: bool,
    ) -> None:  # fmt: skip
        (block,) = rows_of(m, start, 0, 1, shape[0] * shape[1])
        block = block.reshape(shape) if transposed else block.reshape(shape).T
        rows, columns = slice(row, row + len(block)), slice(column, column + block.shape[1])
        assert (depth, packed.known[rows, columns].shape) == (packed.depth, block.shape)
        packed.numbers[rows, columns] = block
        packed.known[rows, columns] = True

    def product(
        self, out: Any, to: int, stride: int, rows: int, columns: int, a: Any, start: int,
        a_stride: int, depth: int, packed: Packed,
    ) -> None:  # fmt: skip
        assert packed.known.all()
        assert packed.known.shape == (depth, columns)
        given = rows_of(a, start, a_stride, rows, depth)
        rows_of(out, to, stride, rows, columns)[...] = given @ packed.numbers[:, :columns]

    def times(self, packed: Packed, depth: int, column: int, a: Any, start: int) -> Any:
        assert packed.known.all()
        assert packed.depth == depth
        found = rows_of(a, start, 0, 1, depth)[0] @ packed.numbers
        found[packed.columns :] = np.nan
        return found[column : column + self.width]

    def outer_sum(
        self, out: Any, rows: int, columns: int, u: Any, u0: int, u_stride: int, v: Any, v0: int,
        v_stride: int, count: int, fresh: bool,
    ) -> None:  # fmt: skip
        (total,) = rows_of(out, 0, 0, 1, rows * columns)
        left, right = (
            rows_of(u, u0, u_stride, count, rows),
            rows_of(v, v0, v_stride, count, columns),
        )
        total[...] = (0 if fresh else total) + (left.T @ right).ravel()

    def row_sum(
        self, out: Any, to: int, columns: int, u: Any, start: int, stride: int, count: int
    ) -> None:
        rows_of(out, to, 0, 1, columns)[0] = rows_of(u, start, stride, count, columns).sum(axis=0)

    # -- data --------------------------------------------------------------------------------------

    def shaped(self, array: Any, shape: tuple[int, ...]) -> bool:
        return bool(array.shape == shape)

    def tokens(self, array: Any, size: int) -> bool:
        return bool(((array >= 0) & (array < size)).all())

    def distributions(self, y: Any, rows: int, width: int) -> bool:
        return bool((y >= 0).all() and (abs(y.sum(axis=-1) - 1) < 1e-6).all())

    def set_flush_to_zero(self) -> int:
        return 0

    def restore(self, state: int) -> None:
        pass
