"""What generated code imports: the functions of `scalar`, for whole registers of numbers."""

from graphgrad.compile.vector.checks import distributions, shaped
from graphgrad.compile.vector.lane_memory import load, put, read, spread, store, write
from graphgrad.compile.vector.lanes import (
    absolute,
    across_max,
    across_sum,
    choose,
    cos,
    exp,
    if_equal,
    if_greater,
    if_greater_equal,
    if_less,
    if_less_equal,
    kept,
    lanes,
    log,
    log1p,
    maximum,
    minimum,
    number,
    power,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    unit,
)
from graphgrad.compile.vector.machine import restore, set_flush_to_zero
from graphgrad.compile.vector.outer import outer_sum
from graphgrad.compile.vector.product import (
    divide,
    pack,
    padded,
    panels,
    product,
    row_sum,
    times,
)
from graphgrad.compile.vector.scalar import room, row, tokens

__all__ = [
    "absolute", "across_max", "across_sum", "choose", "cos", "distributions", "divide", "exp",
    "if_equal", "if_greater", "if_greater_equal", "if_less", "if_less_equal", "kept", "lanes",
    "load", "log", "log1p", "maximum", "minimum", "number", "outer_sum", "pack",
    "padded", "panels", "power", "product", "put", "read", "relu", "restore", "room", "row",
    "row_sum",
    "set_flush_to_zero", "shaped", "sigmoid", "sin", "softplus", "spread", "sqrt", "store",
    "tanh", "times", "tokens", "unit", "write",
]  # fmt: skip
