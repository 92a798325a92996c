"""A loop as NumPy source: one line a statement, on rows of the arrays and on reused buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphgrad.compile.code import (
    ATOM,
    BATCH,
    SIGN,
    SUM,
    TIME,
    Value,
    condition_code,
    var,
)
from graphgrad.compile.numpy_ahead import write_ahead
from graphgrad.compile.numpy_rows import Rows
from graphgrad.compile.parts import is_product
from graphgrad.compile.places import ALIASES, IN_PLACE, WRITES
from graphgrad.compile.schedule import Body, Loop, Operand, Statement
from graphgrad.ir import OPS, Number

if TYPE_CHECKING:
    from graphgrad.compile.emit_numpy import Emitter

_IN_PLACE = {"add": "+=", "sub": "-=", "mul": "*=", "div": "/="}
_PLAIN = IN_PLACE - {"pow"}  # a power of a plain 2 is a square
_NUMBERS = {"0": "zero", "1": "one", "2": "two"}


class LoopWriter:
    """Writes one loop with the help of the emitter of its program."""

    def __init__(self, emitter: Emitter, loop: Loop) -> None:
        self.emitter = emitter
        self.schedule = emitter.schedule
        self.loop = loop
        self.own = {each.name for each in loop.statements}
        self.prelude = {each.name for each in loop.prelude}
        self.rows = Rows(emitter, loop)
        self.local: dict[str, Value] = {}  # code of values that are no array
        self.factors: dict[tuple[str, int], str] = {}  # names, by matrix and number of parts
        alone = len(loop.bodies) == 1  # a body at another step would read the wrong one's bench
        self.made_in_parts = emitter.parts.benches(loop.bodies[0]) if alone else {}
        self.cut: dict[str, str] = {}  # views of buffers with an axis for their parts
        self.benches: dict[str, tuple[str, str]] = {}  # bench and rows cut into parts, by root

    def write(self) -> None:
        """Write the arrays, what is computed beforehand, and the loop."""
        self._declare()
        outer = self.emitter.indent
        if self.loop.prelude:
            write_ahead(self.emitter, self.loop)
        begin = len(self.emitter.lines)
        header = self.emitter.indent
        self.emitter.indent += 1
        for number, body in enumerate(self.loop.bodies):
            self._body(body, number)
        self.emitter.indent = header
        self.emitter.lines[begin:begin] = self.rows.header()
        self.emitter.indent = outer

    def _declare(self) -> None:
        for statement in self.loop.statements:
            if self._buffered(statement) and not self._passes(statement.name):
                self.emitter.declare(statement.name)
        for statement in self.loop.statements:
            if statement.op == "matmul":
                self._lay_out(statement)
        self._constants()
        self._cut()

    def _constants(self) -> None:
        """Write the numbers of the loop as arrays, its fixed vectors once for each example.

        NumPy converts a plain number every time, and goes along a vector once for each example.
        """
        constants = self.emitter.constants
        for statement in self.loop.statements:
            used = statement.op in _PLAIN and self._buffered(statement)
            operands = [1] if self._in_passes(statement) else statement.operands if used else ()
            for operand in operands:
                if operand in constants:
                    continue
                if not isinstance(operand, Operand):
                    constants[operand] = self.emitter.fresh(_NUMBERS.get(repr(operand), "number"))
                    self.emitter.write(f"{constants[operand]} = np.array({operand!r}, dtype)")
                elif self._fixed_vector(operand, statement):
                    code = self._read(operand).code
                    stem = code if code.isidentifier() else var(operand.name)
                    constants[operand] = self.emitter.fresh(f"{stem}_rows")
                    self.emitter.write(f"{constants[operand]} = np.tile({code}, (B, 1))")

    def _laid_out(self, operand: Operand | Number, user: Statement) -> str | None:
        """Return the name of what is laid out for such a user; rows are for batches only."""
        if isinstance(operand, Operand) and not self._fixed_vector(operand, user):
            return None
        return self.emitter.constants.get(operand)

    def _fixed_vector(self, operand: Operand, user: Statement) -> bool:
        """Whether an operand is one vector for all steps and examples that a statement has."""
        value = self.schedule.type_of(operand.name)
        fixed = value.index is None and not value.batched and operand.name not in self.own
        return fixed and user.batched and len(value.shape) == 1 and value.shape == user.shape

    def _cut(self) -> None:
        """Write the views of buffers by parts, and the benches of vectors made part by part."""
        emitter = self.emitter
        for statement in self.loop.statements:
            count = emitter.parts.of(statement.name)
            parted = count > 1 and statement.op != "matmul" and not self._is_view(statement)
            for name, _ in statement.reads if parted else ():
                if emitter.parts.of(name) == 1 and name not in self.cut:
                    code = emitter.name_of(name)
                    self.cut[name] = self.emitter.fresh(f"{code}_parts")
                    emitter.write(f"{self.cut[name]} = parts({code}, {count})")
        for root, count in self.made_in_parts.items():
            self._bench(root, count)

    def _passes(self, name: str) -> bool:
        """Whether a value is a part on a bench that no other step of the loop reads."""
        place = self.emitter.places.of(name)
        later = any(lag for _, lag in self.emitter.places.readers.get(name, ()))
        return place.root in self.made_in_parts and place.root != name and not later

    def _bench(self, root: str, count: int) -> None:
        """Write the bench of a vector: its parts get the names of their rows."""
        emitter = self.emitter
        code = emitter.name_of(root)
        bench, rows = self.emitter.fresh(f"{code}_now"), self.emitter.fresh(f"{code}_parts")
        shape = emitter.shape_code(self.schedule.type_of(root), parts=count)
        emitter.write(f"{bench} = np.empty({shape}, dtype)")
        for name in emitter.parts.groups[root]:
            first, last = emitter.parts.bounds(emitter.places.of(name))
            key = emitter.name_of(name), 0
            if last == first + 1 and key not in self.rows.given:
                self.rows.given[key] = self.emitter.fresh(f"{key[0]}_t")
                emitter.write(f"{self.rows.given[key]} = {bench}[{first}]")
        emitter.write(f"{rows} = parts({code}, {count})")
        self.benches[root] = bench, rows

    def _buffered(self, statement: Statement) -> bool:
        """Whether a value of the loop stands in an array or a buffer."""
        if self.emitter.kept(statement.name):
            return True
        name, places = statement.name, self.emitter.places
        if not statement.batched and not statement.shape:
            return False
        if statement.op in WRITES or places.of(name).root != name:
            return True
        changed = statement.op in ALIASES and name in places.shared
        return changed or self._is_whole(name)

    def _is_whole(self, name: str) -> bool:
        """Whether other values stand in parts of the place of a value."""
        places = self.emitter.places
        return any(places.of(home.name).root == name for home in self.schedule.homes.values())

    def _lay_out(self, statement: Statement) -> None:
        """Name the right factor of a product with rows, or those of its parts."""
        if not is_product(self.schedule, statement) or not statement.batched:
            return
        matrix, parts = statement.reads[0], self.emitter.parts.of(statement.name)
        if (matrix.name, parts) in self.factors:
            return
        made = self.schedule.statements.get(matrix.name)
        twice = made is not None and made.op == "transpose"
        source = self.emitter.read(made.reads[0] if twice and made else matrix)
        stem = source.code if source.code.isidentifier() else var(matrix.name)
        turned = f"{source.grouped}.T"
        if parts > 1:
            name = self.emitter.fresh(f"{stem}_factors")
            code = f"part_factors({turned if twice else source.code}, {parts})"
        else:
            name = self.emitter.fresh(f"{stem}_{'N' if twice else 'T'}")
            code = f"right_factor({source.code if twice else turned})"
        self.emitter.write(f"{name} = {code}")
        self.factors[matrix.name, parts] = name

    # -- one body --------------------------------------------------------------------------------

    def _body(self, body: Body, number: int) -> None:
        emitter = self.emitter
        before = len(emitter.lines)
        if self.loop.span:
            self.rows.begin_guarded(body, number)
            emitter.indent += 1
        self.rows.begin([each for each in body.statements if not self._is_view(each)])
        head = len(emitter.lines)
        for statement in body.statements:
            self._statement(statement)
        if self.loop.span:
            emitter.indent -= 1
            if len(emitter.lines) == head:  # nothing but views
                del emitter.lines[before:]

    def _statement(self, statement: Statement) -> None:
        name = statement.name
        if name in self.benches:
            bench, rows = self.benches[name]
            self.emitter.write(f"{_whole(self.rows.of(name, 0, rows))} = {bench}")
        if self._is_view(statement):
            return
        buffered = self._buffered(statement)
        target = self._target(statement) if buffered else ""
        several = self.emitter.parts.of(name) > 1 and statement.op != "matmul"
        given = [self._parts(each) if several else self._read(each) for each in statement.operands]
        rank, lead = len(statement.shape), BATCH * statement.batched
        if not buffered:
            value = self._expression(statement, given)
            if value.lead != lead:
                shape = self.emitter.shape_code(statement)
                code = f"np.broadcast_to({value.to(lead, rank)}, {shape})"
                value = Value(code, lead, rank)
            self.emitter.write(f"{var(name)} = {value.code}")
            self.local[name] = Value(var(name), lead, rank)
            return
        scalar = not rank and not lead
        if scalar or not self._writes(statement, given, target):
            value = self._expression(statement, given)
            self.emitter.write(f"{_whole(target)} = {value.to(lead, rank)}")

    def _is_view(self, statement: Statement) -> bool:
        """Whether a statement only names what stands in its place already."""
        if statement.op == "slice":
            return statement.name in self.schedule.homes
        return self.emitter.places.joins(statement)

    def _expression(self, statement: Statement, given: list[Value]) -> Value:
        """Return the code of a value at the present step, which is counted from 0."""
        expressions = self.emitter.expressions
        if statement.op == "counter" and statement.attr == self.loop.index:
            return Value(f"{self.rows.step} + 1", "", 0, SUM)
        if statement.op == "choose" and statement.index is not None:
            test = condition_code(statement.attr, {statement.index: f"({self.rows.step} + 1)"})
            return expressions.either(test, statement, given)
        return expressions.of(statement, given)

    def _writes(self, statement: Statement, given: list[Value], target: str) -> bool:
        """Write an operation that puts its result in place; say whether there is one."""
        rank, lead = len(statement.shape), BATCH * statement.batched
        if is_product(self.schedule, statement):
            left, right = (each.code for each in given)
            parts = self.emitter.parts.of(statement.name)
            if statement.batched:
                left, right = right, self.factors[statement.reads[0].name, parts]
            whole = not statement.batched or self.emitter.places.of(statement.name).start is None
            product = "np.dot" if whole and parts == 1 else "np.matmul"  # dot starts sooner
            self.emitter.write(f"{product}({left}, {right}, out={target})")
            return True
        op = OPS.get(statement.op)
        if op is None or statement.op in ("matmul", "copy") or statement.op not in WRITES:
            return False
        codes = [each.to(lead, rank) for each in given]
        if statement.op in _PLAIN:
            pairs = zip(statement.operands, codes, strict=True)
            codes = [self._laid_out(each, statement) or code for each, code in pairs]
        if statement.op in _IN_PLACE and target in codes:
            sign = _IN_PLACE[statement.op]
            if codes[0] == target:
                self.emitter.write(f"{target} {sign} {codes[1]}")
                return True
            if statement.op in ("add", "mul"):
                self.emitter.write(f"{target} {sign} {codes[0]}")
                return True
        if statement.op == "pow" and codes[1] == "2":
            self.emitter.write(f"{self.emitter.short('square')}({codes[0]}, out={target})")
            return True
        if self._in_passes(statement):
            self._write_sigmoid(codes[0], target)
            return True
        if statement.op in ("sigmoid", "relu"):
            function = statement.op
        else:
            assert op.ufunc is not None
            function = self.emitter.short(op.ufunc.__name__)
        self.emitter.write(f"{function}({', '.join(codes)}, out={target})")
        return True

    def _in_passes(self, statement: Statement) -> bool:
        """Whether a sigmoid is written pass by pass: where it stands, there are no gaps."""
        if statement.op != "sigmoid" or not self._buffered(statement):
            return False
        place = self.emitter.places.of(statement.name)
        return place.start is None or place.root in self.emitter.parts.roots

    def _write_sigmoid(self, argument: str, target: str) -> None:
        """Write 1 / (1 + exp(-u)) in place; to call a function for it takes longer."""
        negative, exp, divide = map(self.emitter.short, ("negative", "exp", "divide"))
        one = self.emitter.constants[1]
        self.emitter.write(f"{negative}({argument}, out={target})")
        self.emitter.write(f"{exp}({target}, out={target})")
        self.emitter.write(f"{target} += {one}")
        self.emitter.write(f"{divide}({one}, {target}, out={target})")

    def _target(self, statement: Statement) -> str:
        """Return the row or buffer that a value is written into, under a name if it is read."""
        name = statement.name
        if not self.emitter.kept(name):
            return self.emitter.name_of(name)
        return self.rows.of(name, 0, often=1)

    def _parts(self, operand: Operand | Number) -> Value:
        """Return an operand at the present step with an axis for its parts."""
        if not isinstance(operand, Operand) or operand.name not in self.cut:
            return self._read(operand)
        code, value = self.cut[operand.name], self.schedule.type_of(operand.name)
        if self.emitter.kept(operand.name):
            code = self.rows.of(*operand, code)
        return Value(code, BATCH * value.batched, len(value.shape))

    def _read(self, operand: Operand | Number) -> Value:
        """Return an operand at the present step."""
        if not isinstance(operand, Operand):
            return Value(repr(operand), "", 0, ATOM if operand >= 0 else SIGN)
        name, lag = operand
        if name in self.local:
            return self.local[name]
        value = self.schedule.type_of(name)
        rank, lead = len(value.shape), BATCH * value.batched
        if name in self.prelude:
            return Value(self.rows.ahead(self.schedule.statements[name]), lead, rank)
        if value.index is None or name in self.emitter.inlined:
            outside = self.emitter.read(operand)
            if TIME in outside.lead:
                code = f"{outside.grouped}[{self.rows.step}]"
                return Value(code, outside.lead.replace(TIME, ""), rank)
            return outside
        if not self.emitter.kept(name):
            return Value(self.emitter.name_of(name), lead, rank)
        return Value(self.rows.of(name, lag), lead, rank)


def _whole(target: str) -> str:
    """Return what is written where a value is put into a row or buffer."""
    return target if target.endswith("]") else f"{target}[...]"
