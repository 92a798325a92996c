"""Vectors of numbers as a Numba type: operators, loads and stores with tails, functions, sums.

`load(array, i, left)` reads up to LANES numbers, of which `left` are wanted; lanes beyond are zero
and `store` leaves what is beyond untouched. Arrays are C-contiguous. Whole vectors go without
masks: a processor does not forward what a masked instruction has just written. `read` and `write`
are for arrays with room behind them; what stands beyond the wanted numbers means nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic, models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from graphgrad.compile.vector import ir_math
from graphgrad.compile.vector.ir_math import Num

INLINE = 40
_USES: WeakKeyDictionary[ir.Module, int] = WeakKeyDictionary()


def register_bytes() -> int:
    """Return how many bytes the widest vector register of this machine holds."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


class Lanes(types.Type):
    """As many numbers of one floating-point type as a register holds."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype = dtype
        self.count = count
        super().__init__(name=f"{dtype}x{count}")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


def lanes_of(dtype: Any) -> Lanes:
    """Return the vector type of a floating-point type on this machine."""
    return Lanes(dtype, register_bytes() // (dtype.bitwidth // 8))


def splat(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector with one number in all lanes."""
    undefined = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(single, undefined, mask)


def _to_lanes(context: Any, builder: Any, value: Any, given: Any, wanted: Lanes) -> Any:
    if isinstance(given, Lanes):
        return value
    number = context.cast(builder, value, given, wanted.dtype)
    return splat(builder, number, context.get_value_type(wanted))


def _binary(function: Callable[..., Any], work: Callable[[Num, Num], Num]) -> None:
    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if kws or len(args) != 2:
                return None
            found = [a for a in args if isinstance(a, Lanes)]
            if not found or not all(isinstance(a, Lanes | types.Number) for a in args):
                return None
            return signature(found[0], *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [
            Num(builder, _to_lanes(context, builder, value, given, sig.return_type))
            for value, given in zip(args, sig.args, strict=True)
        ]
        return work(*values).value

    for left, right in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, left, right)(lower)


_binary(operator.add, lambda a, b: a + b)
_binary(operator.sub, lambda a, b: a - b)
_binary(operator.mul, lambda a, b: a * b)
_binary(operator.truediv, lambda a, b: a / b)


@infer_global(operator.neg)
class _NegTyping(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if isinstance(args[0], Lanes) else None


@lower_builtin(operator.neg, Lanes)
def _neg(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])


def _function(work: Callable[..., Num], *, long: bool = False) -> Any:
    """Return a function of vectors for Numba; numbers among its operands stand for vectors.

    The first INLINE uses of long ones in a module are written where they stand, further ones are
    calls: the time to compile long blocks grows faster than they do.
    """
    count = work.__code__.co_argcount

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [
            Num(builder, _to_lanes(context, builder, value, given, sig.return_type))
            for value, given in zip(args, sig.args, strict=True)
        ]
        uses = _USES[builder.module] = _USES.get(builder.module, 0) + long
        return (ir_math.apart(work, *values) if uses > INLINE and long else work(*values)).value

    def one(typingctx: Any, a: Any) -> Any:
        return _typed((a,), lower)

    def two(typingctx: Any, a: Any, b: Any) -> Any:
        return _typed((a, b), lower)

    def four(typingctx: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return _typed((a, b, c, d), lower)

    typed = {1: one, 2: two, 4: four}[count]
    typed.__name__ = work.__name__
    typed.__doc__ = work.__doc__
    return intrinsic(typed)


def _typed(given: tuple[Any, ...], lower: Callable[..., Any]) -> Any:
    found = [each for each in given if isinstance(each, Lanes)]
    return (signature(found[0], *given), lower) if found else None


tanh = _function(ir_math.tanh, long=True)
sigmoid = _function(ir_math.sigmoid, long=True)
exp = _function(ir_math.exp, long=True)
log = _function(ir_math.log, long=True)
log1p = _function(ir_math.log1p, long=True)
softplus = _function(ir_math.softplus, long=True)
relu = _function(ir_math.relu)
absolute = _function(ir_math.absolute)
sqrt = _function(ir_math.sqrt)
sin = _function(ir_math.sin)
cos = _function(ir_math.cos)
power = _function(ir_math.power)
maximum = _function(ir_math.maximum)
minimum = _function(ir_math.minimum)
if_equal = _function(ir_math.if_equal)
if_greater = _function(ir_math.if_greater)
if_greater_equal = _function(ir_math.if_greater_equal)
if_less = _function(ir_math.if_less)
if_less_equal = _function(ir_math.if_less_equal)


def _address(context: Any, builder: Any, kind: Any, array: Any, indices: list[Any]) -> Any:
    """Return the address of an entry of a C-contiguous array, or behind a pointer."""
    if isinstance(kind, types.CPointer):
        (offset,) = indices
        return builder.gep(array, [offset])
    view = context.make_array(kind)(context, builder, array)
    if len(indices) == 1:
        offset = indices[0]
    else:
        shape = cgutils.unpack_tuple(builder, view.shape)
        offset = indices[0]
        for size, index in zip(shape[1:], indices[1:], strict=True):
            offset = builder.add(builder.mul(offset, size), index)
    return builder.gep(view.data, [offset])


def _mask(builder: Any, left: Any, count: int) -> Any:
    """Return the mask of the first `left` lanes."""
    word = ir.IntType(32)
    steps = ir.Constant(ir.VectorType(word, count), list(range(count)))
    top = ir.Constant(left.type, count)
    bounded = builder.select(builder.icmp_signed("<", left, top), left, top)
    lanes = splat(builder, builder.trunc(bounded, word), steps.type)
    return builder.icmp_signed("<", steps, lanes)


def _masked(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    vector = arguments[0].type if isinstance(arguments[0].type, ir.VectorType) else result
    label = f"llvm.masked.{name}.{ir_math._suffix(vector)}.p0"
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    module = builder.module
    function = module.globals.get(label) or ir.Function(module, kind, label)
    return builder.call(function, arguments)


def _indices(context: Any, builder: Any, value: Any, kind: Any) -> list[Any]:
    parts = cgutils.unpack_tuple(builder, value)
    kinds = list(kind)
    return [
        context.cast(builder, part, own, types.intp) for part, own in zip(parts, kinds, strict=True)
    ]


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """Return how many numbers of an array's type a vector holds."""
    count = lanes_of(array.dtype).count

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), count)

    return signature(types.intp, array), lower


