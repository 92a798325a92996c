"""Products with the same vector joined into one; what follows them done on the joint value.

The four products of an LSTM's gates with h[t-1] become one, with the weights stacked once a call;
the input part is added to all four, and neighbours with the same function are computed, by one
operation each. The single values are slices of the joint ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphgrad.compile.lower import Draft
from graphgrad.compile.order import pruned, recurrent
from graphgrad.compile.prelude import ELEMENTWISE
from graphgrad.compile.schedule import Leaf, Operand, Slice, Statement
from graphgrad.dims import Dim, Shape
from graphgrad.ir import Number

PACKABLE = ELEMENTWISE - {"where"}


def joined(draft: Draft) -> Draft:
    """Return the draft with joint products, and joint operations on their values."""
    draft = _products(draft)
    readers = draft.readers()
    joints = [name for name in draft.statements if len(list(_pieces(draft, readers, name))) > 1]
    while joints:
        draft, joints = _packed(draft, joints)
    return pruned(draft)


def is_matrix(draft: Draft, operand: Operand | Number) -> bool:
    """Whether an operand is a matrix that is given, or the transpose of one."""
    if not isinstance(operand, Operand):
        return False
    made = draft.statements.get(operand.name)
    if made is not None:
        return made.op == "transpose" and is_matrix(draft, made.operands[0])
    leaf = draft.leaves[operand.name]
    return leaf.index is None and not leaf.batched and len(leaf.shape) == 2


def total(dims: Sequence[Dim]) -> Dim:
    """Return the sum of dimensions."""
    result = Dim.of(0)
    for dim in dims:
        result = result + dim
    return result


def stack(
    statements: dict[str, Statement],
    draft: Draft,
    parts: Sequence[Operand],
    fresh: Iterator[str],
) -> tuple[str, Shape]:
    """Return the name and shape of matrices below each other; add a statement if there is none."""
    shapes = [draft.type_of(each.name).shape for each in parts]
    shape = (total([each[0] for each in shapes]), shapes[0][1])
    for old in statements.values():
        if old.op == "stack" and old.operands == tuple(parts):
            return old.name, shape
    name = next(fresh)
    statements[name] = Statement(name, "stack", tuple(parts), None, None, False, shape)
    return name, shape


def _products(draft: Draft) -> Draft:
    """Join the products of different matrices with the same vector."""
    loop_of = recurrent(draft)
    readers = draft.readers()
    groups: dict[Hashable, list[Statement]] = {}
    for statement in draft.statements.values():
        if statement.op != "matmul" or statement.index is None or statement.name in draft.fixed:
            continue
        matrix, vector = statement.operands
        if is_matrix(draft, matrix) and isinstance(vector, Operand):
            transposed = matrix.name in draft.statements if isinstance(matrix, Operand) else None
            loops = loop_of.get(statement.name), _user_loop(readers, loop_of, statement.name)
            key = (*loops, vector, transposed)
            if len(draft.type_of(vector.name).shape) == 1:
                groups.setdefault(key, []).append(statement)
    statements = dict(draft.statements)
    fresh = draft.fresh()
    for group in groups.values():
        if len(group) < 2:
            continue
        ordered = _by_function(draft, readers, group)
        weights, shape = stack(statements, draft, [each.reads[0] for each in ordered], fresh)
        vector, name = ordered[0].reads[1], next(fresh)
        statements[name] = replace(
            ordered[0], name=name, operands=(Operand(weights), vector), shape=shape[:1]
        )
        _cut(statements, name, ordered)
    return replace(draft, statements=statements)


def _user_loop(
    readers: Mapping[str, list[Operand]], loop_of: Mapping[str, int], name: str
) -> int | None:
    """Return the loop that a lifted value ends up in: values of two loops stand in two arrays."""
    for _ in range(8):
        loops = {loop_of.get(user) for user, _ in readers.get(name, ())}
        if loops != {None}:
            return loops.pop() if len(loops) == 1 else None
        if len(readers[name]) != 1:
            return None
        name = readers[name][0].name
    return None


def _cut(statements: dict[str, Statement], joint: str, parts: Sequence[Statement]) -> None:
    """Make statements slices of a joint value."""
    start = Dim.of(0)
    for each in parts:
        stop = start + each.shape[0]
        statements[each.name] = replace(
            each, op="slice", operands=(Operand(joint),), attr=Slice(start, stop)
        )
        start = stop


def _by_function(
    draft: Draft, readers: Mapping[str, list[Operand]], group: Sequence[Statement]
) -> list[Statement]:
    """Return products in order, those that end up in the same function next to each other."""
    functions: dict[str, list[Statement]] = {}
    for statement in group:
        functions.setdefault(_function(draft, readers, statement), []).append(statement)
    return [each for same in functions.values() for each in same]


def _function(draft: Draft, readers: Mapping[str, list[Operand]], statement: Statement) -> str:
    """Return the first function of one variable that a value goes through."""
    name = statement.name
    for _ in range(8):
        users = readers.get(name, [])
        if len(users) != 1 or users[0].lag or users[0].name not in draft.statements:
            return ""
        user = draft.statements[users[0].name]
        if len(user.operands) == 1:
            return user.op
        name = user.name
    return ""


# -- operations on joint values --------------------------------------------------------------------


def _packed(draft: Draft, joints: Sequence[str]) -> tuple[Draft, list[str]]:
    """Do on their union what is done to neighbouring slices; return the new joint values."""
    draft = pruned(draft)
    loop_of = recurrent(draft)
    readers = draft.readers()
    statements = dict(draft.statements)
    fresh = draft.fresh()
    created: list[str] = []
    done: set[str] = set()
    for joint in joints:
        pieces = list(_pieces(draft, readers, joint))
        for run in _runs(draft, readers, loop_of, pieces):
            users = [user for _, user in run]
            if any(user.name in done for user in users):
                continue
            name = _pack(draft, statements, joint, run, fresh)
            done.update(user.name for user in users)
            created.append(name)
    return replace(draft, statements=statements), created


def _pieces(draft: Draft, readers: Mapping[str, list[Operand]], joint: str) -> Iterator[Statement]:
    for reader, lag in readers.get(joint, []):
        made = draft.statements.get(reader)
        if made is not None and made.op == "slice" and not lag:
            yield made


def _runs(
    draft: Draft,
    readers: Mapping[str, list[Operand]],
    loop_of: Mapping[str, int],
    pieces: Sequence[Statement],
) -> Iterator[list[tuple[Statement, Statement]]]:
    """Yield runs of neighbouring slices whose only readers do the same, with those readers."""
    by_start = {piece.attr.start: piece for piece in pieces}
    run: list[tuple[Statement, Statement]] = []
    at, last = Dim.of(0), None
    while piece := by_start.pop(at, None):
        at = piece.attr.stop
        user = _only_reader(draft, readers, piece)
        key = None if user is None else _kind(draft, loop_of, piece, user)
        if key is None or key != last or not _side_by_side(draft, run[-1], (piece, user)):
            if len(run) > 1:
                yield run
            run = []
        if key is not None and user is not None:
            run.append((piece, user))
        last = key
    if len(run) > 1:
        yield run


def _side_by_side(
    draft: Draft, left: tuple[Statement, Statement], right: tuple[Statement, Statement | None]
) -> bool:
    """Whether the other operands of two neighbours are neighbours too, if they are slices."""
    attrs = []
    for piece, user in (left, right):
        others = [] if user is None else [each for each in user.reads if each.name != piece.name]
        made = draft.statements.get(others[0].name) if others else None
        if made is None or made.op != "slice":
            return True
        attrs.append(made.attr)
    return bool(attrs[0].stop == attrs[1].start)


def _only_reader(
    draft: Draft, readers: Mapping[str, list[Operand]], piece: Statement
) -> Statement | None:
    users = readers.get(piece.name, [])
    if len(users) != 1 or users[0].lag or piece.name in draft.fixed:
        return None
    user = draft.statements.get(users[0].name)
    if user is None or user.op not in PACKABLE or user.name in draft.fixed - {*draft.outputs}:
        return None
    if all(each.name != piece.name for each in user.reads):  # a boundary value of it is read there
        return None
    return user if user.shape == piece.shape and len(user.operands) <= 2 else None


def _kind(draft: Draft, loop_of: Mapping[str, int], piece: Statement, user: Statement) -> Hashable:
    """Return what must be equal for two neighbours to be computed together, None if nothing may."""
    slot = [isinstance(each, Operand) and each.name == piece.name for each in user.operands].index(
        True
    )
    where = (loop_of.get(user.name), user.op, user.attr, slot, user.index, user.batched)
    if len(user.operands) == 1:
        return where
    other = user.operands[1 - slot]
    if not isinstance(other, Operand):
        return (*where, repr(other))
    made = draft.type_of(other.name)
    if isinstance(made, Statement) and made.op == "slice":
        (source,) = made.reads
        if source.lag or source.name not in draft.statements:
            return None
        bound = {boundary.name for boundary in draft.boundaries}
        if other.lag and bound.intersection((other.name, source.name)):
            return None
        return (*where, "slice", source, other.lag)
    if made.shape != user.shape or other.lag or other.name in draft.fixed:
        return None
    if isinstance(made, Leaf) and made.param:
        return (*where, "given")
    return None


def _pack(
    draft: Draft,
    statements: dict[str, Statement],
    joint: str,
    run: Sequence[tuple[Statement, Statement]],
    fresh: Iterator[str],
) -> str:
    """Add one statement for a run, and make its readers slices of it; return its name."""
    pieces = [piece for piece, _ in run]
    users = [user for _, user in run]
    first = users[0]
    slot = [isinstance(e, Operand) and e.name == pieces[0].name for e in first.operands].index(True)
    operands: list[Operand | Number] = [_union(statements, joint, pieces, fresh)]
    if len(first.operands) == 2:
        others = [user.operands[1 - slot] for user in users]
        operands.insert(1 - slot, _others(draft, statements, others, fresh))
    name = next(fresh)
    shape = (total([user.shape[0] for user in users]),)
    statements[name] = replace(first, name=name, operands=tuple(operands), shape=shape)
    _cut(statements, name, users)
    return name


def _union(
    statements: dict[str, Statement],
    joint: str,
    pieces: Sequence[Statement],
    fresh: Iterator[str],
) -> Operand:
    """Return the neighbouring slices of a joint value as one value."""
    whole = statements[joint]
    attr = Slice(pieces[0].attr.start, pieces[-1].attr.stop)
    if attr == Slice(Dim.of(0), whole.shape[0]):
        return Operand(joint)
    name = next(fresh)
    statements[name] = replace(
        whole,
        name=name,
        op="slice",
        operands=(Operand(joint),),
        attr=attr,
        shape=(attr.stop - attr.start,),
    )
    return Operand(name)


def _others(
    draft: Draft,
    statements: dict[str, Statement],
    others: Sequence[Operand | Number],
    fresh: Iterator[str],
) -> Operand | Number:
    """Return the second operands of a run as one."""
    first = others[0]
    if not isinstance(first, Operand):
        return first
    made = draft.type_of(first.name)
    if isinstance(made, Statement) and made.op == "slice":
        slices = [draft.statements[each.name] for each in others if isinstance(each, Operand)]
        union = _union(statements, made.reads[0].name, slices, fresh)
        return Operand(union.name, first.lag)
    name = next(fresh)
    shapes = [draft.type_of(each.name).shape for each in others if isinstance(each, Operand)]
    shape = (total([each[0] for each in shapes]),)
    statements[name] = Statement(name, "concat", tuple(others), None, None, False, shape)
    return Operand(name)
