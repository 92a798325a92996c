"""What there is to draw in a circuit: items and links, before any length is chosen.

The same structure gives the circuit diagram (links with delays) and every unfolded view (links
instantiated for each step), at the level of variables or of primitive operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Literal, NamedTuple

from graphgrad.conditions import ALWAYS, Condition
from graphgrad.declared import Declared
from graphgrad.ir import At, Expr
from graphgrad.notation.naming import Names
from viz.label import Label, italic
from viz.scene import NodeKind

Level = Literal["variables", "operations"]
Role = Literal["source", "applied", "unwritten", "bias"]
"""How a value is used: for itself, as a factor that stands beside an arrow, as one that could not
(it multiplies the value of a function, say), or as an addend."""

MINUS, TRANSPOSED = "−", "⊤"
"""Before a product, and behind any factor."""


class Product(NamedTuple):
    """What a value is multiplied by: parameters and the like, times `above` over `below`.

    The latter are literals and the names of sizes and lengths.
    """

    factors: tuple[str, ...]
    negative: bool = False
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One thing to draw: a variable, input, parameter, constant or operation.

    - `index`: the time index it has an instance for at every step, None if it is static.
    - `implied`: it has no name in the text: the term of a sum of losses.
    - `boundary`: it belongs to the boundary equation of that instance, and is that instance itself
      if `kind` is "boundary".
    - `expr`: of an operation or a term, the expression that it stands for.
    """

    key: str
    label: Label
    kind: NodeKind
    index: str | None
    tooltip: str
    implied: bool = False
    boundary: At | None = None
    expr: Expr | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Link:
    """One arrow: `head` reads `tail`.

    `lag` is the delay where both vary with time; `at` the fixed step that is read; `over` the index
    all of whose steps are read, where `condition` holds. `labels` are the products of factors that
    are applied on the way. `sign` marks the operand that is subtracted or divided by. No gradient
    flows along a `blocked` one.
    """

    tail: str
    head: str
    lag: int = 0
    at: At | None = None
    over: str | None = None
    condition: Condition = ALWAYS
    labels: tuple[Product, ...] = ()
    role: Role = "source"
    blocked: bool = False
    sign: str = ""


@dataclass(frozen=True)
class Structure:
    """The items by key and the links, in the order of the equations."""

    declared: Declared
    names: Names
    items: Mapping[str, Item]
    links: tuple[Link, ...]
    level: Level
    loss: str = "loss"

    def is_parameter(self, link: Link) -> bool:
        """Whether a link leads from a parameter."""
        return self.items[link.tail].kind == "parameter"


def term_label(whole: Label, items: Mapping[str, Item]) -> Label:
    """Return a label for the terms of a sum that nothing at steps has: that of the sum, or ℓ."""
    taken = {item.label for item in items.values() if item.index is not None}
    more = (italic("ℓ", sub=str(number) if number > 1 else "") for number in count(1))
    return next(label for label in chain([whole], more) if label not in taken)
