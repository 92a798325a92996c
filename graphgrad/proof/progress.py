"""What a long proof is doing, on stderr: the method, and the time it has taken."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.status import Status


class Progress:
    """A line that says which method is at work; it disappears when the proof is done.

    `shown` is True, False, or None: where stderr is a terminal.
    """

    def __init__(self, name: str, shown: bool | None) -> None:
        self.name = name
        if shown is None:
            shown = sys.stderr.isatty()
        self.status: Status | None = None
        if shown:
            self.status = Status(f"proving {name}", console=Console(stderr=True))

    def __enter__(self) -> Progress:
        if self.status is not None:
            self.status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.status is not None:
            self.status.stop()

    def stage(self, text: str) -> None:
        """Say what is done next."""
        if self.status is not None:
            self.status.update(f"proving {self.name}: {text}")
            if not self.status.console.is_terminal:
                self.status.console.print(f"proving {self.name}: {text}", markup=False)
