"""What an input or a variable is for: compared in a loss, part of a recurrence, an output."""

from __future__ import annotations

from graphgrad.causality import Unit, dependencies, schedule
from graphgrad.declared import Declared
from graphgrad.ir import topological
from graphgrad.ops import LOSSES


def targets(declared: Declared) -> set[str]:
    """Return the inputs that are compared with outputs in a loss.

    A model without state that reads its own past reads it as any other input.
    """
    found: set[str] = set()
    delayed: set[str] = set()
    for equation in declared.equations.values():
        for expr in topological([equation.root]):
            if expr.op.name in LOSSES:
                target = expr.args[1]
                if target.op.name in ("read", "at_step"):
                    found.add(target.attr.name)
                elif target.op.name == "input":
                    found.add(target.attr)
            elif expr.op.name == "read" and expr.attr.lag:
                delayed.add(expr.attr.name)
    indexed = {name for name, given in declared.inputs.items() if given.index is not None}
    if indexed <= found:
        memoryless = not any(component.recurrent for component in schedule(declared))
        found -= delayed if memoryless else set()
    return found & set(declared.inputs)


def before_recurrences(declared: Declared) -> set[Unit]:
    """Return the variables in recurrences, and those that recurrences depend on."""
    inner: set[Unit] = {u for c in schedule(declared) if c.recurrent for u in c.units}
    reads = [(d.user, d.used) for d in dependencies(declared)]
    boundaries = [(key.name, key) for key in declared.boundaries]
    size = -1
    while size != len(inner):
        size = len(inner)
        inner |= {used for user, used in (*reads, *boundaries) if user in inner}
    return inner
