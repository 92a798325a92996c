"""What a program asks of the arrays it is given: their shapes, and that inputs are possible."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.core.typing.templates import signature

from graphgrad.compile.vector.kernels import kernel, kernel_call
from graphgrad.compile.vector.lane_memory import load, put, read
from graphgrad.compile.vector.lanes import (
    absolute,
    across_max,
    across_sum,
    kept,
    lanes,
    maximum,
    number,
)

TOLERANCE = 1e-6
"""How far the sum of a distribution may be from 1."""
BLOCK = 64
"""Of how many rows the sums are kept at a time."""


@intrinsic
def shaped(typingctx: Any, array: Any, shape: Any) -> Any:
    """Return whether an array has this shape."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(array)(context, builder, args[0])
        found = cgutils.unpack_tuple(builder, view.shape)
        fits = ir.Constant(ir.IntType(1), 1)
        for own, wanted in zip(found, cgutils.unpack_tuple(builder, args[1]), strict=True):
            fits = builder.and_(fits, builder.icmp_signed("==", own, wanted))
        return fits

    return signature(types.boolean, array, types.UniTuple(types.intp, len(shape))), lower


@kernel("distributions", answers=True)
def distributions_kernel(y: Any, rows: int, width: int) -> int:
    """Do what `distributions` says."""
    totals = np.empty(BLOCK + lanes(y), carray(y, 1).dtype)
    below, furthest = number(y, 0), number(y, 0)
    for first in range(0, rows, BLOCK):
        block = min(BLOCK, rows - first)
        for row in range(block):
            total = number(y, 0)
            for j in range(0, width, lanes(y)):
                part = load(y, ((first + row) * width + j,), width - j)
                total = total + part
                below = below + (absolute(part) - part)  # adding takes less time than a maximum
            put(totals, (row,), across_sum(total))
        for row in range(0, block, lanes(y)):
            gap = absolute(read(totals, (row,)) - 1)
            furthest = maximum(furthest, kept(gap, block - row, 0))
    put(totals, (0,), across_max(furthest))
    put(totals, (1,), across_sum(below))
    return 1 if totals[0] < TOLERANCE and totals[1] == 0 else 0


@intrinsic
def distributions(typingctx: Any, y: Any, rows: Any, width: Any) -> Any:
    """Return 1 if each row of an array holds no negative number, and numbers of sum 1; else 0."""
    return kernel_call("distributions", (y, rows, width))
