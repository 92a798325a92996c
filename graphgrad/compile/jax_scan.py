"""A loop of a schedule as a `lax.scan`: what it carries, what it is given, and what it gives.

A loop carries the rows of past steps that it reads itself. Its bodies may stand at different steps
of one sweep time; then arrays are padded to the length of the sweep, and a body that is at no step
gives what stands in the margin there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from graphgrad.compile.code import Value, joined
from graphgrad.compile.schedule import Body, Boundary, Loop, Operand, Statement

if TYPE_CHECKING:
    from graphgrad.compile.emit_jax import JaxEmitter

Carry = tuple[str, int]  # a value of the loop, and how many sweep times ago


@dataclass
class Sweep:
    """One loop on its way to a scan: what it carries, what it is given, what it gives."""

    emitter: JaxEmitter
    loop: Loop
    number: int
    given: dict[str, str] = field(default_factory=dict)
    """Rows of outside values, by the code of the array of all of them."""
    carries: dict[Carry, str] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    local: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.offset = {s.name: body.offset for body in self.loop.bodies for s in body.statements}
        self.length = self.emitter.length(self.loop.index)
        self.done: set[str] = set()

    @property
    def span(self) -> int:
        """The sweep times beyond the number of steps."""
        return self.loop.span

    def read_bodies(self) -> None:
        """Write the statements of one sweep time."""
        for body in self.loop.bodies:
            self.local = {}
            for statement in body.statements:
                self._define(statement, self._value(statement, body), body)

    def _value(self, statement: Statement, body: Body) -> Value:
        """Return the code of a statement at one sweep time."""
        expressions, index = self.emitter.expressions, self.loop.index
        fetch = partial(self._operand, body=body)
        given = [self.emitter.operand(each, fetch) for each in statement.operands]
        if statement.op == "counter" and statement.attr == index:
            steps = f"{expressions.steps(index)}.astype(dtype)"
            return Value(self._given(steps, f"{index}_now", body.offset), "", 0)
        if statement.op == "choose" and statement.index is not None:
            mask = expressions.mask(statement.attr, index).code
            lead, rank = joined(given), len(statement.shape)
            codes = ", ".join(each.to(lead, rank) for each in given)
            return Value(
                f"jnp.where({self._given(mask, 'chosen', body.offset)}, {codes})", lead, rank
            )
        return expressions.of(statement, given)

    def _define(self, statement: Statement, value: Value, body: Body) -> None:
        emitter, name = self.emitter, self.emitter.name(statement.name)
        if statement.name in emitter.single:
            self.local[statement.name] = value
            return
        lead, rank = emitter.expressions.lead(statement, inside=True), len(statement.shape)
        code = value.code
        if value.lead != lead or value.rank != rank:
            shape = emitter.expressions.shape(statement, lead)
            code = f"jnp.broadcast_to({value.to(lead, rank)}, {shape})"
        if self.span:
            inside = self._given(f"np.ones({self.length}, bool)", "inside", body.offset, fill=True)
            margin = self._margin(statement.name, body.offset)
            code = f"jnp.where({inside}, {code}, {margin})"
        self.text.append(f"{name} = {code}")
        self.done.add(statement.name)

    def _operand(self, operand: Operand, body: Body) -> Value:
        """Return an operand at one sweep time."""
        if operand.name in self.local:
            return self.local[operand.name]
        emitter = self.emitter
        value = emitter.schedule.type_of(operand.name)
        lead, rank = emitter.expressions.lead(value, inside=True), len(value.shape)
        if operand.name in self.offset:
            ago = (body.offset - self.offset[operand.name]) + operand.lag
            ago *= self.loop.direction
            if not ago:
                return Value(emitter.name(operand.name), lead, rank)
            return Value(self._carry(operand.name, ago), lead, rank)
        if value.index is None:
            return emitter.lifted(operand)
        code = emitter.lifted(operand).code
        wish = emitter.name(operand.name) + (f"_{abs(operand.lag)}" if operand.lag else "") + "_now"
        return Value(self._given(code, wish, body.offset), lead, rank)

    def _given(self, code: str, wish: str, offset: int, *, fill: bool = False) -> str:
        """Return the name of the row of an outside array that this sweep time reads."""
        if self.span:
            if fill:
                widths = f"({offset}, {self.span - offset})"
                code = f"np.pad({code}, {widths})"
            else:
                code = f"padded({code}, {offset}, {self.span - offset})"
        if code not in self.given:
            self.given[code] = self.emitter.fresh(wish)
        return self.given[code]

    def _margin(self, name: str, offset: int) -> str:
        """Return the row that stands for a step outside, where bodies run at different steps."""
        emitter = self.emitter
        before = [(False, k + 1 - offset) for k in range(offset)]
        after = [(True, k + 1) for k in range(self.span - offset)]
        value = emitter.schedule.type_of(name)
        lead = emitter.expressions.lead(value, inside=True)
        shape = emitter.expressions.shape(value, lead, self.length)
        parts = [emitter.rows(name, before)] if before else []
        parts.append(f"jnp.zeros({shape}, dtype)")
        parts += [emitter.rows(name, after)] if after else []
        code = f"jnp.concatenate([{', '.join(parts)}])"
        if code not in self.given:
            self.given[code] = emitter.fresh(f"{emitter.name(name)}_outside")
        return self.given[code]

    def _carry(self, name: str, ago: int) -> str:
        """Return the name of the value that a variable had some sweep times ago."""
        for k in range(1, ago + 1):
            if (name, k) not in self.carries:
                wish = f"{self.emitter.name(name)}_last" + (str(k) if k > 1 else "")
                self.carries[name, k] = self.emitter.fresh(wish)
        return self.carries[name, ago]

    def _start(self, name: str, ago: int) -> str:
        """Return what a carried value is before the sweep."""
        offset = self.offset[name]
        if self.loop.direction > 0:
            return self.emitter.row(name, (False, 1 - ago - offset))
        return self.emitter.row(name, (True, self.span + ago - offset))

    def _kept(self) -> list[str]:
        """Return the values of which all steps are needed behind the loop."""
        emitter = self.emitter
        wanted = set(emitter.schedule.outputs)
        for number, block in enumerate(emitter.blocks):
            if isinstance(block, Boundary):
                wanted |= {block.value.name} if isinstance(block.value, Operand) else set()
            elif number != self.number:
                statements = block.statements if isinstance(block, Loop) else (block,)
                wanted |= {each.name for one in statements for each in one.reads}
        return [each.name for each in self.loop.statements if each.name in wanted & self.done]

    def lines(self) -> Iterator[str]:
        """Yield the step function and its scan."""
        name = self.emitter.name
        step = self.emitter.fresh("forwards" if self.loop.direction > 0 else "backwards")
        kept = self._kept()
        carried = _tuple(self.carries.values())
        following = _tuple(
            name(value) if ago == 1 else self.carries[value, ago - 1] for value, ago in self.carries
        )
        start = _tuple(self._start(value, ago) for value, ago in self.carries)
        yield f"def {step}(last, now):"
        if self.carries:
            yield f"    {carried} = last"
        if self.given:
            yield f"    {_tuple(self.given.values())} = now"
        for line in self.text:
            yield f"    {line}"
        yield f"    return {following}, {_tuple(name(each) for each in kept)}"
        given = f"[{', '.join(self.given)}]"
        count = f"{self.length} + {self.span}" if self.span else self.length
        backwards = ", reverse=True" if self.loop.direction < 0 else ""
        result = _tuple(name(each) for each in kept) if kept else "_"
        yield f"_, {result} = lax.scan({step}, {start}, {given}, {count}{backwards})"
        for each in kept if self.span else ():
            offset = self.offset[each]
            rows = f"{offset}:{offset} + {self.length}" if offset else f":{self.length}"
            yield f"{name(each)} = {name(each)}[{rows}]"


def _tuple(names: Iterable[str]) -> str:
    parts = list(names)
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
