"""A schedule as JAX source: one pure function, a `lax.scan` for each recurrence.

Values of all steps are arrays with time in front, without margins: a delayed read puts the boundary
rows in front. A loop carries the rows of past steps that it reads itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graphgrad.compile.code import (
    ATOM,
    BATCH,
    SIGN,
    Value,
    Writer,
    plus,
    size_code,
    taken_names,
    var,
)
from graphgrad.compile.jax_code import JaxExpressions
from graphgrad.compile.jax_scan import Sweep
from graphgrad.compile.schedule import (
    Block,
    Boundary,
    Loop,
    Operand,
    Schedule,
    Statement,
)
from graphgrad.ir import Number


def emit(schedule: Schedule, name: str = "compiled") -> str:
    """Return the source of `name(values, lengths, sizes, dtype)`, a dict of the outputs.

    `values` are arrays by name; lengths, sizes and dtype are known when it is traced.
    """
    return JaxEmitter(schedule).source(name)


class JaxEmitter(Writer):
    """Writes the source of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.system = schedule.system
        self.expressions = JaxExpressions(schedule)
        self.blocks = list(_blocks(schedule))
        self.taken = {self.name(each) for each in (*schedule.leaves, *schedule.statements)}
        self.taken |= set(self.expressions.lengths.values())
        self.taken |= taken_names(self.system.declared.sizes)
        self.margins: dict[tuple[str, bool, int], str] = {}
        self.inlined: dict[str, Value] = {}
        self.loop_of = {
            each.name: number
            for number, block in enumerate(self.blocks)
            if isinstance(block, Loop)
            for each in block.statements
        }
        self.single = self._single()

    def source(self, name: str) -> str:
        """Return the whole function."""
        self._unpack()
        for number, block in enumerate(self.blocks):
            if isinstance(block, Statement):
                self._statement(block)
            elif isinstance(block, Boundary):
                self._boundary(block)
            else:
                self._loop(block, number)
        self.write("return {")
        for output in self.schedule.outputs:
            self.write(f'    "{output}": {self._output(output)},')
        self.write("}")
        header = f"def {name}(values, lengths, sizes, dtype):"
        return "\n".join([header, *self.lines]) + "\n"

    # -- names -------------------------------------------------------------------------

    def name(self, value: str) -> str:
        """Return the Python name of a value."""
        known = value in self.schedule.leaves or value in self.system.variables
        return var(value) if known else value

    def length(self, index: str) -> str:
        """Return the name of an index's length."""
        return var(self.system.indices[index].length)

    def _unpack(self) -> None:
        for index in self.system.indices.values():
            self.write(f'{var(index.length)} = lengths["{index.name}"]')
        for size in sorted(self.system.declared.sizes):
            self.write(f'{size_code(size)} = sizes["{size}"]')
        self.write('B = sizes[""]')
        for name, leaf in self.schedule.leaves.items():
            # JAX counts rows in the type of the tokens, and bytes end at 255.
            plain = ".astype(int)" if leaf.token else ""
            self.write(f'{self.name(name)} = values["{name}"]{plain}')

    def _single(self) -> set[str]:
        """Return the values without a name of their own that one statement beside them reads."""
        uses: Counter[str] = Counter()
        beside: dict[str, bool] = {}
        for block in self.blocks:
            if isinstance(block, Boundary):
                if isinstance(block.value, Operand):
                    uses[block.value.name] += 2
                continue
            looped = isinstance(block, Loop)
            groups = [b.statements for b in block.bodies] if isinstance(block, Loop) else [(block,)]
            for group in groups:
                own = {each.name for each in group}
                for statement in group:
                    for operand in statement.reads:
                        uses[operand.name] += 1
                        near = operand.name in own if looped else operand.name not in self.loop_of
                        beside[operand.name] = near and not operand.lag
        outside = {*self.system.variables, *self.schedule.outputs}
        return {
            name
            for name, count in uses.items()
            if count == 1 and beside[name] and name in self.schedule.statements
            if name not in outside and self.schedule.statements[name].op not in ("counter", "copy")
        }

    def _output(self, name: str) -> str:
        statement = self.schedule.type_of(name)
        lead = self.expressions.lead(statement, inside=False)
        value = self.lifted(Operand(name))
        if value.lead == lead and value.rank == len(statement.shape):
            return value.code
        shape = self.expressions.shape(statement, lead)
        return f"jnp.broadcast_to({value.to(lead, len(statement.shape))}, {shape})"

    # -- outside loops ---------------------------------------------------------------------------

    def _statement(self, statement: Statement) -> None:
        if statement.op == "at_step":
            value = self._fixed(statement)
        else:
            given = [self.operand(each, self.lifted) for each in statement.operands]
            value = self.expressions.of(statement, given)
        if statement.name in self.single:
            self.inlined[statement.name] = value
            return
        name = self.name(statement.name)
        lead = self.expressions.lead(statement, inside=False)
        rank = len(statement.shape)
        if value.lead != lead or value.rank != rank:
            code = f"jnp.broadcast_to({value.to(lead, rank)}, "
            value = Value(code + f"{self.expressions.shape(statement, lead)})", lead, rank)
        self.write(f"{name} = {value.code}")

    def operand(self, operand: Operand | Number, fetch: Callable[[Operand], Value]) -> Value:
        """Return the code of an operand; numbers stand for themselves."""
        if isinstance(operand, Operand):
            return fetch(operand)
        return Value(repr(operand), "", 0, ATOM if operand >= 0 else SIGN)

    def lifted(self, operand: Operand) -> Value:
        """Return an operand for all steps."""
        if operand.name in self.inlined:
            return self.inlined[operand.name]
        value = self.schedule.type_of(operand.name)
        lead = self.expressions.lead(value, inside=False)
        code = self.name(operand.name)
        if operand.lag > 0:
            steps = [(False, 1 - k) for k in range(operand.lag, 0, -1)]
            code = f"delayed({code}, {self.rows(operand.name, steps)})"
        elif operand.lag < 0:
            steps = [(True, k) for k in range(1, 1 - operand.lag)]
            code = f"advanced({code}, {self.rows(operand.name, steps)})"
        return Value(code, lead, len(value.shape))

    def _boundary(self, boundary: Boundary) -> None:
        value = self.schedule.type_of(boundary.name)
        lead = self.expressions.lead(value, inside=True)
        given = self.operand(boundary.value, self.lifted)
        end = f"after{boundary.offset}" if boundary.last else f"before{1 - boundary.offset}"
        name = self.fresh(f"{var(boundary.name)}_{end}")
        shape = self.expressions.shape(value, lead)
        self.write(f"{name} = jnp.broadcast_to({given.to(lead, len(value.shape))}, {shape})")
        self.margins[boundary.name, boundary.last, boundary.offset] = name

    def row(self, name: str, step: tuple[bool, int]) -> str:
        """Return a row outside the steps: a boundary value, or zeros."""
        if (name, *step) in self.margins:
            return self.margins[name, *step]
        value = self.schedule.type_of(name)
        shape = self.expressions.shape(value, self.expressions.lead(value, inside=True))
        return f"jnp.zeros({shape}, {'int' if value.token else 'dtype'})"

    def rows(self, name: str, steps: Sequence[tuple[bool, int]]) -> str:
        """Return consecutive rows outside the steps as one array."""
        if any((name, *step) in self.margins for step in steps):
            return f"jnp.stack([{', '.join(self.row(name, step) for step in steps)}])"
        value = self.schedule.type_of(name)
        lead = self.expressions.lead(value, inside=True)
        shape = self.expressions.shape(value, lead, len(steps))
        return f"jnp.zeros({shape}, {'int' if value.token else 'dtype'})"

    def _fixed(self, statement: Statement) -> Value:
        """Return the value at a fixed step, which may lie outside for short sequences."""
        (operand,) = statement.reads
        value = self.schedule.type_of(operand.name)
        assert value.index is not None
        length = self.length(value.index)
        attr = statement.attr
        step = plus(length, attr.offset) if attr.last else str(attr.offset)
        margins = [
            f"{plus(length, offset) if last else offset}: {code}"
            for (name, last, offset), code in self.margins.items()
            if name == operand.name
        ]
        code = f"at({self.lifted(operand).code}, {step}, {{{', '.join(margins)}}})"
        return Value(code, BATCH if value.batched else "", len(value.shape))

    # -- loops -----------------------------------------------------------------------------------

    def _loop(self, loop: Loop, number: int) -> None:
        sweep = Sweep(self, loop, number)
        sweep.read_bodies()
        for line in sweep.lines():
            self.write(line)


def _blocks(schedule: Schedule) -> Iterator[Block]:
    """Yield the blocks; what may be done for all steps before a loop is."""
    for block in schedule.blocks:
        if isinstance(block, Loop):
            yield from block.prelude
            yield replace(block, prelude=())
        else:
            yield block
