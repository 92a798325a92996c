"""The functions of this package for one number at a time, in plain Numba: the readable reference.

With `lanes(…) == 1` a vector is a number, and generated source runs unchanged. `outer_sum` and
`product` are the loops that their definitions say; a packed matrix is the transpose, row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

MARGIN = 64
LINE = 64


def room(shape: tuple[int, ...], like: Any) -> Any:
    """Return an array of zeros with numbers behind it, so that whole vectors can be read.

    It begins with a line of the cache: a processor waits longer for vectors that lie on two.
    """
    size = 1
    for length in shape:
        size *= length
    made = np.zeros(LINE // like.itemsize + size + MARGIN, like.dtype)
    start = -made.ctypes.data % LINE // like.itemsize
    return made[start : start + size].reshape(shape)


def row(shape: tuple[int, ...], like: Any) -> Any:
    """Return a vector of zeros with numbers behind it, in less time than `room` takes."""
    (size,) = shape
    return np.zeros(size + MARGIN, like.dtype)[:size]


plain = njit(error_model="numpy")


@plain
def shaped(array: Any, shape: tuple[int, ...]) -> bool:
    """Return whether an array has this shape."""
    same: bool = array.shape == shape
    return same


@plain
def tokens(array: Any, size: int) -> bool:
    """Return whether all numbers of an array are possible: 0 <= number < size."""
    least, most = 0, -1
    for token in array.reshape(array.size):
        least, most = min(least, token), max(most, token)
    return least >= 0 and most < size


@plain
def distributions(y: Any, rows: int, width: int) -> bool:
    """Return whether each row of an array holds no negative number, and numbers of sum 1."""
    flat = y.reshape(y.size)
    for row in range(rows):
        total = y.dtype.type(0)
        for j in range(width):
            if not flat[row * width + j] >= 0:
                return False
            total += flat[row * width + j]
        if not abs(total - 1) < 1e-6:
            return False
    return True


@plain
def lanes(like: Any) -> int:
    """Return how many numbers are computed at a time."""
    return 1


@plain
def _offset(shape: Any, index: Any) -> Any:
    offset = index[0]
    for axis in range(1, len(index)):
        offset = offset * shape[axis] + index[axis]
    return offset


@plain
def load(array: Any, index: Any, left: int) -> Any:
    """Return the number at an index (the last one may run on into the next row)."""
    return (
        array.reshape(array.size)[_offset(array.shape, index)] if left > 0 else array.dtype.type(0)
    )


@plain
def read(array: Any, index: Any) -> Any:
    """Return the number at an index (the last one may run on into the next row)."""
    return array.reshape(array.size)[_offset(array.shape, index)]


@plain
def store(array: Any, index: Any, left: int, value: Any) -> None:
    """Write the number at an index."""
    array.reshape(array.size)[_offset(array.shape, index)] = value


@plain
def write(array: Any, index: Any, value: Any) -> None:
    """Write the number at an index."""
    array.reshape(array.size)[_offset(array.shape, index)] = value


@plain
def put(array: Any, index: Any, value: Any) -> None:
    """Write the number at an index."""
    array.reshape(array.size)[_offset(array.shape, index)] = value


@plain
def spread(array: Any, index: Any) -> Any:
    """Return the number at an index."""
    return array.reshape(array.size)[_offset(array.shape, index)]


@plain
def number(like: Any, value: Any) -> Any:
    """Return a number in the type of an array."""
    return like.dtype.type(value)


@plain
def kept(x: Any, left: int, other: Any) -> Any:
    """Return x."""
    return x


@plain
def unit(like: Any, position: int) -> Any:
    """Return 1 if the position is here, else 0."""
    return like.dtype.type(position == 0)


@plain
def choose(condition: bool, chosen: Any, otherwise: Any) -> Any:
    """Return `chosen` if the condition holds, else `otherwise`."""
    return chosen if condition else otherwise


@plain
def across_sum(x: Any) -> Any:
    """Return x."""
    return x


@plain
def across_max(x: Any) -> Any:
    """Return x."""
    return x


@plain
def set_flush_to_zero() -> int:
    """Leave subnormal numbers as they are."""
    return 0


@plain
def restore(state: int) -> None:
    """Leave subnormal numbers as they are."""


@plain
def tanh(x: Any) -> Any:
    """Return tanh x."""
    return np.tanh(x)


@plain
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x) without overflow."""
    small = np.exp(-np.abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small)


@plain
def exp(x: Any) -> Any:
    """Return e^x."""
    return np.exp(x)


@plain
def log(x: Any) -> Any:
    """Return the natural logarithm."""
    return np.log(x)


@plain
def log1p(x: Any) -> Any:
    """Return log(1 + x)."""
    return np.log1p(x)


