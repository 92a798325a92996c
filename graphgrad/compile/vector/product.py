"""Matrix products in registers: packed operands, one tile of results at a time.

A packed matrix holds panels of as many columns as two registers have numbers, each panel with its
rows one behind the other, the last panel filled up with zeros. The weights of a recurrence are
packed once a call and used at every step. Sums run over the inner index in a fixed order, so
results do not depend on where they are computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.ir_math import Num, suffix
from graphgrad.compile.vector.kernels import kernel, kernel_call
from graphgrad.compile.vector.lane_memory import address, load, masked_load, masked_store, store
from graphgrad.compile.vector.lanes import lanes, lanes_of, mask, number, register_bytes, splat
from graphgrad.compile.vector.scalar import LINE

VECTORS = 2
ROWS = 12 if register_bytes() == 64 else 6
DEPTH = 192  # how much of the inner index is done at a time: a panel stays in the first cache
CHUNK = 8 * ROWS  # how many rows are done with all panels, before the next ones
IN_PLACE = 2  # rows of so few panels need not be packed, where whole vectors make them up


def _tile_body(
    builder: Any, rows: int, vectors: int, kind: Any, align: int, given: dict[str, Any]
) -> None:
    """Write instructions for a tile of `rows` rows, each of `vectors` registers: c += a·b."""
    word = ir.IntType(64)
    chains = max(1, 8 // (rows * vectors))
    zero = ir.Constant(kind, None)
    lefts = [given["left"], builder.sub(given["left"], ir.Constant(word, kind.count))]
    masks = [mask(builder, left, kind.count) for left in lefts]

    def place(row: int, vector: int) -> Any:
        offset = builder.mul(ir.Constant(word, row), given["c_row"])
        offset = builder.add(offset, ir.Constant(word, vector * kind.count))
        return builder.bitcast(builder.gep(given["c"], [offset]), kind.as_pointer())

    sums = {}
    for chain in range(chains):
        for row in range(rows):
            for vector in range(vectors):
                sums[chain, row, vector] = cgutils.alloca_once_value(builder, zero)
    with builder.if_then(builder.not_(given["fresh"])):
        for row in range(rows):
            for vector in range(vectors):
                first = masked_load(builder, place(row, vector), kind, align, masks[vector])
                builder.store(first, sums[0, row, vector])

    def step(chain: int, k: Any) -> None:
        start = builder.gep(given["b"], [builder.mul(k, given["b_step"])])
        packed = []
        for vector in range(vectors):
            offset = ir.Constant(word, vector * kind.count)
            address = builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())
            packed.append(builder.load(address, align=align))
        column = builder.mul(k, given["a_step"])
        for row in range(rows):
            offset = builder.add(builder.mul(ir.Constant(word, row), given["a_row"]), column)
            number = builder.load(builder.gep(given["a"], [offset]))
            factor = Num(builder, splat(builder, number, kind))
            for vector in range(vectors):
                slot = sums[chain, row, vector]
                term = Num(builder, builder.load(slot))
                product = factor.times_plus(Num(builder, packed[vector]), term)
                builder.store(product.value, slot)

    whole = builder.sdiv(given["depth"], ir.Constant(word, chains))
    with cgutils.for_range(builder, whole, intp=word) as loop:
        for chain in range(chains):
            base = builder.mul(loop.index, ir.Constant(word, chains))
            step(chain, builder.add(base, ir.Constant(word, chain)))
    if chains > 1:
        done = builder.mul(whole, ir.Constant(word, chains))
        with cgutils.for_range(builder, builder.sub(given["depth"], done), intp=word) as loop:
            step(0, builder.add(done, loop.index))
    totals = {}
    for row in range(rows):
        for vector in range(vectors):
            parts = [Num(builder, builder.load(sums[k, row, vector])) for k in range(chains)]
            while len(parts) > 1:  # in pairs: half of them wait for nothing
                parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
            totals[row, vector] = parts[0].value
    wide = ir.Constant(word, kind.count * vectors)
    with builder.if_else(builder.icmp_signed(">=", given["left"], wide)) as (then, otherwise):
        with then:
            for at, total in totals.items():
                builder.store(total, place(*at), align=align)
        with otherwise:
            for at, total in totals.items():
                masked_store(builder, total, place(*at), align, masks[at[1]])


def _tile_bodies(builder: Any, rows: int, kind: Any, align: int, given: dict[str, Any]) -> None:
    """Write instructions for a tile of `rows` rows, narrow or wide."""
    narrow = builder.icmp_signed("<=", given["left"], ir.Constant(given["left"].type, kind.count))
    with builder.if_else(narrow) as branches:
        for vectors, branch in enumerate(branches, 1):
            with branch:
                _tile_body(builder, rows, vectors, kind, align, given)


def _tile_function(module: Any, rows: int, kind: Any, align: int) -> Any:
    """Return the function of a module that computes a tile of `rows` rows.

    It is not inlined: what the compiler would compute in advance for two dozen kinds of tiles takes
    longer than a small product.
    """
    label = f"graphgrad.tile.{rows}.{suffix(kind)}"
    function = module.globals.get(label)
    if function is None:
        word, number = ir.IntType(64), kind.element.as_pointer()
        kinds = {
            "c": number, "c_row": word, "a": number, "a_row": word, "a_step": word, "b": number,
            "b_step": word, "depth": word, "left": word, "fresh": ir.IntType(1),
        }  # fmt: skip
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [*kinds.values()]), label)
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("optsize")  # loops that were unrolled would spill registers
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        _tile_bodies(builder, rows, kind, align, dict(zip(kinds, function.args, strict=True)))
        builder.ret_void()
    return function


@intrinsic
def _tile(
    typingctx: Any, rows: Any, c: Any, c0: Any, c_row: Any, a: Any, a0: Any, a_row: Any,
    a_step: Any, b: Any, b0: Any, b_step: Any, depth: Any, left: Any, fresh: Any,
) -> Any:  # fmt: skip
    """Add a·b to a tile of c, or put it there: up to ROWS rows, up to one panel of columns."""
    lanes_type = lanes_of(c.dtype)
    whole = types.intp
    kinds = [whole, c, whole, whole, a, *[whole] * 3, b, *[whole] * 4, types.boolean]

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes_type)
        given = [
            address(context, builder, c, args[1], [args[2]]),
            args[3],
            address(context, builder, a, args[4], [args[5]]),
            *args[6:8],
            address(context, builder, b, args[8], [args[9]]),
            *args[10:],
        ]
        align = c.dtype.bitwidth // 8
        end = builder.append_basic_block("tile.end")
        switch = builder.switch(args[0], end)
        for count in range(1, ROWS + 1):
            block = builder.append_basic_block(f"tile.{count}")
            switch.add_case(ir.Constant(args[0].type, count), block)
            builder.position_at_end(block)
            builder.call(_tile_function(builder.module, count, kind, align), given)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature(types.none, *kinds), lower


@njit(error_model="numpy")
def _packed_size(columns: int, depth: int, like: Any) -> Any:
    """Return how many numbers a packed matrix holds, and as many more as a line of the cache."""
    width = VECTORS * lanes(like)
    return (columns + width - 1) // width * width * depth + LINE // like.itemsize


@njit(error_model="numpy")
def _from_line(array: Any) -> Any:
    """Return an array from where a line of the cache begins: vectors then lie on one line."""
    return array[-array.ctypes.data % LINE // array.itemsize :]


@njit(error_model="numpy")
def panels(columns: int, depth: int, like: Any) -> Any:
    """Return zeros for a packed matrix."""
    return _from_line(np.zeros(_packed_size(columns, depth, like), like.dtype))


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
                    _tile(
                        count, out, to + row * stride + column, stride, a,
                        start + row * a_stride + k, a_stride, 1, packed, panel, width, inner,
                        columns - column, k == 0,
                    )  # fmt: skip
                    row += count


@kernel("outer_sum")
def outer_sum_kernel(
    out: Any, rows: int, columns: int, u: Any, u0: int, u_stride: int, v: Any, v0: int,
    v_stride: int, count: int, fresh: bool,
) -> None:  # fmt: skip
    """Do what `outer_sum` says."""
    width = VECTORS * lanes(out)
    in_place = columns % lanes(out) == 0 and v_stride <= IN_PLACE * width
    right = carray(v, v0 + count * v_stride)
    if not in_place:
        size = _packed_size(columns, min(DEPTH, count), right)
        right = _from_line(np.empty(size, right.dtype))
    for s in range(0, count, DEPTH):
        depth = min(DEPTH, count - s)
        for column in range(0, 0 if in_place else columns, lanes(out)):
            start = column // width * width * depth + column % width
            for k in range(depth):
                part = load(v, (v0 + (s + k) * v_stride + column,), columns - column)
                store(right, (start + k * width,), lanes(out), part)
        for low in range(0, rows, CHUNK):
            for column in range(0, columns, width):
                begin, step = column * depth, width
                if in_place:
                    begin, step = v0 + s * v_stride + column, v_stride
                for row in range(low, min(rows, low + CHUNK), ROWS):
                    _tile(
                        min(ROWS, rows - row), out, row * columns + column, columns, u,
                        u0 + s * u_stride + row, 1, u_stride, right, begin, step, depth,
                        columns - column, fresh and s == 0,
                    )  # fmt: skip


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
        _tile_bodies(builder, 1, kind, c.dtype.bitwidth // 8, given)


@intrinsic
def outer_sum(
    typingctx: Any, out: Any, rows: Any, columns: Any, u: Any, u0: Any, u_stride: Any, v: Any,
    v0: Any, v_stride: Any, count: Any, fresh: Any,
) -> Any:  # fmt: skip
    """Put Σ u[s] v[s]ᵀ over `count` rows s of u and v into `out`; add it, if not `fresh`."""
    given = (out, rows, columns, u, u0, u_stride, v, v0, v_stride, count, fresh)
    return kernel_call("outer_sum", given)


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
