"""LLVM numbers and vectors with Python's operators, and functions of a module made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from graphgrad.compile.vector.series import DOUBLE, SINGLE, Kind


class Num:
    """An LLVM number or vector with Python's operators; plain numbers are constants of its type."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    @property
    def type(self) -> Any:
        """The LLVM type."""
        return self.value.type

    @property
    def element(self) -> Any:
        """The LLVM type of one number."""
        return self.type.element if isinstance(self.type, ir.VectorType) else self.type

    @property
    def kind(self) -> Kind:
        """The constants of its floating-point type."""
        return SINGLE if isinstance(self.element, ir.FloatType) else DOUBLE

    def like(self, element: Any) -> Any:
        """Return the type with the same lanes and other elements."""
        vector = isinstance(self.type, ir.VectorType)
        return ir.VectorType(element, self.type.count) if vector else element

    def const(self, number: float) -> Num:
        """Return a constant of this type, in every lane."""
        element = self.element
        if isinstance(element, ir.FloatType):
            number = _as_single(number)
        if isinstance(self.type, ir.VectorType):
            return Num(self.builder, ir.Constant(self.type, [number] * self.type.count))
        return Num(self.builder, ir.Constant(element, number))

    def _other(self, other: Num | float) -> Any:
        return other.value if isinstance(other, Num) else self.const(other).value

    def __add__(self, other: Num | float) -> Num:
        return Num(self.builder, self.builder.fadd(self.value, self._other(other)))

    def __sub__(self, other: Num | float) -> Num:
        return Num(self.builder, self.builder.fsub(self.value, self._other(other)))

    def __rsub__(self, other: float) -> Num:
        return self.const(other) - self

    def __mul__(self, other: Num | float) -> Num:
        return Num(self.builder, self.builder.fmul(self.value, self._other(other)))

    def __truediv__(self, other: Num | float) -> Num:
        return Num(self.builder, self.builder.fdiv(self.value, self._other(other)))

    def __neg__(self) -> Num:
        return Num(self.builder, self.builder.fneg(self.value))

    def __lt__(self, other: Num | float) -> Any:
        return self.builder.fcmp_ordered("<", self.value, self._other(other))

    def __gt__(self, other: Num | float) -> Any:
        return self.builder.fcmp_ordered(">", self.value, self._other(other))

    def __le__(self, other: Num | float) -> Any:
        return self.builder.fcmp_ordered("<=", self.value, self._other(other))

    def __ge__(self, other: Num | float) -> Any:
        return self.builder.fcmp_ordered(">=", self.value, self._other(other))

    def equals(self, other: Num | float) -> Any:
        """Return the mask of lanes that are equal; NaN is equal to nothing."""
        return self.builder.fcmp_ordered("==", self.value, self._other(other))

    def where(self, mask: Any, otherwise: Num | float) -> Num:
        """Return this where the mask holds, `otherwise` elsewhere."""
        return Num(self.builder, self.builder.select(mask, self.value, self._other(otherwise)))

    def call(self, name: str, *others: Num) -> Num:
        """Return an LLVM intrinsic of this and others of the same type."""
        values = [self.value, *(other.value for other in others)]
        kind = ir.FunctionType(self.type, [self.type] * len(values))
        label = f"llvm.{name}.{suffix(self.type)}"
        module = self.builder.module
        function = module.globals.get(label) or ir.Function(module, kind, label)
        return Num(self.builder, self.builder.call(function, values))

    def times_plus(self, factor: Num | float, term: Num | float) -> Num:
        """Return `self * factor + term`, with one rounding where the machine has that."""
        lifted = [x if isinstance(x, Num) else self.const(x) for x in (factor, term)]
        return self.call("fmuladd", *lifted)

    def bits(self) -> Any:
        """Return the bit patterns as integers."""
        return self.builder.bitcast(self.value, self.like(ir.IntType(self.kind.bits)))

    def from_bits(self, bits: Any) -> Num:
        """Return the numbers with these bit patterns."""
        return Num(self.builder, self.builder.bitcast(bits, self.type))

    def integer(self, number: int) -> Any:
        """Return an integer constant as wide as the numbers."""
        kind = self.like(ir.IntType(self.kind.bits))
        if isinstance(kind, ir.VectorType):
            return ir.Constant(kind, [number] * kind.count)
        return ir.Constant(kind, number)


def apart(work: Callable[..., Num], *operands: Num) -> Num:
    """Return `work(*operands)`, by a call of a function of the module that does nothing else."""
    first = operands[0]
    module, kind = first.builder.module, first.type
    label = f"graphgrad.{work.__name__}.{suffix(kind)}"
    function = module.globals.get(label)
    if function is None:
        function = ir.Function(module, ir.FunctionType(kind, [kind] * len(operands)), label)
        function.linkage = "internal"
        function.attributes.add("noinline")
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        inside.ret(work(*(Num(inside, argument) for argument in function.args)).value)
    return Num(first.builder, first.builder.call(function, [each.value for each in operands]))


def _as_single(number: float) -> float:
    """Return the nearest number that a float32 can hold; LLVM wants its constants exact."""
    with np.errstate(over="ignore"):
        return float(np.float32(number))


def suffix(kind: Any) -> str:
    """Return how LLVM names a type at the end of an intrinsic's name."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return "f32" if isinstance(kind, ir.FloatType) else "f64"