@plain
def softplus(x: Any) -> Any:
    """Return log(1 + e^x) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@plain
def relu(x: Any) -> Any:
    """Return max(0, x)."""
    return np.maximum(x, 0)


@plain
def absolute(x: Any) -> Any:
    """Return |x|."""
    return np.abs(x)


@plain
def sqrt(x: Any) -> Any:
    """Return the square root."""
    return np.sqrt(x)


@plain
def sin(x: Any) -> Any:
    """Return the sine."""
    return np.sin(x)


@plain
def cos(x: Any) -> Any:
    """Return the cosine."""
    return np.cos(x)


@plain
def power(base: Any, exponent: Any) -> Any:
    """Return base to the power of exponent."""
    return base**exponent


@plain
def maximum(a: Any, b: Any) -> Any:
    """Return the larger number; NaN if either is NaN."""
    return np.maximum(a, b)


@plain
def minimum(a: Any, b: Any) -> Any:
    """Return the smaller number; NaN if either is NaN."""
    return np.minimum(a, b)


@plain
def if_equal(left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return a where left = right, else b."""
    return a if left == right else b


@plain
def if_greater(left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return a where left > right, else b."""
    return a if left > right else b


@plain
def if_greater_equal(left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return a where left ≥ right, else b."""
    return a if left >= right else b


@plain
def if_less(left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return a where left < right, else b."""
    return a if left < right else b


@plain
def if_less_equal(left: Any, right: Any, a: Any, b: Any) -> Any:
    """Return a where left ≤ right, else b."""
    return a if left <= right else b


@plain
def panels(columns: int, depth: int, like: Any) -> Any:
    """Return zeros for a packed matrix."""
    return np.zeros(columns * depth, like.dtype)


@plain
def pack(
    packed: Any, depth: int, column: int, row: int, m: Any, start: int, shape: Any, transposed: bool
) -> None:
    """Put mᵀ (m, if transposed) into a packed matrix, its corner at `row` and `column`."""
    flat = m.reshape(m.size)
    for i in range(shape[0]):
        for j in range(shape[1]):
            n, k = (j, i) if transposed else (i, j)
            packed[(column + n) * depth + row + k] = flat[start + i * shape[1] + j]


@plain
def product(
    out: Any, to: int, stride: int, rows: int, columns: int, a: Any, start: int, a_stride: int,
    depth: int, packed: Any,
) -> None:  # fmt: skip
    """Put the products of `rows` rows of `a` with a packed matrix into rows of `out`."""
    out_flat, a_flat = out.reshape(out.size), a.reshape(a.size)
    for row in range(rows):
        for n in range(columns):
            total = out.dtype.type(0)
            for k in range(depth):
                total += a_flat[start + row * a_stride + k] * packed[n * depth + k]
            out_flat[to + row * stride + n] = total


@plain
def times(packed: Any, depth: int, column: int, a: Any, start: int) -> Any:
    """Return the number at `column` of the product of a packed matrix with a row of `a`."""
    a_flat = a.reshape(a.size)
    total = a.dtype.type(0)
    for k in range(depth):
        total += a_flat[start + k] * packed[column * depth + k]
    return total


@plain
def outer_sum(
    out: Any, rows: int, columns: int, u: Any, u0: int, u_stride: int, v: Any, v0: int,
    v_stride: int, count: int, fresh: bool,
) -> None:  # fmt: skip
    """Put Σ u[s] v[s]ᵀ over `count` rows s of u and v into `out`; add it, if not `fresh`."""
    out_flat, u_flat, v_flat = out.reshape(out.size), u.reshape(u.size), v.reshape(v.size)
    if fresh:
        out_flat[: rows * columns] = 0
    for s in range(count):
        for i in range(rows):
            for j in range(columns):
                term = u_flat[u0 + s * u_stride + i] * v_flat[v0 + s * v_stride + j]
                out_flat[i * columns + j] += term


@plain
def row_sum(out: Any, to: int, columns: int, u: Any, start: int, stride: int, count: int) -> None:
    """Put the sum of `count` rows of u into `out`, from number `to` on."""
    out_flat, u_flat = out.reshape(out.size), u.reshape(u.size)
    for j in range(columns):
        total = out.dtype.type(0)
        for s in range(count):
            total += u_flat[start + s * stride + j]
        out_flat[to + j] = total


@plain
def padded(x: Any, before: int, after: int) -> Any:
    """Return an input with rows of zeros in front of the first step and behind the last."""
    result = np.zeros((x.shape[0] + before + after, *x.shape[1:]), x.dtype)
    result[before : before + x.shape[0]] = x
    return result


@plain
def divide(a: Any, count: int) -> None:
    """Divide the numbers of an array by a count."""
    flat = a.reshape(a.size)
    for i in range(a.size):
        flat[i] /= count
