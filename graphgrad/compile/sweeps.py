"""A sweep over rows as Numba source: loops over vectors, over single entries where need be.

The values of one phase are computed for `lanes(real)` components at a time; what is used once is
written where it is used.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from graphgrad.compile.code import dim_code, plus, size_code
from graphgrad.compile.rows import (
    ACCUMULATIONS,
    COMPONENT_SUMS,
    ENTRYWISE,
    VIEWS,
    Section,
    Sweep,
)
from graphgrad.compile.schedule import Boundary, Operand, Statement
from graphgrad.compile.sources import (
    FUNCTIONS,
    INFIX,
    RELATIONS,
    Memory,
    condition_code,
    factor,
)
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape
from graphgrad.ir import Number

if TYPE_CHECKING:
    from graphgrad.compile.emit_numba import NumbaEmitter

SUM, PRODUCT, ATOM = range(3)
WIDTH = 64


class Code(NamedTuple):
    """An expression, and how tightly it binds."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """Return the text, in parentheses if it binds less tightly than `level`."""
        return self.text if self.level >= level else f"({self.text})"


class SweepWriter:
    """Writes one sweep of a section."""

    def __init__(
        self, emitter: NumbaEmitter, made: Section, sweep: Sweep, inside: str | None
    ) -> None:
        self.emitter = emitter
        self.made = made
        self.sweep = sweep
        self.inside = inside
        self.registers: dict[tuple[str, int], Code] = {}
        self.loads: dict[tuple[str, int], Code] = {}
        self.body: list[str] | None = None
        self.uses: Counter[tuple[str, int]] = Counter()

    # -- loops -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the sweep."""
        axes, emitter = self.sweep.axes, self.emitter
        statements = [each for each in self.sweep.work if isinstance(each, Statement)]
        statements = [each for each in statements if not self._nothing(each)]
        boundaries = [each for each in self.sweep.work if isinstance(each, Boundary)]
        if not statements and not boundaries:
            return
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
                    self._entrywise(each)
        emitter.indent -= depth
        for each in statements:
            if each.op == "reduce" and each.attr.kind == "mean":
                self._divide(each)

    def _nothing(self, each: Statement) -> bool:
        """Whether a statement needs no code: a view, or a concat whose parts stand in it."""
        homes = self.emitter.homes
        if each.op == "concat":
            return all(
                (home := homes.get(operand.name)) is not None and home.name == each.name
                for operand in each.reads
            )
        return each.op in VIEWS

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
            emitter.write(f"put({memory.array}, {_tuple(memory.index(row, '0'))}, {text})")
            return
        self._open(kind.shape)
        text = self.value(boundary.value).text
        target = _tuple(memory.index(row, "j"))
        assert self.body is not None
        self.body.append(f"store({memory.array}, {target}, left, {text})")
        self._close(kind.shape, [], [])

    def _open(self, shape: Shape) -> None:
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

    def _line(self, line: str) -> None:
        if self.body is None:
            self.emitter.write(line)
        else:
            self.body.append(line)

    # -- statements ------------------------------------------------------------------------------

    def _single(self, each: Statement) -> None:
        """Write a statement whose value is one number a row."""
        emitter = self.emitter
        self.uses = Counter()
        memory = emitter.memory.get(each.name)
        if each.op in ACCUMULATIONS:
            assert memory is not None
            target = _tuple(self._accumulated(each, memory, "0"))
            value = self._counted(each, self.value(each.operands[-1]))
            old = f"spread({memory.array}, {target})"
            self._line(f"put({memory.array}, {target}, {old} + {value.at(PRODUCT)})")
            return
        code = self._expression(each)
        name = emitter.register(each.name)
        self._line(f"{name} = {self._lanes(code).text}")
        self.registers[each.name, 0] = Code(name)
        if memory is not None:
            target = _tuple(memory.index(memory.row(0), "0"))
            self._line(f"put({memory.array}, {target}, {name})")

    def _group(self, shape: Shape, statements: Sequence[Statement]) -> None:
        """Write the loop over the components of vectors of one shape."""
        self._open(shape)
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
                target = _tuple(self._accumulated(each, memory, "j"))
                value = self._counted(each, self.value(each.operands[-1]))
                old = f"load({memory.array}, {target}, left)"
                self._line(f"store({memory.array}, {target}, left, {old} + {value.at(PRODUCT)})")
                continue
            code = self._expression(each)
            if memory is not None:
                target = _tuple(memory.index(memory.row(0), "j"))
            if memory is not None and not self.uses[each.name, 0]:
                self._line(f"store({memory.array}, {target}, left, {code.text})")
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
                self._line(f"store({memory.array}, {target}, left, {name})")
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
            target = _tuple(memory.index(memory.row(0), "0"))
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

    # -- expressions -----------------------------------------------------------------------------

    def _load(self, memory: Memory, index: str) -> str:
        """Return the code of a vector in memory."""
        if memory.array in self.emitter.rooms.roomy:
            return f"read({memory.array}, {_tuple(index)})"
        return f"load({memory.array}, {_tuple(index)}, left)"

    def _lanes(self, code: Code) -> Code:
        """Return a vector, also where the code is a plain number."""
        text = code.text.replace(" ", "")
        if text.lstrip("-").replace(".", "").replace("e-", "").replace("e+", "").isalnum() and (
            text.lstrip("-")[0].isdigit() or text in self.emitter.plain
        ):
            return Code(f"number(real, {code.text})")
        return code

    def value(self, operand: Operand | Number) -> Code:
        """Return the value of an operand, read from memory if it is in no register."""
        if not isinstance(operand, Operand):
            return Code(repr(operand), ATOM if operand >= 0 else SUM)
        key = (operand.name, operand.lag)
        for known in (self.registers, self.loads):
            if key in known:
                return known[key]
        memory = self.emitter.memory[operand.name]
        row = memory.row(operand.lag)
        if not self.emitter.types[operand.name].shape:
            name = self.emitter.register(operand.name, operand.lag)
            index = _tuple(memory.index(row, "0"))
            self.emitter.write(f"{name} = spread({memory.array}, {index})")
            self.registers[key] = Code(name)
            return self.registers[key]
        text = self._load(memory, memory.index(row, "j"))
        if self.uses[key] > 1:
            name = self.emitter.register(operand.name, operand.lag)
            self._line(f"{name} = {text}")
            text = name
        self.loads[key] = Code(text)
        return self.loads[key]

    def token(self, operand: Operand | Number) -> str:
        """Return the code of a token, a whole number."""
        if not isinstance(operand, Operand):
            return repr(operand)
        each = self.emitter.made.get(operand.name)
        if each is None:
            memory = self.emitter.memory[operand.name]
            return f"{memory.array}[{memory.index(memory.row(operand.lag), '0')}]"
        given = [
            Operand(o.name, o.lag + operand.lag) if isinstance(o, Operand) else o
            for o in each.operands
        ]
        if each.op == "choose":
            first, second = (self.token(one) for one in given)
            now = plus("t", 1 - operand.lag)
            test = condition_code(each.attr, {each.index or "": f"({now})"})
            return f"({first} if {test} else {second})"
        if each.op == "at_step":
            memory = self.emitter.memory[each.reads[0].name]
            row, _ = self._fixed(each, memory)
            assert row is not None  # a token is read at steps that exist
            return f"{memory.array}[{memory.index(row, '0')}]"
        return self.token(given[0])

    def _expression(self, each: Statement) -> Code:
        """Return the code of an elementwise statement."""
        match each.op:
            case "fill":
                return Code(f"number(real, {each.attr.value})")
            case "basis":
                return Code(f"unit(real, {each.attr.position} - j)")
            case "onehot":
                return Code(f"unit(real, {self.token(each.operands[0])} - j)")
            case "counter":
                code = "t + 1" if each.attr in self.emitter.system.indices else each.attr
                return Code(f"number(real, {code})")
            case "size":
                return Code(f"number(real, {size_code(each.attr)})")
            case "at_step":
                return self._at_step(each)
            case "lookup":
                return self._lookup(each)
        given = [self.value(operand) for operand in each.operands]
        if each.op in INFIX:
            return self._infix(each, given)
        match each.op:
            case "copy" | "expand" | "stop_gradient":
                return given[0]
            case "neg":
                return Code(f"-{self._lanes(given[0]).at(ATOM)}", PRODUCT)
            case "pow":
                return self._power(each, given)
            case "batch_times":
                return Code(f"{self._lanes(given[0]).at(PRODUCT)} * B", PRODUCT)
            case "choose":
                condition = condition_code(each.attr, {each.index or "": "(t + 1)"})
                texts = [self._lanes(given[0]).text, given[1].text]
                return Code(f"choose({condition}, {', '.join(texts)})")
            case "where":
                texts = [self._lanes(given[0]).text, *(code.text for code in given[1:])]
                return Code(f"{RELATIONS[each.attr]}({', '.join(texts)})")
        name = FUNCTIONS.get(each.op, each.op)
        texts = [self._lanes(given[0]).text, *(code.text for code in given[1:])]
        return Code(f"{name}({', '.join(texts)})")

    def _infix(self, each: Statement, given: Sequence[Code]) -> Code:
        level = SUM if each.op in ("add", "sub") else PRODUCT
        left, right = given
        if not any(isinstance(operand, Operand) for operand in each.operands):
            left = self._lanes(left)
        return Code(f"{left.at(level)} {INFIX[each.op]} {right.at(level + 1)}", level)

    def _power(self, each: Statement, given: Sequence[Code]) -> Code:
        base, exponent = given
        n = each.operands[1]
        if isinstance(n, Operand) or n != int(n) or not 1 <= abs(n) <= 4:
            return Code(f"power({self._lanes(base).text}, {exponent.text})")
        if not base.text.isidentifier():
            name = self.emitter.register(each.name)
            self._line(f"{name} = {self._lanes(base).text}")
            base = Code(name)
        product = " * ".join([base.text] * int(abs(n)))
        if n > 0:
            return Code(product, PRODUCT if n > 1 else ATOM)
        return Code(f"1 / ({product})", PRODUCT)

    def _at_step(self, each: Statement) -> Code:
        """Return the value at a fixed step, zero where there is none."""
        (operand,) = each.reads
        memory = self.emitter.memory[operand.name]
        row, inside = self._fixed(each, memory)
        if row is None:
            return Code("number(real, 0)")
        if each.shape:
            code = self._load(memory, memory.index(row, "j"))
        else:
            code = f"spread({memory.array}, {_tuple(memory.index(row, '0'))})"
        return Code(f"choose({inside}, {code}, 0)" if inside else code)

    def _fixed(self, each: Statement, memory: Memory) -> tuple[str | None, str]:
        """Return the row of a fixed step and when it is in the array; None: it never is."""
        emitter, attr = self.emitter, each.attr
        (operand,) = each.reads
        length = emitter.length(emitter.types[operand.name].index)
        margin = emitter.schedule.array(operand.name)
        base = memory.before - 1 + attr.offset
        if attr.last:
            row = plus(length, base)
            if attr.offset > margin.after:
                return None, ""
            if -memory.before < attr.offset:
                return row, ""
            return f"max(0, {row})", f"{row} >= 0"
        if base < 0:
            return None, ""
        if attr.offset <= 1:
            return str(base), ""
        last = plus(length, memory.before + margin.after - 1)
        return f"min({base}, {last})", f"{base} <= {last}"

    def _lookup(self, each: Statement) -> Code:
        table = each.operands[0]
        assert isinstance(table, Operand)
        memory = self.emitter.memory[table.name]
        token = self.token(each.operands[1])
        parts = [memory.row(table.lag)] * memory.timed + ["b"] * memory.batched
        if memory.start != Dim.of(0):
            token = f"{token} + {dim_code(memory.start)}"
        if memory.rank == 1:
            return Code(f"spread({memory.array}, {_tuple(', '.join([*parts, token]))})")
        index = ", ".join([*parts, token, "j"])
        return Code(self._load(memory, index))

    # -- entry by entry --------------------------------------------------------------------------

    def _entry(self, operand: Operand | Number, entry: str) -> str:
        """Return one entry of an operand, a number."""
        if not isinstance(operand, Operand):
            return repr(operand)
        memory = self.emitter.memory[operand.name]
        index = _tuple(memory.index(memory.row(operand.lag), entry))
        return f"spread({memory.array}, {index})"

    def _entrywise(self, each: Statement) -> None:
        """Write a statement as loops over single entries."""
        write = self.emitter.write
        memory = self.emitter.memory[each.name]
        row = memory.row(0)

        def put(entry: str, value: str) -> str:
            index = _tuple(memory.index(row, entry))
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


def _tuple(index: str) -> str:
    several = isinstance(ast.parse(index, mode="eval").body, ast.Tuple)  # not a comma in a call
    return f"({index})" if several else f"({index},)"
