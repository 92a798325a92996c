"""One statement as an expression over NumPy, or a module like it: operands' code in, code out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from graphgrad.compile.code import (
    ATOM,
    BATCH,
    LEVELS,
    POWER,
    PRODUCT,
    SIGN,
    TIME,
    Value,
    condition_code,
    dim_code,
    joined,
    size_code,
    var,
)
from graphgrad.compile.schedule import Operand, Schedule, Slice, Statement
from graphgrad.conditions import ALWAYS, Condition
from graphgrad.dims import Shape
from graphgrad.ir import OPS, Number

_KERNELS_WITH_RANK = {
    "sum": "total",
    "mean": "mean",
    "max": "largest",
    "squared_error": "squared_error",
    "hinge": "hinge",
    "sigmoid_binary_cross_entropy": "sigmoid_binary_cross_entropy",
}
_RECKONED = {"add", "sub", "mul", "div", "pow", "neg", "copy", "reduce", "batch_times"}
"""Ops that make a number of Python of numbers of Python."""
_KERNELS = {"logsumexp", "cross_entropy", "softmax_cross_entropy", "outer", "transpose"}


class Expressions:
    """The expressions of a program: a method for each op that is not elementwise.

    `lengths` are the names of the lengths of the indices. Steps and conditions on them are plain
    NumPy arrays whatever the `module` is: they are known before any value is. `whole` are the
    values that are numbers of Python: sizes, lengths, and what is reckoned with them alone.
    """

    module: ClassVar[str] = "np"

    def __init__(self, schedule: Schedule) -> None:
        indices = schedule.system.indices.values()
        self.lengths = {index.name: var(index.length) for index in indices}
        self.whole: set[str] = set()
        for each in schedule.statements.values():
            known = each.op == "size" or (each.op == "counter" and each.attr not in self.lengths)
            if known or (each.op in _RECKONED and self._whole(each)):
                self.whole.add(each.name)

    def _whole(self, statement: Statement) -> bool:
        return all(map(self._is_plain, statement.operands))

    def _is_plain(self, operand: Operand | Number) -> bool:
        return not isinstance(operand, Operand) or operand.name in self.whole

    def _typed(self, number: Value) -> Value:
        """Return a number of Python as one of the program's type."""
        return Value(f"{self.module}.array({number.code}, dtype)", "", 0)

    def of(self, statement: Statement, given: Sequence[Value]) -> Value:
        """Return the code of a statement's value; its axes may be fewer, to be broadcast."""
        op, lead = statement.op, joined(given)
        special = getattr(self, f"_{op}", None)
        if special is not None:
            value: Value = special(statement, given, lead)
            return value
        if op not in _RECKONED and self._whole(statement):
            given = [self._typed(each) for each in given]  # functions keep to the type they get
        rank = len(statement.shape)
        if op in _KERNELS_WITH_RANK:
            own = max(each.rank for each in given)
            if not own and op in ("sum", "mean", "max"):
                return given[0]
            codes = ", ".join(each.to(lead, each.rank) for each in given)
            return Value(f"{_KERNELS_WITH_RANK[op]}({codes}, {own})", lead, rank)
        if op == "transpose" and not lead:
            return Value(f"{given[0].grouped}.T", "", 2)
        if op in _KERNELS:
            codes = ", ".join(each.to(lead, each.rank) for each in given)
            return Value(f"{op}({codes})", lead, rank)
        return self._elementwise(statement, [each.aligned(lead, rank) for each in given], lead)

    def _elementwise(self, statement: Statement, operands: Sequence[Value], lead: str) -> Value:
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
        name = op.name if op.ufunc is None else f"{self.module}.{op.ufunc.__name__}"
        return Value(f"{name}({codes})", lead, rank)

    # -- steps and constants ---------------------------------------------------------------------

    def steps(self, index: str) -> str:
        """Return the numbers of the steps of an index."""
        return f"np.arange(1, {self.lengths[index]} + 1)"

    def mask(self, condition: Condition, index: str) -> Value:
        """Return for each step whether a condition holds."""
        test = condition_code(condition, {index: self.steps(index)})
        return Value(f"np.broadcast_to({test}, {self.lengths[index]})", TIME, 0)

    def _counter(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        attr = statement.attr
        if attr not in self.lengths:
            return Value(var(attr), "", 0)
        return Value(f"{self.steps(attr)}.astype(dtype)", TIME, 0)

    def _size(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        return Value(size_code(statement.attr), "", 0)

    def _basis(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        attr = statement.attr
        return Value(f"onehot({attr.position}, {dim_code(attr.size)}, dtype)", "", 1)

    def _fill(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        attr = statement.attr
        word = "ones" if attr.value else "zeros"
        return Value(f"{self.module}.{word}({_tuple(attr.shape)}, dtype)", "", len(attr.shape))

    # -- structure -------------------------------------------------------------------------------

    def _copy(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        return given[0]

    def _expand(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        rank = len(statement.shape)
        ones = f"{self.module}.ones({_tuple(statement.shape)}, dtype)"
        return Value(f"{given[0].aligned(lead, rank).at(PRODUCT)} * {ones}", lead, rank, PRODUCT)

    def _matmul(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        left, right = given
        if left.rank == 1:
            return Value(f"dot({left.to(lead, 1)}, {right.to(lead, 1)})", lead, 0)
        if right.rank == 1:
            if not left.lead:
                return Value(f"matvec({left.code}, {right.code})", lead, 1)
            return Value(f"matvecs({left.to(lead, 2)}, {right.to(lead, 1)})", lead, 1)
        code = f"{left.aligned(lead, 2).at(PRODUCT)} @ {right.aligned(lead, 2).at(SIGN)}"
        return Value(code, lead, 2, PRODUCT)

    def _lookup(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        table, token = given
        if table.lead:
            given_table = table.to(lead, table.rank)
            code = f"lookup_each({given_table}, {token.to(lead, 0)}, {table.rank})"
        else:
            code = f"{table.grouped}[{token.code}]"
        return Value(code, lead, len(statement.shape))

    def _onehot(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        code = f"onehot({given[0].code}, {dim_code(statement.shape[0])}, dtype)"
        return Value(code, lead, len(statement.shape))

    def _component(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        return Value(f"{given[0].grouped}[..., {statement.attr}]", lead, len(statement.shape))

    def _slice(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        code = f"{given[0].grouped}[..., {_span(statement.attr)}]"
        return Value(code, lead, len(statement.shape))

    def _rows(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        where = f"..., {_span(statement.attr)}, :" if lead else _span(statement.attr)
        return Value(f"{given[0].grouped}[{where}]", lead, len(statement.shape))

    def _stack(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        codes = ", ".join(each.code for each in given)
        return Value(f"{self.module}.concatenate([{codes}])", lead, len(statement.shape))

    def _concat(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        parts = []
        for each in given:
            if each.rank:
                parts.append(each.to(lead, 1))
            elif each.lead:
                parts.append(f"{each.aligned(lead, 0).grouped}[..., None]")
            else:
                parts.append(f"{self.module}.full(1, {each.code}, dtype)")
        return Value(f"concat({', '.join(parts)})", lead, 1)

    def _choose(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        if statement.index is None:
            test = condition_code(statement.attr, {})
            return self.either(test, statement, given)
        rank, lead = len(statement.shape), TIME + lead.replace(TIME, "")
        mask = self.mask(statement.attr, statement.index)
        codes = ", ".join(each.to(lead, rank) for each in (mask, *given))
        typed = "" if any(each.lead or each.rank for each in given) else ".astype(dtype)"
        return Value(f"{self.module}.where({codes}){typed}", lead, rank)

    def either(self, test: str, statement: Statement, given: Sequence[Value]) -> Value:
        """Return the first value where one test holds, else the second."""
        lead, rank = joined(given), len(statement.shape)
        if not lead and not rank:
            pairs = zip(statement.operands, given, strict=True)
            given = [self._typed(v) if self._is_plain(each) else v for each, v in pairs]
        first, second = (each.to(lead, rank) for each in given)
        if all((each.lead, each.rank) == (lead, rank) for each in given):
            return Value(f"({first} if {test} else {second})", lead, rank)
        return Value(f"{self.module}.where({test}, {first}, {second})", lead, rank)

    # -- sums over steps and examples ------------------------------------------------------------

    def _chosen(self, statement: Statement) -> str:
        """Return the steps that count as an index, nothing where all do."""
        attr = statement.attr
        if attr.condition == ALWAYS:
            return ""
        return f"[{self.mask(attr.condition, attr.over).code}]"

    def _reduce(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        (value,), attr, chosen = given, statement.attr, self._chosen(statement)
        rank = len(statement.shape)
        if TIME not in value.lead:
            count = f"int(np.count_nonzero({chosen[1:-1]}))" if chosen else self.lengths[attr.over]
            if attr.kind == "sum":
                value = Value(f"{value.at(PRODUCT)} * {count}", value.lead, rank, PRODUCT)
            return Value(f"{value.grouped}.sum(axis=0)", "", rank) if attr.batch else value
        rows = f"{value.grouped}{chosen}"
        if attr.batch and attr.kind == "sum" and value.lead == TIME + BATCH:
            code = f"row_sum({rows})" if rank == 1 else f"{rows}.sum(axis=(0, 1))"
            return Value(code, "", rank)
        code = f"{rows}.{attr.kind}(axis=0)"
        if attr.batch:
            return Value(f"{code}.sum(axis=0)", "", rank)
        return Value(code, value.lead.replace(TIME, ""), rank)

    def _outer_sum(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        u, v = (f"{each.grouped}{self._chosen(statement)}" for each in given)
        if statement.batched:
            return Value(f"outer_sums({u}, {v})", BATCH, 2)
        return Value(f"outer_sum({u}, {v})", "", 2)

    def _scatter_sum(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        token, v = (f"{each.grouped}{self._chosen(statement)}" for each in given)
        size = dim_code(statement.shape[0])
        if statement.batched:
            return Value(f"outer_sums(onehot({token}, {size}, dtype), {v})", BATCH, 2)
        return Value(f"scatter({token}, {v}, {size})", "", 2)

    def _batch_sum(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        return Value(f"{given[0].grouped}.sum(axis=0)", "", len(statement.shape))

    def _batch_times(self, statement: Statement, given: Sequence[Value], lead: str) -> Value:
        return Value(f"B * {given[0].at(SIGN)}", "", len(statement.shape), PRODUCT)


def _span(attr: Slice) -> str:
    return f"{dim_code(attr.start)}:{dim_code(attr.stop)}"


def _tuple(shape: Shape) -> str:
    return f"({', '.join(map(dim_code, shape))}{',' * (len(shape) == 1)})"
