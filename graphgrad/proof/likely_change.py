"""The likely change that makes an equation of a person wrong: read off its text.

The library's own backward equations are changed in one place, as people get them wrong; a change
after which an equation reads like the wrong one, terms and factors in any order, is the likely one.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from graphgrad.circuit import Circuit
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_mutants import mutants, neighbours, shapes_of
from graphgrad.proof.question import Question
from graphgrad.proof.result import Equation

LONGEST = 2_000
"""Equations with more characters are not compared."""
SENTENCE = 200
"""Names of the library's are not explained with more characters."""
SHARED = "all that is wrong reads"
_WORD = re.compile(r"[^\W\d]\w*")


def with_changes(
    question: Question, targets: Sequence[str], claimed: Circuit, judged: Sequence[Equation]
) -> tuple[Equation, ...]:
    """Return verdicts on equations; a wrong one has its likely cause, where one is seen.

    That may be an auxiliary equation, which has no truth of its own to be judged by.
    """
    wrong = {_variable(each) for each in judged if not each.holds}
    if not wrong:
        return tuple(judged)
    shared = shared_by_wrong(claimed, judged, question.probed.equations.keys())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adjoint = question.opened.adjoint(question.loss, wrt=list(targets))
    except GraphgradError:
        return tuple(judged)
    own = {
        name: str(equation)
        for name, equation in adjoint.equations.items()
        if name in (wrong | shared) & claimed.equations.keys() and len(str(equation)) <= LONGEST
    }
    causes = {}
    near = neighbours(
        {
            name: str(equation)
            for name, equation in adjoint.equations.items()
            if name in claimed.equations and name not in question.probed.equations
        }
    )
    for mutant in mutants(own, shapes_of(question.opened.check()), near):
        name = mutant.right.partition(" = ")[0].partition("[")[0]
        if name not in causes and reading(mutant.text) == reading(str(claimed.equations[name])):
            causes[name] = explained(mutant.cause, adjoint, claimed.equations.keys())
    common = next((causes[name] for name in sorted(shared) if name in causes), "")
    common = common or shared_cause(claimed, shared)
    return tuple(
        each if each.holds else replace(each, cause=causes.get(_variable(each), common))
        for each in judged
    )


def shared_cause(claimed: Circuit, shared: Set[str]) -> str:
    """Return in words which equations all that is wrong has in common; empty for none."""
    lefts = sorted(str(claimed.equations[name]).partition(" = ")[0] for name in shared)
    return f"{SHARED} {' and '.join(lefts)}, and nothing that is right does" if lefts else ""


def explained(cause: str, adjoint: Circuit, claimed: Container[str]) -> str:
    """Return a cause with the equations of the library's names in it that the person has not.

    Only as many as fit in a sentence.
    """
    strange = {n: e for n, e in adjoint.equations.items() if n not in claimed}
    found: dict[str, str] = {}
    pending = [cause]
    while pending:
        for name in dict.fromkeys(_WORD.findall(pending.pop())):
            if name in strange and name not in found:
                found[name] = str(strange[name])
                pending.append(found[name].partition(" = ")[2])
    told = ", ".join(found.values())
    return f"{cause}, where {told}" if told and len(told) <= SENTENCE else cause


def _variable(equation: Equation) -> str:
    return equation.name.partition("[")[0]


def shared_by_wrong(claimed: Circuit, judged: Sequence[Equation], forward: Set[str]) -> set[str]:
    """Return the auxiliary equations that all wrong ones read and no right one; none for one."""
    reads, names = claimed.graph, {_variable(each) for each in judged}
    own = claimed.equations.keys() - names - forward

    def auxiliary(equation: Equation) -> set[str]:
        """Return what an equation reads, through auxiliary equations too."""
        found: set[str] = set()
        pending = [_variable(equation)]
        while pending:
            for name in own.intersection(reads.predecessors(pending.pop())) - found:
                found.add(name)
                pending.append(name)
        return found

    inside = [each for each in judged if _variable(each) in claimed.equations]
    wrong = [auxiliary(each) for each in inside if not each.holds]
    if len(wrong) < 2:
        return set()
    right = [auxiliary(each) for each in inside if each.holds]
    return set.intersection(*wrong).difference(*right)


def reading(equation: str) -> Any:
    """Return what two equations share that differ in the order of terms and factors only.

    >>> reading("d_a[t] = b * d_h[t] - c[t + 1]") == reading("d_a[t] = -c[t+1] + d_h[t] * b")
    True
    """
    statement = ast.parse(equation).body[0]
    done: dict[int, Any] = {}
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending[-1]
        missing = [child for child in _children(node) if id(child) not in done]
        if missing:
            pending.extend(missing)
            continue
        pending.pop()
        done[id(node)] = _read(node, done)
    return done[id(statement)]


def _children(node: ast.AST) -> list[ast.AST]:
    return [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr_context)]


def _read(node: ast.AST, done: Mapping[int, Any]) -> Any:
    """Return a key of a node whose children have theirs; sums and products are sorted."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        left, right = _terms(done[id(node.left)]), _terms(done[id(node.right)])
        if isinstance(node.op, ast.Sub):
            right = [(-sign, term) for sign, term in right]
        return "sum", tuple(sorted([*left, *right], key=repr))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        terms = [(-sign, term) for sign, term in _terms(done[id(node.operand)])]
        return "sum", tuple(sorted(terms, key=repr))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        factors = [*_factors(done[id(node.left)]), *_factors(done[id(node.right)])]
        return "product", tuple(sorted(factors, key=repr))
    own = [
        (name, value)
        for name, value in ast.iter_fields(node)
        if isinstance(value, str | int | float)
    ]
    return type(node).__name__, tuple(own), tuple(done[id(child)] for child in _children(node))


def _terms(key: Any) -> list[tuple[int, Any]]:
    return list(key[1]) if key[0] == "sum" else [(1, key)]


def _factors(key: Any) -> list[Any]:
    return list(key[1]) if key[0] == "product" else [key]
