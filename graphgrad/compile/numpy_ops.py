"""One statement as a NumPy expression: operands with their axes in, code out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from graphgrad.compile.code import (
    ATOM,
    BATCH,
    LEVELS,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    TIME,
    Value,
    condition_code,
    dim_code,
    joined,
    size_code,
)
from graphgrad.compile.schedule import Statement
from graphgrad.conditions import ALWAYS
from graphgrad.ir import OPS

_KERNELS_WITH_RANK = {
    "sum": "total",
    "mean": "mean",
    "max": "largest",
    "squared_error": "squared_error",
    "hinge": "hinge",
    "sigmoid_binary_cross_entropy": "sigmoid_binary_cross_entropy",
}
_KERNELS = {"logsumexp", "cross_entropy", "softmax_cross_entropy", "outer", "transpose", "concat"}


def expression(
    statement: Statement, given: Sequence[Value], step: str | None, lengths: Mapping[str, str]
) -> Value:
    """Return the code of a statement's value.

    `step` is the name of the present step (counted from 0) in a loop, None outside; `lengths` are
    the names of the lengths of the indices.
    """
    op, rank = statement.op, len(statement.shape)
    if not given:
        return _leaf(statement, step, lengths)
    lead = joined(given)
    special: Callable[..., Value] | None = _SPECIAL.get(op)
    if special is not None:
        return special(statement, given, lead, step, lengths)
    if op in _KERNELS_WITH_RANK:
        own = max(each.rank for each in given)
        if not own and op in ("sum", "mean", "max"):
            return given[0]
        codes = ", ".join(each.to(lead, each.rank) for each in given)
        return Value(f"{_KERNELS_WITH_RANK[op]}({codes}, {own})", lead, rank)
    if op == "transpose" and not lead:
        return Value(f"{given[0].grouped}.T", "", 2)
    if op in _KERNELS:
        codes = ", ".join(_own_axes(each, lead, op) for each in given)
        return Value(f"{op}({codes})", lead, rank)
    return _elementwise(statement, [each.aligned(lead, rank) for each in given], lead)


def _own_axes(value: Value, lead: str, op: str) -> str:
    if op == "concat" and not value.rank:
        return f"{value.grouped}[..., None]"
    return value.to(lead, value.rank)


def _elementwise(statement: Statement, operands: Sequence[Value], lead: str) -> Value:
    op, rank = OPS[statement.op], len(statement.shape)
    codes = ", ".join(each.code for each in operands)
    if op.name == "where":
        return Value(f'select("{statement.attr}", {codes})', lead, rank)
    if op.name == "neg":
        return Value(f"-{operands[0].at(SIGN)}", lead, rank, SIGN)
    if op.infix in LEVELS:
        level = LEVELS[op.infix]
        left = operands[0].at(ATOM if level == POWER else level)
        return Value(f"{left} {op.infix} {operands[1].at(level + 1)}", lead, rank, level)
    name = op.name if op.ufunc is None else f"np.{op.ufunc.__name__}"
    return Value(f"{name}({codes})", lead, rank)


def _leaf(statement: Statement, step: str | None, lengths: Mapping[str, str]) -> Value:
    attr, rank = statement.attr, len(statement.shape)
    match statement.op:
        case "size":
            return Value(size_code(attr), "", 0)
        case "counter":
            if attr not in lengths:
                return Value(attr, "", 0)
            if step is not None:
                return Value(f"{step} + 1", "", 0, SUM)
            return Value(f"np.arange(1, {lengths[attr]} + 1).astype(dtype)", TIME, 0)
        case "basis":
            return Value(f"onehot({attr.position}, {dim_code(attr.size)}, dtype)", "", rank)
    assert statement.op == "fill"
    shape = ", ".join(dim_code(dim) for dim in attr.shape)
    return Value(f"np.{'ones' if attr.value else 'zeros'}(({shape},), dtype)", "", rank)


def _matmul(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    left, right = given
    if left.rank == 1:
        return Value(f"dot({left.to(lead, 1)}, {right.to(lead, 1)})", lead, 0)
    if right.rank == 1:
        if not left.lead:
            return Value(f"matvec({left.code}, {right.code})", lead, 1)
        return Value(f"matvecs({left.to(lead, 2)}, {right.to(lead, 1)})", lead, 1)
    code = f"{left.aligned(lead, 2).at(PRODUCT)} @ {right.aligned(lead, 2).at(SIGN)}"
    return Value(code, lead, 2, PRODUCT)


def _expand(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    shape = ", ".join(dim_code(dim) for dim in statement.shape)
    ones = f"np.ones(({shape},), dtype)"
    rank = len(statement.shape)
    return Value(f"{given[0].aligned(lead, rank).at(PRODUCT)} * {ones}", lead, rank, PRODUCT)


def _lookup(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    table, token = given
    if table.lead == BATCH:
        code = f"lookup_each({table.code}, {token.to(lead, 0)})"
    else:
        code = f"{table.grouped}[{token.code}]"
    return Value(code, lead, len(statement.shape))


def _onehot(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    size = dim_code(statement.shape[0])
    return Value(f"onehot({given[0].code}, {size}, dtype)", lead, len(statement.shape))


def _component(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    return Value(f"{given[0].grouped}[..., {statement.attr}]", lead, len(statement.shape))


def _slice(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    piece = f"{dim_code(statement.attr.start)}:{dim_code(statement.attr.stop)}"
    return Value(f"{given[0].grouped}[..., {piece}]", lead, len(statement.shape))


def _rows(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    piece = f"{dim_code(statement.attr.start)}:{dim_code(statement.attr.stop)}"
    where = f"..., {piece}, :" if lead else piece
    return Value(f"{given[0].grouped}[{where}]", lead, len(statement.shape))


def _stack(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    codes = ", ".join(each.code for each in given)
    return Value(f"np.concatenate([{codes}])", lead, len(statement.shape))


def _choose(
    statement: Statement,
    given: Sequence[Value],
    lead: str,
    step: str | None,
    lengths: Mapping[str, str],
) -> Value:
    rank, index = len(statement.shape), statement.index
    if step is None and index is not None:
        lead = TIME + lead.replace(TIME, "")
        steps = {index: f"np.arange(1, {lengths[index]} + 1)"}
        length = lengths[index]
        code = f"np.broadcast_to({condition_code(statement.attr, steps)}, {length})"
        mask = Value(code, TIME, 0)
        codes = ", ".join(each.to(lead, rank) for each in (mask, *given))
        return Value(f"np.where({codes})", lead, rank)
    names = {index: f"({step} + 1)"} if index is not None else {}
    test = condition_code(statement.attr, names)
    first, second = (each.to(lead, rank) for each in given)
    if all((each.lead, each.rank) == (lead, rank) for each in given):
        return Value(f"({first} if {test} else {second})", lead, rank)
    return Value(f"np.where({test}, {first}, {second})", lead, rank)


def _mask(statement: Statement, lengths: Mapping[str, str]) -> Value | None:
    """Return the condition of a reduction as a mask over the steps, None where it always holds."""
    attr = statement.attr
    if attr.condition == ALWAYS:
        return None
    steps = {attr.over: f"np.arange(1, {lengths[attr.over]} + 1)"}
    length = lengths[attr.over]
    code = f"np.broadcast_to({condition_code(attr.condition, steps)}, {length})"
    return Value(code, TIME, 0)


def _reduce(
    statement: Statement,
    given: Sequence[Value],
    lead: str,
    step: object,
    lengths: Mapping[str, str],
) -> Value:
    (value,), attr, mask = given, statement.attr, _mask(statement, lengths)
    rank = len(statement.shape)
    if TIME not in value.lead:
        count = f"np.count_nonzero({mask.code})" if mask else lengths[attr.over]
        if attr.kind == "sum":
            value = Value(f"{value.at(PRODUCT)} * {count}", value.lead, rank, PRODUCT)
        return Value(f"{value.grouped}.sum(axis=0)", "", rank) if attr.batch else value
    rows = value.grouped + (f"[{mask.code}]" if mask else "")
    if attr.batch and attr.kind == "sum" and value.lead == TIME + BATCH:
        return Value(f"{rows}.sum(axis=(0, 1))", "", rank)
    code = f"{rows}.{attr.kind}(axis=0)"
    if attr.batch:
        return Value(f"{code}.sum(axis=0)", "", rank)
    return Value(code, value.lead.replace(TIME, ""), rank)


def _outer_sum(
    statement: Statement,
    given: Sequence[Value],
    lead: str,
    step: object,
    lengths: Mapping[str, str],
) -> Value:
    mask = _mask(statement, lengths)
    u, v = (each.grouped + (f"[{mask.code}]" if mask else "") for each in given)
    if statement.op == "scatter_sum" and not statement.batched:
        return Value(f"scatter({u}, {v}, {dim_code(statement.shape[0])})", "", 2)
    if statement.op == "scatter_sum":
        u = f"onehot({u}, {dim_code(statement.shape[0])}, dtype)"
    if statement.batched:
        return Value(f"outer_sums({u}, {v})", BATCH, 2)
    return Value(f"outer_sum({u}, {v})", "", 2)


def _batch_sum(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    return Value(f"{given[0].grouped}.sum(axis=0)", "", len(statement.shape))


def _batch_times(
    statement: Statement, given: Sequence[Value], lead: str, step: object, lengths: object
) -> Value:
    return Value(f"B * {given[0].at(SIGN)}", "", len(statement.shape), PRODUCT)


_SPECIAL: dict[str, Callable[..., Value]] = {
    "matmul": _matmul,
    "expand": _expand,
    "lookup": _lookup,
    "onehot": _onehot,
    "component": _component,
    "slice": _slice,
    "rows": _rows,
    "stack": _stack,
    "choose": _choose,
    "reduce": _reduce,
    "outer_sum": _outer_sum,
    "scatter_sum": _outer_sum,
    "batch_sum": _batch_sum,
    "batch_times": _batch_times,
}
