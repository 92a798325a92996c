"""Vectors in memory: where an entry of an array stands, loads and stores of vectors and tails.

`load(array, i, left)` reads up to LANES numbers, of which `left` are wanted; lanes beyond are zero
and `store` leaves what is beyond untouched. Arrays are C-contiguous. Whole vectors go without
masks, and so do halves of them that are written: a processor does not forward what a masked
instruction has just written. `read` and `write` are for arrays with room behind them; what stands
beyond the wanted numbers means nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.ir_num import suffix
from graphgrad.compile.vector.lanes import lanes_of, mask, splat, to_lanes


def address(context: Any, builder: Any, kind: Any, array: Any, indices: list[Any]) -> Any:
    """Return the address of an entry of a C-contiguous array, or behind a pointer."""
    if isinstance(kind, types.CPointer):
        (offset,) = indices
        return builder.gep(array, [offset])
    view = context.make_array(kind)(context, builder, array)
    offset = indices[0]
    if len(indices) > 1:
        shape = cgutils.unpack_tuple(builder, view.shape)
        for size, index in zip(shape[1:], indices[1:], strict=True):
            offset = builder.add(builder.mul(offset, size), index)
    return builder.gep(view.data, [offset])


def masked_load(builder: Any, place: Any, kind: Any, align: int, wanted: Any) -> Any:
    """Return the lanes of a mask from memory, zero in the others."""
    zero, alignment = ir.Constant(kind, None), ir.Constant(ir.IntType(32), align)
    return _masked(builder, "load", kind, kind, [place, alignment, wanted, zero])


def masked_store(builder: Any, value: Any, place: Any, align: int, wanted: Any) -> None:
    """Write the lanes of a mask to memory."""
    alignment = ir.Constant(ir.IntType(32), align)
    given = [value, place, alignment, wanted]
    _masked(builder, "store", value.type, ir.VoidType(), given)


def _masked(builder: Any, name: str, kind: Any, result: Any, given: list[Any]) -> Any:
    label = f"llvm.masked.{name}.{suffix(kind)}.p0"
    function_type = ir.FunctionType(result, [each.type for each in given])
    module = builder.module
    function = module.globals.get(label) or ir.Function(module, function_type, label)
    return builder.call(function, given)


class _Entry:
    """An entry of an array in a program: where it stands, and the vectors that begin there."""

    def __init__(
        self, context: Any, builder: Any, array: Any, index: Any, values: tuple[Any, Any]
    ) -> None:
        parts = cgutils.unpack_tuple(builder, values[1])
        indices = [
            context.cast(builder, part, own, types.intp)
            for part, own in zip(parts, index, strict=True)
        ]
        self.number = address(context, builder, array, values[0], indices)
        self.lanes = lanes_of(array.dtype)
        self.kind = context.get_value_type(self.lanes)
        self.vector = builder.bitcast(self.number, self.kind.as_pointer())
        self.align = array.dtype.bitwidth // 8


def store_first(builder: Any, vector: Any, place: Any, align: int, left: Any) -> None:
    """Write the first `left` numbers of a vector; fewer than it has, or as many."""
    count = vector.type.count
    half = ir.Constant(left.type, count // 2)
    with builder.if_else(builder.icmp_signed("==", left, half)) as (then, otherwise):
        with then:
            word = ir.IntType(32)
            low = ir.Constant(ir.VectorType(word, count // 2), list(range(count // 2)))
            part = builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), low)
            builder.store(part, builder.bitcast(place, part.type.as_pointer()), align=align)
        with otherwise:
            masked_store(builder, vector, place, align, mask(builder, left, count))


def _whole(builder: Any, left: Any, count: int) -> Any:
    """Return whether at least as many numbers are left as a vector has."""
    return builder.icmp_signed(">=", left, ir.Constant(left.type, count))


@intrinsic
def load(typingctx: Any, array: Any, index: Any, left: Any) -> Any:
    """Return numbers from `array[index]` on, zero beyond the first `left`."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        count = entry.lanes.count
        with builder.if_else(_whole(builder, args[2], count), likely=True) as (then, otherwise):
            with then:
                first = builder.load(entry.vector, align=entry.align)
                here = builder.block
            with otherwise:
                wanted = mask(builder, args[2], count)
                second = masked_load(builder, entry.vector, entry.kind, entry.align, wanted)
                there = builder.block
        phi = builder.phi(entry.kind)
        phi.add_incoming(first, here)
        phi.add_incoming(second, there)
        return phi

    return signature(lanes_of(array.dtype), array, index, types.intp), lower


@intrinsic
def read(typingctx: Any, array: Any, index: Any) -> Any:
    """Return a whole vector from `array[index]` on; behind the array there is `room` for it."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        return builder.load(entry.vector, align=entry.align)

    return signature(lanes_of(array.dtype), array, index), lower


@intrinsic
def store(typingctx: Any, array: Any, index: Any, left: Any, value: Any) -> Any:
    """Write the first `left` numbers of a vector from `array[index]` on."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        vector = to_lanes(context, builder, args[3], value, entry.lanes)
        count = entry.lanes.count
        with builder.if_else(_whole(builder, args[2], count), likely=True) as (then, otherwise):
            with then:
                builder.store(vector, entry.vector, align=entry.align)
            with otherwise:
                store_first(builder, vector, entry.vector, entry.align, args[2])
        return context.get_dummy_value()

    return signature(types.none, array, index, types.intp, value), lower


@intrinsic
def write(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a whole vector from `array[index]` on; behind the array there is `room` for it."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        vector = to_lanes(context, builder, args[2], value, entry.lanes)
        builder.store(vector, entry.vector, align=entry.align)
        return context.get_dummy_value()

    return signature(types.none, array, index, value), lower


@intrinsic
def put(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the first number of a vector to `array[index]`."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        vector = to_lanes(context, builder, args[2], value, entry.lanes)
        first = builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
        builder.store(first, entry.number)
        return context.get_dummy_value()

    return signature(types.none, array, index, value), lower


@intrinsic
def spread(typingctx: Any, array: Any, index: Any) -> Any:
    """Return `array[index]` in all lanes."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = _Entry(context, builder, array, index, args[:2])
        return splat(builder, builder.load(entry.number), entry.kind)

    return signature(lanes_of(array.dtype), array, index), lower
