"""Faults by wrong rules: one change in the source of a VJP, and the adjoint that comes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from random import Random
from types import FunctionType, ModuleType

import numpy as np

import graphgrad as gg
from graphgrad.ir import OPS
from graphgrad.ops import FUNCTIONS
from tests.faults.claims import claimed
from tests.faults.fault import Fault, at_most, quietly
from tests.faults.library import Mutant, functions_of, mutants_of
from tests.faults.subjects import Subject, backward, gallery, text_of
from tests.ops.cases import CASES
from tests.ops.cases import SIZES as OP_SIZES

MODULES = ("elementwise", "linear", "reductions", "leaves")
SUBJECTS = 5
"""How many circuits show what a wrong rule does."""

STRUCTURE = {
    "expand": "w: param()\nx[t]: input(K)\nh[0] = w\nh[t] = h[t-1] * x[t]\nr = h[tau]",
    "copy": "w: param(K)\nr = w",
    "accumulate": "w: param(K)\nx[t]: input(K)\nr = sum(w * x[t] for t in steps)",
    "lookup": "x[t]: token(K)\nE: param(K, H)\nr = sum(E[x[t]] for t in steps)",
    "lookup of a scalar": "x[t]: token(K)\nv: param(K)\nr = sum(v[x[t]] for t in steps)",
    "onehot": "x[t]: token(K)\nE: param(K, K)\nr = sum(E @ onehot(x[t]) for t in steps)",
    "stop_gradient": "w: param(K)\nr = w * stop_gradient(w * w)",
    "choose and reduce": "w: param(K)\nr = mean(w * w if t % 2 == 0 else w for t in steps)",
}


@cache
def circuits() -> dict[str, tuple[str, str]]:
    """Return the circuits in which an op stands alone: by their names, the op and the text."""
    found = {}
    for case in CASES:
        for shapes in case.shapes:
            names = [f"p{k}" for k in range(len(shapes))]
            lines = [f"{n}: param({', '.join(s)})" for n, s in zip(names, shapes, strict=True)]
            key = f"{case.text} of {', '.join('×'.join(s) or 'scalar' for s in shapes)}"
            found[key] = case.op, "\n".join([*lines, f"r = {case.text.format(*names)}"])
    return found | {key: (key.split()[0], text) for key, text in STRUCTURE.items()}


def weighted(text: str) -> gg.Circuit:
    """Return the circuit with a loss in which the value of r has an arbitrary cotangent."""
    circuit = gg.parse(text)
    shape = circuit.check().variables["r"].shape
    weight = f"weight: input({', '.join(map(str, shape))})"
    product = "sum(weight * r)" if shape else "weight * r"
    head = "\n".join(f"{name}: size({size})" for name, size in OP_SIZES.items() if name in text)
    return gg.parse("\n".join([head, weight, text, f"loss = {product}"]).strip())


@cache
def alone(op: str) -> list[Subject]:
    """Return the circuits in which an op stands alone, as subjects."""
    return [
        Subject(f"op {key}", weighted(text), 2, positive=True)
        for key, (name, text) in circuits().items()
        if name == op
    ]


@cache
def _in_gallery(op: str) -> list[Subject]:
    return [s for s in _gallery() if any(t.op.name == op for t in _templates(s))]


@cache
def _gallery() -> list[Subject]:
    return gallery()


@cache
def _templates(subject: Subject) -> tuple[object, ...]:
    return tuple(subject.opened.unfold(subject.tau, **subject.sizes).templates)


@cache
def rules_of(module: ModuleType) -> dict[FunctionType, tuple[str, ...]]:
    """Return the functions of a module that rules are made of, with the ops that use them."""
    found: dict[FunctionType, list[str]] = {}
    own = {function for function, _ in functions_of(module)}
    public = set(FUNCTIONS.values())
    for name, op in OPS.items():
        pending = [op.vjp] if op.vjp is not None else []
        seen: set[FunctionType] = set()
        while pending:
            function = pending.pop()
            if not isinstance(function, FunctionType) or function in seen or function in public:
                continue
            if not function.__module__.startswith("graphgrad.ops"):
                continue
            seen.add(function)
            pending += [cell.cell_contents for cell in function.__closure__ or ()]
            pending += [function.__globals__.get(each) for each in function.__code__.co_names]
        for function in seen & own:
            found.setdefault(function, []).append(name)
    return {function: tuple(names) for function, names in found.items()}


def ops_of(mutant: Mutant) -> tuple[str, ...]:
    """Return the ops whose rules a mutant changes."""
    rules = rules_of(mutant.module)
    ops = [op for function in mutant.functions for op in rules.get(function, ())]
    return tuple(dict.fromkeys(ops))


def candidates() -> Iterator[Mutant]:
    """Yield the mutants of functions with the names of rules: lambdas of other use are among them.

    To compile each of them takes a while.
    """
    for name in MODULES:
        module = sys.modules[f"graphgrad.ops.{name}"]
        names = {f.__qualname__.replace(".<locals>", "") for f in rules_of(module)}
        yield from (each for each in mutants_of(module) if each.mutation.function in names)


def rule_mutants() -> Iterator[Mutant]:
    """Yield every mutant of a rule."""
    for mutant in candidates():
        if mutant.is_possible and ops_of(mutant):
            yield mutant


def rule_faults(seed: int = 0) -> Iterator[Fault]:
    """Yield what wrong rules make of circuits in which their ops occur."""
    for number, mutant in enumerate(rule_mutants()):
        draw = Random(f"{seed} {mutant.name}")
        subjects = [each for op in ops_of(mutant) for each in (*alone(op), *_in_gallery(op))]
        draw.shuffle(subjects)
        for subject in subjects[:SUBJECTS]:
            right = subject.backward
            try:
                with mutant.applied(), quietly(), at_most(10):
                    wrong = backward(subject.circuit)
            except (Exception, RecursionError):  # whatever a wrong rule breaks is found at once
                continue
            if wrong == right or not subject.is_legal(wrong):
                continue
            text = f"{mutant.name}\n{text_of(wrong)}"
            name = f"rules/{number}/{subject.name}"
            fault = claimed(name, "rules", mutant.mutation.cause, subject, text, wrong)
            if np.all(np.isfinite(fault.numbers(0).claimed)):  # a division by 0 is no gradient
                yield fault
