"""Matrix products, packed operands, one tile of results at a time (`tile.py`).

A packed matrix holds panels of as many columns as two registers have numbers, each panel with its
rows one behind the other, the last panel filled up with zeros. The weights of a recurrence are
packed once a call and used at every step. Sums run over the inner index in a fixed order, so
results do not depend on where they are computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.kernels import kernel, kernel_call
from graphgrad.compile.vector.lane_memory import address, load, store
from graphgrad.compile.vector.lanes import lanes, lanes_of, number
from graphgrad.compile.vector.scalar import LINE
from graphgrad.compile.vector.tile import ROWS, VECTORS, tile, tile_bodies, tile_sums

DEPTH = 192  # how much of the inner index is done at a time: a panel stays in the first cache
CHUNK = 8 * ROWS  # how many rows are done with all panels, before the next ones


@njit(error_model="numpy")
def packed_size(columns: int, depth: int, like: Any) -> Any:
    """Return how many numbers a packed matrix holds, and as many more as a line of the cache."""
    width = VECTORS * lanes(like)
    return (columns + width - 1) // width * width * depth + LINE // like.itemsize


@njit(error_model="numpy")
def from_line(array: Any) -> Any:
    """Return an array from where a line of the cache begins: vectors then lie on one line."""
    return array[-array.ctypes.data % LINE // array.itemsize :]


@njit(error_model="numpy")
def panels(columns: int, depth: int, like: Any) -> Any:
    """Return zeros for a packed matrix."""
    return from_line(np.zeros(packed_size(columns, depth, like), like.dtype))


@kernel("pack")
def pack_kernel(
    packed: Any, depth: int, column: int, row: int, m: Any, start: int, rows: int, columns: int,
    transposed: bool,
) -> None:  # fmt: skip
    """Do what `pack` says."""
    width = VECTORS * lanes(packed)
    for i in range(rows):
        for j in range(columns):
            n, k = (j, i) if transposed else (i, j)
            place = ((column + n) // width * depth + row + k) * width + (column + n) % width
            packed[place] = m[start + i * columns + j]


@kernel("product")
def product_kernel(
    out: Any, to: int, stride: int, rows: int, columns: int, a: Any, start: int, a_stride: int,
    depth: int, packed: Any,
) -> None:  # fmt: skip
    """Do what `product` says."""
    width = VECTORS * lanes(out)
    for low in range(0, rows, CHUNK):
        high = min(rows, low + CHUNK)
        blocks, size, larger = 1, high - low, 0
        if size > ROWS:
            blocks = (high - low + ROWS - 1) // ROWS
            size, larger = (high - low) // blocks, (high - low) % blocks
        for k in range(0, depth, DEPTH):
            inner = min(DEPTH, depth - k)
            for column in range(0, columns, width):
                panel = column * depth + k * width
                row = low
                for block in range(blocks):
                    count = size + (1 if block < larger else 0)
                    tile(
                        count, out, to + row * stride + column, stride, a,
                        start + row * a_stride + k, a_stride, 1, packed, panel, width, inner,
                        columns - column, k == 0,
                    )  # fmt: skip
                    row += count


@njit(error_model="numpy", inline="always")  # as a call it would take longer than a small sum
def _four_sums(u: Any, place: int, apart: int, stride: int, count: int, left: int) -> Any:
    """Return four sums of `count` vectors, which begin `apart` from each other."""
    first = second = third = fourth = number(u, 0)
    for _ in range(count):
        first = first + load(u, (place,), left)
        second = second + load(u, (place + apart,), left)
        third = third + load(u, (place + 2 * apart,), left)
        fourth = fourth + load(u, (place + 3 * apart,), left)
        place += stride
    return first, second, third, fourth


@kernel("row_sum")
def row_sum_kernel(
    out: Any, to: int, columns: int, u: Any, start: int, stride: int, count: int
) -> None:
    """Do what `row_sum` says."""
    width = lanes(out)
    whole = columns // (4 * width) * (4 * width)
    for j in range(0, whole, 4 * width):  # side by side, as they lie in memory
        first, second, third, fourth = _four_sums(u, start + j, width, stride, count, width)
        store(out, (to + j,), width, first)
        store(out, (to + j + width,), width, second)
        store(out, (to + j + 2 * width,), width, third)
        store(out, (to + j + 3 * width,), width, fourth)
    for j in range(whole, columns, width):  # what is left: four rows at a time
        left, place = columns - j, start + j
        first, second, third, fourth = _four_sums(u, place, stride, 4 * stride, count // 4, left)
        place += count // 4 * 4 * stride
        for _ in range(count % 4):
            first = first + load(u, (place,), left)
            place += stride
        store(out, (to + j,), left, first + second + (third + fourth))


@intrinsic
def pack(
    typingctx: Any, packed: Any, depth: Any, column: Any, row: Any, m: Any, start: Any, shape: Any,
    transposed: Any,
) -> Any:  # fmt: skip
    """Put mᵀ (m, if transposed) into a packed matrix, its corner at `row` and `column`.

    `m` is the matrix of this shape whose numbers begin at number `start` of an array; `depth` is
    the number of rows of the packed matrix.
    """
    return kernel_call("pack", (packed, depth, column, row, m, start, shape, transposed))


@intrinsic
def product(
    typingctx: Any, out: Any, to: Any, stride: Any, rows: Any, columns: Any, a: Any, start: Any,
    a_stride: Any, depth: Any, packed: Any,
) -> Any:  # fmt: skip
    """Put the products of `rows` rows of `a` with a packed matrix into rows of `out`.

    The first row of `out` begins at its number `to`, that of `a` at `start`; rows lie as many
    numbers apart as the strides say. A single row is computed without a call, which would take
    longer than a small product.
    """
    given = (out, to, stride, rows, columns, a, start, a_stride, depth, packed)
    sig, call = kernel_call("product", given)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        alone = builder.icmp_signed("==", args[3], ir.Constant(args[3].type, 1))
        with builder.if_else(alone) as (then, otherwise):
            with then:
                _row_product(context, builder, sig, args)
            with otherwise:
                call(context, builder, sig, args)
        return context.get_dummy_value()

    return sig, lower


def _row_product(context: Any, builder: Any, sig: Any, args: Any) -> None:
    """Write the instructions of a product with one row."""
    out, to, _, _, columns, a, start, _, depth, packed = args
    c, left, b = sig.args[0], sig.args[5], sig.args[9]
    kind = context.get_value_type(lanes_of(c.dtype))
    word = columns.type
    width = ir.Constant(word, VECTORS * kind.count)
    panels = builder.sdiv(builder.add(columns, ir.Constant(word, VECTORS * kind.count - 1)), width)
    with cgutils.for_range(builder, panels, intp=word) as loop:
        column = builder.mul(loop.index, width)
        first = builder.mul(column, depth)
        given = {
            "c": address(context, builder, c, out, [builder.add(to, column)]),
            "c_row": ir.Constant(word, 0),
            "a": address(context, builder, left, a, [start]),
            "a_row": ir.Constant(word, 0),
            "a_step": ir.Constant(word, 1),
            "b": address(context, builder, b, packed, [first]),
            "b_step": width,
            "depth": depth,
            "left": builder.sub(columns, column),
            "fresh": ir.Constant(ir.IntType(1), 1),
        }
        tile_bodies(builder, 1, kind, c.dtype.bitwidth // 8, given)


@intrinsic
def times(typingctx: Any, packed: Any, depth: Any, column: Any, a: Any, start: Any) -> Any:
    """Return a vector, from `column` on, of the product of a packed matrix with a row of `a`.

    The row begins at number `start`. A product of a single row need not go through memory.
    """
    lanes_type = lanes_of(packed.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes_type)
        _, depth, column, _, start = args
        width = ir.Constant(column.type, VECTORS * kind.count)
        panel = builder.mul(builder.mul(builder.sdiv(column, width), depth), width)
        first = builder.add(panel, builder.srem(column, width))
        given = {
            "a": address(context, builder, sig.args[3], args[3], [start]),
            "a_row": ir.Constant(column.type, 0),
            "a_step": ir.Constant(column.type, 1),
            "b": address(context, builder, sig.args[0], args[0], [first]),
            "b_step": width,
            "depth": depth,
        }
        return tile_sums(builder, 1, 1, kind, packed.dtype.bitwidth // 8, given)[0, 0]

    return signature(lanes_type, packed, types.intp, types.intp, a, types.intp), lower


@intrinsic
def row_sum(
    typingctx: Any, out: Any, to: Any, columns: Any, u: Any, start: Any, stride: Any, count: Any
) -> Any:
    """Put the sum of `count` rows of u into `out`, from number `to` on."""
    return kernel_call("row_sum", (out, to, columns, u, start, stride, count))


@njit(error_model="numpy")
def padded(x: Any, before: int, after: int) -> Any:
    """Return an input with rows of zeros in front of the first step and behind the last."""
    result = np.zeros((x.shape[0] + before + after, *x.shape[1:]), x.dtype)
    result[before : before + x.shape[0]] = x
    return result


@njit(error_model="numpy")
def divide(a: Any, count: int) -> None:
    """Divide the numbers of an array by a count."""
    flat = a.reshape(a.size)
    for i in range(a.size):
        flat[i] /= count
