"""The intermediate representation: ops, expressions that carry operators, and flat graphs.

An `Expr` is what formulas are written with: an immutable tree (or DAG) of ops (`expressions`), some
of which carry an attribute (`attributes`) or speak of time (`timed`). A `Graph` is the same thing
flat (`graph`): nodes in a tuple, arguments before users, so that every pass is one loop.
`graphgrad.system` turns the first into the second.
"""

from graphgrad.ir.attributes import At, Basis, Fill, Part, Read, Reduction
from graphgrad.ir.expressions import (
    OPS,
    Comparison,
    Expr,
    Number,
    Op,
    Type,
    constant,
    declare,
    lift,
    rebuilt,
    type_text,
)
from graphgrad.ir.graph import Graph, Node, topological
from graphgrad.ir.timed import choose, number, read, reduce

__all__ = [
    "OPS",
    "At",
    "Basis",
    "Comparison",
    "Expr",
    "Fill",
    "Graph",
    "Node",
    "Number",
    "Op",
    "Part",
    "Read",
    "Reduction",
    "Type",
    "choose",
    "constant",
    "declare",
    "lift",
    "number",
    "read",
    "rebuilt",
    "reduce",
    "topological",
    "type_text",
]
