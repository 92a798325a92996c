"""Drawn circuits: small syntax trees that are printed, built in Python and given values.

A tree is fully parenthesised in print; both ways must give equal circuits. Sizes are H = 2, K = 3
and N = 3 tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

import graphgrad as gg
from graphgrad.dims import Dim
from graphgrad.ir import lift
from graphgrad.ops import FUNCTIONS
from graphgrad.ops.leaves import size_of

SIZES = {"H": 2, "K": 3, "N": 3}
PARAMS = {"k": (), "w": ("H",), "u": ("K",), "W": ("H", "H"), "M": ("K", "H"), "E": ("N", "H")}
Shape = tuple[str, ...]
Tree = tuple[Any, ...]


@dataclass
class Variable:
    """One variable of a drawn circuit; `rank` is the number of its component."""

    name: str
    index: str | None
    shape: Shape
    rank: int
    root: Tree = ()
    declared: bool = False


@dataclass
class Drawn:
    """A drawn circuit and the number of steps to unfold it for."""

    steps: dict[str, int]
    several: bool
    sized: bool
    tokens: bool
    variables: list[Variable] = field(default_factory=list)
    boundaries: dict[tuple[str, bool, int], Tree] = field(default_factory=dict)

    @property
    def lengths(self) -> dict[str, str]:
        """The length of each index."""
        return {"t": "tau", "s": "m"} if self.several else {"t": "tau"}

    @property
    def inputs(self) -> dict[str, tuple[str | None, str, Shape]]:
        """Index, kind and shape of each input."""
        found: dict[str, tuple[str | None, str, Shape]] = {
            "x": ("t", "input", ("H",)),
            "z": ("t", "input", ()),
            "q": (None, "input", ("K",)),
        }
        if self.several:
            found["xs"] = ("s", "input", ("H",))
        if self.tokens:
            found["n"] = ("t", "token", ("N",))
        return found

    def index_of(self, name: str) -> str:
        """The index of a variable or input that has one."""
        for variable in self.variables:
            if variable.name == name:
                assert variable.index is not None
                return variable.index
        index = self.inputs[name][0]
        assert index is not None
        return index

    def text(self) -> str:
        """The circuit in the notation, fully parenthesised."""
        lines = [f"{i}: steps({n})" for i, n in self.lengths.items()] if self.several else []
        if self.sized:
            lines += [f"{name}: size({size})" for name, size in SIZES.items()]
        for name, (index, kind, shape) in self.inputs.items():
            lines.append(f"{name}{f'[{index}]' if index else ''}: {kind}({', '.join(shape)})")
        lines += [f"{name}: param({', '.join(shape)})" for name, shape in PARAMS.items()]
        for v in self.variables:
            if v.declared:
                at = f"[{v.index}]" if v.index else ""
                lines.append(f"{v.name}{at}: state({', '.join(v.shape)})")
        for (name, last, offset), root in self.boundaries.items():
            lines.append(f"{name}[{self.moment(name, last, offset)}] = {self.show(root)}")
        for v in self.variables:
            lines.append(f"{v.name}{f'[{v.index}]' if v.index else ''} = {self.show(v.root)}")
        return "\n".join(lines)

    def moment(self, name: str, last: bool, offset: int) -> str:
        """A fixed step, as it is written."""
        length = self.lengths[self.index_of(name)]
        return f"{length}{offset:+d}" if last else str(offset)

    def show(self, tree: Tree) -> str:
        """An expression in the notation."""
        show = self.show
        match tree:
            case ("name", name):
                return str(name)
            case ("number", value):
                return f"({value})"
            case ("read", name, lag):
                return f"{name}[{self.index_of(name)}{-lag:+d}]"
            case ("at", name, last, offset):
                return f"{name}[{self.moment(name, last, offset)}]"
            case ("fill", value, dims):
                return f"{'ones' if value else 'zeros'}({', '.join(dims)})"
            case ("basis", position, dim):
                return f"onehot({position}, {dim})"
            case ("binary", operator, a, b):
                return f"({show(a)} {operator} {show(b)})"
            case ("neg", a):
                return f"(-{show(a)})"
            case ("T", a):
                return f"({show(a)}).T"
            case ("call", name, *args):
                return f"{name}({', '.join(map(show, args))})"
            case ("lookup", a, b):
                return f"{show(a)}[{show(b)}]"
            case ("split", a, dims, position):
                return f"split({show(a)}, {', '.join(dims)})[{position}]"
            case ("component", a, position):
                return f"at({show(a)}, {position})"
            case ("where", relation, a, b, c, d):
                return f"where({show(a)} {relation} {show(b)}, {show(c)}, {show(d)})"
            case ("choose", condition, a, b):
                return f"({show(a)} if {show_condition(condition)} else {show(b)})"
            case ("reduce", kind, index, condition, body):
                test = f" if {show_condition(condition)}" if condition else ""
                return f"{kind}({show(body)} for {index} in steps{test})"
        raise AssertionError(tree)

    def build(self) -> gg.Circuit:
        """The circuit through the Python builder."""
        circuit = gg.Circuit("circuit")
        if self.several:
            for index, length in self.lengths.items():
                circuit.steps(index, length)
        if self.sized:
            for name, size in SIZES.items():
                circuit.size(name, size)
        for name, (index, kind, shape) in self.inputs.items():
            circuit.input(name, *shape, index=index, kind=kind)
        for name, shape in PARAMS.items():
            circuit.param(name, *shape)
        for v in self.variables:
            if v.declared:
                circuit.state(v.name, *v.shape, index=v.index)
            else:
                circuit.var(v.name, index=v.index)
        for (name, last, offset), root in self.boundaries.items():
            time = gg.index(self.lengths[self.index_of(name)]) + offset if last else offset
            circuit[name][time] = self.made(root, circuit)
        for v in self.variables:
            if v.index is None:
                circuit[v.name] = self.made(v.root, circuit)
            else:
                circuit[v.name][gg.index(v.index)] = self.made(v.root, circuit)
        return circuit

    def made(self, tree: Tree, circuit: gg.Circuit) -> Any:
        """An expression made of Python objects."""

        def made(inner: Tree) -> Any:
            return self.made(inner, circuit)

        match tree:
            case ("name", name):
                if name in SIZES:
                    return size_of(Dim.of(name))
                # as an expression at once: Python would work out t - t by itself
                return lift(gg.index(name)) if name in ("t", "s", "tau", "m") else circuit[name]
            case ("number", value):
                return lift(value)
            case ("read", name, lag):
                return circuit[name][gg.index(self.index_of(name)) - lag]
            case ("at", name, last, offset):
                time = gg.index(self.lengths[self.index_of(name)]) + offset if last else offset
                return circuit[name][time]
            case ("fill", value, dims):
                return (gg.ones if value else gg.zeros)(*dims)
            case ("basis", position, dim):
                return gg.onehot(position, dim)
            case ("binary", operator, a, b):
                return OPERATORS[operator](made(a), made(b))
            case ("neg", a):
                return -made(a)
            case ("T", a):
                return made(a).T
            case ("call", name, *args):
                short = {"sum": gg.sum, "mean": gg.mean, "max": gg.max, "onehot": gg.onehot}
                function: Callable[..., Any] = short.get(name) or FUNCTIONS[name]
                return function(*map(made, args))
            case ("lookup", a, b):
                return made(a)[made(b)]
            case ("split", a, dims, position):
                return gg.split(made(a), *dims)[position]
            case ("component", a, position):
                return gg.at(made(a), position)
            case ("where", relation, a, b, c, d):
                left, right = made(a), made(b)
                test = {">": left > right, "<": left < right, ">=": left >= right}[relation]
                return gg.where(test, made(c), made(d))
            case ("choose", condition, a, b):
                return gg.choose(made_condition(condition), made(a), made(b))
            case ("reduce", kind, index, condition, body):
                where = made_condition(condition) if condition else None
                function = gg.sum if kind == "sum" else gg.mean
                return function(made(body), over=gg.index(index), where=where)
        raise AssertionError(tree)

    def values(self, seed: int) -> dict[str, Any]:
        """Random rational values of all parameters and inputs, none of them zero."""
        source = random.Random(seed)

        def array(shape: tuple[int, ...]) -> Any:
            result = np.empty(shape, object)
            for position in np.ndindex(*shape):
                sign = source.choice((-1, 1))
                result[position] = Fraction(sign * source.randint(1, 3), source.choice((1, 1, 2)))
            return result

        found: dict[str, Any] = {}
        for name, shape in PARAMS.items():
            found[name] = array(tuple(SIZES[dim] for dim in shape))
        for name, (index, kind, shape) in self.inputs.items():
            lead = (self.steps[index],) if index else ()
            if kind == "token":
                found[name] = np.array([source.randrange(SIZES["N"]) for _ in range(lead[0])])
            else:
                found[name] = array(lead + tuple(SIZES[dim] for dim in shape))
        return found


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "@": lambda a, b: a @ b,
    "**": lambda a, b: a**b,
}


# -- conditions ------------------------------------------------------------------------------------


def show_condition(tree: Tree) -> str:
    match tree:
        case ("compare", relation, a, b):
            return f"{show_affine(a)} {relation} {show_affine(b)}"
        case ("and" | "or" as word, a, b):
            return f"({show_condition(a)}) {word} ({show_condition(b)})"
        case ("not", a):
            return f"not ({show_condition(a)})"
    raise AssertionError(tree)


def show_affine(tree: Any) -> str:
    match tree:
        case (operator, a, b):
            return f"({show_affine(a)} {operator} {show_affine(b)})"
    return str(tree)


def made_condition(tree: Tree) -> Any:
    match tree:
        case ("compare", relation, a, b):
            left, right = made_affine(a), made_affine(b)
            return {
                "==": lambda: left == right,
                "!=": lambda: left != right,
                "<": lambda: left < right,
                "<=": lambda: left <= right,
                ">": lambda: left > right,
                ">=": lambda: left >= right,
            }[relation]()
        case ("and", a, b):
            return made_condition(a) & made_condition(b)
        case ("or", a, b):
            return made_condition(a) | made_condition(b)
        case ("not", a):
            return ~made_condition(a)
    raise AssertionError(tree)


def made_affine(tree: Any) -> Any:
    match tree:
        case ("%", a, b):
            return made_affine(a) % b
        case (operator, a, b):
            return OPERATORS[operator](made_affine(a), made_affine(b))
        case str():
            return gg.index(tree)
    return tree
