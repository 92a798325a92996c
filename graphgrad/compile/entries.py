"""Structural statements as Numba source: loops over single entries."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphgrad.compile.code import dim_code
from graphgrad.compile.schedule import Operand, Statement
from graphgrad.compile.sources import condition_code, factor
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape
from graphgrad.ir import Number

if TYPE_CHECKING:
    from graphgrad.compile.emit_numba import NumbaEmitter


class EntryWriter:
    """Writes statements one entry at a time: concat, transposes, products of matrices and more."""

    def __init__(self, emitter: NumbaEmitter) -> None:
        self.emitter = emitter

    def _entry(self, operand: Operand | Number, entry: str) -> str:
        """Return one entry of an operand, a number."""
        if not isinstance(operand, Operand):
            return repr(operand)
        memory = self.emitter.memory[operand.name]
        index = index_code(memory.index(memory.row(operand.lag), entry))
        return f"spread({memory.array}, {index})"

    def write(self, each: Statement) -> None:
        """Write a statement as loops over single entries."""
        write = self.emitter.write
        memory = self.emitter.memory[each.name]
        row = memory.row(0)

        def put(entry: str, value: str) -> str:
            index = index_code(memory.index(row, entry))
            return f"put({memory.array}, {index}, {value})"

        given = each.operands
        sizes = [factor(dim) for dim in each.shape]
        shapes = [self._shape(operand) for operand in given]
        match each.op:
            case "concat":
                self._concat(each, put)
            case "outer":
                write(f"for i in range({sizes[0]}):")
                write(f"    for j in range({sizes[1]}):")
                left, right = self._entry(given[0], "i"), self._entry(given[1], "j")
                write(f"        {put(f'i * {sizes[1]} + j', f'{left} * {right}')}")
            case "outer_sum_each":
                self._outer_sum(each, sizes, put)
            case "transpose":
                write(f"for i in range({sizes[0]}):")
                write(f"    for j in range({sizes[1]}):")
                source = self._entry(given[0], f"j * {sizes[0]} + i")
                write(f"        {put(f'i * {sizes[1]} + j', source)}")
            case "stack":
                write("i = 0")
                for operand, shape in zip(given, shapes, strict=True):
                    write(f"for j in range({' * '.join(factor(dim) for dim in shape)}):")
                    write(f"    {put('i', self._entry(operand, 'j'))}")
                    write("    i += 1")
            case "matmul":
                inner = factor(shapes[0][1])
                matrix = len(sizes) > 1
                width = sizes[1] if matrix else "1"
                write(f"for i in range({sizes[0]}):")
                write(f"    for j in range({width}):")
                write("        s = number(real, 0)")
                write(f"        for k in range({inner}):")
                left = self._entry(given[0], f"i * {inner} + k")
                right = self._entry(given[1], f"k * {width} + j" if matrix else "k")
                write(f"            s = s + {left} * {right}")
                write(f"        {put(f'i * {width} + j' if matrix else 'i', 's')}")
            case _:
                self._softmax_rows(each, sizes, put)

    def _shape(self, operand: Operand | Number) -> Shape:
        return self.emitter.shapes.shape(operand.name) if isinstance(operand, Operand) else ()

    def _concat(self, each: Statement, put: Callable[[str, str], str]) -> None:
        write = self.emitter.write
        start = Dim.of(0)
        for operand in each.operands:
            shape = self._shape(operand)
            begin = dim_code(start)
            if shape:
                write(f"for j in range({dim_code(shape[0])}):")
                write(f"    {put(f'{begin} + j', self._entry(operand, 'j'))}")
            else:
                write(put(begin, self._entry(operand, "0")))
            start = start + (shape[0] if shape else 1)

    def _outer_sum(
        self, each: Statement, sizes: Sequence[str], put: Callable[[str, str], str]
    ) -> None:
        """Write a sum of outer products for each example by itself."""
        write, emitter = self.emitter.write, self.emitter
        write(f"for i in range({sizes[0]} * {sizes[1]}):")
        write(f"    {put('i', '0')}")
        write(f"for t in range({emitter.length(each.attr.over)}):")
        emitter.indent += 1
        always = each.attr.condition == ALWAYS
        if not always:
            write(f"if {condition_code(each.attr.condition, {each.attr.over: '(t + 1)'})}:")
            emitter.indent += 1
        left, right = self._entry(each.operands[0], "i"), self._entry(each.operands[1], "j")
        entry = f"i * {sizes[1]} + j"
        write(f"for i in range({sizes[0]}):")
        write(f"    for j in range({sizes[1]}):")
        write(
            f"        {put(entry, f'{self._entry(Operand(each.name), entry)} + {left} * {right}')}"
        )
        emitter.indent -= 1 if always else 2

    def _softmax_rows(
        self, each: Statement, sizes: Sequence[str], put: Callable[[str, str], str]
    ) -> None:
        """Write softmax or its logarithm for each row of a matrix."""
        write = self.emitter.write
        entry = f"i * {sizes[1]} + j"
        source = self._entry(each.operands[0], entry)
        columns = f"    for j in range({sizes[1]}):"
        write(f"for i in range({sizes[0]}):")
        write(f"    top = {self._entry(each.operands[0], f'i * {sizes[1]}')}")
        write(columns)
        write(f"        top = maximum(top, {source})")
        write("    s = number(real, 0)")
        write(columns)
        write(f"        s = s + exp({source} - top)")
        write(columns)
        if each.op == "softmax":
            write(f"        {put(entry, f'exp({source} - top) / s')}")
        else:
            write(f"        {put(entry, f'{source} - top - log(s)')}")


def index_code(index: str) -> str:
    """Return an index as a tuple."""
    several = isinstance(ast.parse(index, mode="eval").body, ast.Tuple)  # not a comma in a call
    return f"({index})" if several else f"({index},)"
