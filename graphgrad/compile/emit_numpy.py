"""A schedule as NumPy source: lifted statements as expressions, loops on rows, in place.

Every value that is kept for all steps is one array with time in front: `before` rows for the steps
before the first, one row a step, `after` rows for those behind the last; a delayed read is a slice.
In a loop a value is written into its row (`out=`), or into a buffer that is reused at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphgrad.compile.code import (
    ATOM,
    BATCH,
    SIGN,
    TIME,
    Value,
    Writer,
    dim_code,
    plus,
    size_code,
    taken_names,
    var,
)
from graphgrad.compile.expressions import Expressions
from graphgrad.compile.numpy_loop import LoopWriter
from graphgrad.compile.parts import Parts, is_product
from graphgrad.compile.places import Place, Places
from graphgrad.compile.schedule import Array, Boundary, Leaf, Loop, Operand, Schedule, Statement
from graphgrad.ir import Number

INLINE = {"size", "counter", "transpose"}


@dataclass(frozen=True)
class Program:
    """Source of a function `name(values, lengths, sizes, dtype)` that returns a dict of outputs."""

    name: str
    source: str


def emit_numpy(schedule: Schedule, name: str) -> Program:
    """Return the NumPy program of a schedule."""
    return Emitter(schedule).program(name)


class Emitter(Writer):
    """Writes the source of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.system = schedule.system
        self.places = Places(schedule)
        self.parts = Parts(self.places)
        self.expressions = Expressions(schedule)
        self.lengths = self.expressions.lengths
        self.inlined: dict[str, Value] = {}
        self.constants: dict[Operand | Number, str] = {}  # laid out for what loops do with them
        self.functions: set[str] = set()  # of NumPy, which loops call by a short name
        self.window: tuple[str, str] | None = None  # the steps that are read, if not all
        self.declared: set[Place] = set()
        self.inside = {
            each.name
            for block in schedule.blocks
            if isinstance(block, Loop)
            for each in (*block.prelude, *block.statements)
        }
        self.shared = self._shared()
        names = (*schedule.leaves, *schedule.statements, *self.places.labels.values())
        self.taken = {*map(var, names), *self.lengths.values()}
        self.taken |= taken_names(schedule.system.declared.sizes)

    def _shared(self) -> set[str]:
        """Return the values that stand in an array together with others, or with margins."""
        homed = {*self.schedule.homes, *self.places.same}
        roots = {self.places.of(name).root for name in homed}
        margins = {
            name for name, array in self.places.arrays.items() if any((array.before, array.after))
        }
        bound = {each.name for each in self.schedule.blocks if isinstance(each, Boundary)}
        return homed | roots | margins | bound

    # -- writing ---------------------------------------------------------------------------------

    def short(self, function: str) -> str:
        """Return the name that a loop calls a function of NumPy by: a local one is found sooner."""
        if function in self.taken:
            return f"np.{function}"
        self.functions.add(function)
        return function

    def program(self, name: str) -> Program:
        """Return the whole function."""
        self._unpack()
        unpacked = len(self.lines)
        for block in self.schedule.blocks:
            if isinstance(block, Boundary):
                self._boundary(block)
            elif isinstance(block, Loop):
                LoopWriter(self, block).write()
            else:
                self._lifted(block)
        results = [(name, self.read(Operand(name)).code) for name in self.schedule.outputs]
        self.write("return {")
        for output, code in results:
            self.write(f'    "{output}": {code},')
        self.write("}")
        self.lines[unpacked:unpacked] = self._short_names()
        header = f"def {name}(values, lengths, sizes, dtype):"
        return Program(name, "\n".join([header, *self.lines]) + "\n")

    def _short_names(self) -> Iterator[str]:
        """Yield the lines that give functions of NumPy the names that loops call them by."""
        names = sorted(self.functions)
        for few in (names[k : k + 4] for k in range(0, len(names), 4)):
            yield f"    {', '.join(few)} = {', '.join(f'np.{name}' for name in few)}"

    def _unpack(self) -> None:
        for index in self.system.indices.values():
            self.write(f'{var(index.length)} = lengths["{index.name}"]')
        for size in sorted(self.system.declared.sizes):
            self.write(f'{size_code(size)} = sizes["{size}"]')
        if self.schedule.batched:
            self.write('B = sizes[""]')
        read = {
            operand.name for each in self.schedule.statements.values() for operand in each.reads
        }
        read |= {
            block.value.name
            for block in self.schedule.blocks
            if isinstance(block, Boundary) and isinstance(block.value, Operand)
        }
        for name, leaf in self.schedule.leaves.items():
            if name not in read:
                continue
            self.write(f'{var(name)} = values["{name}"]')
            array = self.schedule.array(name)
            if leaf.index is not None and (array.before or array.after):
                widths = f"[({array.before}, {array.after})] + [(0, 0)] * ({var(name)}.ndim - 1)"
                self.write(f"{var(name)} = np.pad({var(name)}, {widths})")

    # -- arrays ----------------------------------------------------------------------------------

    def margins(self, name: str) -> Array:
        """Return the margins of the array that a value stands in."""
        if name in self.schedule.leaves:
            return self.schedule.array(name)
        return self.places.arrays.get(self.places.of(name).root, Array(0, 0))

    def kept(self, name: str) -> bool:
        """Whether a value stands in an array over all steps."""
        if name in self.schedule.leaves:
            return self.schedule.leaves[name].index is not None
        return self.places.of(name).root in self.places.arrays

    def shape_code(self, value: Statement | Leaf, first: Iterable[str] = (), parts: int = 1) -> str:
        """Return the shape of a value as code, without its time axis; parts come before a batch."""
        axes = [*first, *(["B"] if value.batched else []), *map(dim_code, value.shape)]
        if parts > 1:
            part = value.shape[0].divided(parts)
            assert part is not None
            axes[-2:] = [str(parts), "B", dim_code(part)]
        return f"({', '.join(axes)}{',' * (len(axes) == 1)})"

    def declare(self, name: str) -> None:
        """Make sure that the array of a value exists, and the view of it that is the value."""
        place = self.places.of(name)
        whole = Place(place.root)
        root = self.schedule.type_of(place.root)
        if isinstance(root, Leaf):
            return
        if whole not in self.declared:
            self.declared.add(whole)
            parts = self.parts.of(place.root)
            label, shape, word = self.name_of(place.root), self.shape_code(root, (), parts), "empty"
            margins: list[str] = []
            if place.root in self.places.arrays:
                array = self.places.arrays[place.root]
                assert root.index is not None
                length = self.lengths[root.index]
                shape = self.shape_code(root, [plus(length, array.before + array.after)], parts)
                margins = list(self._empty_rows(place.root, array, length))
                if ring := self.places.rings.get(place.root):
                    rows = [str(ring)] if ring > 1 else []
                    shape, word, margins = self.shape_code(root, rows, parts), "zeros", []
            self.write(f"{label} = np.{word}({shape}, {'int' if root.token else 'dtype'})")
            for row in margins:
                self.write(f"{label}[{row}] = 0")
        if place not in self.declared:
            self.declared.add(place)
            self.write(f"{self.name_of(name)} = {self.name_of(place.root)}[{self._piece(place)}]")

    def _piece(self, place: Place) -> str:
        """Return the index of a piece of an array."""
        if place.root in self.parts.roots:
            first, last = self.parts.bounds(place)
            steps = "" if self.places.rings.get(place.root) == 1 else ":, "  # one row has no axis
            return f"{steps}{first}" if last == first + 1 else f"{steps}{first}:{last}"
        assert place.start is not None
        assert place.stop is not None
        return f"..., {dim_code(place.start)}:{dim_code(place.stop)}"

    def _empty_rows(self, root: str, array: Array, length: str) -> Iterator[str]:
        """Yield the rows of the margins of an array, without those that boundaries fill."""
        filled = {
            (each.last, each.offset)
            for each in self.schedule.blocks
            if isinstance(each, Boundary) and self.places.of(each.name) == Place(root)
        }
        for row in range(array.before):
            if (False, row + 1 - array.before) not in filled:
                yield str(row)
        for row in range(array.after):
            if (True, row + 1) not in filled:
                yield plus(length, array.before + row)

    def name_of(self, name: str) -> str:
        """Return the Python name of a value's array or buffer."""
        if name in self.schedule.leaves:
            return var(name)
        return var(self.places.label(self.places.of(name)))

    def all_steps(
        self, name: str, lag: int = 0, view: str = "", window: tuple[str, str] | None = None
    ) -> str:
        """Return the rows of a value, or of a view of it, for the steps of a window, or for all.

        They are those of `lag` steps ago.
        """
        array, code, window = self.margins(name), view or self.name_of(name), window or self.window
        if window is not None:
            first, last = (plus(each, array.before - lag) for each in window)
            return f"{code}[{first}:{last}]"
        if not array.before and not array.after:
            return code
        index = self.schedule.type_of(name).index
        length = self.lengths[index or ""]
        start = array.before - lag
        return f"{code}[{start}:{plus(length, start)}]" if start else f"{code}[:{length}]"

    def lead(self, name: str) -> str:
        """Return the leading axes of a value."""
        value = self.schedule.type_of(name)
        return TIME * (value.index is not None) + BATCH * value.batched

    def read(self, operand: Operand | Number) -> Value:
        """Return an operand outside loops: all its steps."""
        if not isinstance(operand, Operand):
            return Value(repr(operand), "", 0, ATOM if operand >= 0 else SIGN)
        name = operand.name
        if name in self.inlined:
            return self.inlined[name]
        value = self.schedule.type_of(name)
        if value.index is None:
            return Value(var(name), self.lead(name), len(value.shape))
        if name in self.places.arrays or name in self.schedule.homes or name in self.places.same:
            self.declare(name)
        return Value(self.all_steps(name, operand.lag), self.lead(name), len(value.shape))

    # -- statements outside loops ----------------------------------------------------------------

    def _lifted(self, statement: Statement) -> None:
        """Compute a value for all steps at once, or the one value there is."""
        name = statement.name
        if name in self.schedule.homes and statement.op == "slice":
            self.declare(name)
            return
        if self.places.joins(statement):
            return  # its parts stand in it
        value = self._value(statement)
        if name in self.shared and statement.index is not None:
            self.declare(name)
            self._fill(statement, value)
        elif self._fits(statement, value):
            if self._inlinable(statement):
                self.inlined[name] = value
            else:
                self.declared.add(Place(name))
                self.write(f"{var(name)} = {value.code}")
        elif statement.index is not None:
            self.declare(name)
            target = value.to(self.lead(name), len(statement.shape))
            self.write(f"{self.name_of(name)}[...] = {target}")
        else:
            shape = self.shape_code(statement)
            code = value.to(self.lead(name), len(statement.shape))
            self.write(f"{var(name)} = np.broadcast_to({code}, {shape})")

    def _fill(self, statement: Statement, value: Value) -> None:
        """Write a value into its rows, a product and what is added to it without a copy."""
        rows, lead = self.all_steps(statement.name), self.lead(statement.name)
        parts = self.parts.of(statement.name)
        product = statement if self._is_product(statement) else None
        if statement.op == "add":
            for operand, other in (statement.operands, reversed(statement.operands)):
                name = operand.name if isinstance(operand, Operand) else ""
                made = self.schedule.statements.get(name) if name in self.inlined else None
                if made is not None and self._is_product(made) and self.lead(name) == lead:
                    product, addend = made, other
        if product is None:
            target = rows if rows.endswith("]") else f"{rows}[...]"
            self.write(f"{target} = {_cut(value, lead, len(statement.shape), parts)}")
            return
        matrix, vector = (self.read(each).code for each in product.operands)
        added = "" if product is statement else _cut(self.read(addend), lead, 1, parts)
        function = "matvec_parts" if parts > 1 else "matvec"
        self.write(f"{function}({matrix}, {vector}, out={rows})")
        if added:
            self.write(f"{rows} += {added}")

    def _is_product(self, statement: Statement) -> bool:
        """Whether a statement is one matrix times the vectors of all steps."""
        if statement.index is None or not is_product(self.schedule, statement):
            return False
        vector = self.schedule.type_of(statement.reads[1].name)
        return (vector.index, vector.batched) == (statement.index, statement.batched)

    def _value(self, statement: Statement) -> Value:
        if statement.op == "at_step":
            return self._absolute(statement)
        given = [self.read(each) for each in statement.operands]
        return self.expressions.of(statement, given)

    def _fits(self, statement: Statement, value: Value) -> bool:
        """Whether an expression has all the axes of its statement."""
        return value.lead == self.lead(statement.name) and value.rank == len(statement.shape)

    def _inlinable(self, statement: Statement) -> bool:
        """Whether a value is used once, outside loops, as it is."""
        name = statement.name
        readers = self.places.readers.get(name, [])
        if statement.op in INLINE and statement.index is None and not statement.batched:
            made = [self.schedule.statements.get(each.name) for each in statement.reads]
            again = len(readers) > 1 and any(each and self._inlinable(each) for each in made)
            return name not in self.schedule.outputs and not again
        if name in self.schedule.outputs or len(readers) != 1:
            return False
        ((reader, lag),) = readers
        user = self.schedule.statements.get(reader)
        whole = user is not None and user.op == "at_step"  # it reads a row of the array by name
        return not (lag or whole or reader in self.inside or statement.op == "copy")

    def _boundary(self, block: Boundary) -> None:
        """Put a boundary value into the margin of its array."""
        self.declare(block.name)
        owner = self.schedule.type_of(block.name)
        value = self.read(block.value)
        if isinstance(block.value, Operand) and block.value.name in self.schedule.statements:
            made = self.schedule.statements[block.value.name]
            if made.op == "fill":
                value = Value(str(made.attr.value), "", 0)
        code = value.to(BATCH * owner.batched, len(owner.shape))
        self.write(f"{self.name_of(block.name)}[{self.row(block)}] = {code}")

    def row(self, at: Boundary) -> str:
        """Return the row of a fixed step."""
        base = self.margins(at.name).before - 1 + at.offset
        index = self.schedule.type_of(at.name).index
        row = plus(self.lengths[index or ""], base) if at.last else str(base)
        return self.turned(at.name, row)

    def ring(self, name: str) -> int:
        """Return the number of rows, if only the last ones of an array are kept; else 0."""
        if name in self.schedule.leaves:
            return 0
        return self.places.rings.get(self.places.of(name).root, 0)

    def turned(self, name: str, row: str) -> str:
        """Return a row as it is counted in an array of which only the last rows are kept."""
        ring = self.ring(name)
        if not ring:
            return row
        if ring == 1:
            return "..."
        if row.isdecimal():
            return str(int(row) % ring)
        return f"({row}) % {ring}" if " " in row else f"{row} % {ring}"

    def _absolute(self, statement: Statement) -> Value:
        """Return the value at a fixed step, which may lie outside for short sequences."""
        key, (operand,) = statement.attr, statement.reads
        owner = self.schedule.type_of(operand.name)
        self.read(operand)
        array, code = self.margins(operand.name), self.name_of(operand.name)
        row = self.row(Boundary(operand.name, key.last, key.offset, 0))
        rank, lead = len(owner.shape), BATCH * owner.batched
        inside = key.offset == 0 if key.last else 1 - array.before <= key.offset <= 1
        if inside:
            return Value(code if row == "..." else f"{code}[{row}]", lead, rank)
        code = f"({code}[{row}] if 0 <= {row} < len({code}) else np.zeros_like({code}[0]))"
        return Value(code, lead, rank)


def _cut(value: Value, lead: str, rank: int, parts: int) -> str:
    """Return the code of a value with an axis for its parts in front of the batch."""
    code = value.to(lead, rank)
    return code if parts == 1 or not (value.lead or value.rank) else f"parts({code}, {parts})"
