"""Cotangents that meet in one sum of products, or in one weight gradient, put into one array.

`W_i.T @ d_i[t+1] + W_f.T @ d_f[t+1]` is one product of stacked weights with the joint vector, and
the gradients of W_i and W_f are rows of one product. The values are computed in their place there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from graphgrad.compile.join import is_matrix, stack, total
from graphgrad.compile.lower import Draft
from graphgrad.compile.order import pruned, recurrent
from graphgrad.compile.rewrite import SUMS, Term, chain_parts, sum_of, terms_of
from graphgrad.compile.schedule import Operand, Slice, Statement
from graphgrad.dims import Dim


@dataclass(frozen=True)
class _Sum:
    """A sum in a loop, and those of its terms that are one product of a joint vector."""

    root: str
    terms: tuple[Term, ...]
    products: tuple[Statement, ...]
    members: tuple[str, ...]


@dataclass(frozen=True)
class _Gradients:
    """Statements that become slices or rows of one."""

    statements: tuple[Statement, ...]
    members: tuple[str, ...]


def gathered(draft: Draft) -> Draft:
    """Return the draft with joint vectors where products or gradients share them."""
    draft = pruned(draft)
    loop_of = recurrent(draft)
    sums = list(_sums(draft, loop_of))
    outers = list(_gradients(draft, loop_of, ("outer_sum",)))
    groups = [each.members for each in outers] + [each.members for each in sums]
    orders = _orders(groups)
    statements = dict(draft.statements)
    fresh = draft.fresh()
    joints: dict[str, str] = {}
    for order in orders:
        name = next(fresh)
        first = statements[order[0]]
        shape = (total([statements[each].shape[0] for each in order]),)
        statements[name] = replace(
            first,
            name=name,
            op="concat",
            operands=tuple(Operand(each) for each in order),
            attr=None,
            shape=shape,
        )
        joints |= dict.fromkeys(order, name)
    for each in sums:
        if not _circular(draft, statements, each, joints, loop_of):
            _join_sum(draft, statements, each, joints, fresh)
    means = _gradients(draft, loop_of, ("reduce",))
    for group in (*outers, *means):
        names = {each.name for each in group.statements}
        joint = joints.get(group.members[0])
        if joint is not None and not names & _needed(draft, statements, [joint], all_steps=True):
            _join_gradients(statements, group, joints, fresh)
    return pruned(replace(draft, statements=statements))


def _joinable(draft: Draft, name: str) -> bool:
    """Whether a value may be computed in its place in a joint vector."""
    made = draft.statements.get(name)
    if made is None or made.op in ("slice", "concat") or made.token or made.index is None:
        return False
    bound = {boundary.name for boundary in draft.boundaries}
    return len(made.shape) == 1 and name not in bound


def _sums(draft: Draft, loop_of: Mapping[str, int]) -> Iterator[_Sum]:
    """Yield the sums of a loop in which products of different vectors at one lag meet."""
    absorbed = chain_parts(draft, loop_of, SUMS)
    readers = draft.readers()
    for name, statement in draft.statements.items():
        if name not in loop_of or statement.op not in SUMS or absorbed(name):
            continue
        terms = tuple(terms_of(draft, statement, SUMS, loop_of, absorbed))
        groups: dict[Hashable, list[Statement]] = {}
        for term in terms:
            made = _product(draft, term)
            if made is None or len(readers[made.name]) != 1:
                continue
            vector = made.reads[1]
            if loop_of.get(vector.name) == loop_of[name] and _joinable(draft, vector.name):
                source = draft.statements[vector.name]
                groups.setdefault((vector.lag, source.index, source.batched), []).append(made)
        for products in groups.values():
            members = tuple(each.reads[1].name for each in products)
            if len(products) > 1 and len(set(members)) == len(members):
                yield _Sum(name, terms, tuple(products), members)
                break


def _product(draft: Draft, term: Term) -> Statement | None:
    if term.sign < 0 or not isinstance(term.value, Operand) or term.value.lag:
        return None
    made = draft.statements.get(term.value.name)
    if made is None or made.op != "matmul" or made.name in draft.fixed or len(made.reads) != 2:
        return None
    return made if is_matrix(draft, made.operands[0]) else None


def _gradients(
    draft: Draft, loop_of: Mapping[str, int], ops: tuple[str, ...]
) -> Iterator[_Gradients]:
    """Yield reductions of different values that are alike in everything else."""
    groups: dict[Hashable, list[Statement]] = {}
    for statement in draft.statements.values():
        if statement.op not in ops or len(statement.reads) != len(statement.operands):
            continue
        first = statement.reads[0]
        if first.lag or not _joinable(draft, first.name):
            continue
        source = draft.statements[first.name]
        key = (
            statement.op,
            statement.reads[1:],
            statement.attr,
            statement.batched,
            loop_of.get(first.name),
            source.batched,
        )
        groups.setdefault(key, []).append(statement)
    for group in groups.values():
        members = tuple(each.reads[0].name for each in group)
        if len(group) > 1 and len(set(members)) == len(members):
            yield _Gradients(tuple(group), members)


def _orders(groups: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return joint vectors in which as many groups as possible stand side by side."""
    orders: dict[str, tuple[str, ...]] = {}
    for group in sorted(groups, key=len):
        old = dict.fromkeys(orders.get(name, (name,)) for name in group)
        if all(set(order) <= set(group) for order in old):
            merged = tuple(name for order in old for name in order)
            orders |= dict.fromkeys(merged, merged)
    return list(dict.fromkeys(orders.values()))


