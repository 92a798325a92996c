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
from graphgrad.compile.vector.lane_memory import load, put
from graphgrad.compile.vector.lanes import absolute, across_max, across_sum, lanes, maximum, number

TOLERANCE = 1e-6
"""How far the sum of a distribution may be from 1."""


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
    found = np.empty(2, carray(y, 1).dtype)
    furthest, least = number(y, 0), number(y, 0)
    for row in range(rows):
        total = number(y, 0)
        for j in range(0, width, lanes(y)):
            part = load(y, (row * width + j,), width - j)
            total = total + part
            least = maximum(least, -part)
        furthest = maximum(furthest, absolute(across_sum(total) - 1))
    put(found, (0,), furthest)
    put(found, (1,), across_max(least))
    return 1 if found[0] < TOLERANCE and found[1] <= 0 else 0


@intrinsic
def distributions(typingctx: Any, y: Any, rows: Any, width: Any) -> Any:
    """Return 1 if each row of an array holds no negative number, and numbers of sum 1; else 0."""
    return kernel_call("distributions", (y, rows, width))
