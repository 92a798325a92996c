"""Structural statements as Numba source: loops over the entries of vectors and matrices."""

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

Put = Callable[[str, str], str]
"""Returns the code that puts a value at an entry."""


class EntryWriter:
    """Writes statements of each row by itself: concat, transposes, products of matrices and more.

    Rows of a matrix are vectors, which are read and written as far as they go (`left`).
    """

    def __init__(self, emitter: NumbaEmitter) -> None:
        self.emitter = emitter

    def _entry(self, operand: Operand | Number, entry: str) -> str:
        """Return one entry of an operand, a number."""
        if not isinstance(operand, Operand):
            return repr(operand)
        memory = self.emitter.memory[operand.name]
        index = index_code(memory.index(memory.row(operand.lag), entry))
        return f"spread({memory.array}, {index})"

    def _vector(self, operand: Operand | Number, entry: str) -> str:
        """Return the vector that begins at an entry; only what is `left` of it counts."""
        if not isinstance(operand, Operand):
            return repr(operand)
        memory = self.emitter.memory[operand.name]
        index = index_code(memory.index(memory.row(operand.lag), entry))
        if memory.array in self.emitter.rooms.roomy:
            return f"read({memory.array}, {index})"
        return f"load({memory.array}, {index}, left)"

    def _along(self, name: str, count: str, depth: int) -> None:
        """Write the head of a loop over the vectors of a row."""
        self.emitter.write(f"{'    ' * depth}for {name} in range(0, {count}, lanes(real)):")
        self.emitter.write(f"{'    ' * depth}    left = {count} - {name}")

    def write(self, each: Statement) -> None:
        """Write a statement as loops over single entries."""
        write = self.emitter.write
        memory = self.emitter.memory[each.name]
        row = memory.row(0)

        def put(entry: str, value: str) -> str:
            index = index_code(memory.index(row, entry))
            return f"put({memory.array}, {index}, {value})"

        def store(entry: str, value: str) -> str:
            index = index_code(memory.index(row, entry))
            return f"store({memory.array}, {index}, left, {value})"

        given = each.operands
        sizes = [factor(dim) for dim in each.shape]
        shapes = [self._shape(operand) for operand in given]
        match each.op:
            case "concat":
                self._concat(each, put)
            case "outer":
                write(f"for i in range({sizes[0]}):")
                self._along("j", sizes[1], 1)
                left, right = self._entry(given[0], "i"), self._vector(given[1], "j")
                write(f"        {store(f'i * {sizes[1]} + j', f'{left} * {right}')}")
            case "outer_sum_each":
                self._outer_sum(each, sizes, put, store)
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
            case "matmul" if len(sizes) > 1:
                inner = factor(shapes[0][1])
                write(f"for i in range({sizes[0]}):")
                self._along("j", sizes[1], 1)
                write("        s = number(real, 0)")
                write(f"        for k in range({inner}):")
                left = self._entry(given[0], f"i * {inner} + k")
                right = self._vector(given[1], f"k * {sizes[1]} + j")
                write(f"            s = s + {left} * {right}")
                write(f"        {store(f'i * {sizes[1]} + j', 's')}")
            case "matmul":
                inner = factor(shapes[0][1])
                write(f"for i in range({sizes[0]}):")
                write("    s = number(real, 0)")
                self._along("j", inner, 1)
                left = self._vector(given[0], f"i * {inner} + j")
                write(f"        s = s + kept({left} * {self._vector(given[1], 'j')}, left, 0)")
                write(f"    {put('i', 'across_sum(s)')}")
            case "matmul_transposed":
                inner = factor(shapes[0][0])
                self._along("j", sizes[0], 0)
                write("    s = number(real, 0)")
                write(f"    for k in range({inner}):")
                left = self._vector(given[0], f"k * {sizes[0]} + j")
                write(f"        s = s + {left} * {self._entry(given[1], 'k')}")
                write(f"    {store('j', 's')}")
            case _:
                self._softmax_rows(each, sizes, store)

    def _shape(self, operand: Operand | Number) -> Shape:
        return self.emitter.shapes.shape(operand.name) if isinstance(operand, Operand) else ()

    def _concat(self, each: Statement, put: Put) -> None:
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

    def _outer_sum(self, each: Statement, sizes: Sequence[str], put: Put, store: Put) -> None:
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
        left, right = self._entry(each.operands[0], "i"), self._vector(each.operands[1], "j")
        entry = f"i * {sizes[1]} + j"
        so_far = self._vector(Operand(each.name), entry)
        write(f"for i in range({sizes[0]}):")
        self._along("j", sizes[1], 1)
        write(f"        {store(entry, f'{so_far} + {left} * {right}')}")
        emitter.indent -= 1 if always else 2

    def _softmax_rows(self, each: Statement, sizes: Sequence[str], store: Put) -> None:
        """Write softmax or its logarithm for each row of a matrix."""
        write = self.emitter.write
        entry = f"i * {sizes[1]} + j"
        source = self._vector(each.operands[0], entry)
        write(f"for i in range({sizes[0]}):")
        write("    top = number(real, -np.inf)")
        self._along("j", sizes[1], 1)
        write(f"        top = maximum(top, kept({source}, left, -np.inf))")
        write("    top = across_max(top)")
        write("    s = number(real, 0)")
        self._along("j", sizes[1], 1)
        if each.op == "softmax":
            write(f"        e = exp({source} - top)")
            write(f"        {store(entry, 'e')}")
            write("        s = s + kept(e, left, 0)")
            write("    s = across_sum(s)")
            self._along("j", sizes[1], 1)
            write(f"        {store(entry, f'{self._vector(Operand(each.name), entry)} / s')}")
        else:
            write(f"        s = s + kept(exp({source} - top), left, 0)")
            write("    s = log(across_sum(s))")
            self._along("j", sizes[1], 1)
            write(f"        {store(entry, f'{source} - top - s')}")


def index_code(index: str) -> str:
    """Return an index as a tuple."""
    several = isinstance(ast.parse(index, mode="eval").body, ast.Tuple)  # not a comma in a call
    return f"({index})" if several else f"({index},)"
