"""Statements of a schedule as JAX expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
)
from graphgrad.compile.schedule import Operand, Schedule, Statement, Sum
from graphgrad.conditions import ALWAYS, Condition
from graphgrad.dims import Shape
from graphgrad.ir import OPS, Number

_WITH_RANK = ("squared_error", "hinge", "sigmoid_binary_cross_entropy")
_BY_ROWS = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "softmax_cross_entropy")

Fetch = Callable[[Operand], Value]


class Expressions:
    """The code of statements; `fetch` gives the code of operands where the statement stands.

    `step` is the code of the present step inside a loop, None outside; `mask` gives the code of a
    condition there.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.system = schedule.system

    def steps(self, index: str) -> str:
        """Return the numbers of the steps of an index as code."""
        return f"np.arange(1, {self.system.indices[index].length} + 1)"

    def of(
        self,
        statement: Statement,
        fetch: Fetch,
        *,
        counter: str | None = None,
        mask: Callable[[Condition], str] | None = None,
    ) -> Value:
        """Return the code of a statement."""
        inside = mask is not None
        lead = self.lead(statement, inside=inside)
        given = [self._operand(each, fetch) for each in statement.operands]
        rank, op, attr = len(statement.shape), statement.op, statement.attr
        if op == "counter":
            if attr not in self.system.indices:
                return Value(str(attr), "", 0)
            code = counter or f"{self.steps(attr)}.astype(dtype)"
            return Value(code, "" if inside else TIME, 0)
        if op == "choose":
            return self._choice(statement, given, lead, mask)
        if op in ("reduce", "outer_sum", "scatter_sum"):
            return self._total(statement, given, lead)
        if op in ("copy", "expand"):
            code = given[0].to(lead, rank)
            return Value(f"jnp.broadcast_to({code}, {self.shape(statement, lead)})", lead, rank)
        if op == "batch_sum":
            return Value(f"{given[0].grouped}.sum(axis=0)", "", rank)
        if op == "batch_times":
            return Value(f"B * {given[0].at(SIGN)}", "", rank, PRODUCT)
        return self._plain(statement, given, rank)

    def lead(self, statement: Any, *, inside: bool) -> str:
        """Return the leading axes of a value; inside a loop the step is fixed."""
        time = TIME if statement.index is not None and not inside else ""
        return time + (BATCH if statement.batched else "")

    def shape(self, statement: Any, lead: str, *rows: int | str) -> str:
        """Return the whole shape of a value as code, `rows` of it if given."""
        axes = [str(each) for each in rows]
        axes += [self.system.indices[statement.index].length] if TIME in lead else []
        axes += ["B"] if BATCH in lead else []
        axes += [dim_code(dim) for dim in statement.shape]
        return f"({', '.join(axes)}{',' * (len(axes) == 1)})"

    def _operand(self, operand: Operand | Number, fetch: Fetch) -> Value:
        if isinstance(operand, Operand):
            return fetch(operand)
        return Value(repr(operand), "", 0, ATOM if operand >= 0 else SIGN)

    def _own(self, statement: Statement) -> int:
        """Return the number of own axes of the operands."""
        ranks = [
            len(self.schedule.type_of(each.name).shape)
            for each in statement.operands
            if isinstance(each, Operand)
        ]
        return max(ranks, default=0)

    def _plain(self, statement: Statement, given: list[Value], rank: int) -> Value:
        op, attr, lead = statement.op, statement.attr, joined(given)
        first = given[0] if given else Value("", "", 0)
        match op:
            case "size":
                return Value(f"n_{attr}", "", 0)
            case "fill":
                word = "ones" if attr.value else "zeros"
                return Value(f"jnp.{word}({_tuple(attr.shape)}, dtype)", "", rank)
            case "basis":
                return Value(f"onehot({attr.position}, {dim_code(attr.size)}, dtype)", "", rank)
            case "onehot":
                size = dim_code(statement.shape[0])
                return Value(f"onehot({first.code}, {size}, dtype)", lead, rank)
            case "lookup":
                if first.lead:
                    return Value(f"lookup_each({first.code}, {given[1].to(lead, 0)})", lead, rank)
                return Value(f"{first.grouped}[{given[1].code}]", lead, rank)
            case "component":
                return Value(f"{first.grouped}[..., {attr}]", lead, rank)
            case "slice":
                span = f"{dim_code(attr.start)}:{dim_code(attr.stop)}"
                return Value(f"{first.grouped}[..., {span}]", lead, rank)
            case "rows":
                span = f"{dim_code(attr.start)}:{dim_code(attr.stop)}"
                where = f"..., {span}, :" if first.lead else span
                return Value(f"{first.grouped}[{where}]", lead, rank)
            case "stack":
                codes = ", ".join(each.code for each in given)
                return Value(f"jnp.concatenate([{codes}])", lead, rank)
            case "concat":
                parts = [v.to(lead, 1) if v.rank else f"{v.to(lead, 0)}[..., None]" for v in given]
                parts = [
                    part if v.lead or v.rank else f"jnp.full(1, {v.code}, dtype)"
                    for part, v in zip(parts, given, strict=True)
                ]
                return Value(f"concat({', '.join(parts)})", lead, rank)
            case "matmul":
                return self._matmul(given, lead)
            case "sum" | "mean" | "max":
                if not first.rank:
                    return first
                axes = "-1" if first.rank == 1 else "(-2, -1)"
                return Value(f"{first.grouped}.{op}(axis={axes})", lead, rank)
            case "outer" | "transpose":
                codes = ", ".join(each.to(lead, each.rank) for each in given)
                return Value(f"{op}({codes})", lead, rank)
            case "where":
                codes = ", ".join(each.to(lead, rank) for each in given)
                return Value(f'select("{attr}", {codes})', lead, rank)
        if op in _BY_ROWS or op in _WITH_RANK:
            own = self._own(statement)
            parts = [each.to(lead, own) for each in given]
            parts += [str(own)] if op in _WITH_RANK else []
            return Value(f"{op}({', '.join(parts)})", lead, rank)
        return self._elementwise(statement, given, lead, rank)

    def _elementwise(self, statement: Statement, given: list[Value], lead: str, rank: int) -> Value:
        op = OPS[statement.op]
        operands = [each.aligned(lead, rank) for each in given]
        if op is OPS["neg"]:
            return Value(f"-{operands[0].at(SIGN)}", lead, rank, SIGN)
        if op.infix in LEVELS:
            level = LEVELS[op.infix]
            left = operands[0].at(ATOM if level == POWER else level)
            return Value(f"{left} {op.infix} {operands[1].at(level + 1)}", lead, rank, level)
        name = op.name if op.ufunc is None else f"jnp.{op.ufunc.__name__}"
        return Value(f"{name}({', '.join(each.code for each in operands)})", lead, rank)

    def _matmul(self, given: list[Value], lead: str) -> Value:
        left, right = given
        if left.rank == 1:
            return Value(f"dot({left.to(lead, 1)}, {right.to(lead, 1)})", lead, 0)
        if right.rank == 1:
            if not left.lead:
                return Value(f"matvec({left.code}, {right.code})", lead, 1)
            return Value(f"matvecs({left.to(lead, 2)}, {right.to(lead, 1)})", lead, 1)
        code = f"{left.aligned(lead, 2).at(PRODUCT)} @ {right.aligned(lead, 2).at(SIGN)}"
        return Value(code, lead, 2, PRODUCT)

    def _choice(
        self,
        statement: Statement,
        given: list[Value],
        lead: str,
        mask: Callable[[Condition], str] | None,
    ) -> Value:
        rank, condition = len(statement.shape), statement.attr
        first, second = (each.to(lead, rank) for each in given)
        if statement.index is None:
            return Value(f"({first} if {condition_code(condition, {})} else {second})", lead, rank)
        if mask is not None:
            return Value(f"jnp.where({mask(condition)}, {first}, {second})", lead, rank)
        test = Value(self.mask(condition, statement.index), TIME, 0).to(lead, rank)
        return Value(f"jnp.where({test}, {first}, {second})", lead, rank)

    def mask(self, condition: Condition, index: str) -> str:
        """Return for each step whether a condition holds, as code of a plain NumPy array."""
        steps = self.steps(index)
        test = condition_code(condition, {index: steps})
        return f"np.broadcast_to({test}, ({self._length(index)},))"

    def _length(self, index: str) -> str:
        return self.system.indices[index].length

    # -- sums over steps and examples ------------------------------------------------------------

    def _total(self, statement: Statement, given: list[Value], lead: str) -> Value:
        total: Sum = statement.attr
        rank = len(statement.shape)
        chosen = None if total.condition == ALWAYS else self.mask(total.condition, total.over)
        rows = [
            Value(f"{each.grouped}[{chosen}]", each.lead, each.rank)
            if chosen and TIME in each.lead
            else each
            for each in given
        ]
        if statement.op == "outer_sum":
            word = "outer_sum_each" if lead else "outer_sum"
            return Value(f"{word}({rows[0].code}, {rows[1].code})", lead, rank)
        if statement.op == "scatter_sum":
            size = dim_code(statement.shape[0])
            if lead:
                unit = f"onehot({rows[0].code}, {size}, dtype)"
                return Value(f"outer_sum_each({unit}, {rows[1].code})", lead, rank)
            return Value(f"scatter({rows[0].code}, {rows[1].code}, {size})", lead, rank)
        count = f"np.count_nonzero({chosen})" if chosen else self._length(total.over)
        (value,) = rows
        axes = [0] if TIME in value.lead else []
        axes += [len(axes)] if total.batch and BATCH in value.lead else []
        code = value.code
        if axes:
            inner = value.aligned(value.lead, rank).grouped
            code = f"{inner}.sum(axis={axes[0] if len(axes) == 1 else tuple(axes)})"
        summed = value.lead.replace(TIME, "")
        summed = summed.replace(BATCH, "") if total.batch else summed
        if TIME in value.lead and total.kind == "mean":
            return Value(f"{code} / {count}", summed, value.rank, PRODUCT)
        if TIME not in value.lead and total.kind == "sum":
            left = code if axes else value.at(PRODUCT)
            return Value(f"{left} * {count}", summed, value.rank, PRODUCT)
        return Value(code, summed, value.rank)


def _tuple(shape: Shape) -> str:
    axes = [dim_code(dim) for dim in shape]
    return f"({', '.join(axes)}{',' * (len(axes) == 1)})"
