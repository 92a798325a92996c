"""Times, lengths and conditions on them as mathematics: `t - 1`, `t = τ`, `t mod 2 = 0`."""

from __future__ import annotations

from collections.abc import Mapping

from graphgrad.conditions import ALWAYS, NEVER, Affine, Atom, Compare, Condition, Junction, Modulo
from graphgrad.declared import Index
from graphgrad.notation.boxes import Box, number, operator, plain, row
from graphgrad.notation.naming import Names
from graphgrad.notation.structures import fenced, juxtaposed, negative, stacked

_RELATIONS = {"==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


def affine_box(value: Affine, names: Names, *, tight: bool = False) -> Box:
    """Return an integer expression in indices and lengths; `tight` as it stands in a script."""
    terms = [
        (coefficient, _term(atom, abs(coefficient), names)) for atom, coefficient in value.terms
    ]
    if value.constant or not terms:
        terms.append((value.constant, number(str(abs(value.constant)))))
    # a leading minus is avoided where another term can stand in front: τ − t
    terms.sort(key=lambda term: term[0] < 0)
    first, shown = terms[0]
    parts = [negative(shown, 0) if first < 0 else shown]
    for coefficient, shown in terms[1:]:
        parts += [operator("−" if coefficient < 0 else "+", tight=tight), shown]
    return row(*parts, spaces=not tight)


def _term(atom: Atom, factor: int, names: Names) -> Box:
    if isinstance(atom, Modulo):
        inner = affine_box(atom.inner, names)
        inner = inner if atom.inner.is_name else fenced(inner)
        shown = row(inner, operator("mod"), number(str(atom.modulus)))
        return shown if factor == 1 else juxtaposed(number(str(factor)), fenced(shown))
    shown = names[atom].box()
    return shown if factor == 1 else juxtaposed(number(str(factor)), shown)


def condition_box(condition: Condition, names: Names) -> Box:
    """Return a condition: comparisons joined by words."""
    if isinstance(condition, Compare):
        return row(
            affine_box(condition.left, names),
            operator(_RELATIONS[condition.relation]),
            affine_box(condition.right, names),
        )
    if condition in (ALWAYS, NEVER):
        return plain("always" if condition == ALWAYS else "never")
    if isinstance(condition, Junction):
        parts = [
            fenced(condition_box(part, names))
            if isinstance(part, Junction) and part.word != condition.word
            else condition_box(part, names)
            for part in condition.parts
        ]
        joined = [parts[0]]
        for part in parts[1:]:
            joined += [plain(f" {condition.word} "), part]
        return row(*joined)
    inner = condition_box(condition.part, names)
    return row(plain("not "), fenced(inner) if isinstance(condition.part, Junction) else inner)


def limits(
    index: str, condition: Condition, names: Names, indices: Mapping[str, Index]
) -> tuple[Box, Box | None]:
    """Return what stands under and over the sum over an index: t = 1 and τ, or a condition."""
    variable = names[index].box()
    last = names[indices[index].length].box()
    if condition == ALWAYS:
        return row(variable, operator("="), number("1"), spaces=False), last
    if isinstance(condition, Compare) and condition.left == Affine.name(index):
        span = _span(condition, indices[index].length)
        if span is not None:
            first, after = (affine_box(end, names, tight=True) for end in span)
            return row(variable, operator("="), first, spaces=False), after
    whole = row(number("1"), operator("≤"), variable, operator("≤"), last)
    return stacked(whole, condition_box(condition, names)), None


def _span(condition: Compare, length: str) -> tuple[Affine, Affine] | None:
    """Return first and last step where a condition on the bare index holds, if it says so."""
    relation, right = condition.relation, condition.right
    if relation in (">", ">=") and not right.terms:
        first = right.plus(1 if relation == ">" else 0)
        return (first, Affine.name(length)) if first.constant >= 1 else None
    if relation in ("<", "<=") and right.plus(-right.constant) == Affine.name(length):
        last = right.plus(-1 if relation == "<" else 0)
        return (Affine.number(1), last) if last.constant <= 0 else None
    return None
