"""Mutants of the library: one small change in the source of a module, in place while it lasts.

The code object of the changed function is put into the living function, so that whoever imported it
runs the change; lambdas in tables are found as well.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.faults.fault import quietly
from tests.faults.mutate import Mutation, mutations


@dataclass(frozen=True)
class Mutant:
    """A change of a module; `name` says where it is and does not depend on the line."""

    module: ModuleType
    mutation: Mutation
    name: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run the library with this change."""
        kept: list[tuple[FunctionType, CodeType]] = []
        try:
            for function, code in self._changed:
                kept.append((function, function.__code__))
                function.__code__ = code
            yield
        finally:
            for function, code in kept:
                function.__code__ = code

    @property
    def is_possible(self) -> bool:
        """Whether a function changes at all, and needs nothing from around it that it lacks."""
        try:
            found = self._changed
        except (SyntaxError, ValueError):
            return False
        return bool(found) and all(f.__code__.co_freevars == c.co_freevars for f, c in found)

    @property
    def functions(self) -> list[FunctionType]:
        """The living functions that change."""
        return [function for function, _ in self._changed]

    @cached_property
    def _changed(self) -> list[tuple[FunctionType, CodeType]]:
        """Return the living functions that change, with their new code."""
        tree, path = self.mutation.applied(tree_of(self.module)), str(self.module.__file__)
        for attempt in range(2):
            with quietly():
                new = dict(keyed(compile(tree, path, "exec")))
            found = [(f, new.get(name, f.__code__)) for f, name in functions_of(self.module)]
            found = [(f, code) for f, code in found if f.__code__ != code]
            lost = {
                (f.__code__.co_firstlineno, name)
                for f, code in found
                for name in set(f.__code__.co_freevars) - set(code.co_freevars)
            }
            if not lost or attempt:
                break
            _mention(tree, lost)
        return found


def _mention(tree: ast.Module, names: set[tuple[int, str]]) -> None:
    """Let functions on the given lines mention names of the functions around them, to no effect."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        for line, name in names:
            if node.lineno != line:
                continue
            if isinstance(node, ast.Lambda):
                word = ast.Name(name, ast.Load())
                node.body = ast.IfExp(ast.Constant(True), node.body, word)
            else:
                node.body.insert(
                    0, ast.If(ast.Constant(False), [ast.Expr(ast.Name(name, ast.Load()))], [])
                )
    ast.fix_missing_locations(tree)


@cache
def tree_of(module: ModuleType) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


@cache
def functions_of(module: ModuleType) -> tuple[tuple[FunctionType, tuple[str, int, int]], ...]:
    """Return the living functions that a module's source made, with their keys."""
    path = str(module.__file__)
    names = {code: name for name, code in keyed(compile(tree_of(module), path, "exec"))}
    return tuple(
        (each, names[each.__code__])
        for each in gc.get_objects()
        if type(each) is FunctionType  # a dead weak proxy must not be asked
        and each.__code__.co_filename == path
        and each.__code__ in names
    )


def keyed(code: CodeType) -> Iterator[tuple[tuple[str, int, int], CodeType]]:
    """Yield the code objects inside a module's, each with its name, line, and number on that line.

    The key of a function is the same before and after a change inside of it.
    """
    count: dict[tuple[str, int], int] = {}
    pending = [code]
    while pending:
        inner = [const for const in pending.pop().co_consts if isinstance(const, CodeType)]
        for each in inner:
            stem = each.co_qualname, each.co_firstlineno
            count[stem] = count.get(stem, -1) + 1
            yield (*stem, count[stem]), each
        pending += inner


def mutants_of(module: ModuleType, within: str = "") -> list[Mutant]:
    """Return the mutants of a module's functions, or of one, in the order of the source."""
    short = module.__name__.removeprefix("graphgrad.")
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for mutation in mutations(tree_of(module), lambda name: not within or name == within):
        stem = f"{short}.{mutation.function}: {mutation.text}"
        seen[stem] = seen.get(stem, 0) + 1
        name = stem if seen[stem] == 1 else f"{stem} ({seen[stem]})"
        found.append(Mutant(module, mutation, name))
    return found
