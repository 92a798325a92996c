"""Sums of outer products over many rows: a product of a transposed matrix with another one.

The rows are gone through in pieces that stay in the cache. Those of `v` are packed for that, unless
they are short; those of `u` are read where they stand, or copied where they would drive each other
out of the first cache. While a piece is computed, the next one is fetched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit
from numba.core import types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.kernels import kernel, kernel_call
from graphgrad.compile.vector.lane_memory import address, load, store
from graphgrad.compile.vector.lanes import lanes
from graphgrad.compile.vector.product import CHUNK, DEPTH, from_line, packed_size
from graphgrad.compile.vector.scalar import LINE
from graphgrad.compile.vector.tile import ROWS, VECTORS, tile

CLASH = 2048  # rows as many bytes apart, or a multiple, drive each other out of the first cache
FAR = 2**21  # so many bytes are not in a cache that is worth waiting for
IN_PLACE = 2  # rows of so few panels are not packed, if they are whole vectors or less than one


@intrinsic
def _prefetch(typingctx: Any, array: Any, place: Any) -> Any:
    """Fetch the line of an entry into the second cache, without waiting for it."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        where = builder.bitcast(address(context, builder, sig.args[0], args[0], [args[1]]), byte)
        label = "llvm.prefetch.p0"
        function_type = ir.FunctionType(ir.VoidType(), [byte, kind, kind, kind])
        module = builder.module
        function = module.globals.get(label) or ir.Function(module, function_type, label)
        builder.call(function, [where, kind(0), kind(2), kind(1)])  # to read, second cache, data
        return context.get_dummy_value()

    return signature(types.none, array, types.intp), lower


@njit(error_model="numpy")
def _fetch(array: Any, start: int, stride: int, count: int, width: int, step: int) -> None:
    """Fetch the first `width` numbers of `count` rows; `step` numbers make up a line."""
    for row in range(count):
        for place in range(0, width, step):
            _prefetch(array, start + row * stride + place)


@njit(error_model="numpy")
def _pack(packed: Any, v: Any, start: int, stride: int, depth: int, columns: int) -> None:
    """Pack `depth` rows of `v`, one after the other, as they lie in memory."""
    width, line = VECTORS * lanes(packed), lanes(packed)
    for k in range(depth):
        for column in range(0, columns, line):
            place = (column // width * depth + k) * width + column % width
            part = load(v, (start + k * stride + column,), columns - column)
            store(packed, (place,), line, part)


@njit(error_model="numpy")
def _copy(copy: Any, u: Any, start: int, stride: int, depth: int, rows: int) -> None:
    """Copy a piece of `depth` rows of `u`, to where they lie CHUNK numbers apart."""
    for k in range(depth):
        for row in range(0, rows, lanes(copy)):
            part = load(u, (start + k * stride + row,), rows - row)
            store(copy, (k * CHUNK + row,), lanes(copy), part)


@kernel("outer_sum")
def outer_sum_kernel(
    out: Any, rows: int, columns: int, u: Any, u0: int, u_stride: int, v: Any, v0: int,
    v_stride: int, count: int, fresh: bool,
) -> None:  # fmt: skip
    """Do what `outer_sum` says."""
    left, right = carray(u, u0 + count * u_stride), carray(v, v0 + count * v_stride)
    width, numbers = VECTORS * lanes(out), LINE // right.itemsize
    whole = columns < lanes(out) or columns % lanes(out) == 0
    in_place = whole and v_stride <= IN_PLACE * width
    copied = u_stride * right.itemsize % CLASH == 0 and columns > width
    far = count * u_stride * right.itemsize > FAR
    if not in_place:
        right = from_line(np.empty(packed_size(columns, min(DEPTH, count), right), right.dtype))
    if copied:
        left = from_line(np.empty(CHUNK * DEPTH + numbers, right.dtype))
    for s in range(0, count, DEPTH):
        depth = min(DEPTH, count - s)
        if not in_place:
            _pack(right, v, v0 + s * v_stride, v_stride, depth, columns)
        for low in range(0, rows, CHUNK):
            high = min(rows, low + CHUNK)
            start, step = u0 + s * u_stride + low, u_stride
            if copied:
                _copy(left, u, start, u_stride, depth, high - low)
                start, step = 0, CHUNK
            tiles = (columns + width - 1) // width * ((high - low + ROWS - 1) // ROWS)
            next_s, next_low = (s, high) if high < rows else (s + depth, 0)
            to_fetch = min(DEPTH, count - next_s) if far else 0
            done = 0
            for column in range(0, columns, width):
                panel, apart = column * depth, width
                if in_place:
                    panel, apart = v0 + s * v_stride + column, v_stride
                for row in range(low, high, ROWS):
                    first, done = done * to_fetch // tiles, done + 1
                    more = done * to_fetch // tiles - first
                    place = u0 + (next_s + first) * u_stride + next_low
                    _fetch(u, place, u_stride, more, min(CHUNK, rows - next_low), numbers)
                    if next_s > s:
                        place = v0 + (next_s + first) * v_stride
                        _fetch(v, place, v_stride, more, columns, numbers)
                    tile(
                        min(ROWS, high - row), out, row * columns + column, columns, left,
                        start + row - low, 1, step, right, panel, apart, depth,
                        columns - column, fresh and s == 0,
                    )  # fmt: skip


@intrinsic
def outer_sum(
    typingctx: Any, out: Any, rows: Any, columns: Any, u: Any, u0: Any, u_stride: Any, v: Any,
    v0: Any, v_stride: Any, count: Any, fresh: Any,
) -> Any:  # fmt: skip
    """Put Σ u[s] v[s]ᵀ over `count` rows s of u and v into `out`; add it, if not `fresh`."""
    given = (out, rows, columns, u, u0, u_stride, v, v0, v_stride, count, fresh)
    return kernel_call("outer_sum", given)
