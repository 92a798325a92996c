"""The rows of arrays that a loop in NumPy source works on, and the line that begins the loop.

A loop goes along its arrays side by side, and names their rows: that is faster than to take them
by number. It counts its steps where a number is needed, and where its bodies are at several steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from graphgrad.compile.code import plus, var
from graphgrad.compile.schedule import Body, Loop, Statement

if TYPE_CHECKING:
    from graphgrad.compile.emit_numpy import Emitter

_SUFFIX = {0: "_t", 1: "_before", -1: "_after"}
_WIDTH = 100  # columns of a page


class Rows:
    """The names of the rows of one loop, written with the help of the emitter of its program."""

    def __init__(self, emitter: Emitter, loop: Loop) -> None:
        self.emitter = emitter
        self.loop = loop
        self.given: dict[tuple[str, int], str] = {}  # names, by array and lag, in every body
        self.names: dict[tuple[str, int], str] = {}  # and in the present one
        self._along: dict[str, str] = {}  # what the loop goes along, by the name of the row
        self._reads: Counter[tuple[str, int]] = Counter()  # of the present body
        self._walks = not loop.span
        self._counts = False  # whether the number of the step is read
        self._step = "t"

    @property
    def step(self) -> str:
        """The number of the present step, counted from 0."""
        self._counts = True
        return self._step

    def begin(self, read: list[Statement]) -> None:
        """Begin a body, of which these statements read rows."""
        kept, name_of = self.emitter.kept, self.emitter.name_of
        keys = (each for statement in read for each in statement.reads if kept(each.name))
        self._reads = Counter((name_of(name), lag) for name, lag in keys)
        self.names = dict(self.given)

    def begin_guarded(self, body: Body, number: int) -> None:
        """Write the beginning of a body at a step of its own, which is not there at both ends."""
        self._step = f"t{number + 1}"
        self.emitter.write(f"{self._step} = {plus('t', -body.offset)}")
        self.emitter.write(f"if 0 <= {self._step} < {self.emitter.lengths[self.loop.index]}:")

    def of(self, name: str, lag: int, view: str = "", often: int = 2) -> str:
        """Return a row, `lag` steps ago, of the array of a value or of a view of it.

        Where the loop counts its steps, a row gets a name if it is read at least so often.
        """
        code = view or self.emitter.name_of(name)
        key, value, ring = (code, lag), self.emitter.schedule.type_of(name), self.emitter.ring(name)
        if ring == 1:  # the one row there is
            return self.names.get(key, code)
        if key not in self.names and (value.batched or value.shape):
            if self._walks and not ring:
                window = ("start", "stop") if self.loop.prelude else None
                self._go_along(key, self.emitter.all_steps(name, lag, code, window))
            elif self._reads[key] >= often:
                self.names[key] = self._fresh(*key)
                self.emitter.write(f"{self.names[key]} = {code}[{self._number(name, lag)}]")
        return self.names.get(key) or f"{code}[{self._number(name, lag)}]"

    def ahead(self, statement: Statement) -> str:
        """Return the row of a value that is computed ahead for some steps at a time."""
        code = var(statement.name)
        if not (statement.batched or statement.shape):
            return f"{code}[{self.step} - start]"
        if (code, 0) not in self.names:
            self._go_along((code, 0), code)
        return self.names[code, 0]

    def _go_along(self, key: tuple[str, int], rows: str) -> None:
        self.names[key] = self._fresh(*key)
        self._along[self.names[key]] = rows

    def _fresh(self, code: str, lag: int) -> str:
        suffix = _SUFFIX.get(lag, f"_{lag}_before" if lag > 0 else f"_{-lag}_after")
        name = f"{code}{suffix}"
        while name in self.emitter.taken or name in self.names.values():
            name += "_"
        return name

    def _number(self, name: str, lag: int) -> str:
        before = self.emitter.margins(name).before
        return self.emitter.turned(name, plus(self.step, before - lag))

    def header(self) -> list[str]:
        """Return the line that begins the loop, known when its bodies are; a long one as several.

        The indentation is that of the emitter.
        """
        length = plus(self.emitter.lengths[self.loop.index], self.loop.span)
        steps = "range(start, stop)" if self.loop.prelude else f"range({length})"
        forwards, lead = self.loop.direction > 0, "    " * self.emitter.indent
        along = self._along if self._along and not self._counts else {"t": steps, **self._along}
        if len(along) == 1:
            ((name, rows),) = along.items()
            return [f"{lead}for {name} in {rows if forwards else f'reversed({rows})'}:"]
        names, function = ", ".join(along), "zip" if forwards else "from_last"
        begin, rows = f"{lead}for {names} in {function}(", ", ".join(along.values())
        if len(f"{begin}{rows}):") <= _WIDTH:
            return [f"{begin}{rows}):"]
        if len(begin) <= _WIDTH:
            return [begin, *_filled(along.values(), lead), f"{lead}):"]
        middle = f"{lead}) in {function}("
        return [
            f"{lead}for (",
            *_filled(along, lead),
            middle,
            *_filled(along.values(), lead),
            f"{lead}):",
        ]


def _filled(pieces: Iterable[str], lead: str) -> Iterator[str]:
    """Yield lines of a page that hold these pieces, further in than `lead`."""
    line = ""
    for piece in pieces:
        if line and len(f"{lead}    {line} {piece},") > _WIDTH:
            yield f"{lead}    {line}"
            line = ""
        line = f"{line} {piece}," if line else f"{piece},"
    yield f"{lead}    {line}"
