"""Syntax trees to expressions: an allow-list of Python's grammar, converted without recursion."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable

from graphgrad.circuit import Circuit
from graphgrad.conditions import Affine
from graphgrad.dims import Token
from graphgrad.errors import GraphgradError, unknown_name
from graphgrad.ir import OPS, At, Expr, choose, constant, read
from graphgrad.notation.calls import SPECIAL, CallReader, Plan, function_name
from graphgrad.notation.indices import Scope
from graphgrad.notation.reader import Statement
from graphgrad.ops import FUNCTIONS

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
}


class Converter(CallReader):
    """Converts the expressions of one statement; knows the names of the circuit."""

    def __init__(self, circuit: Circuit, statement: Statement, indexed: dict[str, str]) -> None:
        super().__init__(circuit, statement)
        self.indexed = indexed
        self._numbers: dict[int, float] = {}
        self._times: dict[int, ast.expr] = {}  # what a matrix is multiplied with
        self._transposed: set[int] = set()

    def expression(self, tree: ast.expr, scope: Iterable[str]) -> Expr:
        """Return the expression of a syntax tree, with these indices in scope."""
        values: list[Expr] = []
        pending: list[tuple[ast.expr, Scope, Plan | None]] = [(tree, frozenset(scope), None)]
        while pending:
            node, here, plan = pending.pop()
            if plan is None:
                plan = self._plan(node, here)
                pending.append((node, here, plan))
                pending.extend((arg, inner, None) for arg, inner in reversed(plan.operands))
                continue
            count = len(plan.operands)
            operands = values[len(values) - count :]
            del values[len(values) - count :]
            try:
                value = plan.combine(*operands)
            except GraphgradError as error:
                raise error.at(self.place(node)) from None
            if value.place is None:
                value.place = self.place(node)
            self._fold(node, value, operands)
            values.append(value)
        return values[0]

    def _fold(self, node: ast.expr, value: Expr, operands: list[Expr]) -> None:
        """Keep the value of expressions made of numbers only; refuse those without a value."""
        if value.op is OPS["const"]:
            self._numbers[id(value)] = float(value.attr)
            return
        numbers = [self._numbers[id(arg)] for arg in operands if id(arg) in self._numbers]
        if value.op.name not in _OPERATORS.values() or len(numbers) != 2:
            return
        left, right = numbers
        try:
            result = {
                "add": lambda: left + right,
                "sub": lambda: left - right,
                "mul": lambda: left * right,
                "div": lambda: left / right,
                "pow": lambda: math.pow(left, right),
                "matmul": lambda: 0.0,
            }[value.op.name]()
        except (OverflowError, ZeroDivisionError, ValueError):
            raise self.error(
                node, "this constant has no value or is too large", "work the number out"
            ) from None
        if not math.isfinite(result):
            raise self.error(node, "this constant is too large", "work the number out")
        self._numbers[id(value)] = result

    # -- one plan per kind of syntax tree -------------------------------------------------------

    def _plan(self, node: ast.expr, scope: Scope) -> Plan:
        match node:
            case ast.Constant(value=value):
                return Plan([], lambda: self._number(node, value))
            case ast.Name(id=name):
                return Plan([], lambda: self._name(node, name, scope))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                op = OPS[_OPERATORS[type(operator)]]
                if op is OPS["matmul"]:
                    self._times[id(left)] = right
                return Plan([(left, scope), (right, scope)], op)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Plan([(operand, scope)], lambda a: -a)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return Plan([(operand, scope)], lambda a: a)
            case ast.Attribute(value=value, attr="T"):
                if id(node) in self._times:
                    self._times[id(value)] = self._times[id(node)]
                    self._transposed.add(id(value))
                return Plan([(value, scope)], lambda a: a.T)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.condition(test, scope)
                operands = [(body, scope), (orelse, scope)]
                return Plan(operands, lambda a, b: choose(condition, a, b))
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.Call():
                return self.call(node, scope)
            case ast.Compare():
                raise self.error(
                    node,
                    "a comparison stands only inside where, a choice or a condition of a sum",
                    "write where(u > 0, a, b), or a if t == tau else b",
                )
        raise self.error(node, f"{_described(node)} is not part of the notation", _remedy_for(node))

    def _number(self, node: ast.expr, value: object) -> Expr:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(
                node, f"{value!r} is not a number of the notation", "write 1, 0.5 or 1e-3"
            )
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise self.error(node, "this number is too large", "the largest is about 1.8e308")
        return constant(value)

    def _name(self, node: ast.expr, name: str, scope: Scope) -> Expr:
        circuit = self.circuit
        if name in circuit._sizes:
            return Expr(OPS["size"], attr=name, type=())
        if name in scope or any(name == i.length for i in circuit.indices.values()):
            return Expr(OPS["counter"], attr=name, type=())
        if name in self.indexed:
            index = self.indexed[name]
            raise self.error(
                node, f"{name} needs a time in brackets", f"write {name}[{index}] or {name}[0]"
            )
        if name in circuit.indices:
            raise self.error(
                node,
                f"{name} has no value here: nothing ranges over it",
                f"put it in a sum: sum(… for {name} in steps)",
            )
        if name in circuit._params or name in circuit._inputs or name in circuit._signals:
            value: Expr = circuit[name]
            return value
        raise self._unknown(node, name)

    def _unknown(self, node: ast.expr, name: str, subscripted: bool = False) -> GraphgradError:
        circuit = self.circuit
        if name in FUNCTIONS or name in SPECIAL:
            return self.error(node, f"{name} is a function", f"write {name}(…)")
        known = {*circuit._sizes, *circuit._params, *circuit._inputs, *circuit._signals}
        error = unknown_name(name, known, place=self.place(node))
        step = "[…]" if subscripted else ""
        for cut in range(1, len(name)):
            if name[:cut] in circuit._params and name[cut:] in {*self.indexed, *circuit._params}:
                error.remedy = f"if it is a product, write {name[:cut]} @ {name[cut:]}{step}"
                return error
        index = next(iter(circuit.indices))
        declare = f"{name}[{index}]: input(D)" if subscripted else f"{name}: {self._param(node)}"
        if not (error.remedy or "").startswith("did you mean"):
            error.remedy = f"declare it, for example {declare}, or write an equation for it"
        else:
            error.remedy = f"{error.remedy} Otherwise declare it, for example {declare}"
        return error

    def _param(self, node: ast.expr) -> str:
        """Return how a parameter is declared that could stand at a place."""
        if id(node) not in self._times:
            return "param(H)"
        vector = self._times[id(node)]
        name = vector.value if isinstance(vector, ast.Subscript) else vector
        declared = self.circuit._inputs.get(name.id) if isinstance(name, ast.Name) else None
        shape = () if declared is None or isinstance(declared.type, Token) else declared.type
        width = str(shape[0]) if len(shape) == 1 else "H"
        return f"param({width}, H)" if id(node) in self._transposed else f"param(H, {width})"

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Plan:
        base = node.value
        if isinstance(base, ast.Name) and base.id in self.indexed:
            return Plan([], lambda: self._read(node, base.id, scope))
        if isinstance(base, ast.Call) and function_name(base) == "split":
            return self.split_part(node, base, scope)
        if isinstance(base, ast.Name) and base.id not in (
            *self.circuit._params,
            *self.circuit._inputs,
            *self.circuit._signals,
        ):
            raise self._unknown(base, base.id, subscripted=True)
        if isinstance(base, ast.Name) and (index := self._index_in(node.slice)) is not None:
            raise self._timeless(node, base.id, index)
        if isinstance(node.slice, ast.Slice | ast.Tuple | ast.Constant):
            raise self.error(
                node,
                "these brackets do not hold a token",
                "E[x[t]] looks up a row; at(v, 0) picks a component; split(v, 2)[0] a piece",
            )
        return Plan([(base, scope), (node.slice, scope)], lambda a, b: OPS["lookup"](a, b))

    def _index_in(self, tree: ast.expr) -> str | None:
        """Return the index of a time such as t-1 or tau; None for what may be a token."""
        parts = list(ast.walk(tree))
        if any(isinstance(part, ast.Subscript | ast.Call | ast.Attribute) for part in parts):
            return None
        names = {part.id for part in parts if isinstance(part, ast.Name)}
        indices = self.circuit.indices.values()
        return next((i.name for i in indices if not names.isdisjoint({i.name, i.length})), None)

    def _timeless(self, node: ast.Subscript, name: str, index: str) -> GraphgradError:
        """Return the error for a time after the name of something that is one for all steps."""
        circuit = self.circuit
        if name in circuit._params:
            shape = ", ".join(map(str, circuit._params[name].shape))
            return self.error(
                node,
                f"{name} has no time index: a parameter is one for all {index}",
                f"write {name}; what differs from step to step is declared as "
                f"{name}[{index}]: input({shape})",
            )
        if name in circuit._inputs:
            each = circuit._inputs[name]
            dims = (each.type.size,) if isinstance(each.type, Token) else each.type
            remedy = f"declare it as {name}[{index}]: {each.kind}({', '.join(map(str, dims))})"
        else:
            remedy = f"write its equation as {name}[{index}] = …"
        return self.error(node, f"{name} has no time index", f"{remedy}, or write {name} here")

    def _read(self, node: ast.Subscript, name: str, scope: Scope) -> Expr:
        index = self.indexed[name]
        length = self.circuit.indices[index].length
        time = self.affine(node.slice, {index, length}, allow_all=True)
        offset, base = time.constant, time.plus(-time.constant)
        place = self.place(node)
        if base == Affine.name(index):
            if index not in scope:
                raise self.error(
                    node,
                    f"{name}[{index}] has no value here: nothing ranges over {index}",
                    f"write {name}[{length}] for the last step, or "
                    f"sum({name}[{index}] for {index} in steps)",
                )
            return read(name, -offset, place=place)
        if not base.terms:
            return Expr(OPS["at_step"], attr=At(name, False, offset), place=place)
        if base == Affine.name(length):
            return Expr(OPS["at_step"], attr=At(name, True, offset), place=place)
        raise self.error(
            node,
            f"{time} is not a time of {name}",
            f"write {name}[{index}-1], {name}[{index}+2], {name}[0] or {name}[{length}]",
        )


def _described(node: ast.expr) -> str:
    names = {
        ast.Lambda: "lambda",
        ast.ListComp: "a list comprehension",
        ast.SetComp: "a set comprehension",
        ast.DictComp: "a dict comprehension",
        ast.GeneratorExp: "a bare generator",
        ast.JoinedStr: "a text",
        ast.List: "a list",
        ast.Tuple: "a tuple",
        ast.Dict: "a dict",
        ast.Set: "a set",
        ast.BoolOp: "and/or",
        ast.NamedExpr: ":=",
        ast.Await: "await",
        ast.Yield: "yield",
        ast.Starred: "*",
    }
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return "this operator"
    return names.get(type(node), type(node).__name__)


def _remedy_for(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return "the only attribute is .T, the transpose"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        power = node.right
        while isinstance(power, ast.BinOp):
            power = power.left
        if isinstance(power, ast.Set):
            return "braces are LaTeX: a time is written h[t-1], a power u ** 2"
        if isinstance(power, ast.Name) and power.id in ("T", "t"):
            return "the transpose is written W.T"
        return "a power is written u ** 2"
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        return "write sum(e for t in steps) or mean(e for t in steps)"
    return "formulas are + - * / ** @, .T, functions, choices by t, and sums over steps"
