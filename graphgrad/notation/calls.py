"""Calls from syntax trees: functions, reductions over components and time, splits, constants."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from graphgrad.conditions import ALWAYS, both
from graphgrad.dims import LARGEST, Dim, dim_of_ast
from graphgrad.errors import GraphgradError, nearest, unknown_name
from graphgrad.ir import OPS, Basis, Comparison, Expr, Fill, Part, reduce
from graphgrad.notation.habits import FUNCTIONS as HABITS
from graphgrad.notation.indices import COMPARISONS, IndexReader, Scope
from graphgrad.ops import FUNCTIONS
from graphgrad.ops.elementwise import where

SPECIAL = ("sum", "mean", "max", "where", "split", "at", "zeros", "ones", "onehot")


class Plan(NamedTuple):
    """How to convert a syntax tree: its operands with their scopes, and what joins them."""

    operands: list[tuple[ast.expr, Scope]]
    combine: Callable[..., Expr]


class CallReader(IndexReader):
    """Plans calls: what their operands are and what is made of them."""

    def call(self, node: ast.Call, scope: Scope) -> Plan:
        """Return the plan of a call."""
        name = function_name(node)
        if name is None:
            raise self.error(
                node.func, "only named functions can be called", _plain_call(node.func)
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
        circuit = self.circuit
        if name in circuit._params or name in circuit._inputs or name in circuit._signals:
            raise self.error(
                node.func,
                f"{name} is a value, not a function",
                f"an operator is missing: write {name} @ (…) if one is a matrix, else {name} * (…)",
            )
        known = [*FUNCTIONS, *SPECIAL]
        error = unknown_name(name, known, place=self.place(node.func))
        error.message = f"{name} is not a function of the notation"
        if name in HABITS or not (error.remedy or "").startswith("did you mean"):
            error.remedy = HABITS.get(name, f"functions are: {', '.join(sorted(known))}")
        raise error

    def _where(self, args: list[ast.expr], scope: Scope) -> Plan:
        test = args[0]
        relation = None
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            relation = COMPARISONS.get(type(test.ops[0]))
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
            guess = nearest(name, ("sum", "mean"))
            remedy = "sum and mean can" if guess is None else f"did you mean {guess}?"
            raise self.error(node, f"{name} cannot go over time", remedy)
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

    def split_part(self, node: ast.Subscript, call: ast.Call, scope: Scope) -> Plan:
        """Return the plan of one piece of a split: `split(z[t], 2)[0]`."""
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
            name = function_name(call)
            raise self.error(
                call, f"{name} needs at least {minimum} arguments", "write split(z[t], 2)"
            )


def _plain_call(called: ast.expr) -> str:
    """Return how a function of a module, or a method, is written: np.tanh(u), h[t].tanh()."""
    name = called.attr if isinstance(called, ast.Attribute) else ""
    if name in FUNCTIONS or name in SPECIAL:
        return f"write {name}(…)"
    return HABITS.get("T" if name == "t" else name, "write tanh(u), sum(v), …")


def function_name(call: ast.Call) -> str | None:
    """Return the name that is called; None for anything but a bare name."""
    return call.func.id if isinstance(call.func, ast.Name) else None
