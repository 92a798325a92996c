"""Syntax trees to expressions: an allow-list of Python's grammar, converted without recursion."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from graphgrad.circuit import Circuit
from graphgrad.conditions import ALWAYS, Affine, Compare, Condition, both, either, negate
from graphgrad.dims import LARGEST, Dim, dim_of_ast
from graphgrad.errors import GraphgradError, NotationError, Place, unknown_name
from graphgrad.ir import (
    OPS,
    At,
    Basis,
    Comparison,
    Expr,
    Fill,
    Part,
    choose,
    constant,
    read,
    reduce,
)
from graphgrad.notation.reader import MAX_DEPTH, Statement
from graphgrad.ops import FUNCTIONS
from graphgrad.ops.elementwise import where

Scope = frozenset[str]
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_SPECIAL = ("sum", "mean", "max", "where", "split", "at", "zeros", "ones", "onehot")


class Plan(NamedTuple):
    """How to convert a syntax tree: its operands with their scopes, and what joins them."""

    operands: list[tuple[ast.expr, Scope]]
    combine: Callable[..., Expr]


class Converter:
    """Converts the expressions of one statement; knows the names of the circuit."""

    def __init__(self, circuit: Circuit, statement: Statement, indexed: dict[str, str]) -> None:
        self.circuit = circuit
        self.statement = statement
        self.indexed = indexed
        self._numbers: dict[int, float] = {}

    def place(self, node: ast.AST) -> Place:
        """Return the place of a syntax tree."""
        return self.statement.place(node)

    def error(self, node: ast.AST, message: str, remedy: str | None = None) -> NotationError:
        """Return a notation error at a syntax tree."""
        return NotationError(message, place=self.place(node), remedy=remedy)

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
                return Plan([(left, scope), (right, scope)], op)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Plan([(operand, scope)], lambda a: -a)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return Plan([(operand, scope)], lambda a: a)
            case ast.Attribute(value=value, attr="T"):
                return Plan([(value, scope)], lambda a: a.T)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.condition(test, scope)
                operands = [(body, scope), (orelse, scope)]
                return Plan(operands, lambda a, b: choose(condition, a, b))
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.Call():
                return self._call(node, scope)
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
        if name in FUNCTIONS or name in _SPECIAL:
            return self.error(node, f"{name} is a function", f"write {name}(…)")
        known = {*circuit._sizes, *circuit._params, *circuit._inputs, *circuit._signals}
        error = unknown_name(name, known, place=self.place(node))
        index = next(iter(circuit.indices))
        declare = f"{name}[{index}]: input(D)" if subscripted else f"{name}: param(H)"
        if not (error.remedy or "").startswith("did you mean"):
            error.remedy = f"declare it, for example {declare}, or write an equation for it"
        else:
            error.remedy = f"{error.remedy} Otherwise declare it, for example {declare}"
        return error

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Plan:
        base = node.value
        if isinstance(base, ast.Name) and base.id in self.indexed:
            return Plan([], lambda: self._read(node, base.id, scope))
        if isinstance(base, ast.Call) and _function_name(base) == "split":
            return self._split_part(node, base, scope)
        if isinstance(base, ast.Name) and base.id not in (
            *self.circuit._params,
            *self.circuit._inputs,
            *self.circuit._signals,
        ):
            raise self._unknown(base, base.id, subscripted=True)
        if isinstance(node.slice, ast.Slice | ast.Tuple | ast.Constant):
            raise self.error(
                node,
                "these brackets do not hold a token",
                "E[x[t]] looks up a row; at(v, 0) picks a component; split(v, 2)[0] a piece",
            )
        return Plan([(base, scope), (node.slice, scope)], lambda a, b: OPS["lookup"](a, b))

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

    def _split_part(self, node: ast.Subscript, call: ast.Call, scope: Scope) -> Plan:
        position = node.slice
        if not (isinstance(position, ast.Constant) and type(position.value) is int):
            raise self.error(
                position, "the number of the piece must be a whole number", "split(z[t], 2)[0]"
            )
        operand, sizes, count = self.split_arguments(call)
        if position.value >= count:
            raise self.error(position, f"split gives {count} pieces", "pieces are counted from 0")
        attr = Part(sizes, position.value)
        return Plan([(operand, scope)], lambda a: OPS["part"](a, attr=attr))

    def split_arguments(self, call: ast.Call) -> tuple[ast.expr, int | tuple[Dim, ...], int]:
        """Return operand, sizes and number of pieces of a call of split."""
        self._plain_arguments(call, minimum=2)
        operand, *rest = call.args
        first = rest[0]
        if len(rest) == 1 and isinstance(first, ast.Constant) and type(first.value) is int:
            if not 1 <= first.value <= 10_000:
                raise self.error(first, "this is no number of pieces", "write split(z[t], 2)")
            return operand, first.value, first.value
        return operand, tuple(self.dim(size) for size in rest), len(rest)

    def dim(self, tree: ast.expr) -> Dim:
        """Return the dimension of a syntax tree; its names become sizes of the circuit."""
        try:
            dim = dim_of_ast(tree)
            self.circuit._shape([dim], self.place(tree))
        except GraphgradError as error:
            raise error.at(self.place(tree)) from None
        return dim

    def _plain_arguments(self, call: ast.Call, minimum: int = 0) -> None:
        if call.keywords or any(isinstance(arg, ast.Starred) for arg in call.args):
            raise self.error(
                call, "arguments are given by position, without names or stars", "maximum(u, v)"
            )
        if len(call.args) < minimum:
            name = _function_name(call)
            raise self.error(
                call, f"{name} needs at least {minimum} arguments", "write split(z[t], 2)"
            )

    def _call(self, node: ast.Call, scope: Scope) -> Plan:
        name = _function_name(node)
        if name is None:
            raise self.error(
                node.func, "only named functions can be called", "write tanh(u), sum(v), …"
            )
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return self._reduction(node, name, node.args[0], scope)
        self._plain_arguments(node)
        args = node.args
        if name in FUNCTIONS:
            return Plan([(arg, scope) for arg in args], FUNCTIONS[name])
        count = {"sum": 1, "mean": 1, "max": 1, "where": 3, "at": 2}.get(name)
        if count is not None and len(args) != count:
            shown = {"where": "where(u > 0, a, b)", "at": "at(v, 0)"}.get(name, f"{name}(v)")
            raise self.error(
                node, f"{name} takes {count} argument{'s' * (count != 1)}", f"write {shown}"
            )
        match name:
            case "sum" | "mean" | "max":
                return Plan([(args[0], scope)], OPS[name])
            case "where":
                return self._where(args, scope)
            case "at":
                position = args[1]
                if not (isinstance(position, ast.Constant) and type(position.value) is int):
                    raise self.error(position, "the component must be a whole number", "at(v, 0)")
                chosen = position.value
                if chosen > LARGEST:
                    raise self.error(
                        position, "this number is too large for a component", "at(v, 0)"
                    )
                return Plan([(args[0], scope)], lambda v: OPS["component"](v, attr=chosen))
            case "zeros" | "ones":
                shape = tuple(self.dim(arg) for arg in args)
                if not 1 <= len(shape) <= 2:
                    raise self.error(node, f"{name} takes one or two sizes", "write zeros(H)")
                fill = Fill(int(name == "ones"), shape)
                return Plan([], lambda: OPS["fill"](attr=fill))
            case "onehot":
                return self._onehot(node, scope)
            case "split":
                raise self.error(
                    node,
                    "split gives several values",
                    "write a[t], b[t] = split(z[t], 2), or split(z[t], 2)[0]",
                )
        known = [*FUNCTIONS, *_SPECIAL]
        error = unknown_name(name, known, place=self.place(node.func))
        error.message = f"{name} is not a function of the notation"
        raise error

    def _where(self, args: list[ast.expr], scope: Scope) -> Plan:
        test = args[0]
        relation = None
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            relation = _COMPARISONS.get(type(test.ops[0]))
        if not isinstance(test, ast.Compare) or relation not in (">", "<", ">=", "<="):
            raise self.error(
                test, "where decides by one comparison with >, <, >= or <=", "where(u > 0, a, b)"
            )
        order = relation
        operands = [(e, scope) for e in (test.left, test.comparators[0], args[1], args[2])]
        return Plan(operands, lambda left, right, a, b: where(Comparison(order, left, right), a, b))

    def _onehot(self, node: ast.Call, scope: Scope) -> Plan:
        match node.args:
            case [token]:
                return Plan([(token, scope)], OPS["onehot"])
            case [ast.Constant(value=int(position)), size] if not isinstance(position, bool):
                dim = self.dim(size)
                if position > LARGEST:
                    raise self.error(
                        node, "this number is too large for a component", "onehot(0, K)"
                    )
                if dim.known and position >= int(dim):
                    raise self.error(
                        node,
                        f"onehot({position}, {dim}) has no component {position}",
                        "components are counted from 0",
                    )
                return Plan([], lambda: OPS["basis"](attr=Basis(position, dim)))
        raise self.error(node, "onehot takes a token, or a number and a size", "onehot(0, K)")

    def _reduction(
        self, node: ast.Call, name: str, generator: ast.GeneratorExp, scope: Scope
    ) -> Plan:
        if name not in ("sum", "mean"):
            raise self.error(node, f"{name} cannot go over time", "sum and mean can")
        if len(generator.generators) != 1:
            raise self.error(
                generator, "a reduction is over one index", f"{name}(L[t] for t in steps)"
            )
        clause = generator.generators[0]
        over, target = clause.iter, clause.target
        if not isinstance(over, ast.Name) or over.id != "steps" or clause.is_async:
            raise self.error(over, "a reduction is over steps only", f"{name}(L[t] for t in steps)")
        if not isinstance(target, ast.Name) or target.id not in self.circuit.indices:
            known = ", ".join(self.circuit.indices)
            raise self.error(target, "this is not a time index", f"the indices are: {known}")
        inner = scope | {target.id}
        condition = ALWAYS
        for test in clause.ifs:
            found = self.condition(test, inner)
            condition = found if condition == ALWAYS else both(condition, found)
        index = target.id
        return Plan([(generator.elt, inner)], lambda body: reduce(name, index, condition, body))

    # -- conditions -----------------------------------------------------------------------------

    def condition(self, tree: ast.expr, scope: Scope) -> Condition:
        """Return the condition of a syntax tree."""
        self._bounded(tree)
        try:
            return self._condition(tree, scope)
        except GraphgradError as error:
            raise error.at(self.place(tree)) from None

    def _bounded(self, tree: ast.expr) -> None:
        """Raise for a tree too deep for recursion; bounded reading is short and clear."""
        pending: list[tuple[ast.AST, int]] = [(tree, 0)]
        while pending:
            node, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise self.error(
                    tree, f"this is nested more than {MAX_DEPTH} levels deep", "write it shorter"
                )
            pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))

    def _condition(self, tree: ast.expr, scope: Scope) -> Condition:
        match tree:
            case ast.BoolOp(op=word, values=parts):
                conditions = [self._condition(part, scope) for part in parts]
                if isinstance(word, ast.And):
                    return both(*conditions)
                return either(*conditions)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negate(self._condition(operand, scope))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                known = self._known(scope)
                sides = [self._affine(side, known) for side in (left, *comparators)]
                if any(type(op) not in _COMPARISONS for op in ops):
                    raise self.error(
                        tree, "conditions compare with ==, !=, <, <=, > and >=", "write t == tau"
                    )
                tests = [
                    Compare(_COMPARISONS[type(op)], first, second)
                    for op, first, second in zip(ops, sides, sides[1:], strict=False)
                ]
                return both(*tests)
        raise self.error(
            tree,
            "a condition compares whole-number expressions in the time index",
            "write t == tau, t > 3, t % 2 == 0 and t < tau",
        )

    def affine(self, tree: ast.expr, scope: Iterable[str], *, allow_all: bool = False) -> Affine:
        """Return the integer expression of a syntax tree in the indices in scope and lengths."""
        self._bounded(tree)
        try:
            return self._affine(tree, self._known(self.circuit.indices if allow_all else scope))
        except GraphgradError as error:
            raise error.at(self.place(tree)) from None

    def _known(self, scope: Iterable[str]) -> set[str]:
        return {*scope, *(index.length for index in self.circuit.indices.values())}

    def _affine(self, tree: ast.expr, known: set[str]) -> Affine:
        match tree:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return Affine.number(0).plus(value)
            case ast.Name(id=name) if name in known:
                return Affine.name(name)
            case ast.Name(id=name):
                raise self.error(
                    tree,
                    f"{name} is not a time index or length here",
                    f"known here are: {', '.join(sorted(known))}",
                )
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._affine(operand, known).times(-1)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                first = self._affine(left, known)
                second = self._affine(right, known)
                return first.plus(second, 1 if isinstance(op, ast.Add) else -1)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                first = self._affine(left, known)
                second = self._affine(right, known)
                if first.terms and second.terms:
                    raise self.error(tree, "times are multiplied by numbers only", "write 2*t")
                return (
                    second.times(first.constant) if second.terms else first.times(second.constant)
                )
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                inner = self._affine(left, known)
                modulus = self._affine(right, known)
                if modulus.terms or modulus.constant < 1:
                    raise self.error(right, "the modulus must be a whole number ≥ 1", "write t % 2")
                if not inner.terms:
                    return Affine.number(inner.constant % modulus.constant)
                return inner.modulo(modulus.constant)
        raise self.error(
            tree,
            "this is not a whole-number expression in the time index",
            "use t, tau, whole numbers, +, -, * and %; choose by a value with where(u > 0, a, b)",
        )


def _function_name(call: ast.Call) -> str | None:
    return call.func.id if isinstance(call.func, ast.Name) else None


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
        return "a power is written u ** 2"
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        return "write sum(e for t in steps) or mean(e for t in steps)"
    return "formulas are + - * / ** @, .T, functions, choices by t, and sums over steps"
