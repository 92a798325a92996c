"""Vectors of numbers as a Numba type: operators, functions, sums over their lanes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic, models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from graphgrad.compile.vector import ir_math
from graphgrad.compile.vector.ir_num import Num, apart

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


def mask(builder: Any, left: Any, count: int) -> Any:
    """Return the mask of the first `left` lanes."""
    word = ir.IntType(32)
    steps = ir.Constant(ir.VectorType(word, count), list(range(count)))
    top = ir.Constant(left.type, count)
    bounded = builder.select(builder.icmp_signed("<", left, top), left, top)
    lanes = splat(builder, builder.trunc(bounded, word), steps.type)
    return builder.icmp_signed("<", steps, lanes)


def to_lanes(context: Any, builder: Any, value: Any, given: Any, wanted: Lanes) -> Any:
    """Return a vector as it is, and a number in all lanes."""
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
            Num(builder, to_lanes(context, builder, value, given, sig.return_type))
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
            Num(builder, to_lanes(context, builder, value, given, sig.return_type))
            for value, given in zip(args, sig.args, strict=True)
        ]
        uses = _USES[builder.module] = _USES.get(builder.module, 0) + long
        return (apart(work, *values) if uses > INLINE and long else work(*values)).value

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


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """Return how many numbers of an array's type a vector holds."""
    count = lanes_of(array.dtype).count

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), count)

    return signature(types.intp, array), lower


@intrinsic
def number(typingctx: Any, like: Any, value: Any) -> Any:
    """Return a number in all lanes, in the type of an array."""
    lanes_type = lanes_of(like.dtype)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return to_lanes(context, builder, args[1], value, lanes_type)

    return signature(lanes_type, like, value), lower


@intrinsic
def kept(typingctx: Any, x: Any, left: Any, other: Any) -> Any:
    """Return the first `left` lanes of x, and `other` in those beyond."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = builder.icmp_signed(">=", args[1], ir.Constant(args[1].type, x.count))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                here = builder.block
            with otherwise:
                fill = to_lanes(context, builder, args[2], other, x)
                part = builder.select(mask(builder, args[1], x.count), args[0], fill)
                there = builder.block
        phi = builder.phi(part.type)
        phi.add_incoming(args[0], here)
        phi.add_incoming(part, there)
        return phi

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
        a = to_lanes(context, builder, args[1], chosen, found[0])
        b = to_lanes(context, builder, args[2], otherwise, found[0])
        return builder.select(args[0], a, b)

    return signature(found[0], types.boolean, chosen, otherwise), lower


def _across(x: Num, combine: Callable[[Num, Num], Num]) -> Num:
    """Return all lanes combined, in all lanes: halves with each other, until one number is left.

    (Rotations within whole registers would do as well, but LLVM 20 drops lanes of them.)
    """
    builder, whole, word = x.builder, x.type, ir.IntType(32)
    count = whole.count
    while count > 1:
        count //= 2
        halves = []
        for low in (0, count):
            order = ir.Constant(ir.VectorType(word, count), list(range(low, low + count)))
            halves.append(Num(builder, builder.shuffle_vector(x.value, x.value, order)))
        x = combine(*halves)
    number = builder.extract_element(x.value, ir.Constant(word, 0))
    return Num(builder, splat(builder, number, whole))


@intrinsic
def across_sum(typingctx: Any, x: Any) -> Any:
    """Return the sum of the lanes, in all lanes."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _across(Num(builder, args[0]), lambda a, b: a + b).value

    return signature(x, x), lower


@intrinsic
def across_max(typingctx: Any, x: Any) -> Any:
    """Return the largest of the lanes, in all lanes; NaN if there is one."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        given = Num(builder, args[0])
        largest = _across(given, lambda a, b: a.where(a > b, b))
        holes = builder.fcmp_unordered("uno", given.value, given.value)
        bits = builder.bitcast(holes, ir.IntType(x.count))
        none = builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))
        return builder.select(none, largest.value, largest.const(math.nan).value)

    return signature(x, x), lower
