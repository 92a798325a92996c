"""Faults in hand-written NumPy passes: one change of the syntax tree of our own test sources."""

from __future__ import annotations

import ast
import itertools
import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import sympy

import graphgrad as gg
from graphgrad.proof import check as check_module
from graphgrad.proof import check_case, check_trial
from graphgrad.proof.check_adapter import fitted, float_values, stated
from graphgrad.proof.check_case import goal_of
from graphgrad.proof.check_judge import as_floats, comparisons, floating_run, judged
from graphgrad.proof.check_run import program_of
from graphgrad.proof.check_trial import Check
from graphgrad.proof.derivative import Derivatives
from graphgrad.proof.result import Claim
from tests.faults.fault import Fault, Numbers, Stopped, at_most, quietly
from tests.faults.mutate import mutations

FOLDER = Path(__file__).parent.parent / "proof" / "passes"
SECONDS = 2.0
"""How long a changed pass may run on a few floats before it counts as one that never ends."""
_count = itertools.count()


@dataclass(frozen=True)
class Pass:
    """A hand-written pass: its source, and which function is changed (all, if empty)."""

    name: str
    source: str
    family: str = "passes"
    within: str = ""

    def is_changed(self, function: str) -> bool:
        """Whether a function is changed; what makes an object is no part of a pass."""
        return function == self.within if self.within else not function.endswith("__init__")

    @cached_property
    def module(self) -> ModuleType:
        """The right pass."""
        return loaded(self.source, self.name)

    @cached_property
    def circuit(self) -> gg.Circuit:
        """What the pass should compute."""
        return gg.parse(self.module.CIRCUIT, name=self.name)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options of the check."""
        return dict(getattr(self.module, "OPTIONS", {}))

    def prove(self, source: str) -> Any:
        """Return what `check_function` says of a changed source, causes left out."""
        module = loaded(source, self.name)
        with verdicts_only(self.suspects(module)):
            return gg.check_function(
                self.circuit, functions(module), **{"time_limit": 20, **self.options}
            )

    def suspects(self, module: ModuleType) -> frozenset[str]:
        """Return the results of a changed pass that differ from the right ones on floats."""
        try:
            with quietly(), at_most(SECONDS):
                found = self.setting.of(module, 0)
        except (Exception, Stopped):
            return frozenset()
        right = self.setting.right(0)[1]
        return frozenset(
            name
            for name, each in found.items()
            if name not in right or not np.allclose(each.got, right[name].got, rtol=1e-9)
        )

    @cached_property
    def setting(self) -> Setting:
        """How the right pass is run on floats."""
        options = {"loss": "loss", "tau": 3, "sizes": {}, "batch": None} | self.options
        layout = options.get("layout", "time_first")
        program = program_of(functions(self.module))
        goal = goal_of(self.circuit, options["loss"])
        results = options.get("results")
        adapter = stated(program, goal, options.get("arguments"))
        known, adapter = check_module._sizes(program, goal, adapter, options["sizes"])
        check = Check(
            self.circuit, program, goal, adapter, results, known, options["batch"], layout
        )
        sizes = check.bound(lambda k: 2)
        check.adapter = fitted(
            adapter, program, partial(check.case, options["tau"], sizes), results
        )
        return Setting(check, options["tau"], sizes)

    def numbers(self, source: str, seed: int) -> Numbers:
        """Return the view of a changed source in floating point."""
        return self.setting.numbers(loaded(source, self.name), seed)

    def is_backward_fault(self, source: str) -> bool:
        """Whether a changed source still runs, and computes the same values before gradients."""
        try:
            with quietly(), at_most(SECONDS):
                return self.setting.same_values(loaded(source, self.name))
        except (Exception, Stopped):
            return False


@dataclass
class Setting:
    """One length and sizes at which a pass and its changes run on floats."""

    check: Check
    tau: int
    sizes: dict[str, int]
    _known: dict[int, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    def right(self, seed: int) -> tuple[Any, dict[str, Any]]:
        """Return the case of a seed, and the results of the right pass by name."""
        if seed not in self._known:
            case = self.check.case(self.tau, self.sizes, seed=seed)
            run = floating_run(self.check.adapter, self.check.program, case)
            loss = [m for m in self.check.compared(case, run, as_floats) if m.quantity is None]
            total = sum(float(each[case.goal.loss]) for each in float_values(case))
            values = [float(m.got) for m in loss if np.size(m.got) == 1]
            if case.batch and any(np.isclose(v, total / case.batch, rtol=1e-9) for v in values):
                case.reduction = "mean"
            made = self.check.compared(case, run, as_floats)
            self._known[seed] = case, {each.name: each for each in made}
        return self._known[seed]

    def of(self, module: ModuleType, seed: int) -> dict[str, Any]:
        """Return the results of a changed pass by name."""
        case, _ = self.right(seed)
        program = program_of(functions(module))
        run = floating_run(self.check.adapter, program, case)
        return {each.name: each for each in self.check.compared(case, run, as_floats)}

    def same_values(self, module: ModuleType) -> bool:
        """Whether the pass gives the same loss and states, and gradients of the same shapes."""
        _, right = self.right(0)
        found = self.of(module, 0)
        if list(found) != list(right):
            return False
        for name, each in found.items():
            if each.got.shape != right[name].got.shape:
                return False
            if each.quantity is None and not np.allclose(each.got, right[name].got, rtol=1e-9):
                return False
        return True

    def numbers(self, module: ModuleType, seed: int) -> Numbers:
        """Return the view of a changed pass in floating point."""
        case, right = self.right(seed)
        with quietly(), at_most(SECONDS):
            wrong = self.of(module, seed)
        places: dict[Any, tuple[float, float]] = {}
        for name, each in right.items():
            if each.quantity is None:
                continue
            pairs = zip(each.symbols.flat, wrong[name].got.flat, each.got.flat, strict=True)
            for symbol, claimed, true in pairs:
                if isinstance(symbol, sympy.Symbol):
                    places.setdefault(symbol, (float(claimed), float(true)))
        symbols = list(places)
        return Numbers(
            lambda vector: objective(case, dict(zip(symbols, vector, strict=True))),
            np.array([float(case.point[symbol]) for symbol in symbols]),
            np.array([claimed for claimed, _ in places.values()]),
            np.array([true for _, true in places.values()]),
        )


def objective(case: Any, point: dict[Any, float]) -> float:
    """Return the loss of the whole batch at a point."""
    kept = {symbol: case.point[symbol] for symbol in point}
    case.point.update(point)
    try:
        with quietly():
            total = sum(float(each[case.goal.loss]) for each in float_values(case))
    finally:
        case.point.update(kept)
    return total / len(case.examples) if case.reduction == "mean" else total


derivatives = lru_cache(16)(Derivatives)
"""The derivatives of a loss: all changes of a pass have the same truth."""


@contextmanager
def verdicts_only(suspects: frozenset[str] = frozenset()) -> Iterator[None]:
    """Let `check_function` find the verdict of the whole and no more, which takes less time.

    Results under suspicion are judged first; what stands behind a refuted gradient, the smallest
    case and the causes are left out.
    """
    refuted: set[int] = set()

    def in_order(*given: Any) -> list[Any]:
        return sorted(
            comparisons(*given),
            key=lambda made: (made.quantity is not None, made.name not in suspects),
        )

    def until_refuted(made: Any, expressions: Any, *rest: Any) -> Any:
        if id(expressions) in refuted:
            return Claim(made.name, made.truth, "", "undecided", 0, "another result is refuted")
        claim = judged(made, expressions, *rest)
        if claim.verdict == "refuted" and made.quantity is not None:
            refuted.add(id(expressions))
        return claim

    with (
        patch.object(check_module, "lessons", lambda *rest: []),
        patch.object(Check, "smallest", lambda *rest: {}),
        patch.object(check_case, "Derivatives", derivatives),
        patch.object(check_trial, "comparisons", in_order),
        patch.object(check_trial, "judged", until_refuted),
    ):
        yield


def loaded(source: str, name: str) -> ModuleType:
    """Return the module of a source text, which `inspect` can read back."""
    path = f"<{name} {next(_count)}>"
    module = ModuleType(f"fault_{name}")
    module.__file__ = path
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    sys.modules[module.__name__] = module
    with quietly():
        exec(compile(source, path, "exec"), vars(module))
    old = getattr(loaded, "paths", [])
    loaded.paths = [*old[-20:], path]  # type: ignore[attr-defined]
    for each in old[:-20]:
        linecache.cache.pop(each, None)
    return module


def functions(module: ModuleType) -> Any:
    """Return what FUNCTIONS names: `f`, `forward backward`, `Class(2).method`."""
    space = vars(module)
    owners: dict[str, Any] = {}
    found = []
    np.random.seed(0)
    for name in re.split(r" (?=\w+\b(?:\(|$))", module.FUNCTIONS):
        made = re.fullmatch(r"(\w+\(.*\))\.(\w+)", name)
        if made:
            if made.group(1) not in owners:
                owners[made.group(1)] = eval(made.group(1), space)
            found.append(getattr(owners[made.group(1)], made.group(2)))
        else:
            found.append(space[name])
    return tuple(found) if len(found) > 1 else found[0]


def written() -> list[Pass]:
    """Return the hand-written passes of the tests."""
    return [
        Pass(path.stem, path.read_text(encoding="utf-8").split("\nFAULTS = ")[0] + "\n")
        for path in sorted(FOLDER.glob("*.py"))
    ]


def pass_faults(right: Pass, seed: int = 0) -> Iterator[Fault]:
    """Yield the faults of a pass, in an order drawn from the seed."""
    tree = ast.parse(right.source)
    found = mutations(tree, right.is_changed)
    Random(f"{seed} {right.name}").shuffle(found)
    seen = {ast.unparse(tree)}
    number = 0
    for mutation in found:
        source = ast.unparse(mutation.applied(tree))
        if source in seen or not right.is_backward_fault(source):
            continue
        seen.add(source)
        number += 1
        cause = mutation.cause
        before = mutation.text.partition(" → ")[0]
        if CARRIED.search(before) and cause in ("missing term", "wrong variable", "wrong step"):
            cause = "carried gradient"
        yield Fault(
            f"{right.family}/{right.name}/{number}",
            right.family,
            cause,
            right.name,
            f"{mutation.function}, line {mutation.line}: {mutation.text}",
            partial(right.prove, source),
            partial(right.numbers, source),
        )


CARRIED = re.compile(r"\b(carr\w*|ahead|back|\w*next\w*|dprev\w*)\b")
"""What our passes call the gradient that goes on to the step before."""
