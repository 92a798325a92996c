"""Doors: functions of later layers, imported when they are first called.

A circuit offers its passes as methods (`c.unfold(3)`), although the passes come later than the
circuit in the order of layers and some need slow imports. Each such method is one call of a door.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def door(target: str) -> Callable[..., Any]:
    """Return a function that imports `module:name` when called, and calls it.

    >>> door("math:sqrt")(9.0)
    3.0
    """
    module, name = target.split(":")

    def call(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    call.__name__ = name
    return call