def _circular(
    draft: Draft,
    statements: Mapping[str, Statement],
    group: _Sum,
    joints: Mapping[str, str],
    loop_of: Mapping[str, int],
) -> bool:
    """Whether other parts of the joint vector may be made from the sum that would read it."""
    joint = joints.get(group.members[0])
    beside = [
        each.name
        for each in (statements[joint].reads if joint is not None else ())
        if each.name not in group.members
    ]
    if not group.products[0].reads[1].lag:
        return group.root in _needed(draft, statements, beside, all_steps=False)
    directions = {
        operand.lag > 0
        for name, each in draft.statements.items()
        if loop_of.get(name) == loop_of[group.root]
        for operand in each.reads
        if operand.lag and loop_of.get(operand.name) == loop_of[group.root]
    }
    return bool(beside) and len(directions) > 1


def _needed(
    draft: Draft, statements: Mapping[str, Statement], names: Iterable[str], *, all_steps: bool
) -> set[str]:
    """Return these values and all that they are computed from, at the same step or at any."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        if name in statements:
            pending += [each.name for each in statements[name].reads if all_steps or not each.lag]
        if all_steps:
            pending += [
                each.value.name
                for each in draft.boundaries
                if each.name == name and isinstance(each.value, Operand)
            ]
    return found


def _span(
    statements: dict[str, Statement],
    members: Sequence[str],
    joints: Mapping[str, str],
    fresh: Iterator[str],
) -> tuple[str, list[str]] | None:
    """Return the value in which these members, and no others, stand; None if there is none.

    Beside it the members in their order there.
    """
    if any(joints.get(name) != joints.get(members[0]) for name in members):
        return None
    joint = joints.get(members[0])
    if joint is None:
        return None
    order = [each.name for each in statements[joint].reads]
    places = sorted(order.index(name) for name in members)
    if places != list(range(places[0], places[0] + len(places))):
        return None
    inside = order[places[0] : places[-1] + 1]
    if len(inside) == len(order):
        return joint, inside
    start = total([statements[name].shape[0] for name in order[: places[0]]])
    stop = start + total([statements[name].shape[0] for name in inside])
    name = next(fresh)
    statements[name] = replace(
        statements[joint],
        name=name,
        op="slice",
        operands=(Operand(joint),),
        attr=Slice(start, stop),
        shape=(stop - start,),
    )
    return name, inside


def _join_sum(
    draft: Draft,
    statements: dict[str, Statement],
    group: _Sum,
    joints: Mapping[str, str],
    fresh: Iterator[str],
) -> None:
    span = _span(statements, group.members, joints, fresh)
    if span is None:
        return
    vector, order = span
    by_vector = {each.reads[1].name: each for each in group.products}
    products = [by_vector[name] for name in order]
    parts: list[Operand] = []
    for each in products:  # the columns of the joint matrix, as rows
        matrix = each.reads[0]
        made = draft.statements.get(matrix.name)
        if made is not None:
            parts.append(made.reads[0])
        else:
            flipped = next(fresh)
            rows, columns = draft.type_of(matrix.name).shape
            statements[flipped] = Statement(
                flipped, "transpose", (matrix,), None, None, False, (columns, rows)
            )
            parts.append(Operand(flipped))
    current = replace(draft, statements=statements)
    weights, (rows, columns) = stack(statements, current, parts, fresh)
    turned, name = next(fresh), next(fresh)
    statements[turned] = Statement(
        turned, "transpose", (Operand(weights),), None, None, False, (columns, rows)
    )
    lag = products[0].reads[1].lag
    statements[name] = replace(
        products[0], name=name, operands=(Operand(turned), Operand(vector, lag))
    )
    joined = {each.name for each in products}
    rest = [t for t in group.terms if not (isinstance(t.value, Operand) and t.value.name in joined)]
    shape = statements[group.root].shape
    if rest:
        terms = [Term(1, Operand(name)), *rest]
        sum_of(replace(draft, statements=statements), statements, terms, group.root, fresh)
        statements[group.root] = replace(statements[group.root], shape=shape)
    else:
        statements[group.root] = replace(statements.pop(name), name=group.root)


def _join_gradients(
    statements: dict[str, Statement],
    group: _Gradients,
    joints: Mapping[str, str],
    fresh: Iterator[str],
) -> None:
    span = _span(statements, group.members, joints, fresh)
    if span is None:
        return
    vector, order = span
    by_member = {each.reads[0].name: each for each in group.statements}
    parts = [by_member[name] for name in order]
    first, name = parts[0], next(fresh)
    shape = (total([each.shape[0] for each in parts]), *first.shape[1:])
    statements[name] = replace(
        first, name=name, operands=(Operand(vector), *first.operands[1:]), shape=shape
    )
    start = Dim.of(0)
    for each in parts:
        stop = start + each.shape[0]
        statements[each.name] = replace(
            each,
            op="rows" if len(shape) > 1 else "slice",
            operands=(Operand(name),),
            attr=Slice(start, stop),
        )
        start = stop
