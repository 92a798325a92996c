"""NumPy programs: source made into a function that a debugger can step through."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphgrad.compile.code import KERNELS
from graphgrad.compile.emit_numpy import Program, emit_numpy
from graphgrad.compile.schedule import Schedule

# New pages from the operating system cost a third of the time of a small network. glibc keeps of
# freed memory up to twice the largest array freed so far, of at most 32 MiB: from here on 64 MiB.
# That the array is never written keeps it out of memory; other libraries do not care.
np.empty(2**25 - 2**14, np.uint8)


def numpy_program(schedule: Schedule, name: str) -> tuple[Program, Callable[..., Any]]:
    """Return the program of a schedule for the circuit of a name, and the function that runs it."""
    program = emit_numpy(schedule, "compiled")
    return program, executable(program, name, {"np": np, **KERNELS})


def executable(program: Program, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the function of a program; a debugger can step through its source."""
    filename = f"<graphgrad {ascii(name)[1:-1]} {abs(hash(program.source)):x}>"
    lines = program.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(program.source), None, lines, filename)
    space = dict(namespace)
    exec(compile(program.source, filename, "exec"), space)
    function: Callable[..., Any] = space[program.name]
    return function
