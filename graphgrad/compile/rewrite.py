"""Sums and products of a recurrence, reordered: what is known before it is put together first.

`b + W @ h[t-1] + U @ x[t]` becomes `(b + U @ x[t]) + W @ h[t-1]`, whose first part is computed for
all steps at once; so are local derivatives, the factors of a product of cotangents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from graphgrad.compile.lower import Draft
from graphgrad.compile.order import pruned, recurrent
from graphgrad.compile.schedule import Operand, Statement
from graphgrad.ir import Number

SUMS = {"add": (1, 1), "sub": (1, -1), "neg": (-1,)}
PRODUCTS = {"mul": (1, 1), "neg": (-1,)}


class Term(NamedTuple):
    """A term of a sum, or a factor of a product, with its sign."""

    sign: int
    value: Operand | Number


def reordered(draft: Draft) -> Draft:
    """Return the draft with the sums and products of its loops reordered."""
    for ops in (SUMS, PRODUCTS):
        draft = _reorder(pruned(draft), ops)
    return pruned(repeated(pruned(draft)))


def repeated(draft: Draft) -> Draft:
    """Return the draft with `1 - z[t]` and the like computed again outside the loop that needs it.

    Otherwise all steps of it would be kept, beside those of z.
    """
    loop_of = recurrent(draft)
    statements = dict(draft.statements)
    fresh = draft.fresh()
    variables, readers = draft.system.variables, draft.readers()
    for name, loop in loop_of.items():
        made = draft.statements[name]
        cheap = made.op in ("add", "sub", "mul", "neg") and len(made.reads) == 1
        if not cheap or name in variables or made.reads[0].name not in variables:
            continue
        outside = [r for r in readers[name] if loop_of.get(r.name) != loop and not r.lag]
        if not outside or any(reader.name not in statements for reader in outside):
            continue
        copy = next(fresh)
        statements[copy] = replace(made, name=copy)
        for reader in outside:
            user = statements[reader.name]
            operands = tuple(Operand(copy) if e == Operand(name) else e for e in user.operands)
            statements[reader.name] = replace(user, operands=operands)
    return replace(draft, statements=statements)


def _reorder(draft: Draft, ops: Mapping[str, Sequence[int]]) -> Draft:
    loop_of = recurrent(draft)
    absorbed = chain_parts(draft, loop_of, ops)
    statements = dict(draft.statements)
    fresh = draft.fresh()
    for name, statement in draft.statements.items():
        if name not in loop_of or statement.op not in ops or absorbed(name):
            continue
        terms = list(terms_of(draft, statement, ops, loop_of, absorbed))
        outer = [each for each in terms if _outside(each, loop_of, loop_of[name])]
        if len(outer) < 2 or all(not isinstance(each.value, Operand) for each in outer):
            continue
        outer.sort(key=lambda each: not isinstance(each.value, Operand))  # values before numbers
        inner = [each for each in terms if each not in outer]
        current = replace(draft, statements=statements)
        if ops is SUMS:
            first = sum_of(current, statements, outer, next(fresh), fresh)
            sum_of(current, statements, [Term(1, Operand(first)), *inner], name, fresh)
        else:
            first = product_of(current, statements, outer, next(fresh), fresh)
            product_of(current, statements, [Term(1, Operand(first)), *inner], name, fresh)
        statements[name] = replace(statements[name], shape=statement.shape)
    return replace(draft, statements=statements)


def chain_parts(
    draft: Draft, loop_of: Mapping[str, int], ops: Collection[str]
) -> Callable[[str], bool]:
    """Return the test whether a statement is a part of the chain of its only reader."""
    readers = draft.readers()
    fixed = draft.fixed

    def absorbed(name: str) -> bool:
        if name in fixed or len(readers[name]) != 1 or name not in loop_of:
            return False
        reader, lag = readers[name][0]
        user = draft.statements.get(reader)
        same = loop_of.get(reader) == loop_of[name]
        return user is not None and same and not lag and user.op in ops

    return absorbed


def terms_of(
    draft: Draft,
    root: Statement,
    ops: Mapping[str, Sequence[int]],
    loop_of: Mapping[str, int],
    absorbed: Callable[[str], bool],
) -> Iterator[Term]:
    """Yield the terms of a chain, in order."""
    loop = loop_of[root.name]
    pending = [Term(1, Operand(root.name))]
    while pending:
        sign, value = pending.pop()
        name = value.name if isinstance(value, Operand) else ""
        inside = loop_of.get(name) == loop and isinstance(value, Operand) and not value.lag
        made = draft.statements.get(name)
        if inside and made is not None and made.op in ops and (made is root or absorbed(name)):
            signs = ops[made.op]
            parts = [Term(sign * s, each) for s, each in zip(signs, made.operands, strict=True)]
            if ops is PRODUCTS and len(parts) == 2:  # one sign for the whole product
                parts = [Term(sign, made.operands[0]), Term(1, made.operands[1])]
            pending.extend(reversed(parts))
        else:
            yield Term(sign, value)


def _outside(term: Term, loop_of: Mapping[str, int], loop: int) -> bool:
    return not isinstance(term.value, Operand) or loop_of.get(term.value.name) != loop


def sum_of(
    draft: Draft,
    statements: dict[str, Statement],
    terms: Sequence[Term],
    name: str,
    fresh: Iterator[str],
) -> str:
    """Add statements for a sum; its value gets the name."""
    head = next((each for each in terms if each.sign > 0), None)
    if head is None:
        inner = next(fresh)
        positive = [Term(1, each.value) for each in terms]
        sum_of(draft, statements, positive, inner, fresh)
        statements[name] = draft.made(name, "neg", [Operand(inner)])
        return name
    rest = list(terms)
    rest.remove(head)
    value = head.value
    for position, term in enumerate(rest):
        target = name if position == len(rest) - 1 else next(fresh)
        op = "add" if term.sign > 0 else "sub"
        statements[target] = draft.made(target, op, [value, term.value])
        value = Operand(target)
    return name


def product_of(
    draft: Draft,
    statements: dict[str, Statement],
    terms: Sequence[Term],
    name: str,
    fresh: Iterator[str],
) -> str:
    """Add statements for a product; its value gets the name."""
    negative = sum(each.sign < 0 for each in terms) % 2
    value = terms[0].value
    for position, term in enumerate(terms[1:], 2):
        target = name if position == len(terms) and not negative else next(fresh)
        statements[target] = draft.made(target, "mul", [value, term.value])
        value = Operand(target)
    if negative:
        statements[name] = draft.made(name, "neg", [value])
    return name
