"""Sums over time with a mark on every summand, so that what each step contributes stays visible.

`sum(e for t in steps)` becomes `sum(mark[t] * e for t in steps)` with a new input `mark`; at
mark[t] = 1 nothing has changed. A mean becomes a sum over the number of its steps, `tau` or a sum
of marks. The mark of a step tells which summand a term of an expanded sum came from, also where the
summand itself names no step. What a loop adds up, `s[t] = s[t+1] + e` read at its last step `s[1]`,
is a sum over time as well, and is written as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS
from graphgrad.declared import Boundary, Declared, Equation, fresh_name
from graphgrad.ir import OPS, At, Expr, constant, read, reduce, topological
from graphgrad.substitute import tree


def marked(circuit: Circuit) -> tuple[Circuit, dict[str, str]]:
    """Return the circuit with marked sums, and the name of the mark of each index."""
    declared = _without_accumulators(circuit.declared())
    taken = frozenset(declared.names())
    marks: dict[str, str] = {}
    for index in declared.indices:
        marks[index] = fresh_name("mark", taken)
        taken |= {marks[index]}
    lengths = {name: index.length for name, index in declared.indices.items()}
    equations = {
        name: replace(equation, root=_marked(equation.root, marks, lengths))
        for name, equation in declared.equations.items()
    }
    boundaries = {
        key: replace(boundary, root=_marked(boundary.root, marks, lengths))
        for key, boundary in declared.boundaries.items()
    }
    result = Circuit.of(replace(declared, equations=equations, boundaries=boundaries))
    for index, name in marks.items():
        result.input(name, index=index)
    return result, marks


def _marked(root: Expr, marks: Mapping[str, str], lengths: Mapping[str, str]) -> Expr:
    """Return an expression with a mark in every reduction."""
    done: dict[int, Expr] = {}
    for expr in topological([root]):
        args = tuple(done[id(arg)] for arg in expr.args)
        if expr.op.name == "reduce":
            kind, over, condition = expr.attr
            mark = read(marks[over], 0, ())
            total = reduce("sum", over, condition, mark * args[0])
            if kind == "mean":
                count = Expr(OPS["counter"], attr=lengths[over], type=())
                if condition != ALWAYS:
                    count = reduce("sum", over, condition, mark * constant(1))
                total = total / count
            done[id(expr)] = total
        elif any(new is not old for new, old in zip(args, expr.args, strict=True)):
            done[id(expr)] = Expr(expr.op, args, expr.attr, expr.type, expr.place)
        else:
            done[id(expr)] = expr
    return done[id(root)]


# -- accumulators ----------------------------------------------------------------------------------


def _without_accumulators(declared: Declared) -> Declared:
    """Return the equations with what loops add up, read at the end of the loop, as sums."""
    sums = {
        key: total
        for each in declared.equations.values()
        for key, total in _added_up(declared, each)
    }
    if not sums:
        return declared

    def rewritten(root: Expr) -> Expr:
        done: dict[int, Expr] = {}
        for expr in topological([root]):
            args = tuple(done[id(arg)] for arg in expr.args)
            if expr.op.name == "at_step" and expr.attr in sums:
                done[id(expr)] = tree(sums[expr.attr])
            elif any(new is not old for new, old in zip(args, expr.args, strict=True)):
                done[id(expr)] = Expr(expr.op, args, expr.attr, expr.type, expr.place)
            else:
                done[id(expr)] = expr
        return done[id(root)]

    equations = {
        name: replace(each, root=rewritten(each.root)) for name, each in declared.equations.items()
    }
    return replace(declared, equations=equations)


def _added_up(declared: Declared, equation: Equation) -> list[tuple[At, Expr]]:
    """Return the last value of a loop that adds up, as a sum over time."""
    if equation.index is None:
        return []
    terms = _summands(equation.root)
    own = [e for e in topological([equation.root]) if _reads(e, equation.name)]
    if len(own) != 1 or not any(term is own[0] for term in terms) or len(terms) < 2:
        return []
    lag = own[0].attr.lag
    if abs(lag) != 1:
        return []
    rest = [term for term in terms if term is not own[0]]
    body = rest[0]
    for term in rest[1:]:
        body = body + term
    total: Expr = reduce("sum", equation.index, ALWAYS, body)
    start: Boundary | None = declared.boundaries.get(
        At(equation.name, lag < 0, 0 if lag > 0 else 1)
    )
    if start is not None and (start.root.op.name != "const" or start.root.attr != 0):
        total = start.root + total
    return [(At(equation.name, lag > 0, 0 if lag > 0 else 1), total)]


def _reads(expr: Expr, name: str) -> bool:
    return expr.op.name in ("read", "at_step") and bool(expr.attr.name == name)


def _summands(root: Expr) -> list[Expr]:
    """Return the terms of a sum as it is written."""
    found: list[Expr] = []
    pending = [root]
    while pending:
        expr = pending.pop()
        if expr.op.name == "add":
            pending.extend(reversed(expr.args))
        else:
            found.append(expr)
    return found
