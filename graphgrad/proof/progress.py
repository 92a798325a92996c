"""What a long proof is doing, on stderr: the method, how much of it is done, and the time."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

EVERY = 0.1
"""After how many seconds the counts are shown anew."""


class Shown:
    """A bar that says which method is at work and how far; it disappears when the proof is done.

    `shown` is True, False, or None: where stderr is a terminal. On what is no terminal, each method
    is a line.
    """

    def __init__(self, name: str, shown: bool | None) -> None:
        self.name = name
        self.bar: Progress | None = None
        self.lines: Console | None = None
        self.last = 0.0
        console = Console(stderr=True)
        if shown is None:
            shown = sys.stderr.isatty()
        if shown and console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(20),
                TextColumn("{task.fields[counts]}"), TimeElapsedColumn(),
            )  # fmt: skip
            self.bar = Progress(*columns, console=console, transient=True)
            self.task = self.bar.add_task(self._text(""), total=None, counts="")
        elif shown:
            self.lines = console

    def __enter__(self) -> Shown:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def stage(self, text: str) -> None:
        """Say what is done next."""
        if self.bar is not None:
            self.bar.update(self.task, description=self._text(text), completed=0, counts="")
            self.bar.tasks[0].total = None  # `update` would keep the last one
        if self.lines is not None:
            self.lines.print(self._text(text), soft_wrap=True)

    def count(self, done: int, total: int, what: str) -> None:
        """Say how much of it is done."""
        if self.bar is not None and (now := time.monotonic()) > self.last + EVERY:
            self.last = now
            counts = f"{done:,} of {total:,} {what}"
            self.bar.update(self.task, completed=done, total=total, counts=counts)

    def _text(self, stage: str) -> str:
        return escape(f"proving {self.name}" + (f": {stage}" if stage else ""))
