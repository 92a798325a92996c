"""A schedule as Numba source: sweeps over rows in vectors, products of packed matrices between.

The source is plain Python over the functions of `graphgrad.compile.vector`; the same text runs with
`vector.scalar`, where every function handles one number. Values that one sweep alone needs never
reach memory; the prelude of a loop is computed step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from graphgrad.compile.code import dim_code, plus, size_code
from graphgrad.compile.rows import (
    ACCUMULATIONS,
    COMPONENT_SUMS,
    ENTRYWISE,
    VIEWS,
    WHOLE,
    Section,
    Shapes,
    Work,
    section,
)
from graphgrad.compile.schedule import Boundary, Loop, Operand, Schedule, Slice, Statement
from graphgrad.compile.simple import simplified
from graphgrad.compile.sources import Memory, array_name, condition_code, factor, wrapped
from graphgrad.compile.sweeps import SweepWriter
from graphgrad.compile.unjoin import unjoined
from graphgrad.conditions import ALWAYS
from graphgrad.dims import Dim, Shape
from graphgrad.ops.shapes import part_sizes

ROWS_AHEAD = 96
"""Of a product that one loop alone reads, how many rows are computed at a time, in its course."""
STEPS_AHEAD = f"(1 + {ROWS_AHEAD - 1} // B)"
DECORATOR = '@njit(error_model="numpy", nogil=True, cache=True)'


@dataclass(frozen=True)
class NumbaProgram:
    """Source of `results`, `work` and `compiled`, the names of their arguments and of the outputs.

    `results` and `work` allocate: what a call returns, and room that the next call can use again.
    `compiled` fills both. The attribute `results` is the code of each output over the arrays of
    the function `results`, whose names are `returned`.
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


