"""The names of cotangents, and what is known of each: its index, and where it is zero."""

from __future__ import annotations

from graphgrad.conditions import ALWAYS, Condition, Junction, both
from graphgrad.declared import spaces_of
from graphgrad.ir import OPS, Expr, choose, read, topological
from graphgrad.substitute import vanishes_outside
from graphgrad.system import System


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """Return the conditions that a conjunction is made of."""
    if isinstance(condition, Junction) and condition.word == "and":
        return condition.parts
    return (condition,)


def guarded(condition: Condition, value: Expr) -> Expr:
    """Return a value where a condition holds, else zero."""
    return value if condition == ALWAYS else choose(condition, value, 0)


class Names:
    """The names of cotangents: their index, and the condition outside of which they are zero."""

    def __init__(self, system: System, taken: set[str], guard: str) -> None:
        self.system = system
        self.taken = taken
        self.guard = guard
        self.spaces: dict[str, str | None] = {}
        self.zero_unless: dict[str, Condition] = {}

    def enter(self, name: str, index: str | None, condition: Condition = ALWAYS) -> None:
        """Note a cotangent."""
        self.taken.add(name)
        self.spaces[name] = index
        self.zero_unless[name] = condition

    def is_cotangent(self, name: str) -> bool:
        """Whether a name is a cotangent: zero outside its steps."""
        return name in self.spaces

    def reference(self, name: str, like: Expr) -> Expr:
        """Return a cotangent at its own step."""
        if self.spaces[name] is None:
            return Expr(OPS["static"], attr=name, type=like.type)
        return read(name, 0, like.type)

    def space_of(self, value: Expr) -> str | None:
        """Return the index that an expression varies with, None if it is static."""
        return spaces_of(topological([value]), self._index_of, self.system.indices)[id(value)]

    def _index_of(self, name: str) -> str | None:
        return self.spaces[name] if name in self.spaces else self.system.index_of(name)

    def relaxed(self, condition: Condition, value: Expr) -> Condition:
        """Leave out of a condition what cotangents in a value imply, being zero elsewhere."""
        if condition == ALWAYS or self.guard == "always":
            return condition
        kept = []
        for part in parts_of(condition):
            zero = {n for n, test in self.zero_unless.items() if part in parts_of(test)}
            if not zero or not vanishes_outside(value, zero.__contains__):
                kept.append(part)
        return both(*kept)
