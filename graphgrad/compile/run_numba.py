"""Numba programs as functions: modules in a cache on disk, threads over the examples of a batch.

The cache (`GRAPHGRAD_CACHE`, else the user's cache directory) holds one module for each program,
named by a hash of its source, of the vector kernels, of the versions of Numba and LLVM and of the
processor; Numba keeps the machine code beside it. Without a place to write, programs are compiled
in memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import math
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from graphgrad.compile.bound import Bound, Code, Divided, Join
from graphgrad.compile.code import size_code
from graphgrad.compile.emit_numba import NumbaProgram, emit
from graphgrad.compile.emit_numpy import Program
from graphgrad.compile.schedule import Leaf, Schedule, Statement
from graphgrad.compile.sources import VECTOR_FUNCTIONS
from graphgrad.dims import concrete
from graphgrad.errors import DataError, FileError, MissingLibraryError
from graphgrad.files import write_atomically

THREADS_PAY = 20_000_000
"""From how many bytes on a batch is divided among threads: steps x examples x all parameters.

Below that, to send a part to another thread and to wait for it takes longer than it saves.
"""
_COMPILING = threading.RLock()  # functions of one source share a module and its machine code


def require_numba() -> None:
    """Raise, with the remedy, where Numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        raise MissingLibraryError(
            'backend="numba" needs Numba, which is not installed',
            remedy='pip install "graphgrad[fast]", or use backend="numpy"',
        )


def numba_program(schedule: Schedule, threads: int = 1) -> tuple[Program, NumbaFunction]:
    """Return the program of a schedule and the function that runs it on NumPy arrays."""
    program = emit(schedule)
    return Program("compiled", program.source), NumbaFunction(program, schedule, threads=threads)


