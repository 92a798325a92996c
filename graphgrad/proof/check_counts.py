"""Which contributions of one parameter hand-written code counts: by loss step and step of use."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np

from graphgrad.circuit import Circuit
from graphgrad.declared import unused_name
from graphgrad.doors import door
from graphgrad.errors import GraphgradError
from graphgrad.proof.check_case import Goal
from graphgrad.proof.check_evidence import Evidence
from graphgrad.proof.check_judge import Comparison
from graphgrad.proof.check_steps import text_of
from graphgrad.proof.counts import Counts, solved

_parse = door("graphgrad.notation.parse:parse")


def contributions(evidence: Evidence, made: Comparison, points: list[Evidence]) -> Counts | None:
    """Return with which factors the contributions add up to what the code returns, if any do.

    `points` hold the same run at other sample points, so that there are enough equations.
    """
    goal, tau = evidence.case.goal, evidence.case.tau
    if made.symbols is None:
        return None
    names = {evidence.places[s][0] for s in made.symbols.flat if s in evidence.places}
    if len(names) != 1 or not names <= set(evidence.case.params):
        return None
    (name,) = names
    circuit = _by_step(goal, name, tau)
    if circuit is None:
        return None
    rows, columns = [], []
    for point in (evidence, *points):
        parts = _parts(point, circuit, made, name)
        if parts is None:
            return None
        columns.append(parts)
        rows.append(point.got(made).ravel())
    return solved(made.name, np.concatenate(columns), np.concatenate(rows), tau)


def _by_step(goal: Goal, name: str, tau: int) -> Circuit | None:
    """Return the circuit whose outputs are the gradient of the weighted loss, one for each use."""
    weight = unused_name("omega", goal.circuit.declared().names())
    (index, *others) = goal.circuit.check().indices
    if others:
        return None
    equation = str(goal.circuit.equations[goal.loss])
    new = weighted(equation, weight)
    if new is None:
        return None
    text = str(goal.circuit).replace(f"\n{equation}", f"\n{new}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circuit: Circuit = _parse(f"{weight}[{index}]: input()\n{text}")
            adjoint = circuit.adjoint(goal.loss, wrt=[name])
            target = next(n for n in (f"d_{name}", f"dd_{name}") if n in adjoint.equations)
            lines = [
                split_by_use(str(adjoint.equations[target]), f"use_{step}", step)
                for step in range(1, tau + 1)
            ]
            if None in lines:
                return None
            return adjoint.extend("\n".join(str(line) for line in lines))
    except (GraphgradError, StopIteration):
        return None


def _parts(evidence: Evidence, circuit: Circuit, made: Comparison, name: str) -> Any:
    """Return contributions: a row for each entry, a column for each loss step and step of use."""
    case = evidence.case
    weight = next(n for n in circuit.inputs if n not in case.system.inputs)
    names = [f"use_{step}" for step in range(1, case.tau + 1)]
    columns = []
    try:
        dag = circuit.unfold(case.tau, **case.sizes)
        for loss_step in range(case.tau):
            omega = np.eye(case.tau)[loss_step]
            runs = [dag.evaluate({**data, weight: omega}, outputs=names) for data in evidence.data]
            for use in names:
                found = evidence.gradients(made, {name: [run[use] for run in runs]})
                columns.append(np.array(found.ravel(), float))
    except (GraphgradError, TypeError):
        return None
    return np.stack(columns, axis=1)


def split_by_use(text: str, name: str, step: int) -> str | None:
    """Return `name = …` with every sum over time in an equation cut down to one step."""
    statement, sums = _sums(text)
    for each in sums:
        clause = each.generators[0]
        test = ast.parse(f"{text_of(clause.target)} == {step}", mode="eval").body
        clause.ifs = [ast.BoolOp(ast.And(), [*clause.ifs, test])] if clause.ifs else [test]
    return f"{name} = {ast.unparse(statement.value)}" if sums else None


def weighted(text: str, weight: str) -> str | None:
    """Return a loss equation with a weight for each step in its sums over time."""
    statement, sums = _sums(text)
    for each in sums:
        index = text_of(each.generators[0].target)
        factor = ast.parse(f"{weight}[{index}]", mode="eval").body
        each.elt = ast.BinOp(factor, ast.Mult(), each.elt)
    return ast.unparse(statement) if sums else None


def _sums(text: str) -> tuple[ast.Assign, list[ast.GeneratorExp]]:
    """Return the tree of an equation, and the sums over time in it."""
    (statement,) = ast.parse(text).body
    assert isinstance(statement, ast.Assign)  # an equation as circuits print it
    return statement, [e for e in ast.walk(statement.value) if isinstance(e, ast.GeneratorExp)]
