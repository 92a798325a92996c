"""A schedule as Numba source: sweeps over rows in vectors, products of packed matrices between.

The source is plain Python over the functions of `graphgrad.compile.vector`; the same text runs with
`vector.scalar`, where every function handles one number. Values that one sweep alone needs never
reach memory; the prelude of a loop is computed step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from graphgrad.compile.code import Writer, dim_code, plus, size_code
from graphgrad.compile.division import Piece, divided
from graphgrad.compile.rooms import STEPS_AHEAD, Rooms, fills
from graphgrad.compile.rows import Section
from graphgrad.compile.schedule import Loop, Operand, Schedule, Slice, Statement
from graphgrad.compile.sources import Memory, array_name, condition_code, wrapped
from graphgrad.compile.sweeps import SweepWriter
from graphgrad.compile.uses import Uses
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape, Token

DECORATOR = '@njit(error_model="numpy", nogil=True, cache=True)'


@dataclass(frozen=True)
class NumbaProgram:
    """Source of `results`, `work` and `compiled`, the names of their arguments and of the outputs.

    `results` and `work` allocate: what a call returns, and room that the next call can use again.
    `compiled` fills both and returns True. It returns False, and computes nothing, where arrays
    have other shapes than the numbers say or, if it is to look, hold what is impossible.
    The attribute `results` is the code of each output over the arrays of the function `results`,
    whose names are `returned`.
    """

    source: str
    lengths: tuple[str, ...]
    sizes: tuple[str, ...]
    arrays: tuple[str, ...]
    returned: tuple[str, ...]
    results: Mapping[str, str]


def emit(schedule: Schedule) -> NumbaProgram:
    """Return the program of a schedule."""
    return NumbaEmitter(schedule).program()


class NumbaEmitter(Writer):
    """Writes the source of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.system = schedule.system
        self.uses = uses = Uses(schedule, divided(schedule))
        self.rooms = Rooms(uses)
        self.memory = self.rooms.memory
        self.types, self.made, self.homes, self.shapes = (
            uses.types, uses.made, uses.homes, uses.shapes,
        )  # fmt: skip
        self.length = self.rooms.length
        self.packed: dict[str, str] = {}
        self.passing: dict[str, str] = {}  # code of the products that need no memory for one row
        lengths = {self.length(index) for index in self.system.indices}
        self.plain = lengths | {size_code(size) for size in self.system.declared.sizes} | {"B"}
        self.taken = {memory.array for memory in self.memory.values()} | self.plain
        self.named: dict[tuple[str, int], str] = {}

    def program(self) -> NumbaProgram:
        """Return the whole program."""
        uses, rooms, returned = self.uses, self.rooms, self.rooms.returned
        for position, piece in enumerate(uses.pieces):
            if piece.loop is None:
                self._straight(uses.sections[position][0], None)
            else:
                self._loop(piece.loop, piece, uses.sections[position])
        lengths = tuple(map(self.length, self.system.indices))
        sizes = tuple(sorted(self.system.declared.sizes))
        arrays = tuple(self.schedule.leaves)
        scalars = [*lengths, *map(size_code, sizes), "B", "real"]
        names = ["look", *map(array_name, arrays)]
        work = [name for name in rooms.allocations if name in rooms.scratch]
        names += [*work, *returned]
        lines = [*self._checks(), "mode = set_flush_to_zero()", *rooms.padded]
        if any(piece.ahead for piece in uses.pieces):
            lines.append(f"ahead = {STEPS_AHEAD}")
        own = [name for name in rooms.allocations if name not in {*work, *returned}]
        lines += [f"{name} = {rooms.allocated(name)}" for name in own]
        source = "\n".join(
            [
                *self._allocating("results", scalars, returned),
                *self._allocating("work", scalars, work),
                DECORATOR,
                *wrapped(f"def compiled({', '.join([*scalars, *names])}):"),
                *(f"    {line}" for line in lines),
                *self.lines,
                "    restore(mode)",
                "    return True",
                "",
            ]
        )
        return NumbaProgram(source, lengths, sizes, arrays, returned, self._results())

    def _checks(self) -> list[str]:
        """Return the lines that ask for the shapes of arrays first, then for what they hold."""
        shapes, contents = [], []
        for name, leaf in self.schedule.leaves.items():
            array, dims = array_name(name), [dim_code(dim) for dim in leaf.shape]
            lead = [self.length(leaf.index)] if leaf.index is not None else []
            lead += ["B"] * leaf.batched
            shape = [*lead, *dims] or ["1"]
            shapes.append(f"shaped({array}, ({', '.join(shape)}{',' * (len(shape) == 1)}))")
            declared = self.system.inputs.get(name)
            if declared is None:
                continue
            if isinstance(declared.type, Token):
                contents.append(f"tokens({array}, {dim_code(declared.type.size)})")
            elif declared.kind == "distribution":
                contents.append(f"distributions({array}, {' * '.join(lead) or '1'}, {dims[0]})")
        lines = [
            line for each in contents for line in (f"if look and not {each}:", "    return False")
        ]
        if shapes:
            several = [f"    {'& ' * (place > 0)}{each}" for place, each in enumerate(shapes)]
            lines = ["if not (", *several, "):", "    return False", *lines]
        return lines

    def _allocating(self, name: str, scalars: Sequence[str], arrays: Sequence[str]) -> list[str]:
        """Return the lines of a function that allocates arrays."""
        lines = wrapped(f"def {name}({', '.join(scalars)}):")
        lines += [f"    {array} = {self.rooms.allocated(array)}" for array in arrays]
        return [*lines, *wrapped(f"    return [{', '.join(arrays)}]"), "", ""]

    def _results(self) -> dict[str, str]:
        """Return the code of each output; what may stand where another one does is copied."""
        results: dict[str, str] = {}
        seen: dict[str, list[str]] = {}
        for name in self.schedule.outputs:
            memory = self.memory[name]
            near = seen.setdefault(memory.array, [])
            summed = all(each in self.schedule.summed for each in (name, *near))
            starts = {self.memory[each].first("0") for each in near}
            apart = not near or (summed and memory.first("0") not in starts)
            results[name] = self._result(name) + ("" if apart else ".copy()")
            near.append(name)
        return results

    def _result(self, name: str) -> str:
        """Return the code of an output over the returned arrays."""
        memory, each = self.memory[name], self.types[name]
        parts = []
        if memory.timed:
            length = self.length(each.index)
            low, high = memory.before, plus(length, memory.before) if memory.before else length
            parts.append(f"{low}:{high}")
        if memory.batched:
            parts.append(":")
        if not each.shape:
            if memory.rank:
                parts.append(dim_code(memory.start))
            parts = parts or ["0"]
        elif self.made.get(name) is not None and self.made[name].op == "rows":
            piece: Slice = self.made[name].attr
            parts.append(f"{dim_code(piece.start)}:{dim_code(piece.stop)}")
        elif len(each.shape) == 1 and not fills(memory, each.shape):
            stop = memory.start + each.shape[0]
            parts.append(f"{dim_code(memory.start)}:{dim_code(stop)}")
        return f"{memory.array}[{', '.join(parts)}]" if set(parts) - {":"} else memory.array

    def write(self, line: str) -> None:
        """Append a line at the present indentation, broken where it is long."""
        self.lines.extend(wrapped("    " * self.indent + line))

    def _loop(self, loop: Loop, piece: Piece, sections: Sequence[Section]) -> None:
        for each in chain(piece.ahead, *(work for work, _ in piece.parts)):
            if isinstance(each, Statement) and each.op == "product":
                self._packed(each)
        length = self.length(loop.index)
        steps = f"range({plus(length, loop.span)})"
        variable = "t" if not loop.span else "turn"
        order = steps if loop.direction > 0 else f"range({plus(length, loop.span - 1)}, -1, -1)"
        if piece.ahead:
            self.write("near = ahead" if loop.direction > 0 else "near = 0")
        self.write(f"for {variable} in {order}:")
        self.indent += 1
        if piece.ahead:
            self._ahead(loop, piece.ahead)
            if loop.direction < 0:
                self.write("near -= 1")
        for (_, offset), made in zip(piece.parts, sections, strict=True):
            before = len(self.lines)
            if loop.span:
                self.write(f"t = {plus('turn', -offset)}")
                self.write(f"if 0 <= t < {length}:")
                self.indent += 1
            head = len(self.lines)
            self._straight(made, loop.index)
            if loop.span:
                self.indent -= 1
                if len(self.lines) == head:  # nothing but views
                    del self.lines[before:]
        if piece.ahead and loop.direction > 0:
            self.write("near += 1")
        self.indent -= 1

    def _straight(self, made: Section, inside: str | None) -> None:
        for level in made.levels:
            for axes in sorted(level.sweeps, key=lambda a: (bool(a.steps) + a.batched, str(a))):
                SweepWriter(self, made, level.sweeps[axes], inside).write()
            for each in level.products:
                if each.op == "product":
                    self._product(each, inside)
                else:
                    self._outer_sum(each)

    # -- products --------------------------------------------------------------------------------

    def _matrix_parts(self, operand: Operand) -> list[tuple[Memory, Shape, bool, Dim, Dim]]:
        """Return the pieces a matrix is put together from: transposed or not, at row and column."""
        found: list[tuple[Memory, Shape, bool, Dim, Dim]] = []
        pending = [(operand.name, False, Dim.of(0), Dim.of(0))]
        while pending:
            name, transposed, row, column = pending.pop()
            if name not in self.uses.matrices:
                shape = self.shapes.shape(name)
                found.append((self.memory[name], shape, transposed, row, column))
                continue
            each = self.made[name]
            if each.op in ("transpose", "copy"):
                flip = each.op == "transpose"
                pending.append((each.reads[0].name, transposed != flip, row, column))
                continue
            for part in each.reads:
                pending.append((part.name, transposed, row, column))
                height = self.shapes.shape(part.name)[0]
                if transposed:
                    column = column + height
                else:
                    row = row + height
        return sorted(found, key=lambda part: (str(part[3]), str(part[4])))

    def _packed(self, each: Statement) -> str:
        """Return the name of a product's packed matrix, writing how it is packed."""
        matrix = each.operands[0]
        assert isinstance(matrix, Operand)
        if matrix.name not in self.packed:
            rows, depth = self.shapes.shape(matrix.name)
            code = self.fresh(f"{array_name(matrix.name)}_packed")
            self.packed[matrix.name] = code
            self.write(f"{code} = panels({dim_code(rows)}, {dim_code(depth)}, real)")
            for memory, shape, transposed, row, column in self._matrix_parts(matrix):
                sizes = ", ".join(dim_code(dim) for dim in shape)
                self.write(
                    f"pack({code}, {dim_code(depth)}, {dim_code(row)}, {dim_code(column)}, "
                    f"{memory.array}, {memory.first('0')}, ({sizes}), {transposed})"
                )
        return self.packed[matrix.name]

    def register(self, name: str, lag: int = 0) -> str:
        """Return the name under which a value is held while it is computed with."""
        if (name, lag) not in self.named:
            shift = f"_{'last' if lag > 0 else 'next'}{abs(lag) if abs(lag) > 1 else ''}"
            base = f"{name}{shift if lag else ''}_"
            self.named[name, lag] = self.fresh(base.replace("__", "_"))
        return self.named[name, lag]

    def _ahead(self, loop: Loop, products: Sequence[Statement]) -> None:
        """Write the products that are computed for some steps at a time; `near` counts these."""
        length = self.length(loop.index)
        if loop.direction > 0:
            self.write("if near == ahead:")
            steps, first, start = f"min(ahead, {length} - t)", "t", "near = 0"
        else:
            self.write("if near == 0:")
            steps, first, start = "near", "t + 1 - near", "near = min(ahead, t + 1)"
        self.indent += 1
        self.write(start)
        for each in products:
            (vector,) = each.operands[1:]
            assert isinstance(vector, Operand)
            source = self.memory[vector.name]
            row = plus(first, source.before - vector.lag) if source.timed else "0"
            rows = f"{steps} * B" if each.batched else steps
            self._write_product(each, "0", rows, source.first(row))
        self.indent -= 1

    def _product(self, each: Statement, inside: str | None) -> None:
        (vector,) = each.operands[1:]
        assert isinstance(vector, Operand)
        out, source = self.memory[each.name], self.memory[vector.name]
        to = out.first(self._row(out, 0, inside))
        start = source.first(self._row(source, vector.lag, inside))
        passes_by = self.rooms.passes_by(each)
        if passes_by:
            depth = dim_code(self.shapes.shape(vector.name)[0])
            alone = f"times({self._packed(each)}, {depth}, j, {source.array}, {start})"
            self.passing[each.name] = alone
            if not each.batched:
                return
            self.write("if B > 1:")
        self.indent += passes_by
        self._write_product(each, to, self._rows(each, inside), start)
        self.indent -= passes_by

    def _write_product(self, each: Statement, to: str, rows: str, start: str) -> None:
        """Write a product of so many rows, from one place to another."""
        packed = self._packed(each)
        vector = each.reads[-1]
        out, source = self.memory[each.name], self.memory[vector.name]
        depth = self.shapes.shape(vector.name)[0]
        self.write(
            f"product({out.array}, {to}, {out.stride}, {rows}, {dim_code(each.shape[0])}, "
            f"{source.array}, {start}, {source.stride}, {dim_code(depth)}, {packed})"
        )

    def _rows(self, each: Statement, inside: str | None) -> str:
        parts = []
        if each.index is not None and inside is None:
            parts.append(self.length(each.index))
        if each.batched:
            parts.append("B")
        return " * ".join(parts) or "1"

    def _row(self, memory: Memory, lag: int, inside: str | None) -> str:
        """Return the row of the present step (of the first one, outside loops)."""
        if not memory.timed:
            return "0"
        return plus("t", memory.before - lag) if inside else str(memory.before - lag)

    def _outer_sum(self, each: Statement) -> None:
        u, v = each.reads
        left, right = self.memory[u.name], self.memory[v.name]
        out = self.memory[each.name]
        rows, columns = (dim_code(dim) for dim in each.shape)
        length = self.length(each.attr.over)
        batched = self.shapes.batched(u)
        head = f"outer_sum({out.array}, {rows}, {columns}"
        if each.attr.condition == ALWAYS:
            count = f"{length} * B" if batched else length
            operands = [
                f"{m.array}, {m.first(str(m.before - o.lag))}, {m.stride}"
                for m, o in ((left, u), (right, v))
            ]
            self.write(f"{head}, {', '.join(operands)}, {count}, True)")
            return
        names = {each.attr.over: "(t + 1)"}
        self.write(f"for t in range({length}):")
        self.write(f"    if {condition_code(each.attr.condition, names)}:")
        operands = [
            f"{m.array}, {m.first(plus('t', m.before - o.lag))}, {m.stride}"
            for m, o in ((left, u), (right, v))
        ]
        self.write(f"        {head}, {', '.join(operands)}, {'B' if batched else '1'}, False)")
