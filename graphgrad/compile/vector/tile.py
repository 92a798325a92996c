"""Tiles of matrix products: a few rows by one or two registers of sums, which stay in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.ir_num import Num, suffix
from graphgrad.compile.vector.lane_memory import address, masked_load, masked_store
from graphgrad.compile.vector.lanes import lanes_of, mask, register_bytes, splat

VECTORS = 2
ROWS = 12 if register_bytes() == 64 else 6


def _body(
    builder: Any, rows: int, vectors: int, kind: Any, align: int, given: dict[str, Any]
) -> None:
    """Write instructions for a tile of `rows` rows, each of `vectors` registers: c += a·b."""
    word = ir.IntType(64)
    lefts = [given["left"], builder.sub(given["left"], ir.Constant(word, kind.count))]
    masks = [mask(builder, left, kind.count) for left in lefts]

    def place(row: int, vector: int) -> Any:
        offset = builder.mul(ir.Constant(word, row), given["c_row"])
        offset = builder.add(offset, ir.Constant(word, vector * kind.count))
        return builder.bitcast(builder.gep(given["c"], [offset]), kind.as_pointer())

    def begin(sums: dict[tuple[int, int, int], Any]) -> None:
        with builder.if_then(builder.not_(given["fresh"])):
            for row in range(rows):
                for vector in range(vectors):
                    first = masked_load(builder, place(row, vector), kind, align, masks[vector])
                    builder.store(first, sums[0, row, vector])

    wanted = masks[0] if vectors == 1 else None
    totals = tile_sums(builder, rows, vectors, kind, align, given, begin, wanted)
    wide = ir.Constant(word, kind.count * vectors)
    with builder.if_else(builder.icmp_signed(">=", given["left"], wide)) as (then, otherwise):
        with then:
            for at, total in totals.items():
                builder.store(total, place(*at), align=align)
        with otherwise:
            for at, total in totals.items():
                masked_store(builder, total, place(*at), align, masks[at[1]])


def tile_sums(
    builder: Any, rows: int, vectors: int, kind: Any, align: int, given: dict[str, Any],
    begin: Callable[[dict[tuple[int, int, int], Any]], None] | None = None,
    wanted: Any = None,
) -> dict[tuple[int, int], Any]:  # fmt: skip
    """Write instructions for a tile of products a·b; return its registers by row and place.

    Few registers wait for each other: several sums of a part each are added in the end. `begin`
    may put something else than zero into the first of them. Of `b` only the lanes that are `wanted`
    are read, all if None.
    """
    word = ir.IntType(64)
    chains = max(1, 8 // (rows * vectors))
    zero = ir.Constant(kind, None)
    sums = {}
    for chain in range(chains):
        for row in range(rows):
            for vector in range(vectors):
                sums[chain, row, vector] = cgutils.alloca_once_value(builder, zero)
    if begin is not None:
        begin(sums)

    def step(chain: int, k: Any) -> None:
        start = builder.gep(given["b"], [builder.mul(k, given["b_step"])])
        packed = []
        for vector in range(vectors):
            offset = ir.Constant(word, vector * kind.count)
            address = builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())
            if wanted is None:
                packed.append(builder.load(address, align=align))
            else:
                packed.append(masked_load(builder, address, kind, align, wanted))
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
    return totals


def tile_bodies(builder: Any, rows: int, kind: Any, align: int, given: dict[str, Any]) -> None:
    """Write instructions for a tile of `rows` rows, narrow or wide."""
    narrow = builder.icmp_signed("<=", given["left"], ir.Constant(given["left"].type, kind.count))
    with builder.if_else(narrow) as branches:
        for vectors, branch in enumerate(branches, 1):
            with branch:
                _body(builder, rows, vectors, kind, align, given)


def _function(module: Any, rows: int, kind: Any, align: int) -> Any:
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
        tile_bodies(builder, rows, kind, align, dict(zip(kinds, function.args, strict=True)))
        builder.ret_void()
    return function


@intrinsic
def tile(
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
            builder.call(_function(builder.module, count, kind, align), given)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature(types.none, *kinds), lower
