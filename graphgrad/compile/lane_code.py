"""Elementwise statements as Numba source: expressions of vectors in registers and in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from graphgrad.compile.code import dim_code, plus, size_code
from graphgrad.compile.entries import index_code
from graphgrad.compile.schedule import Operand, Statement
from graphgrad.compile.sources import (
    FUNCTIONS,
    INFIX,
    RELATIONS,
    Memory,
    array_name,
    condition_code,
)
from graphgrad.dims import Dim
from graphgrad.ir import Number

if TYPE_CHECKING:
    from graphgrad.compile.emit_numba import NumbaEmitter

SUM, PRODUCT, ATOM = range(3)


class Code(NamedTuple):
    """An expression, and how tightly it binds."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """Return the text, in parentheses if it binds less tightly than `level`."""
        return self.text if self.level >= level else f"({self.text})"


class LaneCode:
    """The values that are known where code is written, and expressions of them.

    `registers` are values with a name, `loads` those of the open loop over components. `body` are
    the lines of that loop, None outside; `uses` says how often it reads a value.
    """

    def __init__(self, emitter: NumbaEmitter) -> None:
        self.emitter = emitter
        self.registers: dict[tuple[str, int], Code] = {}
        self.loads: dict[tuple[str, int], Code] = {}
        self.body: list[str] | None = None
        self.uses: Counter[tuple[str, int]] = Counter()

    def _line(self, line: str) -> None:
        """Write a line, into the open loop if there is one."""
        if self.body is None:
            self.emitter.write(line)
        else:
            self.body.append(line)

    def _load(self, memory: Memory, index: str) -> str:
        """Return the code of a vector in memory."""
        if memory.array in self.emitter.rooms.roomy:
            return f"read({memory.array}, {index_code(index)})"
        return f"load({memory.array}, {index_code(index)}, left)"

    def _store(self, memory: Memory, target: str, text: str) -> str:
        """Return the code that puts a vector into memory."""
        if memory.array in self.emitter.rooms.whole:
            return f"write({memory.array}, {target}, {text})"
        return f"store({memory.array}, {target}, left, {text})"

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
            text = repr(operand).replace("inf", "np.inf")
            return Code(text, ATOM if operand >= 0 else SUM)
        key = (operand.name, operand.lag)
        for known in (self.registers, self.loads):
            if key in known:
                return known[key]
        memory = self.emitter.memory[operand.name]
        row = memory.row(operand.lag)
        if not self.emitter.types[operand.name].shape:
            name = self.emitter.register(operand.name, operand.lag)
            index = index_code(memory.index(row, "0"))
            self.emitter.write(f"{name} = spread({memory.array}, {index})")
            self.registers[key] = Code(name)
            return self.registers[key]
        text = self._load(memory, memory.index(row, "j"))
        alone = self.emitter.passing.get(operand.name)
        either = alone is not None and self.emitter.types[operand.name].batched
        if alone is not None:
            text = f"{text} if B > 1 else {alone}" if either else alone
        if either or self.uses[key] > 1:
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
                steps = each.attr in self.emitter.system.indices
                code = "t + 1" if steps else array_name(each.attr)
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
            case "copy" | "expand":
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
            code = f"spread({memory.array}, {index_code(memory.index(row, '0'))})"
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
            return Code(f"spread({memory.array}, {index_code(', '.join([*parts, token]))})")
        index = ", ".join([*parts, token, "j"])
        return Code(self._load(memory, index))
