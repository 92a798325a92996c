"""Numba programs as functions: modules in a cache on disk, threads over the examples of a batch.

The cache (`GRAPHGRAD_CACHE`, else the user's cache directory) holds one module for each program,
named by a hash of its source, of the vector kernels, of the versions of Numba and LLVM and of the
processor; Numba keeps the machine code beside it. Without a place to write, programs are compiled
in memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import linecache
import math
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from graphgrad.compile.code import size_code
from graphgrad.compile.emit_numba import NumbaProgram, emit
from graphgrad.compile.emit_numpy import Program
from graphgrad.compile.schedule import Schedule
from graphgrad.compile.sources import VECTOR_FUNCTIONS
from graphgrad.errors import DataError, FileError, GraphgradError
from graphgrad.files import write_atomically

THREADS_PAY = 4_000_000
"""From how many steps x examples x size squared on a batch is divided among threads."""


def require_numba() -> None:
    """Raise, with the remedy, where Numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        raise GraphgradError(
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
    the cache, so far. With `vector=False` every vector is one number and products are plain loops.
    """

    def __init__(
        self, program: NumbaProgram, schedule: Schedule, *, threads: int = 1, vector: bool = True
    ) -> None:
        require_numba()
        self.program = program
        self.schedule = schedule
        self.threads = threads
        self.source = program.source
        self.compile_seconds = 0.0
        self.module_source = module_source(program.source, vector=vector)
        started = time.perf_counter()
        self.module = _module(self.module_source)
        self.compile_seconds += time.perf_counter() - started
        self._entries: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._bound: Bound | None = None
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
        steps, dims, count, real = self._numbers(lengths, sizes, dtype)
        arrays = [self._array(name, values[name], dtype) for name in self.program.arrays]
        parts = self._parts(steps, dims, count)
        if parts == 1:
            return self._run(steps, dims, count, real, arrays)
        return self._threaded(steps, dims, count, real, arrays, parts)

    def _numbers(
        self, lengths: Mapping[str, int], sizes: Mapping[str, int], dtype: Any
    ) -> tuple[list[int], list[int], int, Any]:
        """Return lengths and sizes in the program's order, the examples, and an empty array."""
        steps = [int(lengths[index]) for index in self.schedule.system.indices]
        dims = [int(sizes[name]) for name in self.program.sizes]
        return steps, dims, int(sizes[""]), np.empty(0, dtype)

    def _parts(self, steps: list[int], dims: list[int], count: int) -> int:
        """Return among how many threads the batch is divided."""
        parts = min(self.threads, count) if self.schedule.batched else 1
        pays = math.prod(steps) * count * max(dims, default=1) ** 2 >= THREADS_PAY
        return parts if pays else 1

    def _array(self, name: str, value: Any, dtype: Any) -> Any:
        wanted = np.int64 if self.schedule.leaves[name].token else dtype
        if value.dtype == wanted and value.ndim and value.flags.c_contiguous:
            return value
        return np.ascontiguousarray(value, wanted)  # has at least one axis

    def _run(
        self, steps: list[int], dims: list[int], count: int, real: Any, arrays: list[Any]
    ) -> dict[str, Any]:
        bound = self._bound_to((*steps, *dims, count), real)
        key = (real.dtype.char, tuple(array.flags.writeable for array in arrays))
        if key not in self._entries:
            self._entries[key] = self._compile(bound.types(arrays), real.dtype.name)
        results = bound(arrays, self._entries[key], look=False)
        assert results is not None  # the shapes are those that the sizes were read off
        return results

    def _bound_to(self, numbers: tuple[int, ...], real: Any) -> Bound:
        bound = self._bound
        if bound is None or bound.numbers != numbers or bound.real.dtype != real.dtype:
            bound = self._bound = Bound(self, numbers, real)  # kept for one size of data at a time
        return bound

    def _compile(self, kinds: tuple[Any, ...], dtype: str) -> Any:
        """Return the machine code for arguments of these types."""
        with self._lock:
            started = time.perf_counter()
            _kernels(dtype)
            _keep_linear()
            compiled = self.module.compiled
            compiled.disable_compile(False)
            try:
                entry = compiled.compile(kinds)
            finally:  # arrays of other types are answered by a TypeError
                compiled.disable_compile(bool(compiled.signatures))
            self.compile_seconds += time.perf_counter() - started
        return entry

    def ready(
        self, lengths: Mapping[str, int], sizes: Mapping[str, int], dtype: Any
    ) -> Bound | None:
        """Return what runs all data of one size in one thread; None where threads divide it."""
        steps, dims, count, real = self._numbers(lengths, sizes, dtype)
        if self._parts(steps, dims, count) > 1:
            return None
        return self._bound_to((*steps, *dims, count), real)

    def _threaded(
        self, steps: list[int], dims: list[int], count: int, real: Any, arrays: list[Any],
        parts: int,
    ) -> dict[str, Any]:  # fmt: skip
        """Run slices of the batch side by side; sums over examples are added in their order."""
        bounds = [count * part // parts for part in range(parts + 1)]
        jobs = []
        for low, high in itertools.pairwise(bounds):
            own = [
                self._slice(name, array, low, high)
                for name, array in zip(self.program.arrays, arrays, strict=True)
            ]
            jobs.append(_pool(parts).submit(self._run, steps, dims, high - low, real, own))
        results = [job.result() for job in jobs]
        return {name: self._joined(name, [part[name] for part in results]) for name in results[0]}

    def _slice(self, name: str, array: Any, low: int, high: int) -> Any:
        leaf = self.schedule.leaves[name]
        if not leaf.batched:
            return array
        return np.ascontiguousarray(array[:, low:high] if leaf.index else array[low:high])

    def _joined(self, name: str, parts: list[Any]) -> Any:
        kind = self.schedule.type_of(name)
        if kind.batched:
            return np.concatenate(parts, axis=1 if kind.index is not None else 0)
        if name not in self.schedule.summed:
            return parts[0]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Bound:
    """A compiled program with its sizes: it is called with arrays, and allocates the results.

    Every call has its own room to work in, which later calls use again.
    """

    def __init__(self, function: NumbaFunction, numbers: tuple[int, ...], real: Any) -> None:
        self.numbers = numbers
        self.real = real
        module = function.module
        self._compiled, self._allocate, self._work = module.compiled, module.results, module.work
        self._view = function.view
        self._names = function.program.arrays
        self._free: list[Any] = []

    def __call__(self, arrays: Sequence[Any], entry: Any, *, look: bool) -> dict[str, Any] | None:
        """Return the outputs by name; None where the arrays have other shapes.

        `entry` is machine code, for types that are known, or Numba's dispatcher, which finds the
        code for the types it is given, or raises TypeError. If the program is to look what the
        arrays hold, the result is None for impossible tokens and targets as well.
        """
        try:
            work = self._free.pop()
        except IndexError:
            work = self._work(*self.numbers, self.real)
        results = self._allocate(*self.numbers, self.real)
        fits = entry(*self.numbers, self.real, look, *arrays, *work, *results)
        self._free.append(work)
        return self._view(*self.numbers, *results) if fits else None

    def again(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the outputs for values like those of the last call; None where they are unlike.

        Every parameter and input has to be there, in the type and with the shape that the program
        takes: it looks at them itself, which takes no time.
        """
        if len(values) != len(self._names):
            return None
        try:
            return self([values[name] for name in self._names], self._compiled, look=True)
        except (KeyError, TypeError):  # another name; a type that no machine code is for
            return None

    def types(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return the types of all arguments, as Numba names them."""
        from numba import typeof

        least = (*(1 for _ in self.numbers), self.real)
        made = [*self._work(*least), *self._allocate(*least)]
        return tuple(typeof(each) for each in (*least, True, *arrays, *made))


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


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="graphgrad")


# -- modules ---------------------------------------------------------------------------------------


def module_source(source: str, *, vector: bool = True) -> str:
    """Return the source of a module around a program."""
    names = sorted(set(re.findall(r"\b\w+(?=\()", source)) & VECTOR_FUNCTIONS)
    lines = ["import numpy as np", "from numba import njit", ""]
    lines.append(f"from graphgrad.compile.vector.{'fast' if vector else 'scalar'} import (")
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
    known = sys.modules.get(name)
    if known is not None:
        return known
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
