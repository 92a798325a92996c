"""What a loop reads of each step and depends on nothing in it, as NumPy source: computed ahead.

It is computed for some steps at a time, so that it is still in the cache when the loop reads it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphgrad.compile.code import ATOM, Value, dim_code, var
from graphgrad.compile.places import TILE
from graphgrad.compile.schedule import Loop, Statement
from graphgrad.dims import Dim

if TYPE_CHECKING:
    from graphgrad.compile.emit_numpy import Emitter


def write_ahead(emitter: Emitter, loop: Loop) -> None:
    """Write the loop over pieces of the sequence, with what is computed for a piece at once."""
    inlined, length = emitter.places.inlined_ahead, emitter.lengths[loop.index]
    named = [each for each in loop.prelude if not inlined(each.name)]
    width = Dim.of(0)
    for each in named:
        width = width + (each.shape[0] if len(each.shape) == 1 else 1)
    batch = "B * " if any(each.batched for each in named) else ""
    factor = (
        dim_code(width) if len(width.terms) + bool(width.constant) == 1 else f"({dim_code(width)})"
    )
    write = emitter.write
    write(f"tile = max(1, {TILE} // ({batch}{factor}))")
    if loop.direction > 0:
        write(f"for start in range(0, {length}, tile):")
        emitter.indent += 1
        write(f"stop = min(start + tile, {length})")
    else:
        write(f"for stop in range({length}, 0, -tile):")
        emitter.indent += 1
        write("start = max(0, stop - tile)")
    emitter.window = "start", "stop"
    for statement in loop.prelude:
        _beforehand(emitter, statement)
    emitter.window = None


def _beforehand(emitter: Emitter, statement: Statement) -> None:
    """Compute a value of the prelude for all steps, in the expression of its one reader."""
    given = [emitter.read(each) for each in statement.operands]
    value = emitter.expressions.of(statement, given)
    lead = emitter.lead(statement.name)
    code = value.to(lead, len(statement.shape))
    if value.lead != lead:
        full = emitter.shape_code(statement, ["stop - start"])
        code = f"np.broadcast_to({code}, {full})"
        value = Value(code, lead, len(statement.shape))
    if emitter.places.inlined_ahead(statement.name):
        emitter.inlined[statement.name] = value
    else:
        emitter.write(f"{var(statement.name)} = {code}")
        emitter.inlined[statement.name] = replace(value, code=var(statement.name), level=ATOM)