class NumbaEmitter:
    """Writes the source of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.system = schedule.system
        self.lines: list[str] = []
        self.indent = 1
        self.types: dict[str, Any] = dict(schedule.leaves)
        self.made: dict[str, Statement] = {}
        self.home: dict[str, tuple[int, int]] = {}  # in which section, in which body
        pieces = self._unjoined(self._sunk(self._pieces()))
        self._taken_along(pieces)
        for position, piece in enumerate(pieces):
            for product in piece.ahead:
                self.types[product.name] = self.made[product.name] = product
                self.home[product.name] = position, -1
            for number, (work, _) in enumerate(piece.parts):
                for each in work:
                    if isinstance(each, Statement):
                        self.types[each.name] = self.made[each.name] = each
                        self.home[each.name] = position, number
        self.pieces = pieces
        self.homes = {
            name: home
            for name, home in schedule.homes.items()
            if name in self.made and self.made[name].op not in VIEWS and home.name in self.made
            and self.made[home.name].op == "concat"
        }  # fmt: skip
        self.shapes = Shapes(self.types)
        self.users = self._users()
        self.matrices = self._only_matrices()
        self._drop_inlined()
        reads = self._reads()
        private = {name for name, each in self.made.items() if self._private(each)}
        self.sections = [
            [
                section(work, piece.loop.index if piece.loop else None, self.shapes, reads, private)
                for work, _ in piece.parts
            ]
            for piece in pieces
        ]
        self.memory: dict[str, Memory] = {}
        self.padded: list[str] = []
        self.allocations: dict[str, str] = {}
        self.summed: set[str] = set()  # arrays to which a call adds
        self.roomy: set[str] = set()  # arrays that have room for a whole vector behind them
        self.packed: dict[str, str] = {}
        self.taken: set[str] = set()
        self.named: dict[tuple[str, int], str] = {}
        self.plain = {index.length for index in self.system.indices.values()}
        self.plain |= {size_code(size) for size in self.system.declared.sizes} | {"B"}

    # -- what is done where ----------------------------------------------------------------------

    def _pieces(self) -> list[_Piece]:
        """Return the straight pieces and the loops, in simple statements."""
        types: dict[str, Any] = {**self.schedule.leaves, **self.schedule.statements}

        def simple(work: Iterable[Work]) -> list[Work]:
            found: list[Work] = []
            for each in work:
                if isinstance(each, Boundary):
                    found.append(each)
                    continue
                for one in simplified([each], lambda name: types[name].shape):
                    types[one.name] = one
                    found.extend(self._copied(self._whole(one, types), types))
            return found

        pieces: list[_Piece] = []
        for block in self.schedule.blocks:
            single = isinstance(block, Loop) and len(block.bodies) == 1
            if isinstance(block, Loop) and single:
                work = simple([*block.prelude, *block.bodies[0].statements])
                pieces.append(_Piece(block, [(work, 0)]))
                continue
            if not pieces or pieces[-1].loop is not None:
                pieces.append(_Piece(None, [([], 0)]))
            before = block.prelude if isinstance(block, Loop) else [block]
            pieces[-1].parts[0][0].extend(simple(before))
            if isinstance(block, Loop):
                parts = [(simple(body.statements), body.offset) for body in block.bodies]
                pieces.append(_Piece(block, parts))
        return pieces

    def _copied(self, each: Statement, types: dict[str, Any]) -> list[Statement]:
        """Return a statement, as view and copy where a view of given data would be handed out."""
        if each.op not in VIEWS or each.name not in self.schedule.outputs:
            return [each]
        base: Any = each
        while isinstance(base, Statement) and base.op in VIEWS:
            base = types[base.reads[0].name]
        if isinstance(base, Statement):
            return [each]
        view = replace(each, name=f"{each.name}_0_")
        types[view.name] = view
        return [view, replace(each, op="copy", operands=(Operand(view.name),), attr=None)]

    def _whole(self, each: Statement, types: Mapping[str, Any]) -> Statement:
        """Return a statement with the op that says whether it is done for all rows at once."""
        if each.op == "matmul" and len(each.shape) == 1:
            matrix, vector = each.operands
            assert isinstance(matrix, Operand)
            fixed = types[matrix.name]
            if fixed.index is None and not fixed.batched and isinstance(vector, Operand):
                return replace(each, op="product")
        if each.op == "outer_sum" and each.batched:
            return replace(each, op="outer_sum_each")
        return each

    def _sunk(self, pieces: list[_Piece]) -> list[_Piece]:
        """Move elementwise statements and slices into the loop that alone needs them."""
        places: dict[str, set[tuple[int, bool]]] = {}
        for position, piece in enumerate(pieces):
            for each in chain.from_iterable(work for work, _ in piece.parts):
                for operand in _operands(each):
                    fixed = not isinstance(each, Statement) or bool(operand.lag)
                    fixed = fixed or len(piece.parts) > 1
                    fixed = fixed or (isinstance(each, Statement) and each.op == "at_step")
                    places.setdefault(operand.name, set()).add((position, fixed))
        for position in range(len(pieces) - 1, -1, -1):
            if pieces[position].loop is not None:
                continue
            work = pieces[position].parts[0][0]
            stay: list[Work] = []
            sunk: dict[int, list[Work]] = {}
            for operand in chain.from_iterable(map(_operands, work)):
                places[operand.name] -= {(position, False), (position, True)}
            for each in reversed(work):
                found = places.get(each.name, set())
                target = next(iter(found))[0] if len(found) == 1 else position
                loop = pieces[target].loop
                if (
                    isinstance(each, Statement)
                    and self._can_sink(each)
                    and loop is not None
                    and loop.index == each.index
                    and not next(iter(found))[1]
                ):
                    sunk.setdefault(target, []).append(each)
                    now = target
                else:
                    stay.append(each)
                    now = position
                for operand in _operands(each):
                    places[operand.name].add((now, now == position or bool(operand.lag)))
            work[:] = reversed(stay)
            for target, moved in sunk.items():
                pieces[target].parts[0][0][:0] = reversed(moved)
        return pieces

    def _can_sink(self, each: Statement) -> bool:
        if each.name in self.schedule.outputs or each.index is None or each.token:
            return False
        if self._bound(each.name):
            return False
        return each.op == "slice" or self._elementwise(each)

    def _elementwise(self, each: Statement) -> bool:
        other = VIEWS | COMPONENT_SUMS | ACCUMULATIONS | WHOLE | ENTRYWISE
        other |= {"lookup", "at_step", "onehot", "basis", "fill", "expand", "batch_times"}
        return each.op not in other and not each.token

    def _bound(self, name: str) -> bool:
        return any(isinstance(b, Boundary) and b.name == name for b in self.schedule.blocks)

    def _unjoined(self, pieces: list[_Piece]) -> list[_Piece]:
        """Take joined vectors apart where every piece is used by itself."""
        types: dict[str, Any] = dict(self.schedule.leaves)
        shared = set(self.schedule.outputs)
        home: dict[str, tuple[int, int]] = {}
        for position, piece in enumerate(pieces):
            for number, (work, _) in enumerate(piece.parts):
                for each in work:
                    if isinstance(each, Statement):
                        types[each.name] = each
                        home[each.name] = position, number
                    else:
                        shared.add(each.name)
        for position, piece in enumerate(pieces):
            for number, (work, _) in enumerate(piece.parts):
                for each in work:
                    for operand in _operands(each):
                        if operand.lag or home.get(operand.name) != (position, number):
                            shared.add(operand.name)
        for piece in pieces:
            for work, _ in piece.parts:
                work[:] = unjoined(work, shared, self._elementwise, lambda name: types[name].shape)
                for each in work:
                    if isinstance(each, Statement):
                        types[each.name] = each
        return pieces

    def _taken_along(self, pieces: list[_Piece]) -> None:
        """Move products into the loop that alone reads them: computed for some steps ahead."""
        readers: dict[str, set[int | None]] = {}
        for position, piece in enumerate(pieces):
            for work, _ in piece.parts:
                for each in work:
                    near = isinstance(each, Statement) and each.op != "at_step"
                    for operand in _operands(each):
                        found = position if near and not operand.lag else None
                        readers.setdefault(operand.name, set()).add(found)
        for piece in pieces:
            if piece.loop is not None:
                continue
            work = piece.parts[0][0]
            for each in list(work):
                if not isinstance(each, Statement) or each.op != "product":
                    continue
                if each.name in self.schedule.outputs or self._bound(each.name):
                    continue
                targets = readers.get(each.name, {None})
                (target,) = targets if len(targets) == 1 else (None,)
                loop = None if target is None else pieces[target].loop
                if loop is not None and loop.index == each.index and not loop.span:
                    work.remove(each)
                    pieces[target].ahead.append(each)  # type: ignore[index]

    def _users(self) -> dict[str, list[tuple[Work, Operand]]]:
        users: dict[str, list[tuple[Work, Operand]]] = {}
        for piece in self.pieces:
            for each in chain[Work](piece.ahead, *(work for work, _ in piece.parts)):
                for operand in _operands(each):
                    users.setdefault(operand.name, []).append((each, operand))
        return users

    def _only_matrices(self) -> set[str]:
        """Return the transposes and stacks that are only packed, and stand nowhere themselves."""
        found: set[str] = set()
        for name in reversed(list(self.made)):
            each = self.made[name]
            if each.op not in ("transpose", "stack", "copy") or name in self.schedule.outputs:
                continue
            if each.index is not None or each.batched or len(each.shape) != 2:
                continue
            if not isinstance(each.operands[0], Operand):
                continue
            if self.shapes.shape(each.operands[0].name) != each.shape and each.op == "copy":
                continue
            uses = self.users.get(name, [])
            if all(
                isinstance(user, Statement)
                and ((user.op == "product" and user.operands[1] != operand) or user.name in found)
                for user, operand in uses
            ):
                found.add(name)
        return found

    def _drop_inlined(self) -> None:
        """Leave out of the work what has no place of its own: tokens and packed matrices."""
        for piece in self.pieces:
            for work, _ in piece.parts:
                work[:] = [e for e in work if isinstance(e, Boundary) or not self._inlined(e.name)]

    def _inlined(self, name: str) -> bool:
        return name in self.made and (self.made[name].token or name in self.matrices)

    def _reads(self) -> Mapping[str, list[Operand]]:
        """Return what each statement reads, through tokens and packed matrices."""
        found: dict[str, list[Operand]] = {}
        for name, each in self.made.items():
            reads: list[Operand] = []
            pending = list(each.reads)
            while pending:
                operand = pending.pop()
                if self._inlined(operand.name):
                    pending.extend(
                        Operand(inner.name, inner.lag + operand.lag)
                        for inner in self.made[operand.name].reads
                    )
                else:
                    reads.append(operand)
            found[name] = reads
        return found

    def _private(self, each: Statement) -> bool:
        """Whether a value is read nowhere but at the same step in its own section."""
        if each.name in self.schedule.outputs:
            return False
        return all(
            isinstance(user, Statement)
            and self.home.get(user.name) == self.home[each.name]
            and not operand.lag
            and user.op != "at_step"
            for user, operand in self._all_uses(each.name)
        )

    # -- where values stand ----------------------------------------------------------------------

    def _place_all(self) -> None:
        for name, leaf in self.schedule.leaves.items():
            margin = self.schedule.array(name)
            self.memory[name] = Memory(
                array_name(name), leaf.index is not None, leaf.batched, margin.before,
                len(leaf.shape), Dim.of(0), self._stride(leaf.shape),
            )  # fmt: skip
            if leaf.index is not None and (margin.before or margin.after):
                code = array_name(name)
                self.padded.append(f"{code} = padded({code}, {margin.before}, {margin.after})")
        for name in sorted(self.made, key=lambda name: name in self.homes):
            self._place(name)

    def _stride(self, shape: Shape) -> str:
        return " * ".join(factor(dim) for dim in shape) or "1"

    def _place(self, name: str) -> Memory | None:
        """Return where a value stands, None where it is in no memory."""
        pending = [name]
        while pending:
            current = pending[-1]
            each = self.made.get(current)
            if each is None or current in self.memory or self._inlined(current):
                pending.pop()
                continue
            home = self.homes.get(current)
            base = None
            if each.op in VIEWS:
                base = each.reads[0].name
            elif home is not None:
                base = home.name
            if base is not None and base not in self.memory and base in self.made:
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
        if each.op == "part":
            attr, kind = each.attr
            start = Dim.of(0)
            for size in part_sizes(attr, kind[0])[: attr.position]:
                start = start + size
            return replace(whole, before=before, start=whole.start + start)
        piece: Slice = each.attr
        if each.op == "rows":
            first = f"{factor(piece.start)} * {factor(each.shape[1])}"
            shift = f"{whole.shift} + {first}" if whole.shift else first
            return replace(whole, before=before, shift=shift)
        return replace(whole, before=before, start=whole.start + piece.start)

    def _needs_memory(self, each: Statement) -> bool:
        if each.name in self.schedule.outputs or each.op in WHOLE | ACCUMULATIONS | ENTRYWISE:
            return True
        if any(isinstance(b, Boundary) and b.name == each.name for b in self.schedule.blocks):
            return True
        return any(
            not self._in_register(each, user, operand)
            for user, operand in self._all_uses(each.name)
        )

    def _all_uses(self, name: str) -> Iterator[tuple[Work, Operand]]:
        """Yield who reads a value, through tokens and packed matrices."""
        pending = [(user, operand) for user, operand in self.users.get(name, [])]
        while pending:
            user, operand = pending.pop()
            if isinstance(user, Statement) and self._inlined(user.name):
                pending.extend(
                    (outer, Operand(name, operand.lag + used.lag))
                    for outer, used in self.users.get(user.name, [])
                )
            else:
                yield user, operand

    def _section(self, name: str) -> Section:
        position, number = self.home[name]
        return self.sections[position][number]

    def _in_register(self, each: Statement, user: Work, operand: Operand) -> bool:
        """Whether a use of a value needs no memory: same sweep, same loop over components."""
        if isinstance(user, Boundary):
            return False
        if self.home[user.name] != self.home[each.name] or operand.lag:
            return False
        if user.op in VIEWS | WHOLE | ENTRYWISE | {"at_step"} or each.op in VIEWS:
            return False
        if user.op == "lookup" and user.operands[0] == operand:
            return False
        home = self.homes.get(each.name)
        if user.op == "concat" and home is not None and home.name == user.name:
            return True
        own = self._section(each.name)
        if own.level[each.name] != own.level[user.name]:
            return False
        if own.axes[each.name] != own.axes[user.name]:
            return False
        if not each.shape:
            return True
        same = own.phase[each.name] == own.phase[user.name]
        return same and own.group[each.name] == own.group[user.name]

    def _timed(self, each: Statement) -> bool:
        """Whether all steps of a value are kept."""
        if each.index is None:
            return False
        if each.name in self.schedule.outputs:
            return True
        position, _ = self.home[each.name]
        if self.pieces[position].loop is None:
            return True
        pending, seen = [each.name], set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.schedule.outputs:
                return True
            if self._bound(name):
                return True
            for user, operand in self._all_uses(name):
                if isinstance(user, Boundary) or operand.lag:
                    return True
                if self.home[user.name] != self.home[each.name] or user.op == "at_step":
                    return True
                if user.op in VIEWS:
                    pending.append(user.name)
            if self.made[name].op == "concat":
                pending += [n for n, home in self.homes.items() if home.name == name]
        return False

    def _one_row(self, each: Statement) -> bool:
        """Whether a value is needed within its own sweep alone: room for one row is enough."""
        if not self._private(each) or each.op in ACCUMULATIONS | WHOLE:
            return False
        own = self._section(each.name)
        pending = [each.name]
        while pending:
            name = pending.pop()
            if self.made[name].op == "concat":
                pending += [
                    n for n, home in self.homes.items()
                    if home.name == name and self.made[n].op not in VIEWS
                ]  # fmt: skip
            for user, _ in self._all_uses(name):
                if not isinstance(user, Statement) or user.op in WHOLE:
                    return False
                if user.op in VIEWS and not self._private(user):
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
        ahead = self.home[each.name][1] < 0
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
        if each.op in ACCUMULATIONS | {"outer_sum"}:
            self.summed.add(code)
        self.memory[each.name] = Memory(
            code, timed, each.batched, margin.before if margin else 0, len(own), Dim.of(0),
            self._stride(each.shape), ahead=ahead,
        )  # fmt: skip

    def length(self, index: str) -> str:
        """Return the name of an index's length."""
        return self.system.indices[index].length

    # -- the function ----------------------------------------------------------------------------

    def program(self) -> NumbaProgram:
        """Return the whole program."""
        self._place_all()
        self.taken = {memory.array for memory in self.memory.values()}
        returned = tuple(dict.fromkeys(self.memory[name].array for name in self.schedule.outputs))
        self.roomy = self.allocations.keys() - self.summed - set(returned)
        for position, piece in enumerate(self.pieces):
            if piece.loop is None:
                self._straight(self.sections[position][0], None, 0)
            else:
                self._loop(piece.loop, piece, self.sections[position])
        lengths = tuple(index.length for index in self.system.indices.values())
        sizes = tuple(sorted(self.system.declared.sizes))
        arrays = tuple(self.schedule.leaves)
        scalars = [*lengths, *map(size_code, sizes), "B", "real"]
        names = [*map(array_name, arrays)]
        work = [name for name in self.allocations if name in self.roomy]
        names += [*work, *returned]
        lines = ["mode = set_flush_to_zero()", *self.padded]
        if any(piece.ahead for piece in self.pieces):
            lines.append(f"ahead = {STEPS_AHEAD[1:-1]}")
        own = [name for name in self.allocations if name not in {*work, *returned}]
        lines += [f"{name} = {self._allocated(name)}" for name in own]
        source = "\n".join(
            [
                *self._allocating("results", scalars, returned),
                *self._allocating("work", scalars, work),
                DECORATOR,
                *wrapped(f"def compiled({', '.join([*scalars, *names])}):"),
                *(f"    {line}" for line in lines),
                *self.lines,
                "    restore(mode)",
                "",
            ]
        )
        results = {name: self._result(name) for name in self.schedule.outputs}
        return NumbaProgram(source, lengths, sizes, arrays, returned, results)

    def _allocating(self, name: str, scalars: Sequence[str], arrays: Sequence[str]) -> list[str]:
        """Return the lines of a function that allocates arrays."""
        lines = wrapped(f"def {name}({', '.join(scalars)}):")
        lines += [f"    {array} = {self._allocated(array)}" for array in arrays]
        return [*lines, *wrapped(f"    return [{', '.join(arrays)}]"), "", ""]

    def _allocated(self, array: str) -> str:
        """Return the code that allocates an array."""
        if array in self.roomy:
            return f"room({self.allocations[array]}, real)"
        return f"np.zeros({self.allocations[array]}, real.dtype)"

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
            return f"{memory.array}[{', '.join(parts) or '0'}]"
        if self.made.get(name) is not None and self.made[name].op == "rows":
            piece: Slice = self.made[name].attr
            parts.append(f"{dim_code(piece.start)}:{dim_code(piece.stop)}")
            return f"{memory.array}[{', '.join(parts)}]"
        if len(each.shape) == 1:
            stop = memory.start + each.shape[0]
            parts.append(f"{dim_code(memory.start)}:{dim_code(stop)}")
        return f"{memory.array}[{', '.join(parts)}]" if parts else memory.array

    def write(self, line: str) -> None:
        """Append a line at the present indentation."""
        self.lines.extend(wrapped("    " * self.indent + line))

    def _loop(self, loop: Loop, piece: _Piece, sections: Sequence[Section]) -> None:
        for each in chain(piece.ahead, *(work for work, _ in piece.parts)):
            if isinstance(each, Statement) and each.op == "product":
                self._packed(each)
        length = self.length(loop.index)
        steps = f"range({plus(length, loop.span)})"
        variable = "t" if not loop.span else "k"
        order = steps if loop.direction > 0 else f"range({plus(length, loop.span - 1)}, -1, -1)"
        self.write(f"for {variable} in {order}:")
        self.indent += 1
        if piece.ahead:
            self._ahead(loop, piece.ahead)
        for (_, offset), made in zip(piece.parts, sections, strict=True):
            if loop.span:
                self.write(f"t = {plus('k', -offset)}")
                self.write(f"if 0 <= t < {length}:")
                self.indent += 1
            self._straight(made, loop.index, 0)
            if loop.span:
                self.indent -= 1
        self.indent -= 1

    def _straight(self, made: Section, inside: str | None, _: int) -> None:
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
            if name not in self.matrices:
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
            code = self.unique(f"{array_name(matrix.name)}_packed")
            self.packed[matrix.name] = code
            size = f"packed_size({dim_code(rows)}, {dim_code(depth)}, real)"
            self.write(f"{code} = np.zeros({size}, real.dtype)")
            for memory, shape, transposed, row, column in self._matrix_parts(matrix):
                sizes = ", ".join(dim_code(dim) for dim in shape)
                self.write(
                    f"pack({code}, {dim_code(depth)}, {dim_code(row)}, {dim_code(column)}, "
                    f"{memory.array}, {memory.first('0')}, ({sizes}), {transposed})"
                )
        return self.packed[matrix.name]

    def unique(self, name: str) -> str:
        """Return a name that nothing has yet."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def register(self, name: str, lag: int = 0) -> str:
        """Return the name under which a value is held while it is computed with."""
        if (name, lag) not in self.named:
            shift = f"_{'last' if lag > 0 else 'next'}{abs(lag) if abs(lag) > 1 else ''}"
            base = f"{name}{shift if lag else ''}_"
            self.named[name, lag] = self.unique(base.replace("__", "_"))
        return self.named[name, lag]

    def _ahead(self, loop: Loop, products: Sequence[Statement]) -> None:
        """Write the products that are computed for some steps at a time."""
        length = self.length(loop.index)
        self.write("near = t % ahead")
        if loop.direction > 0:
            self.write("if near == 0:")
            steps, first = f"min(ahead, {length} - t)", "t"
        else:
            self.write(f"if near == ahead - 1 or t == {length} - 1:")
            steps, first = "(near + 1)", "t - near"
        self.indent += 1
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
        self._write_product(each, to, self._rows(each, inside), start)

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


@dataclass
class _Piece:
    """A loop, or what stands between two loops: lists of work with the offsets of their bodies.

    `ahead` are products that the loop computes for some steps at a time.
    """

    loop: Loop | None
    parts: list[tuple[list[Work], int]]
    ahead: list[Statement] = field(default_factory=list)


def _operands(each: Work) -> tuple[Operand, ...]:
    if isinstance(each, Statement):
        return each.reads
    return (each.value,) if isinstance(each.value, Operand) else ()
