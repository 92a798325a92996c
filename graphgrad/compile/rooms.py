"""Where values stand while a program runs: arrays, views of them, rows that are used again."""

from __future__ import annotations

from dataclasses import replace

from graphgrad.compile.code import dim_code, plus
from graphgrad.compile.rows import ACCUMULATIONS, ENTRYWISE, VIEWS, WHOLE
from graphgrad.compile.schedule import Boundary, Operand, Slice, Statement
from graphgrad.compile.sources import Memory, array_name, factor
from graphgrad.compile.uses import Uses
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape

ROWS_AHEAD = 96
"""Of a product that one loop alone reads, how many rows are computed at a time, in its course."""
STEPS_AHEAD = f"1 + {ROWS_AHEAD - 1} // B"


class Rooms:
    """The memory of a program.

    `memory` says where each value stands that is not in registers alone; `allocations` are the
    shapes of arrays, as code; a call adds to the arrays in `summed`; `scratch` are those that it
    neither is given nor returns. Behind the `roomy` ones a whole vector can be read, to the `whole`
    ones, which hold nothing but one vector, it can be written. `padded` are lines of code that give
    inputs their margins.
    """

    def __init__(self, uses: Uses) -> None:
        self.uses = uses
        self.schedule = uses.schedule
        self.bound = {b.name for b in self.schedule.blocks if isinstance(b, Boundary)}
        self.memory: dict[str, Memory] = {}
        self.padded: list[str] = []
        self.allocations: dict[str, str] = {}
        self.summed: set[str] = set()
        self.rows: set[str] = set()  # arrays of one vector
        self._place_all()
        for name, each in uses.made.items():
            if name in self.memory and self.passes_by(each) and not each.batched:
                del self.allocations[self.memory[name].array]
        outputs = self.schedule.outputs
        self.returned = tuple(dict.fromkeys(self.memory[name].array for name in outputs))
        shared = {self.memory[home.name].array for home in uses.homes.values()}
        self.scratch = self.allocations.keys() - self.summed - {*self.returned}
        sums = {self.memory[name].array for name, each in uses.made.items() if self.sums_rows(each)}
        self.whole = self.rows & (self.scratch | {*self.returned} - sums) - shared
        self.roomy = self.scratch | self.whole

    def allocated(self, array: str) -> str:
        """Return the code that allocates an array."""
        if array in self.roomy and array in self.returned:  # in every call
            return f"row({self.allocations[array]}, real)"
        if array in self.roomy:
            return f"room({self.allocations[array]}, real)"
        return f"np.zeros({self.allocations[array]}, real.dtype)"

    def passes_by(self, each: Statement) -> bool:
        """Whether a value is a product in a loop that need not be in memory where it is one row."""
        position, number = self.uses.home[each.name]
        if each.op != "product" or number < 0 or self.uses.pieces[position].loop is None:
            return False
        memory = self.memory[each.name]
        return not memory.timed and fills(memory, each.shape) and self.uses.one_loop(each)

    def sums_rows(self, each: Statement) -> bool:
        """Whether a statement is the sum of all rows of an array that stands there before it."""
        if each.op != "reduce" or each.batched or each.attr.condition != ALWAYS:
            return False
        operand, section = each.operands[-1], self.uses.section(each.name)
        if not isinstance(operand, Operand) or section.inside or not section.group[each.name]:
            return False
        memory = self.memory.get(operand.name)
        if memory is None or section.level.get(operand.name) == section.level[each.name]:
            return False
        return memory.timed and memory.batched == section.axes[each.name].batched

    def length(self, index: str) -> str:
        """Return the name of an index's length."""
        return array_name(self.schedule.system.indices[index].length)

    def _place_all(self) -> None:
        for name, leaf in self.schedule.leaves.items():
            margin = self.schedule.array(name)
            self.memory[name] = Memory(
                array_name(name), leaf.index is not None, leaf.batched, margin.before,
                len(leaf.shape), Dim.of(0), _stride(leaf.shape),
            )  # fmt: skip
            if leaf.index is not None and (margin.before or margin.after):
                code = array_name(name)
                self.padded.append(f"{code} = padded({code}, {margin.before}, {margin.after})")
        for name in sorted(self.uses.made, key=lambda name: name in self.uses.homes):
            self._place(name)

    def _place(self, name: str) -> Memory | None:
        """Return where a value stands, None where it is in no memory."""
        pending = [name]
        while pending:
            current = pending[-1]
            each = self.uses.made.get(current)
            if each is None or current in self.memory or self.uses.inlined(current):
                pending.pop()
                continue
            home = self.uses.homes.get(current)
            base = None
            if each.op in VIEWS:
                base = each.reads[0].name
            elif home is not None:
                base = home.name
            if base is not None and base not in self.memory and base in self.uses.made:
                pending.append(base)
                continue
            pending.pop()
            if each.op in VIEWS:
                self.memory[current] = self._view(each)
            elif base is not None and home is not None:
                whole = self.memory[home.name]
                self.memory[current] = replace(whole, start=whole.start + home.start)
            elif self._needs_memory(each):
                self._allocate(each)
        return self.memory.get(name)

    def _view(self, each: Statement) -> Memory:
        (operand,) = each.reads
        whole = self.memory[operand.name]
        before = whole.before - operand.lag
        if each.op == "component":
            start = whole.start + each.attr
            return replace(whole, before=before, start=start)
        piece: Slice = each.attr
        if each.op == "rows":
            first = f"{factor(piece.start)} * {factor(each.shape[1])}"
            shift = f"{whole.shift} + {first}" if whole.shift else first
            return replace(whole, before=before, shift=shift)
        return replace(whole, before=before, start=whole.start + piece.start)

    def _needs_memory(self, each: Statement) -> bool:
        if each.name in self.schedule.outputs or each.op in WHOLE | ACCUMULATIONS | ENTRYWISE:
            return True
        if each.name in self.bound:
            return True
        return any(
            not self.uses.in_register(each, user, operand)
            for user, operand in self.uses.all_uses(each.name)
        )

    def _timed(self, each: Statement) -> bool:
        """Whether all steps of a value are kept."""
        if each.index is None:
            return False
        if each.name in self.schedule.outputs:
            return True
        position, _ = self.uses.home[each.name]
        if self.uses.pieces[position].loop is None:
            return True
        pending, seen = [each.name], set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.schedule.outputs:
                return True
            if name in self.bound:
                return True
            for user, operand in self.uses.all_uses(name):
                if isinstance(user, Boundary) or operand.lag:
                    return True
                if self.uses.home[user.name] != self.uses.home[each.name] or user.op == "at_step":
                    return True
                if user.op in VIEWS:
                    pending.append(user.name)
            if self.uses.made[name].op == "concat":
                pending += [n for n, home in self.uses.homes.items() if home.name == name]
        return False

    def _one_row(self, each: Statement) -> bool:
        """Whether a value is needed within its own sweep alone: room for one row is enough."""
        own = self.uses.section(each.name)
        pending = [each.name]
        while pending:
            name = pending.pop()
            made = self.uses.made[name]
            if made.op in ACCUMULATIONS | WHOLE or not self.uses.private(made):
                return False
            if made.op == "concat":
                pending += [
                    n for n, home in self.uses.homes.items()
                    if home.name == name and self.uses.made[n].op not in VIEWS
                ]  # fmt: skip
            for user, _ in self.uses.all_uses(name):
                if not isinstance(user, Statement) or user.op in WHOLE:
                    return False
                if own.level[user.name] != own.level[each.name]:
                    return False
                if own.axes[user.name] != own.axes[each.name]:
                    return False
                if user.op in VIEWS:
                    pending.append(user.name)
        return True

    def _allocate(self, each: Statement) -> None:
        row = self._one_row(each)
        if row:
            each = replace(each, index=None, batched=False)
        timed = not row and self._timed(each)
        ahead = self.uses.home[each.name][1] < 0
        margin = self.schedule.array(each.name) if timed else None
        code = array_name(each.name)
        own = [dim_code(dim) for dim in each.shape]
        shape = ["B"] * each.batched + own
        if timed and margin is not None:
            assert each.index is not None
            rows = plus(self.length(each.index), margin.before + margin.after)
            shape = [STEPS_AHEAD if ahead else rows, *shape]
        shape_code = f"({', '.join(shape or ['1'])}{',' * (len(shape) <= 1)})"
        self.allocations[code] = shape_code
        if len(shape) == len(own) == 1:
            self.rows.add(code)
        if each.op in ACCUMULATIONS | {"outer_sum"}:
            self.summed.add(code)
        self.memory[each.name] = Memory(
            code, timed, each.batched, margin.before if margin else 0, len(own), Dim.of(0),
            _stride(each.shape), ahead=ahead,
        )  # fmt: skip


def fills(memory: Memory, shape: Shape) -> bool:
    """Whether a row of an array holds nothing but a value of this shape."""
    return memory.start == Dim.of(0) and memory.stride == _stride(shape)


def _stride(shape: Shape) -> str:
    """Return how many numbers a row has, as code."""
    return " * ".join(factor(dim) for dim in shape) or "1"