class NumbaFunction:
    """A program that runs: `f(values, lengths, sizes, dtype) -> dict of outputs`.

    `source` is what runs; `compile_seconds` the time spent on compiling it or on reading it from
    the cache, so far.
    """

    def __init__(self, program: NumbaProgram, schedule: Schedule, *, threads: int = 1) -> None:
        require_numba()
        self.program = program
        self.schedule = schedule
        self.threads = threads
        self.source = program.source
        self.compile_seconds = 0.0
        self.module_source = module_source(program.source)
        started = time.perf_counter()
        self.module = _module(self.module_source)
        self.compile_seconds += time.perf_counter() - started
        self._entries: dict[Any, Any] = {}
        self._ready: Bound | Divided | None = None
        view = ", ".join(f"{name!r}: {code}" for name, code in program.results.items())
        names = [*program.lengths, *map(size_code, program.sizes), "B", *program.returned]
        self.view = eval(f"lambda {', '.join(names)}: {{{view}}}", {})

    def __call__(
        self, values: Mapping[str, Any], lengths: Mapping[str, int], sizes: Mapping[str, int],
        dtype: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the outputs by name; `sizes[""]` is the number of examples."""
        if dtype not in (np.float32, np.float64):
            raise DataError(
                f"the numba back end computes in float32 and float64, not in {np.dtype(dtype)}",
                remedy='convert the data, or use backend="numpy"',
            )
        arrays = [self._array(name, values[name], dtype) for name in self.program.arrays]
        bound = self.ready(lengths, sizes, dtype)
        results = bound(arrays, self._entry(*bound.example(arrays)), look=False)
        assert results is not None  # the shapes are those that the sizes were read off
        return results

    def release(self) -> None:
        """Let go of the arrays to work in that are kept for the next call."""
        if self._ready is not None:
            self._ready.release()

    def takes(self, values: Mapping[str, Any], dtype: Any) -> bool:
        """Whether the machine code takes arrays as they are, but for the axes of single numbers."""
        return all(self._fits(name, values[name], dtype) for name in self.program.arrays)

    def _fits(self, name: str, value: Any, dtype: Any) -> bool:
        wanted = np.int64 if self.schedule.leaves[name].token else dtype
        return bool(value.dtype == wanted and value.flags.c_contiguous)

    def _array(self, name: str, value: Any, dtype: Any) -> Any:
        if value.ndim and self._fits(name, value, dtype):
            return value
        wanted = np.int64 if self.schedule.leaves[name].token else dtype
        return np.ascontiguousarray(value, wanted)  # has at least one axis

    def ready(
        self, lengths: Mapping[str, int], sizes: Mapping[str, int], dtype: Any
    ) -> Bound | Divided:
        """Return what runs all data of one size; it is kept for one size at a time."""
        steps = [int(lengths[index]) for index in self.schedule.system.indices]
        dims = [int(sizes[name]) for name in self.program.sizes]
        numbers = (*steps, *dims, int(sizes[""]))
        ready = self._ready
        if ready is None or ready.numbers != numbers or ready.real.dtype != dtype:
            parts = self._parts(math.prod(steps) * numbers[-1], sizes, np.dtype(dtype).itemsize)
            ready = self._ready = self._made(numbers, min(parts, numbers[-1]), dtype)
        return ready

    def _parts(self, times: int, sizes: Mapping[str, int], width: int) -> int:
        """Return among how many threads a batch is divided, by steps times examples."""
        if self.threads == 1 or not self.schedule.batched:
            return 1
        shapes = [leaf.shape for leaf in self.schedule.leaves.values() if leaf.param]
        entries = sum(math.prod(concrete(shape, sizes)) for shape in shapes)
        return self.threads if times * entries * width >= THREADS_PAY else 1

    def _made(self, numbers: tuple[int, ...], parts: int, dtype: Any) -> Bound | Divided:
        """Return what runs data of these sizes, in one thread or divided among some."""
        module, program = self.module, self.program
        leaves = [self.schedule.leaves[name] for name in program.arrays]
        single = [
            k for k, each in enumerate(leaves) if not (each.index or each.batched or each.shape)
        ]
        code = Code(module.compiled, module.results, module.work, self.view, program.arrays, single)
        real = np.empty(0, dtype)
        if parts == 1:
            return Bound(code, numbers, real)
        axes = [_batch_axis(each) for each in leaves]
        joins: dict[str, Join] = {}
        for name in program.results:
            axis = _batch_axis(self.schedule.type_of(name))
            once: Join = "sum" if name in self.schedule.summed else "first"
            joins[name] = once if axis is None else axis
        return Divided(code, numbers, real, parts, axes, joins)

    def _entry(self, bound: Bound, arrays: Sequence[Any]) -> Any:
        """Return the machine code for arguments of these types, made when it is first asked for."""
        key = (bound.real.dtype.char, tuple(array.flags.writeable for array in arrays))
        if key not in self._entries:
            from numba.core.compiler_lock import global_compiler_lock

            # Numba's lock is kept until the dispatcher compiles no more: a call in another thread
            # that waits for it must not have code made for types that are not ours.
            with _COMPILING, global_compiler_lock:
                started = time.perf_counter()
                _kernels(bound.real.dtype.name)
                _keep_linear()
                compiled = self.module.compiled
                compiled.disable_compile(False)
                try:
                    self._entries[key] = compiled.compile(bound.types(arrays))
                finally:  # arrays of other types are answered by a TypeError
                    compiled.disable_compile(bool(compiled.signatures))
                self.compile_seconds += time.perf_counter() - started
        return self._entries[key]


def _batch_axis(kind: Statement | Leaf) -> int | None:
    """Return the axis that has one entry for each example."""
    return int(kind.index is not None) if kind.batched else None


@cache
def _kernels(dtype: str) -> None:
    """Make the kernels for one type of numbers known in the process."""
    import llvmlite.binding as llvm

    import graphgrad.compile.vector.fast  # noqa: F401  (registers the kernels)
    from graphgrad.compile.vector.kernels import KERNELS, kernel_source, kernel_symbol

    module = _module(kernel_source(dtype))
    for name in KERNELS:
        llvm.add_symbol(kernel_symbol(name, dtype), getattr(module, name).address)


@cache
def _keep_linear() -> None:
    """Let LLVM compile long programs in linear time.

    A program takes each of its arrays as an argument, and LLVM orders up to 2048 loads that stand
    together by looking at pairs; 64 give the same code. An option that a version of LLVM does not
    know would end the process, so it is for the one that was tried.
    """
    import llvmlite.binding as llvm

    if llvm.llvm_version_info[0] == 22:
        llvm.set_option("", "-combiner-tokenfactor-inline-limit=64")


# -- modules ---------------------------------------------------------------------------------------


def module_source(source: str) -> str:
    """Return the source of a module around a program."""
    names = sorted(set(re.findall(r"\b\w+(?=\()", source)) & VECTOR_FUNCTIONS)
    lines = ["import numpy as np", "from numba import njit", ""]
    lines.append("from graphgrad.compile.vector.fast import (")
    lines += [f"    {name}," for name in names]
    lines += [")", "", ""]
    return "\n".join(lines) + "\n" + source


@cache
def _machine() -> str:
    """Return what machine code depends on beside its source: kernels, versions, processor."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba

    folder = Path(__file__).parent / "vector"
    kernels = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    features = llvm.get_host_cpu_features().flatten()
    parts = [kernels, numba.__version__, llvmlite.__version__, np.__version__]
    parts += [sys.version, llvm.get_host_cpu_name(), features]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cache_folder() -> Path:
    """Return the folder of compiled programs: GRAPHGRAD_CACHE, or the user's cache directory."""
    given = os.environ.get("GRAPHGRAD_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphgrad"


def _module(source: str) -> ModuleType:
    """Return the module of a source, from the cache if it is there."""
    digest = hashlib.sha256(f"{_machine()}\n{source}".encode()).hexdigest()[:24]
    name = f"graphgrad_{digest}"
    with _COMPILING:  # a module is known before it has been executed
        known = sys.modules.get(name)
        return _loaded(name, source) if known is None else known


def _loaded(name: str, source: str) -> ModuleType:
    """Return the module of a source under a name, from its file where one can be written."""
    try:
        path = _written(cache_folder() / f"{name}.py", source)
    except (OSError, FileError):
        return _in_memory(name, source.replace(", cache=True)", ")"))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba's cache looks functions up by the name of their module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _written(path: Path, source: str) -> Path:
    """Return the path of a file with this content; readers never see a part of it."""
    if path.is_file() and path.read_text("utf-8") == source:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, source.encode())
    return path


def _in_memory(name: str, source: str) -> ModuleType:
    """Return a module that is in no file; a debugger finds its lines."""
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = ModuleType(name)
    exec(compile(source, filename, "exec"), module.__dict__)
    return module