@intrinsic
def load(typingctx: Any, array: Any, index: Any, left: Any) -> Any:
    """Return numbers from `array[index]` on, zero beyond the first `left`."""
    lanes = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes)
        where = _address(
            context, builder, array, args[0], _indices(context, builder, args[1], index)
        )
        address = builder.bitcast(where, kind.as_pointer())
        mask = _mask(builder, args[2], lanes.count)
        align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        zero = ir.Constant(kind, None)
        whole = builder.icmp_signed(">=", args[2], ir.Constant(args[2].type, lanes.count))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                first = builder.load(address, align=array.dtype.bitwidth // 8)
                here = builder.block
            with otherwise:
                second = _masked(builder, "load", kind, [address, align, mask, zero])
                there = builder.block
        phi = builder.phi(kind)
        phi.add_incoming(first, here)
        phi.add_incoming(second, there)
        return phi

    return signature(lanes, array, index, types.intp), lower


@intrinsic
def read(typingctx: Any, array: Any, index: Any) -> Any:
    """Return a whole vector from `array[index]` on; behind the array there is `room` for it."""
    lanes = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes)
        where = _address(
            context, builder, array, args[0], _indices(context, builder, args[1], index)
        )
        address = builder.bitcast(where, kind.as_pointer())
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return signature(lanes, array, index), lower


