"""Doors: functions of later layers, imported when they are first called.

A circuit offers its passes as methods (`c.unfold(3)`), although the passes come later than the
circuit in the order of layers and some need slow imports. Each such method is one call of a door.
"""

from __future__ import annotations

import importlib
from typing import Any


class door:  # noqa: N801
    """A function that imports `module:name` when called, and calls it.

    >>> door("math:sqrt")(9.0)
    3.0
    """

    def __init__(self, target: str) -> None:
        self.target = target

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the function behind the door."""
        module, name = self.target.split(":")
        return getattr(importlib.import_module(module), name)(*args, **options)
