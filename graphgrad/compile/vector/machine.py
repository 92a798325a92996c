"""The floating-point mode of this thread: whether subnormal numbers count as zero."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature


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