@intrinsic
def store(typingctx: Any, array: Any, index: Any, left: Any, value: Any) -> Any:
    """Write the first `left` numbers of a vector from `array[index]` on."""
    lanes = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes)
        where = _address(
            context, builder, array, args[0], _indices(context, builder, args[1], index)
        )
        address = builder.bitcast(where, kind.as_pointer())
        mask = _mask(builder, args[2], lanes.count)
        align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        vector = _to_lanes(context, builder, args[3], value, lanes)
        whole = builder.icmp_signed(">=", args[2], ir.Constant(args[2].type, lanes.count))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                builder.store(vector, address, align=array.dtype.bitwidth // 8)
            with otherwise:
                _masked(builder, "store", ir.VoidType(), [vector, address, align, mask])
        return context.get_dummy_value()

    return signature(types.none, array, index, types.intp, value), lower


@intrinsic
def write(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a whole vector from `array[index]` on; behind the array there is `room` for it."""
    lanes = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(
            context, builder, array, args[0], _indices(context, builder, args[1], index)
        )
        vector = _to_lanes(context, builder, args[2], value, lanes)
        address = builder.bitcast(where, vector.type.as_pointer())
        builder.store(vector, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return signature(types.none, array, index, value), lower


@intrinsic
def put(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the first number of a vector to `array[index]`."""
    lanes = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _address(
            context, builder, array, args[0], _indices(context, builder, args[1], index)
        )
        vector = _to_lanes(context, builder, args[2], value, lanes)
        builder.store(builder.extract_element(vector, ir.Constant(ir.IntType(32), 0)), where)
        return context.get_dummy_value()

    return signature(types.none, array, index, value), lower


@intrinsic
def spread(typingctx: Any, array: Any, index: Any) -> Any:
    """Return `array[index]` in all lanes."""
    lanes_type = lanes_of(array.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        indices = _indices(context, builder, args[1], index)
        number = builder.load(_address(context, builder, array, args[0], indices))
        return splat(builder, number, context.get_value_type(lanes_type))

    return signature(lanes_type, array, index), lower


@intrinsic
def number(typingctx: Any, like: Any, value: Any) -> Any:
    """Return a number in all lanes, in the type of an array."""
    lanes_type = lanes_of(like.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _to_lanes(context, builder, args[1], value, lanes_type)

    return signature(lanes_type, like, value), lower


@intrinsic
def kept(typingctx: Any, x: Any, left: Any, other: Any) -> Any:
    """Return the first `left` lanes of x, and `other` in those beyond."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        fill = _to_lanes(context, builder, args[2], other, x)
        return builder.select(_mask(builder, args[1], x.count), args[0], fill)

    return signature(x, x, types.intp, other), lower


@intrinsic
def unit(typingctx: Any, like: Any, position: Any) -> Any:
    """Return 1 in the lane at `position`, 0 in all others."""
    lanes_type = lanes_of(like.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(lanes_type)
        word = ir.VectorType(ir.IntType(64), kind.count)
        steps = ir.Constant(word, list(range(kind.count)))
        here = builder.icmp_signed("==", steps, splat(builder, args[1], word))
        one = ir.Constant(kind, [1.0] * kind.count)
        return builder.select(here, one, ir.Constant(kind, None))

    return signature(lanes_type, like, types.intp), lower


@intrinsic
def choose(typingctx: Any, condition: Any, chosen: Any, otherwise: Any) -> Any:
    """Return `chosen` if the condition holds, else `otherwise`."""
    found = [each for each in (chosen, otherwise) if isinstance(each, Lanes)]

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a = _to_lanes(context, builder, args[1], chosen, found[0])
        b = _to_lanes(context, builder, args[2], otherwise, found[0])
        return builder.select(args[0], a, b)

    return signature(found[0], types.boolean, chosen, otherwise), lower


def _across(combine: Callable[[Num, Num], Num]) -> Callable[..., Any]:
    """Return how to combine all lanes: halves with each other, until one number is left.

    (Rotations within whole registers would do as well, but LLVM 20 drops lanes of them.)
    """

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x = Num(builder, args[0])
        whole, word = x.type, ir.IntType(32)
        count = whole.count
        while count > 1:
            count //= 2
            halves = []
            for low in (0, count):
                order = ir.Constant(ir.VectorType(word, count), list(range(low, low + count)))
                halves.append(Num(builder, builder.shuffle_vector(x.value, x.value, order)))
            x = combine(*halves)
        number = builder.extract_element(x.value, ir.Constant(word, 0))
        return splat(builder, number, whole)

    return lower


@intrinsic
def across_sum(typingctx: Any, x: Any) -> Any:
    """Return the sum of the lanes, in all lanes."""
    return signature(x, x), _across(lambda a, b: a + b)


@intrinsic
def across_max(typingctx: Any, x: Any) -> Any:
    """Return the largest of the lanes, in all lanes; NaN if there is one."""
    return signature(x, x), _across(ir_math.maximum)


@intrinsic
def set_flush_to_zero(typingctx: Any) -> Any:
    """Make this thread treat subnormal numbers as zero; return its former state."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        state = _control(builder)
        flag = 0x8040 if _IS_X86 else 1 << 24
        _set_control(builder, builder.or_(state, ir.Constant(state.type, flag)))
        return builder.zext(state, ir.IntType(64)) if _IS_X86 else state

    return signature(types.int64), lower


@intrinsic
def restore(typingctx: Any, state: Any) -> Any:
    """Put back the state that `set_flush_to_zero` returned."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.trunc(args[0], ir.IntType(32)) if _IS_X86 else args[0]
        _set_control(builder, value)
        return context.get_dummy_value()

    return signature(types.none, types.int64), lower


_TARGET = llvm.get_process_triple()
_IS_X86 = _TARGET.startswith(("x86_64", "i386", "i686"))
_IS_ARM = _TARGET.startswith(("aarch64", "arm64"))


def _control(builder: Any) -> Any:
    """Return the floating-point control register."""
    if _IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        _machine(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [slot])
        return builder.load(slot)
    if _IS_ARM:
        return _machine(builder, "llvm.aarch64.get.fpcr", ir.IntType(64), [])
    return ir.Constant(ir.IntType(64), 0)


def _set_control(builder: Any, value: Any) -> None:
    if _IS_X86:
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(value, slot)
        _machine(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [slot])
    elif _IS_ARM:
        _machine(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [value])


def _machine(builder: Any, label: str, result: Any, arguments: list[Any]) -> Any:
    """Return the result of a machine's own instruction; pointers are bytes' addresses."""
    values = [
        builder.bitcast(a, ir.IntType(8).as_pointer()) if isinstance(a.type, ir.PointerType) else a
        for a in arguments
    ]
    kind = ir.FunctionType(result, [value.type for value in values])
    function = builder.module.globals.get(label) or ir.Function(builder.module, kind, label)
    return builder.call(function, values)
