"""A sweep over rows as Numba source: loops over vectors, over single entries where need be.

The values of one phase are computed for `lanes(real)` components at a time; what is used once is
written where it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphgrad.compile.code import plus
from graphgrad.compile.entries import EntryWriter, index_code
from graphgrad.compile.lane_code import PRODUCT, Code, LaneCode
from graphgrad.compile.rows import (
    ACCUMULATIONS,
    COMPONENT_SUMS,
    ENTRYWISE,
    VIEWS,
    Section,
    Sweep,
)
from graphgrad.compile.schedule import Boundary, Operand, Statement, in_place
from graphgrad.compile.sources import (
    Memory,
    condition_code,
    factor,
)
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Shape

if TYPE_CHECKING:
    from graphgrad.compile.emit_numba import NumbaEmitter

WIDTH = 64


class SweepWriter(LaneCode):
    """Writes one sweep of a section."""

    def __init__(
        self, emitter: NumbaEmitter, made: Section, sweep: Sweep, inside: str | None
    ) -> None:
        super().__init__(emitter)
        self.made = made
        self.sweep = sweep
        self.inside = inside

    # -- loops -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the sweep."""
        statements = [each for each in self.sweep.work if isinstance(each, Statement)]
        statements = [each for each in statements if not self._nothing(each)]
        boundaries = [each for each in self.sweep.work if isinstance(each, Boundary)]
        at_once = [each for each in statements if self.emitter.rooms.sums_rows(each)]
        statements = [each for each in statements if each not in at_once]
        for each in at_once:
            self._row_sum(each)
        if statements or boundaries:
            self._rows(statements, boundaries)
        for each in (*at_once, *statements):
            if each.op == "reduce" and each.attr.kind == "mean":
                self._divide(each)

    def _rows(self, statements: Sequence[Statement], boundaries: Sequence[Boundary]) -> None:
        """Write the loops over the rows."""
        axes, emitter = self.sweep.axes, self.emitter
        depth = 0
        if axes.steps is not None and self.inside is None:
            emitter.write(f"for t in range({emitter.length(axes.steps)}):")
            emitter.indent += 1
            depth += 1
        if axes.batched:
            emitter.write("for b in range(B):")
            emitter.indent += 1
            depth += 1
        for boundary in boundaries:
            self._boundary(boundary)
        for phase in sorted({self.made.phase[each.name] for each in statements}):
            now = [each for each in statements if self.made.phase[each.name] == phase]
            vectors = [each for each in now if each.op not in ENTRYWISE]
            for each in vectors:
                if not self.made.group[each.name]:
                    self._single(each)
            shapes = dict.fromkeys(self.made.group[each.name] for each in vectors)
            for shape in shapes:
                if shape:
                    self._group(shape, [e for e in vectors if self.made.group[e.name] == shape])
            for each in now:
                if each.op in ENTRYWISE:
                    EntryWriter(self.emitter).write(each)
        emitter.indent -= depth

    def _row_sum(self, each: Statement) -> None:
        """Write the sum of all rows of an array."""
        emitter, operand = self.emitter, each.operands[-1]
        assert isinstance(operand, Operand)
        out, source = emitter.memory[each.name], emitter.memory[operand.name]
        size = " * ".join(factor(dim) for dim in each.shape)
        rows = emitter.length(each.attr.over) + " * B" * source.batched
        start = source.first(str(source.before - operand.lag))
        emitter.write(
            f"row_sum({out.array}, {out.first('0')}, {size}, {source.array}, {start}, "
            f"{source.stride}, {rows})"
        )

    def _nothing(self, each: Statement) -> bool:
        """Whether a statement needs no code: a view, or what stands where it is to be put."""
        homes, memory = self.emitter.homes, self.emitter.memory
        if each.op == "copy" and each.name in memory:
            return any(
                not read.lag and memory.get(read.name) == memory[each.name] for read in each.reads
            )
        return each.op in VIEWS or in_place(each, homes)

    def _divide(self, each: Statement) -> None:
        """Make a sum over steps a mean."""
        emitter, attr = self.emitter, each.attr
        memory = emitter.memory[each.name]
        count = emitter.length(attr.over)
        if attr.condition != ALWAYS:
            emitter.write("i = 0")
            emitter.write(f"for t in range({count}):")
            emitter.write(f"    if {condition_code(attr.condition, {attr.over: '(t + 1)'})}:")
            emitter.write("        i += 1")
            count = "i"
        emitter.write(f"divide({memory.array}, {count})")

    def _boundary(self, boundary: Boundary) -> None:
        """Write a boundary value into the margin of its array."""
        emitter = self.emitter
        memory = emitter.memory[boundary.name]
        base = memory.before - 1 + boundary.offset
        row = str(base)
        if boundary.last:
            row = plus(emitter.length(emitter.system.index_of(boundary.name) or ""), base)
        kind = emitter.types[boundary.name]
        if kind.token:
            value = self.token(boundary.value)
            emitter.write(f"{memory.array}[{memory.index(row, '0')}] = {value}")
            return
        if not kind.shape:
            text = self.value(boundary.value).text
            emitter.write(f"put({memory.array}, {index_code(memory.index(row, '0'))}, {text})")
            return
        self._open()
        text = self.value(boundary.value).text
        target = index_code(memory.index(row, "j"))
        assert self.body is not None
        self.body.append(self._store(memory, target, text))
        self._close(kind.shape, [], [])

    def _open(self) -> None:
        self.body = []
        self.loads = {}

    def _close(self, shape: Shape, before: Sequence[str], after: Sequence[str]) -> None:
        emitter, body = self.emitter, self.body
        assert body is not None
        size = " * ".join(factor(dim) for dim in shape)
        for line in before:
            emitter.write(line)
        emitter.write(f"for j in range(0, {size}, lanes(real)):")
        emitter.indent += 1
        if any("left" in line for line in body):
            emitter.write(f"left = {size} - j")
        for line in body:
            emitter.write(line)
        emitter.indent -= 1
        for line in after:
            emitter.write(line)
        self.body = None
        self.loads = {}

    # -- statements ------------------------------------------------------------------------------

    def _single(self, each: Statement) -> None:
        """Write a statement whose value is one number a row."""
        emitter = self.emitter
        self.uses = Counter()
        memory = emitter.memory.get(each.name)
        if each.op in ACCUMULATIONS:
            assert memory is not None
            target = index_code(self._accumulated(each, memory, "0"))
            value = self._counted(each, self.value(each.operands[-1]))
            old = f"spread({memory.array}, {target})"
            self._line(f"put({memory.array}, {target}, {old} + {value.at(PRODUCT)})")
            return
        code = self._expression(each)
        name = emitter.register(each.name)
        self._line(f"{name} = {self._lanes(code).text}")
        self.registers[each.name, 0] = Code(name)
        if memory is not None:
            target = index_code(memory.index(memory.row(0), "0"))
            self._line(f"put({memory.array}, {target}, {name})")

    def _group(self, shape: Shape, statements: Sequence[Statement]) -> None:
        """Write the loop over the components of vectors of one shape."""
        self._open()
        self.uses = Counter(
            (operand.name, operand.lag) for each in statements for operand in each.reads
        )
        before: list[str] = []
        after: list[str] = []
        local: list[str] = []
        for each in statements:
            memory = self.emitter.memory.get(each.name)
            if each.op in COMPONENT_SUMS:
                self._component_sum(each, before, after)
                continue
            if each.op in ACCUMULATIONS:
                assert memory is not None
                target = self._accumulated(each, memory, "j")
                value = self._counted(each, self.value(each.operands[-1]))
                old = self._load(memory, target)
                self._line(self._store(memory, index_code(target), f"{old} + {value.at(PRODUCT)}"))
                continue
            code = self._expression(each)
            if memory is not None:
                target = index_code(memory.index(memory.row(0), "j"))
            if memory is not None and not self.uses[each.name, 0]:
                self._line(self._store(memory, target, code.text))
                continue
            if memory is None and self.uses[each.name, 0] == 1 and len(code.text) < WIDTH:
                self.registers[each.name, 0] = self._lanes(code)
                local.append(each.name)
                continue
            name = self.emitter.register(each.name)
            self._line(f"{name} = {self._lanes(code).text}")
            self.registers[each.name, 0] = Code(name)
            local.append(each.name)
            if memory is not None:
                self._line(self._store(memory, target, name))
        self._close(shape, before, after)
        for name in local:
            del self.registers[name, 0]

    def _component_sum(self, each: Statement, before: list[str], after: list[str]) -> None:
        """Write a sum, mean or maximum over the components."""
        name = self.emitter.register(each.name)
        value = self.value(each.operands[0])
        if each.op == "max":
            before.append(f"{name} = number(real, -np.inf)")
            self._line(f"{name} = maximum({name}, kept({value.text}, left, -np.inf))")
            after.append(f"{name} = across_max({name})")
        else:
            before.append(f"{name} = number(real, 0)")
            self._line(f"{name} = {name} + kept({value.text}, left, 0)")
            shape = self.made.group[each.name]
            count = " * ".join(factor(dim) for dim in shape)
            mean = f" / ({count})" if each.op == "mean" else ""
            after.append(f"{name} = across_sum({name}){mean}")
        self.registers[each.name, 0] = Code(name)
        memory = self.emitter.memory.get(each.name)
        if memory is not None:
            target = index_code(memory.index(memory.row(0), "0"))
            after.append(f"put({memory.array}, {target}, {name})")

    def _accumulated(self, each: Statement, memory: Memory, entry: str) -> str:
        """Return the index of the entry to which a sum over rows adds."""
        if each.op != "scatter_sum":
            return memory.index(memory.row(0), entry)
        parts = ["b"] * memory.batched + [self.token(each.operands[0])]
        return ", ".join(parts + [entry] * (memory.rank > 1))

    def _counted(self, each: Statement, value: Code) -> Code:
        """Return a term of a sum over steps, zero where its condition does not hold."""
        if each.op == "batch_sum" or each.attr.condition == ALWAYS:
            return self._lanes(value)
        condition = condition_code(each.attr.condition, {each.attr.over: "(t + 1)"})
        return Code(f"choose({condition}, {self._lanes(value).text}, 0)")
