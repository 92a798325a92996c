"""Functions that are compiled once for all programs, and called by an address in the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.typing.templates import signature

KERNELS: dict[str, Any] = {}
"""Kernels by name. Their arguments are arrays, as pointers, and whole numbers."""
ANSWERS: set[str] = set()
"""The kernels whose result is a whole number; others have none."""
ARRAYS = {"packed", "m", "out", "a", "u", "v", "y"}
"""The names of arguments that are arrays."""


def kernel(name: str, *, answers: bool = False) -> Callable[[Any], Any]:
    """Register a function as the kernel of a name: a decorator."""

    def register(function: Any) -> Any:
        KERNELS[name] = njit(error_model="numpy")(function)
        if answers:
            ANSWERS.add(name)
        return KERNELS[name]

    return register


def kernel_call(name: str, given: Sequence[Any]) -> tuple[Any, Any]:
    """Return how a kernel is called from a program: its signature there, and what writes the call.

    Tuples are handed over as their numbers.
    """
    dtype = next(each.dtype for each in given if isinstance(each, types.Array))
    label = kernel_symbol(name, str(dtype))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values: list[Any] = []
        for value, kind in zip(args, sig.args, strict=True):
            if isinstance(kind, types.Array):
                values.append(context.make_array(kind)(context, builder, value).data)
            elif isinstance(kind, types.BaseTuple):
                values.extend(cgutils.unpack_tuple(builder, value))
            else:
                values.append(value)
        result = ir.IntType(64) if name in ANSWERS else ir.VoidType()
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(builder.module, kind, label)
        made = builder.call(function, values)
        return made if name in ANSWERS else context.get_dummy_value()

    kinds = [
        each
        if isinstance(each, types.Array)
        else types.UniTuple(types.intp, len(each))
        if isinstance(each, types.BaseTuple)
        else types.intp
        for each in given
    ]
    return signature(types.int64 if name in ANSWERS else types.none, *kinds), lower


def kernel_symbol(name: str, dtype: str) -> str:
    """Return the name under which a kernel is known in the process."""
    return f"graphgrad_{name}_{dtype}"


def kernel_source(dtype: str) -> str:
    """Return the source of a module with the kernels for one type of numbers."""
    lines = ["from numba import cfunc", ""]
    lines += [f"from {each.__module__} import {each.__name__}" for each in KERNELS.values()]
    for name, function in KERNELS.items():
        code = function.py_func.__code__
        names = code.co_varnames[: code.co_argcount]
        result = "int64" if name in ANSWERS else "void"
        kinds = [f"CPointer({dtype})" if each in ARRAYS else "intp" for each in names]
        lines += [
            "",
            "",
            f'@cfunc("{result}({", ".join(kinds)})", cache=True)',
            f"def {name}({', '.join(names)}):",
            f"    return {function.__name__}({', '.join(names)})",
        ]
    return "\n".join(lines) + "\n"
